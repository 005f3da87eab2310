"""Questions to a history table on moto, which is faithful for what reports read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from moto import mock_aws

from history_writer.overflow_bucket import OverflowBucket
from reports import (
    Certainty,
    FindingKind,
    HistoryTable,
    KeyShapeError,
    ReportError,
    Selection,
    TableNotFoundError,
    TimeFormatError,
    UncertainError,
    Verdict,
)
from reports.states.watermark import Basis, NoWatermark, Watermark
from stream_core.change import EventName
from stream_core.control_row import TableLife
from stream_core.errors import IntegrityError
from stream_core.history_row import SORT_KEY, HistoryRow
from tests.factories import FIRST_SEQUENCE, change, complete, item, number, text
from tests.tables import create_history_table, create_table, refusing_session

HISTORY, SOURCE, BUCKET = "EmployeeHistory", "Employee", "overflow"
KEY = {"Id": "1"}


@pytest.fixture(scope="module")
def session():
    """One session, because reading the service models takes longer than a test."""
    return refusing_session()


@pytest.fixture
def aws(session):
    """An AWS of its own: a history table, its source, an overflow bucket."""
    with mock_aws():
        dynamodb = session.client("dynamodb")
        create_history_table(dynamodb, HISTORY)
        create_table(dynamodb, SOURCE, {"Id": "S"})
        s3 = session.client("s3")
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield session
        dynamodb.close()
        s3.close()


@pytest.fixture
def trail(aws):
    trail = HistoryTable(HISTORY, SOURCE, session=aws, time_shards=4)
    complete(trail._reader)
    return trail


@pytest.fixture
def began(aws):
    """A second after the history began: rows are stamped from here on."""
    table = aws.client("dynamodb").describe_table(TableName=HISTORY)["Table"]
    return table["CreationDateTime"].astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)


@pytest.fixture
def record(aws, began):
    """Write the rows of one item's states, a second apart, and leave the last one live."""
    dynamodb = aws.client("dynamodb")

    def write(*states, live=True, step_s=-60, first=1):
        rows = []
        for number_, (old, new) in enumerate(zip([None, *states], states, strict=False)):
            at = (began + timedelta(seconds=step_s * (len(states) - number_))).timestamp()
            row = HistoryRow.from_change(change(old, new, at=at, sequence=first + number_))
            dynamodb.put_item(TableName=HISTORY, Item=row.to_item(4))
            rows.append(row)
        if live and states[-1] is not None:
            dynamodb.put_item(TableName=SOURCE, Item=states[-1])
        return rows

    return write


@pytest.fixture
def old_history(trail, began):
    """The same trail, whose history began a day earlier than its table here."""
    trail._reader.__dict__["horizon"] = began - timedelta(days=1)
    return trail


def named(*names):
    return [name and item("1", Name=text(name), Salary=number("4200.50")) for name in names]


def test_history_has_a_line_for_every_version(old_history, record):
    """Validity is half-open, the last version is current, values are exact Python values."""
    rows = record(*named("Murali", "Murali Allada"))

    frame = old_history.history(KEY)

    assert list(frame["event_name"]) == ["INSERT", "MODIFY"]
    assert frame["valid_from"].dtype == frame["valid_to"].dtype == "datetime64[us, UTC]"
    assert list(frame["valid_from"]) == [row.change.created_at for row in rows]
    assert frame["valid_to"][0] == frame["valid_from"][1]
    assert frame["valid_to"][1] is pd.NaT
    assert list(frame["is_current"]) == [False, True]
    assert frame["old_image"][0] is None
    assert frame["item"][1] == {"Id": "1", "Name": "Murali Allada", "Salary": Decimal("4200.50")}
    assert list(frame["changed"]) == [["Id", "Name", "Salary"], ["Name"]]
    assert list(frame["sequence_number"]) == ["1", "2"]


def test_a_deleted_item_has_no_current_version(old_history, record):
    """A REMOVE is a version of its own, in which there is no item."""
    record(*named("Murali", None))

    frame = old_history.history(KEY)

    assert list(frame["is_current"]) == [False, False]
    assert frame["item"][1] is None


