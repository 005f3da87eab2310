"""The commands for large histories: the same answers in every form, and errors of one line."""

import builtins
import csv
import io
import json
import re
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest

from itemtrail.cli import main
from itemtrail.datasets import archive as archiving
from itemtrail.extras import how_to_install, load
from itemtrail.options.target import Target
from itemtrail.records import kinds as record_kinds
from reports.access.machine import Machine
from stream_core.history_row import time_text
from tests import export_files as made
from tests.factories import item, number, text
from tests.fakes import client_error, read_timeout
from tests.recorded_history import baseline_of, resealed, row_of, rows_of
from tests.unit.memory_tables import moment
from warehouse.archive.ingest import ingest
from warehouse.archive.update import Archived, HistoryFacts
from warehouse.dataset.manifest import DataFile, Dataset
from warehouse.errors import DatasetError

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/employee-trail-history"
ONE = [item("1", Name=text(name), Salary=number(pay)) for name, pay in (("=A", "1.50"), ("B", 2))]
ROWS = [
    *rows_of(*ONE, None, step_s=60),
    baseline_of(item("2", Photo={"B": b"\x00\xff"}, Name=text("é"))),
]
GAP = row_of(item("3", n=number(1)), item("3", n=number(2)), at_s=5)


def exported(folder, rows, **options):
    """The folder of a full export of the history table."""
    options = {"table_arn": ARN, "export_id": "full"} | options
    files = made.export_files([row.to_item(8) for row in rows], **options)
    return made.write_to(folder / "AWSDynamoDB" / options["export_id"], files)


@pytest.fixture
def run_raw(monkeypatch, tmp_path):
    """Run a command line where datasets are; gives the exit status."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    session = boto3.Session("test", "test", region_name="eu-west-1")
    monkeypatch.setattr(Target, "session", lambda _self: session)
    for name in ("ITEMTRAIL_STACK", "ITEMTRAIL_HISTORY_TABLE", "ITEMTRAIL_SOURCE_TABLE"):
        monkeypatch.delenv(name, raising=False)

    def run_raw(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        return ended.value.code

    return run_raw


@pytest.fixture
def run(run_raw, capsys):
    """Run a command line; gives the exit status, stdout and stderr."""

    def run(*arguments):
        status = run_raw(*arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def dataset(tmp_path):
    """A dataset of two items."""
    return made_of(ROWS, tmp_path)


def made_of(rows, folder):
    """A dataset of some rows."""
    ingest(folder / "trail", exported(folder, rows), None)
    return folder / "trail"


@pytest.fixture
def ask(run, dataset):
    """Ask the dataset; gives the answer read as JSON."""

    def ask(sql, *options):
        status, out, err = run("query", sql, "--dataset", dataset, "--output", "json", *options)
        # How times were understood is told beside the answer.
        assert (status, err.startswith(("as of 20", "from 20", "to 20"))) == (0, bool(err)), err
        return json.loads(out)

    return ask


def only_line(text_):
    assert text_.count("\n") == 1
    return text_.rstrip("\n")


# ---- archive ---------------------------------------------------------------------------------


def test_archive_tells_what_it_has_done(run, tmp_path):
    """A document with the documented fields, and a line for people beside it."""
    status, out, err = run("archive", "trail", "--from-export", exported(tmp_path, ROWS))

    found = json.loads(out)
    assert status == 0
    assert list(found) == list(record_kinds.ARCHIVE.fields)
    assert (found["rows_read"], found["rows_added"], found["already_there"]) == (4, 4, 0)
    assert (found["dataset"], found["history_table"], found["horizon"]) == ("trail", ARN, None)
    assert found["complete_until"] == "2026-11-20T09:14:02.117000Z"
    (export,) = found["exports"]
    assert list(export) == list(record_kinds.ARCHIVED_EXPORT.fields)
    assert export["kind"] == "FULL_EXPORT"
    assert "name --stack" in found["notes"][0]
    assert only_line(err) == (
        "4 rows read, 4 added, 0 already there; the dataset has 4 rows and is complete until "
        "2026-11-20T09:14:02.117000Z"
    )


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_archive_has_a_line_an_export(run_raw, capsysbinary, tmp_path, form):
    """Every other form has the same fields."""
    run_raw("archive", "trail", "--from-export", exported(tmp_path, ROWS), "--output", form)

    out, err = capsysbinary.readouterr()
    (line,) = read(form, out)
    assert list(line) == list(record_kinds.ARCHIVED_EXPORT.fields)
    assert str(line["rows_added"]) == "4"
    assert b"complete until" in err
    assert b"name --stack" in err


def test_archive_as_a_table(run, tmp_path):
    """A person sees the exports, what they brought, and what else there is to know."""
    _, out, err = run(
        "archive", "trail", "--from-export", exported(tmp_path, ROWS), "--output", "table"
    )

    assert err == ""
    assert f"trail, of {ARN}" in out
    assert "full" in out
    assert "4 rows read, 4 added" in out
    assert "note it is unknown when the history began" in out


def test_archive_asks_the_table_that_is_named(run, tmp_path, monkeypatch):
    """Its beginning becomes the dataset's."""
    began = made.EXPORT_TIME - timedelta(days=9)
    facts = HistoryFacts(ARN, began)
    monkeypatch.setattr(HistoryFacts, "read", lambda *_: facts)
    export = exported(tmp_path, ROWS)

    _, out, _ = run("archive", "trail", "--from-export", export, "--history-table", "h")

    found = json.loads(out)
    assert found["horizon"] == "2026-11-11T09:14:02.117000Z"
    (note,) = found["notes"]
    assert "no answer is exact" in note


