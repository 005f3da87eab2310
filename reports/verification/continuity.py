"""Whether the rows of one item follow from each other without a gap. Pure.

Each row begins with the state that the row before it left, and the last one leaves the live
item; a put that changes nothing writes no record, so a broken link is a change that is missing or
out of place. What leaves no trace is not found: missing rows that lead from a state back to it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby, pairwise

from reports.verification.chain_order import FREE, Break, Link, StateDigest, reorderings
from stream_core.attribute_values import Item
from stream_core.change import EventName


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
    """The rows close the chain in another order."""
    HEAD_MISMATCH = "HEAD_MISMATCH"
    """The last row did not leave the live item."""
    KEY_MISMATCH = "KEY_MISMATCH"
    """A row is not where its content says, so that a question may miss it."""
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    """A row or its overflow object is not what was written, or is gone."""


INTEGRITY = frozenset({FindingKind.KEY_MISMATCH, FindingKind.DIGEST_MISMATCH})
"""The classes that tell of altered rows; the others tell of missing ones."""


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
    """

    kind: FindingKind
    keys: Item
    since: datetime | None
    until: datetime | None
    sort_key: str | None
    detail: str
    declared: str | None = None


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


_DETAILS = {
    FindingKind.MISSING_CHANGE: "it begins with another state than the row before left",
    FindingKind.MISSING_DELETE: "it inserts an item that was there",
    FindingKind.MISSING_INSERT: "it begins with an item that was not there",
    FindingKind.MISSING_START: "it begins with an item that no row or baseline shows",
    FindingKind.HEAD_MISMATCH: "the live item is not what the last row left: a change is missing, "
    "unless the history lags behind",
}


def judge_chain(
    keys: Item, rows: Iterable[Link | Unreadable], head: Head | None = None
) -> list[Finding]:
    """What is wrong between the rows of an item.

    A baseline shows some moment of its second. Where changes were made in that second it has to
    fit one of the states around them; else it has to fit the rows on both its sides.

    Args:
        keys: the item's key.
        rows: its rows, in the order of their sort keys.
        head: the live item, None where it is not known.
    """
    runs, strays = _row_runs(rows)
    findings = [finding for run in runs for finding in _judge(keys, run, head)]
    findings += [finding for stray in strays for finding in _judge_baseline(keys, stray)]
    return sorted(findings, key=lambda finding: (finding.sort_key is None, finding.sort_key or ""))


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


def _row_runs(rows: Iterable[Link | Unreadable]) -> tuple[list[_RowRun], list[_Stray]]:
    runs, strays = [_RowRun(begins=True)], []
    for _, group in groupby(rows, key=_second):
        second = list(group)
        changes = [row for row in second if isinstance(row, Link) and not _is_baseline(row)]
        is_whole = all(isinstance(row, Link) for row in second)
        previous = runs[-1].steps[-1] if runs[-1].steps else None
        for row in second:
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
    breaks = _breaks(run, head)
    needs_opening = run.begins and not run.has_baseline
    orders = reorderings(run.steps, breaks, needs_opening=needs_opening)
    explained: set[int] = set()
    for order in orders:
        explained.update(order.explained)
        first, last = run.steps[order.start], run.steps[order.end - 1]
        yield Finding(
            FindingKind.ORDER,
            keys,
            first.created_at,
            last.created_at,
            first.sort_key,
            f"{order.end - order.start} rows from this one to {last.sort_key} follow from each "
            "other in another order",
        )
        if order.opens_unexplained:
            yield _between(FindingKind.MISSING_START, keys, None, first)
    for at in breaks:
        if at.counts and at.place not in explained:
            before = run.steps[at.place - 1] if at.place else None
            after = run.steps[at.place] if at.place < len(run.steps) else None
            yield _between(_class_of(at, before, after), keys, before, after)


def _breaks(run: _RowRun, head: Head | None) -> list[Break]:
    """The broken links of a run, with both its ends whether they are broken or not."""
    first, last, end = run.steps[0], run.steps[-1], len(run.steps)
    is_opened = first.before is None or _is_baseline(first) or run.has_baseline
    breaks = [Break(0, FREE, first.before, counts=run.begins and not is_opened)]
    breaks += [
        Break(place, row.after, following.before, counts=True)
        for place, (row, following) in enumerate(pairwise(run.steps), 1)
        if row.after != following.before
    ]
    if run.ends and head is not None:
        breaks.append(Break(end, last.after, head.state, counts=last.after != head.state))
    else:
        breaks.append(Break(end, last.after, FREE, counts=False))
    return breaks


def _class_of(at: Break, before: Link | None, after: Link | None) -> FindingKind:
    if before is None:
        return FindingKind.MISSING_START
    if after is None:
        return FindingKind.HEAD_MISMATCH
    if at.left_state is None:
        return FindingKind.MISSING_INSERT
    return FindingKind.MISSING_DELETE if at.right_state is None else FindingKind.MISSING_CHANGE


def _between(kind: FindingKind, keys: Item, before: Link | None, after: Link | None) -> Finding:
    shown_by = after or before
    return Finding(
        kind,
        keys,
        since=before.created_at if before else None,
        until=after.created_at if after else None,
        sort_key=shown_by.sort_key if shown_by else None,
        detail=_DETAILS[kind],
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
        detail="the baseline shows a state that no row of its second begins with or leaves",
    )
