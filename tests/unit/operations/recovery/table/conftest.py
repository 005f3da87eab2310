"""A whole table with its history."""

import pytest

from tests.unit.operations.recovery.table.world import WholeTable


@pytest.fixture
def world(session):
    return WholeTable(session)
