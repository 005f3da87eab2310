"""Questions to a dataset, answered by DuckDB: what they tell, refuse and escape."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="needs the extra 'warehouse'")

import pyarrow as pa
import pyarrow.parquet as pq

from reports.states.watermark import Basis, Watermark
from reports.verification.continuity import FindingKind
from reports.verification.verdicts import Verdict
from stream_core.control_row import BackfillMark, RunRow
from tests.factories import RECORDED, STREAM_ARN, item, number, text
from tests.recorded_history import baseline_of, resealed, row_of, rows_of
from tests.unit.memory_tables import moment
from tests.warehouse_histories import ODD, dataset_of, write_file
from warehouse.archive.conversion import STAGED
from warehouse.check import FAULTS, KnownRuns, check, check_of
from warehouse.dataset.manifest import DataFile
from warehouse.dataset.schema import history_row
from warehouse.dataset.schema import row_of as line_of
from warehouse.engines.duck import DuckEngine
from warehouse.errors import DatasetError
from warehouse.questions import activity_sql, placement, states_sql
from warehouse.questions.question import Range

OPEN, DONE = item("1", State=text("open")), item("1", State=text("done"))
ROWS = rows_of(OPEN, DONE, None)
DAY = timedelta(days=1)
LATER = moment(86400)


COMPLETE = {"watermark": RECORDED, "complete_since": datetime.min.replace(tzinfo=UTC)}


@pytest.fixture
def engine_of(tmp_path):
    """A factory of engines over rows, with no change on its way unless a test says so."""
    opened = []

    def make(*rows, complete_until=LATER, horizon=None, folder=tmp_path, known=COMPLETE, **options):
        folder.mkdir(parents=True, exist_ok=True)
        dataset = dataset_of(folder, rows, complete_until, horizon)
        opened.append(DuckEngine(dataset, **options))
        opened[-1].bounds = replace(opened[-1].bounds, **known)
        return opened[-1]

    yield make
    for engine in opened:
        engine.close()


def lines(reader, *names):
    """The lines of an answer, or a tuple of some columns of each."""
    answer = reader.read_all().to_pylist()
    return [tuple(line[name] for name in names) for line in answer] if names else answer


def digests(engine):
    """Which lines of a dataset are not what was written."""
    return engine.map_rows(check_of(LATER), FAULTS)


def states_at(engine, at):
    return lines(
        engine.answer(states_sql.table_as_of(at, engine.bounds)),
        "exists",
        "certainty",
        "reason",
        "valid_from",
        "valid_to",
    )


def test_a_state_after_the_dataset_is_complete_is_unknown(engine_of):
    """Whatever fits: rows of that time may be in an export that was not ingested."""
    engine = engine_of(*ROWS, complete_until=moment(60), horizon=moment(-60))

    assert states_at(engine, moment(60)) == [
        (True, "exact", "the rows before and after fit each other", moment(60), moment(120))
    ]
    ((exists, certainty, reason, _, _),) = states_at(engine, moment(60.000001))
    assert (exists, certainty) == (True, "unknown")
    assert reason == "the dataset is complete until 2018-03-03T14:07:00.000000Z, and no longer"
    versions = lines(engine.answer(states_sql.versions(engine.bounds)), "valid_from", "certainty")
    assert sorted(versions) == [(moment(0), "exact"), (moment(60), "exact")]


def test_a_version_that_begins_after_the_dataset_is_complete_is_unknown(engine_of):
    """As the table at that instant is."""
    engine = engine_of(*ROWS, complete_until=moment(59))

    versions = sorted(
        lines(engine.answer(states_sql.versions(engine.bounds)), "valid_from", "certainty")
    )

    assert versions == [(moment(0), "exact"), (moment(60), "unknown")]


def test_without_a_horizon_only_the_first_row_proves_that_the_history_had_begun(engine_of):
    """Nobody knows whether anything was recorded earlier; the certain answer is not given."""
    other = row_of(None, item("2"), 60, 9)
    engine = engine_of(*ROWS, other)

    before = states_at(engine, moment(-1))
    between = lines(
        engine.answer(states_sql.table_as_of(moment(30), engine.bounds)), "id", "certainty"
    )

    assert [state[:2] for state in before] == [(False, "unknown")] * 2
    assert {state[2] for state in before} == {
        "it is unknown when the history began: nothing vouches for the time before its first row"
    }
    assert between == [("1", "exact")]


def test_a_baseline_is_passed_over_where_a_change_of_its_second_follows(engine_of):
    """It shows some moment of the second; the change's own OldImage is the state before."""
    old = item("1", State=number(0))
    engine = engine_of(baseline_of(DONE, 60), row_of(old, DONE, 60, 1), horizon=moment(-9))

    assert lines(
        engine.answer(states_sql.table_as_of(moment(0), engine.bounds)),
        "image",
        "certainty",
        "valid_to",
    ) == [('{"Id":{"S":"1"},"State":{"N":"0"}}', "bounded", moment(60))]
    assert len(lines(engine.answer(states_sql.versions(engine.bounds)))) == 2


