"""One AWS for the tests of a module, as it was before each of them."""

import pytest

from tests.fake_deployment import FakeAws


@pytest.fixture(scope="module")
def client():
    """One set of clients, because reading the service models takes longer than a test."""
    return FakeAws()


@pytest.fixture
def aws(client):
    client.start_anew()
    return client
