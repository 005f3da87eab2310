"""Backfill: a baseline for what needs one, the replica as the source, from wherever it stopped."""

import contextlib
import json
import re
from datetime import timedelta
from itertools import count

import pytest
from botocore.exceptions import ClientError

from operations.backfill import run as backfill_run
from operations.backfill.plan import backfill
from operations.errors import RefusedError, StateFileError
from operations.execution.pace import Pace
from operations.execution.service_clock import ServiceClock
from reports.access.progress import silent
from reports.errors import TableNotFoundError
from reports.exports.export_folder import ExportError
from reports.inputs.keys import KeySchema
from reports.verification.continuity import FindingKind, Link, judge_chain
from reports.verification.gaps import declare, read_gaps
from stream_core.change import EventName
from tests import export_files as made
from tests.backfilled_tables import (
    ARN,
    BEGAN,
    HISTORY,
    NOW,
    OVERFLOW,
    REPLICA,
    SOURCE,
    STREAM,
    BackfilledTables,
    describe,
)
from tests.factories import item, number, text
from tests.fakes import (
    DENIED,
    THROTTLED,
    client_error,
    lose_answer,
    refuse_call,
    refuse_statements,
)

TICK = NOW.replace(microsecond=0)
PAGE_ITEMS = 30


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(backfill_run, "PAGE_ITEMS", PAGE_ITEMS)


@pytest.fixture
def world():
    made_world = BackfilledTables()
    yield made_world
    made_world.close()


@pytest.fixture
def run(world, tmp_path):
    """Run a backfill of the world, one segment after the other by default."""

    def start(rate=None, patience_s=None, progress=silent, **options):
        return backfill(
            world.deployment,
            **{
                "segments": 1,
                "apply": True,
                "state_path": tmp_path / "state",
                "pace": Pace(rate, patience_s, progress, world.machine),
                **options,
            },
        )

    return start


def items(count):
    return [item(f"{n:03d}", Count=number(n)) for n in range(count)]


def tell(result):
    """The counts that are not zero."""
    return {name: count for name, count in result.counts.as_json().items() if count}


# ---- What it does --------------------------------------------------------------------------


def test_items_without_history_get_a_baseline_and_a_replica(world, run):
    """Stamped with the second they were read in, sealed, sorted first in it, whole."""
    world.put(*items(3))

    result = run()

    assert result.finished
    assert tell(result) == {"scanned": 3, "baselines": 3, "settled": 3}
    assert (result.problems, result.unfinished, result.go_on) == ([], [], None)
    assert [row.change.new_image for row in world.rows()] == world.source() == world.replica()
    for row, image in zip(world.rows(), items(3), strict=True):
        row.check()
        assert row.sort_key == f"{TICK:%Y-%m-%dT%H:%M:%S}.000000Z#{'0' * 40}"
        assert (row.change.event_name, row.change.sequence_number) == (EventName.SNAPSHOT, "0")
        assert row.change.created_at == TICK
        assert row.change.keys == {"Id": image["Id"]}
        assert row.change.old_image is None
        assert (row.change.event_source_arn, row.change.aws_region) == (STREAM, "eu-west-1")
    assert len({row.change.event_id for row in world.rows()}) == 3


def test_run_twice_it_adds_nothing(world, run):
    """Also a day later, when it would be stamped otherwise."""
    world.put(*items(3))
    run()
    before = world.rows()
    world.now += timedelta(days=1)

    result = run()

    assert tell(result) == {"scanned": 3, "already_there": 3, "settled": 3}
    assert world.rows() == before


@pytest.mark.parametrize("segments", [1, 2, 7])
def test_all_of_a_table_is_read(world, run, segments, tmp_path):
    """Every page of every segment, however many of either; nothing is left behind."""
    world.put(*items(70))
    told = []

    result = run(segments=segments, progress=lambda *one: told.append(one))

    assert result.counts.scanned == result.counts.baselines == len(world.rows()) == 70
    assert world.replica() == world.source()
    assert told[-1] == ("items", 70, 70)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_table_is_done_at_once(world, run):
    """With as many segments as there are."""
    assert run(segments=4).finished
    assert world.rows() == []


FIRST, THEN = item("1", Count=number(1)), item("1", Count=number(2))


