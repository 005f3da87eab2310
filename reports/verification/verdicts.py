"""What was found of all items, and the two verdicts on it. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reports.access.table_description import TableDescription
from reports.inputs.keys import key_text
from reports.states.watermark import NoWatermark, Watermark
from reports.verification.continuity import (
    INTEGRITY,
    MISSING,
    TO_KNOW,
    Finding,
    FindingKind,
)
from reports.verification.gaps import Gap, declare
from reports.verification.item_checks import ItemReport
from reports.verification.lives import StreamGap
from stream_core.attribute_values import Item
from stream_core.history_row import ID, time_text
from stream_core.item_id import CONTROL_ID

_NAMED_IN_A_NOTE = 5


class Verdict(StrEnum):
    """What can be said of the history as a whole."""

    HOLDS = "holds"
    BROKEN = "broken"
    """Something is wrong, and was not declared."""
    UNPROVEN = "unproven"
    """Nothing is known to be wrong, but not everything could be looked at, or nothing was there."""


@dataclass
class Verification:
    """What came of looking.

    Attributes:
        findings: all that is wrong, declared or not, and what is to be known, by item and row.
        items: how many items were looked at.
        rows: how many rows of theirs were read.
        overflow_objects: how many of the rows have their images in the overflow bucket.
        integrity: whether every row is what was written, where it belongs.
        completeness: whether no row is missing.
        notes: what else there is to know, each with what to do.
        watermark: up to when completeness is said: what was changed later may be on its way.
    """

    findings: list[Finding]
    items: int
    rows: int
    overflow_objects: int
    integrity: Verdict
    completeness: Verdict
    notes: list[str]
    watermark: Watermark | NoWatermark = NoWatermark()  # noqa: RUF009 - it is frozen

    @property
    def complete_until(self) -> datetime | None:
        """Up to when completeness is said, UTC; None where that is not known."""
        return self.watermark.at if isinstance(self.watermark, Watermark) else None

    @property
    def declared(self) -> int:
        """How many of the findings are covered by declared gaps."""
        return sum(self._declared_by_verdict().values())

    @property
    def to_know(self) -> int:
        """How many of the findings tell of nothing wrong."""
        return sum(finding.kind in TO_KNOW for finding in self.findings)

    @property
    def verdicts(self) -> dict[str, tuple[Verdict, str]]:
        """Both verdicts by name, with the words for them: `holds, but for 2 declared`."""
        declared = self._declared_by_verdict()
        return {
            "integrity": (self.integrity, _in_words(self.integrity, declared[True])),
            "completeness": (self.completeness, _in_words(self.completeness, declared[False])),
        }

    def _declared_by_verdict(self) -> Counter[bool]:
        return Counter(
            finding.kind in INTEGRITY
            for finding in self.findings
            if finding.declared is not None and finding.kind not in TO_KNOW
        )

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong but what was declared, and everything was looked at."""
        return self.integrity is self.completeness is Verdict.HOLDS and self.is_explained

    @property
    def is_explained(self) -> bool:
        """Whether every finding is declared, or tells of nothing wrong."""
        return all(
            finding.declared is not None or finding.kind in TO_KNOW for finding in self.findings
        )


