"""A verification finds what is missing or altered, and nothing else."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from moto import mock_aws

from history_writer.overflow_bucket import OverflowBucket
from reports import ReportError, TableNotFoundError
from reports.access.machine import Machine
from reports.access.row_reader import RowReader
from reports.states.watermark import Basis, Watermark
from reports.verification.continuity import FindingKind
from reports.verification.gaps import Gap
from reports.verification.verdicts import Verdict
from reports.verification.verify import verify
from stream_core.change import EventName
from stream_core.history_row import SORT_KEY, HistoryRow, RedrivenFrom, time_text
from tests.factories import STREAM_ARN, TABLE_ARN, item, number, text
from tests.fakes import DENIED, THROTTLED, client_error
from tests.recorded_history import (
    BUCKET,
    DAY_S,
    LATER,
    SHARDS,
    History,
    StillClock,
    baseline_of,
    resealed,
    row_of,
    rows_of,
)
from tests.tables import create_history_table, create_table
from tests.unit.memory_tables import HISTORY, SOURCE, moment, require_consistent_reads

A, B, C, D, E = (item("1", State=text(letter)) for letter in "ABCDE")
OTHER = item("2", State=text("X"))
KEYS = {"Id": text("1")}


def verified(history, keys=None, gaps=(), *, clock=None, time_shards=None, **options):
    clock, reader = clock or StillClock(), history.reader
    if time_shards is not None:
        reader = RowReader(history.tables, history.objects, HISTORY, SOURCE, time_shards)
    return verify(reader, keys, gaps, machine=Machine(now=clock.now, sleep=clock.sleep), **options)


def found_in(history, **options):
    """The classes found of a history, in order."""
    return [finding.kind.value for finding in verified(history, **options).findings]


@pytest.fixture
def history():
    """Two items: one changed twice, one inserted."""
    return History(*rows_of(A, B, C), *rows_of(OTHER), live=[C, OTHER])


def test_a_whole_history_holds(history):
    """Nothing is found, everything is counted, and both verdicts say so."""
    came_of_it = verified(history)

    assert (came_of_it.findings, came_of_it.notes) == ([], [])
    assert (came_of_it.items, came_of_it.rows, came_of_it.overflow_objects) == (2, 4, 0)
    assert came_of_it.integrity is came_of_it.completeness is Verdict.HOLDS
    assert came_of_it.clean


def test_a_redriven_row_is_listed_for_ever_and_changes_no_verdict(history):
    """Where it came from, which version, and who: what vouches for it is for a person to judge."""
    source = RedrivenFrom("s3://quarantine/aws/lambda/x", "v1", "arn:aws:iam::1:user/ann")
    row = replace(HistoryRow.from_item(stored(history, 1)), redriven_from=source)
    replace_row(history, 1, row)

    came_of_it = verified(history)

    (finding,) = came_of_it.findings
    assert (finding.kind, finding.sort_key) == (FindingKind.REDRIVEN, row.sort_key)
    assert all(part in finding.detail for part in (source.place, "v1", source.by))
    assert came_of_it.integrity is came_of_it.completeness is Verdict.HOLDS
    assert (came_of_it.clean, came_of_it.to_know) == (True, 1)


def test_where_a_row_came_from_holds_no_more_than_that(history):
    """Else anything could be kept there."""
    source = RedrivenFrom("s3://quarantine/aws/lambda/x", "v1", "arn:aws:iam::1:user/ann")
    row = replace(HistoryRow.from_item(stored(history, 1)), redriven_from=source)
    changed = row.to_item(SHARDS)
    changed["RedrivenFrom"]["M"]["More"] = text("x")
    history.tables.put(HISTORY, changed)

    assert "DIGEST_MISMATCH" in found_in(history)


def test_an_empty_history_of_an_empty_table_proves_nothing():
    """It may have been wiped: nothing to look at is not the same as all is well."""
    came_of_it = verified(History())

    assert came_of_it.integrity is came_of_it.completeness is Verdict.UNPROVEN
    (note,) = came_of_it.notes
    assert note.startswith("there is neither a row nor a live item to look at, which proves noth")


def test_a_wiped_history_of_live_items_is_broken():
    """What is missing shows, and of what is not there nothing can be intact."""
    came_of_it = verified(History(live=[A]))

    assert came_of_it.integrity is Verdict.UNPROVEN
    assert came_of_it.completeness is Verdict.BROKEN


def test_a_key_that_is_nowhere_proves_nothing(history):
    """A mistyped key, also beside one that is there."""
    came_of_it = verified(history, keys=[KEYS, {"Id": text("l")}])

    assert came_of_it.findings == []
    assert came_of_it.integrity is came_of_it.completeness is Verdict.UNPROVEN
    assert (came_of_it.items, came_of_it.rows) == (1, 3)
    (note,) = came_of_it.notes
    assert note.startswith("neither a row nor a live item of Id=l, which proves nothing: see that")


def stored(history, place):
    """A copy of a stored row, to be altered."""
    return deepcopy(history.stored()[place])


def replace_row(history, place, row, shards=SHARDS):
    """Put a row in the place of another one."""
    history.lose(history.stored()[place])
    history.store(row.to_item(shards))


def lose(place):
    return lambda history: history.lose(history.stored()[place])


def exchange(one, other):
    """Let two rows exchange their places, with digests that fit."""

    def damage(history):
        rows = [HistoryRow.from_item(history.stored()[place]) for place in (one, other)]
        for row, place in zip(rows, reversed(rows), strict=True):
            moved = resealed(
                row,
                created_at=place.change.created_at,
                sequence_number=place.change.sequence_number,
            )
            history.store(moved.to_item(SHARDS))

    return damage


def alter(place, **attributes):
    """Overwrite attributes of a stored row, or take them away."""

    def damage(history):
        altered = stored(history, place) | attributes
        history.store({name: value for name, value in altered.items() if value is not None})

    return damage


def forge(place, **changed):
    """Replace parts of a row's change, with a digest that fits."""

    def damage(history):
        row = HistoryRow.from_item(history.stored()[place])
        replace_row(history, place, resealed(row, **changed))

    return damage