@pytest.mark.parametrize("live", [False, True])
def test_every_question_about_an_item_without_rows_is_answered(old_history, aws, began, live):
    """Whether it lives, or never was: with what is known, and with no request that is refused."""
    if live:
        aws.client("dynamodb").put_item(TableName=SOURCE, Item=named("Murali")[0])
    start, end = began - timedelta(hours=1), began

    assert old_history.as_of(KEY, end).exists is live
    assert len(old_history.timeline(KEY)) == 1
    assert len(old_history.blame(KEY)) == (3 if live else 0)
    assert len(old_history.diff(KEY, start, end)) == 0
    assert len(old_history.between(start, end, KEY)) == live
    assert len(old_history.scd2(KEY)) == live
    assert len(old_history.table_as_of(end)) == live
    for frame in (old_history.history(KEY), old_history.changes(start, end, key=KEY)):
        assert len(frame) == 0


def test_an_item_without_history_has_an_empty_frame_of_the_same_columns(old_history, record):
    """Nothing recorded is an answer with the columns of every other answer."""
    record(*named("Murali"))

    known, unknown = old_history.history(KEY), old_history.history({"Id": "2"})

    assert len(unknown) == 0
    assert list(unknown.columns) == list(known.columns)
    assert unknown["valid_from"].dtype == known["valid_from"].dtype


def test_history_is_read_through_all_its_pages(old_history, record):
    """A history of more than the megabyte that one answer holds comes back whole, in order."""
    record(*[item("1", Blob={"B": bytes([n]) * 100_000}) for n in range(8)])

    frame = old_history.history(KEY)

    assert [image["Blob"][0] for image in frame["new_image"]] == list(range(8))


def test_as_of_is_inclusive_of_its_instant_and_exclusive_before_it(old_history, record):
    """FACTS 9.66: before, at, between, after, and after the REMOVE."""
    rows = record(*named("Murali", "Murali Allada", None))
    times = [row.change.created_at for row in rows]
    tick = timedelta(microseconds=1)

    def name_at(at):
        state = old_history.as_of(KEY, at)
        assert state.certainty is Certainty.EXACT
        return state.item and state.item["Name"]

    assert [name_at(times[0] - tick), name_at(times[0])] == [None, "Murali"]
    assert [name_at(times[1] - tick), name_at(times[1])] == ["Murali", "Murali Allada"]
    assert [name_at(times[2] - tick), name_at(times[2])] == ["Murali Allada", None]
    assert old_history.as_of(KEY, times[2]).row.change.event_name == "REMOVE"


def test_changes_of_one_second_all_count_and_the_last_one_wins(old_history, record):
    """FACTS 9.66: within a second the order is that of the sequence numbers, as numbers."""
    rows = record(*[item("1", Count=number(n)) for n in range(12)], step_s=0)

    state = old_history.as_of(KEY, rows[0].change.created_at)

    assert state.item["Count"] == 11


