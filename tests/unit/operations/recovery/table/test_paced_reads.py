"""What is read keeps to the rate, and is waited for as long as there is patience (on moto)."""

import pytest
from botocore.exceptions import ClientError

from operations.execution.pace import Pace
from operations.recovery.table import paced_reads
from operations.recovery.table.paced_reads import PacedReads
from reports.access.clients import dynamodb_client
from reports.access.machine import Machine
from tests.factories import item, text
from tests.tables import create_table

KEY = {"Id": text("1")}


@pytest.fixture
def client(session):
    """As an operation has one, with a table of three items."""
    made = dynamodb_client(session, None)
    create_table(made, "T", {"Id": "S"})
    for n in range(3):
        made.put_item(TableName="T", Item=item(str(n)))
    return made


def paced(client, pauses, rate=None):
    machine = Machine(clock=lambda: sum(pauses), sleep=pauses.append, jitter=lambda: 1.0)
    return PacedReads(client, Pace(rate, machine=machine))


def read(client):
    client.scan(TableName="T")
    client.query(
        TableName="T",
        KeyConditionExpression="Id = :id",
        ExpressionAttributeValues={":id": text("1")},
    )
    client.get_item(TableName="T", Key=KEY)
    client.batch_get_item(RequestItems={"T": {"Keys": [KEY, {"Id": text("2")}]}})


def test_every_item_read_counts(client):
    """Three, one, one and two of them, whatever operation reads them; what is written does not."""
    pauses = []
    with paced(client, pauses, rate=1):
        read(client)
        client.put_item(TableName="T", Item=item("9"))
        client.get_item(TableName="T", Key=KEY)

    assert sum(pauses) == 7


def test_afterwards_nothing_is_left_of_it(client):
    """The client is the deployment's, and others go on reading with it."""
    pauses = []
    with paced(client, pauses, rate=1):
        pass
    read(client)
    read(client)

    assert pauses == []


class Refusing:
    """Answers so many reads with an error, before any is sent."""

    def __init__(self, client, code, status, most):
        self.remaining, self.code, self.status = most, code, status
        client.meta.events.register("before-send.dynamodb.Scan", self.answer)

    def answer(self, **_):
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415 - only here

        if not self.remaining:
            return None
        self.remaining -= 1
        body = f'{{"__type": "x#{self.code}", "message": "no"}}'.encode()
        answer = AWSResponse("https://dynamodb", self.status, {}, None)
        answer._content = body
        return answer


@pytest.fixture
def slept(monkeypatch):
    """The pauses that botocore makes, none of which is waited for."""
    pauses = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", pauses.append)
    return pauses


def test_a_read_that_is_throttled_is_made_again_while_there_is_patience(client, slept):
    """More often than the client itself would."""
    Refusing(client, "ProvisionedThroughputExceededException", 400, 8)

    with paced(client, slept):
        assert len(client.scan(TableName="T")["Items"]) == 3

    assert len(slept) == 8
    assert max(slept) == paced_reads.LONGEST_PAUSE_S


def test_a_table_that_refuses_for_good_is_given_up_after_a_minute(client, slept):
    """Then the next one is no longer waited for either."""
    Refusing(client, "InternalServerError", 500, 1000)

    with paced(client, slept):
        with pytest.raises(ClientError, match="InternalServerError"):
            client.scan(TableName="T")
        waited = sum(slept)
        with pytest.raises(ClientError):
            client.scan(TableName="T")

    assert 50 < waited <= 90


def test_what_is_refused_for_another_reason_is_not_asked_again(client, slept):
    """A permission does not come by waiting."""
    refusing = Refusing(client, "AccessDeniedException", 400, 2)

    with paced(client, slept), pytest.raises(ClientError, match="AccessDenied"):
        client.scan(TableName="T")

    assert (refusing.remaining, slept) == (1, [])