def duplicate(history):
    row = HistoryRow.from_item(history.stored()[1])
    number = int(row.change.sequence_number) + 1
    history.store(resealed(row, sequence_number=str(number)).to_item(SHARDS))


@pytest.mark.parametrize(
    ("damage", "classes"),
    [
        (lose(0), ["MISSING_START"]),
        (lose(1), ["MISSING_CHANGE"]),
        (lose(2), ["HEAD_MISMATCH"]),
        (lambda history: [lose(0)(history) for _ in range(3)], ["MISSING_START"]),
        (exchange(0, 1), ["MISSING_START", "MISSING_DELETE", "MISSING_CHANGE"]),
        (exchange(1, 2), ["MISSING_CHANGE", "MISSING_CHANGE", "HEAD_MISMATCH"]),
        (forge(1, created_at=moment(0) - timedelta(seconds=9)), ["ORDER"]),
        (duplicate, ["MISSING_CHANGE"]),
        (lambda history: history.put(E), ["HEAD_MISMATCH"]),
        (forge(1, new_image=D), ["MISSING_CHANGE"]),
        (forge(1, old_image=None, event_name=EventName.INSERT), ["MISSING_DELETE"]),
        (lambda history: history.put(item("3")), ["MISSING_START"]),
    ],
)
def test_missing_and_displaced_rows_break_completeness_alone(history, damage, classes):
    """Each class of missing row is found; what is there is still what was written."""
    damage(history)

    came_of_it = verified(history)

    assert [finding.kind.value for finding in came_of_it.findings] == classes
    assert came_of_it.integrity is Verdict.HOLDS
    assert came_of_it.completeness is Verdict.BROKEN
    assert not came_of_it.clean


@pytest.mark.parametrize(
    ("damage", "missing"),
    [
        (lose(0), ["nothing → State A"]),
        (lose(1), ["State A → B"]),
        (lose(2), ["State B → C"]),
        (exchange(0, 1), ["nothing → State A", "State B → nothing", "State A → B"]),
        (lambda history: history.put(item("3", State=text("X"))), ["nothing → State X"]),
        (lambda history: history.put(item("1")), ["State C → absent"]),
        (
            lambda history: history.store(baseline_of(E, 90).to_item(SHARDS)),
            ["State B → E", "State E → B"],
        ),
        (forge(1, created_at=moment(0) - timedelta(seconds=9)), [None]),
        (alter(1, EventId=text("x")), [None]),
    ],
)
def test_a_finding_tells_what_is_missing(history, damage, missing):
    """Attribute by attribute, from the rows around it or the live item."""
    damage(history)

    assert [finding.missing for finding in verified(history).findings] == missing


