"""The quarantine: where a record goes whole, with the reason, when it can never be stored.

One object a record, `quarantine/<consumer>/<sequence number>-<digest>.json`, so that a
redelivered record writes the same object again:

    {"Format": 1, "Consumer": "history_writer", "Error": "MalformedRecordError",
     "Reason": "NewImage: B is not strict base64", "Record": {...the record as Lambda gave it...}}
"""

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream_core.change import StreamRecord, read_sequence_number
from stream_core.errors import ItemtrailError, MalformedRecordError
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FORMAT = 1


@dataclass(frozen=True)
class Quarantine:
    """The quarantine prefix of one consumer."""

    s3: "S3Client"
    bucket: str
    consumer: str

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