def test_the_net_difference_leaves_out_what_went_and_came_back(engine_of):
    """One line an item that differs, with both images and how sure they are."""
    other, third = item("2", State=text("x")), item("3")
    rows = [*ROWS[:2], row_of(DONE, OPEN, 120, 2), row_of(None, other, 60, 3)]
    rows += [row_of(None, third, 0, 4), row_of(third, None, 90, 5)]
    engine = engine_of(*rows)

    def differing(since, until):
        answer = lines(
            engine.answer(states_sql.diff(since, until, engine.bounds)),
            "id",
            "kind",
            "old_certainty",
            "new_certainty",
        )
        return sorted(answer)

    assert differing(moment(0), moment(120)) == [
        ("2", "added", "exact", "unknown"),
        ("3", "removed", "exact", "unknown"),
    ]
    assert differing(moment(0), moment(60)) == [
        ("1", "changed", "exact", "exact"),
        ("2", "added", "exact", "unknown"),
    ]
    assert differing(moment(60), moment(60)) == []


def test_a_range_that_ends_before_it_starts_is_refused(engine_of):
    """By every question that takes one."""
    bounds = engine_of(*ROWS).bounds

    with pytest.raises(DatasetError, match="ends before it starts"):
        Range(moment(1), moment(0))
    with pytest.raises(DatasetError, match="ends before it starts"):
        states_sql.diff(moment(1), moment(0), bounds)


def test_changes_include_both_ends_and_no_baseline(engine_of):
    """In the order of time; what comes back is the row that was written, to the digest."""
    engine = engine_of(*ROWS, baseline_of(OPEN, 30))

    changes = [
        history_row(line)
        for line in lines(engine.answer(activity_sql.changes(Range(moment(0), moment(60)))))
    ]

    assert changes == ROWS[:2]
    for row in changes:
        row.check()


@pytest.mark.parametrize("name", ["1", "o'c", "a|b\\", "json:", "\ud800", "😀", "' OR 1 = 1 --"])
def test_the_history_of_an_item_is_whole(engine_of, name):
    """Whatever characters are in its key; baselines are part of it."""
    mine = [baseline_of(item(name)), row_of(item(name), None, 1, 1)]
    engine = engine_of(*mine, row_of(None, item("other")))

    rows = map(history_row, lines(engine.answer(activity_sql.history())))

    assert sorted((row for row in rows if row.id == name), key=lambda row: row.sort_key) == mine


def test_activity_is_counted_by_day_of_utc(engine_of):
    """Changes of each kind, the items they touched, and how many came and went."""
    start = (datetime(2018, 3, 3, 23, 59, 30, tzinfo=UTC) - moment(0)).total_seconds()
    rows = [row_of(None, OPEN, start, 0), row_of(OPEN, DONE, start + 29, 1)]
    rows += [row_of(DONE, None, start + 31, 2), row_of(None, item("2"), start + 32, 3)]
    engine = engine_of(*rows, row_of(item("2"), None, start + 33, 4))

    assert [
        tuple(line.values()) for line in lines(engine.answer(activity_sql.changes_per_day(Range())))
    ] == [
        (date(2018, 3, 3), 2, 1, 1, 0, 1),
        (date(2018, 3, 4), 3, 1, 0, 2, 2),
    ]
    assert lines(
        engine.answer(activity_sql.churn(Range())), "day", "inserted", "removed", "net"
    ) == [
        (date(2018, 3, 3), 1, 0, 1),
        (date(2018, 3, 4), 1, 2, -1),
    ]
    last = Range(moment(start + 32), moment(start + 99))
    assert lines(engine.answer(activity_sql.changes_per_day(last)), "day", "changes") == [
        (date(2018, 3, 4), 2)
    ]


def test_an_actor_is_whom_reports_name_and_doubt_is_counted(engine_of):
    """DynamoDB itself, an attribute of any plain type, or nobody: a delete names nobody."""
    images = [item("1", By=by) for by in (text("ann"), number(7), {"B": b"ann"}, {"BOOL": True})]
    unnamed = [item("1", By={"NULL": True}), item("1", By={"SS": ["ann"]}), item("1")]
    rows = rows_of(*images, *unnamed)
    rows += [row_of(item("1", By=text("ann"), N=number(1)), item("1", By=text("ann")), 999, 20)]
    rows += [row_of(item("2"), None, 0, 21)]
    rows += [row_of(item("3"), None, 0, 22, user_identity=("Service", "dynamodb.amazonaws.com"))]
    engine = engine_of(*rows)

    answer = lines(
        engine.answer(activity_sql.changes_per_actor(Range(), ("By",))),
        "actor",
        "source",
        "changes",
        "doubtful",
    )

    assert sorted(answer, key=repr) == [
        ("7", "attribute", 1, 0),
        ("ann", "attribute", 2, 1),
        ("base64:YW5u", "attribute", 1, 0),
        ("dynamodb.amazonaws.com", "userIdentity", 1, 0),
        ("true", "attribute", 1, 0),
        (None, None, 4, 0),
    ]
    assert sorted(
        lines(engine.answer(activity_sql.changes_per_actor(Range())), "actor", "changes"), key=repr
    ) == [
        ("dynamodb.amazonaws.com", 1),
        (None, 9),
    ]