def test_missing_rows_around_a_deletion_are_told_apart():
    """A deletion that is missing, and an insertion that is."""
    rows = rows_of(A, None, B, C)

    assert found_in(History(rows[0], *rows[2:], live=[C])) == ["MISSING_DELETE"]
    assert found_in(History(*rows[:2], rows[3], live=[C])) == ["MISSING_INSERT"]


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        (forge(1, item_id="7"), "its Id is not that of its Keys: the item's history misses it"),
        (forge(1, keys={"Id": text("7")}), "its Id is not that of its Keys: the item's history m"),
        (forge(1, keys={"Id": {"BOOL": True}}), "its Keys are no key of a table"),
        (forge(1, keys={"Name": text("1")}), "its Keys are no key of the source table: that is I"),
        (forge(1, keys={"Id": number(1)}), "its Keys are no key of the source table: that is Id"),
        (
            forge(1, new_image=item("7", State=text("B"))),
            "an image holds another key than its Keys",
        ),
        (
            alter(1, SequenceNumber=text("7")),
            "its sort key is not that of its time and SequenceNumber",
        ),
        (alter(1, TimeBucket=None), "its TimeBucket is not its hour and shard: `changes` misses"),
        (alter(1, TimeBucket=text("2018-03-03T15#03")), "its TimeBucket is not its hour and shar"),
        (alter(1, TimeBucket=text("2018-03-03T14#3")), "its TimeBucket is not its hour and shard"),
        (alter(1, TimeBucket=text("2018-03-03T14#99")), "its TimeBucket is not its hour and shar"),
        (alter(1, TimeBucket=number(1)), "its TimeBucket is not its hour and shard: `changes` mi"),
        (
            lambda history: replace_row(history, 2, row_of(B, C, at_s=2 * 86400, place=2)),
            "it is stamped in the future: nothing asked about the present sees it",
        ),
        (
            lambda history: history.store(
                resealed(baseline_of(C, 240), sequence_number="5").to_item(8)
            ),
            "a baseline's SequenceNumber is 0: this one does not sort first in its second",
        ),
    ],
)
def test_a_row_that_is_not_where_its_content_says_is_found(history, damage, detail):
    """A question by key, by time or through the index may miss it."""
    damage(history)

    came_of_it = verified(history)

    details = [
        finding.detail
        for finding in came_of_it.findings
        if finding.kind is FindingKind.KEY_MISMATCH
    ]
    assert len(details) == 1
    assert detail in details[0]
    assert came_of_it.integrity is Verdict.BROKEN


def test_the_shard_may_be_that_of_any_count():
    """It may have been raised. One that was given is held against the rows, and not believed."""
    rows = rows_of(A, B)
    history = History(live=[B])
    history.store(rows[0].to_item(3))
    history.store(rows[1].to_item(100))

    shard = int(rows[1].to_item(100)["TimeBucket"]["S"][-2:])
    for shards in (None, 100, shard + 1):
        assert verified(history, time_shards=shards).notes == []
    came_of_it = verified(history, time_shards=shard)
    assert came_of_it.clean
    (note,) = came_of_it.notes
    assert note.startswith(
        f"the index has at least {shard + 1} partitions an hour, and not {shard}:"
    )


def test_a_row_that_was_moved_to_another_item_is_missing_from_its_own(history):
    """It is no row of the item it stands with, whose chain is judged without it."""
    forge(1, item_id="2")(history)

    came_of_it = verified(history)

    assert [(one.keys, one.kind.value) for one in came_of_it.findings] == [
        (KEYS, "MISSING_CHANGE"),
        ({"Id": text("2")}, "KEY_MISMATCH"),
    ]
    assert came_of_it.items == 2


def test_an_item_known_from_foreign_rows_only_counts_as_unrecorded(history):
    """Rows of another item under its `Id` do not hide that nothing is recorded of it."""
    history.put(item("7"))
    forge(1, item_id="7")(history)

    findings = verified(history).findings

    assert [(one.keys["Id"]["S"], one.kind.value) for one in findings] == [
        ("1", "MISSING_CHANGE"),
        ("7", "MISSING_START"),
        ("7", "KEY_MISMATCH"),
    ]


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        (alter(1, NewImage={"M": D}), "digest mismatch in the history row 2018-03-03T14:07:00.00"),
        (alter(1, Digest={"B": bytes(32)}), "digest mismatch in the history row"),
        (alter(1, EventId=text("x")), "digest mismatch in the history row"),
        (alter(1, Format=None), "not a history row: KeyError 'Format'"),
        (alter(1, Format=number(2)), "history row of unknown format 2"),
        (alter(1, EventName=text("UPSERT")), "not a history row: ValueError"),
        (alter(1, Keys=text("1")), "not a history row: KeyError 'M'"),
        (alter(1, UserIdentity={"M": {"type": text("x")}}), "digest mismatch in the history row"),
        (alter(1, Note=text("x")), "no row of the format: it has Note besides"),
        (alter(1, AwsRegion={"SS": ["x"]}), "no row of the format: it has AwsRegion besides"),
        (forge(1, old_image=None), "no row of the format: MODIFY has other images"),
        (forge(1, event_name=EventName.SNAPSHOT), "no row of the format: SNAPSHOT has other im"),
        (forge(1, event_name=EventName.REMOVE), "no row of the format: REMOVE has other images"),
    ],
)
def test_a_row_that_is_not_what_was_written_is_found(history, damage, detail):
    """One altered row never stops the run, whatever was done to it."""
    damage(history)

    came_of_it = verified(history)

    details = [
        finding.detail
        for finding in came_of_it.findings
        if finding.kind is FindingKind.DIGEST_MISMATCH
    ]
    assert len(details) == 1
    assert detail in details[0]
    assert came_of_it.integrity is Verdict.BROKEN
    assert came_of_it.rows == 4


def test_a_field_that_holds_more_than_a_writer_writes_is_found():
    """The digest does not cover what the format does not know."""
    row = row_of(None, A, user_identity=("Service", "dynamodb.amazonaws.com"))
    history = History(row, live=[A])
    altered = deepcopy(history.stored()[0])
    altered["UserIdentity"]["M"]["note"] = text("x")
    history.store(altered)

    (finding,) = verified(history).findings

    assert finding.detail == "no row of the format: a field of it holds more"
    assert finding.since == finding.until == moment(0)