@pytest.mark.parametrize(
    ("history", "expected", "events"),
    [
        ([(None, FIRST)], {"already_there": 1}, ["INSERT"]),
        ([(None, FIRST), (FIRST, THEN)], {"already_there": 1}, ["INSERT", "MODIFY"]),
        ([(FIRST, THEN)], {"baselines": 1, "changed_first": 1}, ["MODIFY", "SNAPSHOT"]),
        (
            [(FIRST, None), (None, THEN)],
            {"baselines": 1, "changed_first": 1},
            ["REMOVE", "INSERT", "SNAPSHOT"],
        ),
    ],
)
def test_the_first_row_says_whether_a_baseline_is_needed(world, run, history, expected, events):
    """An INSERT shows the beginning; a change of what was there before shows that it does not."""
    for sequence, (old, new) in enumerate(history, 1):
        world.record(old, new, sequence=sequence)
    world.put(history[-1][1])

    result = run(replica=False)
    again = run(replica=False)

    assert tell(result) == {"scanned": 1, **expected}
    assert [row.change.event_name for row in world.rows()] == events
    late = {"changed_first": 1} if "changed_first" in expected else {}
    assert tell(again) == {"scanned": 1, "already_there": 1, **late}
    assert len(world.rows()) == len(events)


def test_a_baseline_is_found_among_many_rows(world, run):
    """However late in the item's history it was taken: a second one is never written."""
    for sequence in range(1, 8):
        world.record(
            item("1", N=number(sequence)),
            item("1", N=number(sequence + 1)),
            sequence=sequence,
            before_s=900 - sequence,
        )
    world.put(item("1", N=number(8)))
    run()
    for sequence in range(8, 14):
        world.record(
            item("1", N=number(sequence)),
            item("1", N=number(sequence + 1)),
            sequence=sequence,
            before_s=-sequence,
        )

    result = run()

    assert tell(result) == {"scanned": 1, "already_there": 1, "changed_first": 1, "settled": 1}


def test_a_change_recorded_between_the_read_and_the_baseline_comes_after_it(world, run):
    """The baseline shows what was read, and its second is that of the read: it begins the chain."""
    world.put(FIRST)

    def change_meanwhile(_request, carry_out):
        world.put(THEN)
        world.record(FIRST, THEN, sequence=1, before_s=-5)
        return carry_out()

    world.tables.script("query", change_meanwhile)
    result = run()

    assert tell(result) == {"scanned": 1, "baselines": 1, "settled": 1}
    assert [row.change.event_name for row in world.rows()] == ["SNAPSHOT", "MODIFY"]
    assert world.rows()[0].change.new_image == FIRST
    assert world.replica() == [THEN]


def test_what_global_tables_add_stays_in_the_history_only(world, run):
    """The history records what is; the replica has the owner's data."""
    world.put(item("1", **{"aws:rep:updateregion": text("eu-west-1")}))

    run()

    assert world.rows()[0].change.new_image == world.source()[0]
    assert world.replica() == [item("1")]


def test_a_large_item_overflows(world, run):
    """An item that fills a row has its image outside, as the writers do it."""
    world.put(item("1", Data=text("x" * 409_500)))

    result = run()

    (row,) = world.rows()
    assert result.counts.baselines == 1
    assert row.overflow.key in world.s3.bodies(OVERFLOW)
    assert world.replica() == world.source()


def test_keys_of_two_attributes(tmp_path):
    """Keys go to the state file and back, and name the item everywhere."""
    world = BackfilledTables(("Pk", "Sk"))
    world.put(*({"Pk": text("p|"), "Sk": text(f"{n}"), "N": number(n)} for n in range(3)))

    result = backfill(
        world.deployment,
        segments=2,
        apply=True,
        state_path=tmp_path / "state",
        pace=Pace(machine=world.machine),
    )

    assert result.counts.baselines == 3
    assert world.replica() == world.source()
    assert [row.id for row in world.rows()] == ["p\\||0", "p\\||1", "p\\||2"]
    world.close()


def test_either_part_can_be_left_out(world, run):
    """Only the history, or only the replica; the tables of the other are not even named."""
    world.put(*items(2))

    run(replica=False)
    assert (len(world.rows()), world.replica()) == (2, [])
    world.deployment.history_table = None
    del world.deployment.history_writer, world.deployment.reader
    result = run(history=False)

    assert world.replica() == world.source()
    assert tell(result) == {"scanned": 2, "settled": 2}
    assert result.gap is None


