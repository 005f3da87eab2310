"""What was kept aside, read and judged record by record, before anything of it is delivered."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from more_itertools import map_reduce

from operations.redrive.bucket import FailureObject
from operations.redrive.delivery import Cause, Undelivered
from operations.redrive.evidence import StreamEvidence
from operations.redrive.objects import (
    FailedBatch,
    StreamRange,
    UnreadableObjectError,
    owners_of,
    read_batches,
)
from operations.redrive.stream_reader import Refetched, StreamReader, StreamUnreadableError
from reports.access.machine import Machine
from reports.access.table_description import TableDescription
from reports.deployment.stack import Consumer
from reports.inputs.keys import KeySchema
from reports.states.provenance import Provenance
from stream_core.attribute_values import read_item
from stream_core.batch import Delivery
from stream_core.change import Change, StreamRecord, read_record, read_sequence_number
from stream_core.errors import ItemtrailError, MalformedRecordError, ViewTypeError
from stream_core.history_row import RedrivenFrom
from stream_core.item_id import item_id, key_digest


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that stays where it is, and why.

    Attributes:
        where: the key of the object, or the path of the file, that it is in.
        reason: in words, without item data; more is in the object itself.
        consumer: who could not take it; None where no consumer was asked.
        sequence_number: of the record; None where it has none, or where it is no single record.
        key_digest: of the record's item, as in the logs; None where its key cannot be read.
    """

    where: str
    why: Cause
    reason: str
    consumer: Consumer | None = None
    sequence_number: str | None = None
    key_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Part of a stream that has expired.

    Attributes:
        where: the key of the object, or the path of the file, that names it.
        found: how many of its records the stream still has; those are redriven.
        reason: what is missing, in words.
    """

    where: str
    place: StreamRange
    remaining: int
    reason: str


@dataclass
class Load:
    """One object or file, and what is in it.

    Attributes:
        source: the object to be put away; None where it is a file.
        deliveries: the records that can be read, and who is to take each.
        size: bytes of it.
    """

    where: str
    source: FailureObject | None
    size: int
    deliveries: list[tuple[Delivery, frozenset[Consumer]]] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

    @property
    def is_finished_with(self) -> bool:
        """Whether nothing of it is left to be done, provided that all deliveries are made."""
        return not self.leftovers and not self.lost

    def leave(self, why: Cause, reason: str) -> None:
        """Note that something in it, though no single record, stays."""
        self.leftovers.append(Leftover(self.where, why, reason))

    def leave_record(
        self, record: StreamRecord, undelivered: Undelivered, consumer: Consumer | None = None
    ) -> None:
        """Note that a record stays."""
        self.leftovers.append(
            Leftover(
                self.where,
                undelivered.why,
                undelivered.reason,
                consumer,
                _sequence_number(record),
                _key_digest(record),
            )
        )


@dataclass(frozen=True)
class Unpacker:
    """Reads what is in objects and files, for some consumers.

    Attributes:
        source: the table that is followed.
        streams: the stream of it that is followed, and an older one where that was named; records
            of any other are left alone, and it is not asked for them.
        consumers: those to redrive for.
        deployed: those that follow the stream.
        names: consumers by the UUIDs of their mappings and the names of their functions.
        stream: finds the records of those batches that are only named.
        machine: tells the time, where the stream does not.
        bucket: the bucket that objects are in.
        who: says who brings records back.
    """

    source: TableDescription
    streams: Sequence[str]
    consumers: Collection[Consumer]
    deployed: Collection[Consumer]
    names: Mapping[str, Consumer]
    stream: StreamReader
    machine: Machine
    bucket: str | None
    who: Callable[[], str]
    _evidence: dict[str, StreamEvidence] = field(default_factory=dict)

    def concerns(self, key: str) -> bool:
        """Whether an object can be for one of the consumers, as far as its key tells."""
        return bool(owners_of(key, None, self.names) & frozenset(self.consumers))

    def unpack(self, load: Load, body: bytes) -> bool:
        """Fill a load from what it is; whether anything in it is for one of the consumers."""
        try:
            batches = read_batches(body)
        except UnreadableObjectError as error:
            load.leave(Cause.UNREADABLE, str(error))
            return True
        wanted = [batch for batch in batches if self._takers(load, batch)]
        for batch in wanted:
            self._unpack(load, batch)
        if not wanted or len(wanted) == len(batches):
            return bool(wanted)
        load.leave(Cause.OWNER, "some of it is for the other consumer: redrive both")
        return True

    def _owners(self, load: Load, batch: FailedBatch) -> frozenset[Consumer]:
        key = load.where if load.source is not None else ""
        owners = owners_of(key, batch.function, self.names)
        # What may be of either is of the one that there is, or it would stay for ever.
        return owners & frozenset(self.deployed) or owners

    def _takers(self, load: Load, batch: FailedBatch) -> frozenset[Consumer]:
        return self._owners(load, batch) & frozenset(self.consumers)

    def _unpack(self, load: Load, batch: FailedBatch) -> None:
        takers = self._takers(load, batch)
        if takers != self._owners(load, batch):
            load.leave(Cause.OWNER, "it does not say whose it is: redrive both")
        if batch.short_by:
            load.leave(Cause.SHORT, f"its batch had {batch.short_by} records more than it holds")
        if batch.place is None:
            self._read(load, batch.records, None, takers)
            return
        refetched = self._refetch(load, batch.place)
        if refetched is not None:
            self._read(load, refetched.records, batch.place.stream_arn, takers)

    def _refetch(self, load: Load, place: StreamRange) -> Refetched | None:
        if (why := self._foreign(place.stream_arn)) is not None:
            load.leave(Cause.FOREIGN, why)
            return None
        try:
            refetched = self.stream.refetch(place)
        except StreamUnreadableError as error:
            load.leave(Cause.UNREADABLE, str(error))
            return None
        if refetched.missing is not None:
            remaining = len(refetched.records)
            load.lost.append(Lost(load.where, place, remaining, refetched.missing))
        return refetched

    def _read(
        self,
        load: Load,
        records: Collection[StreamRecord],
        stream_arn: str | None,
        takers: frozenset[Consumer],
    ) -> None:
        if load.source is None and stream_arn is None:
            records = list(map(self._with_stream, records))
        readable: list[Delivery] = []
        for record in records:
            change = self._change(record, stream_arn)
            if isinstance(change, Undelivered):
                load.leave_record(record, change)
            else:
                readable.append(Delivery(record, change))
        # What is settled is read from the source: nobody's word is taken for it.
        if stream_arn is None and Consumer.HISTORY_WRITER in takers:
            readable = list(self._believed(load, readable))
        load.deliveries += [(delivery, takers) for delivery in readable]

    def _believed(self, load: Load, deliveries: list[Delivery]) -> Iterator[Delivery]:
        """Records that the stream vouches for, and those too old for that, marked as such."""
        for arn, group in map_reduce(
            deliveries, lambda delivery: delivery.change.event_source_arn
        ).items():
            evidence = self._evidence.setdefault(
                arn, StreamEvidence(self.stream, arn, self.machine)
            )
            verdicts = evidence.judge([delivery.change for delivery in group])
            for delivery, verdict in zip(group, verdicts, strict=True):
                if isinstance(verdict, Undelivered):
                    load.leave_record(delivery.record, verdict, Consumer.HISTORY_WRITER)
                else:
                    yield delivery if verdict else self._marked(load, delivery)

    def _marked(self, load: Load, delivery: Delivery) -> Delivery:
        place, version_id = Path(load.where).name, None
        if load.source is not None:
            place, version_id = f"s3://{self.bucket}/{load.source.key}", load.source.version_id
        return replace(delivery, redriven_from=RedrivenFrom(place, version_id, self.who()))

    def _with_stream(self, record: Any) -> Any:
        """A record as `get-records` prints it, without its stream and with its time as text.

        Who gives the file says which stream it is of; a record with another key than the table's
        stays as it is, and is refused for want of a stream.
        """
        body = record.get("dynamodb") if isinstance(record, dict) else None
        if not isinstance(body, dict) or "eventSourceARN" in record or not self._fits_source(body):
            return record
        time = body.get("ApproximateCreationDateTime")
        body = {**body, "ApproximateCreationDateTime": _seconds(time)}
        return {**record, "eventSourceARN": self.streams[-1], "dynamodb": body}

    def _fits_source(self, body: Mapping[str, Any]) -> bool:
        try:
            keys = read_item(body.get("Keys"))
        except MalformedRecordError:
            return False
        return KeySchema.of_keys(keys).types == self.source.key_schema.types

    def _change(self, record: StreamRecord, stream_arn: str | None) -> Change | Undelivered:
        try:
            change = read_record(record, stream_arn)
        except MalformedRecordError as error:
            return Undelivered(Cause.MALFORMED, str(error))
        except ViewTypeError as error:
            return Undelivered(Cause.VIEW_TYPE, str(error))
        if (why := self._foreign(change.event_source_arn)) is not None:
            return Undelivered(Cause.FOREIGN, why)
        return change

    def _foreign(self, stream_arn: str) -> str | None:
        """Why a stream is not to be asked, nor its records to be brought back; None: it may."""
        if stream_arn in self.streams:
            return None
        if Provenance(self.source.arn or self.source.name).is_followed(stream_arn):
            return f"it is of another stream of {self.source.name}: give that by --stream-arn"
        return f"its stream is not of {self.source.arn or self.source.name}"


def _seconds(time: object) -> object:
    """A time that is written out, in seconds; anything else as it is."""
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else None
    except ValueError:
        return time
    return moment.timestamp() if moment is not None and moment.tzinfo is not None else time


def _sequence_number(record: StreamRecord) -> str | None:
    try:
        return read_sequence_number(record)
    except ItemtrailError:
        return None


def _key_digest(record: Any) -> str | None:
    match record:
        case {"dynamodb": {"Keys": keys}}:
            try:
                return key_digest(item_id(read_item(keys)))
            except ItemtrailError:
                return None
    return None
