"""A session on moto for runs."""

import pytest
from moto import mock_aws

from tests.tables import refusing_session


@pytest.fixture(scope="session")
def moto_session():
    """One session, because reading the service models takes longer than a test."""
    return refusing_session()


@pytest.fixture
def session(moto_session):
    """That session within an AWS that is empty."""
    with mock_aws():
        yield moto_session