def test_without_apply_nothing_is_written(world, run, tmp_path):
    """It counts what would be: also changes that come before the baseline."""
    world.put(*items(3), FIRST)
    world.record(THEN, FIRST, sequence=1)
    world.record(None, items(1)[0], sequence=2)

    result = run(apply=False, state_path=None)

    assert tell(result) == {
        "scanned": 4,
        "baselines": 3,
        "already_there": 1,
        "changed_first": 1,
        "settled": 4,
    }
    assert (result.applied, result.finished, result.gap) == (False, True, None)
    assert len(world.rows()) == 2
    assert world.replica() == list(tmp_path.iterdir()) == []
    writes = {"batch_execute_statement", "batch_write_item"}
    assert writes.isdisjoint(name for name, _ in world.tables.calls)


def test_a_rate_is_kept(world, run):
    """So many items a second, in pages of no more than a second's worth."""
    world.put(*items(50))

    run(rate=10)

    assert sum(world.pauses_s) == pytest.approx(4)
    assert [
        len(request["Statements"]) for request in world.tables.requests("batch_execute_statement")
    ] == [10] * 5 + [1]


# ---- The moment of a baseline ---------------------------------------------------------------


def during(world, seconds, change=lambda: None):
    """A read that takes so long; the item changes after it was read, before the answer is there."""

    def entry(_request, carry_out):
        answer = carry_out()
        change()
        world.now += timedelta(seconds=seconds)
        return answer

    return entry


def test_a_read_across_the_turn_of_a_second_is_confirmed(world, run):
    """Read again and found the same, the item was so when the first answer was there."""
    world.put(*items(2))
    world.tables.script("scan", during(world, 1))

    result = run()

    assert result.counts.baselines == 2
    assert {row.change.created_at for row in world.rows()} == {TICK + timedelta(seconds=1)}
    assert world.calls("get_item", SOURCE) == 2


def test_what_changed_meanwhile_is_taken_as_it_is_then(world, run):
    """It was neither here nor there in the second that turned."""
    world.put(FIRST)
    world.tables.script("scan", during(world, 1, lambda: world.put(THEN)))

    run()

    (row,) = world.rows()
    assert (row.change.new_image, row.change.created_at) == (THEN, TICK + timedelta(seconds=1))


def test_what_was_deleted_meanwhile_gets_no_baseline(world, run):
    """Its REMOVE has what was there."""
    world.put(FIRST)
    world.tables.script("scan", during(world, 1, lambda: world.tables.remove(SOURCE, FIRST)))

    result = run()

    assert tell(result) == {"scanned": 1, "gone": 1, "settled": 1, "deleted": 1}
    assert world.rows() == world.replica() == []


def test_a_second_read_may_be_across_a_second_as_well(world, run):
    """Then there is a third."""
    world.put(FIRST)
    last = item("1", Count=number(3))
    world.tables.script("scan", during(world, 1, lambda: world.put(THEN)))
    world.tables.script("get_item", during(world, 1, lambda: world.put(last)))

    run()

    (row,) = world.rows()
    assert (row.change.new_image, row.change.created_at) == (last, TICK + timedelta(seconds=2))


def test_an_item_that_never_holds_still_is_told(world, run):
    """Its page is not done with, and the next run takes care of it."""
    world.put(FIRST, item("2"))
    counter = iter(range(100))

    def always():
        world.put(item("1", Count=number(next(counter))))

    world.tables.script("scan", during(world, 1, always))
    world.tables.always("get_item", during(world, 1, always))

    result = run()

    assert not result.finished
    assert [one.reason for one in result.unfinished] == ["it changed each time it was read"]
    assert [row.id for row in world.rows()] == ["2"]
    world.tables.always("get_item", None)
    assert run().finished
    assert [row.id for row in world.rows()] == ["1", "2"]