def test_rows_of_another_table_are_named_beside_every_answer(run, tmp_path, monkeypatch):
    """The answer is given, and the exit status is 1; check names each of them."""
    facts = HistoryFacts(ARN, made.EXPORT_TIME - timedelta(days=9), source_table="Employee")
    monkeypatch.setattr(HistoryFacts, "read", lambda *_: facts)
    other = resealed(ROWS[1], event_source_arn=ARN.replace("employee-trail-history", "Contractor"))
    export = exported(tmp_path, [ROWS[0], other, *ROWS[2:]])
    run("archive", "trail", "--from-export", export, "--history-table", "h")
    sql = "SELECT certainty FROM versions ORDER BY valid_from"

    status, out, err = run("query", sql, "--dataset", "trail", "--output", "csv")
    checked, findings, _ = run("archive", "trail", "--check", "--output", "csv")

    assert (status, out.split()) == (1, ["certainty", *["unknown"] * 3])
    assert "table/Contractor: a state next to one is unknown" in only_line(err)
    assert (checked, findings.count("FOREIGN")) == (1, 1)


def test_archive_takes_the_word_of_a_person(run, tmp_path):
    """Of exports that are there nothing else tells up to when they have every change."""
    export = exported(tmp_path, ROWS)
    arguments = ("archive", "trail", "--from-export", export, "--recorded-until")

    _, out, err = run(*arguments, "2026-11-20T09:00Z")
    late, _, refused = run(*arguments, "2026-11-20T10:00Z")

    found = json.loads(out)
    assert (found["recorded_until"], found["basis"]) == ("2026-11-20T09:00:00.000000Z", "declared")
    assert "every change is in it until 2026-11-20T09:00:00.000000Z (declared)" in only_line(err)
    assert late == 2
    assert "give an earlier --recorded-until" in only_line(refused)


