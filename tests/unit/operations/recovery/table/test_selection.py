"""Some items of a table are restored, and what was not found is named (on moto)."""

import pytest

from operations.errors import RefusedError
from operations.recovery.table import restore, states
from operations.recovery.table.selection import ItemSelection
from reports.inputs.keys import KeySchema
from reports.states.item_conditions import ItemCondition, Operator
from reports.states.timeline import Certainty, ItemState
from stream_core.history_row import time_text
from tests.factories import number, text
from tests.recorded_table import HISTORY
from tests.unit.operations.recovery.table.world import NEW, version


def key(identifier):
    return {"Id": text(identifier)}


def condition(path, operator, value):
    return ItemCondition((path,), Operator(operator), value)


@pytest.fixture
def mixed(world):
    """Items that changed, went and came."""
    world.live("a1", version("a1", 1), version("a1", 2))
    world.live("a2", version("a2", 1), None)
    world.live("b1", version("b1", 2))
    world.live("b2", None, version("b2", 1))
    return world


def restored_ids(world, **selection):
    result = world.restore(1, **selection)
    ids = [one["Id"]["S"] for one in world.items()] if world.exists() else []
    return ids, result


def test_items_are_selected_by_what_was_true_of_them_then(mixed):
    """Not by what is true now."""
    ids, result = restored_ids(mixed, conditions=(condition("Version", "=", "1"),))

    assert ids == ["a1", "a2"]
    assert (result.items, result.is_clean) == (2, True)


def test_items_are_selected_by_how_their_key_begins(mixed):
    """With any of several beginnings."""
    ids, _ = restored_ids(mixed, prefixes=("a2", "b"))

    assert ids == ["a2", "b1"]


def test_all_that_is_given_must_be_true(mixed):
    """Keys, beginnings and values together."""
    ids, _ = restored_ids(
        mixed,
        keys=(key("a1"), key("b1"), key("a2")),
        prefixes=("a",),
        conditions=(condition("Version", "<", "2"), condition("Id", "!=", "a2")),
    )

    assert ids == ["a1"]


@pytest.mark.parametrize("most_by_key", [0, 10], ids=["whole table", "by key"])
def test_items_are_named_by_a_list_of_keys(mixed, monkeypatch, most_by_key):
    """A few are asked for singly; what nothing knows is named, what did not exist then is not."""
    monkeypatch.setattr(states, "MOST_BY_KEY", most_by_key)
    keys = tuple(map(key, ["a1", "a1", "a2", "b2", "nowhere"]))

    ids, result = restored_ids(mixed, keys=keys)

    assert ids == ["a1", "a2"]
    assert (result.items, result.unknown, result.is_clean) == (2, (key("nowhere"),), False)
    assert result.method == ("keys" if most_by_key else "history")


def test_a_few_keys_are_no_reason_to_read_the_whole_table(mixed):
    """It may have a hundred million items."""
    scans = []
    mixed.client.meta.events.register(
        "provide-client-params.dynamodb.Scan", lambda params, **_: scans.append(params)
    )

    mixed.restore(1, keys=(key("a1"),))

    # One page, to see whose history it is.
    assert [(scan["TableName"], scan.get("Limit")) for scan in scans] == [(HISTORY, 100)]


@pytest.mark.parametrize("apply", [False, True])
@pytest.mark.parametrize("most_ahead", [1, 100])
def test_an_attribute_that_no_item_had_is_named(mixed, monkeypatch, apply, most_ahead):
    """With the name that is meant, and before a table is made of what has no such attribute.

    Of more items than are kept it is found at the end, and the table not called finished.
    """
    monkeypatch.setattr(restore, "_MOST_AHEAD", most_ahead)
    is_made = apply and most_ahead == 1
    known = (condition("Version", "<=", "9"),)
    equal, unequal = (
        mixed.restore(1, conditions=(*known, condition("Verson", sign, "1")), apply=apply)
        for sign in ("=", "!=")
    )

    unknown = (
        f"as of {time_text(mixed.at(1))} no item is known to have had the attribute Verson of "
        "--where: is Version meant?"
    )
    assert equal.ended == f"nothing is made: {unknown}"
    late = f"{unknown}; '{NEW}' is not finished: delete it" if apply else unknown
    assert unequal.ended == (late if most_ahead == 1 else f"nothing is made: {unknown}")
    assert (unequal.items == 0) is (most_ahead != 1)
    assert not any((equal.is_clean, unequal.is_clean, equal.may_go_on, unequal.may_go_on))
    assert mixed.exists() is is_made


def test_an_attribute_is_named_also_where_items_are_uncertain(mixed):
    """Of those nothing is known that could have it; and only of named items it is said of them."""
    mixed.live("c1", version("c1", 1), None, version("c1", 2), missing={1, 3})
    wrong = (condition("Verson", "=", "1"),)

    whole = mixed.restore(2, conditions=wrong)
    named = mixed.restore(2, keys=(key("a1"),), conditions=wrong)

    assert whole.uncertain
    for result, looked_at in ((whole, "no item"), (named, "none of the items named")):
        assert f"{looked_at} is known to have had the attribute Verson of" in str(result.ended)
    assert not mixed.exists()


def test_what_was_met_ahead_is_written_too(mixed):
    """The items before the first one that has the attribute."""
    mixed.live("a0", {"Id": text("a0")})

    ids, result = restored_ids(mixed, conditions=(condition("Version", "!=", "7"),))

    assert ids == ["a0", "a1", "a2", "b1"]
    assert result.is_clean


def test_a_selection_of_nothing_makes_nothing_and_says_so(mixed):
    """The value may be misspelt."""
    for apply in (False, True):
        result = mixed.restore(1, conditions=(condition("Version", "=", "l"),), apply=apply)

        assert result.ended == "nothing is selected, and nothing made: it was Version = l"
        assert (result.items, result.is_clean, mixed.exists()) == (0, False, False)


def test_only_a_text_has_a_beginning():
    """Of a number it would be anyone's guess."""
    selection = ItemSelection(prefixes=("4",))

    selection.require_fit(KeySchema({"Id": "S", "At": "N"}))
    with pytest.raises(RefusedError, match=r"--where Id '>=' VALUE"):
        selection.require_fit(KeySchema({"Id": "N"}))


def test_the_same_selection_is_known_as_the_same():
    """Whatever the order in which it is given, and however often."""
    one = ItemSelection(
        (key("1"), key("2")), ("a", "b"), (condition("x", "=", "1"), condition("y", "=", "2"))
    )
    same = ItemSelection(
        (key("2"), key("1"), key("2")),
        ("b", "a", "b"),
        (condition("y", "=", "2"), condition("x", "=", "1")),
    )
    others = [
        ItemSelection(),
        ItemSelection(()),
        ItemSelection((key("1"),), ("a", "b"), one.conditions),
        ItemSelection(one.keys, ("a",), one.conditions),
        ItemSelection(one.keys, ("a", "b"), one.conditions[:1]),
    ]

    assert one.digest == same.digest
    assert len({one.digest, *(other.digest for other in others)}) == 6
    assert ItemSelection().digest == "all"


def test_what_an_item_was_that_may_not_have_existed_is_not_asked():
    """It is listed rather than dropped."""
    selection = ItemSelection(conditions=(condition("x", "=", "1"),))
    absent = ItemState(key("1"), None, None, Certainty.BOUNDED, "a change is missing")
    present = ItemState(key("1"), None, {**key("1"), "x": number(2)}, Certainty.BOUNDED, "")

    assert selection.accepts(absent, "Id")
    assert not selection.accepts(present, "Id")
