"""The mark of a finished backfill: set when it is true, and not otherwise."""

from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import pytest

from operations.backfill import mark as marking
from operations.backfill.mark import MarkOutcome, recording_problem
from operations.backfill.plan import backfill
from operations.errors import OperationError
from operations.execution.pace import Pace
from reports.errors import ReportError
from stream_core.control_row import BackfillMark, TableLife
from stream_core.history_row import HistoryRow
from tests import export_files as made
from tests.backfilled_tables import ARN, BEGAN, HISTORY, NOW, SOURCE, STREAM, BackfilledTables
from tests.factories import change, item
from tests.fakes import DENIED, THROTTLED

TABLE_ID = "12345a12-abcd-123a-ab12-1234abc12345"
MAPPING = {
    "EventSourceArn": STREAM,
    "State": "Enabled",
    "StartingPosition": "TRIM_HORIZON",
    "LastModified": BEGAN,
}
STACK = object()


@pytest.fixture
def world():
    made_world = BackfilledTables()
    yield made_world
    made_world.close()


@pytest.fixture
def mapping(monkeypatch):
    """What Lambda says of the history writer's mapping, to be changed; or an error to raise."""
    answer = dict(MAPPING)

    def tell(_consumer):
        if "error" in answer:
            raise answer["error"]
        return answer

    monkeypatch.setattr(
        marking, "StackReader", lambda *_: nullcontext(SimpleNamespace(mapping=tell))
    )
    return answer


@pytest.fixture
def run(world, mapping, tmp_path):
    assert mapping

    def start(**options):
        given = {"stack": STACK, "apply": True, "state_path": tmp_path / "state", "segments": 1}
        return backfill(
            world.deployment, pace=Pace(patience_s=0, machine=world.machine), **given | options
        )

    return start


def marks(world):
    return [row for row in world.controls() if isinstance(row, BackfillMark)]


def test_a_finished_backfill_leaves_its_mark(world, run):
    """It says when it was begun and finished, of which table and stream, and what was done."""
    world.put(item("1"), item("2"))

    result = run()

    (mark,) = marks(world)
    assert (mark.stream_arn, mark.table_id, mark.method) == (STREAM, TABLE_ID, "scan")
    assert NOW <= mark.started <= mark.finished <= NOW + timedelta(seconds=2)
    assert mark.counts["scanned"] == mark.counts["baselines"] == 2
    assert (result.mark.outcome, result.mark.since) == (MarkOutcome.WRITTEN, mark.started)
    assert [row for row in world.controls() if isinstance(row, TableLife)] == [
        TableLife(STREAM, TABLE_ID, BEGAN)
    ]


def test_run_again_it_adds_nothing(world, run):
    """The first mark stays the only one, and counts."""
    world.put(item("1"))
    first = run()
    stored = world.tables.items(HISTORY)
    world.now += timedelta(days=1)

    again = run()

    assert (again.mark.outcome, again.mark.since) == (MarkOutcome.THERE, first.mark.since)
    assert world.tables.items(HISTORY) == stored


def test_a_dry_run_says_that_it_would_be_set(world, run):
    """And writes nothing."""
    world.put(item("1"))

    result = run(apply=False)

    assert result.mark.outcome is MarkOutcome.PLANNED
    assert world.tables.items(HISTORY) == []


def test_an_export_vouches_since_its_own_time(world, run, tmp_path):
    """What was in the table at the time of the export has a row; the mapping read before it."""
    files = made.export_files([item("1")], table_arn=ARN)
    result = run(export=made.write_to(tmp_path, files), replica=False)

    (mark,) = marks(world)
    assert (mark.method, result.mark.since) == ("export", mark.started)
    assert mark.started == made.EXPORT_TIME


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"State": "Disabled"}, "is Disabled"),
        ({"EventSourceArn": f"{STREAM}1"}, "the table's stream is"),
        ({"StartingPosition": "LATEST"}, "began at LATEST"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "has a filter"),
        ({"LastModified": NOW + timedelta(minutes=1)}, "not before the backfill began"),
        ({"error": ReportError("refused")}, "cannot be read (refused)"),
    ],
)
def test_without_proof_of_what_was_recorded_there_is_no_mark(world, run, mapping, changed, why):
    """Every item gets its baseline all the same, and the reason says what to do."""
    world.put(item("1"))
    mapping |= changed

    result = run()

    assert (result.finished, marks(world)) == (True, [])
    assert result.mark.outcome is MarkOutcome.REFUSED
    assert why in result.mark.reason
    assert len(world.rows()) == 1


