"""What an item's rows say across the streams they come from, and control rows against themselves.

A chain goes on where the stream of one table was switched off and on, and what is missing there is
missing. It begins anew where the table was made anew: its items ended with it, without a record.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from reports.states.lives import Boundary, Crossing, Lives
from reports.verification.continuity import (
    INTEGRITY,
    Finding,
    FindingKind,
    Link,
    Unreadable,
    judge_chain,
)
from reports.verification.row_checks import CheckedRow
from stream_core.attribute_values import Item
from stream_core.change import EventName
from stream_core.control_row import read_control_row
from stream_core.errors import IntegrityError
from stream_core.history_row import ID, SORT_KEY, time_text
from stream_core.item_id import CONTROL_ID

_SECOND_ROW = 2
_WORDS = {
    Boundary.GAP: "the stream was switched off and on in between: what changed meanwhile is not "
    "recorded",
    Boundary.UNCLEAR: "from here on the rows are of another stream: the table was made anew, or "
    "its stream was switched off and on",
}


@dataclass
class StreamGap:
    """The time in which a table had no stream.

    Attributes:
        since: the last stamp of a row before it.
        until: the first stamp of a row after it; None: there is none yet.
    """

    since: datetime
    until: datetime | None

    def narrow(self, other: "StreamGap") -> None:
        """Take the rows of another item into account."""
        self.since = max(self.since, other.since)
        if self.until is None or (other.until is not None and other.until < self.until):
            self.until = other.until

    def finding(self, now: datetime) -> Finding:
        """That changes are missing, of whichever items."""
        return Finding(
            FindingKind.MISSING_CHANGE,
            {ID: {"S": CONTROL_ID}},
            self.since,
            self.until or now,
            None,
            "the stream of the table was switched off and on: changes of that time are missing, "
            "and those that left no trace in any item show nowhere else",
        )


@dataclass
class ItemLives:
    """Where the rows of an item, taken in order, go over from one stream to another.

    Attributes:
        crossings: each with the number of the link that follows, past the last one the live item.
        gaps: the gaps in the stream that the item has lived through, by the streams around each.
        opening: the item's first row, if it is a baseline and not of the second of its INSERT.
    """

    lives: Lives
    crossings: list[tuple[int, Crossing]] = field(default_factory=list)
    gaps: dict[tuple[str, str], StreamGap] = field(default_factory=dict)
    opening: CheckedRow | None = None
    _rows: int = 0
    _previous: tuple[str, datetime] | None = None

    def add(self, row: CheckedRow, links: int) -> None:
        """Take the next row; `links` is how many links there are before its own."""
        self._rows += 1
        if row.link is None or row.stream is None or row.created_at is None:
            return
        event_name = row.link.event_name if isinstance(row.link, Link) else None
        if self._rows == 1 and event_name is EventName.SNAPSHOT:
            self.opening = row
        elif event_name is EventName.INSERT and self._is_in_second_of_opening(row.created_at):
            self.opening = None
        self._cross(row.stream, row.created_at, links)
        self._previous = row.stream, row.created_at

    def end(self, links: int) -> None:
        """Take the live item as what follows the last row."""
        if self.lives.current is not None:
            self._cross(self.lives.current.stream_arn, None, links)

    @property
    def is_unvouched(self) -> bool:
        """Whether nothing tells that the item was there before what its first baseline shows."""
        return self.opening is not None and self.lives.mark(self.opening.stream) is None

    def laundered(self, keys: Item) -> list[Finding]:
        """That a baseline stands for rows that are missing.

        A finished backfill has given a row to every item that was there: one that has none older
        than a later baseline was inserted since, and no row tells.
        """
        opening = self.opening
        if opening is None or opening.created_at is None:
            return []
        mark = self.lives.mark(opening.stream)
        if mark is None or opening.created_at <= mark.finished:
            return []
        return [
            Finding(
                FindingKind.MISSING_INSERT,
                keys,
                mark.started,
                opening.created_at,
                opening.sort_key,
                "it begins with a baseline, and the backfill that began at "
                f"{time_text(mark.started)} had given a row to every item that was there",
            )
        ]

    def judge(
        self,
        keys: Item,
        links: Sequence[Link | Unreadable],
        judge_last: Callable[[Sequence[Link | Unreadable]], list[Finding]],
    ) -> list[Finding]:
        """What is wrong with the links, each life of the item by itself.

        Args:
            keys: the item's key.
            links: all of them.
            judge_last: what is wrong with those of its last life, the live item considered.
        """
        ends = [at for at, crossing in self.crossings if crossing.boundary is Boundary.OTHER_TABLE]
        places = [0, *ends]
        findings = [
            finding
            for start, end in pairwise(places)
            if start < end
            for finding in judge_chain(keys, links[start:end])
        ]
        findings += judge_last(links[places[-1] :])
        return [self._explained(finding, links) for finding in findings]

    def _is_in_second_of_opening(self, created_at: datetime) -> bool:
        """A baseline is stamped with its second, and sorts before the changes that it shows."""
        opening = self.opening
        return (
            opening is not None
            and self._rows == _SECOND_ROW
            and opening.created_at == created_at.replace(microsecond=0)
        )

    def _explained(self, finding: Finding, links: Sequence[Link | Unreadable]) -> Finding:
        if finding.kind in INTEGRITY:
            return finding
        for at, crossing in self.crossings:
            shown_at = links[min(at, len(links) - 1)].sort_key
            is_there = (finding.kind is FindingKind.HEAD_MISMATCH) is (at == len(links))
            words = _WORDS.get(crossing.boundary)
            if words and is_there and finding.sort_key == shown_at:
                return replace(finding, detail=f"{finding.detail}; {words}")
        return finding

    def _cross(self, stream: str, created_at: datetime | None, links: int) -> None:
        if self._previous is None:
            return
        crossing = self.lives.crossing(*self._previous, stream)
        if crossing is None:
            return
        self.crossings.append((links, crossing))
        if crossing.boundary is Boundary.GAP:
            arn, since = self._previous
            self.gaps[arn, stream] = StreamGap(since, created_at)


def altered_controls(items: Iterable[Item]) -> list[Finding]:
    """What is wrong with control rows; an altered one is believed by nothing."""
    findings: list[Finding] = []
    for item in items:
        try:
            read_control_row(item)
        except IntegrityError as error:
            sort_key = item[SORT_KEY]["S"]
            findings.append(
                Finding(
                    *(FindingKind.DIGEST_MISMATCH, {ID: item[ID]}, None, None, sort_key),
                    detail=str(error),
                )
            )
    return findings
