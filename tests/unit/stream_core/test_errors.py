"""An error is tried again, quarantined or left to Lambda, by its code."""

import botocore.exceptions
import pytest

from stream_core.errors import RefusedRecordError
from stream_core.retry import Retry, classify, classify_code, error_code
from tests.fakes import client_error, read_timeout

ENDPOINT = {"endpoint_url": "https://dynamodb.example"}


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "RequestLimitExceededException",
        "ThrottlingException",
        "ThrottlingError",
        "TransactionConflictException",
        "TransactionConflict",
        "InternalServerError",
        "ItemCollectionInUse",
        "ReplicatedWriteConflictException",
        "ServiceUnavailable",
        "SlowDown",
        "LimitExceededException",
    ],
)
def test_passing_trouble_is_transient(code):
    """FACTS 9.37: throttles, conflicts and the service's own errors are worth another try."""
    assert classify_code(code) is Retry.TRANSIENT
    assert classify(client_error(code)) is Retry.TRANSIENT


@pytest.mark.parametrize(
    "code",
    [
        "ValidationException",
        "ValidationError",
        "ItemCollectionSizeLimitExceededException",
        "EntityTooLarge",
        "RequestEntityTooLarge",
        "SerializationException",
    ],
)
def test_refused_content_is_permanent(code):
    """Only what the service says about the content isolates a record."""
    assert classify(client_error(code)) is Retry.PERMANENT


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "AccessDenied",
        "ResourceNotFoundException",
        "ResourceNotFound",
        "NoSuchBucket",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "KMSAccessDeniedException",
        "SomethingNewException",
    ],
)
def test_what_is_not_the_records_fault_is_left_to_lambda(code):
    """A missing permission or table, or an unheard-of code, never condemns a record."""
    assert classify(client_error(code)) is Retry.UNKNOWN


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_any_server_error_is_transient(status):
    """A 5xx is transient whatever its code, as when a proxy answered in plain text."""
    assert classify(client_error("ValidationException", status)) is Retry.TRANSIENT


@pytest.mark.parametrize(
    "error",
    [
        read_timeout(),
        botocore.exceptions.ConnectTimeoutError(**ENDPOINT),
        botocore.exceptions.EndpointConnectionError(**ENDPOINT),
        botocore.exceptions.ConnectionClosedError(**ENDPOINT),
        botocore.exceptions.HTTPClientError(error=OSError()),
        botocore.exceptions.SSLError(error=OSError(), **ENDPOINT),
    ],
)
def test_a_broken_connection_is_transient(error):
    """No answer is no refusal."""
    assert classify(error) is Retry.TRANSIENT
    assert error_code(error) == type(error).__name__


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.NoCredentialsError(),
        botocore.exceptions.ParamValidationError(report="x"),
    ],
)
def test_trouble_of_our_own_is_left_to_lambda(error):
    """What never reached the service says nothing about the record."""
    assert classify(error) is Retry.UNKNOWN


def test_a_refused_record_is_logged_by_its_code():
    """The message, which may quote the item, is for the quarantine alone."""
    error = RefusedRecordError("ValidationException", "value s3cret: not valid")

    assert error_code(error) == error.code == "ValidationException"
    assert str(error) == "ValidationException: value s3cret: not valid"


def test_an_answer_without_a_code_is_left_to_lambda():
    """An error nobody can read is not taken for a refusal."""
    bare = botocore.exceptions.ClientError({}, "PutObject")

    assert classify(bare) is Retry.UNKNOWN
    assert error_code(bare) == "Unknown"
