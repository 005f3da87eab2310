"""A dataset is brought up to date by as few exports as there can be, and none is paid for twice."""

import io
import itertools
import json
import posixpath
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.validate import validate_parameters

from reports.access.machine import Machine
from reports.errors import TableNotFoundError
from reports.exports.export import Export, ExportKind
from reports.exports.export_folder import ExportError
from reports.states.watermark import Basis, Watermark
from stream_core.errors import IntegrityError
from tests import export_files as made
from tests.disk import durable_steps, recorded_steps
from tests.factories import item, number
from tests.fakes import client_error, read_timeout
from tests.recorded_history import StillClock, baseline_of, rows_of
from tests.unit.memory_tables import moment
from warehouse.archive.export_request import Destination
from warehouse.archive.update import HistoryFacts, archive, archive_exports
from warehouse.dataset.coverage import in_order
from warehouse.dataset.manifest import Dataset
from warehouse.errors import DatasetError

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/employee-trail-history"
OTHER = "arn:aws:dynamodb:eu-west-1:123456789012:table/other-history"
BEGAN = moment(0) - timedelta(days=1)
FACTS = HistoryFacts(ARN, BEGAN)
TO = Destination("exports", "trail")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LAG = 5 * MINUTE
# An hour apart for three days.
ROWS = rows_of(*(item("1", n=number(place)) for place in range(72)), step_s=3600)


class Service:
    """DynamoDB with a history table, and S3: exports are written as the real ones are.

    Attributes:
        asked: the requests for exports, all of them.
        statuses: what the next descriptions of an export say; then it is finished.
    """

    def __init__(self, clock):
        self.clock = clock
        self.requests = []
        self.statuses = []
        self.recovery = {"PointInTimeRecoveryStatus": "ENABLED"}
        self.reach = 35 * DAY
        self.refusal = None
        self.lost_answers = 0
        self.writes = True
        self.ends_early = timedelta(0)
        self.objects = {}
        self._exports = {}
        self._numbers = itertools.count(1)
        session = boto3.Session("test", "test", region_name="eu-west-1")
        self._model = session.client("dynamodb").meta.service_model

    def describe_table(self, TableName):  # noqa: N803 - names of the API
        names = ("Id", "ApproximateCreationDateTime") if "trail" in TableName else ("Id",)
        keys = [{"AttributeName": name, "KeyType": "HASH"} for name in names]
        types = [{"AttributeName": name, "AttributeType": "S"} for name in names]
        table = {"TableName": TableName, "KeySchema": keys, "AttributeDefinitions": types}
        return {"Table": {**table, "CreationDateTime": BEGAN, "TableArn": ARN}}

    def describe_continuous_backups(self, TableName):  # noqa: N803
        assert TableName == ARN
        now = self.clock.now()
        times = {
            "EarliestRestorableDateTime": now - self.reach,
            "LatestRestorableDateTime": now - LAG,
        }
        return {
            "ContinuousBackupsDescription": {
                "PointInTimeRecoveryDescription": self.recovery | times
            }
        }

    def export_table_to_point_in_time(self, **request):
        shape = self._model.operation_model("ExportTableToPointInTime").input_shape
        validate_parameters(request, shape)
        self.requests.append(request)
        if self.refusal is not None:
            raise self.refusal
        token = request["ClientToken"]
        if token not in self._exports:
            arn = f"{ARN}/export/{next(self._numbers):04d}"
            self._exports[token] = (arn, request)
            if self.writes:
                self._write(arn, request)
        if self.lost_answers:
            self.lost_answers -= 1
            raise read_timeout()
        arn, first = self._exports[token]
        assert first == request, "ExportConflictException"
        return {"ExportDescription": {"ExportArn": arn, "ExportStatus": "IN_PROGRESS"}}

    def describe_export(self, ExportArn):  # noqa: N803
        if ExportArn not in [arn for arn, _ in self._exports.values()]:
            raise client_error("ExportNotFoundException")
        status = self.statuses.pop(0) if self.statuses else {"ExportStatus": "COMPLETED"}
        return {"ExportDescription": {"ExportArn": ExportArn, **status}}

    def forget_exports(self):
        """As after three months."""
        self._exports.clear()

    def get_object(self, Bucket, Key):  # noqa: N803
        try:
            return {"Body": io.BytesIO(self.objects[Bucket, Key])}
        except KeyError:
            raise client_error("NoSuchKey", 404) from None

    def _write(self, arn, request):
        identifier = arn.rpartition("/")[2]
        prefix = request.get("S3Prefix", ".")
        options = {"table_arn": ARN, "export_id": identifier}
        if request["ExportType"] == "FULL_EXPORT":
            time = request["ExportTime"] - self.ends_early
            rows = [row.to_item(8) for row in ROWS if row.change.created_at <= time]
            files = made.export_files(rows, time=time, prefix=prefix, **options)
        else:
            span = request["IncrementalExportSpecification"]
            since, until = span["ExportFromTime"], span["ExportToTime"] - self.ends_early
            rows = [row for row in ROWS if since <= row.change.created_at < until]
            lines = [made.written(row.to_item(8)) for row in rows]
            files = made.incremental_files(lines, since, until, **options)
        for name, content in files.items():
            key = posixpath.normpath(f"{prefix}/AWSDynamoDB/{identifier}/{name}")
            self.objects[request["S3Bucket"], key] = content


