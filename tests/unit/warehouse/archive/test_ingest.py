"""An export becomes part of the dataset as a whole and once, or the dataset stays as it is."""

import gzip
import io
import json
import pickle
import shutil
import stat
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reports.exports.export_folder import ExportError
from stream_core.announcement import OwnWrite, item_hash
from stream_core.change import EventName
from stream_core.control_row import BackfillMark, TableLife
from stream_core.errors import IntegrityError, ItemtrailError
from stream_core.history_row import HistoryRow
from stream_core.item_id import key_digest
from tests import export_files as made
from tests.disk import durable_steps, recorded_steps
from tests.factories import item, lambda_form, number, text
from tests.fakes import client_error
from tests.recorded_history import History, baseline_of, resealed, row_of, rows_of
from warehouse.archive import conversion, merge
from warehouse.archive import ingest as module
from warehouse.archive.ingest import IngestResult, ingest
from warehouse.dataset import manifest as manifest_module
from warehouse.dataset.manifest import Dataset
from warehouse.dataset.schema import ROWS as ROWS_SCHEMA
from warehouse.dataset.schema import checked_row
from warehouse.dataset.schema import row_of as line_of
from warehouse.errors import DatasetError

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/EmployeeHistory"
DAY = timedelta(days=1)
DAY_S = 86400


def day(number):
    """The time of an export."""
    return made.EXPORT_TIME + number * DAY


def states(identifier, count):
    return [item(identifier, n=number(place), t=text("x" * place)) for place in range(count)]


# Two items over three months, and rows of a third that come later.
ROWS = [
    *rows_of(*states("1", 7), None, step_s=10 * DAY_S),
    baseline_of(states("2", 1)[0]),
    *rows_of(*states("2|x", 3), step_s=20 * DAY_S),
]
LATER = rows_of(*states("3", 4), step_s=DAY_S)
ALL = [*ROWS, *LATER]


class Archive:
    """A dataset, exports of the history table, and the overflow bucket.

    Attributes:
        told: what the progress was.
    """

    def __init__(self, folder):
        self.path = folder / "dataset"
        self.objects = History().objects
        self.told = []
        self._exports = folder / "exports" / "AWSDynamoDB"

    def full(self, rows, at=0, files=None, **options):
        """The folder of a full export."""
        identifier = options.setdefault("export_id", f"full-{at}")
        options.setdefault("table_arn", TABLE)
        items = [one if isinstance(one, dict) else one.to_item(8) for one in rows]
        content = made.export_files(items, time=day(at), **options)
        return made.write_to(self._exports / identifier, files(content) if files else content)

    def incremental(self, rows, since, until, files=None, **options):
        """The folder of an incremental export; a row is new unless a line tells more of it."""
        identifier = options.setdefault("export_id", f"incremental-{since}-{until}")
        options.setdefault("table_arn", TABLE)
        lines = [made.written(one.to_item(8)) if is_row(one) else one for one in rows]
        content = made.incremental_files(lines, day(since), day(until), **options)
        return made.write_to(self._exports / identifier, files(content) if files else content)

    def ingest(self, export, s3=None, **options):
        options.setdefault("progress", lambda *done: self.told.append(done))
        return ingest(self.path, export, s3 or self.objects, **options)

    def open(self):
        return Dataset.open(self.path)

    def rows(self):
        """The rows of the dataset, every one checked."""
        lines = [
            line for path in self.open().paths for line in pq.ParquetFile(path).read().to_pylist()
        ]
        return sorted(map(checked_row, lines), key=lambda row: (row.id, row.sort_key))

    def everything(self):
        """The bytes of every file below the dataset."""
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file()
        }

    def refuses(self, export, error, message, **options):
        """See an export refused, with one line, and the dataset as before."""
        before = self.everything()

        with pytest.raises(error, match=message) as refused:
            self.ingest(export, **options)

        assert "\n" not in str(refused.value)
        assert self.everything() == before
        return str(refused.value)


def is_row(one):
    return isinstance(one, HistoryRow)


def in_order(rows):
    return sorted(rows, key=lambda row: (row.id, row.sort_key))


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


@pytest.fixture
def filled(archive):
    """An archive that has the first rows, of the day 0."""
    archive.ingest(archive.full(ROWS))
    return archive


def test_a_full_export_becomes_a_dataset(archive):
    """All its rows are there as they were, in one file a month, and the manifest tells whence."""
    result = archive.ingest(archive.full(ROWS), horizon=day(-9))

    assert archive.rows() == in_order(ROWS)
    dataset = archive.open()
    assert (result.rows_read, result.rows_added, result.already_there) == (12, 12, 0)
    assert result.files == dataset.files
    assert dataset.rows == 12
    assert [file.month for file in dataset.files] == ["2018-03", "2018-04", "2018-05"]
    assert (dataset.history_table, dataset.horizon) == (TABLE, day(-9))
    assert dataset.complete_until == day(0)
    (export,) = dataset.exports
    assert (export.arn, export.kind) == (f"{TABLE}/export/full-0", "FULL_EXPORT")
    assert (export.since, export.until, export.items) == (None, day(0), 12)
    assert archive.told[-1] == ("rows", 12, 12)


