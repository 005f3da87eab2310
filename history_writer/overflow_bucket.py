"""Put the images of rows that do not fit into the overflow bucket, before the row is written."""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stream_core.history_row import HistoryRow
from stream_core.overflow_object import pack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class OverflowBucket:
    """The bucket that keeps large images."""

    s3: "S3Client"
    bucket: str

    def put(self, row: HistoryRow) -> HistoryRow:
        """Store a row's images as an object; returns the row that points to it.

        The object comes first: an object without a row is harmless, a row without its object
        would be a loss. The version is recorded, so that a later one cannot take its place.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError: nothing can be said to be stored.
        """
        pointer, body = pack(row.change, self.bucket)
        answer = self.s3.put_object(
            Bucket=self.bucket,
            Key=pointer.key,
            Body=body,
            ContentType="application/json",
            ContentEncoding="gzip",
            # The bucket then refuses a body damaged on its way.
            ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode("ascii"),
        )
        return replace(row, overflow=replace(pointer, version_id=answer.get("VersionId")))
