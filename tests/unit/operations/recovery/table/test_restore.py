"""A whole table comes back as it was, as a new one; the source is only read (on moto)."""

from collections import Counter
from dataclasses import replace

import pytest

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.recovery.table.order import TableOrder
from operations.recovery.table.plan import plan_table
from operations.recovery.table.results import Uncertain, Unwritten
from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema
from reports.states.timeline import Certainty
from tests.factories import item, number, text
from tests.fakes import client_error
from tests.recorded_table import HISTORY, SOURCE
from tests.tables import create_table
from tests.unit.operations.recovery.table.world import NEW, version


def test_every_item_is_in_the_new_table_as_it_was(world):
    """Changed since, deleted since, and not yet made."""
    for n in range(26):
        world.live(f"same-{n:02d}", version(f"same-{n:02d}", 1))
    world.live("changed", version("changed", 1), version("changed", 2))
    world.live("deleted", version("deleted", 1), None)
    world.live("new", None, version("new", 1))
    before = world.items(SOURCE)

    result = world.restore(1)

    assert result.is_clean
    assert (result.applied, result.items, result.notes) == (True, 28, ())
    expected = ["changed", "deleted", *(f"same-{n:02d}" for n in range(26))]
    assert [one["Id"]["S"] for one in world.items()] == expected
    assert {one["Version"]["N"] for one in world.items()} == {"1"}
    assert world.items(SOURCE) == before


def test_a_dry_run_counts_and_makes_nothing(world):
    """It reads what the real one would."""
    world.live("1", version("1", 1), version("1", 2))
    world.live("2", version("2", 1), None)

    result = world.restore(1, apply=False)

    assert (result.applied, result.items, result.is_clean) == (False, 2, True)
    assert result.method in {"history", "rewind"}
    assert not world.exists()


def test_uncertain_states_are_listed_and_written_where_that_is_allowed(world):
    """With the reason; one that is not sure not to have existed is listed as absent."""
    world.live("1", version("1", 1), version("1", 2), version("1", 3), missing={2})
    world.live("2", version("2", 1))
    world.live("3", version("3", 1), None, version("3", 2), missing={1, 3})

    refused = world.restore(2)

    assert [one["Id"]["S"] for one in world.items()] == ["2"]
    assert (refused.items, refused.is_finished, refused.may_go_on) == (1, False, True)
    assert world.tag().startswith("unfinished ")

    result = world.restore(2, allows_uncertain=True)

    assert (result.is_clean, result.is_finished, result.already_there) == (False, True, 1)
    assert world.tag().startswith("finished ")
    assert result.listed == refused.listed
    assert result.items == len(world.items()) == 2
    assert {one.keys["Id"]["S"]: one.exists for one in result.listed} == {"1": True, "3": False}
    assert all(one.certainty is Certainty.BOUNDED for one in result.listed)
    assert sum(result.uncertain.values()) == 2
    reason = "a change is missing between the rows before and after"
    assert result.uncertain[Certainty.BOUNDED, reason] == 1
    assert Uncertain({"Id": text("1")}, True, Certainty.BOUNDED, reason) in result.listed


def test_no_table_is_made_for_items_of_which_none_is_certain(world):
    """It would stand there empty, and unfinished."""
    world.live("1", version("1", 1), version("1", 2), version("1", 3), missing={2})

    result = world.restore(2)

    assert result.ended == "nothing is made: of none of 1 items it is certain what they were"
    assert not world.exists()


@pytest.mark.parametrize("name", [SOURCE, HISTORY])
def test_tables_in_use_are_refused(world, name):
    """Whatever is in them."""
    with pytest.raises(RefusedError, match="is in use here"):
        world.restore(1, name)


def test_a_table_with_items_is_refused(world):
    """Also in a dry run."""
    world.live("1", version("1", 1))
    create_table(world.client, "Other", {"Id": "S"})
    world.client.put_item(TableName="Other", Item=item("theirs"))

    for apply in (True, False):
        with pytest.raises(RefusedError, match="'Other' is not empty, and no restore has begun it"):
            world.restore(1, "Other", apply=apply)

    assert world.items("Other") == [item("theirs")]


@pytest.mark.parametrize("types", [{"Id": "N"}, {"Id": "S", "Other": "S"}, {"Key": "S"}])
def test_a_table_of_another_key_is_refused(world, types):
    """The items would not fit."""
    create_table(world.client, "Other", types)

    with pytest.raises(RefusedError, match=r"has the key .*, not Id \(S\)"):
        world.restore(1, "Other")