@pytest.mark.parametrize(
    "sort_key", ["é", "\x01", "2018-03-03T14:07:00.000000#1", "~~~", "2018-03-03T14:07"]
)
def test_a_row_whose_sort_key_is_no_time_is_found(history, sort_key):
    """Also where no question by time would ever reach it."""
    altered = stored(history, 1) | {"ApproximateCreationDateTime": text(sort_key)}
    history.store(altered)

    assert found_in(history) == ["DIGEST_MISMATCH"]
    assert found_in(history, keys=[KEYS]) == ["DIGEST_MISMATCH"]


def test_next_to_an_unreadable_row_completeness_is_unproven(history):
    """What is missing there nobody can say; what is missing elsewhere is broken all the same."""
    alter(1, NewImage={"M": D})(history)

    came_of_it = verified(history)
    assert [one.kind.value for one in came_of_it.findings] == ["DIGEST_MISMATCH"]
    assert came_of_it.completeness is Verdict.UNPROVEN

    history.put(E)
    came_of_it = verified(history)
    assert [one.kind.value for one in came_of_it.findings] == ["DIGEST_MISMATCH", "HEAD_MISMATCH"]
    assert came_of_it.completeness is Verdict.BROKEN


def test_an_item_whose_rows_cannot_be_read_is_named_by_its_id(history):
    """Its key is not known then, and a live item is not held against what is not known."""
    for place in range(3):
        alter(place, Format=number(2))(history)

    came_of_it = verified(history)

    assert [(one.keys, one.kind.value) for one in came_of_it.findings] == [
        ({"Id": text("1")}, "DIGEST_MISMATCH")
    ] * 3
    assert (came_of_it.items, came_of_it.completeness) == (2, Verdict.UNPROVEN)


@pytest.fixture
def overflowed():
    """An item whose second change has its images in the overflow bucket."""
    history = History(live=[C])
    for place, row in enumerate(rows_of(A, B, C)):
        history.store((history.overflow(row) if place == 1 else row).to_item(SHARDS))
    return history


def test_overflow_objects_are_read_and_counted(overflowed):
    """Their images are part of the chain."""
    came_of_it = verified(overflowed)

    assert came_of_it.clean
    assert came_of_it.overflow_objects == 1


def pointing(**fields):
    """Alter the pointer to the overflow object, which no digest covers."""

    def damage(history):
        altered = stored(history, 1)
        altered["Overflow"]["M"] |= fields
        history.store(altered)

    return damage


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        (lambda history: history.objects.bodies.clear(), "is missing"),
        (
            lambda history: history.objects.bodies.update(
                dict.fromkeys(history.objects.bodies, b"forged")
            ),
            "cannot be decompressed",
        ),
        (pointing(Bucket=text("elsewhere")), "is missing"),
        (pointing(SHA256=text("0" * 64)), "is not the one that was written"),
        (pointing(Bytes=text("x")), "not a history row"),
        (alter(1, NewImage={"M": D}), "no row of the format: it has NewImage besides"),
    ],
)
def test_a_missing_or_altered_overflow_object_is_found(overflowed, damage, detail):
    """The row without its images is not what was written."""
    damage(overflowed)

    (finding,) = verified(overflowed).findings

    assert finding.kind is FindingKind.DIGEST_MISMATCH
    assert detail in finding.detail


@pytest.mark.parametrize("code", ["InvalidArgument", "InvalidBucketName", "MethodNotAllowed"])
def test_a_pointer_that_s3_does_not_understand_is_a_finding(overflowed, code):
    """S3 says so of a version that never was, or of a name that no bucket has."""
    overflowed.objects.error = client_error(code)

    (finding,) = verified(overflowed).findings

    assert finding.kind is FindingKind.DIGEST_MISMATCH
    assert finding.detail == f"no overflow object: {code}"


def test_an_overflow_object_that_may_not_be_read_proves_nothing(overflowed):
    """Nothing is known to be wrong, so that neither verdict is broken and neither holds."""
    overflowed.objects.error = client_error("AccessDenied", 403)

    came_of_it = verified(overflowed)

    assert came_of_it.findings == []
    assert came_of_it.integrity is came_of_it.completeness is Verdict.UNPROVEN
    assert not came_of_it.clean
    (note,) = came_of_it.notes
    assert note.startswith("1 overflow objects could not be read (AccessDenied): allow s3:Get")


def test_a_busy_bucket_is_no_finding(overflowed):
    """What another try may mend ends the run with its own error."""
    overflowed.objects.error = THROTTLED

    with pytest.raises(type(THROTTLED), match="ProvisionedThroughput"):
        verified(overflowed)


