"""The history row: a change as an item of the history table, and back."""

import hashlib
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache

from stream_core.attribute_values import (
    MAX_CONTAINERS,
    Item,
    canonical_json,
    containers,
    digest,
    item_size,
)
from stream_core.change import MAX_SEQUENCE_DIGITS, Change, EventName, UserIdentity
from stream_core.errors import IntegrityError

ID = "Id"
SORT_KEY = "ApproximateCreationDateTime"
DIGEST = "Digest"
_REDRIVEN_FROM = "RedrivenFrom"
FORMAT = "1"
# Developer Guide, "Constraints".
MAX_ITEM_BYTES = 400 * 1024
_HOUR_LENGTH = len("2018-03-03T18")
# More than Digest, TimeBucket and Format take.
_UNSEALED_BYTES = 200


@dataclass(frozen=True, slots=True)
class OverflowPointer:
    """Where the images of a row are that did not fit into it.

    Attributes:
        sha256: hex digest of the object's uncompressed content.
        size: bytes of the uncompressed content.
        version_id: the object version, in a versioned bucket.
    """

    bucket: str
    key: str
    sha256: str
    size: int
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class RedrivenFrom:
    """What a row was made of when the stream did not have its record any more.

    Attributes:
        place: where the record was: `s3://BUCKET/KEY`, or the name of a file.
        version_id: the object's version, in a versioned bucket.
        by: who brought it back, by the ARN.
    """

    place: str
    version_id: str | None
    by: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A change under its key in the history table, with the digest that seals it.

    Attributes:
        digest: SHA-256 over the row's content, the images included wherever they are kept.
        overflow: set when the images are kept in the overflow bucket; `change` has none then.
        json_size: bytes of the row as JSON, about.
        surely_fits: known to be within the limits of an item without measuring it.
        redriven_from: set where nothing but that vouches for the row; no part of the digest, so
            that a redelivery is the same row.
        fault: why the row, as it was read, is not what was written; None: nothing is known
            against it.
        run: the run of this program that made the change, where that was asked; None: no run did.
        run_by: who started that run.
    """

    sort_key: str
    change: Change
    digest: bytes
    overflow: OverflowPointer | None = None
    json_size: int = field(default=0, compare=False)
    surely_fits: bool = field(default=False, compare=False)
    redriven_from: RedrivenFrom | None = None
    fault: str | None = None
    run: str | None = field(default=None, compare=False)
    run_by: str | None = field(default=None, compare=False)

    @classmethod
    def from_change(cls, change: Change, redriven_from: RedrivenFrom | None = None) -> "HistoryRow":
        """The row that records a change."""
        sort_key = sort_key_of(change.created_at, change.sequence_number)
        content = canonical_json(_sealed(sort_key, change))
        return cls(
            sort_key,
            change,
            hashlib.sha256(content).digest(),
            json_size=len(content),
            surely_fits=redriven_from is None and _surely_fits(content),
            redriven_from=redriven_from,
        )

    @classmethod
    def from_item(cls, item: Item) -> "HistoryRow":
        """Read a stored row, its digest as stored and not yet checked.

        Raises:
            IntegrityError: the item is not a row of this format.
        """
        try:
            if item["Format"]["N"] != FORMAT:
                raise IntegrityError(f"history row of unknown format {item['Format']['N']}")
            return cls(
                sort_key=item[SORT_KEY]["S"],
                change=_change_of(item),
                digest=item[DIGEST]["B"],
                overflow=_overflow_of(item),
                redriven_from=_redriven_from(item),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise IntegrityError(f"not a history row: {type(error).__name__} {error}") from error

    @property
    def id(self) -> str:
        """The row's partition key."""
        return self.change.item_id

    def to_item(self, time_shards: int) -> Item:
        """The item to store, under `time_shards` partitions an hour of the index `ByTime`."""
        item = _sealed(self.sort_key, self.change)
        if self.overflow is not None:
            item.pop("OldImage", None)
            item.pop("NewImage", None)
            item["Overflow"] = {"M": _overflow_item(self.overflow)}
        if self.redriven_from is not None:
            item[_REDRIVEN_FROM] = {"M": _redriven_item(self.redriven_from)}
        item[DIGEST] = {"B": self.digest}
        item["TimeBucket"] = {"S": time_bucket(self.change.created_at, self.id, time_shards)}
        item["Format"] = {"N": FORMAT}
        return item

    def check(self) -> None:
        """Compare the stored digest with the content, images loaded.

        Raises:
            IntegrityError: the row is not what was written.
        """
        if digest(_sealed(self.sort_key, self.change)) != self.digest:
            raise IntegrityError(f"digest mismatch in the history row {self.sort_key}")

    def with_images(self, old_image: Item | None, new_image: Item | None) -> "HistoryRow":
        """The same row with its images loaded from the overflow bucket."""
        return replace(self, change=replace(self.change, old_image=old_image, new_image=new_image))