class Place:
    """A dataset's folder, and the service that it is brought up to date by."""

    def __init__(self, folder):
        self.folder = folder / "trail"
        self.clock = StillClock(moment(0) + 6 * HOUR)
        self.service = Service(self.clock)
        self.progress = []

    def archive(self, **options):
        return archive(
            self.folder,
            options.pop("facts", FACTS),
            options.pop("to", TO),
            self.service,
            self.service,
            machine=Machine(now=self.clock.now, clock=self.seconds, sleep=self.clock.sleep),
            progress=lambda *figures: self.progress.append(figures),
            **options,
        )

    def archive_interrupted(self):
        """An archive that ends while DynamoDB exports."""
        self.service.statuses = [{"ExportStatus": "IN_PROGRESS"}]
        self.clock.while_waiting = _interrupt
        with pytest.raises(KeyboardInterrupt):
            self.archive()
        self.clock.while_waiting = lambda: None

    def seconds(self):
        return self.clock.now().timestamp()

    def open(self):
        return Dataset.open(self.folder)

    def pass_time(self, span):
        self.clock.time += span

    @property
    def spans(self):
        """What the exports that were asked for are of."""
        return [
            (span["ExportFromTime"], span["ExportToTime"])
            if (span := request.get("IncrementalExportSpecification"))
            else request["ExportTime"]
            for request in self.service.requests
        ]

    @property
    def noted(self):
        return (self.folder / ".export.json").exists()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def known_rows(until):
    return sum(row.change.created_at < until for row in ROWS)


# ---- By DynamoDB -----------------------------------------------------------------------------


def test_the_first_export_is_of_the_whole_table(place):
    """Its rows become the dataset, which knows when the history began."""
    archived = place.archive()

    dataset = place.open()
    latest = place.clock.now() - LAG
    assert place.spans == [latest]
    assert archived.dataset == dataset
    assert (dataset.history_table, dataset.horizon) == (ARN, BEGAN)
    assert dataset.complete_until == latest
    assert dataset.rows == known_rows(latest) == archived.exports[0].rows.rows_added > 0
    assert archived.dataset.watermark is None
    (note,) = archived.notes
    assert "no answer is exact: name --stack where DynamoDB makes the exports" in note
    assert not place.noted


def found(at, basis=Basis.MEASURED):
    """What finds a watermark."""
    return lambda: Watermark(at, basis, "the test's")


def test_what_was_recorded_when_the_watermark_was_found_is_in_the_export(place):
    """Point-in-time recovery is some minutes behind, so that they are waited for."""
    began = place.clock.now()
    at = began - HOUR

    archived = place.archive(find_watermark=found(at))

    assert archived.dataset.watermark == Watermark(at, Basis.MEASURED, "the test's")
    assert archived.notes == ()
    assert place.open() == archived.dataset
    (until,) = place.spans
    assert began <= until < began + MINUTE
    assert ("seconds of waiting for point-in-time recovery", 40, None) in place.progress