@pytest.mark.parametrize("versions", [3, 60])
def test_as_of_reads_two_items_however_long_the_history(old_history, record, versions):
    """FACTS 9.69: one row on each side, or one row and the live item."""
    rows = record(*[item("1", Count=number(n)) for n in range(versions)])
    _ = old_history.key_schema
    requests = []
    dynamodb = old_history._reader.dynamodb
    dynamodb.meta.events.register(
        "provide-client-params.dynamodb.*", lambda params, **_: requests.append(params)
    )

    for row in (rows[0], rows[versions // 2], rows[-1]):
        requests.clear()
        old_history.as_of(KEY, row.change.created_at)

        assert [one.get("Limit") for one in requests if "Limit" in one] == [1, 1]
        assert len(requests) - 2 == (1 if row is rows[-1] else 0)


def test_a_change_between_the_reads_does_not_look_like_a_gap(old_history, record, aws, began):
    """The row is asked for again when the live item has just changed."""
    rows = record(*named("Murali"))
    reader = old_history._reader
    read_live = reader.live

    def change_meanwhile(keys):
        old, new = named("Murali", "Murali Allada")
        row = HistoryRow.from_change(change(old, new, at=began.timestamp(), sequence=7))
        aws.client("dynamodb").put_item(TableName=HISTORY, Item=row.to_item(4))
        aws.client("dynamodb").put_item(TableName=SOURCE, Item=new)
        return read_live(keys)

    reader.live = change_meanwhile
    state = old_history.as_of(KEY, rows[0].change.created_at)

    assert (state.item["Name"], state.certainty) == ("Murali", Certainty.EXACT)


def test_a_live_item_that_no_row_explains_bounds_the_answer(old_history, record, aws):
    """A change that never reached the history is noticed at the head."""
    rows = record(*named("Murali"))
    aws.client("dynamodb").put_item(TableName=SOURCE, Item=named("Somebody else")[0])

    state = old_history.as_of(KEY, rows[0].change.created_at)

    assert (state.item["Name"], state.certainty) == ("Murali", Certainty.BOUNDED)


def test_a_certain_answer_is_an_error_where_there_is_only_a_weaker_one(aws, record):
    """Whoever asks for certainty never gets less without noticing."""
    record(*named("Murali"))
    without_source = HistoryTable(HISTORY, session=aws)

    with pytest.raises(UncertainError, match=r"Id=1 as of .* is only unknown: no later row"):
        without_source.as_of(KEY, "now", certain=True)
    assert without_source.as_of(KEY, "now").item["Name"] == "Murali"


def test_the_horizon_is_when_the_history_table_was_made(trail, record, began):
    """Before that nothing was recorded, so nothing is certain."""
    record(*named("Murali"))

    state = trail.as_of(KEY, began - timedelta(days=1))

    assert (state.exists, state.certainty) == (False, Certainty.UNKNOWN)


def test_a_diff_is_the_net_difference_of_two_instants(old_history, record):
    """What came and went in between does not show; types stand beside the values."""
    old, between, new = named("Murali", "X", "Murali Allada")
    new = {**new, "Flag": {"NULL": True}}
    rows = record(old, between, new)

    frame = old_history.diff(KEY, rows[0].change.created_at, rows[2].change.created_at)

    assert frame.to_dict("records") == [
        {
            "id": "1",
            "path": "Flag",
            "change": "added",
            "old": None,
            "new": None,
            "delta": None,
            "old_type": None,
            "new_type": "NULL",
        },
        {
            "id": "1",
            "path": "Name",
            "change": "changed",
            "old": "Murali",
            "new": "Murali Allada",
            "delta": None,
            "old_type": "S",
            "new_type": "S",
        },
    ]
    assert frame.attrs["certainty"] == "exact"


def test_a_diff_is_as_certain_as_the_weaker_of_its_states(aws, record, began):
    """One exact and one unknown state make an unknown difference."""
    rows = record(*named("Murali", "Murali Allada"))
    trail = HistoryTable(HISTORY, session=aws)
    trail._reader.__dict__["horizon"] = began - timedelta(days=1)

    frame = trail.diff(KEY, rows[0].change.created_at, rows[1].change.created_at)

    assert frame.attrs["certainty"] == "unknown"


def overflowed(aws):
    row = OverflowBucket(aws.client("s3"), BUCKET).put(
        HistoryRow.from_change(change(None, item("1")))
    )
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=row.to_item(4))
    return row


def test_images_come_back_from_the_overflow_bucket(old_history, aws):
    """A row whose images did not fit reads like any other."""
    overflowed(aws)

    frame = old_history.history(KEY)

    assert frame["new_image"][0] == {"Id": "1"}


def test_the_version_that_was_written_is_read_whatever_came_later(old_history, aws):
    """A later object under the same key takes nothing's place."""
    row = overflowed(aws)
    aws.client("s3").put_object(Bucket=BUCKET, Key=row.overflow.key, Body=b"forged")

    assert old_history.history(KEY)["new_image"][0] == {"Id": "1"}


def without_object(aws):
    """An overflowed row whose object is gone."""
    row = overflowed(aws)
    aws.client("s3").delete_object(
        Bucket=BUCKET, Key=row.overflow.key, VersionId=row.overflow.version_id
    )
    return row, r"overflow object overflow/.* is missing"


def with_another_object(aws):
    """An overflowed row that points to what was not written."""
    row = overflowed(aws)
    version = aws.client("s3").put_object(Bucket=BUCKET, Key=row.overflow.key, Body=b"forged")
    stored = row.to_item(4)
    stored["Overflow"]["M"]["VersionId"] = {"S": version["VersionId"]}
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=stored)
    return row, "cannot be decompressed"


def with_a_larger_object(aws):
    """An overflowed row whose object was replaced by one that it cannot be, by its size alone."""
    row = overflowed(aws)
    version = aws.client("s3").put_object(Bucket=BUCKET, Key=row.overflow.key, Body=bytes(10**7))
    stored = row.to_item(4)
    stored["Overflow"]["M"]["VersionId"] = {"S": version["VersionId"]}
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=stored)
    return row, r"is not the one that was written: it has more than \d+ bytes"