def test_a_query_takes_the_word_of_a_person(ask, run, dataset):
    """An answer that ends by then is exact, and says by whose word; without it none is."""
    query = "SELECT id, certainty, basis, reason FROM versions WHERE id = '1'"

    without = ask(query)
    with_word = ask(query, "--recorded-until", time_text(ROWS[2].change.created_at))
    status, _, err = run("query", query, "--dataset", dataset, "--recorded-until", "2026-11-21")

    assert [(line["certainty"], line["basis"]) for line in without] == [("bounded", None)] * 2
    assert "whether records are on their way or kept aside is not known" in without[0]["reason"]
    assert sorted((line["certainty"], line["basis"]) for line in with_word) == [
        ("bounded", None),
        ("exact", "declared"),
    ]
    assert status == 2
    assert "give an earlier --recorded-until" in only_line(err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "what to do? give one of --from-export, --to, --check"),
        (("--check", "--to", "s3://b/p"), "use just one of --to and --check"),
        (("--from-export", "x", "--every", "24h"), "--every goes with --to only"),
        (("--from-export", "x", "--kms-key", "k"), "--kms-key goes with --to only"),
        (("--from-export", "x", "--basis", "compared"), "--basis goes with --to only"),
        (("--check", "--bucket-owner", "1"), "--bucket-owner goes with --to only"),
        (("--to", "s3://b/p", "--gaps", "gaps.json"), "--gaps goes with --check only"),
        (("--to", "s3://b/p", "--every", "5m"), "at least: give --every 15m or more"),
        (("--to", "s3://b/p", "--every", "daily"), "'daily' is no length of time"),
        (("--to", "s3://b/p", "--every", "0h"), "'0h' is no length of time"),
        (("--to", "s3://b/p", "--every", "1h", "--output", "json"), "give --output jsonl"),
        (("--to", "b"), "'b' is no place for exports"),
        (("--to", "s3://b/p"), "which history? give --stack NAME"),
        (("--from-export", "nowhere"), "nowhere/manifest-summary.json is not there"),
    ],
)
def test_archive_refuses_what_makes_no_sense(run, tmp_path, options, message):
    """One line says what to give; nothing is made."""
    (tmp_path / "gaps.json").write_text("[]")
    named = ("--history-table", "h") if message.startswith(("'b'", "at least")) else ()

    status, out, err = run("archive", "trail", *options, *named)

    assert (status, out) == (2, "")
    assert message in only_line(err)
    assert not (tmp_path / "trail" / "manifest.json").exists()


@pytest.fixture
def updates(monkeypatch):
    """Stands in for the library: what the next calls for exports give, or raise."""
    given = []
    asked = []

    def archive(*arguments, **options):
        asked.append((arguments, options))
        found = given.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr(archiving, "archive", archive)
    monkeypatch.setattr(HistoryFacts, "read", lambda *_: HistoryFacts(ARN, made.EXPORT_TIME))
    return given, asked


TO = ("--to", "s3://b/p", "--history-table", "h", "--region", "eu-west-1")


def test_archive_has_exports_made(run, dataset, updates):
    """The place and the table reach the library as they were given."""
    given, asked = updates
    given.append(Archived(Dataset.open(dataset), (), ("no export was made",)))

    status, out, _ = run("archive", dataset, *TO, "--kms-key", "k", "--bucket-owner", "1")

    ((folder, facts, to, dynamodb, s3), _options) = asked[0]
    assert status == 0
    assert json.loads(out)["notes"] == ["no export was made"]
    assert (folder, facts.arn) == (dataset, ARN)
    assert (to.bucket, to.prefix, to.kms_key, to.owner) == ("b", "p", "k", "1")
    assert dynamodb.meta.service_model.service_name == "dynamodb"
    assert s3.meta.service_model.service_name == "s3"


def test_archive_tells_a_refusal_in_a_line(run, tmp_path, updates):
    """Exit status 2, and no traceback."""
    given, _ = updates
    given.append(client_error("AccessDeniedException", operation="ExportTableToPointInTime"))

    status, out, err = run("archive", tmp_path / "trail", *TO)

    assert (status, out) == (2, "")
    assert only_line(err).startswith("Error: ExportTableToPointInTime was refused: AccessDenied")


def test_archive_every_so_often(run, dataset, updates, monkeypatch):
    """Rounds follow until somebody interrupts; what may pass is tried again."""
    given, asked = updates
    opened = Dataset.open(dataset)
    given += [Archived(opened, ()), read_timeout(), Archived(opened, (), ("a note",))]
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if not given:
            raise KeyboardInterrupt

    clock = iter(range(0, 1000, 10)).__next__
    machine = Machine(clock=clock, sleep=sleep)
    monkeypatch.setattr(archiving, "Archive", partial(archiving.Archive, machine=machine))

    status, out, err = run("archive", dataset, *TO, "--every", "1h")

    assert status == 130
    assert out == ""
    assert len(asked) == 3
    assert pauses == [3590, 3590, 3590]
    lines = err.splitlines()
    assert "0 rows read" in lines[0]
    assert lines[1].startswith("this is tried again in the next round: ")
    assert lines[3].endswith(" a note")


