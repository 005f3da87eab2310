"""The same restore twice at once: one run has the new table, the other writes no more (on moto)."""

import pytest

from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.recovery.table import restore
from operations.recovery.table.hold import LOOK_EVERY_S
from operations.recovery.table.order import TAG
from operations.recovery.table.restore import restore_table
from reports.access.machine import Machine
from tests.factories import number, text
from tests.fakes import DENIED, THROTTLED
from tests.tables import create_table
from tests.unit.operations.recovery.table.world import NEW, version

A_CALL, MANY = 2, 8


class Time:
    """A clock that only pauses move; gives the pace of a run by it."""

    def __init__(self):
        self.seconds = 0.0

    def pass_by(self, seconds):
        self.seconds += seconds

    def pace(self):
        machine = Machine(clock=lambda: self.seconds, sleep=self.pass_by, jitter=lambda: 1.0)
        return Pace(patience_s=0, machine=machine)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def filled(world, monkeypatch):
    """A table of items that take four calls to write, one after another."""
    monkeypatch.setattr(restore, "MAX_WRITES", A_CALL)
    monkeypatch.setattr(restore, "in_order", one_by_one)
    for n in range(MANY):
        world.live(f"{n:02d}", version(f"{n:02d}", 1), version(f"{n:02d}", 2))
    return world


def one_by_one(work, tasks, **_):
    """What is done side by side, in the order asked for."""
    return (work(task) for task in tasks)


def after_calls(world, number_of_calls, happening):
    """Something happens once, after so many calls that write."""
    client = world.deployment.source.client
    real, left = client.batch_write_item, [number_of_calls]

    def write(**request):
        answer = real(**request)
        left[0] -= 1
        if left[0] == 0:
            happening()
        return answer

    client.batch_write_item = write


def use(world):
    """The application moves over to the new table."""
    for one in world.items():
        world.client.put_item(TableName=NEW, Item={**one, "Version": number(99)})
    world.client.delete_item(TableName=NEW, Key={"Id": text("07")})
    return world.items()


def run_of(world):
    return world.tag().rpartition("run=")[2]


def test_a_run_writes_nothing_into_a_table_that_another_has_finished(filled, time):
    """The quick one waits until the slow one must have seen it; then the table is anyone's."""
    seen = []

    def other():
        seen.extend((filled.restore(1, pace=time.pace()), use(filled)))

    after_calls(filled, 1, other)
    slow = filled.restore(1, pace=time.pace())

    quick, in_use = seen
    assert (quick.is_clean, quick.items) == (True, MANY)
    assert filled.items() == in_use
    assert slow.ended == (
        f"run {run_of(filled)} has finished '{NEW}', so it is anyone's to write to: nothing more "
        "is written by this one, and nothing is left to do"
    )
    assert (slow.is_finished, slow.may_go_on) == (False, False)
    assert filled.tag().startswith("finished ")


def test_a_run_from_which_another_has_taken_over_ends(filled, time):
    """At its next look; the other goes on."""

    def other():
        after_calls(filled, 1, interrupt)
        with pytest.raises(KeyboardInterrupt):
            filled.restore(1, pace=time.pace())
        time.pass_by(LOOK_EVERY_S)

    def interrupt():
        raise KeyboardInterrupt

    after_calls(filled, 1, other)
    slow = filled.restore(1, pace=time.pace())

    assert len(filled.items()) == 2 * A_CALL
    assert slow.ended.startswith(f"run {run_of(filled)} has taken '{NEW}' over: nothing more")
    assert not slow.may_go_on
    later = filled.restore(1, pace=time.pace())
    assert (later.is_clean, later.already_there) == (True, 2 * A_CALL)


def test_a_table_is_not_taken_over_that_another_has_finished_since_the_plan(filled, time):
    """As while somebody thought about the question."""
    begin_only(filled, time)
    plan = filled.plan(1, pace=time.pace())
    filled.restore(1, pace=time.pace())
    in_use = use(filled)

    result = restore_table(filled.deployment, plan, apply=True, pace=time.pace())

    assert f"has finished '{NEW}'" in result.ended
    assert filled.items() == in_use