def test_a_watermark_that_no_export_reaches_is_not_kept(place):
    """A change may have been recorded after the export that is in none, and before it was found."""
    first = place.archive(find_watermark=found(place.clock.now() - HOUR)).dataset
    place.pass_time(10 * MINUTE)

    archived = place.archive(find_watermark=found(place.clock.now() - MINUTE))

    assert archived.exports == ()
    assert archived.dataset == first


def test_recovery_that_stands_still_is_not_waited_for_without_end(place, monkeypatch):
    """An export is made of what can be; no answer is exact by what was found."""
    latest = place.clock.now() - LAG
    times = {"EarliestRestorableDateTime": BEGAN, "LatestRestorableDateTime": latest}
    recovery = {"PointInTimeRecoveryDescription": place.service.recovery | times}
    answer = {"ContinuousBackupsDescription": recovery}
    monkeypatch.setattr(place.service, "describe_continuous_backups", lambda **_: answer)

    archived = place.archive(find_watermark=found(place.clock.now() - HOUR))

    assert len(archived.exports) == 1
    assert archived.dataset.watermark is None


def test_the_later_watermark_is_kept(place):
    """What was once known to be recorded stays so."""
    now = place.clock.now()
    place.archive(find_watermark=found(now - HOUR))
    place.pass_time(HOUR)
    earlier = place.archive(find_watermark=found(now - 2 * HOUR)).dataset
    place.pass_time(HOUR)
    later = place.archive(find_watermark=found(now, Basis.AGED)).dataset

    assert earlier.watermark.at == now - HOUR
    assert (later.watermark.at, later.watermark.basis) == (now, Basis.AGED)


def test_a_request_says_what_the_ingest_needs(place):
    """Old images tell a row that was written from one that was changed."""
    place.archive()
    place.pass_time(HOUR)

    place.archive()

    _, request = place.service.requests
    assert request["TableArn"] == ARN
    assert (request["S3Bucket"], request["S3Prefix"]) == ("exports", "trail")
    assert (request["ExportFormat"], request["ExportType"]) == (
        "DYNAMODB_JSON",
        "INCREMENTAL_EXPORT",
    )
    assert request["IncrementalExportSpecification"]["ExportViewType"] == "NEW_AND_OLD_IMAGES"
    assert "S3SseAlgorithm" not in request


def test_a_key_and_another_account_are_told(place):
    """The bucket may belong to somebody else, and demand a key."""
    place.archive(to=Destination("exports", "trail", owner="210987654321", kms_key="alias/k"))

    (request,) = place.service.requests
    assert request["S3BucketOwner"] == "210987654321"
    assert (request["S3SseAlgorithm"], request["S3SseKmsKeyId"]) == ("KMS", "alias/k")


def test_what_was_written_since_follows(place):
    """The next export begins where the dataset ends, and only new rows are added."""
    first = place.archive().dataset
    place.pass_time(5 * HOUR)

    archived = place.archive()

    latest = place.clock.now() - LAG
    assert place.spans[1:] == [(first.complete_until, latest)]
    assert archived.dataset.complete_until == latest
    assert archived.dataset.rows == known_rows(latest) > first.rows
    assert [exported.export.kind for exported in archived.exports] == [ExportKind.INCREMENTAL]


def test_more_than_a_day_takes_several_exports(place):
    """None covers more than 24 hours, each begins where the one before ends, none is missing."""
    start = place.archive().dataset.complete_until
    place.pass_time(2 * DAY + 3 * HOUR)

    archived = place.archive()

    spans = place.spans[1:]
    assert [until - since for since, until in spans] == [DAY, DAY, 3 * HOUR]
    assert [since for since, _ in spans] == [start, *(until for _, until in spans[:-1])]
    assert archived.dataset.complete_until == spans[-1][1] == place.clock.now() - LAG
    assert archived.dataset.rows == known_rows(spans[-1][1])


@pytest.mark.parametrize(("passed", "exports"), [(14 * MINUTE, 0), (15 * MINUTE, 1)])
def test_an_export_covers_a_quarter_of_an_hour(place, passed, exports):
    """DynamoDB makes no shorter one: it is left for later, and that is said."""
    place.archive()
    place.pass_time(passed)

    archived = place.archive()

    assert len(archived.exports) == len(place.service.requests) - 1 == exports
    assert len(archived.notes) == 2 - exports
    assert ("no export was made" in archived.notes[0]) is not exports