@pytest.mark.parametrize("minute", [True, False])
def test_a_baseline_is_stamped_as_the_engine_stamps_changes(world, run, minute):
    """DynamoDB Local cuts times to the minute: there a baseline sorts first in its minute."""
    if minute:
        world.tables.descriptions[SOURCE]["TableArn"] = (
            "arn:aws:dynamodb:ddblocal:000000000000:table/Employee"
        )
    world.now += timedelta(seconds=42)
    world.put(*items(2))
    world.tables.script("scan", during(world, 1))

    run()

    expected = TICK if minute else TICK + timedelta(seconds=43)
    assert {row.change.created_at for row in world.rows()} == {expected}
    assert world.calls("get_item", SOURCE) == (0 if minute else 2)


def test_a_table_without_a_stream_vouches_for_itself(world, run):
    """The ARN of a stream that was on once is still told, and is not the source."""
    world.tables.descriptions[SOURCE]["StreamSpecification"] = {"StreamEnabled": False}
    world.put(FIRST)

    run()

    assert world.rows()[0].change.event_source_arn == ARN


@pytest.mark.parametrize("off", [timedelta(hours=-1), timedelta(seconds=7, milliseconds=400)])
def test_a_baseline_is_stamped_by_the_clock_of_the_service(world, run, off):
    """That is what changes are stamped with, however wrong this machine's clock is."""
    world.put(*items(3))
    world.tables.date = lambda: world.now + off
    begun = world.now + off

    result = run()

    assert result.counts.baselines == 3
    for row in world.rows():
        assert begun - timedelta(seconds=1) <= row.change.created_at <= world.now + off


# ---- What fails, and is gone on from ---------------------------------------------------------


def test_throttling_is_waited_for(world, run):
    """A passing failure of any call shows in nothing but the time it took."""
    world.put(*items(30))
    for operation in (
        "scan",
        "query",
        "batch_execute_statement",
        "batch_write_item",
        "batch_get_item",
    ):
        world.tables.script(operation, THROTTLED, client_error("InternalServerError", 500))
    world.tables.script("batch_write_item", None, lose_answer())

    result = run()

    assert result.finished
    assert result.counts.baselines == 30
    assert world.replica() == world.source()
    assert world.pauses_s


@pytest.mark.parametrize("operation", ["batch_execute_statement", "batch_write_item"])
def test_what_cannot_be_written_now_is_gone_on_with_later(world, run, operation, tmp_path):
    """The run says that it is not finished and how to go on; the next one does only the rest."""
    world.put(*items(PAGE_ITEMS + 5))
    # The first page passes: as many calls as it takes, of 25 items each.
    world.tables.script(operation, None, None)
    world.tables.always(operation, DENIED)

    result = run()

    assert not result.finished
    assert result.counts.scanned == PAGE_ITEMS
    assert len(result.unfinished) == 5
    assert {one.reason.rpartition(": ")[2] for one in result.unfinished} == {
        "AccessDeniedException"
    }
    assert result.go_on == f"run the same command again: it goes on from {tmp_path / 'state'}"
    assert result.gap is None
    world.tables.always(operation, None)
    scans = len(world.tables.requests("scan"))
    again = run()

    assert again.finished
    assert again.counts.scanned == PAGE_ITEMS + 5
    assert len(world.tables.requests("scan")) == scans + 1
    assert world.replica() == world.source()
    assert len(world.rows()) == PAGE_ITEMS + 5


@pytest.mark.parametrize("operation", ["scan", "query"])
def test_a_table_that_does_not_answer_ends_the_run(world, run, operation):
    """With one line that says so; the state file is there to go on from."""
    world.put(*items(PAGE_ITEMS + 5))
    passing = {"scan": 1, "query": PAGE_ITEMS}[operation]
    world.tables.script(operation, *[None] * passing)
    world.tables.always(operation, THROTTLED)

    result = run()

    assert not result.finished
    assert re.search("does not answer .Provisioned.*try again later", result.ended)
    world.tables.always(operation, None)

    assert run().counts.scanned == PAGE_ITEMS + 5
    assert sum(world.pauses_s) > backfill_run.PATIENCE_S / 2


def test_an_error_of_one_segment_ends_the_others(world, run):
    """A missing permission is told as it is, and not by every segment."""
    world.put(*items(40))
    world.tables.script("scan", DENIED)

    with pytest.raises(ClientError, match="AccessDenied"):
        run(segments=4, rate=10)

    assert run(segments=4).finished
    assert world.replica() == world.source()


