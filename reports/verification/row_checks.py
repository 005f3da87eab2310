"""One stored row held against itself: its digest, its place, its format, its overflow object."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from reports.access.by_time import MOST_SHARDS
from reports.inputs.keys import KeySchema
from reports.states.provenance import CLOCK_TOLERANCE, Provenance
from reports.states.row_states import state_before
from reports.verification.continuity import FindingKind, Link, StateDigest, Unreadable
from reports.verification.row_format import has_its_images, surplus
from stream_core.attribute_values import Item, digest, same_item
from stream_core.change import Change, EventName
from stream_core.errors import IntegrityError, MalformedRecordError
from stream_core.history_row import SORT_KEY, HistoryRow, sort_key_of, time_bucket
from stream_core.item_id import item_id
from stream_core.retry import Retry, classify, error_code

# Half of a SHA-256: still no two states are found that share one.
_STATE_BYTES = 16
_BUCKET = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2})#(\d{2})", re.ASCII)
# What S3 says to a pointer that was altered; that an object is gone the reader says itself.
_NO_SUCH_PLACE = frozenset(
    {"InvalidArgument", "InvalidBucketName", "KeyTooLongError", "MethodNotAllowed"}
)


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row after it was looked at.

    Attributes:
        sort_key: where it stands.
        created_at: when its change was made; None where it does not tell.
        link: its part in the chain; None where it is a row of another item or table.
        keys: the item's key, None where the row cannot tell it.
        faults: what is wrong with it, or to be known of it, by class, in words.
        has_overflow: whether its images are in the overflow bucket.
        refusal: what S3 said where the overflow object may not be read; nothing is known then.
        stream: the ARN that it says it comes from; None where it does not tell.
    """

    sort_key: str
    created_at: datetime | None
    link: Link | Unreadable | None
    keys: Item | None
    faults: dict[FindingKind, list[str]]
    has_overflow: bool = False
    refusal: str | None = None
    stream: str | None = None


