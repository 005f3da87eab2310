"""A stack on the engine that enforces, for the session; without the engine no test runs."""

from pathlib import Path

import pytest

from tests.enforced.engine import enforcing
from tests.templates import BREAK_GLASS, SAMPLE

_BUILT = Path(__file__).parents[2] / ".fakecloud"


@pytest.fixture(scope="session")
def stack():
    """The template deployed, with a sample source and a break-glass role."""
    programs = sorted(_BUILT.glob("*/bin/fakecloud"))
    if not programs:
        pytest.skip("needs fakecloud: make test-enforced builds it")
    with enforcing(programs[-1]) as engine:
        yield engine.deploy("trail", SAMPLE | {"BreakGlassRoleArn": BREAK_GLASS})


@pytest.fixture(scope="session")
def administrator(stack):
    """The ARN of a role that is allowed everything."""
    return stack.make_administrator("administrator")
