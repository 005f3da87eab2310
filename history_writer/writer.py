"""Append changes to the history table: each becomes one row, written once.

PartiQL `INSERT` refuses a key that exists, so nothing here can overwrite: a refusal is a
redelivery if the stored row carries the same digest, and an integrity alarm if it does not.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from history_writer.overflow_bucket import OverflowBucket
from stream_core.attribute_values import Item
from stream_core.batch import Delivery, Outcome
from stream_core.calls import cut, side_by_side, slices
from stream_core.clients import CONCURRENCY
from stream_core.errors import IntegrityError, RefusedRecordError
from stream_core.history_row import DIGEST, ID, SORT_KEY, HistoryRow, fits_inline
from stream_core.quarantine import Refusal
from stream_core.retry import CallError, Patience, Retry, classify_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

# API reference, BatchExecuteStatement and BatchGetItem.
_STATEMENTS, _READS = 25, 100
# What engines say of items over 400 KB or nested deeper than 32 levels.
_TOO_LARGE = re.compile(r"size|large|nest|level|exceed", re.IGNORECASE)
# The API reference has both spellings; engines answer with either.
_DUPLICATE = frozenset({"DuplicateItem", "DuplicateItemException"})

RowKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row on its way into the table."""

    delivery: Delivery
    row: HistoryRow
    item: Item

    @property
    def key(self) -> RowKey:
        return self.row.id, self.row.sort_key


@dataclass(frozen=True, slots=True)
class _Refused:
    """An entry that the table refuses for good, and its words."""

    entry: _Entry
    code: str
    message: str

    def may_be_too_large(self, outcome: Outcome) -> bool:
        """Whether the entry may pass without its images.

        The table's own reckoning of sizes and depths is not published to the byte. A refusal for
        anything else is tried so only where the table has taken others: an object under lock
        must not be left by every record that a table set up differently refuses.
        """
        return _taken(outcome) or _TOO_LARGE.search(self.message) is not None


