"""Put the images of rows that do not fit into the overflow bucket, before the row is written."""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from stream_core.history_row import HistoryRow, OverflowPointer
from stream_core.overflow_object import pack
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# S3 API reference, PutObject, "If-None-Match".
_EXISTS = frozenset({"PreconditionFailed", "412"})


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
        try:
            answer = self.s3.put_object(
                Bucket=self.bucket,
                Key=pointer.key,
                Body=body,
                ContentType="application/json",
                ContentEncoding="gzip",
                # The bucket then refuses a body damaged on its way.
                ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode("ascii"),
                # What is there already is locked, and is the same content.
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error_code(error) not in _EXISTS:
                raise
            return replace(row, overflow=replace(pointer, version_id=self._first_version(pointer)))
        return replace(row, overflow=replace(pointer, version_id=answer.get("VersionId")))

    def _first_version(self, pointer: OverflowPointer) -> str:
        """The version that was put first under a key; nothing put later takes its place."""
        pages = self.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=pointer.key
        )
        # Newest first, as S3 lists them.
        return [
            version["VersionId"]
            for page in pages
            for version in page.get("Versions", [])
            if version["Key"] == pointer.key
        ][-1]