def with_another_bucket(aws):
    """An overflowed row that points to a bucket that can never be."""
    row = overflowed(aws)
    stored = row.to_item(4)
    stored["Overflow"]["M"]["Bucket"] = {"S": "gone-since"}
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=stored)
    return row, "is missing"


@pytest.mark.parametrize(
    "damage", [without_object, with_another_object, with_a_larger_object, with_another_bucket]
)
def test_a_row_without_its_overflow_object_is_marked(aws, trail, damage):
    """FACTS 9.49: never an empty image, nor another's; all else that the row says is there."""
    row, fault = damage(aws)

    frame = trail.history(KEY)

    assert frame["fault"].str.contains(fault).all()
    assert frame["item"].isna().all()
    assert list(frame["event_name"]) == [row.change.event_name]
    assert list(frame["sequence_number"]) == [row.change.sequence_number]
    assert [(one.keys, one.sort_key) for one in trail.faults] == [(item("1"), row.sort_key)]
    with pytest.raises(IntegrityError, match=f"{fault}.*: itemtrail verify Id=1 says more"):
        HistoryTable(HISTORY, SOURCE, session=aws, strict=True).history(KEY)


@pytest.fixture
def altered(aws, record):
    """Three rows of an item, the second of which names somebody else."""
    rows = record(*named("Murali", "Murali Allada", "M. Allada"))
    stored = rows[1].to_item(4)
    stored["NewImage"]["M"]["Name"] = text("Somebody else")
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=stored)
    return rows


def test_an_altered_row_is_marked_with_what_can_still_be_read(old_history, altered):
    """A row that does not fit its digest is no answer, and ends none."""
    since = altered[0].change.created_at

    for frame in (
        old_history.history(KEY),
        old_history.changes(since),
        old_history.changes(since, key=KEY),
    ):
        assert [fault is not None for fault in frame["fault"]] == [False, True, False]
        assert frame["fault"][1] == f"digest mismatch in the history row {altered[1].sort_key}"
        assert [image["Name"] for image in frame["new_image"]] == [
            "Murali",
            "Somebody else",
            "M. Allada",
        ]


QUESTIONS = {
    "history": lambda trail, _at: trail.history(KEY),
    "as_of": lambda trail, at: trail.as_of(KEY, at),
    "diff": lambda trail, at: trail.diff(KEY, at, "now"),
    "timeline": lambda trail, _at: trail.timeline(KEY),
    "blame": lambda trail, at: trail.blame(KEY, at),
    "changes": lambda trail, at: trail.changes(at - timedelta(days=1)),
    "changes of one": lambda trail, at: trail.changes(at - timedelta(days=1), key=KEY),
    "between": lambda trail, at: trail.between(at, "now"),
    "between of one": lambda trail, at: trail.between(at, "now", KEY),
    "scd2": lambda trail, _at: trail.scd2(),
    "table_as_of": lambda trail, at: trail.table_as_of(at),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_ends_at_an_altered_row_unless_it_is_to(old_history, aws, altered, question):
    """Whoever reads on is told of it; whoever asked strictly gets no answer."""
    at = altered[1].change.created_at
    strict = HistoryTable(HISTORY, SOURCE, session=aws, strict=True)
    strict._reader.__dict__["horizon"] = old_history.horizon

    QUESTIONS[question](old_history, at)

    assert [(one.sort_key, one.advice) for one in old_history.faults] == [
        (altered[1].sort_key, "itemtrail verify Id=1")
    ]
    with pytest.raises(IntegrityError, match=r"digest mismatch.*: itemtrail verify Id=1 says more"):
        QUESTIONS[question](strict, at)


@pytest.fixture
def foreign(aws, record):
    """Three rows of an item, the second of which is of another table."""
    rows = record(*named("Murali", "Murali Allada", "M. Allada"))
    arn = rows[1].change.event_source_arn.replace(f"/{SOURCE}/", "/Customer/")
    rows[1] = HistoryRow.from_change(replace(rows[1].change, event_source_arn=arn))
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=rows[1].to_item(4))
    return rows


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_takes_a_row_of_another_table_for_one_of_this(
    old_history, aws, foreign, question
):
    """It is as sound as any, and no change of this item: it is marked, or ends the question."""
    at = foreign[1].change.created_at
    strict = HistoryTable(HISTORY, SOURCE, session=aws, strict=True)
    strict._reader.__dict__["horizon"] = old_history.horizon

    frame = QUESTIONS[question](old_history, at)

    (fault,) = old_history.faults
    assert fault.sort_key == foreign[1].sort_key
    assert fault.fault.startswith(f"it is of {foreign[1].change.event_source_arn}, not of")
    if question in ("history", "changes", "changes of one"):
        assert list(frame["fault"]) == [None, fault.fault, None]
    with pytest.raises(IntegrityError, match=r"it is of .*/Customer/.*: itemtrail verify Id=1"):
        QUESTIONS[question](strict, at)


