"""The bucket of what failed: its objects are read, and put away once they are dealt with.

An object is first copied, then the copy is looked at, and only then it is deleted, if it still is
what was read. Whatever is interrupted in between leaves it in two places and never in none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from operations.errors import OperationError
from reports.access.bounded import MOST_KEPT_BYTES, read_at_most
from reports.deployment.stack_reader import FAILED_BATCHES, POINTERS
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DONE = "done/"
PREFIXES = ("quarantine/", FAILED_BATCHES, POINTERS)
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})


class UnmovedError(OperationError):
    """An object could not be put away, so it stays where it is."""


@dataclass(frozen=True, slots=True)
class FailureObject:
    """An object as it was read."""

    key: str
    body: bytes
    etag: str
    version_id: str | None


@dataclass(frozen=True)
class FailureBucket:
    """One bucket in which records and batches are kept aside."""

    s3: "S3Client"
    bucket: str

    def waiting(self) -> Iterator[str]:
        """The keys of what is kept aside and not put away."""
        pages = self.s3.get_paginator("list_objects_v2")
        for prefix in PREFIXES:
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    # Consoles make folders as empty objects.
                    if not entry["Key"].endswith("/"):
                        yield entry["Key"]

    def read(self, key: str) -> FailureObject | None:
        """An object, or None if another redrive has just put it away.

        Raises:
            OversizeError: it is larger than what is kept aside.
            botocore.exceptions.ClientError, BotoCoreError: it cannot be read.
        """
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _GONE:
                return None
            raise
        with answer["Body"] as body:
            content = read_at_most(body, MOST_KEPT_BYTES)
        return FailureObject(key, content, answer["ETag"], answer.get("VersionId"))

    def put_away(self, failure: FailureObject) -> str:
        """Move an object to `done/`, under its old key; returns the new one.

        Raises:
            UnmovedError: it has changed since it was read, or its copy is not whole.
            botocore.exceptions.ClientError, BotoCoreError: it is not moved, as far as is known.
        """
        done = f"{DONE}{failure.key}"
        source: Any = {"Bucket": self.bucket, "Key": failure.key}
        if failure.version_id is not None:
            source["VersionId"] = failure.version_id
        try:
            self.s3.copy_object(
                Bucket=self.bucket, Key=done, CopySource=source, CopySourceIfMatch=failure.etag
            )
            copied = self.s3.head_object(Bucket=self.bucket, Key=done)["ContentLength"]
            if copied != len(failure.body):
                raise UnmovedError(f"its copy {done} has {copied} of {len(failure.body)} bytes")
            self.s3.delete_object(Bucket=self.bucket, Key=failure.key, IfMatch=failure.etag)
        except ClientError as error:
            if error_code(error) in _GONE:
                return done  # Another redrive has put it away at the same time.
            if error_code(error) in _CHANGED:
                raise UnmovedError("it has changed meanwhile: redrive it once more") from error
            raise
        return done
