"""Taking a change's share out of a value that others have changed since. Pure.

Some changes of one value commute, and then it can be told what the others alone would have made of
it: members that were added to a set or removed from it, where others added and removed other ones;
members that were appended to a list, which still stand where they were put; what was added to a
number. That a number was added to, and not set, no state of it tells, nor does a stream: a price
that goes from 10 to 99 to 50 is no counter. So this has to be said by who knows.
"""

from collections.abc import Hashable, Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from typing import Any

from operations.recovery.conflicts import Conflict
from reports.states.differences import Difference
from stream_core.attribute_values import AttributeValue, canonical_number, same_value
from stream_core.errors import MalformedRecordError

WRITTEN_SINCE = "it was written again since"
PERHAPS_A_COUNTER = f"{WRITTEN_SINCE}: if it is only ever added to, --counter says so"
PERHAPS_TAKEN_BACK = "a later change took just as much off: it may have been taken back already"
MEMBERS_WRITTEN_SINCE = "some of its members were added or removed again since"
_NO_NUMBER = "the number without it is none that DynamoDB holds: {}"
_SETS = ("SS", "NS", "BS")
# Numbers of 38 digits from 1E-130 to 1E+126 differ in no more digits than that.
_EXACT = Context(prec=600, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


class InseparableError(Exception):
    """What a change did to a value cannot be told from what others did to it since."""


def without(
    bad: Difference,
    since: Sequence[Difference],
    current: AttributeValue | None,
    *,
    is_counter: bool,
) -> tuple[AttributeValue | None, AttributeValue | None]:
    """A value without what a change did to it.

    Args:
        bad: the change.
        since: what others did to the same value since, from first to last.
        current: the value.
        is_counter: whether the value is a number that is only ever added to.

    Returns:
        The value without it, and the same without what others have touched as well; where they are
        not the same, that is a conflict. A number may have more digits than a table can hold, until
        all that is to be taken out of it is: see `held`.

    Raises:
        InseparableError: it cannot be told; the text says why.
    """
    values = [current, *(value for step in (bad, *since) for value in (step.old, step.new))]
    tags = {tag for value in values if value is not None for tag in value}
    match tuple(tags):
        case ("N",) if is_counter:
            return (_number_without(bad, since, current),) * 2
        case ("N",):
            raise InseparableError(PERHAPS_A_COUNTER)
        case ("L",) if None not in values:
            return (_list_without(bad, since, current or {}),) * 2
        case (tag,) if tag in _SETS:
            return _set_without(tag, bad, since, current)
    raise InseparableError(WRITTEN_SINCE)


def _number_without(
    bad: Difference, since: Sequence[Difference], current: AttributeValue | None
) -> AttributeValue:
    if current is None or bad.new is None or any(None in (step.old, step.new) for step in since):
        # Who removes a number does not add to it.
        raise InseparableError(WRITTEN_SINCE)
    return {"N": str(_EXACT.subtract(_decimal(current), added(bad)))}


def added(step: Difference) -> Decimal:
    """What a change of a number added to it."""
    return _EXACT.subtract(_decimal(step.new), _decimal(step.old))


def takes_off(step: Difference, bad: Sequence[Difference]) -> bool:
    """Whether a change of a number takes just as much off it as some others added."""
    total = Decimal(0)
    for earlier in bad:
        total = _EXACT.add(total, added(earlier))
    return bool(total) and added(step) == _EXACT.minus(total)


def held(number: AttributeValue | None) -> AttributeValue | None:
    """A number as a table holds it.

    Raises:
        InseparableError: it has too many digits, or is too large or too small.
    """
    try:
        return number and {"N": canonical_number(number["N"])}
    except MalformedRecordError as error:
        raise InseparableError(_NO_NUMBER.format(error)) from None


def _decimal(value: AttributeValue | None) -> Decimal:
    """A number; DynamoDB adds to one that is not there as to zero."""
    return Decimal(value["N"] if value else 0)


def _list_without(
    bad: Difference, since: Sequence[Difference], current: AttributeValue
) -> AttributeValue:
    old, new = _members(bad.old), _members(bad.new)
    begin, end = len(old), len(new)
    if begin >= end or not _same_list(old, new[:begin]):
        raise InseparableError(WRITTEN_SINCE)
    for step in since:
        before, after = _members(step.old), _members(step.new)
        if len(before) == len(after) and _same_list(before[begin:end], after[begin:end]):
            continue
        if _same_list(before, after[: len(before)]):
            continue
        if not _same_list(before, after[len(after) - len(before) :]):
            raise InseparableError(WRITTEN_SINCE)
        begin, end = (place + len(after) - len(before) for place in (begin, end))
    members = _members(current)
    if not _same_list(members[begin:end], new[len(old) :]):
        raise InseparableError(WRITTEN_SINCE)
    return {"L": [*members[:begin], *members[end:]]}


def _members(value: AttributeValue | None) -> list[AttributeValue]:
    return list((value or {"L": []})["L"])


def _same_list(first: list[AttributeValue], second: list[AttributeValue]) -> bool:
    return same_value({"L": first}, {"L": second})


def _set_without(
    tag: str, bad: Difference, since: Sequence[Difference], current: AttributeValue | None
) -> tuple[AttributeValue | None, AttributeValue | None]:
    if any(None in (step.old, step.new) for step in since):
        # Whether another writer made it anew as a whole, or added to what was not there.
        raise InseparableError(WRITTEN_SINCE)
    old, new, members = (_by_name(tag, value) for value in (bad.old, bad.new, current))
    touched: set[Hashable] = set()
    for step in since:
        touched |= _by_name(tag, step.old).keys() ^ _by_name(tag, step.new).keys()
    came, went = new.keys() - old.keys(), old.keys() - new.keys()

    def taken_back(but: set[Hashable]) -> AttributeValue | None:
        kept = {name: text for name, text in members.items() if name not in came - but}
        back = {name: old[name] for name in sorted(went - but, key=str) if name not in kept}
        return {tag: [*kept.values(), *back.values()]} if kept or back else None

    return taken_back(touched), taken_back(set())


def with_members_of(
    live: AttributeValue | None,
    conflict: Conflict,
    since: Sequence[Difference],
    current: AttributeValue | None,
) -> AttributeValue | None:
    """A set from which later bad changes are taken, with the members of one that cannot be as live.

    What the one took from it and the other gave back is as it was: to take but the last of them
    back leaves it as the bad job had it in between. What others touched since is theirs.

    Args:
        live: the set as it is.
        conflict: what cannot be taken back.
        since: what others did to the set since.
        current: it without the later changes.
    """
    values = (live, current, conflict.expected, conflict.wanted)
    theirs = (value for step in since for value in (step.old, step.new))
    tags = {tag for value in (*values, *theirs) if value is not None for tag in value}
    if len(tags) != 1 or not tags.issubset(_SETS):
        return current
    (tag,) = tags
    there, members, new, old = (_by_name(tag, value) for value in values)
    touched: set[Hashable] = set()
    for step in since:
        touched |= _by_name(tag, step.old).keys() ^ _by_name(tag, step.new).keys()
    bad = (new.keys() ^ old.keys()) - touched
    kept = [member for name, member in members.items() if name not in bad]
    back = [there[name] for name in sorted(bad & there.keys(), key=str)]
    return {tag: [*kept, *back]} if kept or back else None


def _by_name(tag: str, value: AttributeValue | None) -> Mapping[Hashable, Any]:
    """The members of a set by what makes them the same."""
    name = canonical_number if tag == "NS" else lambda member: member
    return {name(member): member for member in (value or {tag: []})[tag]}