def begin_only(world, time):
    """A run that ends after its first call."""

    def interrupt():
        raise KeyboardInterrupt

    real = world.deployment.source.client.batch_write_item
    after_calls(world, 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.restore(1, pace=time.pace())
    world.deployment.source.client.batch_write_item = real


@pytest.mark.parametrize("is_finished", [True, False])
def test_an_empty_table_that_another_run_has_begun_since_the_plan_is_left(
    filled, time, is_finished
):
    """Whether that one has finished it or not."""
    create_table(filled.client, NEW, {"Id": "S"})
    plan = filled.plan(1, pace=time.pace())
    if is_finished:
        filled.restore(1, pace=time.pace())
        before = use(filled)
        with pytest.raises(RefusedError, match="is finished"):
            restore_table(filled.deployment, plan, apply=True, pace=time.pace())
    else:
        begin_only(filled, time)
        before = filled.items()
        result = restore_table(filled.deployment, plan, apply=True, pace=time.pace())
        assert f"run {run_of(filled)} has taken '{NEW}' over" in result.ended

    assert filled.items() == before


def test_a_table_that_another_run_has_just_made_is_its_own(filled, time, monkeypatch):
    """It is no answer of this run's that was lost, though the order is the same."""
    plan = filled.plan(1, pace=time.pace())
    real, lines = filled.client.create_table, []

    def late(**request):
        monkeypatch.setattr(filled.client, "create_table", real)
        begin_only(filled, time)
        return real(**request)

    monkeypatch.setattr(filled.client, "create_table", late)

    with pytest.raises(RefusedError, match="is just being made by somebody else"):
        restore_table(filled.deployment, plan, apply=True, tell=lines.append, pace=time.pace())
    assert lines == []
    assert len(filled.items()) == A_CALL


@pytest.mark.parametrize("operation", ["list_tags_of_resource", "describe_table"])
def test_a_run_that_cannot_tell_who_has_the_table_ends(filled, time, monkeypatch, operation):
    """It may be anyone's by now."""

    def refuse(**_request):
        raise DENIED

    def happening():
        monkeypatch.setattr(filled.client, operation, refuse)
        time.pass_by(LOOK_EVERY_S)

    after_calls(filled, 1, happening)

    result = filled.restore(1, pace=time.pace())

    assert result.ended.startswith(f"which run has '{NEW}' cannot be told (AccessDenied")
    assert (len(filled.items()), result.may_go_on) == (A_CALL, True)


def test_a_table_whose_tag_is_gone_is_written_no_more(filled, time):
    """Somebody has removed it, or made the table anew."""

    def happening():
        arn = filled.client.describe_table(TableName=NEW)["Table"]["TableArn"]
        filled.client.untag_resource(ResourceArn=arn, TagKeys=[TAG])
        time.pass_by(LOOK_EVERY_S)

    after_calls(filled, 1, happening)

    result = filled.restore(1, pace=time.pace())

    assert result.ended.startswith(f"'{NEW}' has no longer the tag")
    assert len(filled.items()) == A_CALL


def test_a_tag_that_cannot_be_set_to_finished_leaves_it_unfinished(filled, time, monkeypatch):
    """Else what is deleted in the meantime would come back by the same command, without a word."""

    def refuse(**_request):
        raise DENIED

    with monkeypatch.context() as patched:
        patched.setattr(filled.client, "tag_resource", refuse)
        result = filled.restore(1, pace=time.pace())

    assert result.ended.startswith(f"all is in '{NEW}', but its tag {TAG} could not be set to")
    assert filled.tag().replace("unfinished", "finished") in result.ended
    assert (result.items, result.is_finished, result.may_go_on) == (MANY, False, True)
    assert result.notes == ()
    later = filled.restore(1, pace=time.pace())
    assert (later.is_clean, later.already_there) == (True, MANY)
    assert filled.tag().startswith("finished ")


def test_a_throttled_last_tag_is_tried_again(filled, monkeypatch, time):
    """For as long as the run has patience."""
    real, pace = filled.client.tag_resource, time.pace()
    pace.patience_s = 60

    def throttle(**request):
        if time.seconds < 20:
            raise THROTTLED
        return real(**request)

    monkeypatch.setattr(filled.client, "tag_resource", throttle)

    assert filled.restore(1, pace=pace).is_clean
    assert filled.tag().startswith("finished ")


def test_a_table_that_cannot_be_taken_over_is_left(filled, time, monkeypatch):
    """Two runs would not know of each other."""
    begin_only(filled, time)

    def refuse(**_request):
        raise DENIED

    monkeypatch.setattr(filled.client, "tag_resource", refuse)

    result = filled.restore(1, pace=time.pace())

    assert "cannot be taken over: its tag is not set (AccessDenied" in result.ended
    assert len(filled.items()) == A_CALL
