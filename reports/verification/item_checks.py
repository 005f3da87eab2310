"""One item's whole history held against itself and against the live item."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from more_itertools import chunked

from reports.access.row_reader import RowReader
from reports.states.differences import change_text
from reports.states.provenance import CLOCK_TOLERANCE
from reports.states.row_states import state_before
from reports.verification.continuity import (
    MISSING,
    Finding,
    FindingKind,
    Head,
    Link,
    StateDigest,
    Unreadable,
    judge_chain,
)
from reports.verification.lives import ItemLives, StreamGap
from reports.verification.row_checks import CheckedRow, RowChecks
from stream_core.attribute_values import Item
from stream_core.errors import IntegrityError
from stream_core.history_row import ID, HistoryRow

# The rows on both sides of a finding are read once more, with images of up to 400 KB.
_FINDINGS_A_CALL = 5
# Lambda quotas: the longest invocation. Rows of one batch are written side by side, so that a
# later one may be there before an earlier one for as long.
_STILL_WRITING = timedelta(minutes=15)


@dataclass(frozen=True)
class Subject:
    """An item to look at; its key may be known from its rows only."""

    identifier: str
    keys: Item | None = None


@dataclass(frozen=True)
class LiveSighting:
    """The live item as it was read once, after the row that was the last one then.

    The history may lag behind it. Reading the item again would only ask for a later row, and of
    an item that is written all the time never one that is there: it is this state that has to
    show up among the rows.
    """

    state: StateDigest
    last_sort_key: str

    def is_recorded_in(self, links: Sequence[Link | Unreadable]) -> bool:
        """Whether a row from the last one of then on left the state, or may have left it."""
        return any(
            isinstance(link, Unreadable) or link.after == self.state
            for link in links
            if link.sort_key >= self.last_sort_key
        )


@dataclass
class ItemReport:
    """What was found of one item.

    Attributes:
        subject: the item, with its key if a row shows it.
        at: when it was looked at.
        refusals: what S3 said where overflow objects may not be read, by row.
        shards: how many partitions an hour has at least, by the buckets of the rows.
        streams: where its rows come from, as far as they were made since the source table was.
        early: for every stream the rows that are stamped before that, as a finding. It counts if
            the stream is one of the table that there is now, and not of an earlier one.
        gaps: times without a stream that the item has lived through, by the streams around each.
        is_unvouched: whether it begins with a baseline that no finished backfill vouches for.
        sighting: the live item, None where it was not looked at.
    """

    subject: Subject
    at: datetime
    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    overflow_objects: int = 0
    refusals: list[str] = field(default_factory=list)
    shards: int = 1
    streams: set[str] = field(default_factory=set)
    early: dict[str, Finding] = field(default_factory=dict)
    gaps: dict[tuple[str, str], StreamGap] = field(default_factory=dict)
    is_unvouched: bool = False
    sighting: LiveSighting | None = None

    def may_pass(self) -> bool:
        """Whether something was found that a row on its way would explain."""
        return any(
            finding.kind in MISSING
            and (finding.until is None or finding.until > self.at - _STILL_WRITING)
            for finding in self.findings
        )


@dataclass(frozen=True)
class ItemChecks:
    """Looks at items one by one."""

    reader: RowReader

    def examine(
        self, subject: Subject, now: datetime, sighting: LiveSighting | None = None
    ) -> ItemReport:
        """Read all of an item's rows, and then the live item unless it was sighted before.

        Args:
            subject: the item.
            now: rows stamped later are from the future.
            sighting: the live item as it was read before.
        """
        has_source = self.reader.source_table is not None
        schema = self.reader.key_schema if has_source else None
        checks = RowChecks(
            self.reader.load, subject.identifier, schema, self.reader.provenance, now
        )
        report = ItemReport(subject, now, sighting=sighting)
        lives = ItemLives(self.reader.lives)
        links, faulty, early = _read_rows(self.reader, checks, report, lives)
        keys = report.subject.keys
        if report.sighting is None and has_source and keys is not None:
            state = checks.state_of(self.reader.live(keys))
            report.sighting = LiveSighting(state, links[-1].sort_key if links else "")
        # Where nothing else is known of the item, what names it is what it is stored under.
        shown_as = {ID: {"S": subject.identifier}} if keys is None else keys
        report.findings = [
            Finding(
                kind, shown_as, row.created_at, row.created_at, row.sort_key, "; ".join(details)
            )
            for row in faulty
            for kind, details in row.faults.items()
        ]
        lives.end(len(links))
        missing = lives.laundered(shown_as)
        missing += lives.judge(
            shown_as, links, lambda last: _judge(shown_as, last, report.sighting)
        )
        report.findings += self._with_changes(report, missing)
        report.gaps, report.is_unvouched = lives.gaps, lives.is_unvouched
        report.early = {stream: _too_early(shown_as, rows) for stream, rows in early.items()}
        return report

    def _with_changes(self, report: ItemReport, findings: list[Finding]) -> Iterator[Finding]:
        """The findings with what is missing, from the rows around it and the live item."""
        identifier, keys = report.subject.identifier, report.subject.keys or {}
        for group in chunked(findings, _FINDINGS_A_CALL):
            rows = self._rows_around(identifier, group)
            for finding in group:
                if finding.kind is FindingKind.ORDER or rows is None:
                    yield finding
                    continue
                before, after = rows.get(finding.follows), rows.get(finding.sort_key)
                old = None if before is None else before.change.new_image
                # The last row, or none, is what the live item is held against.
                if after is None or after is before:
                    new = self.reader.live(keys)
                else:
                    new = state_before(after)
                yield replace(finding, missing=change_text(old, new, keys))

    def _rows_around(
        self, identifier: str, findings: list[Finding]
    ) -> dict[str | None, HistoryRow] | None:
        """Rows next to findings by sort key; None where one was altered since it was read."""
        places = {place for finding in findings for place in (finding.follows, finding.sort_key)}
        keys = [(identifier, place) for place in places if place is not None]
        try:
            return {row.sort_key: row for row in self.reader.fetch(keys)} if keys else {}
        except IntegrityError:
            return None


def _read_rows(
    reader: RowReader, checks: RowChecks, report: ItemReport, lives: ItemLives
) -> tuple[list[Link | Unreadable], list[CheckedRow], dict[str, tuple[CheckedRow, CheckedRow]]]:
    """The item's chain, the rows that something is wrong with, and the first and last early ones.

    The rest is counted.
    """
    links: list[Link | Unreadable] = []
    faulty: list[CheckedRow] = []
    early: dict[str, tuple[CheckedRow, CheckedRow]] = {}
    born = None if reader.source is None else reader.source.created_at - CLOCK_TOLERANCE
    for item in stored_rows(reader, report.subject.identifier):
        row = checks.check(item)
        report.rows += 1
        report.overflow_objects += row.has_overflow
        lives.add(row, len(links))
        if row.link is not None:
            links.append(row.link)
        if row.faults:
            faulty.append(row)
        if row.refusal is not None:
            report.refusals.append(row.refusal)
        if row.stream is not None and row.created_at is not None and born is not None:
            if row.created_at >= born:
                report.streams.add(row.stream)
            else:
                first, _ = early.get(row.stream, (row, row))
                early[row.stream] = first, row
        if report.subject.keys is None and row.keys is not None:
            report.subject = replace(report.subject, keys=row.keys)
    report.shards = checks.shards
    return links, faulty, early


def _too_early(keys: Item, rows: tuple[CheckedRow, CheckedRow]) -> Finding:
    first, last = rows
    return Finding(
        FindingKind.FOREIGN,
        keys,
        first.created_at,
        last.created_at,
        first.sort_key,
        "it is stamped before the source table was made"
        + ("" if first is last else f", and so are others up to {last.sort_key}"),
    )


def _judge(
    keys: Item, links: Sequence[Link | Unreadable], sighting: LiveSighting | None
) -> list[Finding]:
    if sighting is None:
        return judge_chain(keys, links)
    if not links:
        return [] if sighting.state is None else [_unrecorded(keys)]
    if sighting.is_recorded_in(links) and not _leaves(links[-1], sighting.state):
        # The item was changed again since it was read: where the rows end now is not known.
        return judge_chain(keys, links)
    return judge_chain(keys, links, Head(sighting.state))


def _leaves(last: Link | Unreadable, state: StateDigest) -> bool:
    return isinstance(last, Link) and last.after == state


def _unrecorded(keys: Item) -> Finding:
    return Finding(
        FindingKind.MISSING_START,
        keys,
        since=None,
        until=None,
        sort_key=None,
        detail="live, but nothing is recorded of it: backfill, or declare it",
    )


def stored_rows(reader: RowReader, identifier: str) -> Iterator[Item]:
    """All rows under an `Id` as they stand, whatever their sort keys are.

    A bound on the sort key, as questions set it, would pass over a row whose key is no time.
    """
    pages = reader.dynamodb.get_paginator("query").paginate(
        TableName=reader.history_table,
        KeyConditionExpression="#id = :id",
        ExpressionAttributeNames={"#id": ID},
        ExpressionAttributeValues={":id": {"S": identifier}},
        ConsistentRead=True,
    )
    for page in pages:
        yield from page["Items"]