def test_an_item_that_is_refused_for_good_is_told_and_passed(world, run):
    """By the digest of its key and the code, not by what it says; the others are done."""
    world.put(*items(4), item("bad", Secret=text("s3cret")))
    error = client_error("ValidationException", message="value s3cret is not valid")
    world.tables.always("batch_write_item", refuse_call(lambda one: "Secret" in one, error))
    world.tables.always(
        "batch_execute_statement",
        refuse_statements(lambda row: row["Id"] == text("bad"), "ValidationError"),
    )

    result = run()

    assert result.finished
    assert tell(result) == {"scanned": 5, "baselines": 4, "settled": 4}
    assert sorted(one.reason for one in result.problems) == [
        "the history table refuses it: ValidationError",
        "the replica refuses it: ValidationException",
    ]
    assert len({one.key_digest for one in result.problems}) == 1
    assert "s3cret" not in str(result)


def test_another_baseline_of_the_same_second_is_told(world, run):
    """Two backfills at once may both take one: the first stays, and nothing is passed over."""
    world.put(FIRST)

    def taken_meanwhile(request, carry_out):
        row = request["Statements"][0]["Parameters"]
        names = ["Id", "ApproximateCreationDateTime", "Digest"]
        world.tables.put(HISTORY, dict(zip(names, [*row[:2], {"B": b"other"}], strict=True)))
        return carry_out()

    world.tables.script("batch_execute_statement", taken_meanwhile)

    result = run()

    assert result.counts.baselines == 0
    assert "its history has another baseline" in result.problems[0].reason


class Killed(BaseException):
    """The process ends here and now."""


def kill(_request, carry_out):
    carry_out()
    raise Killed


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
@pytest.mark.parametrize(
    ("operation", "passing"),
    [
        ("scan", 0),
        ("scan", 1),
        ("query", 3),
        ("query", PAGE_ITEMS + 2),
        ("batch_execute_statement", 0),
        ("batch_execute_statement", 2),
        ("batch_write_item", 0),
        ("batch_write_item", 2),
        ("batch_get_item", 1),
        ("batch_get_item", 2),
    ],
)
def test_wherever_it_is_killed_it_goes_on(world, run, operation, passing, after):
    """Nothing is lost and nothing doubled, whatever was under way, sent or answered."""
    world.put(*items(PAGE_ITEMS + 20))
    world.tables.script(operation, *[None] * passing, kill if after else Killed())

    with pytest.raises(Killed):
        run()
    world.tables._scripts.clear()
    world.now += timedelta(hours=1)
    result = run()

    assert result.finished
    assert [row.id for row in world.rows()] == [one["Id"]["S"] for one in world.source()]
    assert world.replica() == world.source()


def test_a_deleted_item_does_not_come_back_when_it_was_killed(world, run, tmp_path):
    """Written into the replica, then deleted, then killed: no page of the table has it any more."""
    world.put(*items(3))

    def delete_then_kill(_request, carry_out):
        carry_out()
        world.tables.remove(SOURCE, items(3)[1])
        raise Killed

    world.tables.script("batch_write_item", delete_then_kill)
    with pytest.raises(Killed):
        run()
    assert len(world.replica()) == 3
    assert (tmp_path / "state").exists()

    run()

    assert world.replica() == world.source() == [items(3)[0], items(3)[2]]


def test_what_was_under_way_is_settled_before_anything_else(world, run):
    """While that cannot be done, nothing further is read."""
    world.put(*items(3))
    world.tables.script("batch_write_item", kill)
    with pytest.raises(Killed):
        run()
    scans = len(world.tables.requests("scan"))
    world.tables.always("batch_get_item", DENIED)

    result = run()

    assert not result.finished
    assert [one.reason for one in result.unfinished] == [
        "not settled in the replica: AccessDeniedException"
    ] * 3
    assert len(world.tables.requests("scan")) == scans


def test_an_interrupt_ends_the_pages_under_way(world, run):
    """Ctrl-C comes while all segments work: each is left where it can be gone on from."""
    world.put(*items(200))

    def interrupt(_what, done, _total):
        if done >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(segments=3, progress=interrupt)
    result = run(segments=3)

    assert result.finished
    assert len(world.rows()) == 200
    assert world.replica() == world.source()


