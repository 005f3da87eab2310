"""Each filter of changes by itself, and all of them together."""

from dataclasses import replace

import pytest

from reports.errors import ReportError
from reports.states.selection import Selection
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.factories import change, item, number, text

STATUS = ("status",)
TTL = ("Service", "dynamodb.amazonaws.com")


def row(old=None, new=None, **options):
    return HistoryRow.from_change(change(old, new, **options))


def status(value, **attributes):
    return item("1", status=value, **attributes)


INSERT = row(None, status(text("open")))
CLOSE = row(status(text("open")), status(text("closed")))
RENAME = row(status(text("open")), status(text("open"), name=text("x")))
REMOVE = row(status(text("closed")), None)
SNAPSHOT = HistoryRow.from_change(replace(INSERT.change, event_name=EventName.SNAPSHOT))
ALL = (INSERT, CLOSE, RENAME, REMOVE, SNAPSHOT)


def accepted(**given):
    where = Selection(**given)
    return [one for one in ALL if where.accepts(one)]


def test_every_change_is_accepted_by_default():
    """A baseline is none: it tells what was there, not that anything happened."""
    assert accepted() == [INSERT, CLOSE, RENAME, REMOVE]


def test_changes_are_selected_by_their_event_name():
    """Only the names given, a baseline among them if it is one of them."""
    assert accepted(event_names=frozenset({EventName.REMOVE})) == [REMOVE]
    assert accepted(event_names=frozenset({EventName.INSERT, EventName.SNAPSHOT})) == [
        INSERT,
        SNAPSHOT,
    ]
    assert not Selection(event_names=frozenset({EventName.REMOVE})).takes(EventName.MODIFY)


def test_changes_are_selected_by_a_changed_attribute():
    """It came, became another, or went; a change of something else is not asked for."""
    assert accepted(attribute=STATUS) == [INSERT, CLOSE, REMOVE]
    assert accepted(attribute=("name",)) == [RENAME]
    assert accepted(attribute=STATUS, event_names=frozenset({EventName.SNAPSHOT})) == []


def test_changes_are_selected_by_the_value_before_and_after():
    """`--attribute status --from open --to closed`."""
    assert accepted(attribute=STATUS, old="open") == [CLOSE]
    assert accepted(attribute=STATUS, new="open") == [INSERT]
    assert accepted(attribute=STATUS, old="open", new="closed") == [CLOSE]
    assert accepted(attribute=STATUS, old="open", new="open") == []
    assert accepted(attribute=STATUS, old="closed") == [REMOVE]


@pytest.mark.parametrize(
    ("value", "given", "fits"),
    [
        (text("1"), "1", True),
        (number("1.50"), "1.5", True),
        (number("1.50"), "15e-1", True),
        (number("1"), "one", False),
        ({"BOOL": True}, "true", True),
        ({"BOOL": True}, "True", False),
        ({"BOOL": False}, "false", True),
        ({"NULL": True}, "null", True),
        ({"S": "null"}, "null", True),
        ({"SS": ["1"]}, "1", False),
        ({"B": b"1"}, "1", False),
        (text("1"), {"N": "1"}, False),
        (number("1.0"), {"N": "1"}, True),
        (number("1"), '{"N": "1.0"}', True),
        ({"SS": ["b", "a"]}, '{"SS": ["a", "b"]}', True),
        ({"B": b"\x00\x01"}, '{"B": "AAE="}', True),
        ({"B": b"\x00\x01"}, {"B": b"\x00\x01"}, True),
        (text('{"S": 1, "N": 2}'), '{"S": 1, "N": 2}', True),
        (text('{"a": 1}'), '{"a": 1}', True),
        (text("{"), "{", True),
        (text("[1]"), "[1]", True),
        (text(""), "", True),
    ],
)
def test_a_value_is_text_or_an_exact_value(value, given, fits):
    """Text fits whatever is spelled so; a wire value fits its own type only."""
    to = row(status(text("?")), status(value))
    away = row(status(value), status(text("?")))

    assert Selection(attribute=STATUS, new=given).accepts(to) is fits
    assert Selection(attribute=STATUS, old=given).accepts(away) is fits


def test_changes_are_selected_by_their_actor():
    """By the attribute that names who wrote, or as an expiry by TTL."""
    by_ada = row(None, item("1", by=text("ada")))
    by_bob = row(item("1", by=text("ada")), item("1", by=text("bob")))
    expired = row(item("1", by=text("bob")), None, user_identity=TTL)
    changes = [by_ada, by_bob, expired]

    def made_by(actor):
        where = Selection(actor=actor, actor_attribute=("by",))
        return [one for one in changes if where.accepts(one)]

    assert made_by("ada") == [by_ada]
    assert made_by("bob") == [by_bob]
    assert made_by("dynamodb.amazonaws.com") == [expired]


def test_a_delete_is_undecided_and_not_accepted():
    """Nobody is named, so nobody is blamed; and the caller can say how many there are."""
    where = Selection(actor="ada", actor_attribute=("by",), event_names=frozenset({"REMOVE"}))
    deleted = row(item("1", by=text("ada")), None)
    expired = row(item("1", by=text("ada")), None, user_identity=TTL)
    inserted = row(None, item("1"))

    assert not where.accepts(deleted)
    assert [where.undecided(one) for one in (deleted, expired, inserted)] == [True, False, False]
    assert not Selection().undecided(deleted)
    assert Selection(actor="ada", actor_attribute=("by",)).undecided(inserted)


def test_what_the_other_filters_leave_out_is_not_undecided():
    """Only a change that would be asked for counts."""
    where = Selection(actor="ada", actor_attribute=("by",), attribute=("name",))

    assert not where.undecided(row(item("1", by=text("ada")), None))
    assert where.undecided(row(item("1", name=text("x")), None))


@pytest.mark.parametrize("given", [{"old": "open"}, {"new": "closed"}])
def test_a_value_needs_its_attribute(given):
    """The error says what is missing."""
    with pytest.raises(ReportError, match="name the attribute"):
        Selection(**given)


@pytest.mark.parametrize("given", ['{"N": "one"}', '{"N": 1}', {"N": "1", "S": "1"}, {}])
def test_a_value_that_is_none_is_refused(given):
    """What looks like a wire value and is not one does not pass for a text."""
    with pytest.raises(ReportError, match=r"not an attribute value: .* write e\.g"):
        Selection(attribute=STATUS, new=given)
