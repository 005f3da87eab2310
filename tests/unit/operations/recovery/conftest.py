"""A session on moto for what takes changes back."""

import boto3
import pytest
from moto import mock_aws


@pytest.fixture(scope="session")
def moto_session():
    """One session, because reading the service models takes longer than a test."""
    return boto3.Session("test", "test", region_name="us-east-1")


@pytest.fixture
def session(moto_session):
    """That session within an AWS that is empty."""
    with mock_aws():
        yield moto_session