class RowChecks:
    """Checks the rows of one item, in order."""

    def __init__(
        self,
        load: Callable[[Item], HistoryRow],
        identifier: str,
        key_schema: KeySchema | None,
        provenance: Provenance,
        now: datetime,
    ) -> None:
        """Check rows that stand under an `Id`.

        Args:
            load: gives the row in an item with its images, its digest checked.
            identifier: the `Id`.
            key_schema: the source table's key, None where it is not known.
            provenance: what the rows have to be of.
            now: rows stamped later are from the future.
        """
        self._load_row = load
        self._identifier = identifier
        self._key_schema = key_schema
        self._provenance = provenance
        self._latest = now + CLOCK_TOLERANCE
        self._image: Item | None = None
        self._state: StateDigest = None
        self._shards: dict[int, bool] = {}

    def check(self, item: Item) -> CheckedRow:
        """Look at a row as it is stored; never raises for what is in it."""
        # Its sort key is the table's own: it is there, whatever else is not.
        sort_key = item[SORT_KEY]["S"]
        created_at = _time_of(sort_key)
        try:
            row = _read(item)
        except IntegrityError as error:
            faults = {FindingKind.DIGEST_MISMATCH: [_one_line(error)]}
            return CheckedRow(sort_key, created_at, Unreadable(sort_key, created_at), None, faults)
        loaded, problem, refusal = self._load(item)
        own_id = _id_of(row.change)
        return CheckedRow(
            sort_key,
            created_at,
            self._link(row, loaded)
            if own_id == self._identifier and self._provenance.other_table(row) is None
            else None,
            row.change.keys if own_id == self._identifier and self._fits_schema(row) else None,
            {
                kind: details
                for kind, details in (
                    (FindingKind.KEY_MISMATCH, [*self._misplaced(row, loaded, item)]),
                    (FindingKind.DIGEST_MISMATCH, [*problem, *_misshapen(row, loaded, item)]),
                    (FindingKind.FOREIGN, [*self._provenance.faults(row)]),
                    (FindingKind.REDRIVEN, [*_redriven(row)]),
                )
                if details
            },
            row.overflow is not None,
            refusal,
            row.change.event_source_arn,
        )

    @property
    def shards(self) -> int:
        """How many partitions an hour has at least, by the buckets of the rows so far."""
        return 1 + max((shard for shard, is_right in self._shards.items() if is_right), default=0)

    def state_of(self, image: Item | None) -> StateDigest:
        """A digest that stands for an image; kept, because the next row begins with it."""
        if image is None:
            return None
        if image != self._image:
            self._image, self._state = image, digest(image)[:_STATE_BYTES]
        return self._state

    def _link(self, row: HistoryRow, loaded: HistoryRow | None) -> Link | Unreadable:
        change = row.change
        if loaded is None:
            return Unreadable(row.sort_key, change.created_at)
        return Link(
            row.sort_key,
            change.event_name,
            change.created_at,
            before=self.state_of(state_before(loaded)),
            after=self.state_of(loaded.change.new_image),
            stream=change.event_source_arn,
        )

    def _load(self, item: Item) -> tuple[HistoryRow | None, list[str], str | None]:
        """The row with its images; or what is wrong with them, or why they may not be read."""
        try:
            return self._load_row(item), [], None
        except (IntegrityError, MalformedRecordError, ParamValidationError) as error:
            return None, [_one_line(error)], None
        except (ClientError, BotoCoreError) as error:
            if classify(error) is Retry.TRANSIENT:
                raise
            code = error_code(error)
            if code in _NO_SUCH_PLACE:
                return None, [f"no overflow object: {code}"], None
            return None, [], code

    def _misplaced(self, row: HistoryRow, loaded: HistoryRow | None, item: Item) -> Iterator[str]:
        own_id = _id_of(row.change)
        if own_id is None:
            yield "its Keys are no key of a table"
        elif own_id != self._identifier:
            yield "its Id is not that of its Keys: the item's history misses it"
        elif not self._fits_schema(row):
            yield f"its Keys are no key of the source table: that is {self._key_schema}"
        if loaded is not None and not _is_of_its_keys(loaded.change):
            yield "an image holds another key than its Keys"
        yield from self._time_faults(row, item)

    def _time_faults(self, row: HistoryRow, item: Item) -> Iterator[str]:
        change = row.change
        number = change.sequence_number
        if row.sort_key != sort_key_of(change.created_at, number):
            yield "its sort key is not that of its time and SequenceNumber"
        if change.event_name is EventName.SNAPSHOT and number != "0":
            yield "a baseline's SequenceNumber is 0: this one does not sort first in its second"
        if change.created_at > self._latest:
            yield "it is stamped in the future: nothing asked about the present sees it"
        if not self._is_bucket_of(row, item.get("TimeBucket", {}).get("S", "")):
            yield "its TimeBucket is not its hour and shard: `changes` misses it"

    def _is_bucket_of(self, row: HistoryRow, bucket: str) -> bool:
        created_at, match = row.change.created_at, _BUCKET.fullmatch(bucket)
        if match is None or match[1] != time_bucket(created_at, row.id, 1)[: len(match[1])]:
            return False
        # The shard depends on the item only, so that one answer does for most of its rows.
        shard = int(match[2])
        if shard not in self._shards:
            # The count may have been raised since: any that gives this shard will do.
            self._shards[shard] = any(
                time_bucket(created_at, row.id, count).endswith(f"#{match[2]}")
                for count in range(shard + 1, MOST_SHARDS + 1)
            )
        return self._shards[shard]

    def _fits_schema(self, row: HistoryRow) -> bool:
        return self._key_schema is None or KeySchema.of_keys(row.change.keys) == self._key_schema


def _read(item: Item) -> HistoryRow:
    row = HistoryRow.from_item(item)
    if _time_of(row.sort_key) is None:
        raise IntegrityError("not a history row: its sort key does not begin with a time in UTC")
    return row


def _time_of(sort_key: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(sort_key.partition("#")[0])
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def _id_of(change: Change) -> str | None:
    try:
        return item_id(change.keys)
    except MalformedRecordError:
        return None


def _misshapen(row: HistoryRow, loaded: HistoryRow | None, item: Item) -> Iterator[str]:
    if fault := surplus(row, item, "it"):
        yield fault
    if loaded is not None and not has_its_images(loaded):
        yield f"no row of the format: {loaded.change.event_name} has other images"


def _redriven(row: HistoryRow) -> Iterator[str]:
    if (source := row.redriven_from) is not None:
        version = "" if source.version_id is None else f" (version {source.version_id})"
        yield (
            f"{source.by} brought it back from {source.place}{version} when no stream had its "
            "record any more: nothing else vouches for it"
        )


def _is_of_its_keys(change: Change) -> bool:
    return all(
        same_item({name: image[name] for name in change.keys if name in image}, change.keys)
        for image in (change.old_image, change.new_image)
        if image is not None
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