def test_a_stopped_run_has_no_patience_left(world, run):
    """A segment that waits for a throttled table gives up as soon as another one fails."""
    world.put(*items(3))
    world.tables.always("query", THROTTLED)
    world.tables.script("scan", None, DENIED)

    with contextlib.suppress(ClientError):
        run(segments=2)

    assert sum(world.pauses_s) < backfill_run.PATIENCE_S


# ---- What is refused ------------------------------------------------------------------------


def test_a_state_file_of_another_run_is_refused(world, run):
    """Other segments are other parts; the message says which they were."""
    world.put(*items(3))
    world.tables.script("scan", None, DENIED)
    with pytest.raises(ClientError):
        run(segments=2)

    with pytest.raises(StateFileError, match="segments 2, not 3"):
        run(segments=3)


@pytest.mark.parametrize("damage", ['"done"', '"counts"', '"S"'])
def test_a_state_file_that_was_altered_is_refused(world, run, tmp_path, damage):
    """Nothing is guessed of what it said."""
    world.put(*items(3))
    world.tables.script("batch_write_item", kill)
    with pytest.raises(Killed):
        run()
    path = tmp_path / "state"
    path.write_text(path.read_text().replace(damage, '"other"'))

    with pytest.raises(StateFileError, match=r"was altered .*: delete it to begin anew"):
        run()


def test_harm_and_nonsense_are_refused(world, run, tmp_path):
    """Before anything is read."""
    with pytest.raises(RefusedError, match="nothing to do"):
        run(history=False, replica=False)
    with pytest.raises(RefusedError, match="name one: without it"):
        run(state_path=None)
    for segments in (0, -1, 257):
        with pytest.raises(RefusedError, match=f"{segments} segments: give at least 1"):
            run(segments=segments)
    with pytest.raises(RefusedError, match="give more than 0"):
        run(rate=0)
    object.__setattr__(world.deployment, "replica_table", SOURCE)
    object.__setattr__(world.deployment, "replica_region", None)
    with pytest.raises(RefusedError, match="the source table itself"):
        run()
    assert world.tables.requests("scan") == list(tmp_path.iterdir()) == []


def test_a_table_of_that_name_elsewhere_is_another_table(world, run):
    """A replica has the name of its source in another region or account."""
    object.__setattr__(world.deployment, "replica_table", SOURCE)

    assert run(apply=False).finished


def test_tables_that_are_not_there_are_named(world, run):
    """A history table that is none must not pass for an empty one."""
    world.tables.descriptions[HISTORY] = describe(HISTORY, ["Id"])
    with pytest.raises(TableNotFoundError, match="not a history table"):
        run()
    del world.tables.descriptions[SOURCE]
    with pytest.raises(TableNotFoundError, match="no table 'Employee' in eu-west-1"):
        run(history=False)


# ---- What nobody can know any more ----------------------------------------------------------


def test_the_gap_is_declared_and_covers_what_was_changed_first(world, run, tmp_path):
    """`verify` finds that such an item has no beginning, and takes the declaration for it."""
    world.record(FIRST, THEN, sequence=1)
    world.put(THEN)

    result = run()

    path = tmp_path / "gaps.json"
    path.write_text(json.dumps([result.gap]))
    gaps = read_gaps(path, KeySchema({"Id": "S"}))
    links = [
        Link(
            row.sort_key,
            row.change.event_name,
            row.change.created_at,
            str(row.change.old_image or row.change.new_image).encode(),
            str(row.change.new_image).encode(),
            row.change.event_source_arn,
        )
        for row in world.rows()
    ]
    (finding,) = judge_chain({"Id": text("1")}, links)
    assert finding.kind is FindingKind.MISSING_START
    (declared,) = declare([finding], gaps)
    assert "'Employee' was backfilled" in declared.declared


# ---- From an export -------------------------------------------------------------------------


@pytest.fixture
def export(tmp_path):
    """An export of items, in a folder."""

    def make(exported, *, damage=None, **options):
        files = made.export_files(exported, **{"table_arn": ARN, **options})
        if damage:
            name = made.data_names(files)[damage - 1]
            files[name] = files[name][:-5]
        return made.write_to(tmp_path / "export", files)

    return make


EXPORT_TICK = made.EXPORT_TIME.replace(microsecond=0)