def test_without_the_source_table_completeness_is_unproven():
    """Nothing holds the last rows: what is missing there leaves no trace."""
    history = History(*rows_of(A, B), source=False)

    came_of_it = verified(history)

    assert came_of_it.findings == []
    assert (came_of_it.integrity, came_of_it.completeness) == (Verdict.HOLDS, Verdict.UNPROVEN)
    assert not came_of_it.clean
    (note,) = came_of_it.notes
    assert note.startswith("no live item was looked at: name the source table")
    assert found_in(History(*rows_of(A, B)[1:], source=False)) == ["MISSING_START"]


def test_a_live_item_without_any_row_is_a_finding(history):
    """Nobody knows since when it is so."""
    history.put(item("3"))

    (finding,) = verified(history).findings

    assert (finding.kind, finding.keys) == (FindingKind.MISSING_START, {"Id": text("3")})
    assert (finding.since, finding.until, finding.sort_key) == (None, None, None)
    assert finding.detail == "live, but nothing is recorded of it: backfill, or declare it"
    assert verified(history, keys=[{"Id": text("3")}]).findings == [finding]


def test_only_the_items_asked_for_are_looked_at(history):
    """Each once."""
    history.put(E)

    came_of_it = verified(history, keys=[{"Id": text("2")}, {"Id": text("2")}])

    assert came_of_it.clean
    assert (came_of_it.items, came_of_it.rows, came_of_it.notes) == (1, 1, [])
    assert "scan" not in history.tables.calls


def test_notes_name_only_a_few(history):
    """However many items are nowhere."""
    (note,) = verified(history, keys=[{"Id": text(f"n{n}")} for n in range(7)]).notes

    assert "of Id=n0, Id=n1, Id=n2, Id=n3, Id=n4 and 2 more, which" in note


def test_a_row_on_its_way_is_waited_for(history):
    """The live item is ahead of the history for a moment: that is no finding."""
    clock = StillClock()
    history.put(D)

    def arrive():
        if len(clock.pauses_s) == 2:
            history.store(row_of(C, D, 180, 3).to_item(SHARDS))

    clock.while_waiting = arrive
    came_of_it = verified(history, clock=clock)

    assert came_of_it.clean
    assert came_of_it.rows == 5
    assert clock.pauses_s == [0.5, 1.0]


def test_an_item_that_is_written_all_the_time_is_no_finding(history):
    """The state that was live is among the rows by then, whatever is live now."""
    clock = StillClock()
    states = [C]

    def write():
        new = item("1", State=number(len(states)))
        history.put(new)
        if len(states) > 1:
            # The record of the write before arrives now, the one of this write is on its way.
            late = row_of(states[-2], states[-1], 200 + len(states), len(states) + 2)
            history.store(late.to_item(SHARDS))
        states.append(new)

    write()
    clock.while_waiting = write
    history.tables.before["get_item"] += [write, write]
    came_of_it = verified(history, clock=clock)

    assert came_of_it.clean
    assert history.stored()[-1]["NewImage"]["M"] != history.tables.get(SOURCE, KEYS)


def test_a_state_that_no_row_ever_showed_is_found_though_the_item_has_it_no_more(history):
    """The live item was seen so; that it was put back since does not make it recorded."""
    clock = StillClock()
    history.put(D)
    clock.while_waiting = lambda: history.put(C)

    (finding,) = verified(history, clock=clock).findings

    assert finding.kind is FindingKind.HEAD_MISMATCH
    assert (finding.since, finding.until) == (moment(120), None)


def test_waiting_ends_after_about_ten_seconds(history):
    """Nobody waits for a row that never comes."""
    clock = StillClock()
    history.put(D)

    assert found_in(history, clock=clock) == ["HEAD_MISMATCH"]
    assert 10 <= sum(clock.pauses_s) <= 12


def test_waiting_ends_though_the_clock_stands_still(history):
    """A clock that is set back all the time does not make it endless."""
    history.put(D)
    pauses = []

    came_of_it = verify(history.reader, machine=Machine(now=lambda: LATER, sleep=pauses.append))

    assert [one.kind.value for one in came_of_it.findings] == ["HEAD_MISMATCH"]
    assert len(pauses) <= 8


def test_what_is_long_past_is_not_waited_for(history):
    """No invocation is still writing rows of an hour ago."""
    clock = StillClock()
    lose(1)(history)

    assert found_in(history, clock=clock) == ["MISSING_CHANGE"]
    assert clock.pauses_s == []


def test_a_row_that_overtook_another_is_no_gap(history):
    """Rows of one batch are written side by side: the earlier one may come later."""
    late = history.stored()[1]
    history.lose(late)
    clock = StillClock(moment(130))
    clock.while_waiting = lambda: history.store(late)

    assert verified(history, clock=clock).clean
    assert clock.pauses_s == [0.5]


def test_a_live_state_may_have_been_left_by_a_row_that_cannot_be_read():
    """What the unreadable row left nobody knows: it may be what was live after it."""
    history = History(row_of(None, A), row_of(B, C, 60, 1), row_of(C, D, 120, 2), live=[D])
    alter(2, Digest={"B": bytes(32)})(history)
    clock = StillClock(moment(130))
    clock.while_waiting = lambda: history.store(row_of(D, E, 180, 3).to_item(SHARDS))

    assert found_in(history, clock=clock) == ["MISSING_CHANGE", "DIGEST_MISMATCH"]
    assert clock.pauses_s != []


