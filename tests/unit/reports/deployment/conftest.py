"""One AWS for the tests of a module, as it was before each of them."""

import pytest

from reports.deployment.advice import DeploymentCheck
from tests.fake_deployment import STACK, FakeAws
from tests.mapping_contract import Account, commands_in


@pytest.fixture(scope="module")
def client():
    """One set of clients, because reading the service models takes longer than a test."""
    return FakeAws()


@pytest.fixture
def aws(client):
    client.start_anew()
    return client


@pytest.fixture(autouse=True)
def contract(monkeypatch):
    """Whatever is advised in these tests can be done in its order: AWS refuses none of it."""
    advise = DeploymentCheck.advice

    def advice(self):
        given = advise(self)
        account = Account()
        account.deploy(STACK)
        for command in commands_in(given.to_do or ""):
            account.run(command)
        return given

    monkeypatch.setattr(DeploymentCheck, "advice", advice)