def test_archive_every_so_often_ends_with_what_does_not_pass(run, dataset, updates):
    """A row that was altered is no matter of time."""
    given, asked = updates
    given.append(DatasetError("the dataset is damaged"))

    status, _, err = run("archive", dataset, *TO, "--every", "1h")

    assert status == 2
    assert only_line(err) == "Error: the dataset is damaged"
    assert len(asked) == 1


# ---- archive --check -------------------------------------------------------------------------


def test_check_finds_nothing_in_a_whole_dataset(run, dataset):
    """Exit status 0; completeness stays unproven, and it is said why."""
    status, out, _ = run("archive", dataset, "--check")

    found = json.loads(out)
    assert status == 0
    assert list(found) == list(record_kinds.VERIFICATION.fields)
    assert (found["clean"], found["integrity"], found["completeness"]) == (
        True,
        "holds",
        "unproven",
    )
    assert (found["items"], found["rows"], found["findings"]) == (2, 4, [])
    assert "itemtrail verify does both" in found["notes"][0]


@pytest.fixture
def gapped(tmp_path):
    """A dataset in which a change is missing, and an item begins in the middle of its life."""
    folder = tmp_path / "gapped"
    folder.mkdir()
    return made_of([ROWS[0], ROWS[2], GAP], folder)


def test_check_finds_missing_changes(run, gapped):
    """Exit status 1, a line a finding, and both verdicts."""
    status, out, err = run("archive", gapped, "--check", "--output", "jsonl")

    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert all(list(line) == list(record_kinds.FINDING.fields) for line in lines)
    assert [(line["finding"], line["key"]) for line in lines] == [
        ("MISSING_CHANGE", {"Id": {"S": "1"}}),
        ("MISSING_START", {"Id": {"S": "3"}}),
    ]
    assert only_line(err) == "integrity holds; completeness broken: 2 findings"


def test_check_knows_declared_gaps(run, gapped, tmp_path):
    """What is known breaks nothing; the rest does."""
    gaps = [{"cause": "incident 1234", "class": "MISSING_CHANGE", "key": {"Id": "1"}}]
    later = {"cause": "no baseline", "class": "MISSING_START", "key": {"Id": "3"}}
    (tmp_path / "gaps.json").write_text(json.dumps(gaps))
    some = run("archive", gapped, "--check", "--gaps", "gaps.json")
    (tmp_path / "gaps.json").write_text(json.dumps([*gaps, later]))
    all_ = run("archive", gapped, "--check", "--gaps", "gaps.json", "--output", "table")

    assert some[0] == 1
    assert json.loads(some[1])["completeness"] == "broken"
    assert all_[0] == 0
    assert "declared: incident 1234" in all_[1]


def test_check_finds_an_altered_row(run, dataset):
    """A careful forger keeps the number of bytes: the digest tells."""
    _forge(dataset)

    status, out, _ = run("archive", dataset, "--check")

    found = json.loads(out)
    assert status == 1
    assert (found["clean"], found["integrity"]) == (False, "broken")
    assert [one["finding"] for one in found["findings"]].count("DIGEST_MISMATCH") == 1


def test_check_finds_a_row_that_was_written_long_after_its_own_time(run, dataset, tmp_path):
    """Both of them: a pair leads from a state to another one and back, and no link is broken."""
    first, forged = ROWS[0].change, item("1", n=number(9999))
    pair = [
        resealed(row, sequence_number=str(int(first.sequence_number) + place))
        for place, row in (
            (1, row_of(first.new_image, forged, at_s=20)),
            (2, row_of(forged, first.new_image, at_s=30)),
        )
    ]
    until = made.EXPORT_TIME + timedelta(days=1)
    lines = [made.written(row.to_item(8)) for row in pair]
    files = made.incremental_files(
        lines, made.EXPORT_TIME, until, table_arn=ARN, export_id="incremental"
    )
    ingest(dataset, made.write_to(tmp_path / "AWSDynamoDB" / "incremental", files), None)

    status, out, err = run("archive", dataset, "--check", "--output", "jsonl")

    found = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [(one["finding"], one["since"]) for one in found] == [
        ("BACKDATED", time_text(row.change.created_at)) for row in pair
    ]
    assert "2026-11-20T09:14:02.117000Z" in found[0]["detail"]
    assert only_line(err) == "integrity broken; completeness unproven: 2 findings"


