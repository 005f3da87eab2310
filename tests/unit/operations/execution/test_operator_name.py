"""Runs and redrives name whose credentials are used, what is written beside the person."""

import getpass

import pytest
from botocore.exceptions import EndpointConnectionError

from operations.execution.operator_name import caller_name, operator_name
from tests.fakes import DENIED


def test_it_is_the_name_that_the_machine_knows(monkeypatch):
    """As it has it for who is logged in."""
    monkeypatch.setenv("LOGNAME", "ann")

    assert operator_name() == "ann"


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no name"), ImportError("pwd")])
def test_a_machine_may_know_no_name(monkeypatch, error):
    """A container may run as a number that nobody has a name for."""

    def getuser():
        raise error

    monkeypatch.setattr(getpass, "getuser", getuser)

    assert operator_name() == "unknown"


def test_a_run_names_whose_credentials_are_used(session):
    """Everybody may ask that."""
    assert caller_name(session, None) == "arn:aws:sts::123456789012:user/moto"


@pytest.mark.parametrize("error", [DENIED, EndpointConnectionError(endpoint_url="sts")])
def test_where_that_is_not_told_it_names_the_person(session, monkeypatch, error):
    """A network may lead to no such service; it is asked once, and not for long."""
    monkeypatch.setenv("LOGNAME", "ann")
    asked = []

    def refuse(*_call):
        asked.append(1)
        raise error

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)

    assert caller_name(session, None) == "ann"
    assert asked == [1]
