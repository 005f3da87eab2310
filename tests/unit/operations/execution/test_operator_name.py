"""Runs, redrives and what is written beside name the person by one name."""

import getpass

import pytest

from operations.execution.operator_name import operator_name


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
