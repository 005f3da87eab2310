"""A replica in another account is written as the role given, for as long as it takes."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import HTTPClientError
from moto import mock_aws

from replica_writer.assumed_role import session_as

ROLE = "arn:aws:iam::111122223333:role/standby"


@pytest.fixture(autouse=True)
def _function_environment(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "own",
        "AWS_SECRET_ACCESS_KEY": "own",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)


def test_requests_are_made_as_the_role():
    """The session's identity is the assumed role."""
    with mock_aws():
        identity = session_as(ROLE).client("sts").get_caller_identity()

    assert ":assumed-role/standby/" in identity["Arn"]


def test_the_role_is_assumed_at_the_first_request_and_without_hidden_retries():
    """Making a session makes no call; a failing one is given up at once, for us to try again."""
    credentials = session_as(ROLE).get_credentials()

    assert credentials.method == "assume-role"
    with pytest.raises(HTTPClientError, match="opened a connection"):
        credentials.get_frozen_credentials()


def test_credentials_are_renewed_before_they_expire(monkeypatch):
    """A warm function outlives the hour its credentials last."""
    with mock_aws():
        credentials = session_as(ROLE).get_credentials()
        first = credentials.get_frozen_credentials()
        kept = credentials.get_frozen_credentials()
        almost_an_hour_later = datetime.now(UTC) + timedelta(minutes=58)
        monkeypatch.setattr("botocore.credentials._local_now", lambda: almost_an_hour_later)
        monkeypatch.setattr(credentials, "_time_fetcher", lambda: almost_an_hour_later)
        renewed = credentials.get_frozen_credentials()

    assert first == kept
    assert renewed.access_key != first.access_key