def test_fractions_of_a_second_leave_no_gap(place):
    """Requests are exact to the second: the next one begins before the end of the one before."""
    place.pass_time(timedelta(seconds=0.75))
    place.archive()
    place.pass_time(HOUR + timedelta(seconds=0.5))

    place.archive()

    first, (since, until) = place.spans
    assert since == first
    assert {time.microsecond for time in (first, since, until)} == {0}


def test_a_dataset_that_is_too_old_gets_a_full_export(place):
    """Point-in-time recovery reaches back less far: that is said, and no row is missing."""
    place.archive()
    place.service.reach = DAY
    place.pass_time(2 * DAY)

    archived = place.archive()

    assert place.spans[1:] == [place.clock.now() - LAG]
    assert archived.dataset.rows == known_rows(place.clock.now() - LAG)
    note, _ = archived.notes
    assert "reaches back to 2018-03-04T" in note


def test_waiting_is_shown(place):
    """DynamoDB takes minutes: it is asked now and then, and the seconds are told."""
    place.service.statuses = [{"ExportStatus": "IN_PROGRESS"}] * 3

    place.archive()

    assert place.clock.pauses_s == [20, 20, 20]
    waited = [done for what, done, _ in place.progress if "waiting" in what]
    assert waited == [0, 20, 40]


def test_a_table_without_recovery_is_told_how_to_turn_it_on(place):
    """Nothing is asked for."""
    place.service.recovery = {"PointInTimeRecoveryStatus": "DISABLED"}

    with pytest.raises(DatasetError, match="aws dynamodb update-continuous-backups") as refused:
        place.archive()

    assert "--table-name employee-trail-history " in str(refused.value)
    assert place.service.requests == []


def test_recovery_that_is_turned_off_meanwhile(place):
    """The service's own refusal says the same."""
    place.service.refusal = client_error("PointInTimeRecoveryUnavailableException")

    with pytest.raises(DatasetError, match="update-continuous-backups"):
        place.archive()

    assert not place.noted


