"""Append changes to the history table: each becomes one row, written once.

PartiQL `INSERT` refuses a key that exists, so nothing here can overwrite: a refusal is a
redelivery if the stored row carries the same digest, and an integrity alarm if it does not.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from history_writer.overflow_bucket import OverflowBucket
from stream_core.attribute_values import Item
from stream_core.batch import Delivery, Outcome, Refusal
from stream_core.clients import CONCURRENCY
from stream_core.errors import IntegrityError, RefusedRecordError
from stream_core.history_row import DIGEST, ID, SORT_KEY, HistoryRow, fits_inline
from stream_core.retry import Patience, Retry, classify, classify_code, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

# API reference, BatchExecuteStatement: at most 25 statements.
_STATEMENTS = 25
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
class _Answer:
    """What the table said to one entry; without an error it is stored."""

    entry: _Entry
    code: str = ""
    message: str = ""
    retry: Retry | None = None


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
        entries = self._distinct(deliveries, outcome)
        calls = [entries[i : i + _STATEMENTS] for i in range(0, len(entries), _STATEMENTS)]
        for part in self.pool.map(self._append, calls, repeat(patience)):
            outcome.merge(part)
        return outcome

    def _distinct(self, deliveries: Iterable[Delivery], outcome: Outcome) -> list[_Entry]:
        """One entry a row: a call that names a key twice is refused as a whole."""
        entries: dict[RowKey, _Entry] = {}
        for delivery in deliveries:
            row = HistoryRow.from_change(delivery.change)
            entry = _Entry(delivery, row, row.to_item(self.time_shards))
            first = entries.setdefault(entry.key, entry)
            if first is not entry:
                _judge_duplicate(entry, first.row.digest, outcome)
        return list(entries.values())

    def _append(self, entries: list[_Entry], patience: Patience) -> Outcome:
        outcome = Outcome()
        inline: list[_Entry] = []
        large: list[_Entry] = []
        for entry in entries:
            fits = entry.row.surely_fits or fits_inline(entry.item)
            (inline if fits else large).append(entry)
        self._insert(inline + self._relieve(large, patience, outcome), patience, outcome)
        return outcome

    def _insert(self, entries: list[_Entry], patience: Patience, outcome: Outcome) -> None:
        refused: list[_Answer] = []
        remaining = patience.work_off(
            entries, lambda pending: self._attempt(pending, refused, outcome)
        )
        outcome.unstored += [entry.delivery.record for entry in remaining]
        # A row refused with its images in it gets one more chance without them: the table's own
        # reckoning of sizes and depths is not published to the byte.
        inline = [answer.entry for answer in refused if answer.entry.row.overflow is None]
        relieved = self._relieve(inline, patience, outcome)
        if relieved:
            self._insert(relieved, patience, outcome)
        outcome.refused += [
            Refusal(
                answer.entry.delivery.record,
                RefusedRecordError(answer.code, answer.message),
            )
            for answer in refused
            if answer.entry.row.overflow is not None
        ]

    def _attempt(
        self, entries: list[_Entry], refused: list[_Answer], outcome: Outcome
    ) -> list[_Entry]:
        """Send entries once; returns those worth another attempt."""
        to_retry: list[_Entry] = []
        duplicates: list[_Entry] = []
        for answer in self._send(entries):
            if answer.retry is None and not answer.code:
                outcome.counts["RowsWritten"] += 1
                continue
            if answer.code in _DUPLICATE:
                duplicates.append(answer.entry)
                continue
            outcome.errors[answer.code] += 1
            if answer.retry is Retry.TRANSIENT:
                to_retry.append(answer.entry)
            elif answer.retry is Retry.PERMANENT:
                refused.append(answer)
            else:
                outcome.unstored.append(answer.entry.delivery.record)
        return to_retry + self._compare(duplicates, outcome)

    def _send(self, entries: list[_Entry]) -> Iterator[_Answer]:
        try:
            answer = self.dynamodb.batch_execute_statement(
                Statements=[self._statement(entry) for entry in entries]
            )
        except (ClientError, BotoCoreError) as error:
            retry = classify(error)
            if retry is Retry.PERMANENT and len(entries) > 1:
                # One bad entry has the whole call refused: halve until it stands alone.
                middle = len(entries) // 2
                yield from self._send(entries[:middle])
                yield from self._send(entries[middle:])
                return
            for entry in entries:
                yield _Answer(entry, error_code(error), str(error), retry)
            return
        for entry, response in zip(entries, answer["Responses"], strict=True):
            problem = response.get("Error", {})
            code = str(problem.get("Code", ""))
            yield _Answer(
                entry, code, problem.get("Message", ""), classify_code(code) if code else None
            )

    def _statement(self, entry: _Entry) -> "BatchStatementRequestTypeDef":
        fields = ", ".join(f"'{name}': ?" for name in entry.item)
        return {
            "Statement": f'INSERT INTO "{self.history_table}" VALUE {{{fields}}}',
            "Parameters": list(entry.item.values()),
        }

    def _compare(self, duplicates: list[_Entry], outcome: Outcome) -> list[_Entry]:
        """Hold refused duplicates against what is stored; returns those to try again."""
        if not duplicates:
            return []
        try:
            stored = self._stored_digests(duplicates)
        except (ClientError, BotoCoreError) as error:
            if outcome.note(error) is Retry.TRANSIENT:
                return duplicates
            outcome.unstored += [entry.delivery.record for entry in duplicates]
            return []
        to_retry: list[_Entry] = []
        for entry in duplicates:
            if entry.key in stored:
                _judge_duplicate(entry, stored[entry.key], outcome)
            else:
                to_retry.append(entry)
        return to_retry

    def _stored_digests(self, entries: list[_Entry]) -> dict[RowKey, bytes]:
        """Digests of stored rows; a key that was not answered for is left out."""
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
        return {
            (row[ID]["S"], row[SORT_KEY]["S"]): row.get(DIGEST, {}).get("B", b"")
            for row in answer["Responses"].get(self.history_table, [])
        }

    def _relieve(self, entries: list[_Entry], patience: Patience, outcome: Outcome) -> list[_Entry]:
        """Move the images of entries into the overflow bucket; returns the lighter entries."""
        relieved: list[_Entry] = []
        remaining = patience.work_off(
            entries, lambda pending: self._relieve_once(pending, relieved, outcome)
        )
        outcome.unstored += [entry.delivery.record for entry in remaining]
        return relieved

    def _relieve_once(
        self, entries: list[_Entry], relieved: list[_Entry], outcome: Outcome
    ) -> list[_Entry]:
        to_retry: list[_Entry] = []
        for entry in entries:
            try:
                row = self.overflow.put(entry.row)
            except (ClientError, BotoCoreError) as error:
                if outcome.note(error) is Retry.TRANSIENT:
                    to_retry.append(entry)
                else:
                    outcome.unstored.append(entry.delivery.record)
            else:
                outcome.counts["Overflowed"] += 1
                relieved.append(_Entry(entry.delivery, row, row.to_item(self.time_shards)))
        return to_retry


def _judge_duplicate(entry: _Entry, stored: bytes, outcome: Outcome) -> None:
    if stored == entry.row.digest:
        outcome.counts["Duplicates"] += 1
        return
    outcome.counts["DigestConflicts"] += 1
    error = IntegrityError(f"the stored row {entry.row.sort_key} has another digest")
    outcome.errors["DigestConflict"] += 1
    outcome.refused.append(Refusal(entry.delivery.record, error))