NAMES = [
    ODD,
    "a.b",
    "a'b",
    'a"b',
    "a]b",
    "$",
    "*",
    "0",
    "-",
    "~1",
    "a/b",
    "é",
    "\ud800",
    "?(@)",
    " ",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_attribute_is_found_whatever_its_name_is(engine_of, name):
    """No character of it is taken for a part of a path or of the query."""
    image = item("1", **{name: {"M": {name: {"L": [text("no"), text("yes")]}, "x": text("no")}}})
    engine = engine_of(row_of(None, image))

    assert lines(
        engine.answer(activity_sql.dwell((name, name, 1), engine.bounds)), "type", "value"
    ) == [("S", "yes")]
    assert lines(
        engine.answer(activity_sql.dwell((name, f"{name}x"), engine.bounds)), "type", "value"
    ) == [(None, None)]
    actors = lines(engine.answer(activity_sql.changes_per_actor(Range(), (name, name, 1))), "actor")
    assert actors == [("yes",)]


WATERMARK = Watermark(moment(90), Basis.MEASURED, "measured")
FITS = "the rows before and after fit each other"


def test_a_state_is_exact_up_to_the_watermark_and_says_on_what_that_rests(engine_of):
    """A stamp is a whole second: the change may have been made until the next one."""
    engine = engine_of(*ROWS, complete_until=moment(210), known={"watermark": WATERMARK})

    def states(at):
        question = states_sql.table_as_of(at, engine.bounds)
        return lines(engine.answer(question), "certainty", "basis", "reason")

    doubt = (
        "a change of the last 2 minutes may still be on its way: the history is known to be "
        "complete until 2018-03-03T14:07:30.000000Z (measured)"
    )
    assert states(moment(89.5)) == [("exact", "measured", FITS)]
    assert states(moment(90)) == [("bounded", None, f"{FITS}, but {doubt}")]


def test_a_version_is_exact_only_if_its_end_is_before_the_watermark(engine_of):
    """As long as it lasted, another change may have been made and put back."""
    engine = engine_of(*ROWS, known={"watermark": WATERMARK})

    versions = lines(engine.answer(states_sql.versions(engine.bounds)), "valid_to", "certainty")

    assert sorted(versions) == [(moment(60), "exact"), (moment(120), "bounded")]


def test_without_a_watermark_no_past_is_exact(engine_of):
    """Whatever the rows say: the reason tells what is needed."""
    engine = engine_of(*ROWS, known={})

    answer = lines(engine.answer(states_sql.versions(engine.bounds)), "certainty", "basis")
    question = states_sql.table_as_of(moment(0), engine.bounds)
    states = engine.answer(question).read_all()["reason"].to_pylist()

    assert answer == [("bounded", None)] * 2
    assert states == [
        (
            f"{FITS}, but whether records are on their way or kept aside is not known; give "
            "--stack or --recorded-until"
        )
    ]


def test_that_an_item_was_not_there_needs_a_finished_backfill(engine_of):
    """Which began before the instant: else the item may have lived, and its deletion be lost."""
    late = row_of(None, item("2"), 60, 1)

    def before_it(**known):
        engine = engine_of(late, known=COMPLETE | known, horizon=moment(-DAY.total_seconds()))
        question = states_sql.table_as_of(moment(30), engine.bounds)
        return lines(engine.answer(question), "exists", "certainty", "basis", "reason")

    inserts = "the first row inserts the item"
    too_late = "after the time asked for, vouches for nothing before"
    assert before_it(complete_since=moment(30)) == []
    assert before_it(complete_since=moment(31)) == [
        (
            *(False, "bounded", None),
            f"{inserts}, but the backfill that began at 2018-03-03T14:06:31Z, {too_late}",
        )
    ]
    assert before_it(complete_since=None) == [
        (
            *(False, "bounded", None),
            f"{inserts}, but no finished backfill vouches that every item has a beginning",
        )
    ]
    assert before_it(watermark=WATERMARK) == []
    fresh = replace(WATERMARK, at=moment(30))
    ((_, certainty, _, reason),) = before_it(watermark=fresh)
    assert certainty == "bounded"
    assert "gave every item a row, but a change of the last 24 hours may still be" in reason


def test_a_change_that_may_be_on_its_way_is_not_called_missing(engine_of):
    """Before the watermark it is."""
    gapped = [ROWS[0], row_of(item("1", n=number(1)), None, 60, 1)]

    def reason(watermark_s):
        watermark = replace(WATERMARK, at=moment(watermark_s))
        engine = engine_of(*gapped, known={"watermark": watermark})
        ((reason,),) = lines(engine.answer(states_sql.versions(engine.bounds)), "reason")
        return reason

    assert reason(60) == "a change is missing between the rows before and after"
    assert reason(59) == (
        "a change between the rows before and after is still on its way, or is missing"
    )


def test_nothing_is_exact_across_streams(engine_of):
    """Between them changes are missing, or the table itself was another one."""
    arn = ROWS[1].change.event_source_arn
    again = resealed(ROWS[1], event_source_arn=f"{arn}-again")
    engine = engine_of(ROWS[0], again)

    states = engine.answer(states_sql.table_as_of(moment(30), engine.bounds))
    versions = engine.answer(states_sql.versions(engine.bounds))
    stays = engine.answer(activity_sql.dwell(("State",), engine.bounds))

    ((certainty, reason),) = lines(states, "certainty", "reason")
    assert certainty == "bounded"
    assert "are of different streams: changes in between are missing, or the table was" in reason
    assert (moment(60), reason) in lines(versions, "valid_to", "reason")
    assert ("open", 1) in lines(stays, "value", "uncertain")


def test_a_stay_of_which_a_change_may_be_on_its_way_is_uncertain(engine_of):
    """It may be shorter than it seems."""
    engine = engine_of(*ROWS, known={"watermark": WATERMARK})

    answer = lines(
        engine.answer(activity_sql.dwell(("State",), engine.bounds)), "value", "uncertain"
    )

    assert answer == [("done", 1), ("open", 0)]


def test_dwell_tells_how_long_each_value_lasted(engine_of):
    """To the microsecond; what was entered, what lasts, and what a missing change makes unsure."""
    rows = [row_of(None, OPEN, 0, 0), row_of(OPEN, DONE, 10.5, 1), row_of(DONE, OPEN, 12, 2)]
    blocked = item("2", State=text("open"))
    rows += [baseline_of(blocked, 0), row_of(item("2", State=number(5)), None, 100, 3)]
    engine = engine_of(*rows, complete_until=moment(112))

    answer = lines(engine.answer(activity_sql.dwell(("State",), engine.bounds)))

    assert answer == [
        {
            "type": "S",
            "value": "done",
            "items": 1,
            "stays": 1,
            "entered": 1,
            "lasting": 0,
            "uncertain": 0,
            "total_seconds": 1.5,
            "mean_seconds": 1.5,
        },
        {
            "type": "S",
            "value": "open",
            "items": 2,
            "stays": 3,
            "entered": 2,
            "lasting": 1,
            "uncertain": 1,
            "total_seconds": 10.5 + 100 + 100,
            "mean_seconds": 210.5 / 3,
        },
    ]


def swapped(rows):
    """Two rows, each at the place of the other."""
    return [
        resealed(
            row, created_at=place.change.created_at, sequence_number=place.change.sequence_number
        )
        for row, place in zip(rows, reversed(rows), strict=True)
    ]


LONG = rows_of(OPEN, DONE, item("1"), item("1", State=number(1)))


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        (LONG, []),
        (LONG[1:], ["MISSING_START"]),
        ([LONG[0], LONG[2]], ["MISSING_CHANGE"]),
        ([LONG[0], row_of(None, DONE, 99, 9)], ["MISSING_DELETE"]),
        ([*ROWS, row_of(OPEN, DONE, 999, 9)], ["MISSING_INSERT"]),
        ([LONG[0], *swapped(LONG[1:3]), LONG[3]], ["MISSING_CHANGE"] * 3),
        ([*LONG[:2], resealed(LONG[2], created_at=moment(0.5)), LONG[3]], ["ORDER"]),
        ([row_of(None, OPEN, 9, 1), row_of(OPEN, None, 10, 0)], ["ORDER", "MISSING_START"]),
        ([baseline_of(OPEN, 0), *LONG[1:]], []),
        ([baseline_of(item("1", State=number(5)), 0), *LONG], ["MISSING_INSERT"]),
        ([baseline_of(OPEN, 0), row_of(None, OPEN, 0.25)], []),
    ],
)
def test_findings_are_those_of_continuity(engine_of, rows, kinds):
    """By class; an item beside it that is whole has none."""
    other = [row_of(None, item("2"), 0, 50), baseline_of(item("2"), 60)]

    findings = lines(engine_of(*rows, *other).findings(), "found", "id")

    assert findings == [(kind, "1") for kind in kinds]