def test_blame_knows_of_all_streams_of_the_history(old_history, aws, record):
    """Also where the rows next to the instant are of one."""
    rows = record(item("1", a=number(1)), item("1", b=number(1), a=number(1)))
    arn = rows[0].change.event_source_arn
    before = arn.partition("/stream/")[0] + "/stream/2018-01-01T00:00:00.000"
    first = HistoryRow.from_change(replace(rows[0].change, event_source_arn=before))
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=first.to_item(4))
    made = rows[1].change.created_at
    del old_history._reader.lives
    for life in (TableLife(before, "gone", made - timedelta(days=1)), TableLife(arn, "this", made)):
        aws.client("dynamodb").put_item(TableName=HISTORY, Item=life.to_item())

    frame = old_history.blame(KEY).set_index("path")

    assert pd.isna(frame["since"]["a"])
    assert "the table was made anew" in frame["reason"]["a"]


def test_a_row_of_another_format_is_not_read_as_if_it_were_known(old_history, aws, record):
    """A layout this version does not know is marked; its time and its event stand outside of it."""
    (row,) = record(*named("Murali"))
    aws.client("dynamodb").put_item(TableName=HISTORY, Item={**row.to_item(4), "Format": number(2)})

    (version,) = old_history.history(KEY).to_dict("records")

    assert version["fault"] == "history row of unknown format 2"
    assert version["item"] is None
    assert version["valid_from"] == row.change.created_at
    assert version["event_name"] == "INSERT"


@pytest.mark.parametrize(
    ("change_row", "event_name"),
    [
        (lambda row: row.pop("EventName"), "MODIFY"),
        (lambda row: row.update(EventName=text("FORGED")), "MODIFY"),
        (lambda row: row.update(EventName=text("UNREADABLE")), "MODIFY"),
        (lambda row: [row.pop(name) for name in ("EventName", "NewImage")], "REMOVE"),
        (lambda row: [row.pop(name) for name in ("EventName", "OldImage")], "INSERT"),
        (lambda row: row.update(NewImage=text("none")), "MODIFY"),
        (lambda row: row.pop("Keys"), "MODIFY"),
        (lambda row: row.update(Keys={"M": {"Id": {"NULL": True}}}), "MODIFY"),
        (lambda row: row.update(SizeBytes=text("many")), "MODIFY"),
        (
            lambda row: [row.pop(name) for name in {*row} - {"Id", SORT_KEY, "TimeBucket"}],
            "UNREADABLE",
        ),
    ],
)
def test_what_is_no_history_row_is_marked_and_passed(
    old_history, aws, record, change_row, event_name
):
    """By every question, with the event that it names or that its images show."""
    rows = record(*named("Murali", "Murali Allada", "M. Allada"))
    stored = rows[1].to_item(4)
    change_row(stored)
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=stored)

    for question in QUESTIONS.values():
        question(old_history, rows[1].change.created_at)
    lines = [old_history.history(KEY), old_history.changes(rows[0].change.created_at)]

    for frame in lines:
        assert [fault is not None for fault in frame["fault"]] == [False, True, False]
        assert frame["event_name"][1] == event_name
    assert list(lines[1]["key"]) == [KEY] * 3


def test_a_key_too_long_for_a_partition_key_is_found(aws):
    """FACTS 9.50: 2048 bytes and 1024 bytes of key are stored, and found by key."""
    keys = {"A": text("a" * 2048), "B": text("b" * 1024)}
    row = HistoryRow.from_change(change(None, keys, keys=keys))
    aws.client("dynamodb").put_item(TableName=HISTORY, Item=row.to_item(4))

    frame = HistoryTable(HISTORY, session=aws).history({"A": "a" * 2048, "B": "b" * 1024})

    assert len(frame) == 1


