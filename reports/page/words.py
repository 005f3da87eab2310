"""What the words of a report mean, in sentences for a reader who has never met them."""

VERDICTS = {
    "integrity": {
        "holds": "Every row and every overflow object is what was written, and where it belongs.",
        "broken": "At least one row or overflow object is not what was written, or is gone.",
        "unproven": "Nothing is known to be altered, but not everything could be looked at, or "
        "nothing was there to look at.",
    },
    "completeness": {
        "holds": "Each change begins where the one before it ended, and the last one gives the "
        "live item. A lost change would show, unless others that are lost too undid it.",
        "broken": "At least one change is missing, or out of its order.",
        "unproven": "Nothing is known to be missing, but not everything could be looked at, or "
        "nothing was there to look at.",
    },
}
EXCEPTION = "That is so but for what was declared."
"""Of a verdict that holds although there are findings."""
CERTAINTIES = {
    "exact": "What was recorded before and after agrees, so that one missing record would have "
    "shown, and no change of then can still arrive. In parentheses is what the second rests on: "
    "the live item, the metrics of the deployment (measured), the age after which a change is "
    "no longer on its way (aged), a comparison with the stream (compared), or the word of the "
    "person who asked (declared).",
    "bounded": "A change is missing around the instant or may still be on its way, or nothing "
    "vouches for one side of it: known is a state before or after, not when it changed.",
    "unknown": "Nothing vouches for the answer.",
}
CLASSES = {
    "MISSING_CHANGE": "The item was changed in between, and no row tells how; or one of the two "
    "rows was rewritten.",
    "MISSING_START": "The item was there before its first row, and no baseline shows it.",
    "MISSING_DELETE": "An item that was there is inserted: its deletion is missing.",
    "MISSING_INSERT": "An item that was not there is changed or removed: its making is missing.",
    "ORDER": "The sequence numbers of one stream tell another order than the one that the rows are "
    "stored in: their times go back.",
    "HEAD_MISMATCH": "The last row did not leave the live item.",
    "KEY_MISMATCH": "A row is not where its content says, so that a question may miss it.",
    "DIGEST_MISMATCH": "A row or its overflow object is not what was written, or is gone.",
    "FOREIGN": "No stream of the table can have told of the row: it is of another table, from "
    "before the table was made, or has a sequence number that DynamoDB does not give.",
    "BACKDATED": "A row was written long after the change that it records.",
    "REDRIVEN": "A row was made of a record that had been kept aside, when no stream had it any "
    "more: nothing else vouches for it. This is no fault, and changes no verdict.",
}
TERMS = {
    "history": "One row for every change of the source table, as DynamoDB's stream told it, with "
    "the item before and after it. A row is written once; the writer has no permission to alter "
    "or delete one.",
    "time": "All times are UTC. DynamoDB stamps a change with its second: several changes of one "
    "second have the same time, and their sequence numbers tell their order.",
    "sequence number": "The place that DynamoDB gave the change in its stream.",
    "digest": "SHA-256 over the whole content of a row, both images included, in canonical form. "
    "It was computed anew for this report and compared with the one in the row.",
    "horizon": "When the history began. Nothing earlier was recorded.",
    "baseline": "A SNAPSHOT row: no change, but the state in which a later backfill found the "
    "item, at some moment of its second.",
    "declared": "A gap whose cause was known and declared before the verification. It is listed "
    "with that cause, and breaks no verdict.",
    "integrity and completeness": "Two different verdicts: whether what is there was altered, and "
    "whether something is missing. One can hold without the other.",
    "what is not proven": "An administrator who may write to the history table can write "
    "rows with fitting digests. Digests show alterations by everybody else, and by accident.",
}