def test_a_refused_request_is_not_waited_for(place):
    """Once access is granted the next call begins anew."""
    place.service.refusal = client_error("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        place.archive()

    assert not place.noted
    place.service.refusal = None
    assert place.archive().dataset.rows


def test_a_failed_export_is_told_with_its_reason(place):
    """The next call asks for another one, with another token."""
    place.service.statuses = [
        {"ExportStatus": "FAILED", "FailureCode": "S3NoSuchBucket", "FailureMessage": "no bucket"}
    ]

    with pytest.raises(DatasetError, match="0001: S3NoSuchBucket: no bucket"):
        place.archive()
    place.archive()

    first, second = place.service.requests
    assert first["ClientToken"] != second["ClientToken"]


# ---- Interrupted -----------------------------------------------------------------------------


def test_an_interrupted_wait_is_taken_up(place):
    """The export that runs is waited for: no second one is asked for."""
    place.archive_interrupted()

    archived = place.archive()

    assert len(place.service.requests) == 1
    assert archived.exports[0].export.arn == f"{ARN}/export/0001"
    assert not place.noted


def test_a_lost_answer_makes_no_second_export(place):
    """The same request with the same token is the same export."""
    place.service.lost_answers = 1

    with pytest.raises(ReadTimeoutError):
        place.archive()
    place.pass_time(HOUR)
    archived = place.archive()

    first, second, *_ = place.service.requests
    assert first == second
    assert archived.exports[0].export.arn == f"{ARN}/export/0001"
    assert archived.dataset.complete_until == place.clock.now() - LAG


def test_a_request_is_noted_on_the_disk_before_it_is_sent(place, monkeypatch):
    """After a power failure the export that is paid for is known."""
    place.service.lost_answers = 1
    steps = recorded_steps(monkeypatch)

    with pytest.raises(ReadTimeoutError):
        place.archive()

    made = [("flush", place.folder.parent.stat().st_ino)]
    assert steps == made + durable_steps(place.folder / ".export.json")


def test_an_interrupted_ingest_is_taken_up(place, monkeypatch):
    """The dataset is as before, and the export is not paid for again."""
    with monkeypatch.context() as patched:
        patched.setattr("warehouse.archive.update.ingest", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            place.archive()
    assert not (place.folder / "manifest.json").exists()

    archived = place.archive()

    assert len(place.service.requests) == 1
    assert archived.dataset.rows == place.open().rows > 0


def test_an_export_that_nobody_knows_any_more_is_made_anew(place):
    """A note of long ago stands in nobody's way."""
    place.archive_interrupted()
    place.service.forget_exports()

    place.archive()

    assert len(place.service.requests) == 2
    assert not place.noted


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"request": {"TableArn": 1}}'])
def test_a_note_that_cannot_be_read_is_told(place, content):
    """It may stand for an export that was paid for: a person decides."""
    place.folder.mkdir()
    (place.folder / ".export.json").write_text(content)

    with pytest.raises(DatasetError, match=r"\.export\.json cannot be read.* delete it"):
        place.archive()

    assert place.service.requests == []


def test_a_note_of_another_table_is_told(place):
    """Its export is not taken for this table's."""
    place.folder.mkdir()
    note = {"request": {"TableArn": OTHER, "S3Bucket": "b"}, "arn": f"{OTHER}/export/1"}
    (place.folder / ".export.json").write_text(json.dumps(note))

    with pytest.raises(DatasetError, match=f"is of an export of {OTHER}"):
        place.archive()


def test_an_export_without_files_is_not_waited_for_again(place):
    """As an emulator makes them: an error, and the next call begins anew."""
    place.service.writes = False

    with pytest.raises(ExportError, match=r"manifest-summary\.json is not there"):
        place.archive()

    assert not place.noted
    place.service.writes = True
    assert place.archive().dataset.rows


def test_a_bucket_that_cannot_be_read_is_read_later(place, monkeypatch):
    """The export is there and was paid for."""
    denied = client_error("AccessDenied", 403)
    with monkeypatch.context() as patched:
        patched.setattr(place.service, "get_object", lambda **_: _raise(denied))
        with pytest.raises(ExportError, match="cannot be read: AccessDenied"):
            place.archive()
    assert place.noted

    place.archive()

    assert len(place.service.requests) == 1


def test_an_export_that_ends_early_is_not_asked_for_for_ever(place):
    """Each costs money: the second one that does not get further is an error."""
    place.service.ends_early = MINUTE

    with pytest.raises(DatasetError, match="was asked for until"):
        place.archive()

    assert len(place.service.requests) == 1


# ---- The right table -------------------------------------------------------------------------


def test_a_dataset_of_another_table_costs_no_export(place):
    """It is refused before anything is asked for."""
    place.archive()
    requests = len(place.service.requests)
    place.pass_time(HOUR)

    with pytest.raises(DatasetError, match="name another folder"):
        place.archive(facts=HistoryFacts(OTHER, BEGAN))

    assert len(place.service.requests) == requests


def test_a_source_table_that_is_gone_is_known_by_its_name(place, monkeypatch):
    """Its rows still have that in their ARNs."""
    described = place.service.describe_table

    def describe_table(TableName):  # noqa: N803 - name of the API
        if TableName == "Employee":
            raise client_error("ResourceNotFoundException")
        return described(TableName)

    place.service.meta = SimpleNamespace(region_name="eu-west-1", endpoint_url="")
    monkeypatch.setattr(place.service, "describe_table", describe_table)

    facts = HistoryFacts.read(place.service, place.service, "employee-trail-history", "Employee")

    assert facts.source_table == "Employee"


def test_the_table_tells_when_the_history_began(place):
    """And whether it is a history table at all."""
    history = "employee-trail-history"
    assert HistoryFacts.read(place.service, place.service, history) == FACTS
    followed = HistoryFacts.read(place.service, place.service, history, "Employee")
    assert followed == HistoryFacts(ARN, BEGAN, source_table=ARN)

    with pytest.raises(TableNotFoundError, match="is not a history table"):
        HistoryFacts.read(place.service, place.service, "Employee")


@pytest.mark.parametrize("text", ["exports", "s3://", "s3:///trail", "/exports", "https://b/p"])
def test_a_place_that_is_none(text):
    """It is told how to name one."""
    with pytest.raises(DatasetError, match="give s3://BUCKET/PREFIX"):
        Destination.read(text)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("s3://b", {"S3Bucket": "b"}),
        ("s3://b/", {"S3Bucket": "b"}),
        ("s3://b/c/d/", {"S3Bucket": "b", "S3Prefix": "c/d"}),
    ],
)
def test_a_place_is_a_bucket_and_perhaps_a_prefix(text, fields):
    """A slash at the end means nothing."""
    assert Destination.read(text).fields() == fields


