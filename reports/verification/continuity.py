"""Whether the rows of one item follow from each other without a gap. Pure.

Each row begins with the state that the row before it left, and the last one leaves the live
item; a put that changes nothing writes no record, so a broken link is a change that is missing, or
a row that was rewritten. What leaves no trace is not found: missing rows that lead from a state
back to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import TypeAlias

from more_itertools import split_after, split_when

from stream_core.attribute_values import Item
from stream_core.change import EventName

StateDigest: TypeAlias = bytes | None
"""A digest that stands for a state of an item; None: there is no item."""


class FindingKind(StrEnum):
    """What is wrong with a row, or between two rows."""

    MISSING_CHANGE = "MISSING_CHANGE"
    """The item was changed in between, and no row tells how."""
    MISSING_START = "MISSING_START"
    """The item was there before its first row, and no baseline shows it."""
    MISSING_DELETE = "MISSING_DELETE"
    """An item that was there is inserted."""
    MISSING_INSERT = "MISSING_INSERT"
    """An item that was not there is changed or removed."""
    ORDER = "ORDER"
    """The sequence numbers of a stream contradict the order in which the rows are stored."""
    HEAD_MISMATCH = "HEAD_MISMATCH"
    """The last row did not leave the live item."""
    KEY_MISMATCH = "KEY_MISMATCH"
    """A row is not where its content says, so that a question may miss it."""
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    """A row or its overflow object is not what was written, or is gone."""
    FOREIGN = "FOREIGN"
    """No stream of the followed table can have told of a row."""
    BACKDATED = "BACKDATED"
    """A row was written long after the change that it records, and by no run that is known."""
    REDRIVEN = "REDRIVEN"
    """A row was made of what was kept aside, when no stream had its record any more."""


INTEGRITY = frozenset(
    {
        FindingKind.KEY_MISMATCH,
        FindingKind.DIGEST_MISMATCH,
        FindingKind.FOREIGN,
        FindingKind.BACKDATED,
    }
)
"""The classes that tell of altered and foreign rows."""
TO_KNOW = frozenset({FindingKind.REDRIVEN})
"""The classes that tell of nothing wrong: they are listed for ever, and change no verdict."""
MISSING = frozenset(FindingKind) - INTEGRITY - TO_KNOW
"""The classes that tell of missing rows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an item's history.

    Attributes:
        kind: which kind of thing it is.
        keys: the item's key in wire form; the row's `Id` where nothing else is known of it.
        since: the missing change was made at this time or later, UTC; None: not known.
            Of an altered row its own time.
        until: and at this time or earlier; None: not known.
        sort_key: the row it shows at: the later one of two, the first one of several.
        detail: what is wrong, in words.
        declared: the cause, where a declared gap covers it.
        follows: the sort key of the row after which something is missing, None where there is
            none.
        missing: what the missing changes came to, attribute by attribute: `Status open → closed`.
            None where nothing is missing, or it is not known.
    """

    kind: FindingKind
    keys: Item
    since: datetime | None
    until: datetime | None
    sort_key: str | None
    detail: str
    declared: str | None = None
    follows: str | None = None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A row as the chain sees it: digests instead of images, since there may be millions.

    Attributes:
        before: the state its change began with; of a baseline its own state.
        stream: the ARN of the stream that its record came from.
    """

    sort_key: str
    event_name: EventName
    created_at: datetime
    before: StateDigest
    after: StateDigest
    stream: str

    @property
    def number(self) -> str:
        """Its sequence number, padded: the order of text is that of the numbers."""
        return self.sort_key.partition("#")[2]