def test_check_of_nothing_is_not_clean(run, tmp_path):
    """A history that was wiped has no row either."""
    status, out, _ = run("archive", made_of([], tmp_path), "--check")

    assert (status, json.loads(out)["integrity"]) == (1, "unproven")


@pytest.mark.parametrize("query", [(), ("SELECT COUNT(*) FROM rows",)])
def test_a_dataset_that_lacks_a_file_gives_no_answer(run, dataset, query):
    """Neither a query nor the check: the file is named, and what to do."""
    (path,) = Dataset.open(dataset).paths
    Path(path).unlink()

    arguments = ("query", *query, "--dataset") if query else ("archive", "--check")
    status, out, err = run(*arguments, dataset)

    assert (status, out) == (2, "")
    assert f"{path} is not there: the dataset is damaged; put the file back" in only_line(err)


def _forge(dataset):
    """Give a row another image, and say in the manifest that the file was so."""
    opened = Dataset.open(dataset)
    (path,) = map(Path, opened.paths)
    table = pq.ParquetFile(path).read()
    images = [one and one.replace('"=A"', '"=Z"') for one in table["new_image"].to_pylist()]
    assert images != table["new_image"].to_pylist()
    place = table.schema.get_field_index("new_image")
    pq.write_table(table.set_column(place, table.schema.field(place), [images]), path)
    (file,) = opened.files
    replace(opened, files=(DataFile.from_file(dataset, file.name, file.export),)).save()


# ---- query -----------------------------------------------------------------------------------


def test_query_answers_from_the_rows(ask):
    """The columns are those of the query; images are the JSON that the dataset has."""
    lines = ask("SELECT event_name, new_image FROM rows WHERE id = '1' ORDER BY sort_key")

    assert [line["event_name"] for line in lines] == ["INSERT", "MODIFY", "REMOVE"]
    assert json.loads(lines[0]["new_image"])["Salary"] == {"N": "1.5"}
    assert lines[2]["new_image"] is None


def test_query_has_the_views_at_the_times_given(ask):
    """table_as_of is of --at, changes and diff are of --since and --until."""
    at = _noon(90)
    states = ask('SELECT id, "exists", certainty FROM table_as_of ORDER BY id', "--at", at)
    changed = ask("SELECT sort_key FROM changes", "--since", at)
    early = ask("SELECT COUNT(*) AS n FROM changes", "--until", _noon(-1))
    net = ask("SELECT kind FROM diff", "--since", _noon(1), "--until", _noon(70))

    assert [(one["id"], one["exists"]) for one in states] == [("1", True), ("2", True)]
    assert len(changed) == 1
    assert early == [{"n": 0}]
    assert net == [{"kind": "changed"}]


def test_query_knows_actors_and_attributes(ask):
    """The views that need a path get it."""
    actors = ask("SELECT actor, changes FROM changes_per_actor", "--actor-attribute", "Name")
    dwell = ask("SELECT value, items FROM dwell ORDER BY value", "--attribute", "Name")

    assert {(one["actor"], one["changes"]) for one in actors} == {("=A", 1), ("B", 1), (None, 1)}
    assert {"value": "=A", "items": 1} in dwell


def test_query_knows_findings(run, gapped, ask):
    """They are judged by Python, and a table for SQL; where there is none it has no line."""
    question = "SELECT found, id, since FROM findings WHERE found LIKE 'MISSING%' ORDER BY id"

    none = ask(question)
    _, out, _ = run("query", question, "--dataset", gapped)

    assert none == []
    assert [(one["found"], one["id"]) for one in json.loads(out)] == [
        ("MISSING_CHANGE", "1"),
        ("MISSING_START", "3"),
    ]
    assert json.loads(out)[0]["since"] == _noon(0)


