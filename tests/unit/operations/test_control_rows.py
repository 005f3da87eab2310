"""Control rows go in 25 a call, each once."""

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from operations.control_rows import write_control_row, write_control_rows
from operations.errors import OperationError
from stream_core.announcement import OwnWrite, item_hash
from stream_core.errors import IntegrityError
from stream_core.history_row import SORT_KEY
from tests.factories import STREAM_ARN, Clock
from tests.fakes import parse_insert

AT = datetime(2026, 11, 30, tzinfo=UTC)
ROWS = [
    OwnWrite("0123456789ab", number, item_hash(str(number)), None, b"\x01" * 32, AT, STREAM_ARN)
    for number in range(60)
]


class History:
    """Stores rows by their sort key; the next statements are answered with errors by script."""

    def __init__(self):
        self.rows, self.calls, self.script = {}, [], []

    def batch_execute_statement(self, Statements):  # noqa: N803 - the name of the API
        self.calls.append(len(Statements))
        return {"Responses": [self._insert(statement) for statement in Statements]}

    def _insert(self, statement):
        _, row = parse_insert(statement)
        place = row[SORT_KEY]["S"]
        code = self.script.pop(0) if self.script else None
        if code is None and place in self.rows:
            code = "DuplicateItem"
        if code is not None:
            return {"Error": {"Code": code, "Message": "refused"}}
        self.rows[place] = row
        return {}

    def get_item(self, Key, **_):  # noqa: N803
        row = self.rows.get(Key[SORT_KEY]["S"])
        return {} if row is None else {"Item": row}


@pytest.fixture
def history():
    return History()


def write(history, rows=ROWS):
    write_control_rows(history, "History", rows, Clock().patience)


def test_they_go_in_25_a_call_and_again_without_harm(history):
    """The same rows are there already."""
    write(history)
    write(history)

    assert history.calls == [25, 25, 10] * 2
    assert history.rows == {row.sort_key: row.to_item() for row in ROWS}


def test_what_is_throttled_is_sent_again_alone(history):
    """The others of the call are in."""
    history.script = ["ThrottlingError", None, "ProvisionedThroughputExceeded"]

    write(history, ROWS[:3])

    assert history.calls == [3, 2]
    assert len(history.rows) == 3


def test_what_is_throttled_for_good_is_told(history):
    """With the codes."""
    history.script = ["ThrottlingError"] * 1000

    with pytest.raises(OperationError, match="ThrottlingError"):
        write(history, ROWS[:1])


def test_what_is_refused_is_an_error(history):
    """As if the call had been refused."""
    history.script = ["AccessDenied"]

    with pytest.raises(ClientError, match="AccessDenied"):
        write_control_row(history, "History", ROWS[0], Clock().patience)


def test_another_row_in_the_place_of_one_is_found(history):
    """It is not written over, nor taken for the same."""
    history.rows[ROWS[1].sort_key] = ROWS[0].to_item()

    with pytest.raises(IntegrityError, match="another control row"):
        write(history, ROWS[:2])
    assert history.rows[ROWS[1].sort_key] == ROWS[0].to_item()
