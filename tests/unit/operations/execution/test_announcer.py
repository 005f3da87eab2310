"""A run's rows in the history."""

from datetime import UTC, datetime
from types import SimpleNamespace

from operations.execution.announcer import Announcer
from stream_core.control_row import OwnWrite, item_hash
from stream_core.retry import Patience
from tests.factories import STREAM_ARN
from tests.fakes import hold_until_side_by_side

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_what_is_about_to_be_written_is_announced_side_by_side(monkeypatch):
    """Twenty-five a call, and none waits for the answer to another: the writes wait for all."""
    announced = []

    def insert(Statements):  # noqa: N803 - the API's name
        announced.append(len(Statements))
        return {"Responses": [{} for _ in Statements]}

    client = SimpleNamespace(batch_execute_statement=insert)
    hold_until_side_by_side(monkeypatch, client, "batch_execute_statement", calls=4)
    reader = SimpleNamespace(history_table="history")
    writes = [
        OwnWrite("0123456789ab", number, item_hash(str(number)), None, None, AT, STREAM_ARN)
        for number in range(100)
    ]

    Announcer(client, reader, None).announce(writes, Patience(lambda: 60_000))

    assert announced == [25] * 4