def test_a_live_item_whose_first_row_is_on_its_way_is_no_finding(history):
    """It was inserted while the others were looked at."""
    new = item("3")
    history.put(new)
    clock = StillClock()
    clock.while_waiting = lambda: history.store(row_of(None, new, 300).to_item(SHARDS))

    came_of_it = verified(history, clock=clock)

    assert came_of_it.clean
    assert (came_of_it.items, came_of_it.rows) == (3, 5)


def test_an_item_deleted_since_the_scan_is_none(history):
    """It was live when the keys were listed, and gone when it was looked at."""
    gone = item("3")
    history.put(gone)
    history.tables.before["get_item"] += [None, None, lambda: history.tables.remove(SOURCE, gone)]

    came_of_it = verified(history)

    assert came_of_it.clean
    assert came_of_it.items == 2


def test_declared_findings_break_no_verdict(history):
    """They stay listed, with their cause; a gap that covers nothing is noted."""
    lose(1)(history)
    alter(0, Note=text("x"))(history)
    gaps = [
        Gap("outage", FindingKind.MISSING_CHANGE, None, moment(0), moment(3600)),
        Gap("noted by hand", FindingKind.DIGEST_MISMATCH, KEYS),
        Gap("long gone", FindingKind.ORDER, KEYS),
    ]

    came_of_it = verified(history, gaps=gaps)

    assert [(one.kind.value, one.declared) for one in came_of_it.findings] == [
        ("DIGEST_MISMATCH", "noted by hand"),
        ("MISSING_CHANGE", "outage"),
    ]
    assert came_of_it.clean
    assert came_of_it.declared == 2
    assert {name: words for name, (_, words) in came_of_it.verdicts.items()} == {
        "integrity": "holds, but for 1 declared",
        "completeness": "holds, but for 1 declared",
    }
    assert came_of_it.notes == [
        "the declared gap 'long gone' covers nothing that was found: take it out"
    ]
    assert verified(history, keys=[{"Id": text("2")}], gaps=gaps).notes == []


def test_a_declared_gap_does_not_hide_another_finding(history):
    """One undeclared finding is enough."""
    lose(1)(history)
    history.put(item("3"))

    came_of_it = verified(history, gaps=[Gap("outage", FindingKind.MISSING_CHANGE, KEYS)])

    assert [one.declared for one in came_of_it.findings] == ["outage", None]
    assert came_of_it.completeness is Verdict.BROKEN


@pytest.mark.parametrize(
    "arn",
    [
        STREAM_ARN.replace("table/Employee/", "table/Customer/"),
        STREAM_ARN.replace("eu-west-1", "us-east-1"),
        STREAM_ARN.replace("123456789012", "210987654321"),
        STREAM_ARN.replace("table/Employee/", "table/EmployeeArchive/"),
        "backfill",
    ],
)
def test_rows_of_another_table_are_foreign(history, arn):
    """By account, region and name; the chain of this table is judged without them."""
    forge(1, event_source_arn=arn)(history)

    came_of_it = verified(history)

    foreign, missing = came_of_it.findings
    assert (foreign.kind, missing.kind) == (FindingKind.FOREIGN, FindingKind.MISSING_CHANGE)
    assert foreign.detail == f"it is of {arn}, not of the followed table {TABLE_ARN}"
    assert came_of_it.integrity is Verdict.BROKEN


def test_a_baseline_of_another_table_is_foreign(history):
    """Also one of this table that names no stream is not."""
    history.store(resealed(baseline_of(C, 240), event_source_arn=TABLE_ARN).to_item(SHARDS))
    assert verified(history).clean

    arn = TABLE_ARN.replace("Employee", "Customer")
    history.store(resealed(baseline_of(C, 241), event_source_arn=arn).to_item(SHARDS))
    assert found_in(history) == ["FOREIGN"]


def test_a_whole_life_in_another_table_is_found(history):
    """Nothing is live of it and nothing is missing in it: only its source tells."""
    arn = STREAM_ARN.replace("table/Employee/", "table/Customer/")
    alien = item("alien", State=text("A"))
    for row in rows_of(alien, None):
        history.store(resealed(row, event_source_arn=arn).to_item(SHARDS))

    assert found_in(history) == ["FOREIGN", "FOREIGN"]
    assert found_in(history, keys=[{"Id": text("alien")}]) == ["FOREIGN", "FOREIGN"]


def test_an_engine_without_arns_has_tables_told_apart_by_name(history):
    """Where the table's ARN is not known, its name is."""
    del history.tables.descriptions[SOURCE]["TableArn"]
    assert verified(history).clean

    forge(1, event_source_arn=STREAM_ARN.replace("Employee/", "Customer/"))(history)
    assert found_in(history) == ["FOREIGN", "MISSING_CHANGE"]


