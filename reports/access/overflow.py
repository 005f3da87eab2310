"""Images that did not fit into their row, read from the overflow bucket."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from stream_core.errors import IntegrityError
from stream_core.history_row import OverflowPointer
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
        IntegrityError: it is gone.
        ClientError, BotoCoreError: it cannot be read.
    """
    where: dict[str, Any] = {"Bucket": pointer.bucket, "Key": pointer.key}
    if pointer.version_id is not None:
        where["VersionId"] = pointer.version_id
    try:
        return s3.get_object(**where)["Body"].read()
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise
        raise IntegrityError(f"overflow object {pointer.key}{owner} is missing") from error