def test_nothing_but_the_dataset_is_left(archive):
    """No folder of work, and no file that the manifest does not list."""
    archive.ingest(archive.full(ROWS))

    files = {file.name for file in archive.open().files}
    assert archive.everything().keys() == files | {"manifest.json"}
    assert {path.name for path in archive.path.iterdir()} == {"manifest.json", "rows"}


def test_a_bucket_is_read_as_a_folder_is(archive, monkeypatch):
    """With one process, and with two, which have no client: they get copies of its files."""
    files = made.export_files([row.to_item(8) for row in ROWS], table_arn=TABLE)
    objects = Bucket(files)

    archive.ingest("s3://exports/2026/AWSDynamoDB/01", objects)
    assert archive.rows() == in_order(ROWS)

    shutil.rmtree(archive.path)
    monkeypatch.setattr(conversion, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(module, "_processes", lambda _export: 2)
    archive.ingest("s3://exports/2026/AWSDynamoDB/01", objects)
    assert archive.rows() == in_order(ROWS)
    assert {path.name for path in archive.path.iterdir()} == {"manifest.json", "rows"}


class Bucket:
    """An S3 client of a bucket with one export."""

    def __init__(self, files):
        self._files = {f"2026/AWSDynamoDB/01/{name}": body for name, body in files.items()}

    def get_object(self, Bucket, Key):  # noqa: N803 - names of the API
        assert Bucket == "exports"
        if Key not in self._files:
            raise client_error("NoSuchKey", 404)
        return {"Body": io.BytesIO(self._files[Key])}


def sent(one):
    """As another process receives it."""
    return pickle.loads(pickle.dumps(one))  # noqa: S301 - what was made right here


class InThisProcess:
    """Processes that begin and end at once."""

    def __init__(self, _count, mp_context):
        assert mp_context.get_start_method() == "spawn"

    def submit(self, work, *given):
        job = Future()
        try:
            job.set_result(sent(work)(*sent(given)))
        except ItemtrailError as error:
            job.set_exception(sent(error))
        return job

    def shutdown(self, cancel_futures):
        assert cancel_futures


@pytest.mark.bank
def test_processes_convert_as_one_does(archive, monkeypatch):
    """Real ones, begun anew and not forked."""
    monkeypatch.setattr(module, "_processes", lambda _export: 2)
    overflow = archive_overflow(archive, LATER[1])
    rows = [*ROWS, LATER[0], overflow]

    result = archive.ingest(archive.full(rows))

    assert archive.rows() == in_order(rows)
    assert result.rows_added == len(rows)
    assert archive.told[-1] == ("rows", len(rows), len(rows))


def test_an_error_in_a_process_is_the_same_error(archive, monkeypatch):
    """It comes back as it was raised."""
    monkeypatch.setattr(module, "_processes", lambda _export: 2)
    monkeypatch.setattr(conversion, "ProcessPoolExecutor", InThisProcess)
    rows = [*ROWS, replace(LATER[0], digest=bytes(32))]

    archive.refuses(archive.full(rows), IntegrityError, r"line \d+: digest mismatch")


def test_a_process_that_dies_is_an_error(archive, monkeypatch):
    """It was killed, or memory was short; nothing is half there."""

    class Dying(InThisProcess):
        def submit(self, *_given):
            job = Future()
            job.set_exception(BrokenProcessPool("killed"))
            return job

    monkeypatch.setattr(conversion, "ProcessPoolExecutor", Dying)
    monkeypatch.setattr(module, "_processes", lambda _export: 2)

    archive.refuses(
        archive.full(ROWS),
        DatasetError,
        "a process that converts rows ended before its time: try again",
    )


def test_few_rows_are_not_worth_a_process(archive):
    """Beginning one takes longer."""
    read = module.Export.read(archive.full(ROWS), None)

    assert module._processes(read) == 1
    assert module._processes(replace(read, items=10**9)) in (1, 2, 3)


def archive_overflow(archive, row):
    """The row with its images in the archive's overflow bucket."""
    history = History()
    history.objects = archive.objects
    return history.overflow(row)


def test_rows_with_their_images_elsewhere_have_them(archive):
    """They are loaded and checked."""
    rows = [archive_overflow(archive, row) for row in ROWS]

    archive.ingest(archive.full(rows))
    assert archive.rows() == in_order(
        [replace(row, overflow=one.overflow) for row, one in zip(ROWS, rows, strict=True)]
    )


def test_the_same_export_adds_nothing(filled):
    """It is not even read again."""
    export = filled.full(ROWS)
    shutil.rmtree(export / "data")
    before = filled.everything()

    assert filled.ingest(export) == IngestResult(0, 0, 12)

    assert filled.everything() == before


def test_a_horizon_may_be_told_later(filled):
    """With an export that is there already, too; another horizon is refused."""
    export = filled.full(ROWS)

    filled.ingest(export, horizon=day(-9))

    assert filled.open().horizon == day(-9)
    filled.refuses(
        filled.full(ALL, 1),
        DatasetError,
        r"began at 2026-11-11T09:14:02.117000\+00:00, not at 2026-11-12T",
        horizon=day(-8),
    )
    filled.ingest(export)
    assert filled.open().horizon == day(-9)


def test_a_dataset_keeps_which_table_is_followed(filled):
    """Told with an export that is there already, too, and by none that does not know."""
    export = filled.full(ROWS)

    filled.ingest(export, source_table="Employee")
    filled.ingest(filled.full(ALL, 1))

    assert filled.open().source_table == "Employee"


# Made in the last second of a month, and after it stamped in the first one of the next.
LATE, EARLY = (
    row_of(None, item("back"), 28 * DAY_S + 35_640, 1),
    row_of(item("back"), None, 28 * DAY_S + 35_639, 2),
)


@pytest.mark.parametrize("order", [(LATE, EARLY), (EARLY, LATE)], ids=["late first", "early first"])
def test_items_whose_times_go_back_are_found_across_exports_and_months(filled, order):
    """The row that shows it may come with a later export, and lie in another month's file."""
    assert filled.open().disordered == ()

    filled.ingest(filled.incremental(order[:1], 0, 1))
    assert filled.open().disordered == ()
    filled.ingest(filled.incremental(order[1:], 1, 2))
    filled.ingest(filled.incremental(LATER, 2, 3))

    months = {line_of(row)["created_at"].month for row in order}
    assert (months, filled.open().disordered) == ({3, 4}, ("back",))


def test_a_dataset_of_an_earlier_version_is_looked_through_once(filled):
    """It does not tell which items are disordered: the next ingest finds those of all exports."""
    filled.ingest(filled.incremental([LATE, EARLY], 0, 1))
    replace(filled.open(), disordered=None).save()
    manifest = filled.path / "manifest.json"
    content = json.loads(manifest.read_bytes())
    for name in ("disordered", "source_table"):
        del content[name]
    fields = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    content["sha256"] = manifest_module._content_digest(fields)
    manifest.write_text(json.dumps(content))
    assert filled.open().disordered is None

    filled.ingest(filled.incremental(LATER, 1, 2))

    assert filled.open().disordered == ("back",)


def test_an_export_that_became_another_one_is_refused(filled):
    """Its name is there, its list of files is not what it was."""
    filled.refuses(
        filled.full(ALL),
        DatasetError,
        "full-0 was ingested before, and its list of files is another one now",
    )


def test_two_full_exports_overlap(filled):
    """What both show is there once; what is new is added."""
    result = filled.ingest(filled.full(ALL, 1))

    assert filled.rows() == in_order(ALL)
    assert (result.rows_read, result.rows_added, result.already_there) == (16, 4, 12)
    assert filled.open().complete_until == day(1)
    assert [file.export[-6:] for file in filled.open().files] == ["full-0"] * 3 + ["full-1"]


def test_an_older_full_export_adds_nothing(archive):
    """The later one showed all that it shows."""
    archive.ingest(archive.full(ALL, 1))

    result = archive.ingest(archive.full(ROWS, 0))

    assert archive.rows() == in_order(ALL)
    assert (result.rows_added, result.already_there, result.files) == (0, 12, ())
    assert archive.open().complete_until == day(1)
    assert len(archive.open().exports) == 2


def test_incremental_exports_follow_a_full_one(filled):
    """Each begins where the one before ended, or earlier."""
    assert filled.ingest(filled.incremental(LATER[:2], 0, 1)).rows_added == 2
    assert filled.open().complete_until == day(1)
    result = filled.ingest(filled.incremental(LATER[1:], 0.5, 2))

    assert filled.rows() == in_order(ALL)
    assert (result.rows_read, result.rows_added, result.already_there) == (3, 2, 1)
    dataset = filled.open()
    assert dataset.complete_until == day(2)
    assert [export.kind for export in dataset.exports] == ["FULL_EXPORT"] + [
        "INCREMENTAL_EXPORT"
    ] * 2
    assert dataset.exports[1].since == day(0)


def write_times(archive):
    """When each row was written, and until when it was not there, by the number of its item."""
    names = ("id", "written_at", "written_after")
    lines = [
        line for path in archive.open().paths for line in pq.ParquetFile(path).read().to_pylist()
    ]
    return {tuple(line[name] for name in names) for line in lines}


def test_when_a_row_was_written_is_kept(filled):
    """An incremental export tells it of each row; one with its images elsewhere is no exception."""
    overflow = archive_overflow(filled, LATER[1])
    lines = [
        made.written(row.to_item(8), at=day(at)) for row, at in ((LATER[0], 0.25), (overflow, 0.5))
    ]

    filled.ingest(filled.incremental(lines, 0, 1))

    assert write_times(filled) == {
        ("1", None, None),
        ("2", None, None),
        ("2|x", None, None),
        ("3", day(0.25), None),
        ("3", day(0.5), None),
    }


def test_a_later_full_export_tells_when_a_row_was_not_there(filled):
    """It was written after the dataset was complete, however long before it is stamped."""
    filled.ingest(filled.incremental([], 0, 1))
    filled.ingest(filled.full(ALL, 3))

    assert write_times(filled) == {
        ("1", None, None),
        ("2", None, None),
        ("2|x", None, None),
        ("3", None, day(1)),
    }


def test_an_older_full_export_tells_nothing_of_when_a_row_was_written(filled):
    """The dataset was complete until later by exports that show no more than was written."""
    filled.ingest(filled.incremental([], 0, 2))
    filled.ingest(filled.full(ALL, 1))

    assert ("3", None, None) in write_times(filled)


@pytest.mark.parametrize(
    "metadata", [{}, {"WriteTimestampMicros": {"N": "x"}}, {"WriteTimestampMicros": {"N": "9e99"}}]
)
def test_a_line_that_does_not_tell_when_it_was_written_is_refused(filled, metadata):
    """Every line of an incremental export does."""
    line = made.written(LATER[0].to_item(8)) | {"Metadata": metadata}

    filled.refuses(filled.incremental([line], 0, 1), ExportError, "line 1 is no item")


def test_a_full_export_may_tell_when_a_row_was_written(archive):
    """Those of today do not."""

    def with_metadata(files):
        (name, *_), line = made.data_names(files), {"Item": LATER[0].to_item(8)}
        metadata = {"WriteTimestampMicros": {"N": "1"}}
        return made.replaced(files, name, made.data_file([line | {"Metadata": metadata}]))

    archive.ingest(archive.full(LATER[:1], files=with_metadata))

    assert write_times(archive) == {("3", datetime(1970, 1, 1, 0, 0, 0, 1, UTC), None)}


def test_a_full_export_follows_incremental_ones(filled):
    """It shows all of them, and what is new."""
    filled.ingest(filled.incremental(LATER[:2], 0, 1))

    assert filled.ingest(filled.full(ALL, 3)).rows_added == 2

    assert filled.rows() == in_order(ALL)


@pytest.mark.parametrize("view", ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"])
def test_either_view_of_an_incremental_export_does(filled, view):
    """A row that is new has no old image anyway."""
    filled.ingest(filled.incremental(LATER, 0, 1, view=view))

    assert filled.rows() == in_order(ALL)


def test_an_incremental_export_in_which_nothing_was_written_counts(filled):
    """The dataset is complete for longer then."""
    assert filled.ingest(filled.incremental([], 0, 1)) == IngestResult(0, 0, 0)

    assert filled.open().complete_until == day(1)


def test_a_gap_before_an_incremental_export_is_refused(filled):
    """The error says which time is missing."""
    filled.refuses(
        filled.incremental(LATER, 1, 2),
        DatasetError,
        r"incremental-1-2 begins at 2026-11-21T09:14:02\.117000\+00:00, and .*dataset is complete "
        r"until 2026-11-20T09:14:02\.117000\+00:00 only: ingest the INCREMENTAL_EXPORT of the "
        "time in between first, or a FULL_EXPORT",
    )


def test_a_history_does_not_begin_with_an_incremental_export(archive):
    """Unless that begins before the history did."""
    message = (
        r"incremental-0-1 shows only what was written since 2026-11-20T09:14:02\.117000\+00:00: "
        "ingest an export of the whole table first, a FULL_EXPORT"
    )
    export = archive.incremental(LATER, 0, 1)

    archive.refuses(export, DatasetError, message)
    archive.refuses(export, DatasetError, message, horizon=day(-1))
    archive.ingest(export, horizon=day(0))

    assert archive.rows() == in_order(LATER)


@pytest.mark.parametrize("new", [True, False])
def test_a_row_that_was_changed_or_removed_is_an_alarm(filled, new):
    """A history row is written once, whatever the change says it is."""
    old = ROWS[1].to_item(8)
    line = made.written(ROWS[1].to_item(8) if new else None, old=old)

    message = filled.refuses(
        filled.incremental([line], 0, 1),
        IntegrityError,
        rf"line 1: the history row 2018-03-13T14:06:00\.000000Z#\d+ was "
        rf"{'changed' if new else 'removed'} in the table; a history row is written once",
    )
    assert "S" not in message.partition("line 1")[2].split("#")[0]


def test_a_row_that_was_removed_is_an_alarm_without_its_old_image(filled):
    """The view of new images shows its key only."""
    line = made.written(None, old=ROWS[1].to_item(8))
    del line["OldImage"]

    filled.refuses(
        filled.incremental([line], 0, 1, view="NEW_IMAGE"), IntegrityError, "was removed in"
    )


def test_a_row_with_another_digest_is_an_alarm(filled):
    """A careful forgery fits its own digest, and not the one that is there."""
    forged = resealed(ROWS[2], new_image=item("1", forged=text("secret")))

    message = filled.refuses(
        filled.full([*ROWS[:2], forged, *ROWS[3:]], 1),
        IntegrityError,
        rf"history row {ROWS[2].sort_key} of the item with the digest {key_digest('1')}: it has "
        "another digest in the export than in the dataset: it was written again",
    )
    assert "secret" not in message


def test_a_forgery_in_an_incremental_export_is_an_alarm(filled):
    """The view of new images does not show that there was a row before."""
    forged = resealed(ROWS[2], new_image=item("1", forged=text("secret")))

    filled.refuses(
        filled.incremental([forged], 0, 1, view="NEW_IMAGE"), IntegrityError, "another digest"
    )


def test_rows_that_a_later_export_lacks_are_an_alarm(filled):
    """They were in the table and are no more."""
    filled.refuses(
        filled.full([*ROWS[2:], *LATER], 1),
        IntegrityError,
        rf"history row {ROWS[0].sort_key} of the item with the digest {key_digest('1')} "
        r"\(and 1 more\): the dataset has it, and this later export of the whole table does not",
    )


def test_rows_that_an_earlier_export_has_besides_are_an_alarm(filled):
    """They were removed before the export that is there."""
    filled.refuses(
        filled.full([*ROWS, LATER[0]], -1),
        IntegrityError,
        rf"history row {LATER[0].sort_key} .*: a later export of the whole table, which the "
        "dataset has, does not show it: it was removed",
    )
    filled.refuses(filled.incremental(LATER[:1], -2, -1), IntegrityError, "does not show it")


def test_rows_that_came_later_need_not_be_in_an_older_export(filled):
    """It could not show them."""
    filled.ingest(filled.incremental(LATER, 0, 2))

    filled.ingest(filled.full([*ROWS, LATER[0]], 1))

    assert filled.rows() == in_order(ALL)


def test_an_export_that_shows_a_row_twice_is_refused(archive):
    """Then it is not what DynamoDB exported, and something else may be missing."""
    archive.refuses(
        archive.full([*ROWS, ROWS[3]]),
        IntegrityError,
        rf"history row {ROWS[3].sort_key} .*: the export shows it twice: export the table again",
    )


def test_an_export_of_another_table_is_refused(filled):
    """Of another one, and of an older one of the same name."""
    filled.refuses(
        filled.full(ROWS, 1, table_arn=f"{TABLE}2"),
        DatasetError,
        r"full-1 is of .*EmployeeHistory2, and .*dataset is of .*EmployeeHistory: a dataset is of "
        "one table; name another folder",
    )
    filled.refuses(
        filled.full(ROWS, 1, table_id="older"),
        DatasetError,
        r"full-1 is of another table of the same name, older, and .*dataset is of 12345a12-.*: a "
        "dataset is of one table",
    )


def test_an_export_of_no_history_table_is_refused(archive):
    """Its items are somebody's data, which the error does not show."""
    message = archive.refuses(
        archive.full([item("secret", a=text("b"))], table_arn=made.TABLE_ARN),
        ExportError,
        r"\.json\.gz line 1 is no history row: give an export of a history table, not of "
        rf"{made.TABLE_ARN}$",
    )
    assert "secret" not in message


def test_an_item_that_only_looks_like_a_history_row_is_refused(archive):
    """It has the key of one, and no more."""
    looks = {"Id": text("secret"), "ApproximateCreationDateTime": text("2026")}

    message = archive.refuses(archive.full([looks]), IntegrityError, "line 1: not a history row")
    assert "secret" not in message


def changed(row, **attributes):
    """The row as it is stored, other attributes in it."""
    stored = row.to_item(8) | attributes
    return {name: value for name, value in stored.items() if value is not None}


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (changed(ROWS[1], Digest={"B": bytes(32)}), "digest mismatch in the history row 2018-03-1"),
        (
            changed(ROWS[1], NewImage={"M": item("1", forged=text("secret"))}),
            "digest mismatch in the history row 2018-03-13",
        ),
        (changed(ROWS[1], Digest=None), "not a history row: KeyError 'Digest'"),
        (changed(ROWS[1], Format={"N": "2"}), "history row of unknown format 2"),
        (changed(ROWS[1], Note=text("secret")), "no row of the format: 2018-03.* has Note besides"),
        (
            changed(ROWS[1], EventName={"S": "MODIFY", "N": "1"}),
            "line 1 is no item",
        ),
        (
            changed(
                ROWS[1],
                UserIdentity={
                    "M": {"type": text("a"), "principalId": text("b"), "more": text("secret")}
                },
            ),
            "no row of the format: a field of 2018-03-13T.* holds more",
        ),
        (
            resealed(ROWS[1], event_name=EventName.INSERT).to_item(8),
            "no row of the format: the INSERT 2018-03-13T.* has other images",
        ),
        (
            changed(ROWS[1], ApproximateCreationDateTime=text("2018-03-13T14:06:00#1")),
            "its sort key does not begin with a time in UTC",
        ),
    ],
)
def test_a_row_that_is_not_what_a_writer_writes_is_refused(filled, stored, message):
    """Its file and line are named, and what is wrong, but not what it holds."""
    folder = filled.full([stored, *ROWS], 1)

    error = ExportError if "no item" in message else IntegrityError
    said = filled.refuses(folder, error, message)
    assert str(folder / "data") in said
    assert "secret" not in said


