"""Turning a stream on: only where it is off, and never twice."""

from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from operations import enable as enabling
from operations.enable import Stream, enable
from operations.errors import OperationError, RefusedError
from operations.execution.pace import Pace
from reports.access.machine import Machine
from reports.errors import TableNotFoundError
from stream_core.control_row import TableLife
from tests.fake_tables import describe
from tests.fakes import client_error

TABLE = "Employee"
ARN = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{TABLE}/stream/2026-11-01T10:00:00.000"
HISTORY, CREATED = "History", datetime(2026, 11, 1, tzinfo=UTC)
BOTH, KEYS = "NEW_AND_OLD_IMAGES", "KEYS_ONLY"


class Machines:
    """A machine whose time passes by sleeping only."""

    def __init__(self):
        self.seconds = 0.0

    def sleep(self, seconds):
        self.seconds += max(seconds, 0.01)

    @property
    def machine(self):
        return Machine(clock=lambda: self.seconds, sleep=self.sleep)


class FakeTable:
    """DynamoDB with one table, which takes a while to do what it is asked.

    Attributes:
        after_update: what the table is described as, one after another, once it was updated; the
            last one stays.
        refusals: errors that updates are answered with, one after another.
    """

    def __init__(self, *before):
        self.meta = SimpleNamespace(
            region_name="eu-west-1", endpoint_url="https://dynamodb.example"
        )
        self.states = list(before)
        self.after_update = []
        self.refusals = []
        self.updates = []

    def describe_table(self, TableName):  # noqa: N803 - the API's name
        if not self.states:
            raise client_error("ResourceNotFoundException")
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"Table": {"TableName": TableName, **state}}

    def close(self):
        self.is_closed = True

    def update_table(self, **request):
        self.updates.append(request)
        if self.refusals:
            refusal, states = self.refusals.pop(0)
            self.states = states or self.states
            raise refusal
        self.states = self.after_update


def a_table(status="ACTIVE", view_type=None):
    if view_type is None:
        # The ARN of a stream that was on once is still told.
        return {"TableStatus": status, "LatestStreamArn": f"{ARN}-old"}
    stream = {"StreamEnabled": True, "StreamViewType": view_type}
    return {"TableStatus": status, "StreamSpecification": stream, "LatestStreamArn": ARN}


@pytest.fixture
def table(monkeypatch):
    """A table whose stream is off, and comes on after a while."""
    fake = FakeTable(a_table())
    fake.after_update = [a_table("UPDATING"), a_table("UPDATING", BOTH), a_table("ACTIVE", BOTH)]
    monkeypatch.setattr(enabling, "dynamodb_client", lambda _session, _url: fake)
    return fake


def turn_on(history_table=None, **options):
    pace = Pace(machine=Machines().machine, **options)
    return enable(None, None, TABLE, history_table=history_table, apply=True, pace=pace)


def test_without_apply_nothing_is_changed(table):
    """It says that there is no stream, not the ARN of one that was on long ago."""
    planned = enable(None, None, TABLE, pace=Pace())

    assert planned == Stream(TABLE, None, was_on=False, applied=False)
    assert table.updates == []


@pytest.fixture
def history(monkeypatch, table):
    """What is written into the history, and what is read of it."""
    written = []
    described = table.describe_table

    def tell(TableName):  # noqa: N803 - the API's name
        if TableName == TABLE:
            return described(TableName)
        names = ("Id", "ApproximateCreationDateTime") if TableName == HISTORY else ("Id",)
        return {"Table": describe(TableName, names)}

    monkeypatch.setattr(table, "describe_table", tell)
    monkeypatch.setattr(
        enabling,
        "write_control_row",
        lambda _client, name, row, _patience: written.append((name, row)),
    )
    for state in [*table.states, *table.after_update]:
        state |= {"TableId": "12345a12", "CreationDateTime": CREATED}
    return written


def test_a_history_is_told_which_table_the_stream_is_of(history):
    """A stream that is turned on again is told from a table made anew by that."""
    stream = turn_on(history_table=HISTORY)

    assert stream.recorded
    assert history == [(HISTORY, TableLife(ARN, "12345a12", CREATED))]
    assert turn_on(history_table=HISTORY).was_on
    assert history[0] == history[1]


