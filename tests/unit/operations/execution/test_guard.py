"""What does not belong together is refused before anything is written, and deletes have a brake."""

from dataclasses import replace
from datetime import timedelta

import pytest

from operations.errors import RefusedError
from operations.execution.guard import DeleteBrake, require_followed
from operations.execution.pace import Pace
from reports.access.table_description import TableDescription
from stream_core.control_row import RunRow, TableLife
from stream_core.history_row import HistoryRow
from tests.comparison import HISTORY, REPLICA, SOURCE, a_world
from tests.factories import STREAM_ARN, TABLE_ARN, change, item
from tests.fakes import THROTTLED

REMADE_ARN = f"{TABLE_ARN}/stream/2026-02-02T00:00:00.000"


@pytest.fixture
def world():
    with a_world() as made:
        made.client.descriptions[SOURCE] |= {
            "TableArn": TABLE_ARN,
            "LatestStreamArn": STREAM_ARN,
            "StreamSpecification": {"StreamEnabled": True},
        }
        yield made


def record(world, *identifiers, arn=STREAM_ARN, at=None):
    for identifier in identifiers:
        keys = item(identifier)
        row = change(None, keys, keys=keys, **({} if at is None else {"at": at}))
        world.record(HistoryRow.from_change(replace(row, event_source_arn=arn)))


def follow(world):
    return require_followed(world.deployment, Pace(machine=world.machine))


def brake(world, deletes=None):
    described = [
        TableDescription(world.client.describe_table(TableName=name)["Table"])
        for name in (SOURCE, REPLICA)
    ]
    return DeleteBrake.on(world.deployment, *described, deletes, Pace(machine=world.machine))


def describe(world, **changes):
    world.client.descriptions[SOURCE] |= changes


# ---- Whose history, and which stream --------------------------------------------------------


def test_what_belongs_together_is_taken(world):
    """The history's rows are of the table, and the stack follows its stream."""
    record(world, "1", "2")
    world.deployment.stream_arn = STREAM_ARN

    assert follow(world).name == SOURCE


def test_an_empty_history_is_no_other_table_s(world):
    """So is none at all."""
    assert follow(world).name == SOURCE
    world.deployment.history_table = None
    assert follow(world).name == SOURCE


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("table/Employee", "table/Other"),
        (":123456789012:", ":999999999999:"),
        ("eu-west", "us-west"),
    ],
)
def test_a_history_of_another_table_is_refused(world, part, other):
    """Of another name, account or region; one line says which is which."""
    assert part in STREAM_ARN
    record(world, "1", "2", arn=STREAM_ARN.replace(part, other))

    with pytest.raises(RefusedError) as refused:
        follow(world)

    assert str(refused.value) == (
        f"the history '{HISTORY}' is of {TABLE_ARN.replace(part, other)}, not of {TABLE_ARN}: name "
        "the table that it is of, or that table's own history"
    )


def test_control_rows_name_the_table_too(world):
    """After a large run a scan meets nothing else first."""
    other = STREAM_ARN.replace("Employee", "Other")
    run = RunRow("1", "undo", "{}", "", "ada", "itemtrail 1", other, "", world.machine.now())
    world.client.put(HISTORY, run.to_item())

    with pytest.raises(RefusedError, match=r"is of .*table/Other, not of"):
        follow(world)


def test_some_rows_of_another_table_do_not_make_a_history_its(world):
    """They stay for ever, and every question tells of them."""
    record(world, "1", "2", "3")
    record(world, "4", "5", arn=STREAM_ARN.replace("Employee", "Other"))

    assert follow(world).name == SOURCE


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"LatestStreamArn": REMADE_ARN}, "the table's stream is 2026-02-02T00:00:00.000"),
        ({"StreamSpecification": {}}, "the table's stream is off"),
    ],
)
def test_a_stack_that_follows_another_stream_is_refused(world, now, told):
    """The table was made anew, or its stream switched: what it says now is not recorded."""
    world.deployment.stack, world.deployment.stream_arn = "employee-trail", STREAM_ARN
    describe(world, **now)

    with pytest.raises(RefusedError, match=f"stack 'employee-trail' follows .*{told}"):
        follow(world)


def test_throttling_is_waited_for(world):
    """As in all else that an operation asks."""
    record(world, "1")
    world.client.script("describe_table", THROTTLED)
    world.client.script("scan", THROTTLED)

    assert follow(world).name == SOURCE


# ---- Deletes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deletes", "items", "is_refused"),
    [(100, 100, False), (101, 1010, False), (101, 1009, True), (101, 0, True), (0, 0, False)],
)
def test_a_great_share_is_refused(deletes, items, is_refused):
    """More than a tenth of the replica, and more than a hundred items."""
    assert (DeleteBrake("Copy", items).refusal(deletes) is not None) is is_refused
    assert DeleteBrake("Copy", items, is_lifted=True).refusal(deletes) is None


def test_a_refusal_says_how_to_have_it_all_the_same():
    """With the number, the table, and its name to be given."""
    with pytest.raises(RefusedError) as refused:
        DeleteBrake("Copy", 2000).require(1500)

    assert str(refused.value) == (
        "1,500 of about 2,000 items would be deleted from the replica 'Copy', and that is more "
        "than a tenth: they are deleted only where the replica is named for it (--deletes Copy)"
    )


def test_an_empty_source_deletes_nothing(world):
    """Not one item, however large the replica."""
    world.put(REPLICA, item("1"))

    assert (
        "the source 'Employee' is empty: the replica may be all that is left, so bring the items "
        "back; they are deleted only where the replica is named for it (--deletes "
    ) in brake(world).refusal(1)
    assert brake(world, deletes=REPLICA).refusal(1) is None


def test_a_source_with_items_may_delete_a_few(world):
    """As every repair does."""
    world.put(SOURCE, item("1"))

    assert brake(world).refusal(100) is None


def test_a_table_made_anew_deletes_nothing(world):
    """By its id, which a control row tells of the one before."""
    record(world, "1")
    world.put(SOURCE, item("1"))
    made = TableLife(
        STREAM_ARN, "another id", TableDescription(world.client.descriptions[SOURCE]).created_at
    )
    world.client.put(HISTORY, made.to_item())

    assert "is not the table that its history is of, but made anew" in brake(world).refusal(1)

    now = replace(made, stream_arn=REMADE_ARN, table_id=f"id-{SOURCE}")
    world.client.put(HISTORY, now.to_item())
    del world.deployment.reader
    assert brake(world).refusal(1) is None


def test_a_table_made_after_all_that_is_recorded_deletes_nothing(world):
    """Where no control row tells its id."""
    began = TableDescription(world.client.descriptions[SOURCE]).created_at
    record(world, "1", "2", at=(began - timedelta(hours=1)).timestamp())
    world.put(SOURCE, item("1"))

    assert "made anew" in brake(world).refusal(1)

    record(world, "3", arn=REMADE_ARN)
    assert brake(world).refusal(1) is None


def test_the_name_of_another_table_lifts_nothing(world):
    """It was meant for another replica."""
    with pytest.raises(RefusedError, match="'Other' is named for it"):
        brake(world, deletes="Other")