def test_an_export_gives_baselines_of_its_time(world, run, export):
    """And the replica is as the source is now, whatever the export says."""
    world.put(*items(5)[1:], item("001", Count=number(7)))

    result = run(export=export(items(5)))

    assert result.finished
    assert tell(result) == {"scanned": 5, "baselines": 5, "settled": 5, "deleted": 1}
    assert [row.change.new_image for row in world.rows()] == items(5)
    assert {row.change.created_at for row in world.rows()} == {EXPORT_TICK}
    assert world.replica() == world.source()
    assert result.gap["to"] == "2026-11-20T09:14:02.117000Z"


def test_an_export_takes_nothing_of_the_source_for_the_history(world, run, export):
    """Neither a scan nor a read; only its description."""
    world.put(*items(5))

    result = run(export=export(items(5)), replica=False, segments=2)

    assert len(world.rows()) == result.counts.baselines == 5
    tables = {(name, request.get("TableName")) for name, request in world.tables.calls}
    assert {name for name, table in tables if table == SOURCE} == {"describe_table"}
    assert world.tables.requests("scan") == world.tables.requests("batch_get_item") == []


def test_an_export_obeys_the_same_rule(world, run, export):
    """What the history knows from its beginning needs no baseline; what changed later sorts so."""
    before_s = (NOW - EXPORT_TICK).total_seconds()
    known, earlier, later, same = (item(name) for name in ("known", "earlier", "later", "same"))
    world.record(None, known, sequence=1, before_s=before_s + 60)
    world.record(item("earlier", Old=number(1)), earlier, sequence=2, before_s=before_s + 60)
    world.record(later, item("later", New=number(1)), sequence=3, before_s=before_s - 60)
    world.record(same, item("same", New=number(1)), sequence=4, before_s=before_s)

    result = run(export=export([known, earlier, later, same]), replica=False)

    assert tell(result) == {
        "scanned": 4,
        "baselines": 3,
        "already_there": 1,
        "changed_first": 1,
    }
    events = [(row.id, row.change.event_name.value) for row in world.rows()]
    assert events == [
        ("earlier", "MODIFY"),
        ("earlier", "SNAPSHOT"),
        ("known", "INSERT"),
        ("later", "SNAPSHOT"),
        ("later", "MODIFY"),
        ("same", "SNAPSHOT"),
        ("same", "MODIFY"),
    ]


def test_a_damaged_file_ends_it_and_the_rest_is_gone_on_with(world, run, export):
    """Files that were done with are not read again."""
    with pytest.raises(ExportError, match="is not what was exported"):
        run(export=export(items(90), damage=2), replica=False)
    assert [int(row.id) % 2 for row in world.rows()] == [0] * 45
    whole = export(items(90))
    done = made.data_names(made.export_files(items(90), table_arn=ARN))[0]
    (whole / done).unlink()
    queries = len(world.tables.requests("query"))

    result = run(export=whole, replica=False)

    assert result.finished
    assert len(world.rows()) == result.counts.scanned == 90
    of_controls = 1
    assert len(world.tables.requests("query")) == queries + 45 + of_controls