def test_without_apply_a_history_is_told_nothing(history):
    """Neither whether it is on nor that it would be."""
    assert not enable(None, None, TABLE, history_table=HISTORY, pace=Pace()).recorded
    assert history == []


def test_a_table_that_is_no_history_is_refused(history):
    """The source itself would not take the row, or take it."""
    with pytest.raises(TableNotFoundError, match="is not a history table"):
        turn_on(history_table="Other")
    assert history == []


def test_it_is_turned_on_once_and_waited_for(table):
    """With both images; the answer has the ARN of the stream that is on now."""
    assert turn_on() == Stream(TABLE, ARN, was_on=False, applied=True)
    assert table.is_closed
    assert table.updates == [
        {
            "TableName": TABLE,
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": BOTH},
        }
    ]


@pytest.mark.parametrize("apply", [True, False])
def test_a_stream_that_is_on_is_left_alone(table, apply):
    """With both images there is nothing to do but to tell its ARN."""
    table.states = [a_table("UPDATING", BOTH)]

    found = enable(None, None, TABLE, apply=apply, pace=Pace())

    assert found == Stream(TABLE, ARN, was_on=True, applied=False)
    assert table.updates == []


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("view_type", [KEYS, "NEW_IMAGE", "OLD_IMAGE"])
def test_a_stream_of_another_view_type_is_refused_with_the_way_out(table, apply, view_type):
    """Somebody reads it: what disabling it means for them comes before how to do it."""
    table.states = [a_table("ACTIVE", view_type)]

    with pytest.raises(RefusedError, match=f"is on with {view_type}") as refused:
        enable(None, None, TABLE, apply=apply, pace=Pace())

    for hint in ("all its consumers", "another ARN", "StreamEnabled=false", "new ARN"):
        assert hint in str(refused.value)
    assert table.updates == []


def test_a_busy_table_is_waited_for(table):
    """A table that is just being made or changed, or that AWS has no place for, comes later."""
    table.states = [a_table("CREATING"), a_table("CREATING"), a_table()]
    table.refusals = [
        (client_error("ResourceInUseException"), None),
        (client_error("LimitExceededException"), None),
        (client_error("ThrottlingException"), None),
    ]

    assert turn_on() == Stream(TABLE, ARN, was_on=False, applied=True)
    assert len(table.updates) == 4


def test_somebody_else_may_be_faster(table):
    """Then the update is refused, though the stream is on as wanted."""
    already = client_error("ValidationException", message="Table already has an enabled stream")
    table.refusals = [(already, [a_table("ACTIVE", BOTH)])]

    assert turn_on() == Stream(TABLE, ARN, was_on=False, applied=False)


def test_somebody_else_may_have_another_mind(table):
    """Then it is refused as if their stream had been there before."""
    already = client_error("ValidationException", message="Table already has an enabled stream")
    table.refusals = [(already, [a_table("ACTIVE", KEYS)])]

    with pytest.raises(RefusedError, match="is on with KEYS_ONLY"):
        turn_on()


def test_what_is_refused_for_another_reason_is_told_at_once(table):
    """A missing permission does not become one by waiting."""
    table.refusals = [(client_error("AccessDeniedException"), None)]

    with pytest.raises(ClientError, match="AccessDeniedException"):
        turn_on()


def test_a_table_that_never_gets_ready_is_told(table):
    """Patience ends, and running it again goes on."""
    table.after_update = [a_table("UPDATING", BOTH)]

    with pytest.raises(OperationError, match="not ready within 60 seconds: run this again"):
        turn_on(patience_s=60)


def test_a_table_that_is_not_there_is_named(table):
    """With the region and the endpoint, which are wrong more often than the name."""
    table.states = []

    with pytest.raises(TableNotFoundError, match="no table 'Employee' in eu-west-1 at https://"):
        turn_on()


def test_moto_turns_it_on():
    """The requests are those of the API, as far as moto knows it."""
    with mock_aws():
        session = boto3.Session("test", "test", region_name="eu-west-1")
        dynamodb = session.client("dynamodb")
        dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

        found = enable(session, None, TABLE, apply=True, pace=Pace(machine=Machines().machine))

        described = dynamodb.describe_table(TableName=TABLE)["Table"]
        dynamodb.close()
    assert found == Stream(TABLE, described["LatestStreamArn"], was_on=False, applied=True)
    assert described["StreamSpecification"]["StreamViewType"] == BOTH
