"""The parts of a deployment are made for its own session, and what is not named is asked for."""

import boto3
import pytest

import replica_writer.assumed_role
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError

ROLE = "arn:aws:iam::210987654321:role/standby"
SESSION = boto3.Session("own-key", "secret", region_name="us-east-1")


def test_the_role_of_the_replica_is_assumed_by_the_session_given(monkeypatch):
    """Whoever `--profile` names assumes it, not whoever the environment does."""
    given = {}

    class Fetcher:
        def __init__(self, **parts):
            given.update(parts)

        def fetch_credentials(self):
            raise AssertionError("no request is made yet")

    monkeypatch.setattr(replica_writer.assumed_role, "AssumeRoleCredentialFetcher", Fetcher)

    client = DeployedTables(
        "Employee",
        SESSION,
        replica_table="standby",
        replica_region="eu-west-1",
        replica_role_arn=ROLE,
    ).replica_client

    assert given["source_credentials"].access_key == "own-key"
    assert given["role_arn"] == ROLE
    assert client.meta.region_name == "eu-west-1"


@pytest.mark.parametrize("part", ["reader", "history_writer", "replica"])
def test_what_is_not_named_is_asked_for_by_its_option(part):
    """The message says which option names it."""
    with pytest.raises(RefusedError, match="--stack, or --"):
        getattr(DeployedTables("Employee", SESSION), part)
