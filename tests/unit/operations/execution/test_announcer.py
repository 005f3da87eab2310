"""A run's rows in the history."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from operations.errors import RefusedError
from operations.execution.announcer import Announcer
from stream_core.announcement import OwnWrite, item_hash
from stream_core.control_row import RunRow
from stream_core.retry import Patience
from tests.factories import STREAM_ARN
from tests.fakes import hold_until_side_by_side

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
RUN = RunRow(
    *("0123456789ab", "undo", "{}", "sha256:00", "ada", "itemtrail 1", STREAM_ARN, "id", AT)
)


def test_what_is_about_to_be_written_is_announced_side_by_side(monkeypatch):
    """Twenty-five a call, and none waits for the answer to another: the writes wait for all."""
    announced = []

    def insert(Statements):  # noqa: N803 - the API's name
        announced.append(len(Statements))
        return {"Responses": [{} for _ in Statements]}

    client = SimpleNamespace(batch_execute_statement=insert)
    hold_until_side_by_side(monkeypatch, client, "batch_execute_statement", calls=4)
    held = client.batch_execute_statement
    client.batch_execute_statement = lambda Statements: (  # noqa: N803 - the API's name
        held(Statements=Statements) if announced else insert(Statements)
    )
    reader = SimpleNamespace(history_table="history")
    writes = [
        OwnWrite("0123456789ab", number, item_hash(str(number)), None, None, AT, STREAM_ARN)
        for number in range(100)
    ]

    groups = [writes[:50], *([write] for write in writes[50:])]
    Announcer(client, reader, RUN).announce(groups, AT, Patience(lambda: 60_000))

    # First those by which others find them: of what is written together, and of the rest.
    assert announced == [2, 25, 25, 25, 25]


def test_a_run_that_is_announced_twice_for_a_lost_answer_is_no_other_run():
    """Its row is there, and is its own; another's, begun at another time, is not."""
    client = SimpleNamespace(
        batch_execute_statement=lambda Statements: {  # noqa: N803 - the API's name
            "Responses": [{"Error": {"Code": "DuplicateItem"}} for _ in Statements]
        },
        get_item=lambda **_: {"Item": RUN.to_item()},
    )
    reader = SimpleNamespace(history_table="history")
    own = Announcer(client, reader, RUN)
    later = Announcer(client, reader, replace(RUN, started=AT.replace(hour=13)))

    own.begin(Patience(lambda: 60_000), may_go_on=False)

    assert not own.is_known
    with pytest.raises(RefusedError, match="was begun by ada at 2026-11-30T12"):
        later.begin(Patience(lambda: 60_000), may_go_on=False)