@pytest.mark.parametrize("number", ["x1", "", "111", "0" * 21, "1" * 41, "٣" * 21])
def test_a_sequence_number_of_odd_shape_is_foreign(history, number):
    """DynamoDB gives none of these; the digest may fit all the same."""
    forge(1, sequence_number=number)(history)

    details = [one.detail for one in verified(history).findings if one.kind == "FOREIGN"]

    assert details == ["its SequenceNumber is none: that has 21 to 40 digits, and is not 0"]


def test_a_row_from_before_its_stream_is_foreign(history):
    """The label of a stream is the time at which it was made."""
    forge(2, event_source_arn=f"{TABLE_ARN}/stream/2018-03-03T14:20:00.000")(history)

    (finding,) = verified(history).findings

    assert (finding.kind, finding.sort_key) == ("FOREIGN", history.stored()[2][SORT_KEY]["S"])
    assert finding.detail == "it is stamped before its stream was made"


def early_life(stream=STREAM_ARN):
    """Rows of an item that came and went before the table was made."""
    at_s = -2 * DAY_S
    ghost = item("ghost", State=text("A"))
    rows = [row_of(None, ghost, at_s), row_of(ghost, None, at_s + 60, 1)]
    return [resealed(row, event_source_arn=stream).to_item(SHARDS) for row in rows]


def test_rows_from_before_the_table_are_foreign(history):
    """A stream that tells of this table cannot have told of what was before it."""
    for row in early_life():
        history.store(row)

    (finding,) = verified(history).findings

    assert (finding.kind.value, finding.keys) == ("FOREIGN", {"Id": text("ghost")})
    assert (finding.since, finding.until) == (
        moment(-2 * DAY_S),
        moment(-2 * DAY_S) + timedelta(seconds=60),
    )
    last = history.stored("ghost")[1][SORT_KEY]["S"]
    assert finding.detail == (
        f"it is stamped before the source table was made, and so are others up to {last}"
    )


def test_rows_of_an_earlier_table_of_that_name_are_no_finding(history):
    """Their stream told of nothing since: it was deleted with that table."""
    old = f"{TABLE_ARN}/stream/2017-01-01T00:00:00.000"
    for row in early_life(old):
        history.store(row)
    assert verified(history).clean

    history.tables.descriptions[SOURCE]["LatestStreamArn"] = old
    assert found_in(history) == ["FOREIGN"]


def test_an_overflow_object_in_another_bucket_is_foreign(overflowed):
    """Where it is known which bucket is the history's."""
    tables = overflowed.tables, overflowed.objects, HISTORY, SOURCE
    overflowed.reader = RowReader(*tables, overflow_bucket=BUCKET)
    assert verified(overflowed).clean

    overflowed.reader = RowReader(*tables, overflow_bucket="the-stacks")
    (finding,) = verified(overflowed).findings
    assert finding.kind is FindingKind.FOREIGN
    assert finding.detail == "its overflow object is in overflow, not in the-stacks"


def known_until(history, until):
    """The same history, known to be complete until a moment."""
    watermark = Watermark(until, Basis.MEASURED, "measured")
    return RowReader(
        history.tables, history.objects, HISTORY, SOURCE, find_watermark=lambda: watermark
    )


def test_a_change_on_its_way_is_no_gap(history):
    """It was made after the moment until which the history is known to be complete."""
    history.put(D)
    history.reader = known_until(history, LATER - timedelta(minutes=38))

    came_of_it = verified(history)

    assert [one.kind for one in came_of_it.findings] == [FindingKind.HEAD_MISMATCH]
    assert came_of_it.completeness is Verdict.UNPROVEN
    assert came_of_it.complete_until == LATER - timedelta(minutes=38)
    assert "either a change since 2" in came_of_it.notes[0]
    assert (
        "is on its way, or it is lost: verify again when the watermark has" in came_of_it.notes[0]
    )
    assert came_of_it.notes[0].endswith(f"passed {time_text(LATER + timedelta(seconds=11.5))}")


def test_what_is_missing_before_is_a_gap(history):
    """All changes of that time have arrived, or never will."""
    lose(1)(history)
    history.reader = known_until(history, moment(121))
    assert verified(history).completeness is Verdict.BROKEN

    history.reader = known_until(history, moment(120))
    assert verified(history).completeness is Verdict.UNPROVEN


def test_without_a_watermark_it_is_said_that_there_is_none(history):
    """What is not there after ten seconds counts as missing."""
    history.put(D)
    history.reader = RowReader(history.tables, history.objects, HISTORY, SOURCE)

    came_of_it = verified(history)

    assert came_of_it.completeness is Verdict.BROKEN
    assert came_of_it.complete_until is None
    assert came_of_it.watermark.reason.startswith("whether records are on their way or kept asid")


