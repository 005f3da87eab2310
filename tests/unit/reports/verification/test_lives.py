"""Baselines that hide no loss, streams that were off, tables made anew."""

import pytest

from reports.access.machine import Machine
from reports.verification.continuity import FindingKind
from reports.verification.gaps import Gap
from reports.verification.verdicts import Verdict
from reports.verification.verify import verify
from stream_core.control_row import BackfillMark, TableLife
from tests.factories import STREAM_ARN, TABLE_ARN, item, text
from tests.recorded_history import DAY_S, History, StillClock, baseline_of, resealed, row_of
from tests.unit.memory_tables import SOURCE, moment

A, B, C = (item("1", State=text(letter)) for letter in "ABC")
KEYS = {"Id": text("1")}
LATER_STREAM = f"{TABLE_ARN}/stream/2018-03-03T14:30:00.000"
OLD, NEW = "old-table", "new-table"


def world(*rows, live=(), controls=(), stream=STREAM_ARN, table_id=NEW, made_s=-DAY_S):
    """A history whose source has this stream and this `TableId`."""
    history = History(*rows, live=live)
    # What it says of itself is what this is about.
    del history.reader.lives
    history.tables.descriptions[SOURCE] |= {
        "TableArn": TABLE_ARN,
        "LatestStreamArn": stream,
        "TableId": table_id,
        "CreationDateTime": moment(made_s),
    }
    for row in controls:
        history.store(row.to_item())
    return history


def mark(started_s, finished_s, stream=STREAM_ARN, table_id=NEW):
    return BackfillMark(
        *(stream, table_id, moment(started_s), moment(finished_s)),
        *("scan", {"scanned": 1}, f"run{started_s}", "itemtrail"),
    )


def life(stream, table_id, made_s):
    return TableLife(stream, table_id, moment(made_s))


def later(row):
    """The same row, of the later stream."""
    return resealed(row, event_source_arn=LATER_STREAM)


def look(history, gaps=()):
    clock = StillClock()
    return verify(history.reader, None, gaps, machine=Machine(now=clock.now, sleep=clock.sleep))


def kinds(verification):
    return [finding.kind for finding in verification.findings]


# ---- Baselines -----------------------------------------------------------------------------


def test_a_baseline_does_not_hide_that_all_rows_were_lost():
    """What came after a finished backfill and begins with a baseline has lost its INSERT."""
    history = world(baseline_of(C, 3600), live=[C], controls=[mark(-60, -30)])

    verification = look(history)

    (finding,) = verification.findings
    assert (finding.kind, finding.keys) == (FindingKind.MISSING_INSERT, KEYS)
    assert (finding.since, finding.until) == (moment(-60), moment(3600))
    assert verification.completeness is Verdict.BROKEN


def test_a_further_backfill_does_not_heal_it():
    """It stays for ever: the first mark counts, whatever comes later."""
    controls = [mark(-60, -30), mark(3000, 4000)]

    assert kinds(look(world(baseline_of(C, 3600), live=[C], controls=controls))) == [
        FindingKind.MISSING_INSERT
    ]


@pytest.mark.parametrize("at_s", [-60, -45, -30])
def test_a_baseline_of_the_marked_backfill_itself_is_vouched_for(at_s):
    """It was taken while that ran, of an item that was there."""
    verification = look(world(baseline_of(C, at_s), live=[C], controls=[mark(-60, -30)]))

    assert verification.clean


def test_a_baseline_that_nothing_vouches_for_proves_nothing():
    """Without a finished backfill it may stand for rows that were lost: unproven, and said."""
    verification = look(world(baseline_of(C, 3600), live=[C]))

    assert verification.findings == []
    assert verification.completeness is Verdict.UNPROVEN
    assert any("1 items begin with a baseline" in note for note in verification.notes)


def test_a_mark_of_another_table_vouches_for_nothing():
    """A table made anew under the stream's name begins its own history."""
    verification = look(
        world(baseline_of(C, -45), live=[C], controls=[mark(-60, -30, table_id=OLD)])
    )

    assert verification.completeness is Verdict.UNPROVEN


# ---- Streams -------------------------------------------------------------------------------