def test_the_bucket_of_the_index_is_not_needed(archive):
    """No question of the dataset goes through the index."""
    archive.ingest(archive.full([changed(ROWS[0], TimeBucket=None)]))

    assert archive.rows() == [ROWS[0]]


def test_an_overflow_object_that_is_missing_is_an_error(filled):
    """A row without its images would be an empty one."""
    row = archive_overflow(filled, LATER[1])
    filled.objects.bodies.clear()

    filled.refuses(
        filled.full([*ROWS, row], 1),
        IntegrityError,
        rf"line \d+: overflow object {row.overflow.key} is missing$",
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda body: body[:-9], "cannot be decompressed"),
        (lambda body: gzip.compress(gzip.decompress(body) + b" "), "is not the one that was"),
    ],
)
def test_an_overflow_object_that_was_altered_is_an_error(filled, damage, message):
    """As it is when the table itself is read."""
    row = archive_overflow(filled, LATER[1])
    for place, body in filled.objects.bodies.items():
        filled.objects.bodies[place] = damage(body)

    filled.refuses(filled.full([*ROWS, row], 1), IntegrityError, message)


def test_an_overflow_row_is_checked_against_its_digest(filled):
    """The object is a right one, of another row."""
    row = archive_overflow(filled, LATER[1])
    other = archive_overflow(filled, LATER[2])

    filled.refuses(
        filled.full([*ROWS, replace(row, overflow=other.overflow)], 1),
        IntegrityError,
        f"digest mismatch in the history row {row.sort_key}",
    )