def test_whole_lines_have_nothing_wrong(engine_of):
    """The function that engines run over all rows is the one that ingests check with."""
    assert lines(digests(engine_of(*ROWS, baseline_of(item("2"))))) == []


@pytest.mark.parametrize(
    "altered",
    [
        {"new_image": '{"Id":{"S":"1"},"State":{"S":"shut"}}'},
        {"old_hash": bytes(16)},
        {"new_hash": None},
        {"changed": ["Other"]},
        {"created_at": moment(1)},
        {"event_name": "MODIFY"},
        {"keys": "{"},
        {"digest": bytes(32)},
        {"format": 2},
    ],
    ids=lambda altered: next(iter(altered)),
)
def test_an_altered_column_is_found(engine_of, tmp_path, altered):
    """Whichever: a column that only follows from the images answers questions too."""
    engine = engine_of(*ROWS)
    lines_ = [line_of(row) for row in ROWS[::2]]
    write_file(tmp_path, "2018-03", "0.parquet", [lines_[0] | altered, *lines_[1:]])

    answer = lines(digests(engine), "found", "sort_key")

    assert answer == [("DIGEST_MISMATCH", ROWS[0].sort_key)]


def test_a_forged_row_is_found_by_its_place(engine_of):
    """A digest that fits does not help a row that stands where its keys do not belong."""
    forged = resealed(ROWS[0], item_id="9")
    future = resealed(ROWS[1], created_at=LATER + DAY)

    answer = lines(digests(engine_of(forged, future)), "found", "id")

    assert sorted(answer) == [("KEY_MISMATCH", "1"), ("KEY_MISMATCH", "9")]


