"""An interrupted restore of a table goes on with the same order, and with no other (on moto)."""

from dataclasses import replace
from itertools import count
from unittest.mock import patch

import pytest

from operations.errors import RefusedError
from operations.recovery.table import restore
from operations.recovery.table.order import TAG, OrderTag
from operations.recovery.table.results import Unwritten
from operations.recovery.table.settings import TableSettings
from operations.recovery.table.states import StateFinder
from reports.inputs.keys import KeySchema
from reports.states.item_conditions import ItemCondition, Operator
from tests.factories import item, number, text
from tests.fakes import client_error
from tests.recorded_table import SOURCE
from tests.tables import create_table
from tests.unit.operations.recovery.table.world import NEW, version

A_CALL = 4
MANY = 11
# Two batches of three; they are written side by side, and the short one may come before another.
SOME = {2 * A_CALL, MANY - A_CALL}


@pytest.fixture
def filled(world, monkeypatch):
    """A table of items that take three calls to write."""
    monkeypatch.setattr(restore, "MAX_WRITES", A_CALL)
    for n in range(MANY):
        world.live(f"{n:02d}", version(f"{n:02d}", 1))
    return world


def after_two_calls(world, error):
    """The new table takes two batches, and then something happens to each."""
    real, calls = world.deployment.source.client.batch_write_item, count()

    def write(**request):
        if next(calls) >= 2:
            raise error
        return real(**request)

    return patch.object(world.deployment.source.client, "batch_write_item", write)


def interrupted(world, minute=1, lines=None, **options):
    """A restore that somebody interrupts with most items in the new table; gives how many."""
    tell = (lambda _line: None) if lines is None else lines.append
    with after_two_calls(world, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        world.restore(minute, tell=tell, **options)
    return len(world.items())


def writes(world):
    """The keys that are put from now on."""
    put = []
    real = world.deployment.source.client.batch_write_item

    def note(RequestItems):  # noqa: N803 - names of the API
        put.extend(one["PutRequest"]["Item"]["Id"]["S"] for one in RequestItems[NEW])
        return real(RequestItems=RequestItems)

    world.deployment.source.client.batch_write_item = note
    return put


def test_the_same_order_goes_on(filled):
    """What is there is not written again, and counted; then it is finished and protected."""
    there = interrupted(filled)
    assert there in SOME
    before = {one["Id"]["S"] for one in filled.items()}
    table = filled.client.describe_table(TableName=NEW)["Table"]
    assert not table["DeletionProtectionEnabled"]
    assert filled.tag().startswith("unfinished ")
    put = writes(filled)

    result = filled.restore(1)

    assert (result.items, result.already_there, result.is_clean) == (MANY, there, True)
    assert not before & set(put)
    assert len(put) == MANY - there
    assert len(filled.items()) == MANY
    assert filled.tag().startswith("finished ")
    table = filled.client.describe_table(TableName=NEW)["Table"]
    assert table["DeletionProtectionEnabled"]


def test_who_interrupts_it_is_told_how_it_stands(filled):
    """How many are written, and what goes on with it."""
    lines = []
    there = interrupted(filled, lines=lines)

    assert lines == [f"{there} items were written into '{NEW}'; the same command goes on"]


def test_a_dry_run_says_what_is_there_already(filled):
    """And what would be written beside it."""
    there = interrupted(filled)

    result = filled.restore(1, apply=False)

    assert (result.items, result.already_there) == (MANY, there)
    assert filled.tag().startswith("unfinished ")


@pytest.mark.parametrize(
    ("minute", "options", "expected"),
    [
        (2, {}, "what differs is the instant"),
        (1, {"prefixes": ("0",)}, "what differs is which items are selected (all, not "),
        (
            1,
            {"conditions": (ItemCondition(("Version",), Operator.EQUAL, "1"),)},
            "what differs is which items are selected",
        ),
    ],
)
def test_another_order_is_refused_and_the_difference_named(filled, minute, options, expected):
    """Half of one and half of the other would be neither."""
    there = interrupted(filled)

    with pytest.raises(RefusedError) as refused:
        filled.restore(minute, **options)

    assert expected in str(refused.value)
    assert len(filled.items()) == there


def test_a_source_that_was_made_anew_is_another_order():
    """Also under the old name: nothing vouches that its items are the same. One may be gone."""
    begun, *others = (
        OrderTag("2026-03-03T18:40:00.000000Z", f"{source}", "history", "all")
        for source in ("employee/1", "employee/2", "manager/gone", "employee/gone", "employee/1")
    )

    differences = [list(begun.differences(other)) for other in others]

    assert differences == [
        ["the source table (employee/1, not employee/2)"],
        ["the source table (employee/1, not manager/gone)"],
        [],
        [],
    ]
    *_, gone, there = others
    assert list(gone.differences(there)) == ["the source table (employee/gone, not employee/1)"]


def test_it_goes_on_when_the_source_is_gone_since(filled):
    """Its key is the new table's, and its time to live is in the tag: nobody has to know them."""
    expiry = {"Enabled": True, "AttributeName": "Expires"}
    filled.client.update_time_to_live(TableName=SOURCE, TimeToLiveSpecification=expiry)
    there = interrupted(filled)
    request = filled.plan(1).settings.request
    filled.client.delete_table(TableName=SOURCE)
    order = {"allows_uncertain": True, "with_ttl": True}

    planned = filled.restore(1, apply=False, **order)
    result = filled.restore(1, **order)

    assert (result.items, result.already_there, result.is_finished) == (MANY, there, True)
    assert result.left_out == (
        "the source is gone since this was begun: what else it had is not known any more",
    )
    assert planned.settings.request["KeySchema"] == request["KeySchema"]
    ttl = filled.client.describe_time_to_live(TableName=NEW)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "Expires")
    assert filled.tag().startswith("finished ")


