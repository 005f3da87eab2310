"""Reading history rows and live items: queries, overflow objects, digests; no judgement."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ParamValidationError

from reports.access.by_time import ByTime
from reports.access.faulty_rows import RowFault, faulty_row, marked
from reports.access.machine import Machine
from reports.access.neighbours import by_number
from reports.access.overflow import REFUSED, overflow_body
from reports.access.service_date import date_of
from reports.access.table_description import TableDescription, describe, require_history
from reports.errors import ForeignRowError, ReportError
from reports.inputs.keys import KeySchema
from reports.states.evidence import Evidence
from reports.states.lives import Lives, is_another_stream
from reports.states.provenance import Provenance
from reports.states.watermark import PROVE, Basis, NoWatermark, Watermark
from stream_core.announcement import OWN_PREFIX
from stream_core.attribute_values import Item, same_item
from stream_core.change import EventName
from stream_core.control_row import ControlRow, TableLife, intact_control_rows
from stream_core.errors import IntegrityError, MalformedRecordError
from stream_core.history_row import ID, SORT_KEY, HistoryRow, sort_key_after
from stream_core.item_id import CONTROL_ID, item_id
from stream_core.overflow_object import unpack
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

# API reference, BatchGetItem.
MOST_A_CALL = 100
_GIVE_UP_AFTER_S = 60
# Control rows may come first, and there are a few of them.
_A_FEW = 10


class RowReader:
    """Reads a history table, its index, its overflow bucket, and the source if there is one."""

    def __init__(  # noqa: PLR0913 - what there is to read, and what is known of it
        self,
        dynamodb: "DynamoDBClient",
        s3: "S3Client",
        history_table: str,
        source_table: str | None,
        time_shards: int | None = None,
        *,
        overflow_bucket: str | None = None,
        find_watermark: Callable[[], Watermark | NoWatermark] = NoWatermark,
        basis: Basis | None = None,
        strict: bool = True,
    ) -> None:
        """Read with these clients; nothing is sent yet.

        Args:
            dynamodb: the client for both tables.
            s3: the client for the overflow bucket.
            history_table: the history's name.
            source_table: the name of the table that it is of; None: it is not read.
            time_shards: partitions an hour of the index `ByTime`; see `ByTime`.
            overflow_bucket: the only one that rows point into, where that is known.
            find_watermark: finds out up to when the history is complete; called only when that
                is asked.
            basis: `compared`: a kept proof tells that, and nothing else does.
            strict: raise at a row that is not what was written; else it is marked with its
                fault, kept among `faults`, and the reading goes on.
        """
        self.dynamodb = dynamodb
        self._s3 = s3
        self.history_table = history_table
        self.source_table = source_table
        self.overflow_bucket = overflow_bucket
        self.by_time = ByTime(dynamodb, history_table, time_shards)
        self.find_watermark = self._proven if basis is Basis.COMPARED else find_watermark
        self._strict = strict
        self.faults: dict[tuple[str, str], RowFault] = {}

    @cached_property
    def watermark(self) -> Watermark | NoWatermark:
        """Up to when the history is complete, for rows that are read after this was asked."""
        return self.find_watermark()

    def watermark_at(self, moment: datetime) -> Watermark | NoWatermark:
        """The same; where it does not cover a moment, a kept proof that does."""
        if not self.watermark.covers(moment):
            proven = self.lives.proven
            if proven is not None and proven.covers(moment):
                return proven
        return self.watermark

    def _proven(self) -> Watermark | NoWatermark:
        # Whoever waits for a later one asks again.
        vars(self).pop("lives", None)
        unproven = f"no proof is kept of the table's present stream: {PROVE} keeps one"
        return self.lives.proven or NoWatermark(unproven)

    @cached_property
    def source(self) -> TableDescription | None:
        """The source table, None where none was given.

        Raises:
            TableNotFoundError: there is no such table.
        """
        return None if self.source_table is None else describe(self.dynamodb, self.source_table)

    @cached_property
    def provenance(self) -> Provenance:
        """What rows of this history have to be of."""
        source = self.source
        table = None if source is None else source.arn or source.name
        return Provenance(table, self.overflow_bucket)

    @cached_property
    def current_life(self) -> TableLife | None:
        """The stream of the source table, with its table; None where there is none."""
        source = self.source
        if source is None or source.stream_arn is None:
            return None
        return TableLife(source.stream_arn, source.table_id, source.created_at)

    @cached_property
    def lives(self) -> Lives:
        """Which table each stream is of, and which finished backfills vouch for its rows.

        To be asked before the rows that it is about: a mark speaks of what was there before it.
        """
        return Lives.read(self.control_rows(), self.current_life)

    @cached_property
    def key_schema(self) -> KeySchema:
        """The source table's key: from the table or, without it, from a history row.

        Raises:
            TableNotFoundError: there is no such table.
            ReportError: the history is empty and there is no source table to ask.
        """
        # Every question starts here: a wrong history table must not pass for an empty one.
        _ = self.horizon
        if self.source is not None:
            return self.source.key_schema
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.history_table, PaginationConfig={"PageSize": _A_FEW}
        )
        for item in chain.from_iterable(page["Items"] for page in pages):
            if item[ID]["S"] != CONTROL_ID:
                with suppress(IntegrityError):
                    return KeySchema.of_keys(HistoryRow.from_item(item).change.keys)
        raise ReportError(
            f"the history table '{self.history_table}' is empty, or no row of it can be read: name "
            "the source table too, so that its keys are known"
        )

    @cached_property
    def horizon(self) -> datetime:
        """When the history began, UTC: nothing earlier was recorded.

        Raises:
            TableNotFoundError: there is no such table, or it is no history table.
        """
        table = describe(self.dynamodb, self.history_table)
        require_history(table)
        return table.created_at

    def items(
        self,
        identifier: str,
        *,
        after: str = " ",
        until: str = "~",
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """The stored rows of an item in order, page by page, as they stand.

        Args:
            identifier: the item's `Id`.
            after: only rows whose sort key is greater.
            until: only rows whose sort key is not greater.
            newest_first: from the last row to the first.
            limit: read no more rows than this.
        """
        # A condition on a sort key takes one range, both ends included; no row has `after` itself
        # as its key plus something smaller than a space.
        first = f"{after} "
        if first > until:
            # DynamoDB refuses a range that ends before it starts; others answer with nothing.
            return
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.history_table,
            KeyConditionExpression="#id = :id AND #time BETWEEN :after AND :until",
            ExpressionAttributeNames={"#id": ID, "#time": SORT_KEY},
            ExpressionAttributeValues={
                ":id": {"S": identifier},
                ":after": {"S": first},
                ":until": {"S": until},
            },
            ScanIndexForward=not newest_first,
            ConsistentRead=True,
            PaginationConfig={} if limit is None else {"MaxItems": limit, "PageSize": limit},
        )
        for page in pages:
            yield from page["Items"]

    def rows(
        self, identifier: str, *, after: str = " ", until: str = "~", newest_first: bool = False
    ) -> Iterator[HistoryRow]:
        """The rows of an item in order; arguments as for `items`.

        Raises:
            IntegrityError: see `read`.
        """
        for item in self.items(identifier, after=after, until=until, newest_first=newest_first):
            yield self.read(item)

    def control_items(self, after: str = " ", until: str = "~") -> Iterator[Item]:
        """The stored control rows as they stand, in order; arguments as for `items`."""
        return self.items(CONTROL_ID, after=after, until=until)

    def control_rows(self, after: str = " ", until: str = OWN_PREFIX) -> list[ControlRow]:
        """What the history says of itself, as far as it was not altered; `verify` reports that.

        Of our own writes, which are announced by very many rows, it says so where it is asked.
        """
        return intact_control_rows(self.control_items(after, until))

    def fetch(self, keys: Sequence[tuple[str, str]]) -> list[HistoryRow]:
        """At most 100 rows by `Id` and sort key, in the order given.

        Raises:
            IntegrityError: a row is gone, or see `read`.
            ReportError: the table did not give all of them within a minute.
        """
        rows: dict[tuple[str, str], HistoryRow] = {}

        def attempt(wanted: list[Item]) -> list[Item]:
            request: Any = {self.history_table: {"Keys": wanted, "ConsistentRead": True}}
            answer = self.dynamodb.batch_get_item(RequestItems=request)
            for item in answer["Responses"].get(self.history_table, []):
                row = self.read(item)
                rows[row.id, row.sort_key] = row
            unprocessed: Any = answer.get("UnprocessedKeys", {}).get(self.history_table)
            return list(unprocessed["Keys"]) if unprocessed else []

        wanted: list[Item] = [
            {ID: {"S": identifier}, SORT_KEY: {"S": key}} for identifier, key in dict.fromkeys(keys)
        ]
        if Machine().patience(_GIVE_UP_AFTER_S).work_off(wanted, attempt):
            raise ReportError(
                f"'{self.history_table}' is throttled: try again later, or raise its capacity"
            )
        for identifier, key in keys:
            if (identifier, key) not in rows:
                stored = {ID: {"S": identifier}, SORT_KEY: {"S": key}}
                fault = f"the history row {key} is in the index and not in the table"
                rows[identifier, key] = self._noted(faulty_row(stored, fault, self._schema))
        return [rows[key] for key in keys]

    def newest_until(self, identifier: str, at: datetime) -> HistoryRow | None:
        """The newest row stamped at or before an instant; reads one row."""
        rows = self.items(identifier, until=sort_key_after(at), newest_first=True, limit=1)
        return next(map(self.read, rows), None)

    def oldest_after(self, identifier: str, at: datetime) -> HistoryRow | None:
        """The oldest row stamped after an instant; reads one row.

        A baseline shows some moment of its second: where there is one, a second row is read, and
        a change of the same second, whose OldImage is the state before all of it, goes first.
        """
        row = next(map(self.read, self.items(identifier, after=sort_key_after(at), limit=1)), None)
        if row is None or row.change.event_name is not EventName.SNAPSHOT:
            return row
        within = sort_key_after(row.change.created_at)
        following = self.items(identifier, after=row.sort_key, until=within, limit=1)
        return next(map(self.read, following), row)

    def live(self, keys: Item) -> Item | None:
        """The item in the source table now, read consistently."""
        return self._dated_live(keys)[0]

    def _dated_live(self, keys: Item) -> tuple[Item | None, datetime | None]:
        """The same, and when the service answered, where it says so."""
        if self.source_table is None:
            raise ReportError("no source table was given")
        answer = self.dynamodb.get_item(TableName=self.source_table, Key=keys, ConsistentRead=True)
        return answer.get("Item"), date_of(answer)

    def evidence(self, keys: Item, at: datetime, now: datetime) -> Evidence:
        """What is known of an item around an instant: two rows, the live item if it matters.

        The present, `at` as `now`, is when the live item was read, by the service's clock.
        """
        identifier = item_id(keys)
        # Before the rows: one that is stored meanwhile must not count as read.
        watermark = self.watermark if at == now else self.watermark_at(at)
        before = self.newest_until(identifier, at)
        after = self.oldest_after(identifier, at)
        lives = self._lives_around(before, after)
        if lives is None:
            # A mark vouches for rows that are read after it.
            _ = self.lives
            return self.evidence(keys, at, now)
        live_was_read, live = False, None
        if (after is None or at == now) and self.source_table is not None:
            live_was_read, (live, read_at) = True, self._dated_live(keys)
            if at == now and read_at is not None:
                at = now = read_at
                if after is not None and after.change.created_at <= at:
                    before = self.newest_until(identifier, at)
                    after = self.oldest_after(identifier, at)
            if not same_item(live, before.change.new_image if before else None):
                # The item may have changed between the reads: ask for the row once more.
                after = self.oldest_after(identifier, at)
        evidence = Evidence(
            *(keys, at, now, self.horizon, before, after, live_was_read, live, watermark),
            lives=lives,
            provenance=self.provenance,
        )
        return evidence if evidence.fits else by_number(self, identifier, evidence)

    def _lives_around(self, before: HistoryRow | None, after: HistoryRow | None) -> Lives | None:
        """What is to be known of the streams around an instant; None: it has to be read first.

        Nothing, where a row before it and what follows are of one stream.
        """
        if "lives" in vars(self):
            return self.lives
        current = self.current_life
        later = after.change.event_source_arn if after else current and current.stream_arn
        if before is None or is_another_stream(before.change.event_source_arn, later or ""):
            return None
        return Lives(current)

    def load(self, item: Item) -> HistoryRow:
        """A stored row with its images, its digest checked.

        Raises:
            IntegrityError: the row, or an overflow object it points to, is not what was written.
        """
        row = self._with_images(HistoryRow.from_item(item))
        row.check()
        return row

    def read(self, item: Item) -> HistoryRow:
        """The same; a row that is not what was written is marked, unless reading is strict.

        So is one of another table: it was not written to this history.

        Raises:
            IntegrityError: it is strict, and the row, or an overflow object it points to, is not
                what was written, or the row is of another table.
        """
        row: HistoryRow | None = None
        try:
            row = HistoryRow.from_item(item)
            row = self._with_images(row)
            row.check()
        except (IntegrityError, MalformedRecordError, ParamValidationError) as error:
            fault = " ".join(str(error).split())
        except ClientError as error:
            if error_code(error) not in REFUSED:
                raise
            fault = f"the overflow object of the history row may not be read: {error_code(error)}"
        else:
            foreign = self.provenance.other_table_fault(row)
            return row if foreign is None else self._noted(marked(row, foreign, self._schema))
        if row is None:
            return self._noted(faulty_row(item, fault, self._schema))
        return self._noted(marked(row, fault, self._schema))

    def _with_images(self, row: HistoryRow) -> HistoryRow:
        if row.overflow is None:
            return row
        owner = f" of the history row {row.sort_key}"
        body = overflow_body(self._s3, row.overflow, owner)
        return row.with_images(*unpack(row.overflow, body))

    def _noted(self, row: HistoryRow) -> HistoryRow:
        """A row with a fault, kept in mind; where reading is strict it ends here."""
        is_foreign = self.provenance.other_table(row) is not None
        fault = RowFault(row.change.keys, row.sort_key, str(row.fault), is_foreign)
        if self._strict:
            kind = ForeignRowError if is_foreign else IntegrityError
            raise kind(f"{fault.fault}: {fault.advice} says more")
        self.faults[row.id, row.sort_key] = fault
        return row

    @property
    def _schema(self) -> KeySchema | None:
        """The key where it was asked for before: a row has to do without it."""
        schema: KeySchema | None = self.__dict__.get("key_schema")
        return schema
