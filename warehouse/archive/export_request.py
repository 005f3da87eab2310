"""Asking DynamoDB for an export of the history table, and waiting for it.

A request is noted in the dataset's folder before it is sent and until its rows are ingested: after
an interruption the same export is waited for again, and no second one is made and paid for.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from reports.access.machine import Machine
from reports.access.private_files import make_folder, replace_file
from reports.access.progress import Progress
from reports.exports.export import ExportKind
from stream_core.change import VIEW_TYPE
from stream_core.retry import error_code
from warehouse.errors import DatasetError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ExportDescriptionTypeDef

# Developer Guide, "Requesting a table export": how long an incremental export's time may be.
SHORTEST, LONGEST = timedelta(minutes=15), timedelta(hours=24)
# With the new images alone a row that was changed would look like one that was written.
_POLL_S = 20.0
_LONGEST_WAIT_S = 900.0
_NOTE = ".export.json"
_S3 = "s3://"
_FINISHED = ("COMPLETED", "FAILED")
_REFUSALS = range(400, 500)
_TIMES = frozenset({"ExportTime", "ExportFromTime", "ExportToTime"})


@dataclass(frozen=True)
class Destination:
    """Where DynamoDB puts exports.

    Attributes:
        owner: the account that the bucket belongs to, if it is another one.
        kms_key: the key to encrypt with; None: the key that S3 manages.
    """

    bucket: str
    prefix: str = ""
    owner: str | None = None
    kms_key: str | None = None

    @classmethod
    def read(
        cls, place: str, *, owner: str | None = None, kms_key: str | None = None
    ) -> "Destination":
        """The destination that people mean by `s3://BUCKET/PREFIX`.

        Raises:
            DatasetError: it is none.
        """
        bucket, _, prefix = place.removeprefix(_S3).partition("/")
        if not place.startswith(_S3) or not bucket:
            raise DatasetError(f"'{place}' is no place for exports: give s3://BUCKET/PREFIX")
        return cls(bucket, prefix.strip("/"), owner, kms_key)

    def fields(self) -> dict[str, str]:
        """What a request says of it."""
        fields = {"S3Bucket": self.bucket, "S3Prefix": self.prefix, "S3BucketOwner": self.owner}
        if self.kms_key is not None:
            fields |= {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": self.kms_key}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class Step:
    """The export that a dataset needs next.

    Attributes:
        since: the start of an incremental export, included; None for a full one.
        until: its end, excluded, or the time of a full one.
    """

    since: datetime | None
    until: datetime

    @property
    def kind(self) -> ExportKind:
        """What it is to show."""
        return ExportKind.FULL if self.since is None else ExportKind.INCREMENTAL


@dataclass(frozen=True)
class Window:
    """The times that DynamoDB can export: both ends included."""

    earliest: datetime
    latest: datetime

    def step_from(self, complete_until: datetime | None) -> Step | None:
        """The export that follows on a dataset; None: too little time has passed for one.

        Args:
            complete_until: of the dataset; None: there is none yet.
        """
        # Requests are exact to the second. A row that two exports show is ingested once.
        latest = self.latest.replace(microsecond=0)
        if complete_until is None:
            return Step(None, latest)
        since = complete_until.replace(microsecond=0)
        if since < self.earliest:
            return Step(None, latest)
        if latest - since < SHORTEST:
            return None
        return Step(since, min(latest, since + LONGEST))


@dataclass(frozen=True)
class ExportClient:
    """What asks DynamoDB, and waits for it.

    Attributes:
        progress: called with the seconds of waiting.
    """

    dynamodb: "DynamoDBClient"
    machine: Machine
    progress: Progress

    def await_export(self, arn: str) -> "ExportDescriptionTypeDef":
        """The description of an export that is finished, well or not."""
        began = self.machine.clock()
        while True:
            description = self.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
            if description.get("ExportStatus") in _FINISHED:
                return description
            waited = int(self.machine.clock() - began)
            self.progress("seconds of waiting for the export", waited, None)
            self.machine.sleep(_POLL_S)


class ExportRequests:
    """The exports of one table for one dataset, one at a time."""

    def __init__(self, client: ExportClient, table_arn: str, folder: Path, to: Destination) -> None:
        """Prepare to ask.

        Args:
            client: what asks.
            table_arn: the history table.
            folder: of the dataset.
            to: where exports go.
        """
        self._client = client
        self._table = table_arn
        self._note = folder / _NOTE
        self._to = to

    def window(self) -> Window:
        """The times that can be exported now.

        Raises:
            DatasetError: the table has no point-in-time recovery.
        """
        answer = self._client.dynamodb.describe_continuous_backups(TableName=self._table)
        recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            raise self._no_recovery()
        now = self._client.machine.now()
        earliest = recovery.get("EarliestRestorableDateTime", now)
        latest = recovery.get("LatestRestorableDateTime", now)
        return Window(earliest.astimezone(UTC), latest.astimezone(UTC))

    def window_reaching(self, moment: datetime) -> Window:
        """The same, waited for until it has reached a moment, or for a while.

        DynamoDB can export what was there some five minutes ago.
        """
        machine = self._client.machine
        began = machine.clock()
        while True:
            window = self.window()
            waited = machine.clock() - began
            if window.latest.replace(microsecond=0) >= moment or waited >= _LONGEST_WAIT_S:
                return window
            self._client.progress(
                "seconds of waiting for point-in-time recovery", int(waited), None
            )
            machine.sleep(_POLL_S)

    @property
    def is_pending(self) -> bool:
        """Whether an export was asked for and not ingested."""
        return self._note.exists()

    def ask(self, step: Step) -> str:
        """Ask for an export and wait for it; where it is.

        Raises:
            DatasetError: it failed, or cannot be made.
        """
        request = {
            "TableArn": self._table,
            "ExportFormat": "DYNAMODB_JSON",
            "ClientToken": secrets.token_hex(16),
            **self._to.fields(),
            **_what(step),
        }
        self._keep({"request": request})
        return self._carried_out(request)

    def resume(self) -> str | None:
        """Wait for the export that was asked for before; None: DynamoDB does not know it any more.

        Raises:
            DatasetError: it failed, or the note of it is of another table or cannot be read.
        """
        note = self._noted()
        try:
            if "arn" not in note:
                return self._carried_out(note["request"])
            return self._awaited(note["arn"], note["request"])
        except ClientError as error:
            if error_code(error) != "ExportNotFoundException":
                raise
            self.forget()
            return None

    def forget(self) -> None:
        """Take the note of an export away: it is ingested, or of no use."""
        self._note.unlink(missing_ok=True)

    def _carried_out(self, request: dict[str, Any]) -> str:
        try:
            answer = self._client.dynamodb.export_table_to_point_in_time(**request)
        except ClientError as error:
            if _is_refused(error):
                # Nothing was begun.
                self.forget()
            if error_code(error) == "PointInTimeRecoveryUnavailableException":
                raise self._no_recovery() from error
            raise
        arn = answer["ExportDescription"]["ExportArn"]
        self._keep({"request": request, "arn": arn})
        return self._awaited(arn, request)

    def _awaited(self, arn: str, request: dict[str, Any]) -> str:
        description = self._client.await_export(arn)
        if description["ExportStatus"] == "FAILED":
            self.forget()
            raise _failed(arn, description)
        return _location(arn, request)

    def _keep(self, note: dict[str, Any]) -> None:
        content = json.dumps(note, default=datetime.isoformat)
        try:
            make_folder(self._note.parent)
            replace_file(self._note, content.encode("ascii"))
        except OSError as error:
            raise DatasetError(f"{self._note} cannot be written: {error.strerror}") from error

    def _noted(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_text("ascii"), object_hook=_with_times)
            request, _ = note["request"], note["request"]["S3Bucket"]
            other = request["TableArn"] != self._table
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise DatasetError(
                f"{self._note} cannot be read, the note of an export that was asked for: delete it"
            ) from error
        if other:
            raise DatasetError(
                f"{self._note} is of an export of {request['TableArn']}, not of {self._table}: "
                "name another folder, or delete it"
            )
        return dict(note)

    def _no_recovery(self) -> DatasetError:
        name = self._table.rpartition("/")[2]
        return DatasetError(
            f"{self._table} has no point-in-time recovery, which exports are made from: turn it on "
            f"with aws dynamodb update-continuous-backups --table-name {name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
        )


def _is_refused(error: ClientError) -> bool:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) in _REFUSALS


def _what(step: Step) -> dict[str, Any]:
    if step.since is None:
        return {"ExportType": step.kind.value, "ExportTime": step.until}
    span = {
        "ExportFromTime": step.since,
        "ExportToTime": step.until,
        "ExportViewType": VIEW_TYPE,
    }
    return {"ExportType": step.kind.value, "IncrementalExportSpecification": span}


def _with_times(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _TIMES else value
        for name, value in fields.items()
    }


def _location(arn: str, request: dict[str, Any]) -> str:
    # Developer Guide, "DynamoDB table export output format". What the description calls its
    # manifest lacks the prefix in some of AWS's own examples.
    above = f"{prefix}/" if (prefix := request.get("S3Prefix", "")) else ""
    return f"{_S3}{request['S3Bucket']}/{above}AWSDynamoDB/{arn.rpartition('/')[2]}"


def _failed(arn: str, description: "ExportDescriptionTypeDef") -> DatasetError:
    why = ": ".join(
        text for text in (description.get("FailureCode"), description.get("FailureMessage")) if text
    )
    return DatasetError(f"DynamoDB failed to export: {arn}: {why or 'it gives no reason'}")