def test_what_another_source_s_restore_began_says_nothing_of_one_that_is_gone(filled):
    """Its key has to be said."""
    interrupted(filled)
    filled.deployment.source_table = "Gone"

    with pytest.raises(RefusedError, match="'Gone' is gone: say what its key was"):
        filled.restore(1)
    with pytest.raises(RefusedError, match="what differs is the source table"):
        filled.restore(1, key_schema=KeySchema({"Id": "S"}))


def test_a_finished_table_is_not_written_again(filled):
    """By now it is somebody's, and what they deleted would come back. No order goes on with it."""
    filled.restore(1)

    for minute, which in ((1, "this very"), (2, "another")):
        expected = rf"was restored as of .* by {which} order and is finished, so nothing is left"
        with pytest.raises(RefusedError, match=expected):
            filled.restore(minute)


def test_what_is_there_otherwise_is_listed_and_left(filled):
    """Nobody's write is lost, and nothing passes for what it is not."""
    interrupted(filled)
    theirs = item(filled.items()[0]["Id"]["S"], Version=number(99))
    filled.client.put_item(TableName=NEW, Item=theirs)
    filled.client.put_item(TableName=NEW, Item=item("not in the source"))

    result = filled.restore(1)

    (listed,) = result.unwritten
    assert listed.keys == {"Id": theirs["Id"]}
    assert listed.reason.startswith("it is there otherwise")
    assert (result.extraneous, result.items, result.is_clean) == (1, MANY - 1, False)
    assert result.extraneous_keys == ({"Id": text("not in the source")},)
    assert theirs in filled.items()
    assert filled.tag().startswith("unfinished ")

    for strange in ("not in the source", theirs["Id"]["S"]):
        filled.client.delete_item(TableName=NEW, Key={"Id": text(strange)})
    again = filled.restore(1)

    assert (again.items, again.already_there, again.is_clean) == (MANY, MANY - 1, True)
    assert filled.tag().startswith("finished ")


def test_of_many_items_beside_the_order_the_first_are_named(filled, monkeypatch):
    """All are counted; what they take of memory has an end."""
    monkeypatch.setattr(restore, "MOST_LISTED", 2)
    interrupted(filled)
    strangers = [item(f"theirs-{n}") for n in range(3)]
    for stranger in strangers:
        filled.client.put_item(TableName=NEW, Item=stranger)

    result = filled.restore(1, apply=False)

    assert (result.extraneous, len(result.extraneous_keys)) == (3, 2)
    assert all(key in [{"Id": one["Id"]} for one in strangers] for key in result.extraneous_keys)


def test_an_empty_table_that_was_there_is_gone_on_with_too(filled):
    """Its settings stay its owner's until the end."""
    create_table(filled.client, NEW, {"Id": "S"})
    there = interrupted(filled)
    assert " made=no " in filled.tag()

    result = filled.restore(1)

    assert (result.items, result.already_there) == (MANY, there)
    assert filled.tag().startswith("finished made=no ")
    table = filled.client.describe_table(TableName=NEW)["Table"]
    assert not table["DeletionProtectionEnabled"]