def test_query_refuses_more_findings_than_fit(run, gapped, monkeypatch):
    """An answer that lacks some would be wrong."""
    monkeypatch.setattr("itemtrail.datasets.query._MOST_FINDINGS", 1)

    status, out, err = run("query", "SELECT * FROM Findings", "--dataset", gapped)

    assert (status, out) == (2, "")
    assert "archive DATASET --check" in only_line(err)


EVERY_TYPE = """
SELECT
  NULL AS nothing, TRUE AS flag, -5 AS below, 9007199254740993 AS large, 'nan'::DOUBLE AS nan,
  0.1::DOUBLE AS tenth, 1.50::DECIMAL(9, 2) AS price, SUM(2)::HUGEINT AS total,
  '=1+1' AS formula, '' AS empty, '\\xFF\\x00'::BLOB AS bytes,
  TIMESTAMPTZ '2026-11-20 09:14:02.117+00' AS at, TIMESTAMP '2026-11-20 09:14:02' AS local,
  DATE '2026-11-20' AS day, TIME '09:14:02' AS clock,
  INTERVAL 1 MONTH + INTERVAL 36 HOUR + INTERVAL 250 MILLISECONDS AS span,
  ['a', NULL] AS names, {'a': '\\xFF'::BLOB, 'b': 1.5::DECIMAL(9, 2)} AS both,
  MAP {1: 'x'} AS pairs,
  '{"N":"1.50"}'::JSON AS json
FROM rows
"""
EVERY_VALUE = {
    "nothing": None,
    "flag": True,
    "below": -5,
    "large": 9007199254740993,
    "nan": "nan",
    "tenth": 0.1,
    "price": "1.50",
    "total": 8,
    "formula": "=1+1",
    "empty": "",
    "bytes": "/wA=",
    "at": "2026-11-20T09:14:02.117000Z",
    "local": "2026-11-20T09:14:02",
    "day": "2026-11-20",
    "clock": "09:14:02",
    "span": "P1M0DT129600.25S",
    "names": ["a", None],
    "both": {"a": "/w==", "b": "1.50"},
    "pairs": [[1, "x"]],
    "json": '{"N":"1.50"}',
}


def test_query_loses_nothing_as_json(ask):
    """Every type has a spelling from which the value can be read again."""
    assert ask(EVERY_TYPE) == [EVERY_VALUE]


def test_query_says_the_same_as_csv(run, dataset):
    """Nested is compact JSON, a formula is none, and a number below zero stays a number."""
    _, out, _ = run("query", EVERY_TYPE, "--dataset", dataset, "--output", "csv")

    header, cells = csv.reader(io.StringIO(out, newline=""))
    line = dict(zip(header, cells, strict=True))
    assert line.pop("formula") == "'=1+1"
    for name in ("names", "both", "pairs"):
        assert json.loads(line.pop(name)) == EVERY_VALUE[name]
    assert line == {
        name: {None: "", True: "true"}.get(value, str(value)) if name != "total" else "8"
        for name, value in EVERY_VALUE.items()
        if name in line
    }


def test_query_as_parquet_keeps_the_types(run_raw, dataset, capsysbinary):
    """Batches go into the file as the engine made them."""
    run_raw("query", "SELECT * FROM rows", "--dataset", dataset, "--output", "parquet")

    table = pq.read_table(io.BytesIO(capsysbinary.readouterr().out))
    (path,) = Dataset.open(dataset).paths
    there = pq.ParquetFile(path).read()
    assert table.num_rows == there.num_rows == 4
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    by_key = {line["sort_key"] + line["id"]: line for line in table.to_pylist()}
    for line in there.to_pylist():
        found = by_key[line["sort_key"] + line["id"]]
        assert {name: found[name] for name in line} == line


def test_query_as_parquet_of_many_batches(run_raw, dataset, capsysbinary, monkeypatch):
    """Row groups are made of batches, and no row is left out."""
    monkeypatch.setattr("itemtrail.datasets.arrow_output._MOST_ROWS", 5000)
    sql = "SELECT x FROM rows, range(2500) AS t(x)"

    run_raw("query", sql, "--dataset", dataset, "--output", "parquet")

    file = pq.ParquetFile(io.BytesIO(capsysbinary.readouterr().out))
    assert file.metadata.num_rows == 10_000
    assert file.num_row_groups < 4


