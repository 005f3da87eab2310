"""The quarantine: where a record goes whole, with the reason, when it can never be stored.

One object a record, `quarantine/<consumer>/<sequence number>-<digest>.json`, so that a
redelivered record writes the same object again:

    {"Format": 1, "Consumer": "history_writer", "Error": "MalformedRecordError",
     "Reason": "NewImage: B is not strict base64", "Record": {...the record as Lambda gave it...}}
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream_core.calls import side_by_side
from stream_core.change import StreamRecord, read_sequence_number
from stream_core.clients import CONCURRENCY
from stream_core.errors import ItemtrailError, MalformedRecordError
from stream_core.retry import CallError, Patience, error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that can never be stored, and why."""

    record: StreamRecord
    error: Exception


@dataclass(frozen=True)
class Quarantine:
    """The quarantine prefix of one consumer."""

    s3: "S3Client"
    bucket: str
    consumer: str
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY))

    def put_all(self, refusals: list[Refusal], patience: Patience) -> list[CallError | None]:
        """Store records, side by side; for each of them the error if it is *not* quarantined."""

        def put(refusal: Refusal) -> CallError | None:
            try:
                patience.call(lambda: self.put(refusal.record, refusal.error))
            except CallError as error:
                return error
            return None

        return side_by_side(self.pool, put, refusals)

    def put(self, record: StreamRecord, error: Exception) -> str:
        """Store a record with the reason it is here; returns the object's key.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError: the record is *not* quarantined.
        """
        # Surrogates and key order stay as they were delivered: this is evidence.
        whole = json.dumps(record, sort_keys=True).encode("ascii")
        body = {
            "Format": _FORMAT,
            "Consumer": self.consumer,
            "Error": type(error).__name__
            if isinstance(error, ItemtrailError)
            else error_code(error),
            "Reason": str(error),
            "Record": record,
        }
        fingerprint = hashlib.sha256(whole).hexdigest()[:16]
        key = f"quarantine/{self.consumer}/{_name(record)}-{fingerprint}.json"
        self.s3.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=json.dumps(body, indent=1).encode("ascii"),
            ContentType="application/json",
        )
        return key


def _name(record: StreamRecord) -> str:
    try:
        return read_sequence_number(record)
    except MalformedRecordError:
        return "unnumbered"