def test_the_key_schema_comes_from_a_row_where_there_is_no_source(aws, record):
    """Without a source table the history itself tells what its keys look like."""
    record(*named("Murali"))

    with pytest.raises(KeyShapeError, match=r"its key is Id \(S\)"):
        HistoryTable(HISTORY, session=aws).history({"Name": "x"})


def test_questions_take_what_pandas_has_and_a_bare_key(trail, record):
    """Cells of a frame, a key's value alone, paths as text; a list of keys may be a single one."""
    rows = record(item("7", Name=text("Murali"), By=text("ada")))
    at = rows[0].change.created_at
    cells = pd.DataFrame({"id": ["7"], "at": [at]}).iloc[0]

    assert len(trail.history("7")) == len(trail.history(cells["id"])) == 1
    assert trail.as_of("Id=7", cells["at"]).exists
    assert trail.as_of("7", cells["at"].to_datetime64()).exists
    assert trail.as_of("7", at.date()).exists
    assert set(trail.blame("7", actor_attribute="By")["actor"]) == {"ada"}
    where = Selection(attribute="Name", actor="ada", actor_attribute="By")
    assert len(trail.changes(at.date(), at.date(), where)) == 1
    assert trail.verify("7").items == trail.verify({"Id": "7"}).items == 1


def test_a_frame_has_the_times_as_they_were_understood(trail, record):
    """A day is all of it; the texts survive a file."""
    record(item("7", Name=text("Murali")))
    day = ("2018-03-03", "2018-03-03")
    last = "2018-03-03T23:59:59.999999Z"

    whole = {"since": "2018-03-03T00:00:00.000000Z", "until": last}
    assert trail.between(*day).attrs == whole
    assert trail.changes(*day).attrs.items() >= whole.items()
    assert trail.blame("7", day[0]).attrs["at"] == trail.table_as_of(day[0]).attrs["at"] == last
    difference = trail.diff("7", *day).attrs
    assert (difference["from"], difference["to"]) == ("2018-03-02T23:59:59.999999Z", last)


def test_a_list_of_changes_says_up_to_when_none_is_missing(trail, record):
    """Also one of nothing: a range that ends later than the watermark is no proof of nothing."""
    record(item("7", Name=text("Murali")))
    trail._reader.watermark = Watermark(
        datetime(2018, 3, 5, tzinfo=UTC), Basis.MEASURED, "by the metrics"
    )

    earlier = trail.changes("2018-03-04", "2018-03-04")
    for later in (trail.changes("2018-03-05", "2018-03-05"), trail.changes("2018-03-05", key=KEY)):
        assert later.empty
        assert (later.attrs["complete_until"], later.attrs["basis"]) == (
            "2018-03-05T00:00:00.000000Z",
            "measured",
        )
        assert "may still be on its way" in later.attrs["reason"]
    assert earlier.attrs == later.attrs | {
        "since": "2018-03-04T00:00:00.000000Z",
        "until": "2018-03-04T23:59:59.999999Z",
        "reason": None,
    }
    trail._reader.watermark = NoWatermark("no stack was given")
    unknown = trail.changes("2018-03-04", "2018-03-04").attrs
    assert (unknown["complete_until"], unknown["basis"]) == (None, None)
    assert unknown["reason"] == "no stack was given"


def test_the_watermark_is_asked_before_the_changes_that_it_speaks_of(trail):
    """A change that is written in between may not count as recorded, and be missing."""
    asked = []
    del trail._reader.watermark
    trail._reader.find_watermark = lambda: asked.append("watermark") or NoWatermark()
    changed = trail.changed_rows
    trail.changed_rows = lambda *given: asked.append("rows") or changed(*given)

    trail.changes("2018-03-04")

    assert asked == ["watermark", "rows"]