def test_an_overflow_object_that_may_not_be_read_is_an_error(filled):
    """It says who refused, and blames nobody of an alteration."""
    row = archive_overflow(filled, LATER[1])
    filled.objects.error = client_error("AccessDenied", 403)

    filled.refuses(
        filled.full([*ROWS, row], 1),
        DatasetError,
        rf"overflow object {row.overflow.key} cannot be read: AccessDenied; try again later",
    )


def first_data(files):
    return made.data_names(files)[0]


def without_file(files):
    return {name: body for name, body in files.items() if name != first_data(files)}


def without_entry(files):
    _, *others = files["manifest-files.json"].splitlines(keepends=True)
    return made.replaced(files, "manifest-files.json", b"".join(others))


def with_other_count(files):
    listed = files["manifest-files.json"].replace(b'"itemCount": 6', b'"itemCount": 5', 1)
    summary = json.loads(files["manifest-summary.json"])
    summary["itemCount"] -= 1
    files = made.replaced(files, "manifest-files.json", listed)
    return made.replaced(files, "manifest-summary.json", json.dumps(summary).encode())


def truncated(files):
    name = first_data(files)
    return made.replaced(files, name, files[name][:-9])


def with_other_bytes(files):
    name = first_data(files)
    return files | {name: gzip.compress(gzip.decompress(files[name]))}