def test_progress_is_told(history):
    """Rows listed, then items done of how many there are, then the index."""
    told = []

    verified(history, progress=lambda *progress: told.append(progress))

    assert ("items", 2, 2) in told
    assert ("rows listed", 4, 4) in told
    assert told[-1] == ("index entries", 4, None)


@pytest.mark.parametrize("keys", [None, [KEYS]])
def test_a_wrong_table_is_refused(history, keys):
    """It must not pass for a history without rows."""
    reader = RowReader(history.tables, history.objects, SOURCE, SOURCE)

    with pytest.raises(TableNotFoundError, match="'Employee' is not a history table"):
        verify(reader, keys)


def test_a_refused_table_ends_the_run(history):
    """Nothing is concluded from what could not be read."""
    history.tables.before["query"].append(lambda: (_ for _ in ()).throw(DENIED))

    with pytest.raises(type(DENIED), match="AccessDenied"):
        verified(history)


@pytest.fixture
def on_moto():
    """The two items of `history` on moto, the first one's second row with an overflow object."""
    with mock_aws():
        session = boto3.Session("test", "test", region_name="us-east-1")
        # Where the rows come from; a bucket there would have to be asked for.
        dynamodb = session.client("dynamodb", region_name="eu-west-1")
        s3 = session.client("s3")
        create_history_table(dynamodb, HISTORY)
        create_table(dynamodb, SOURCE, {"Id": "S"})
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        rows = [*rows_of(A, B, C), *rows_of(OTHER)]
        rows[1] = OverflowBucket(s3, BUCKET).put(rows[1])
        for row in rows:
            dynamodb.put_item(TableName=HISTORY, Item=row.to_item(SHARDS))
        for one in (C, OTHER):
            dynamodb.put_item(TableName=SOURCE, Item=one)
        yield RowReader(dynamodb, s3, HISTORY, SOURCE), rows
        dynamodb.close()
        s3.close()


def test_a_whole_history_holds_through_real_clients(on_moto):
    """Paginators, parallel scans, consistent reads, object versions."""
    reader, _ = on_moto

    came_of_it = verify(reader)

    assert came_of_it.clean
    assert (came_of_it.items, came_of_it.rows, came_of_it.overflow_objects) == (2, 4, 1)


def test_damage_is_found_through_real_clients(on_moto):
    """A lost row, an overflow object that is gone, a name no bucket has, an unrecorded item."""
    reader, rows = on_moto
    clock = StillClock()
    dynamodb = reader.dynamodb
    dynamodb.put_item(TableName=SOURCE, Item=item("3"))
    altered = rows[1].to_item(SHARDS)
    for bucket in (BUCKET, "no bucket's name!"):
        altered["Overflow"]["M"] |= {"Bucket": text(bucket), "VersionId": text("gone")}
        dynamodb.put_item(TableName=HISTORY, Item=altered)

        came_of_it = verify(reader, machine=Machine(now=clock.now, sleep=clock.sleep))

        assert [(one.keys["Id"]["S"], one.kind.value) for one in came_of_it.findings] == [
            ("1", "DIGEST_MISMATCH"),
            ("3", "MISSING_START"),
        ]
    dynamodb.delete_item(
        TableName=HISTORY,
        Key={name: altered[name] for name in ("Id", "ApproximateCreationDateTime")},
    )
    came_of_it = verify(reader, [KEYS], machine=Machine(now=clock.now, sleep=clock.sleep))
    assert [one.kind.value for one in came_of_it.findings] == ["MISSING_CHANGE"]


def test_a_history_table_that_is_not_there_is_named(on_moto):
    """With where it was looked for."""
    reader, _ = on_moto

    with pytest.raises(ReportError, match="no table 'Nope' in eu-west-1"):
        verify(RowReader(reader.dynamodb, reader._s3, "Nope", SOURCE))


def test_every_read_is_consistent():
    """A row that a lagging replica of the table has not yet would be told as missing."""
    past = History(
        *rows_of(item("1", a=number(1)), item("1", a=number(2))), live=[item("1", a=number(2))]
    )
    past.tables.requests.clear()

    verify(past.reader, machine=StillClock())

    require_consistent_reads(past.tables)


@pytest.mark.parametrize(("ahead_s", "is_clean"), [(299, True), (301, False)])
def test_a_clock_may_be_five_minutes_wrong(ahead_s, is_clean):
    """A row stamped a little later than this machine's present is no row of the future."""
    ahead = (LATER - moment(0)) / timedelta(seconds=1) + ahead_s
    inserted = row_of(None, item("1"), ahead)

    past = History(inserted, live=[item("1")])

    assert verified(past).clean is is_clean


@pytest.mark.parametrize("image", ["old_image", "new_image"])
def test_an_image_of_another_item_is_found(image):
    """Either image holds the key that it was an image of."""
    _, modified = rows_of(item("1", a=number(1)), item("1", a=number(2)))
    forged = resealed(modified, **{image: item("2", a=number(2))})

    findings = verified(History(forged, live=[item("1", a=number(2))])).findings

    assert FindingKind.KEY_MISMATCH in {finding.kind for finding in findings}