def test_query_as_a_table(run, dataset):
    """People see columns, numbers to the right, `null`, and long texts cut."""
    sql = (
        "SELECT id, NULL AS nothing, repeat('x', 300) AS long, '[b]x[/b]' AS tag FROM rows LIMIT 1"
    )

    status, out, _ = run("query", sql, "--dataset", dataset, "--output", "table")

    assert status == 0
    assert "null" in out
    assert "x" * 200 in re.sub(r"[^x]", "", out)
    assert "x" * 201 not in re.sub(r"[^x]", "", out.replace("[b]x[/b]", ""))
    assert "[b]x[/b]" in out


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet", "table"])
def test_query_without_lines(run_raw, dataset, capsysbinary, form):
    """An empty answer is one in every form, with its columns where the form has them."""
    status = run_raw(
        "query", "SELECT id FROM rows WHERE id = '9'", "--dataset", dataset, "--output", form
    )

    out = capsysbinary.readouterr().out
    assert status == 0
    if form == "table":
        assert out.split()[0] == b"id"
    else:
        assert read(form, out) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("SELEC 1",), "Parser Error"),
        (("SELECT * FROM nowhere",), "nowhere does not exist"),
        (("DROP VIEW rows",), "give one query that reads"),
        (("SELECT 1; SELECT 2",), "give one query that reads"),
        (("SELECT * FROM '/etc/passwd'",), "Error"),
        (("SELECT 1 AS a, 2 AS a",), "two columns are called a"),
        (("SELECT 1", "--memory", "much"), "DuckDB cannot answer"),
        (("SELECT 1", "--location", "s3://b"), "--location goes with --engine athena only"),
        (("SELECT 1", "--engine", "athena"), "give --location s3://BUCKET/PREFIX"),
        (
            ("SELECT 1", "--engine", "athena", "--location", "s3://b", "--memory", "1GB"),
            "--memory goes with --engine duckdb only",
        ),
        (("SELECT 1 FROM diff", "--since", "2026-01-02", "--until", "2026-01-01"), "ends before"),
        (
            ("SELECT INTERVAL 1 DAY AS i", "--output", "parquet"),
            "Parquet cannot hold a column of the answer",
        ),
    ],
)
def test_query_refuses_in_a_line(run, dataset, arguments, message):
    """What cannot be asked is told, and nothing is written."""
    status, out, err = run("query", *arguments, "--dataset", dataset)

    assert (status, out) == (2, "")
    assert message in only_line(err)


def test_an_interrupted_query_is_no_failure(run, dataset, monkeypatch):
    """DuckDB tells of Ctrl-C in its own way: the exit status is that of every command."""

    def interrupted(*_):
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("warehouse.engines.duck.DuckEngine.sql", interrupted)

    status, out, err = run("query", "SELECT 1", "--dataset", dataset)

    assert (status, out, err.strip()) == (130, "", "")


def test_two_columns_of_a_name_are_refused_as_parquet_too(run, dataset):
    """No reader could tell them apart."""
    status, _, err = run(
        "query",
        *('SELECT 1 AS a, 2 AS "a"', "--dataset", dataset, "--output", "parquet"),
    )

    assert status == 2
    assert "two columns are called a" in only_line(err)


def test_query_without_a_dataset(run, tmp_path):
    """It is told what makes one."""
    status, _, err = run("query", "SELECT 1", "--dataset", tmp_path)

    assert status == 2
    assert "is no dataset" in only_line(err)