def with_a_line_that_is_no_json(files):
    name = first_data(files)
    lines = gzip.decompress(files[name]).splitlines(keepends=True)
    return made.replaced(files, name, gzip.compress(b"".join([*lines[:-1], b"{\n"])))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_file, r"data/\w+\.json\.gz is not there$"),
        (without_entry, "lists 6 items, and the summary 12: export the table again$"),
        (with_other_count, "it has more than 5 items; copy it again, or export the table again$"),
        (truncated, "it cannot be decompressed .*; copy it again, or export the table again$"),
        (with_other_bytes, "its MD5 is .*, not .*; copy it again, or export the table again$"),
        (with_a_line_that_is_no_json, "line 6 is no item; copy it again, or export"),
    ],
)
def test_a_damaged_export_is_refused(archive, first, damage, message):
    """Whichever of its parts it is; nothing of it is in the dataset, not even the good parts."""
    if not first:
        archive.ingest(archive.full([], -1))

    archive.refuses(archive.full(ROWS, files=damage), ExportError, message)

    assert (archive.path / "manifest.json").exists() == (not first)
    archive.ingest(archive.full(ROWS))
    assert archive.rows() == in_order(ROWS)


def test_a_damaged_incremental_export_is_refused(filled):
    """As a full one is."""
    filled.refuses(
        filled.incremental(LATER, 0, 1, files=truncated), ExportError, "cannot be decompressed"
    )
    line = made.written(LATER[0].to_item(8)) | {"Keys": {"Id": text("secret")}}
    message = filled.refuses(filled.incremental([line], 0, 1), ExportError, "line 1 is no item")
    assert "secret" not in message