@pytest.mark.parametrize("time", [pd.NaT, None, 1520085960, "20260301"])
def test_what_is_no_time_is_refused_by_the_name_of_its_argument(trail, time):
    """Whatever the question is."""
    for argument, ask in (
        ("at", lambda: trail.as_of("1", time)),
        ("at", lambda: trail.blame("1", time)),
        ("at", lambda: trail.table_as_of(time)),
        ("start", lambda: trail.changes(time)),
        ("end", lambda: trail.between("1h ago", time)),
        ("start", lambda: trail.diff("1", time, "now")),
        ("end", lambda: trail.diff("1", "1h ago", time)),
    ):
        with pytest.raises(TimeFormatError, match=f"^{argument}: .* is not a time"):
            ask()


def test_an_empty_history_without_a_source_says_what_to_do(aws):
    """Without any row nothing tells what a key looks like."""
    with pytest.raises(ReportError, match="no row of it can be read: name the"):
        HistoryTable(HISTORY, session=aws).history(KEY)


@pytest.mark.parametrize("tables", [("Nope", SOURCE), (HISTORY, "Nope")])
def test_a_table_that_does_not_exist_is_named(aws, tables):
    """The error names the table, where it was looked for, and what to check."""
    with pytest.raises(TableNotFoundError, match="no table 'Nope' in eu-west-1 at http"):
        HistoryTable(*tables, session=aws).history(KEY)


def test_a_table_that_is_no_history_is_refused(aws):
    """Another table must not pass for a history without rows."""
    with pytest.raises(TableNotFoundError, match="'Employee' is not a history table"):
        HistoryTable(SOURCE, SOURCE, session=aws).as_of(KEY, "now")


def test_now_is_the_present(old_history, record):
    """The last row, the live item behind it, and a relative time."""
    record(*named("Murali"))

    state = old_history.as_of(KEY, "now")

    assert state.certainty is Certainty.EXACT
    assert state.at <= datetime.now(UTC)


def test_a_timeline_has_gaps_and_absences(old_history, record):
    """The time before the first row is a state too; a missing row bounds the one before it."""
    rows = record(*named("Murali", "X", "Murali Allada"))
    old_history._reader.dynamodb.delete_item(
        TableName=HISTORY,
        Key={"Id": text("1"), "ApproximateCreationDateTime": text(rows[1].sort_key)},
    )

    frame = old_history.timeline(KEY)

    assert list(frame["exists"]) == [False, True, True]
    assert list(frame["certainty"]) == ["exact", "bounded", "exact"]
    assert list(frame["is_current"]) == [False, False, True]


def test_blame_puts_each_attribute_down_to_a_change(old_history, record):
    """By path, with the actor that the attribute named for it tells."""
    rows = record(
        item("1", Name=text("M"), By=text("ann")), item("1", Name=text("M A"), By=text("bob"))
    )

    frame = old_history.blame(KEY, actor_attribute=("By",)).set_index("path")

    assert frame["since"]["Id"] == rows[0].change.created_at
    assert (frame["since"]["Name"], frame["actor"]["Name"]) == (rows[1].change.created_at, "bob")
    assert old_history.blame(KEY).attrs["certainty"] == "exact"
    before = old_history.blame(KEY, rows[0].change.created_at)
    assert set(before["sequence_number"]) == {"1"}


def test_changes_are_those_made_in_the_range_and_selected(old_history, record):
    """Through the index, or the item's own rows; both ends included."""
    rows = record(*named("Murali", "X", "Murali Allada", None))
    start, end = rows[1].change.created_at, rows[3].change.created_at
    renamed = Selection(attribute=("Name",), new="Murali Allada")

    assert list(old_history.changes(start, end)["event_name"]) == ["MODIFY", "MODIFY", "REMOVE"]
    assert list(old_history.changes(start, end, key=KEY)["sequence_number"]) == ["2", "3", "4"]
    assert list(old_history.changes(start, end, renamed)["sequence_number"]) == ["3"]
    assert list(old_history.changes(start, end, key={"Id": "2"})["id"]) == []


def test_between_has_what_was_active_and_not_only_what_changed(old_history, record):
    """The version that began before the range is in it; a deleted item is not."""
    rows = record(*named("Murali", "X", "Murali Allada", None))
    start = rows[1].change.created_at + timedelta(seconds=1)

    for key in (KEY, None):
        frame = old_history.between(start, "now", key)

        assert [one["Name"] for one in frame["item"]] == ["X", "Murali Allada"]
    assert len(old_history.between(rows[3].change.created_at, "now")) == 0