def test_without_a_stack_there_is_no_mark(world, run):
    """A person cannot vouch for what was recorded; the reason says how to get the mark."""
    world.put(item("1"))

    result = run(stack=None)

    assert (result.mark.outcome, marks(world)) == (MarkOutcome.REFUSED, [])
    assert "once more with --stack NAME" in result.mark.reason
    assert run().mark.outcome is MarkOutcome.WRITTEN


def test_a_mapping_as_old_as_the_backfill_is_too_young():
    """It has to have read from before the moment that the mark speaks of."""
    assert recording_problem(MAPPING | {"LastModified": NOW}, STREAM, NOW) is not None
    earlier = NOW - timedelta(microseconds=1)
    assert recording_problem(MAPPING | {"LastModified": earlier}, STREAM, NOW) is None
    assert recording_problem(MAPPING | {"LastModified": None}, STREAM, NOW) is not None


def test_what_is_left_undone_or_refused_sets_no_mark(world, run):
    """An item without a beginning may have been there: nothing may rest on its having no row."""
    world.put(item("1"), item("2"))
    world.tables.script("batch_execute_statement", DENIED)
    result = run()
    assert not result.finished
    assert (result.mark.outcome, marks(world)) == (MarkOutcome.REFUSED, [])

    assert run().mark.outcome is MarkOutcome.WRITTEN


def test_an_interrupted_backfill_vouches_since_its_first_run(world, run):
    """Parts that an earlier run has read were read then."""
    world.put(item("1"))
    world.tables.always("batch_write_item", DENIED)
    assert not run().finished
    world.tables.always("batch_write_item", None)
    world.now += timedelta(days=2)

    assert run().mark.since < NOW + timedelta(seconds=2)


def test_a_mapping_younger_than_the_first_run_does_not_vouch(world, run, mapping):
    """What was deleted between the runs may be recorded nowhere."""
    world.put(item("1"))
    world.tables.always("batch_write_item", DENIED)
    assert not run().finished
    world.tables.always("batch_write_item", None)
    world.now += timedelta(days=2)
    mapping["LastModified"] = NOW + timedelta(days=1)

    assert run().mark.outcome is MarkOutcome.REFUSED


def test_a_mark_that_cannot_be_written_is_gone_on_with(world, run, tmp_path):
    """The state file stays until it is there, with the time of the first run."""
    world.put(item("1"))
    world.tables.script("batch_execute_statement", None, None, THROTTLED)

    with pytest.raises(OperationError):
        run()
    assert (tmp_path / "state").exists()
    world.now += timedelta(days=2)

    result = run()

    assert result.mark.outcome is MarkOutcome.WRITTEN
    assert result.mark.since < NOW + timedelta(seconds=2)
    assert not (tmp_path / "state").exists()


def test_a_stream_made_anew_meanwhile_gets_no_mark(world, run):
    """Nothing was recorded between the two streams."""
    world.put(item("1"))
    told = world.tables.descriptions[SOURCE]

    def turn(request, carry_out):
        world.tables.descriptions[SOURCE] = told | {"LatestStreamArn": f"{STREAM}1"}
        return carry_out(**request)

    world.tables.script("scan", turn)

    result = run()

    assert (result.mark.outcome, marks(world)) == (MarkOutcome.REFUSED, [])
    assert "became another one" in result.mark.reason


def test_without_the_history_there_is_nothing_to_say(world, run):
    """A backfill of the replica alone neither sets a mark nor speaks of one."""
    world.put(item("1"))

    assert run(history=False).mark is None
    assert world.tables.items(HISTORY) == []


def test_rows_are_told_from_control_rows(world, run):
    """An item whose key is the control rows' `Id` has its own rows, and gets its baseline."""
    world.put(item("!itemtrail"))
    run()

    (row,) = world.rows()
    assert row.change.new_image == item("!itemtrail")
    assert HistoryRow.from_change(change(None, item("!itemtrail"))).id == row.id == "!!itemtrail"


def test_rows_of_an_earlier_table_are_no_beginning(world, run):
    """A table made anew under its name has items of its own: each gets its baseline."""
    age_s = (NOW - BEGAN).total_seconds()
    world.put(item("1"), item("2"))
    world.record(None, item("1"), sequence=100000000003218256368, before_s=age_s + 60)
    world.record(None, item("2"), sequence=100000000003218256369, before_s=age_s)

    result = run()

    assert (result.counts.baselines, result.counts.already_there) == (1, 1)
    assert [row.change.event_name for row in world.rows("1")] == ["INSERT", "SNAPSHOT"]