def test_a_stream_switched_off_and_on_is_a_gap_even_if_all_rows_fit():
    """What was changed and changed back, inserted and deleted in between shows in no item."""
    rows = [row_of(None, A), later(row_of(A, B, 3600, 1))]
    controls = [life(STREAM_ARN, NEW, -DAY_S)]
    history = world(*rows, live=[B], controls=controls, stream=LATER_STREAM)

    verification = look(history)

    (finding,) = verification.findings
    assert finding.kind is FindingKind.MISSING_CHANGE
    assert (finding.since, finding.until) == (moment(0), moment(3600))
    assert "switched off and on" in finding.detail
    gap = Gap("the stream was off", FindingKind.MISSING_CHANGE, None, moment(0), moment(3600))
    assert look(history, [gap]).completeness is Verdict.HOLDS


def test_what_is_missing_across_a_gap_says_so():
    """The item's own finding stays, with the reason that the streams give."""
    rows = [row_of(None, A), later(row_of(B, C, 3600, 1))]
    controls = [life(STREAM_ARN, NEW, -DAY_S)]

    findings = look(world(*rows, live=[C], controls=controls, stream=LATER_STREAM)).findings

    assert [finding.kind for finding in findings] == [FindingKind.MISSING_CHANGE] * 2
    of_the_item = next(finding for finding in findings if finding.keys == KEYS)
    assert of_the_item.detail.endswith("what changed meanwhile is not recorded")


def test_a_table_made_anew_ends_its_items():
    """The old item is gone without a record, the new one is inserted: nothing is missing."""
    rows = [row_of(None, A), later(row_of(None, B, 3600, 1))]
    controls = [life(STREAM_ARN, OLD, -DAY_S)]
    history = world(
        *rows, live=[B], controls=controls, stream=LATER_STREAM, made_s=1800, table_id=NEW
    )

    assert look(history).clean


def test_an_item_that_ended_with_its_table_lacks_no_delete():
    """It is not there, and no row of the new table has it."""
    controls = [life(STREAM_ARN, OLD, -DAY_S)]
    history = world(row_of(None, A), controls=controls, stream=LATER_STREAM, made_s=1800)

    assert look(history).clean
    history.put(A)
    assert kinds(look(history)) == [FindingKind.MISSING_START]


def test_without_a_control_row_the_times_tell():
    """A row from before the source table was made is of another table; a later one is of this."""
    anew = world(row_of(None, A), stream=LATER_STREAM, made_s=1800)
    switched = world(row_of(None, A), live=[A], stream=LATER_STREAM, made_s=-1800)

    assert look(anew).clean
    assert kinds(look(switched)) == [FindingKind.MISSING_CHANGE]


def test_where_nothing_tells_an_insert_without_a_delete_is_a_finding_that_says_both():
    """Two earlier streams, of which neither is known: made anew, or a delete lost."""
    last = f"{TABLE_ARN}/stream/2018-03-04T00:00:00.000"
    rows = [row_of(None, A), later(row_of(None, B, 3600, 1))]
    history = world(*rows, stream=last, made_s=7200)

    (finding,) = look(history).findings

    assert finding.kind is FindingKind.MISSING_DELETE
    assert "made anew, or its stream was switched off and on" in finding.detail


def test_one_stream_is_no_boundary():
    """Rows of the stream that the table has, and baselines of a time without one, go on."""
    rows = [
        resealed(baseline_of(A, -60), event_source_arn=TABLE_ARN),
        row_of(A, B, 0),
    ]
    controls = [mark(-90, -30, stream=TABLE_ARN)]

    assert kinds(look(world(*rows, live=[B], controls=controls))) == []


def test_a_baseline_after_the_first_row_is_no_beginning():
    """The item has an INSERT: a further baseline stands for nothing."""
    rows = [row_of(None, A), baseline_of(A, 3600)]

    assert look(world(*rows, live=[A], controls=[mark(-60, -30)])).clean
    assert look(world(*rows, live=[A])).clean


def test_a_baseline_in_the_second_of_the_insert_is_no_beginning():
    """It sorts first in its second, and shows what the INSERT made."""
    rows = [baseline_of(A, 0), row_of(None, A)]

    assert look(world(*rows, live=[A], controls=[mark(-60, -30)])).clean
    assert look(world(*rows, live=[A])).clean