def _surely_fits(content: bytes) -> bool:
    """Whether a row of this canonical form is far from the limits of an item.

    As JSON every name and value is at least as long as DynamoDB counts it, and no value is inside
    more containers than there are in the whole.
    """
    return (
        len(content) + _UNSEALED_BYTES <= MAX_ITEM_BYTES
        and content.count(b'{"L":[') + content.count(b'{"M":{') <= MAX_CONTAINERS
    )


def fits_inline(item: Item) -> bool:
    """Whether a row with its images in it is within DynamoDB's size and nesting."""
    return item_size(item) <= MAX_ITEM_BYTES and containers(item) <= MAX_CONTAINERS


@lru_cache(maxsize=1024)
def time_text(moment: datetime) -> str:
    """A time as the sort key spells it: UTC to the microsecond; text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def sort_key_of(created_at: datetime, sequence_number: str) -> str:
    """The sort key of a change: its second, then its place within it.

    Sequence numbers differ in length, so they are padded: as text `9` would sort after `10`.
    """
    return f"{time_text(created_at)}#{sequence_number.zfill(MAX_SEQUENCE_DIGITS)}"


def sort_key_after(moment: datetime) -> str:
    """A bound above every row stamped at or before `moment`, and below every later one."""
    return f"{time_text(moment)}#~"


def time_bucket(created_at: datetime, identifier: str, time_shards: int) -> str:
    """Partition key of the index `ByTime`: the hour, and a shard that depends on the item only."""
    shard = zlib.crc32(identifier.encode("utf-8", "surrogatepass")) % time_shards
    return f"{time_text(created_at)[:_HOUR_LENGTH]}#{shard:02d}"


def _sealed(sort_key: str, change: Change) -> Item:
    """The attributes that the digest covers."""
    item: Item = {
        ID: {"S": change.item_id},
        SORT_KEY: {"S": sort_key},
        "Keys": {"M": change.keys},
        "EventName": {"S": change.event_name.value},
        "SequenceNumber": {"S": change.sequence_number},
        "EventSourceARN": {"S": change.event_source_arn},
    }
    if change.event_id is not None:
        item["EventId"] = {"S": change.event_id}
    if change.old_image is not None:
        item["OldImage"] = {"M": change.old_image}
    if change.new_image is not None:
        item["NewImage"] = {"M": change.new_image}
    if change.aws_region is not None:
        item["AwsRegion"] = {"S": change.aws_region}
    if change.size_bytes is not None:
        item["SizeBytes"] = {"N": str(change.size_bytes)}
    if change.user_identity is not None:
        fields = {
            "type": change.user_identity.type,
            "principalId": change.user_identity.principal_id,
        }
        item["UserIdentity"] = {
            "M": {name: {"S": text} for name, text in fields.items() if text is not None}
        }
    return item


def _change_of(item: Item) -> Change:
    identity = item.get("UserIdentity", {}).get("M")
    event_name = EventName(item["EventName"]["S"])
    if event_name is EventName.UNREADABLE:
        raise ValueError("no EventName")
    return Change(
        item_id=item[ID]["S"],
        event_id=item.get("EventId", {}).get("S"),
        event_name=event_name,
        event_source_arn=item["EventSourceARN"]["S"],
        aws_region=item.get("AwsRegion", {}).get("S"),
        sequence_number=item["SequenceNumber"]["S"],
        created_at=datetime.fromisoformat(item[SORT_KEY]["S"].partition("#")[0]),
        size_bytes=int(item["SizeBytes"]["N"]) if "SizeBytes" in item else None,
        keys=item["Keys"]["M"],
        old_image=item.get("OldImage", {}).get("M"),
        new_image=item.get("NewImage", {}).get("M"),
        user_identity=UserIdentity(
            identity.get("type", {}).get("S"), identity.get("principalId", {}).get("S")
        )
        if identity
        else None,
    )


def _overflow_item(pointer: OverflowPointer) -> Item:
    item: Item = {
        "Bucket": {"S": pointer.bucket},
        "Key": {"S": pointer.key},
        "SHA256": {"S": pointer.sha256},
        "Bytes": {"N": str(pointer.size)},
    }
    if pointer.version_id is not None:
        item["VersionId"] = {"S": pointer.version_id}
    return item


def _overflow_of(item: Item) -> OverflowPointer | None:
    if "Overflow" not in item:
        return None
    fields = item["Overflow"]["M"]
    return OverflowPointer(
        bucket=fields["Bucket"]["S"],
        key=fields["Key"]["S"],
        sha256=fields["SHA256"]["S"],
        size=int(fields["Bytes"]["N"]),
        version_id=fields.get("VersionId", {}).get("S"),
    )


def _redriven_item(redriven_from: RedrivenFrom) -> Item:
    item: Item = {"Place": {"S": redriven_from.place}, "By": {"S": redriven_from.by}}
    if redriven_from.version_id is not None:
        item["VersionId"] = {"S": redriven_from.version_id}
    return item


def _redriven_from(item: Item) -> RedrivenFrom | None:
    if _REDRIVEN_FROM not in item:
        return None
    fields = item[_REDRIVEN_FROM]["M"]
    return RedrivenFrom(
        fields["Place"]["S"], fields.get("VersionId", {}).get("S"), fields["By"]["S"]
    )
