"""Unit tests reach no network and wait for nothing."""

import os
import socket
import time

import pytest


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a unit test opened a connection")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    def refuse(_seconds):
        raise AssertionError("a unit test slept")

    monkeypatch.setattr(time, "sleep", refuse)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    """What the process takes from the modes of new files."""
    before = os.umask(request.param)
    yield
    os.umask(before)
