"""What a restore or an undo would write, as items of a plan that is kept (on moto)."""

from datetime import UTC, datetime

import pytest

from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanAction, read_plan, write_plan
from operations.execution.plan_header import PlanMaker
from operations.recovery.bad_changes import select_bad
from operations.recovery.plan_items import restored_items, undone_items
from operations.recovery.restore_items import plan_restore
from operations.recovery.undo import plan_undo
from reports.access.table_description import describe
from reports.states.differences import Difference
from stream_core.attribute_values import digest
from stream_core.history_row import time_text
from tests.factories import item, number, text
from tests.recorded_table import SOURCE, RecordedTable

KEY = {"Id": text("1")}
PACE = Pace(patience_s=0)
MAKER = PlanMaker("kim", "itemtrail 1.0")


def ada(**more):
    return item("1", Name=text("Ada"), **more)


def eve(**more):
    return item("1", Name=text("Eve"), **more)


class PlannedTable(RecordedTable):
    """Whose changes are taken back by a plan that goes through a file."""

    path = None

    def restoring(self, minute=0, **options):
        plans = plan_restore(self.deployment, [KEY], self.at(minute), pace=PACE, **options)
        return self.kept("restore", restored_items(plans))

    def undoing(self, since, until):
        since, until = self.at(since), self.at(until)
        selected = select_bad(self.deployment, since=since, until=until, pace=PACE)
        return self.kept(
            "undo", undone_items(plan_undo(self.deployment, selected, pace=PACE).items)
        )

    def kept(self, command, items):
        table = describe(self.client, SOURCE)
        header = MAKER.header(self.deployment, command, {"a": 1}, table, PACE)
        write_plan(self.path, Plan(header, items))
        return read_plan(self.path)


@pytest.fixture
def world(session, tmp_path):
    table = PlannedTable(session)
    table.path = tmp_path / "the.plan"
    return table


def test_a_plan_says_what_becomes_of_an_item(world):
    """Attribute by attribute, with the digests of what it was and what it is going to be."""
    world.record_states(ada(Old=number(1)), eve(New=number(2)))

    (planned,) = world.restoring().items

    assert (planned.number, planned.keys, planned.action) == (1, KEY, PlanAction.UPDATE)
    assert sorted(planned.edits, key=lambda edit: edit.path) == [
        Difference(("Name",), text("Eve"), text("Ada")),
        Difference(("New",), number(2), None),
        Difference(("Old",), None, number(1)),
    ]
    assert planned.before == digest(eve(New=number(2))).hex()
    assert planned.after == digest(ada(Old=number(1))).hex()


def test_what_needs_nothing_or_is_refused_is_in_no_plan(world):
    """Uncertain states are, where they are allowed, with why they are."""
    world.record_states(ada(), eve(), ada(Salary2=number(2)), missing={1})

    refused = world.restoring()
    (allowed,) = world.restoring(allow_uncertain=True).items
    unneeded = world.restoring(2)

    assert (refused.items, unneeded.items) == ((), ())
    assert allowed.notes[0].startswith("what it was is only bounded: ")


def test_a_header_says_for_which_table_a_plan_was_made(world):
    """By its id, which a table made anew does not have; and up to when the history was known."""
    header = world.restoring().header

    table = world.client.describe_table(TableName=SOURCE)["Table"]
    assert (header.table.arn, header.table.table_id) == (
        table["TableArn"],
        table.get("TableId", ""),
    )
    assert header.history.endswith(":table/EmployeeHistory")
    assert header.made_at <= datetime.now(UTC)
    assert header.watermark is not None
    assert (header.made_by, header.tool, header.command) == ("kim", "itemtrail 1.0", "restore")


def test_whole_items_come_and_go(world):
    """With the whole of what comes, or goes."""
    world.record_states(ada(), None, eve())

    (gone,), (back,) = world.restoring(1).items, world.restoring(0).items

    assert (gone.action, gone.edits) == (PlanAction.DELETE, (Difference((), {"M": eve()}, None),))
    assert gone.after is None
    assert back.action is PlanAction.UPDATE


def test_an_undo_is_planned_with_the_rows_that_it_rests_on(world):
    """And what it writes, with the digests of the item before and after."""
    world.record_states(ada(), eve())

    (planned,) = world.undoing(1, 2).items

    assert planned.edits == (Difference(("Name",), text("Eve"), text("Ada")),)
    assert [key.partition("#")[0] for key in planned.because] == [time_text(world.at(1))]
    assert (planned.before, planned.after) == (digest(eve()).hex(), digest(ada()).hex())


def test_an_undone_expiry_is_planned_with_a_word_about_it(world):
    """DynamoDB deletes the item again; whoever approves the plan knows."""
    specification = {"Enabled": True, "AttributeName": "expires"}
    world.client.update_time_to_live(TableName=SOURCE, TimeToLiveSpecification=specification)
    expired = number(int(world.at(0).timestamp()))
    world.record_states(ada(expires=expired), None)

    (planned,) = world.undoing(1, 2).items

    assert planned.action is PlanAction.PUT
    assert [note.partition(":")[0] for note in planned.notes] == ["it will expire again"]