@dataclass(frozen=True, slots=True)
class Head:
    """The live item's state, None where there is none."""

    state: StateDigest


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row whose states are not known: nothing is said about the links next to it.

    Attributes:
        created_at: None where the row does not tell.
    """

    sort_key: str
    created_at: datetime | None


_REWRITTEN = "or one of the two rows was rewritten"
_DETAILS = {
    FindingKind.MISSING_CHANGE: "it begins with another state than the row before left: a change "
    f"is missing, {_REWRITTEN}",
    FindingKind.MISSING_DELETE: "it inserts an item that was there: a delete is missing, "
    + _REWRITTEN,
    FindingKind.MISSING_INSERT: "it begins with an item that was not there: an insert is missing, "
    + _REWRITTEN,
    FindingKind.MISSING_START: "it begins with an item that no row or baseline shows: what came "
    "before is missing, or the row was rewritten",
    FindingKind.HEAD_MISMATCH: "the live item is not what the last row left: a change is missing, "
    "or the row was rewritten, unless the history lags behind",
}


def judge_chain(
    keys: Item, rows: Iterable[Link | Unreadable], head: Head | None = None
) -> list[Finding]:
    """What is wrong between the rows of an item.

    Where the sequence numbers of a stream contradict the stored order, that is a finding, and the
    numbers tell in which order the rows have to follow from each other.

    A baseline shows some moment of its second. Where changes were made in that second, or the
    times around it contradict the numbers, it has to fit one of the states around them; else it
    has to fit the rows on both its sides.

    Args:
        keys: the item's key.
        rows: its rows, in the order of their sort keys.
        head: the live item, None where it is not known.
    """
    stored = list(rows)
    numbered, displaced = _by_number(stored)
    runs, strays = _row_runs(_moments(stored, numbered, displaced))
    findings = [_out_of_order(keys, [stored[place] for place in places]) for places in displaced]
    findings += [finding for run in runs for finding in _judge(keys, run, head)]
    findings += [finding for stray in strays for finding in _judge_baseline(keys, stray)]
    return sorted(findings, key=lambda finding: (finding.sort_key is None, finding.sort_key or ""))


def _by_number(
    stored: Sequence[Link | Unreadable],
) -> tuple[list[Link | Unreadable], list[list[int]]]:
    """The rows in the order of their numbers, and groups of the places that this exchanges.

    Numbers of two streams do not compare, and a baseline has none.
    """
    by_stream: dict[str, list[tuple[int, Link]]] = defaultdict(list)
    for place, row in enumerate(stored):
        if isinstance(row, Link) and not _is_baseline(row):
            by_stream[row.stream].append((place, row))
    numbered, displaced = list(stored), []
    for places in by_stream.values():
        moved = sorted(places, key=lambda entry: entry[1].number)
        for (place, _), (_, row) in zip(places, moved, strict=True):
            numbered[place] = row
        # A group ends where every row so far belongs here or before.
        latest = accumulate((place for place, _ in moved), max)
        pairs = zip((place for place, _ in places), latest, strict=True)
        groups = split_after(pairs, lambda pair: pair[0] == pair[1])
        displaced += [[place for place, _ in group] for group in groups if len(group) > 1]
    return numbered, displaced


def _moments(
    stored: Sequence[Link | Unreadable],
    numbered: Sequence[Link | Unreadable],
    displaced: Iterable[Sequence[int]],
) -> Iterator[list[Link | Unreadable]]:
    """The rows in groups within which time tells no order: those of a second, those displaced."""
    joined = {place for places in displaced for place in range(places[0] + 1, places[-1] + 1)}

    def is_later(place: int, following: int) -> bool:
        return following not in joined and _second(stored[place]) != _second(stored[following])

    for places in split_when(range(len(stored)), is_later):
        yield [numbered[place] for place in places]


def _out_of_order(keys: Item, rows: Sequence[Link | Unreadable]) -> Finding:
    times = [row.created_at for row in rows if row.created_at is not None]
    return Finding(
        FindingKind.ORDER,
        keys,
        min(times),
        max(times),
        rows[0].sort_key,
        f"{len(rows)} rows from this one to {rows[-1].sort_key}: their sequence numbers tell "
        "another order than their times",
    )


@dataclass(slots=True)
class _RowRun:
    """Rows in sequence with no unreadable one between them.

    Attributes:
        begins, ends: whether it has the item's first row, and its last one.
        has_baseline: whether a baseline in the second of its first row opens it.
    """

    begins: bool
    ends: bool = True
    has_baseline: bool = False
    steps: list[Link] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Stray:
    """A baseline with the changes of its second and the row before them."""

    baseline: Link
    changes: list[Link]
    previous: Link | None


def _row_runs(
    moments: Iterable[Sequence[Link | Unreadable]],
) -> tuple[list[_RowRun], list[_Stray]]:
    runs, strays = [_RowRun(begins=True)], []
    for moment in moments:
        changes = [row for row in moment if isinstance(row, Link) and not _is_baseline(row)]
        is_whole = all(isinstance(row, Link) for row in moment)
        previous = runs[-1].steps[-1] if runs[-1].steps else None
        for row in moment:
            run = runs[-1]
            if isinstance(row, Unreadable):
                run.ends = False
                runs.append(_RowRun(begins=False))
            elif not _is_baseline(row) or (is_whole and not changes):
                run.steps.append(row)
            else:
                run.has_baseline |= not run.steps
                if is_whole:
                    strays.append(_Stray(row, changes, previous))
    return runs, strays


def _second(row: Link | Unreadable) -> datetime | None:
    # Some engines stamp changes more finely than to the second, which baselines are stamped with.
    return None if row.created_at is None else row.created_at.replace(microsecond=0)


def _is_baseline(row: Link | Unreadable) -> bool:
    return isinstance(row, Link) and row.event_name is EventName.SNAPSHOT


def _judge(keys: Item, run: _RowRun, head: Head | None) -> Iterator[Finding]:
    if not run.steps:
        return
    first, last = run.steps[0], run.steps[-1]
    is_opened = first.before is None or _is_baseline(first) or run.has_baseline
    if run.begins and not is_opened:
        yield _between(FindingKind.MISSING_START, keys, None, first)
    for row, following in pairwise(run.steps):
        if row.after != following.before:
            yield _between(_kind_of(row, following), keys, row, following)
    if run.ends and head is not None and last.after != head.state:
        yield _between(FindingKind.HEAD_MISMATCH, keys, last, None)


def _kind_of(row: Link, following: Link) -> FindingKind:
    if row.after is None:
        return FindingKind.MISSING_INSERT
    return FindingKind.MISSING_DELETE if following.before is None else FindingKind.MISSING_CHANGE


def _between(kind: FindingKind, keys: Item, before: Link | None, after: Link | None) -> Finding:
    since, until = (None if row is None else row.created_at for row in (before, after))
    if since is not None and until is not None:
        # The times of two neighbours by number may go back.
        since, until = min(since, until), max(since, until)
    shown_by = after or before
    return Finding(
        kind,
        keys,
        since,
        until,
        sort_key=shown_by.sort_key if shown_by else None,
        detail=_DETAILS[kind],
        follows=before.sort_key if before else None,
    )


def _judge_baseline(keys: Item, stray: _Stray) -> Iterator[Finding]:
    """A baseline shows a state of its second: between two changes, or around them all."""
    shown, first = stray.baseline.after, stray.changes[0]
    states = {state for change in stray.changes for state in (change.before, change.after)}
    if stray.previous is not None:
        states.add(stray.previous.after)
    if shown in states:
        return
    is_missing = first.before is None
    yield Finding(
        FindingKind.MISSING_INSERT if is_missing else FindingKind.MISSING_CHANGE,
        keys,
        since=stray.previous.created_at if stray.previous else None,
        until=stray.baseline.created_at,
        sort_key=stray.baseline.sort_key,
        detail="the baseline shows a state that no row of its second begins with or leaves: a "
        "change is missing, or one of them was rewritten",
        follows=stray.previous.sort_key if stray.previous else None,
    )