def test_what_was_not_made_yet_needs_not_be_deleted(filled):
    """Interrupted while the history is read: there is no such table."""
    lines = []

    with (
        patch.object(StateFinder, "states", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        filled.restore(1, tell=lines.append)

    assert f"'{NEW}' was not made; " in lines[0]
    assert "delete" not in lines[0]
    assert not filled.exists()


def test_an_engine_without_tags_is_told_in_a_line(filled, monkeypatch):
    """All is restored, and an interrupted one is known by nothing."""

    def refuse(**_request):
        raise client_error("UnknownOperationException")

    monkeypatch.setattr(filled.client, "list_tags_of_resource", refuse)
    lines = []
    interrupted(filled, lines=lines)

    assert lines[0].endswith(f"it cannot be gone on with: delete '{NEW}' and begin anew")
    with pytest.raises(RefusedError, match="whether a restore began it is not known"):
        filled.restore(1)

    filled.client.delete_table(TableName=NEW)
    result = filled.restore(1)
    assert (result.items, result.is_clean) == (MANY, True)
    (note, *_) = result.notes
    assert "has no tag that says what it is restored from (UnknownOperationException)" in note


def test_a_lost_answer_to_the_making_of_the_table_does_no_harm(filled, monkeypatch):
    """The client asks again, and is told that the table is there: it is the one with our tag."""
    real = filled.client.create_table

    def lose_answer(**request):
        real(**request)
        return real(**request)

    monkeypatch.setattr(filled.client, "create_table", lose_answer)

    assert filled.restore(1).is_clean


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ResourceInUseException", "is just being made by somebody else"),
        ("LimitExceededException", "cannot be made now, for the account has as many tables"),
        ("ValidationException", r"cannot be made \(ValidationException\): refused"),
    ],
)
def test_a_table_that_cannot_be_made_is_a_line(filled, monkeypatch, code, expected):
    """Somebody else is making one of that name, or there are too many."""
    made = filled.client.create_table

    def refuse(**request):
        if not any(tag["Key"] == TAG for tag in request.get("Tags", ())):
            return made(**request)
        create_table(filled.client, NEW, {"Id": "S"})
        raise client_error(code)

    monkeypatch.setattr(filled.client, "create_table", refuse)

    with pytest.raises(RefusedError, match=expected):
        filled.restore(1)
    assert filled.items() == []


def test_a_table_that_takes_nothing_ends_the_run(filled):
    """With what was done, and the same order goes on later."""
    with after_two_calls(filled, client_error("AccessDeniedException")):
        result = filled.restore(1)

    assert result.ended.startswith(f"'{NEW}' answers AccessDeniedException: nothing has succeeded")
    there = len(filled.items())
    assert there in SOME
    assert (result.items, result.is_clean) == (there, False)
    assert result.unwritten == ()
    assert filled.tag().startswith("unfinished ")
    table = filled.client.describe_table(TableName=NEW)["Table"]
    assert not table["DeletionProtectionEnabled"]

    later = filled.restore(1)

    assert (later.items, later.already_there, later.is_clean) == (MANY, there, True)


def test_what_the_new_table_refuses_is_tried_again_by_the_same_order(filled, monkeypatch):
    """Its owner may have deleted the index that it does not fit into."""
    real = filled.deployment.source.client.batch_write_item

    def refuse(RequestItems):  # noqa: N803 - names of the API
        if any(one["PutRequest"]["Item"]["Id"] == text("07") for one in RequestItems[NEW]):
            raise client_error("ValidationException")
        return real(RequestItems=RequestItems)

    monkeypatch.setattr(filled.deployment.source.client, "batch_write_item", refuse)
    first = filled.restore(1)
    monkeypatch.setattr(filled.deployment.source.client, "batch_write_item", real)

    second = filled.restore(1)

    assert first.unwritten == (
        Unwritten({"Id": text("07")}, "the table answers ValidationException"),
    )
    assert (second.already_there, second.items, second.is_clean) == (MANY - 1, MANY, True)


def test_a_table_of_another_order_s_key_is_refused_before_its_tag_is_read(filled):
    """Its items could not be there."""
    create_table(filled.client, "Other", {"Key": "N"})

    with pytest.raises(RefusedError, match="has the key"):
        filled.restore(1, "Other")


def test_a_tag_says_what_it_is_of_and_no_more_than_a_tag_may():
    """Letters, digits and + - = . _ : / @ and spaces, 256 of them at most."""
    order = OrderTag("2026-03-03T18:40:00.000000Z", f"{'e' * 16}/{'f' * 36}", "0" * 36, "a" * 16)
    order = order.held_by("b" * 16)
    tag = order.with_settings(TableSettings({}, "expires_at", 35))

    assert OrderTag.read(str(tag)) == tag
    assert OrderTag.read(str(tag.finished())) == tag.finished()
    assert str(tag).endswith(" days=35 ttl=expires_at")
    for name in ("a name", "ä", "n" * 60):
        assert order.with_settings(TableSettings({}, name, 35)) == replace(order, recovery_days=35)
    assert len(str(tag)) <= len(str(order)) + 27 <= 256
    assert set(str(tag)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=._:/@ "
    )


@pytest.mark.parametrize("value", ["unfinished", "done", "", "finished made=yes at=now"])
def test_a_tag_that_somebody_else_wrote_is_none(value):
    """Its table is refused as any other that is not empty."""
    assert OrderTag.read(value) is None