def test_query_lists_what_can_be_asked(run, dataset):
    """Every view with its columns and their types; all of them can be asked for."""
    _, out, _ = run("query", "--dataset", dataset, "--attribute", "Name")
    _, listed, _ = run("query", "--dataset", dataset, "--list", "--attribute", "Name")

    assert listed == out
    lines = json.loads(out)
    views = list(dict.fromkeys(line["view"] for line in lines))
    assert all(list(line) == list(record_kinds.VIEW_COLUMN.fields) for line in lines)
    assert views[0] == "rows"
    assert {"table_as_of", "versions", "changes", "diff", "dwell", "findings"} <= set(views)
    assert {"view": "rows", "column": "created_at", "type": "timestamp[us, tz=UTC]"} in lines
    for view in views:
        sql = f"SELECT * FROM {view} LIMIT 1"  # noqa: S608 - a name of ours
        status, out, _ = run("query", sql, "--dataset", dataset, "--attribute", "Name")
        columns = [line["column"] for line in lines if line["view"] == view]
        assert status == 0
        assert [list(line) for line in json.loads(out)] in ([columns], [])


def test_the_list_of_views_as_a_table(run, dataset):
    """Types with brackets in them are shown whole."""
    _, out, _ = run("query", "--dataset", dataset, "--list", "--output", "table")

    assert "timestamp[us, tz=UTC]" in out


def test_query_prints_what_athena_would_be_asked(run, dataset):
    """The table, the views that the query names before its own parts, and the query."""
    sql = "WITH mine AS (SELECT id FROM table_as_of) SELECT COUNT(*) AS n FROM mine ORDER BY n"

    status, out, err = run(
        *("query", sql, "--dataset", dataset, "--engine", "athena", "--location", "s3://b/trail")
    )

    assert (status, err) == (0, "")
    assert "CREATE EXTERNAL TABLE" in out
    assert "LOCATION 's3://b/trail/rows/'" in out
    asked = out.rpartition(";\n\n")[2]
    assert asked.startswith('WITH "table_as_of" AS (')
    assert asked.index("table_as_of") < asked.index("mine AS")
    assert "changes_per_day" not in asked
    assert asked.rstrip().endswith("FROM mine ORDER BY n;")


def test_athena_without_a_query_gets_the_table_only(run, dataset):
    """It can be asked by hand then."""
    status, out, _ = run(
        *("query", "--dataset", dataset, "--engine", "athena", "--location", "s3://b/trail")
    )

    assert status == 0
    assert out.endswith("\n);\n")
    assert "SELECT" not in out


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM findings", "findings are judged by this program"),
        ("SELECT nothing FROM rows", "nothing"),
    ],
)
def test_athena_is_not_given_what_cannot_be_asked(run, dataset, sql, message):
    """DuckDB sees the query first."""
    status, out, err = run(
        *("query", sql, "--dataset", dataset, "--engine", "athena", "--location", "s3://b/trail")
    )

    assert (status, out) == (2, "")
    assert message in only_line(err)


@pytest.mark.usefixtures("dataset")
@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("duckdb", ("query", "SELECT 1", "--dataset", "trail"), "warehouse"),
        ("pyarrow", ("archive", "trail", "--check"), "warehouse"),
        ("pyspark", ("query", "SELECT 1", "--dataset", "trail", "--engine", "spark"), "spark"),
    ],
)
def test_what_is_not_installed_is_told(run, monkeypatch, module, arguments, extra):
    """One line says what to install."""
    real = builtins.__import__

    def missing(name, *rest):
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named '{module}'", name=module)
        return real(name, *rest)

    # What fails to be imported again stays as it was for the tests that follow.
    again = ("itemtrail.datasets.query", "itemtrail.datasets.archive", "warehouse.engines.duck")
    for name in again if extra == "warehouse" else ("warehouse.engines.spark",):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)

    status, _, err = run(*arguments)

    assert status == 2
    assert only_line(err) == f"Error: this needs {module}: {how_to_install(extra)}"


def test_a_module_of_ours_that_is_missing_is_our_mistake():
    """It is not told as something to install."""
    with pytest.raises(ModuleNotFoundError):
        load("itemtrail.nowhere")


def read(form, out):
    """An answer as lines."""
    match form:
        case "json":
            return json.loads(out)
        case "jsonl":
            return [json.loads(line) for line in out.splitlines()]
        case "csv":
            return list(csv.DictReader(io.StringIO(out.decode("utf-8"), newline="")))
        case _:
            return pq.read_table(io.BytesIO(out)).to_pylist()


def _noon(seconds):
    return time_text(moment(seconds))