class KilledError(BaseException):
    """The process is killed; nothing catches it."""


def interrupt(*_given, **_named):
    raise KilledError


PLACES = [
    (conversion._RowFile, "_flush"),
    (merge.Merge, "write_new"),
    (merge.MonthFile, "finish"),
    (module._Ingest, "_place"),
    (module._Ingest, "_commit"),
    (Dataset, "save"),
]
EACH_PLACE = pytest.mark.parametrize(("owner", "name"), PLACES, ids=str)


@EACH_PLACE
def test_an_interrupted_ingest_leaves_the_dataset_as_it_was(filled, monkeypatch, owner, name):
    """And can be done again."""
    export = filled.full(ALL, 1)
    before = filled.everything()
    monkeypatch.setattr(owner, name, interrupt)

    with pytest.raises(KilledError):
        filled.ingest(export)

    assert filled.everything() == before
    monkeypatch.undo()
    assert filled.ingest(export).rows_added == len(LATER)
    assert filled.rows() == in_order(ALL)


@EACH_PLACE
def test_a_killed_ingest_is_cleared_away_by_the_next(filled, monkeypatch, owner, name):
    """Nobody was left to tidy up: what it made is no part of the dataset, and goes."""
    export = filled.full(ALL, 1)
    before = filled.open()
    monkeypatch.setattr(owner, name, interrupt)
    with monkeypatch.context() as killed:
        killed.setattr(module, "_clear_away", lambda _folder: None)
        with pytest.raises(KilledError):
            filled.ingest(export)
    monkeypatch.undo()
    assert filled.open() == before
    assert len(list(filled.path.glob(".ingest-*"))) == 1

    assert filled.ingest(export).rows_added == len(LATER)

    assert filled.rows() == in_order(ALL)
    assert filled.everything().keys() == {file.name for file in filled.open().files} | {
        "manifest.json"
    }


