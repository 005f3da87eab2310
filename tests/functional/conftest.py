"""What tests on the emulator share: tables that are reached through a proxy, and its faults."""

import pytest

from operations.deployed_tables import DeployedTables
from tests.factories import complete
from tests.fault_proxy import FaultProxy


@pytest.fixture
def proxy(local_stack):
    """In front of the emulator."""
    with FaultProxy(local_stack.endpoint_url) as made:
        yield made


@pytest.fixture
def deployment(trail, proxy, local_stack):
    """The trail's tables, reached through the proxy."""
    names = trail.names
    made = DeployedTables(
        names.source,
        local_stack.session(),
        proxy.url,
        history_table=names.history,
        time_shards=4,
        overflow_bucket=names.overflow,
    )
    complete(made.reader)
    yield made
    made.pool.shutdown()