def test_a_bucket_without_a_prefix(place):
    """Its exports are found there too."""
    archived = place.archive(to=Destination("exports"))

    assert archived.dataset.rows


# ---- Exports that are there ------------------------------------------------------------------


def full(folder, at, rows=ROWS, **options):
    options = {"table_arn": ARN, "export_id": f"full-{at}"} | options
    time = moment(0) + at * HOUR
    items = [row.to_item(8) for row in rows if row.change.created_at <= time]
    files = made.export_files(items, time=time, **options)
    return made.write_to(folder / "AWSDynamoDB" / options["export_id"], files)


def incremental(folder, since, until, **options):
    options = {"table_arn": ARN, "export_id": f"incremental-{since}-{until}"} | options
    start, end = moment(0) + since * HOUR, moment(0) + until * HOUR
    rows = [row for row in ROWS if start <= row.change.created_at < end]
    lines = [made.written(row.to_item(8)) for row in rows]
    files = made.incremental_files(lines, start, end, **options)
    return made.write_to(folder / "AWSDynamoDB" / options["export_id"], files)


ORDERS = list(itertools.permutations(range(4)))


@pytest.mark.parametrize("order", ORDERS[::5], ids=str)
def test_exports_are_given_in_any_order(tmp_path, order):
    """They are ingested so that none leaves a gap, whatever the order of the words."""
    places = [
        full(tmp_path, 4),
        incremental(tmp_path, 0, 3),
        incremental(tmp_path, 3, 9),
        incremental(tmp_path, 9, 12),
    ]

    archived = archive_exports(tmp_path / "trail", [places[place] for place in order], None)

    assert archived.dataset.rows == known_rows(moment(0) + 12 * HOUR)
    assert len(archived.exports) == 4


def test_a_full_export_closes_a_gap_before_an_incremental_one(tmp_path):
    """By their times alone they would be in another order."""
    folder = tmp_path / "trail"
    archive_exports(folder, [full(tmp_path, 1)], None)
    places = [incremental(tmp_path, 3, 5), full(tmp_path, 6)]

    archived = archive_exports(folder, places, None)

    assert [exported.export.kind.value for exported in archived.exports] == [
        "FULL_EXPORT",
        "INCREMENTAL_EXPORT",
    ]
    assert archived.dataset.rows == known_rows(moment(0) + 7 * HOUR)


def test_a_gap_is_an_error_that_keeps_what_was_ingested(tmp_path):
    """What came before it stays; what is missing is named."""
    folder = tmp_path / "trail"
    places = [incremental(tmp_path, 8, 9), full(tmp_path, 2)]

    with pytest.raises(DatasetError, match="ingest the INCREMENTAL_EXPORT of the time in between"):
        archive_exports(folder, places, None)

    assert Dataset.open(folder).complete_until == moment(0) + 2 * HOUR


def test_the_same_exports_again_add_nothing(tmp_path):
    """And it is said that their rows are there."""
    folder, places = tmp_path / "trail", [full(tmp_path, 2), incremental(tmp_path, 2, 4)]
    archive_exports(folder, places, None)

    archived = archive_exports(folder, places, None)

    assert [
        (exported.rows.rows_added, exported.rows.already_there) for exported in archived.exports
    ] == [
        (0, 3),
        (0, 2),
    ]


