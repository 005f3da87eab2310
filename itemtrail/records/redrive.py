"""TODO."""

from collections.abc import Iterator

from itemtrail.records.kinds import REDRIVE_LINE, Record
from operations.redrive.run import Redriven
from operations.redrive.unpacking import Leftover, Lost


def redrive(of: Redriven) -> Record:
    """What a redrive did, or would do."""
    return {
        "applied": of.applied,
        "clean": of.is_clean,
        "objects": of.objects,
        "records": of.records,
        "counts": dict(sorted(of.counts.items())),
        "done": list(of.done),
        "leftovers": list(map(leftover, of.leftovers)),
        "lost": list(map(lost, of.lost)),
    }


def leftover(one: Leftover) -> Record:
    """Something that stays where it is."""
    return {
        "where": one.where,
        "why": one.why.value,
        "reason": one.reason,
        "consumer": one.consumer and one.consumer.value,
        "sequence_number": one.sequence_number,
        "key_digest": one.key_digest,
    }


def lost(one: Lost) -> Record:
    """Part of a stream that nobody has any more."""
    return {
        "where": one.where,
        "reason": one.reason,
        "found": one.remaining,
        "stream_arn": one.place.stream_arn,
        "shard_id": one.place.shard_id,
        "start": one.place.start,
        "end": one.place.end,
    }


def redrive_lines(of: Redriven) -> Iterator[Record]:
    """Every part of a redrive in one shape, what is lost first."""
    nothing = dict.fromkeys(REDRIVE_LINE.fields)
    for expired in of.lost:
        yield nothing | {"outcome": "lost"} | lost(expired)
    for one in of.leftovers:
        yield nothing | {"outcome": "left"} | leftover(one)
    for key in of.done:
        yield nothing | {"outcome": "done", "where": key}
