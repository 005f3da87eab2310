"""Whether the index `ByTime` holds every row of the table under its bucket, and nothing else.

The index is read as a whole and held against the table by a sum a bucket, so that memory grows with
the buckets and not with the rows. Only where two sums differ rows are compared one by one, and what
differs is asked for again: the index follows the table within a second or so.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from botocore.exceptions import ClientError

from reports.access.by_time import INDEX
from reports.access.machine import Machine
from reports.access.progress import Progress
from reports.access.row_reader import RowReader
from reports.access.table_scan import scan
from reports.verification.continuity import Finding, FindingKind
from stream_core.attribute_values import Item
from stream_core.history_row import ID, SORT_KEY, time_text
from stream_core.retry import error_code

BUCKET = "TimeBucket"
ROW_PLACE = (ID, SORT_KEY, BUCKET)
"""The attributes of a row that say where it belongs in the index."""
_UNREADABLE = frozenset(
    {"AccessDeniedException", "ResourceNotFoundException", "ValidationException"}
)
_HASH_BYTES = 8
# Further buckets are counted only: of an index that is being made all differ.
_MOST_BUCKETS = 100
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_ON_THEIR_WAY = timedelta(minutes=15)


class IndexedRow(NamedTuple):
    """Where a row is in the index: in its bucket by its sort key."""

    bucket: str
    sort_key: str
    identifier: str


class BucketSums:
    """For every bucket a number that depends on its rows, and not on their order.

    Rows that may still be on their way into the index are left out.
    """

    def __init__(self, before: str) -> None:
        """No row yet; only rows with smaller sort keys count."""
        self.before = before
        self.sums: dict[str, int] = defaultdict(int)

    @classmethod
    def until(cls, now: datetime) -> "BucketSums":
        """Of the rows stamped long enough ago."""
        return cls(time_text(now - _ON_THEIR_WAY))

    def add(self, page: Iterable[Item]) -> None:
        """Count rows in; one without a bucket is in no index, which is a matter of the row."""
        for row in indexed(page):
            if row.sort_key >= self.before:
                continue
            content = f"{row.sort_key}\0{row.identifier}".encode("utf-8", "surrogatepass")
            entry = blake2b(content, digest_size=_HASH_BYTES).digest()
            # One more each time, so that two equal entries do not cancel each other.
            self.sums[row.bucket] += (1 << 8 * _HASH_BYTES) + int.from_bytes(entry)

    def differing(self, index: "BucketSums") -> list[str]:
        """The buckets with other rows there."""
        return sorted(
            bucket
            for bucket in self.sums.keys() | index.sums.keys()
            if self.sums.get(bucket) != index.sums.get(bucket)
        )


def indexed(page: Iterable[Item]) -> Iterator[IndexedRow]:
    """The rows of a page that belong into the index."""
    for row in page:
        if bucket := row.get(BUCKET, {}).get("S"):
            yield IndexedRow(bucket, row[SORT_KEY]["S"], row[ID]["S"])


@dataclass
class IndexCheck:
    """Holds the index against the table.

    Attributes:
        findings: what differs, by `Id`.
        notes: what could not be looked at.
    """

    reader: RowReader
    machine: Machine
    progress: Progress
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def compare_all(self, table: BucketSums) -> None:
        """Compare all of the index.

        Args:
            table: the rows of the table, read before.
        """
        index = BucketSums(table.before)
        try:
            done = 0
            for page in self._scan(IndexName=INDEX, ConsistentRead=False):
                index.add(page)
                done += len(page)
                self.progress("index entries", done, None)
            if differing := table.differing(index):
                self._compare(differing, table.before)
        except ClientError as error:
            self._take(error)

    def compare(self, rows: Iterable[IndexedRow]) -> None:
        """Compare some rows of the table with the index."""
        try:
            self._conclude(self._lacking(rows), frozenset())
        except ClientError as error:
            self._take(error)

    def _compare(self, differing: Sequence[str], before: str) -> None:
        if len(differing) > _MOST_BUCKETS:
            self.notes.append(
                f"the index {INDEX} differs from the table in {len(differing):,} partitions: rows "
                f"of the first {_MOST_BUCKETS} are compared one by one"
            )
        buckets = dict.fromkeys(differing[:_MOST_BUCKETS])
        stored = {row for page in self._scan() for row in indexed(page) if row.bucket in buckets}
        entries = {entry for bucket in buckets for entry in self._entries(bucket, " ", before)}
        self._conclude({row for row in stored if row.sort_key < before} - entries, entries - stored)

    def _conclude(self, lacking: Iterable[IndexedRow], unstored: Iterable[IndexedRow]) -> None:
        """Give the index time to follow, and say what differs then."""
        rest, extra = set(lacking), set(unstored)
        for pause_s in _PAUSES_S:
            rest = {row for row in rest if self._row(row) is not None}
            extra = {row for row in extra if self._row(row) is None}
            if not rest and not extra:
                return
            self.machine.sleep(pause_s)
            rest = self._lacking(rest)
            extra -= self._lacking(extra)
        for row in sorted(rest):
            keys = (self._row(row) or {}).get("Keys", {}).get("M")
            self._add(row, keys, f"the index {INDEX} does not hold it: `changes` misses it")
        for row in sorted(extra):
            self._add(
                row, None, f"the index {INDEX} holds it in {row.bucket}, and the table does not"
            )

    def _add(self, row: IndexedRow, keys: Item | None, detail: str) -> None:
        finding = Finding(
            FindingKind.KEY_MISMATCH,
            keys or {ID: {"S": row.identifier}},
            None,
            None,
            row.sort_key,
            detail,
        )
        self.findings.append((row.identifier, finding))

    def _lacking(self, rows: Iterable[IndexedRow]) -> set[IndexedRow]:
        """Those of some rows that the index does not hold; one query a bucket."""
        by_bucket: dict[str, set[IndexedRow]] = defaultdict(set)
        for row in rows:
            by_bucket[row.bucket].add(row)
        lacking: set[IndexedRow] = set()
        for bucket, wanted in by_bucket.items():
            sort_keys = [row.sort_key for row in wanted]
            lacking |= wanted - set(self._entries(bucket, min(sort_keys), max(sort_keys)))
        return lacking

    def _entries(self, bucket: str, first: str, last: str) -> Iterator[IndexedRow]:
        pages = self.reader.dynamodb.get_paginator("query").paginate(
            TableName=self.reader.history_table,
            IndexName=INDEX,
            KeyConditionExpression="#bucket = :bucket AND #time BETWEEN :first AND :last",
            ProjectionExpression="#id, #time, #bucket",
            ExpressionAttributeNames={"#id": ID, "#time": SORT_KEY, "#bucket": BUCKET},
            ExpressionAttributeValues={
                ":bucket": {"S": bucket},
                ":first": {"S": first},
                ":last": {"S": last},
            },
        )
        for page in pages:
            yield from indexed(page["Items"])

    def _row(self, row: IndexedRow) -> Item | None:
        """The row in the table now, if it is still to be in that bucket."""
        answer = self.reader.dynamodb.get_item(
            TableName=self.reader.history_table,
            Key={ID: {"S": row.identifier}, SORT_KEY: {"S": row.sort_key}},
            ConsistentRead=True,
        )
        item = answer.get("Item")
        return item if item and item.get(BUCKET) == {"S": row.bucket} else None

    def _scan(self, **options: object) -> Iterator[list[Item]]:
        return scan(self.reader.dynamodb, self.reader.history_table, ROW_PLACE, **options)

    def _take(self, error: ClientError) -> None:
        if error_code(error) not in _UNREADABLE:
            raise error
        self.notes.append(
            f"the index {INDEX} could not be read ({error_code(error)}), which `changes` goes "
            "through: see that it is there and may be read, and verify again"
        )