def test_an_empty_table_is_filled_as_it_is(world):
    """Its settings are its owner's, and that is said."""
    world.live("1", version("1", 1))
    create_table(world.client, NEW, {"Id": "S"})

    result = world.restore(1)

    assert result.items == len(world.items()) == 1
    assert result.notes == (f"'{NEW}' was there before: its settings are as they were",)
    table = world.client.describe_table(TableName=NEW)["Table"]
    assert not table["DeletionProtectionEnabled"]


def test_an_engine_without_recovery_is_told(world, monkeypatch):
    """The items are there; what protects them has to be seen to."""
    world.live("1", version("1", 1))

    def refuse(**_request):
        raise client_error("UnknownOperationException")

    monkeypatch.setattr(world.deployment.dynamodb, "update_continuous_backups", refuse)

    result = world.restore(1)

    assert result.is_clean
    assert result.notes == (
        f"point-in-time recovery of '{NEW}' is not on (UnknownOperationException): turn it on",
    )


def test_what_the_new_table_does_not_take_is_listed(world, monkeypatch):
    """With its key and the table's code; the others are written."""
    for n in range(3):
        world.live(str(n), version(str(n), 1))
    real = world.deployment.source.client.batch_write_item

    def refuse(RequestItems):  # noqa: N803 - names of the API
        if any(one["PutRequest"]["Item"]["Id"] == text("1") for one in RequestItems[NEW]):
            raise client_error("ValidationException", message="secret")
        return real(RequestItems=RequestItems)

    monkeypatch.setattr(world.deployment.source.client, "batch_write_item", refuse)

    result = world.restore(1)

    assert result.unwritten == (
        Unwritten({"Id": text("1")}, "the table answers ValidationException"),
    )
    assert (result.items, len(world.items()), result.is_clean) == (2, 2, False)


def test_a_source_that_is_gone_is_restored_from_its_history(world):
    """Its key has to be said; what nothing confirms is uncertain, and there."""
    world.live("1", version("1", 1), version("1", 2))
    world.live("2", version("2", 1))
    world.client.delete_table(TableName=SOURCE)

    with pytest.raises(RefusedError, match="'Employee' is gone: say what its key was"):
        world.restore(1)
    result = world.restore(1, key_schema=KeySchema({"Id": "S"}), allows_uncertain=True)

    assert [one["Version"] for one in world.items()] == [number(1), number(1)]
    assert result.method == "history"
    assert result.uncertain == Counter(
        {
            (
                Certainty.UNKNOWN,
                "no later row, and no source table was given to confirm the last one",
            ): 1
        }
    )


def test_a_wrong_history_table_is_named(world):
    """It must not pass for one of a table that was empty."""
    deployment = DeployedTables(SOURCE, world.session, history_table="Nothing", time_shards=4)

    with pytest.raises(TableNotFoundError, match="Nothing"):
        plan_table(deployment, TableOrder(NEW, world.at(1)), pace=Pace())


def test_the_replica_is_not_restored_into(world):
    """Its writer would go on writing into it."""
    world.deployment = replace(world.deployment, replica_table="Replica")

    with pytest.raises(RefusedError, match="is in use here"):
        world.restore(1, "Replica")


def test_a_table_that_is_there_is_asked_consistently_whether_it_is_empty(world):
    """When it is planned and when it is begun: an item that was just written must show."""
    world.live("1", version("1", 1))
    create_table(world.client, NEW, {"Id": "S"})
    scans = []
    world.deployment.dynamodb.meta.events.register(
        "provide-client-params.dynamodb.Scan", lambda params, **_: scans.append(params)
    )

    world.restore(1)

    assert [scan.get("ConsistentRead") for scan in scans if scan["TableName"] == NEW] == [True] * 2


def test_a_new_table_is_waited_for(world):
    """DynamoDB refuses what is written into one that it is still making."""
    world.live("1", version("1", 1))
    calls = []
    world.deployment.dynamodb.meta.events.register(
        "provide-client-params.dynamodb",
        lambda params, model, **_: calls.append((model.name, params.get("TableName"))),
    )

    world.restore(1)

    following = calls[calls.index(("CreateTable", NEW)) + 1]
    assert following == ("DescribeTable", NEW)


def test_what_global_tables_add_is_not_restored(world):
    """The new table is a replica of none."""
    world.live("1", version("1", 1) | {"aws:rep:updatetime": number(1)})

    world.restore(1)

    assert world.items() == [version("1", 1)]