def test_without_the_table_the_beginning_is_not_known(tmp_path):
    """It is said what would tell it, until it is told."""
    folder = tmp_path / "trail"

    unknown = archive_exports(folder, [full(tmp_path, 2)], None)
    known = archive_exports(folder, [full(tmp_path, 2)], None, facts=FACTS)
    after = archive_exports(folder, [full(tmp_path, 2)], None)

    assert [len(result.notes) for result in (unknown, known, after)] == [2, 1, 1]
    assert "name --stack or --history-table" in unknown.notes[0]
    assert after.dataset.horizon == BEGAN


def test_an_export_of_another_table_than_the_one_named(tmp_path):
    """Its rows must not get the beginning of another history."""
    with pytest.raises(DatasetError, match=f"is of {OTHER}, not of {ARN}"):
        archive_exports(
            tmp_path / "trail",
            [full(tmp_path, 2, table_arn=OTHER)],
            None,
            facts=FACTS,
        )

    assert not (tmp_path / "trail" / "manifest.json").exists()


def test_a_history_that_had_not_begun_needs_no_full_export(tmp_path):
    """An incremental export since before its beginning has all of it."""
    archived = archive_exports(
        tmp_path / "trail",
        [incremental(tmp_path, -30, 2)],
        None,
        facts=FACTS,
    )

    assert archived.dataset.rows == 2


def test_an_altered_row_is_an_error(tmp_path):
    """Nothing of its export is ingested."""
    stored = ROWS[0].to_item(8) | {"Digest": {"B": b"\x00" * 32}}
    files = made.export_files([stored], table_arn=ARN, time=moment(0) + HOUR)

    with pytest.raises(IntegrityError):
        archive_exports(tmp_path / "trail", [made.write_to(tmp_path / "x", files)], None)

    assert not (tmp_path / "trail" / "manifest.json").exists()


def test_a_person_may_vouch_for_exports(tmp_path):
    """Up to the time that they are of, and no later."""
    at = moment(0) + HOUR
    place, folder = full(tmp_path, 2), tmp_path / "trail"
    vouched = Watermark(at, Basis.DECLARED, "declared by the person who asks")

    archived = archive_exports(folder, [place], None, facts=FACTS, watermark=vouched)

    assert archived.dataset.watermark == vouched
    assert archived.notes == ()
    too_late = replace(vouched, at=moment(0) + 3 * HOUR)
    with pytest.raises(DatasetError, match="give an earlier --recorded-until"):
        archive_exports(folder, [place], None, facts=FACTS, watermark=too_late)
    assert Dataset.open(folder) == archived.dataset


def test_a_change_that_comes_after_all_of_its_time_takes_the_word_back(tmp_path):
    """Exact answers have changed: that is said, and later ones are not exact any more."""
    vouched = Watermark(moment(0) + HOUR, Basis.DECLARED, "declared by the person who asks")
    folder = tmp_path / "trail"
    whole = files_of(tmp_path / "whole", ROWS[1:3])
    archive_exports(folder, [whole], None, facts=FACTS, watermark=vouched)
    lines = [made.written(row.to_item(8)) for row in (ROWS[0], baseline_of(item("9"), -60))]
    span = (moment(0) + 2 * HOUR, moment(0) + 3 * HOUR)
    late = made.incremental_files(lines, *span, table_arn=ARN, export_id="late")

    archived = archive_exports(folder, [made.write_to(tmp_path / "late", late)], None)

    assert archived.dataset.watermark == replace(vouched, at=ROWS[0].change.created_at)
    (note,) = archived.notes
    assert "/export/late brought a change of 2018-03-03T14:06:00.000000Z although every" in note


def files_of(folder, rows):
    """A full export of some rows, two hours after the first change."""
    items = [row.to_item(8) for row in rows]
    files = made.export_files(items, table_arn=ARN, time=moment(0) + 2 * HOUR, export_id="whole")
    return made.write_to(folder, files)


def test_the_order_ends_where_nothing_fits(tmp_path):
    """What cannot follow is tried in the order of time, so that the error names the first gap."""
    places = [incremental(tmp_path, 7, 8), incremental(tmp_path, 5, 6)]
    exports = [Export.read(place, None, tuple(ExportKind)) for place in places]

    ordered = in_order(exports, moment(0), None)

    assert ordered == exports[::-1]


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def _raise(error):
    raise error