def test_free_sql_sees_views_named_after_the_questions(engine_of):
    """At the instant and in the range that they were defined for."""
    engine = engine_of(*ROWS)

    names = engine.views(at=moment(70), until=moment(60), attribute=("State",))

    assert {"history", "changes", "table_as_of", "versions", "diff", "dwell"} < set(names)
    for name in names:
        engine.sql(f'SELECT * FROM "{name}"').read_all()  # noqa: S608 - a name of ours
    joined = engine.sql('SELECT image FROM table_as_of JOIN changes USING (id) WHERE "exists"')
    assert lines(joined, "image") == [('{"Id":{"S":"1"},"State":{"S":"done"}}',)] * 2
    engine.views(at=moment(0))
    assert "open" in lines(engine.sql("SELECT image FROM table_as_of"), "image")[0][0]


@pytest.mark.parametrize(
    "text_",
    [
        "COPY (SELECT 1) TO '{path}'",
        "COPY rows TO '{folder}/stolen.csv'",
        "ATTACH '{folder}/x.db'",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW rows",
        "SET threads = 1",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT * FROM read_text('{folder}/manifest.json')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM nowhere",
        "SELEC 1",
        "",
    ],
)
def test_free_sql_only_reads_the_dataset(engine_of, tmp_path, text_):
    """One line that says why not; nothing is written and no other file is read."""
    engine = engine_of(*ROWS)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    with pytest.raises(DatasetError) as refused:
        engine.sql(text_.format(folder=tmp_path, path=engine.dataset.paths[0])).read_all()

    assert len(str(refused.value).splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    assert lines(engine.sql("SELECT count(*) AS n FROM rows")) == [{"n": 3}]


def test_an_error_while_reading_quotes_no_item(engine_of):
    """DuckDB would tell the value that it could not convert."""
    with pytest.raises(DatasetError) as refused:
        engine_of(*ROWS).sql("SELECT new_image::INTEGER FROM rows").read_all()

    assert str(refused.value) == "DuckDB cannot answer: ConversionException"


def test_python_variables_are_no_tables(engine_of):
    """A query sees the dataset, not the program that asks it."""
    secret = pa.table({"a": [1]})

    with pytest.raises(DatasetError, match="secret"):
        engine_of(*ROWS).sql("SELECT * FROM secret")

    assert secret.num_rows == 1


@pytest.mark.parametrize("name", ["o'c", "a b", "[ab]", "é{x}", "100%", "a=b", "st*r"])
def test_a_dataset_is_read_whatever_its_folder_is_called(engine_of, tmp_path, name):
    """No character of a path is taken for a pattern, or for the end of a text."""
    engine = engine_of(*ROWS, folder=tmp_path / name)

    assert lines(engine.sql("SELECT count(*) AS n, min(month) AS m FROM rows")) == [
        {"n": 3, "m": "2018-03"}
    ]


def test_only_listed_files_are_read(engine_of):
    """What an interrupted ingest left behind is in the folder, and no part of the dataset."""
    dataset = engine_of(*ROWS).dataset
    listed = replace(dataset, files=dataset.files[:1])

    with DuckEngine(listed) as engine:
        assert lines(engine.sql("SELECT count(*) AS n FROM rows")) == [{"n": 2}]


def test_an_empty_dataset_answers_every_question_with_nothing(engine_of):
    """In the columns that the answer always has."""
    engine = engine_of()

    for name in engine.views(attribute=("State",)):
        assert engine.sql(f'SELECT * FROM "{name}"').read_all().num_rows == 0  # noqa: S608
    assert engine.answer(states_sql.table_as_of(moment(0), engine.bounds)).read_all().num_rows == 0
    assert engine.findings().read_all().num_rows == digests(engine).read_all().num_rows == 0


def test_answers_are_read_side_by_side(engine_of):
    """One is not cut short by the next: each streams on its own."""
    engine = engine_of(*ROWS)

    changes, versions = (
        engine.answer(activity_sql.changes(Range(moment(0), LATER))),
        engine.answer(states_sql.versions(engine.bounds)),
    )

    assert len(lines(versions)) == 2
    assert len(lines(changes)) == 3


def test_a_line_without_its_id_is_an_error(engine_of):
    """A null where there can be none is a damaged dataset, and no answer."""
    engine = engine_of(*ROWS)
    path = Path(engine.dataset.paths[0])
    table = pq.read_table(path)
    place = table.schema.get_field_index("sort_key")
    pq.write_table(table.set_column(place, "sort_key", pa.nulls(table.num_rows, pa.string())), path)

    with pytest.raises(DatasetError, match="the dataset is damaged: `sort_key` is missing"):
        engine.answer(activity_sql.changes(Range(moment(0), LATER))).read_all()


def test_what_was_put_on_disk_is_gone_when_it_is_closed(engine_of):
    """The temporary folder is the engine's own."""
    engine = engine_of(*ROWS)
    folder = Path(engine._spill.name)
    assert folder.is_dir()

    engine.close()

    assert not folder.exists()


def test_a_limit_that_duckdb_does_not_take_is_one_line(engine_of):
    """As given on a command line."""
    with pytest.raises(DatasetError, match="DuckDB cannot answer"):
        engine_of(*ROWS, memory_limit="plenty")


def test_a_first_state_begins_when_the_history_began(engine_of):
    """Nobody recorded what was before, and no version says anything of it, as `table_as_of`."""
    first = row_of(OPEN, DONE, 60, 1)

    def initial_state(horizon):
        engine = engine_of(first, horizon=horizon)
        return [
            line
            for line in lines(
                engine.answer(states_sql.versions(engine.bounds)), "valid_from", "certainty"
            )
            if line[1] == "bounded"
        ]

    assert initial_state(moment(60)) == []
    assert initial_state(moment(59)) == [(moment(59), "bounded")]
    engine = engine_of(first, horizon=moment(59))
    assert states_at(engine, moment(58)) == [
        (True, "unknown", "the history began later, at 2018-03-03T14:06:59Z", None, moment(59))
    ]
    assert states_at(engine, moment(59))[0][3:] == (moment(59), moment(60))


def test_changes_with_one_stamp_and_number_are_in_the_order_of_their_items(engine_of):
    """Shards of a stream number their records apart: an answer is the same each time."""
    names = ["c", "a", "e", "b", "d"]
    engine = engine_of(*(row_of(None, item(name), 60, 1) for name in names))

    answer = engine.answer(activity_sql.changes(Range(moment(0), LATER)))
    assert lines(answer, "id") == [(name,) for name in sorted(names)]


SHUT = item("1", State=text("shut"))
# The second change is stamped a second too early, and is in another second than a baseline.
BACK = [
    row_of(None, OPEN, 0, 0),
    baseline_of(OPEN, 60),
    row_of(OPEN, DONE, 60, 1),
    row_of(DONE, SHUT, 59, 2),
    row_of(SHUT, None, 120, 3),
]


def placed_at(engine, at):
    question = states_sql.table_as_of(moment(at), engine.bounds)
    image = [f"{line['image']} {line['certainty']}" for line in lines(engine.answer(question))]
    return [one.replace('{"Id":{"S":"1"},"State":{"S":"', "").replace('"}}', "") for one in image]


@pytest.mark.parametrize("disordered", [None, ("1",)], ids=["looked for", "kept"])
def test_where_times_go_back_the_numbers_tell_the_order(engine_of, disordered):
    """Of an earlier dataset, too, which does not tell where; a row holds since those before it."""
    dataset = replace(engine_of(*BACK).dataset, disordered=disordered)

    with DuckEngine(dataset) as engine:
        engine.bounds = replace(engine.bounds, **COMPLETE)
        states = [placed_at(engine, at) for at in (0, 59.5, 60, 90, 119)]
        answer = engine.answer(states_sql.versions(engine.bounds))
        versions = sorted(lines(answer, "valid_from", "valid_to", "certainty", "sequence_number"))
        stays = engine.answer(activity_sql.dwell(("State",), engine.bounds))
        times = lines(stays, "value", "total_seconds", "uncertain")

    assert states == [
        ["open exact"],
        ["open bounded"],
        ["shut exact"],
        ["shut exact"],
        ["shut exact"],
    ]
    spans = [(moment(0), moment(60)), (moment(60), moment(60)), (moment(60), moment(120))]
    assert [version[:2] for version in versions] == spans
    assert [version[2] for version in versions] == ["bounded", "bounded", "exact"]
    assert times == [("done", 0.0, 1), ("open", 60.0, 1), ("shut", 60.0, 0)]


def test_an_item_that_is_not_known_to_be_disordered_is_read_by_time(engine_of):
    """The manifest is believed: nothing is looked for where an ingest has looked."""
    dataset = replace(engine_of(*BACK).dataset, disordered=())

    with DuckEngine(dataset) as engine:
        assert engine.bounds.moved == ()


def test_times_that_go_back_too_often_are_refused(engine_of, monkeypatch):
    """Never an answer from some of them."""
    monkeypatch.setattr(placement, "_MOST_MOVED", 1)

    with pytest.raises(DatasetError, match="more than 1 rows contradict"):
        engine_of(*BACK)


OTHER_TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/Contractor"


def foreign_dataset(folder, **options):
    """The history of an item of which one row is another table's."""
    stranger = resealed(
        row_of(OPEN, SHUT, 90, 5), event_source_arn=f"{OTHER_TABLE}/stream/2018-03-01T10:00:00.000"
    )
    return dataset_of(folder, [*ROWS, stranger], LATER, **options)


def test_rows_of_another_table_make_the_states_next_to_them_unknown(tmp_path):
    """They say so, break no chain of the table's own, and are counted nowhere; check names them."""
    dataset = foreign_dataset(tmp_path, source_table="Employee")

    with DuckEngine(dataset) as engine:
        engine.bounds = replace(engine.bounds, **COMPLETE)
        states = [placed_at(engine, at) for at in (0, 60, 90)]
        (day,) = lines(engine.answer(activity_sql.changes_per_day(Range(), engine.bounds.foreign)))
        found = [(one.kind, one.detail) for one in check(engine, now=LATER).findings]
        links = lines(engine.findings())

    assert states == [["open exact"], ["done unknown"], ["shut unknown"]]
    assert (day["changes"], links) == (3, [])
    (kind, detail) = found[0]
    assert (len(found), kind) == (1, FindingKind.FOREIGN)
    assert OTHER_TABLE in detail


def test_a_control_row_tells_which_table_is_followed(tmp_path):
    """Where the source table was never named."""
    mark = BackfillMark(STREAM_ARN, "id", moment(0), moment(1), "scan", {}, "run", "itemtrail")
    dataset = foreign_dataset(tmp_path, controls=(mark.to_item(),))

    with DuckEngine(dataset) as engine:
        assert [OTHER_TABLE in arn for arn in engine.bounds.foreign] == [True]


def test_rows_of_two_tables_need_to_be_told_apart(tmp_path):
    """Which of them are the history's own decides every answer."""
    with pytest.raises(DatasetError, match="it is not known which of them the history follows"):
        DuckEngine(foreign_dataset(tmp_path))


@pytest.mark.parametrize(
    ("written", "detail"),
    [
        ({"written_at": moment(90_000)}, None),
        (
            {"written_at": moment(90_001)},
            "it was written into the history at 2018-03-04T15:06:01.000000Z",
        ),
        ({"written_after": moment(90_000)}, None),
        (
            {"written_after": moment(90_001)},
            "it was written into the history after 2018-03-04T15:06:01.000000Z",
        ),
    ],
)
def test_a_row_that_was_written_long_after_its_own_time_is_found(
    engine_of, tmp_path, written, detail
):
    """25 hours: a stream keeps a record for 24, and one more is for clocks and retries."""
    dataset = engine_of(ROWS[0]).dataset
    name = write_file(tmp_path, "2018-03", "0.parquet", [line_of(ROWS[0]) | written])
    listed = replace(dataset, files=(DataFile.from_file(tmp_path, name, "export"),))

    with DuckEngine(listed) as engine:
        found = lines(digests(engine), "found", "sort_key", "since", "detail")
        integrity = check(engine, now=LATER).integrity

    detail = detail and f"{detail}, long after the change that it records"
    assert found == ([("BACKDATED", ROWS[0].sort_key, moment(0), detail)] if detail else [])
    assert integrity is (Verdict.BROKEN if detail else Verdict.HOLDS)


@pytest.mark.parametrize(
    ("written", "explained"),
    [
        ({"written_at": LATER + DAY}, True),
        ({"written_at": LATER + 2 * DAY + timedelta(seconds=1)}, True),
        ({"written_at": LATER + 2 * DAY + timedelta(seconds=2)}, False),
        ({"written_at": LATER + DAY - timedelta(seconds=1)}, False),
        ({"written_after": LATER + DAY / 2}, True),
        ({"written_after": LATER + 3 * DAY}, False),
    ],
)
def test_a_finished_backfill_explains_baselines_of_long_ago(written, explained):
    """One from an export stamps them with its time; no change is explained by it."""
    mark = BackfillMark("arn", "id", LATER + DAY, LATER + 2 * DAY, "export", {}, "0a", "itemtrail")
    judge = check_of(LATER, KnownRuns([mark]))

    def found(row):
        line = line_of(row) | {"month": "2018-03", "written_at": None, "written_after": None}
        return judge(pa.RecordBatch.from_pylist([line | written], schema=STAGED)).num_rows

    assert found(baseline_of(OPEN)) == (not explained)
    assert found(ROWS[0]) == 1


REDRIVE_ROW = RunRow(
    "redrive-7", "redrive", "{}", "", "arn:of:ann", "itemtrail 1", STREAM_ARN, "", LATER + DAY
)


@pytest.mark.parametrize(
    ("row", "written", "is_explained"),
    [
        (ROWS[0], {"written_at": LATER + DAY}, True),
        (ROWS[0], {"written_at": LATER + DAY - timedelta(minutes=5)}, True),
        (ROWS[0], {"written_at": LATER + DAY - timedelta(minutes=5, seconds=1)}, False),
        (ROWS[0], {"written_at": LATER + DAY + timedelta(hours=1)}, True),
        (ROWS[0], {"written_at": LATER + DAY + timedelta(hours=1, seconds=1)}, False),
        (ROWS[0], {"written_after": LATER + DAY}, False),
        (baseline_of(OPEN), {"written_at": LATER + DAY}, False),
    ],
)
@pytest.mark.parametrize("command", ["redrive", "undo"])
def test_a_redrive_explains_changes_that_are_written_in_its_time(
    tmp_path, row, written, is_explained, command
):
    """Such a row is listed as declared, and breaks nothing; no other command brings back rows."""
    dataset = dataset_of(
        tmp_path, [row], LATER, controls=(replace(REDRIVE_ROW, command=command).to_item(),)
    )
    name = write_file(tmp_path, "2018-03", "0.parquet", [line_of(row) | written])
    listed = replace(dataset, files=(DataFile.from_file(tmp_path, name, "export"),))

    with DuckEngine(listed) as engine:
        verification = check(engine, now=LATER + 3 * DAY)

    (finding,) = verification.findings
    is_explained &= command == "redrive"
    assert (finding.kind, finding.declared is not None) == (FindingKind.BACKDATED, is_explained)
    assert verification.integrity is (Verdict.HOLDS if is_explained else Verdict.BROKEN)
    if is_explained:
        at = "2018-03-05T14:06:00.000000Z"
        assert finding.declared == (
            f"written while redrive-7 brought records back by arn:of:ann, from {at} on"
        )


def test_a_row_in_the_files_of_another_month_is_found(engine_of, tmp_path):
    """Whatever the footer of the file says."""
    engine = engine_of(ROWS[0])
    path = Path(engine.dataset.paths[0])
    name = write_file(tmp_path, "2018-04", "x.parquet", pq.read_table(path).to_pylist())
    listed = replace(engine.dataset.files[0], name=name)
    dataset = replace(engine.dataset, files=(listed,))

    with DuckEngine(dataset) as other:
        found = lines(digests(other), "found", "detail")

    assert found == [("KEY_MISMATCH", "it lies in the files of another month, 2018-04")]


def test_a_file_with_other_bytes_breaks_the_integrity(engine_of):
    """Also where every row in it is one that was written."""
    engine = engine_of(*ROWS)
    path = Path(engine.dataset.paths[0])
    pq.write_table(pq.read_table(path), path, compression="zstd")
    told = []

    verification = check(engine, now=LATER, progress=lambda *done: told.append(done))

    assert verification.findings == []
    assert verification.integrity is Verdict.BROKEN
    assert verification.notes[0].startswith("rows/month=2018-03/0.parquet has other bytes than")
    assert told[-1] == ("files", 2, 2)


def test_a_verdict_over_no_row_proves_nothing(engine_of):
    """An empty history holds no proof that it was never anything else."""
    verification = check(engine_of(), now=LATER)

    assert verification.integrity is verification.completeness is Verdict.UNPROVEN
    assert verification.notes == ["there is no row to look at"]


def test_an_altered_row_says_nothing_of_missing_ones(engine_of, tmp_path):
    """Integrity is broken; whether all rows are there is as unproven as ever."""
    engine = engine_of(*ROWS)
    lines_ = [line_of(row) for row in ROWS[::2]]
    write_file(tmp_path, "2018-03", "0.parquet", [lines_[0] | {"digest": bytes(32)}, *lines_[1:]])

    verification = check(engine, now=LATER)

    assert verification.integrity is Verdict.BROKEN
    assert verification.completeness is Verdict.UNPROVEN


def test_a_stay_that_begins_after_the_dataset_is_complete_has_lasted_no_time(engine_of):
    """Not less than none."""
    engine = engine_of(*ROWS[:2], complete_until=moment(30))

    dwell = activity_sql.dwell(("State",), engine.bounds)
    stays = lines(engine.answer(dwell), "value", "total_seconds")

    assert sorted(stays) == [("done", 0.0), ("open", 60.0)]