def test_a_table_as_of_an_instant_is_one_line_an_item(old_history, record, aws):
    """Whichever way it was read, and it says which; certainty can be asked for."""
    rows = record(*named("Murali", "X"))
    aws.client("dynamodb").put_item(TableName=SOURCE, Item=item("2"))

    frame = old_history.table_as_of(rows[0].change.created_at)

    lines = {key["Id"]: line for line, key in enumerate(frame["key"])}
    assert frame["item"][lines["1"]]["Name"] == "Murali"
    assert frame["certainty"][lines["2"]] == "bounded"
    assert frame.attrs["method"] == "history"
    with pytest.raises(UncertainError, match="Id=2"):
        old_history.table_as_of(rows[0].change.created_at, certain=True)


def test_scd2_is_every_version_of_every_item(old_history, record):
    """Joined on an instant, it gives the state of that instant."""
    rows = record(*named("Murali", "X", None))

    frame = old_history.scd2()

    at = rows[1].change.created_at
    assert list(frame[(frame["valid_from"] <= at) & (frame["valid_to"] > at)]["Name"]) == ["X"]
    assert list(old_history.scd2(KEY)["Salary"]) == [Decimal("4200.5")] * 2


def test_verify_has_two_verdicts(old_history, record):
    """A clean history holds both; a missing row breaks completeness and not integrity."""
    # Long enough ago that nothing can be on its way.
    rows = record(*named("Murali", "X", "Murali Allada"), step_s=-7200, first=FIRST_SEQUENCE)
    assert old_history.verify().clean

    old_history._reader.dynamodb.delete_item(
        TableName=HISTORY,
        Key={"Id": text("1"), "ApproximateCreationDateTime": text(rows[1].sort_key)},
    )
    for keys in (None, [KEY]):
        found = old_history.verify(keys)

        assert [one.kind for one in found.findings] == [FindingKind.MISSING_CHANGE]
        assert (found.integrity, found.completeness) == (Verdict.HOLDS, Verdict.BROKEN)

        frame = old_history.findings(keys)
        assert frame["finding"].tolist() == ["MISSING_CHANGE"]
        assert frame.attrs == {"integrity": "holds", "completeness": "broken"}


def test_a_baseline_gives_way_to_a_change_of_its_second(old_history, began, aws):
    """A baseline shows some moment of its second; the old image is what was before all of it."""
    old, new = named("Murali", "Murali Allada")
    at = began.timestamp() - 60
    baseline = change(None, new, at=at, sequence=0)
    rows = [
        HistoryRow.from_change(replace(baseline, event_name=EventName.SNAPSHOT)),
        HistoryRow.from_change(change(old, new, at=at, sequence=7)),
    ]
    for row in rows:
        aws.client("dynamodb").put_item(TableName=HISTORY, Item=row.to_item(4))
    aws.client("dynamodb").put_item(TableName=SOURCE, Item=new)

    state = old_history.as_of(KEY, began - timedelta(seconds=90))

    assert (state.item["Name"], state.certainty) == ("Murali", Certainty.BOUNDED)
    assert state.row == rows[1]


def test_rows_that_a_call_leaves_out_are_asked_for_again(old_history, record, monkeypatch):
    """UnprocessedKeys are worked off; a row that is not there is marked."""
    rows = record(*named("Murali", "X", "Y"))
    reader = old_history._reader
    batch_get, calls = reader.dynamodb.batch_get_item, []
    monkeypatch.setattr("time.sleep", lambda _seconds: None)

    def half(RequestItems):  # noqa: N803 - boto3's name
        calls.append(RequestItems)
        keys = RequestItems[HISTORY]["Keys"]
        answer = batch_get(RequestItems={HISTORY: {"Keys": keys[:1], "ConsistentRead": True}})
        return {**answer, "UnprocessedKeys": {HISTORY: {"Keys": keys[1:]}} if keys[1:] else {}}

    monkeypatch.setattr(reader.dynamodb, "batch_get_item", half)
    wanted = [(row.id, row.sort_key) for row in reversed(rows)]

    assert reader.fetch(wanted) == rows[::-1]
    assert len(calls) == 3
    (gone,) = reader.fetch([("1", "2018-03-03T18:46:00.000000Z#gone")])
    assert (gone.id, gone.sort_key, gone.change.event_name) == (
        "1",
        "2018-03-03T18:46:00.000000Z#gone",
        "UNREADABLE",
    )
    assert gone.fault.endswith("is in the index and not in the table")