@pytest.mark.parametrize("tidy", [True, False])
def test_what_is_in_the_manifest_is_never_cleared_away(filled, monkeypatch, tidy):
    """An ingest that is killed right after its last step is complete."""
    save = Dataset.save

    def save_and_die(dataset):
        save(dataset)
        raise KilledError

    with monkeypatch.context() as killed:
        killed.setattr(Dataset, "save", save_and_die)
        if not tidy:
            killed.setattr(module, "_clear_away", lambda _folder: None)
        with pytest.raises(KilledError):
            filled.ingest(filled.full(ALL, 1))

    assert filled.rows() == in_order(ALL)
    assert filled.ingest(filled.full(ALL, 1)) == IngestResult(0, 0, 16)
    assert filled.rows() == in_order(ALL)
    assert not list(filled.path.glob(".ingest-*"))


def test_rows_are_on_the_disk_before_the_manifest_that_lists_them(filled, monkeypatch):
    """After a power failure there is no dataset whose files are empty."""
    before = filled.open().files
    steps = recorded_steps(monkeypatch)

    filled.ingest(filled.full(ALL, 1))

    added = [filled.path / file.name for file in filled.open().files if file not in before]
    assert added
    places = [*added, filled.path / "manifest.json"]
    work = [("flush", filled.path.stat().st_ino)]
    assert steps == work + [step for path in places for step in durable_steps(path)]


@pytest.mark.usefixtures("umask")
def test_a_dataset_is_its_owners_alone_until_others_may_read_it(archive):
    """Those who may read the manifest may read the files that are added."""
    archive.ingest(archive.full(ROWS))
    before = modes_in(archive.path)
    archive.path.joinpath("manifest.json").chmod(0o644)

    archive.ingest(archive.full(ALL, 1))

    assert set(before.values()) == {(True, 0o700), (False, 0o600)}
    after = modes_in(archive.path)
    assert {after[path] for path in after.keys() - before} == {(False, 0o644)}


