"""Images that did not fit into their row, read from the overflow bucket."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from reports.access.bounded import OversizeError, read_at_most
from stream_core.errors import IntegrityError
from stream_core.history_row import OverflowPointer
from stream_core.overflow_object import most_bytes
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What S3 says to a pointer that was altered, besides.
REFUSED = frozenset(
    {
        "AccessDenied",
        "InvalidArgument",
        "InvalidBucketName",
        "KeyTooLongError",
        "MethodNotAllowed",
        "PermanentRedirect",
    }
)
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"})


def overflow_body(s3: "S3Client", pointer: OverflowPointer, owner: str = "") -> bytes:
    """The body of an overflow object, as it is stored.

    Args:
        s3: the client to read with.
        pointer: where the object is.
        owner: whose object it is, for the message.

    Raises:
        IntegrityError: it is gone, or larger than the one that was written can be.
        ClientError, BotoCoreError: it cannot be read.
    """
    where: dict[str, Any] = {"Bucket": pointer.bucket, "Key": pointer.key}
    if pointer.version_id is not None:
        where["VersionId"] = pointer.version_id
    try:
        with s3.get_object(**where)["Body"] as body:
            return read_at_most(body, most_bytes(pointer))
    except OversizeError as error:
        what = "is not the one that was written: it has"
        raise IntegrityError(f"overflow object {pointer.key}{owner} {what} {error}") from error
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise
        raise IntegrityError(f"overflow object {pointer.key}{owner} is missing") from error