@dataclass
class VerificationTally:
    """Sums up what was found of items.

    Attributes:
        source: the table whose items were looked at, None if they were not.
        shards: how many partitions an hour has in the index, as far as was said.
        watermark: up to when the history is complete but for what is missing.
    """

    source: TableDescription | None
    shards: int
    watermark: Watermark | NoWatermark
    items: int = 0
    rows: int = 0
    overflow_objects: int = 0
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    streams: set[str] = field(default_factory=set)
    early: list[tuple[str, str, Finding]] = field(default_factory=list)
    shards_seen: int = 1
    unvouched: int = 0
    gaps: dict[tuple[str, str], StreamGap] = field(default_factory=dict)
    looked_at: datetime | None = None
    nowhere: list[Item] = field(default_factory=list)
    index_notes: list[str] = field(default_factory=list)

    def add(self, report: ItemReport) -> None:
        """Count an item in."""
        identifier, keys = report.subject.identifier, report.subject.keys
        is_nowhere = keys is not None and not report.rows and not report.findings
        self.items += not is_nowhere
        self.rows += report.rows
        self.overflow_objects += report.overflow_objects
        self.findings += [(identifier, finding) for finding in report.findings]
        self.refusals.update(report.refusals)
        self.streams |= report.streams
        self.early += [(identifier, stream, finding) for stream, finding in report.early.items()]
        self.unvouched += report.is_unvouched
        for streams, gap in report.gaps.items():
            self.gaps.setdefault(streams, gap).narrow(gap)
        self.looked_at = report.at
        self.shards_seen = max(self.shards_seen, report.shards)
        if keys is not None and is_nowhere:
            self.nowhere.append(keys)

    def conclude(self, gaps: Sequence[Gap], *, whole_table: bool) -> Verification:
        """Put the findings in order and judge them."""
        ordered = sorted(
            [*self.findings, *self._too_early(), *self._stream_gaps()],
            key=lambda entry: (entry[0], entry[1].sort_key or ""),
        )
        findings = declare((finding for _, finding in ordered), gaps)
        on_its_way = [finding for finding in findings if self._may_arrive(finding)]
        undeclared = {
            finding.kind
            for finding in findings
            if finding.declared is None and not self._may_arrive(finding)
        }
        # A verdict on nothing would hold for a history that was wiped, and for a mistyped key.
        unread = bool(self.refusals or self.nowhere or not self.rows or self.index_notes)
        is_blind = (
            bool(self.refusals or self.nowhere or self.unvouched or not self.items or on_its_way)
            or self.source is None
            or FindingKind.DIGEST_MISMATCH in undeclared
        )
        notes = [*self._notes()]
        if on_its_way and isinstance(self.watermark, Watermark):
            notes.append(
                f"{len(on_its_way):,} of the findings may be no gaps: either a change since "
                f"{time_text(self.watermark.at)} is on its way, or it is lost: verify again when "
                f"the watermark has passed {time_text(self.looked_at or self.watermark.at)}"
            )
        if whole_table:
            notes += _unused(gaps, findings)
        return Verification(
            findings,
            self.items,
            self.rows,
            self.overflow_objects,
            integrity=_verdict(is_broken=not undeclared.isdisjoint(INTEGRITY), is_blind=unread),
            completeness=_verdict(is_broken=not undeclared.isdisjoint(MISSING), is_blind=is_blind),
            notes=notes,
            watermark=self.watermark,
        )

    def _notes(self) -> Iterator[str]:
        if not self.items and not self.nowhere:
            yield (
                "there is neither a row nor a live item to look at, which proves nothing: see that "
                "these are the right tables"
            )
        if self.source is None:
            yield (
                "no live item was looked at: name the source table, so that the last row of each "
                "item is held against it"
            )
        for code, count in sorted(self.refusals.items()):
            yield (
                f"{count} overflow objects could not be read ({code}): allow s3:GetObject, "
                "s3:GetObjectVersion and s3:ListBucket on the overflow bucket and verify again"
            )
        yield from self.index_notes
        if self.nowhere:
            nothing = "no row" if self.source is None else "neither a row nor a live item"
            yield (
                f"{nothing} of {_some(map(key_text, self.nowhere))}, which proves nothing: see "
                "that the key is the right one"
            )
        if self.unvouched:
            yield (
                f"{self.unvouched:,} items begin with a baseline, and no finished backfill vouches "
                "that nothing of them is missing before it: run `itemtrail backfill --stack NAME` "
                "to its end"
            )
        if self.shards_seen > self.shards:
            yield (
                f"the index has at least {self.shards_seen} partitions an hour, and not "
                f"{self.shards}: correct --time-shards, or leave it out"
            )

    def _stream_gaps(self) -> Iterator[tuple[str, Finding]]:
        for gap in self.gaps.values():
            yield CONTROL_ID, gap.finding(self.looked_at or gap.since)

    def _may_arrive(self, finding: Finding) -> bool:
        """Whether a change made after the watermark explains a finding: that is no gap yet.

        What is missing was changed before its item was looked at.
        """
        until = finding.until or self.looked_at
        return (
            finding.declared is None
            and finding.kind in MISSING
            and finding.keys != {ID: {"S": CONTROL_ID}}
            and isinstance(self.watermark, Watermark)
            and until is not None
            and not self.watermark.covers(until)
        )

    def _too_early(self) -> Iterator[tuple[str, Finding]]:
        """Rows from before the table was made, but for those of an earlier table of its name."""
        if self.source is not None:
            streams = {*self.streams, self.source.stream_arn}
            for identifier, stream, finding in self.early:
                if stream in streams:
                    yield identifier, finding


def _verdict(*, is_broken: bool, is_blind: bool) -> Verdict:
    if is_broken:
        return Verdict.BROKEN
    return Verdict.UNPROVEN if is_blind else Verdict.HOLDS


def _in_words(verdict: Verdict, declared: int) -> str:
    if verdict is Verdict.HOLDS and declared:
        return f"{verdict}, but for {declared:,} declared"
    return verdict.value


def _unused(gaps: Sequence[Gap], findings: Sequence[Finding]) -> Iterator[str]:
    for gap in gaps:
        if not any(gap.covers(finding) for finding in findings):
            yield f"the declared gap '{gap.cause}' covers nothing that was found: take it out"


def _some(texts: Iterable[str]) -> str:
    names = list(texts)
    more = len(names) - _NAMED_IN_A_NOTE
    return ", ".join(names[:_NAMED_IN_A_NOTE]) + (f" and {more} more" if more > 0 else "")
