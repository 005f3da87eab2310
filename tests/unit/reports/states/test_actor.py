"""Who made a change is told only as far as the record tells it."""

from dataclasses import replace

import pytest

from reports.states.actor import Actor, actor_of
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.factories import change, item, number, text

BY = ("updated_by",)
TTL = ("Service", "dynamodb.amazonaws.com")


def written_by(name, **attributes):
    return item("1", updated_by=text(name), **attributes)


def actor(old, new, attribute=BY, **options):
    return actor_of(HistoryRow.from_change(change(old, new, **options)), attribute)


def test_an_expiry_by_ttl_is_dynamodbs_own():
    """What the record itself names needs no attribute, and wins over one."""
    expired = written_by("ada"), None

    assert actor(*expired, user_identity=TTL) == Actor(TTL[1], "userIdentity", None)
    assert actor(*expired, None, user_identity=TTL).name == "dynamodb.amazonaws.com"


def test_the_attribute_names_who_wrote_it():
    """On an insert, and on a change that set it anew."""
    assert actor(None, written_by("ada")) == Actor("ada", "attribute", None)
    assert actor(written_by("bob"), written_by("ada")) == Actor("ada", "attribute", None)


def test_a_path_leads_to_the_attribute():
    """It may be anywhere in the item; a number is told as text."""
    new = item("1", audit={"M": {"by": {"L": [number(7)]}}})

    assert actor(None, new, ("audit", "by", 0)).name == "7"


def test_an_attribute_left_as_it_was_may_be_stale():
    """A writer who does not set it looks like the one before."""
    found = actor(written_by("ada", Count=number(1)), written_by("ada", Count=number(2)))

    assert (found.name, found.source) == ("ada", "attribute")
    assert found.caveat == "the change left updated_by as it was: it may name who wrote before"


def test_a_number_spelled_anew_is_the_attribute_as_it_was():
    """Equal is what DynamoDB takes for equal."""
    found = actor(item("1", by=number("1")), item("1", by=number("1.0"), x=number(2)), ("by",))

    assert "as it was" in found.caveat


def test_a_delete_does_not_name_its_actor():
    """The old image names whoever wrote before, who need not have deleted anything."""
    found = actor(written_by("ada"), None)

    assert (found.name, found.source) == (None, None)
    assert "a delete does not name who made it" in found.caveat


@pytest.mark.parametrize(
    ("new", "caveat"),
    [(item("1"), "the item has no updated_by"), (item("1", updated_by={"NULL": True}), "is NULL")],
)
def test_an_attribute_that_names_nobody_is_no_name(new, caveat):
    """Absent and NULL are told apart, and neither is taken for a person."""
    found = actor(written_by("ada"), new)

    assert found.name is None
    assert caveat in found.caveat


def test_a_baseline_is_made_by_nobody():
    """It shows who wrote last, at some time before."""
    found = replace(change(None, written_by("ada")), event_name=EventName.SNAPSHOT)

    answer = actor_of(HistoryRow.from_change(found), BY)

    assert answer.name == "ada"
    assert "a baseline is no change" in answer.caveat


def test_without_an_attribute_nothing_is_known():
    """No name, and no excuse for it."""
    assert actor(None, written_by("ada"), None) == Actor(None, None, None)
