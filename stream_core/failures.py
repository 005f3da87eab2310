"""What can go wrong, as one tree, and whether trying again can help.

ItemtrailError
├── MalformedRecordError    this record cannot be read; quarantined
├── RefusedRecordError      the table refused this record for good; quarantined
├── IntegrityError          stored bytes are not what their digest says
├── ViewTypeError           the stream lacks the old or the new images; the batch is refused
├── UnstoredRecordError     a record is neither stored nor quarantined and cannot be named
└── SettingsError           the environment is incomplete or wrong
"""

from enum import Enum

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError


class ItemtrailError(Exception):
    """Base of every error this project raises on purpose."""


class MalformedRecordError(ItemtrailError):
    """A stream record, or a value in it, breaks DynamoDB's own rules.

    The message names the place and the rule, never the value: it is logged.
    """


class RefusedRecordError(ItemtrailError):
    """The table refused one record, and would refuse it again."""


class IntegrityError(ItemtrailError):
    """Stored bytes do not match the digest recorded for them, or are gone."""


class ViewTypeError(ItemtrailError):
    """The stream does not carry both images, so no record of it can be trusted."""


class UnstoredRecordError(ItemtrailError):
    """A record without a sequence number could be neither stored nor quarantined."""


class SettingsError(ItemtrailError):
    """One or more environment variables are missing or wrong; the message names each."""


class Retry(Enum):
    """Whether a failed request deserves another try."""

    TRANSIENT = "transient"
    """Try again, in this invocation and then through the event source mapping."""
    PERMANENT = "permanent"
    """The request's content was refused: isolate the record and quarantine it."""
    UNKNOWN = "unknown"
    """Not the record's fault, as far as can be told (a missing permission or table):
    leave it to the event source mapping, so that nothing is lost once it is put right."""


# Error codes of the API reference (CommonErrors, BatchExecuteStatement, BatchWriteItem); the
# PartiQL forms inside a 200 answer come without the "Exception" suffix.
_TRANSIENT = frozenset(
    {
        "InternalServerError",
        "InternalFailure",
        "ItemCollectionInUse",
        "LimitExceeded",
        "ProvisionedThroughputExceeded",
        "ReplicatedWriteConflict",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingError",
        "TransactionConflict",
        "TransactionInProgress",
    }
)
_PERMANENT = frozenset(
    {
        "EntityTooLarge",
        "ItemCollectionSizeLimitExceeded",
        "RequestEntityTooLarge",
        "Serialization",
        "Validation",
        "ValidationError",
    }
)
_SERVER_ERROR = 500


def error_code(error: Exception) -> str:
    """The service's own code for an error, or the name of its class."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def classify_code(code: str) -> Retry:
    """Whether the service's error code asks for another try."""
    name = code.removesuffix("Exception")
    if name in _TRANSIENT:
        return Retry.TRANSIENT
    if name in _PERMANENT:
        return Retry.PERMANENT
    return Retry.UNKNOWN


def classify(error: BotoCoreError | ClientError) -> Retry:
    """Whether a failed call asks for another try."""
    if isinstance(error, HTTPClientError | BotoConnectionError):
        return Retry.TRANSIENT
    if isinstance(error, ClientError):
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_ERROR:
            return Retry.TRANSIENT
        return classify_code(error_code(error))
    return Retry.UNKNOWN