@pytest.mark.parametrize("passing", [0, 3, 30])
def test_an_export_that_was_killed_is_gone_on_with(world, run, export, passing):
    """Any number of times; an item written and then deleted does not come back."""
    world.put(*items(60))
    folder = export(items(60))
    world.tables.script("batch_write_item", *[None] * (passing // 25), kill)
    world.tables.script("query", *[None] * passing, kill)

    for _ in range(2):
        with pytest.raises(Killed):
            run(export=folder)
        world.tables.remove(SOURCE, world.source()[0])
    result = run(export=folder)

    assert result.finished
    assert len(world.rows()) == 60
    assert world.replica() == world.source()


def test_another_export_than_was_planned_is_refused(world, run, export):
    """Be it of the same name: what its files hold is what was planned, wherever they lie."""
    planned = run(export=export(items(5)), apply=False).export_id
    other = export([*items(4), item("x")])

    with pytest.raises(RefusedError, match="the export is another one than was planned: arn:"):
        run(export=other, export_id=planned)

    assert world.rows() == []
    assert run(export=export(items(5)), export_id=planned).finished


def test_an_export_can_be_tried_without_writing(world, run, export):
    """All of it is read and checked, and counted."""
    result = run(export=export(items(5)), apply=False)

    assert tell(result) == {"scanned": 5, "baselines": 5, "settled": 5}
    assert world.rows() == []
    with pytest.raises(ExportError):
        run(export=export(items(5), damage=1), apply=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table_arn": ARN.replace(SOURCE, "Other")}, "the export is of arn:.*Other, not of"),
        ({"table_id": "00000000-abcd-123a-ab12-1234abc12345"}, "an older table of the name"),
        ({"time": BEGAN - timedelta(seconds=1)}, "before the history began at 2026-11-01T10"),
    ],
)
def test_an_export_that_does_not_fit_is_refused(world, run, export, options, message):
    """Of another table, or of a time whose changes nobody recorded."""
    with pytest.raises(RefusedError, match=message):
        run(export=export(items(1), **options))
    assert world.rows() == []


def test_an_old_export_still_fills_a_replica(world, run, export):
    """Its keys are as good as any: what they are now is read."""
    world.put(*items(2))

    run(export=export(items(2), time=BEGAN - timedelta(days=1)), history=False)

    assert world.replica() == world.source()
    assert REPLICA in world.tables.tables


def test_the_state_of_a_table_that_was_made_anew_is_refused(world, run):
    """Its keys are another table's, whatever the name is."""
    world.put(*items(5))
    world.tables.always("batch_write_item", THROTTLED)
    run(patience_s=0)
    world.tables.descriptions[SOURCE]["TableId"] = "another"

    with pytest.raises(StateFileError, match="source id"):
        run(patience_s=0)


def test_an_item_that_changes_whenever_it_is_settled_is_not_done(world, run):
    """The stream's writer may have handled its last change before the last write of here."""
    world.put(item("1", Count=number(0)))
    numbers = count(1)

    def changing(request, carry_out):
        answer = carry_out()
        if SOURCE in request["RequestItems"]:
            world.put(item("1", Count=number(next(numbers))))
        return answer

    world.tables.always("batch_get_item", changing)

    result = run(history=False, patience_s=0)

    assert not result.finished
    assert [problem.reason for problem in result.unfinished] == [
        "it changed whenever it was settled"
    ]


def test_patience_ends_when_the_run_is_stopped(world):
    """Also that of a page which is waited for already."""
    unused = dict.fromkeys(
        (
            *("facts", "reading", "journal", "baselines", "settler", "brake", "replica", "apply"),
            "clock",
        )
    )
    stopped = backfill_run.BackfillRun(**unused, pace=Pace(patience_s=120, machine=world.machine))
    patience = stopped._patience()

    stopped.stopped.set()

    assert patience.work_off(["page"], lambda pending: pending) == ["page"]
    assert world.pauses_s == []


def test_a_file_that_could_not_be_done_is_gone_on_with(world, run, export):
    """It is not passed for done because its later items were."""
    world.put(*items(60))
    folder = export(items(60))
    world.tables.script("batch_write_item", THROTTLED)

    result = run(export=folder, history=False, patience_s=0)

    assert not result.finished
    assert result.unfinished
    assert run(export=folder, history=False).finished
    assert world.replica() == world.source()


def test_a_second_read_is_later_by_the_clock_of_the_service_too(world, run, monkeypatch):
    """It waits for as long as that clock is in doubt."""
    monkeypatch.setattr(ServiceClock, "doubt", timedelta(seconds=3))
    world.put(FIRST)
    world.tables.script("scan", during(world, 1))

    run()

    assert world.pauses_s[-1] == 3


def test_an_export_of_the_moment_the_history_began_is_taken(world, run, export):
    """Nothing can have been changed in between."""
    world.put(*items(2))

    assert run(export=export(items(2), time=BEGAN), replica=False).finished


@pytest.mark.parametrize(
    ("options", "tunings"),
    [({}, 1), ({"apply": False}, 0), ({"history": False}, 0)],
    ids=["baselines", "dry run", "replica only"],
)
def test_the_time_of_the_service_is_learned_where_anything_is_dated_by_it(
    world, run, monkeypatch, options, tunings
):
    """Before the first page is read; else its requests would be for nothing."""
    tuned_after = []
    monkeypatch.setattr(
        ServiceClock, "tune", lambda *_: tuned_after.append(len(world.tables.requests("scan")))
    )
    world.put(*items(2))

    run(**options)

    assert tuned_after == [0] * tunings