@dataclass(frozen=True)
class HistoryWriter:
    """Writes changes into one history table and its overflow bucket."""

    dynamodb: "DynamoDBClient"
    overflow: OverflowBucket
    history_table: str
    time_shards: int
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY))

    def store(self, deliveries: list[Delivery], patience: Patience) -> Outcome:
        """Append each change once; harmless to repeat, in any order."""
        outcome = Outcome()
        inline: list[_Entry] = []
        large: list[_Entry] = []
        for entry in self._distinct(deliveries, outcome):
            fits = entry.row.surely_fits or fits_inline(entry.item)
            (inline if fits else large).append(entry)
        refusals = self._insert(inline, patience, outcome)
        if large and not (refusals or _taken(outcome)):
            # Whether the table can be written shows before anything is put under lock: it answers
            # that the first one is too large, or not at all.
            refusals = self._insert(large[:1], patience, outcome)
            if refusals or _taken(outcome):
                large = large[1:]
            else:
                outcome.unstored += [entry.delivery.record for entry in large[1:]]
                large = []
        for refused in refusals:
            if refused.may_be_too_large(outcome):
                large.append(refused.entry)
            else:
                _refuse(refused, outcome)
        lighter = self._relieve(self._not_stored(large, patience, outcome), patience, outcome)
        for refused in self._insert(lighter, patience, outcome):
            _refuse(refused, outcome)
        return outcome

    def _distinct(self, deliveries: Iterable[Delivery], outcome: Outcome) -> list[_Entry]:
        """One entry a row: a call that names a key twice is refused as a whole."""
        entries: dict[RowKey, _Entry] = {}
        for delivery in deliveries:
            row = HistoryRow.from_change(delivery.change, delivery.redriven_from)
            entry = _Entry(delivery, row, row.to_item(self.time_shards))
            first = entries.setdefault(entry.key, entry)
            if first is not entry:
                _judge_duplicate(entry, first.row.digest, outcome)
        return list(entries.values())

    def _insert(
        self, entries: list[_Entry], patience: Patience, outcome: Outcome
    ) -> list[_Refused]:
        """Insert entries, calls side by side; returns those that the table refuses for good."""
        refused: list[_Refused] = []
        calls = cut(entries, _STATEMENTS, lambda entry: entry.row.json_size)
        for part, part_refused in side_by_side(
            self.pool, lambda call: self._insert_call(call, patience), calls
        ):
            outcome.merge(part)
            refused += part_refused
        return refused

    def _insert_call(
        self, entries: list[_Entry], patience: Patience
    ) -> tuple[Outcome, list[_Refused]]:
        outcome = Outcome()
        refused: list[_Refused] = []
        remaining = patience.work_off(
            entries, lambda pending: self._attempt(pending, patience, refused, outcome)
        )
        outcome.unstored += [entry.delivery.record for entry in remaining]
        return outcome, refused

    def _attempt(
        self, entries: list[_Entry], patience: Patience, refused: list[_Refused], outcome: Outcome
    ) -> list[_Entry]:
        """Send entries once; returns those worth another attempt."""
        try:
            problems = patience.call(lambda: self._send(entries))
        except CallError as error:
            if error.retry is Retry.PERMANENT and len(entries) > 1:
                # One bad entry has the whole call refused: halve until it stands alone.
                middle = len(entries) // 2
                return [
                    entry
                    for half in (entries[:middle], entries[middle:])
                    for entry in self._attempt(half, patience, refused, outcome)
                ]
            problems = [error] * len(entries)
        to_retry: list[_Entry] = []
        duplicates: list[_Entry] = []
        for entry, problem in zip(entries, problems, strict=True):
            if problem is None:
                outcome.counts["RowsWritten"] += 1
            elif problem.code in _DUPLICATE:
                duplicates.append(entry)
            elif problem.retry is Retry.PERMANENT:
                refused.append(_Refused(entry, problem.code, str(problem)))
            elif outcome.note(problem) is Retry.TRANSIENT:
                to_retry.append(entry)
            else:
                outcome.unstored.append(entry.delivery.record)
        missing = patience.work_off(
            duplicates, lambda pending: self._compare(pending, patience, outcome, to_retry)
        )
        return to_retry + missing

    def _send(self, entries: list[_Entry]) -> list[CallError | None]:
        """Insert entries by one call; for each of them its error, or None: it is stored."""
        answer = self.dynamodb.batch_execute_statement(
            Statements=[self._statement(entry) for entry in entries]
        )
        responses = [response.get("Error") for response in answer["Responses"]]
        if len(responses) != len(entries):
            raise ValueError("there are not as many answers as statements")
        return [None if problem is None else _statement_error(problem) for problem in responses]

    def _statement(self, entry: _Entry) -> "BatchStatementRequestTypeDef":
        fields = ", ".join(f"'{name}': ?" for name in entry.item)
        return {
            "Statement": f'INSERT INTO "{self.history_table}" VALUE {{{fields}}}',
            "Parameters": list(entry.item.values()),
        }

    def _not_stored(
        self, entries: list[_Entry], patience: Patience, outcome: Outcome
    ) -> list[_Entry]:
        """The entries that have no row yet: a redelivery must leave no object under lock."""
        missing: list[_Entry] = []
        remaining = patience.work_off(
            entries, lambda pending: self._compare(pending, patience, outcome, missing)
        )
        outcome.unstored += [entry.delivery.record for entry in remaining]
        return missing

    def _compare(
        self,
        entries: list[_Entry],
        patience: Patience,
        outcome: Outcome,
        missing: list[_Entry],
    ) -> list[_Entry]:
        """Hold entries against what is stored under their keys; returns those to look at again.

        Those that nothing is stored of are added to `missing`.
        """
        to_retry: list[_Entry] = []
        for group in slices(entries, _READS):
            try:
                stored = patience.call(partial(self._stored_digests, group))
            except CallError as error:
                if outcome.note(error) is Retry.TRANSIENT:
                    to_retry += group
                else:
                    outcome.unstored += [entry.delivery.record for entry in group]
                continue
            for entry in group:
                if entry.key not in stored:
                    missing.append(entry)
                elif (digest := stored[entry.key]) is None:
                    to_retry.append(entry)
                else:
                    _judge_duplicate(entry, digest, outcome)
        return to_retry

    def _stored_digests(self, entries: list[_Entry]) -> dict[RowKey, bytes | None]:
        """Digests by key of what is stored; None for a key that was not answered for."""
        answer = self.dynamodb.batch_get_item(
            RequestItems={
                self.history_table: {
                    "Keys": [
                        {ID: {"S": entry.row.id}, SORT_KEY: {"S": entry.row.sort_key}}
                        for entry in entries
                    ],
                    "ConsistentRead": True,
                    "ProjectionExpression": "#id, #time, #digest",
                    "ExpressionAttributeNames": {"#id": ID, "#time": SORT_KEY, "#digest": DIGEST},
                }
            }
        )
        # What a cut answer lacks raises: nothing may be taken for absent by it.
        unread = answer["UnprocessedKeys"].get(self.history_table, {"Keys": []})["Keys"]
        responses = answer["Responses"]
        rows = responses.get(self.history_table, []) if unread else responses[self.history_table]
        stored: dict[RowKey, bytes | None] = {_row_key(key): None for key in unread}
        return stored | {_row_key(row): row.get(DIGEST, {}).get("B", b"") for row in rows}

    def _relieve(self, entries: list[_Entry], patience: Patience, outcome: Outcome) -> list[_Entry]:
        """Move the images of entries into the overflow bucket; returns the lighter entries."""
        relieved: list[_Entry] = []
        remaining = patience.work_off(
            entries, lambda pending: self._relieve_once(pending, relieved, patience, outcome)
        )
        outcome.unstored += [entry.delivery.record for entry in remaining]
        return relieved

    def _relieve_once(
        self,
        entries: list[_Entry],
        relieved: list[_Entry],
        patience: Patience,
        outcome: Outcome,
    ) -> list[_Entry]:
        def put(entry: _Entry) -> HistoryRow | CallError:
            try:
                return patience.call(lambda: self.overflow.put(entry.row))
            except CallError as error:
                return error

        to_retry: list[_Entry] = []
        for entry, row in zip(entries, side_by_side(self.pool, put, entries), strict=True):
            if isinstance(row, HistoryRow):
                outcome.counts["Overflowed"] += 1
                relieved.append(_Entry(entry.delivery, row, row.to_item(self.time_shards)))
            elif outcome.note(row) is Retry.TRANSIENT:
                to_retry.append(entry)
            else:
                outcome.unstored.append(entry.delivery.record)
        return to_retry


def _taken(outcome: Outcome) -> bool:
    """Whether the table has taken a row, or has it, in this invocation."""
    return outcome.counts["RowsWritten"] + outcome.counts["Duplicates"] > 0


def _row_key(row: Mapping[str, Any]) -> RowKey:
    return row[ID]["S"], row[SORT_KEY]["S"]


def _statement_error(problem: Mapping[str, Any]) -> CallError:
    """What the error of a single statement means; one without a code is no success either."""
    code, message = problem.get("Code") or "Unnamed", problem.get("Message", "")
    return CallError(code, classify_code(code, message), message)


def _refuse(refused: _Refused, outcome: Outcome) -> None:
    outcome.errors[refused.code] += 1
    error = RefusedRecordError(refused.code, refused.message)
    outcome.refused.append(Refusal(refused.entry.delivery.record, error))


def _judge_duplicate(entry: _Entry, stored: bytes, outcome: Outcome) -> None:
    if stored == entry.row.digest:
        outcome.counts["Duplicates"] += 1
        return
    outcome.counts["DigestConflicts"] += 1
    error = IntegrityError(f"the stored row {entry.row.sort_key} has another digest")
    outcome.errors["DigestConflict"] += 1
    outcome.refused.append(Refusal(entry.delivery.record, error))