def modes_in(folder):
    """Which of all that is in a folder are folders, and who may read them."""
    return {path: (path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*")}


def test_files_of_others_are_left_alone(filled):
    """They are no part of the dataset, and nobody's to delete."""
    theirs = filled.path / "rows" / "month=2018-03" / "theirs.parquet"
    theirs.write_bytes(b"x")

    filled.ingest(filled.full(ALL, 1))

    assert theirs.read_bytes() == b"x"
    assert filled.rows() == in_order(ALL)


def test_two_ingests_at_once_are_one_too_many(filled):
    """The second is told to wait."""
    with module._alone(filled.path):
        filled.refuses(filled.full(ALL, 1), DatasetError, "is in use by another ingest: wait for")


def test_a_damaged_dataset_takes_no_export(filled):
    """What is compared with it would be compared with a part of it."""
    (filled.path / filled.open().files[0].name).unlink()

    filled.refuses(filled.full(ALL, 1), DatasetError, "is not there: the dataset is damaged")


def test_a_disk_that_is_full_is_an_error_in_one_line(filled, monkeypatch):
    """As is whatever else DuckDB or Arrow have to say."""

    def full(*_given):
        raise duckdb.OutOfMemoryException("Out of Memory Error: too little\n\nPossible solutions")

    monkeypatch.setattr(merge.Merge, "require_unaltered", full)

    filled.refuses(
        filled.full(ALL, 1),
        DatasetError,
        r"nothing was ingested into .*dataset: Out of Memory Error: too little$",
    )


def test_a_folder_that_cannot_be_made_is_an_error(archive):
    """Before anything of the export's rows is read."""
    export = archive.full(ROWS)
    archive.path.write_bytes(b"")

    with pytest.raises(DatasetError, match="dataset cannot be written: File exists"):
        archive.ingest(export)


def test_large_files_are_begun_anew(archive, monkeypatch):
    """So that one is never too large to be worked with; together they are in order."""
    monkeypatch.setattr(merge, "_FILE_ROWS", 2)
    monkeypatch.setattr(merge, "_GROUP_ROWS", 1)
    monkeypatch.setattr(merge, "_FETCHED_AT_ONCE", 1)
    monkeypatch.setattr(conversion, "_MOST_ROWS", 2)

    archive.ingest(archive.full(ROWS))

    assert archive.rows() == in_order(ROWS)
    files = archive.open().files
    assert all(file.rows <= 2048 for file in files)
    ends = []
    for path in archive.open().paths:
        lines = pq.ParquetFile(path).read().to_pylist()
        places = [(line["id"], line["sort_key"]) for line in lines]
        assert places == sorted(places)
        ends.append((path.rpartition("/")[0], *places[0]))
    assert ends == sorted(ends)
    assert archive.told[0] == ("rows", 2, 12)


def test_more_than_fits_into_memory_is_sorted_on_disk(archive, monkeypatch):
    """Images of a megabyte and more, of which DuckDB may hold a few at a time."""
    monkeypatch.setattr(module, "_MERGE_MEMORY", "150MB")
    rows = [row_of(None, item(f"{n:03d}", t=text(f"{n:x}" * 100_000)), n) for n in range(150)]

    archive.ingest(archive.full(rows))

    assert [row.digest for row in archive.rows()] == [row.digest for row in in_order(rows)]


def test_lines_are_json_as_dynamodb_writes_it(archive):
    """Binary as base64; a digest is one."""
    line = lambda_form(ROWS[0].to_item(8))
    assert isinstance(line["Digest"]["B"], str)
    archive.ingest(archive.full([row_of(None, item("b", b={"B": b"\x00"}, e={"BS": [b"\xff"]}))]))

    (row,) = archive.rows()
    assert row.change.new_image["b"] == {"B": b"\x00"}


def test_rows_that_conversion_drops_are_missed(archive, monkeypatch):
    """As many are read as the export says it has, or nothing is ingested."""
    monkeypatch.setattr(conversion.Conversion, "run", lambda *_: [])

    with pytest.raises(DatasetError, match="has 2 items, and 0 were read"):
        archive.ingest(archive.full(rows_of(*states("1", 2))))


def test_a_row_group_ends_when_it_has_bytes_enough(tmp_path, monkeypatch):
    """It is held in memory until it is written."""
    monkeypatch.setattr(merge, "_GROUP_BYTES", 1)
    file = merge.MonthFile(tmp_path / "rows.parquet", "2018-03")
    for row in rows_of(*states("1", 3)):
        file.add(pa.Table.from_pylist([line_of(row)], schema=ROWS_SCHEMA))

    written = file.finish()

    assert pq.ParquetFile(written.path).num_row_groups == 3


def test_a_month_that_is_large_has_several_files(archive, monkeypatch):
    """A file that is full is ended, and the next one goes on after its last row."""
    monkeypatch.setattr(merge, "_FILE_ROWS", 2)
    monkeypatch.setattr(merge, "_GROUP_ROWS", 1)
    monkeypatch.setattr(merge, "_FETCHED_AT_ONCE", 1)

    archive.ingest(archive.full(rows_of(*states("1", 5))))

    assert sorted(file.rows for file in archive.open().files) == [1, 2, 2]


# ---- What the history says of itself --------------------------------------------------------

STREAM = ROWS[0].change.event_source_arn
LIFE = TableLife(STREAM, "12345a12", day(-9))
MARK = BackfillMark(STREAM, "12345a12", day(-9), day(-8), "scan", {}, "0a", "itemtrail")
LATER_MARK = replace(MARK, started=day(-5), finished=day(-4))


def test_control_rows_are_no_rows_of_the_dataset(archive):
    """They are passed over in a full and in an incremental export, and counted as no rows."""
    result = archive.ingest(archive.full([*ROWS, MARK.to_item()]))
    assert (result.rows_read, result.rows_added) == (12, 12)

    result = archive.ingest(archive.incremental([made.written(LIFE.to_item())], 0, 1))

    assert (result.rows_read, result.rows_added) == (0, 0)
    assert archive.rows() == in_order(ROWS)
    assert archive.open().controls == (MARK.to_item(), LIFE.to_item())


def test_a_mark_of_a_finished_backfill_is_kept(archive):
    """The first one of the newest stream tells since when every item has a row."""
    archive.ingest(archive.full([*ROWS, MARK.to_item(), LATER_MARK.to_item()]))
    dataset = archive.open()
    marks = [row for row in dataset.control_rows if isinstance(row, BackfillMark)]
    assert marks == [MARK, LATER_MARK]
    assert dataset.complete_since == MARK.started

    # Rows of a stream that was made anew: what was lost in between, no mark tells.
    again = resealed(LATER[0], event_source_arn=f"{TABLE}/stream/2027")
    archive.ingest(archive.incremental([again], 0, 1))
    assert archive.open().complete_since is None

    anew = replace(LATER_MARK, stream_arn=f"{TABLE}/stream/2027")
    archive.ingest(archive.incremental([made.written(anew.to_item())], 1, 2))
    assert archive.open().complete_since == LATER_MARK.started


def test_a_control_row_that_was_written_again_or_removed_is_an_alarm(archive):
    """As a row of an item is."""
    archive.ingest(archive.full([*ROWS, MARK.to_item()]))
    other = replace(MARK, method="export").to_item()

    archive.refuses(
        archive.full([*ROWS, other], at=1), IntegrityError, "shows another control row !backfill#"
    )
    archive.refuses(
        archive.full(ROWS, at=2),
        IntegrityError,
        r"does not show the control row !backfill#.*remove",
    )
    archive.ingest(archive.incremental([], 0, 1))
    archive.ingest(archive.full(ROWS, at=-1))
    assert archive.open().controls == (MARK.to_item(),)


def test_what_runs_announced_of_items_is_in_no_manifest(archive):
    """Nor what an earlier version kept of it: ten thousand are more than all the rest."""
    announced = [
        OwnWrite("0123456789ab", n, item_hash(str(n)), None, None, day(-1), STREAM).to_item()
        for n in range(3)
    ]
    archive.ingest(archive.full([*ROWS, MARK.to_item(), *announced]))
    first = archive.open()
    replace(first, controls=(*announced[:1], MARK.to_item())).save()

    archive.ingest(archive.full([*ROWS, MARK.to_item(), *announced[1:]], at=1))

    assert first.controls == archive.open().controls == (MARK.to_item(),)


def test_an_altered_control_row_is_refused(filled):
    """It was written once, like every other row."""
    altered = LIFE.to_item() | {"EventSourceARN": {"S": "else"}}

    filled.refuses(filled.full([*ROWS, altered], at=1), IntegrityError, "digest mismatch in the c")
