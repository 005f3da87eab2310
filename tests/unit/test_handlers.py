"""The deployed entry points: wiring, answers, and what they write to the log."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

import history_writer.app
import replica_writer.app
import replica_writer.parts
import stream_core.clients
from stream_core.batch import Outcome, Summary
from stream_core.errors import SettingsError, UnstoredRecordError, ViewTypeError
from stream_core.observability import report
from tests.factories import (
    TABLE_ARN,
    deliveries,
    inserts,
    item,
    lambda_context,
    lambda_record,
    load_event,
    text,
    with_image,
    without,
)
from tests.fakes import (
    DENIED,
    FakeDynamoDB,
    FakeS3,
    client_error,
    refuse_call,
    refuse_statements,
)

APPS = {"history_writer": history_writer.app, "replica_writer": replica_writer.app}
ENVIRONMENT = {
    "SOURCE_TABLE_ARN": TABLE_ARN,
    "HISTORY_TABLE": "trail",
    "OVERFLOW_BUCKET": "large",
    "SOURCE_TABLE": "Employee",
    "REPLICA_TABLE": "Standby",
    "QUARANTINE_BUCKET": "bad",
}
DOCUMENTED_TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/TestTable"
SERVICE = "itemtrail-test"
CANARY = "canary-7f3a"
NOTHING_FAILED = {"batchItemFailures": []}


class FakeAws:
    """Clients as boto3 would make them, with the arguments they were asked for."""

    def __init__(self):
        self.dynamodb = FakeDynamoDB(
            trail=("Id", "ApproximateCreationDateTime"), Employee=("Id",), Standby=("Id",)
        )
        self.dynamodb.meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))
        self.connections = SimpleNamespace(connection_pool_kw={})
        self.dynamodb._endpoint = SimpleNamespace(
            http_session=SimpleNamespace(_manager=self.connections)
        )
        self.s3 = FakeS3()
        self.requests = []

    def client(self, service, **options):
        self.requests.append((service, options))
        return getattr(self, service)

    def session(self):
        return self

    def bad_records(self):
        return [json.loads(body)["Record"] for body in self.s3.bodies("bad").values()]


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    """A fresh function environment: settings, clients and loggers as at a cold start."""
    fake = FakeAws()
    # The logger keeps the standard output of the test that used it first.
    logging.Logger.manager.loggerDict.pop(SERVICE, None)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", SERVICE)
    for app in APPS.values():
        app._parts.cache_clear()
    monkeypatch.setattr(stream_core.clients.boto3, "client", fake.client)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield fake
    for app in APPS.values():
        app._parts.cache_clear()


@pytest.fixture(params=list(APPS))
def service(request):
    return request.param


def invoke(service, records):
    return APPS[service].handler({"Records": records}, lambda_context())


def lines(captured):
    """Everything on standard output, one JSON object a line."""
    return [json.loads(line) for line in captured.splitlines()]


@pytest.fixture
def follows_the_documented_table(monkeypatch):
    """Settings of functions that follow the table of tests/events."""
    monkeypatch.setenv("SOURCE_TABLE_ARN", DOCUMENTED_TABLE)
    monkeypatch.setenv("SOURCE_TABLE", DOCUMENTED_TABLE)


@pytest.mark.usefixtures("follows_the_documented_table")
def test_the_documented_event_becomes_three_rows(aws):
    """AWS's sample event ends as three rows, and Lambda is told that all is well."""
    answer = invoke("history_writer", load_event("insert_modify_remove")["Records"])

    assert answer == NOTHING_FAILED
    stored = aws.dynamodb.items("trail")
    assert [row["EventName"]["S"] for row in stored] == ["INSERT", "MODIFY", "REMOVE"]
    assert {row["Id"]["S"] for row in stored} == {"101"}


@pytest.mark.usefixtures("follows_the_documented_table")
def test_the_documented_event_leaves_no_item_in_the_replica(aws):
    """AWS's sample event ends with a removal."""
    aws.dynamodb.key_names[DOCUMENTED_TABLE] = ("Id",)
    aws.dynamodb.tables[DOCUMENTED_TABLE] = {}
    answer = invoke("replica_writer", load_event("insert_modify_remove")["Records"])

    assert answer == NOTHING_FAILED
    assert aws.dynamodb.items("Standby") == []
    assert len(aws.dynamodb.requests("batch_write_item")) == 1


@pytest.mark.parametrize("event", [{"Records": []}])
def test_an_empty_event_is_a_success(service, event, aws, capsys):
    """FACTS 9.62: no records, no failure, no request and no warning."""
    answer = APPS[service].handler(event, lambda_context())

    assert answer == NOTHING_FAILED
    assert not aws.dynamodb.calls
    assert [line["level"] for line in lines(capsys.readouterr().out)] == ["INFO"]


def test_failures_are_answered_as_lambda_expects(service, aws):
    """FACTS 9.35, 9.57: one entry, with the lowest number that is not stored."""
    records = inserts(5)
    aws.dynamodb.always("batch_execute_statement", DENIED)
    aws.dynamodb.always("batch_write_item", DENIED)

    answer = invoke(service, records[::-1])

    lowest = records[0]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": lowest}]}


def test_a_malformed_record_is_quarantined_under_its_consumer(service, aws):
    """FACTS 9.63: each consumer has a prefix of its own in the same bucket."""
    records = inserts(3)
    records[1]["dynamodb"]["Keys"] = {"Id": {"N": "x"}}

    answer = invoke(service, records)

    assert answer == NOTHING_FAILED
    assert aws.bad_records() == [records[1]]
    ((bucket, key),) = aws.s3.objects
    assert (bucket, key.split("/")[:2]) == ("bad", ["quarantine", service])


def test_a_stream_without_images_is_refused_loudly(service, aws):
    """FACTS 9.43: the invocation fails, nothing is written anywhere."""
    records = inserts(2)
    records[1]["dynamodb"]["StreamViewType"] = "KEYS_ONLY"

    with pytest.raises(ViewTypeError, match="KEYS_ONLY"):
        invoke(service, records)

    assert not aws.dynamodb.calls
    assert not aws.s3.calls


def test_a_record_that_is_nowhere_fails_the_invocation(service, aws):
    """FACTS 9.63: without number and without quarantine nothing else brings it back."""
    aws.s3.always("put_object", DENIED)

    with pytest.raises(UnstoredRecordError):
        invoke(service, [without(without(inserts(1)[0], "SequenceNumber"), "Keys")])


def test_the_replica_writer_needs_no_more_than_a_key(aws):
    """Of what cannot be read otherwise the item is settled, and nothing is kept aside."""
    aws.dynamodb.put("Employee", item("item-000", Now=text("here")))
    record = without(without(inserts(1)[0], "ApproximateCreationDateTime"), "SequenceNumber")

    answer = invoke("replica_writer", [record])

    assert answer == NOTHING_FAILED
    assert aws.dynamodb.items("Standby") == [item("item-000", Now=text("here"))]
    assert aws.bad_records() == []


def test_wrong_settings_are_named_in_one_message(service, aws, monkeypatch):
    """Missing variables fail the first invocation by name, before any client is made."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)

    with pytest.raises(SettingsError) as caught:
        invoke(service, [])

    expected = {
        "history_writer": ["HISTORY_TABLE", "OVERFLOW_BUCKET", "QUARANTINE_BUCKET"],
        "replica_writer": ["SOURCE_TABLE", "REPLICA_TABLE", "QUARANTINE_BUCKET"],
    }
    assert [name for name in expected[service] if f"{name} is not set" in str(caught.value)] == (
        expected[service]
    )
    assert aws.requests == []


def test_clients_do_not_retry_by_themselves(service, aws):
    """Every client is made once a cold start, with our deadline-aware retries only."""
    invoke(service, inserts(1))
    made = list(aws.requests)
    invoke(service, inserts(1))

    assert aws.requests == made
    assert {name for name, _ in made} == {"dynamodb", "s3"}
    for _, options in made:
        assert options["config"].retries == {"mode": "standard", "total_max_attempts": 1}


def test_the_replica_may_be_in_another_region(aws, monkeypatch):
    """Only the replica's client is made for the replica's region."""
    monkeypatch.setenv("REPLICA_REGION", "eu-central-1")

    invoke("replica_writer", [])

    regions = [options.get("region_name") for name, options in aws.requests if name == "dynamodb"]
    assert sorted(map(str, regions)) == ["None", "eu-central-1"]


def test_the_replica_may_be_in_another_account(aws, monkeypatch):
    """The role is assumed for the replica's client alone."""
    roles = []
    monkeypatch.setenv("REPLICA_ROLE_ARN", "arn:aws:iam::111122223333:role/standby")
    monkeypatch.setattr(
        replica_writer.parts, "session_as", lambda role: roles.append(role) or aws.session()
    )

    invoke("replica_writer", [])

    assert roles == ["arn:aws:iam::111122223333:role/standby"]


def test_a_source_may_be_closed_to_the_replica_writer(aws, monkeypatch):
    """SETTLE=false: the source is not read."""
    monkeypatch.setenv("SETTLE", "false")

    answer = invoke("replica_writer", inserts(2))

    assert answer == NOTHING_FAILED
    assert len(aws.dynamodb.items("Standby")) == 2
    assert not aws.dynamodb.requests("batch_get_item")


def test_the_shard_count_reaches_the_rows(aws, monkeypatch):
    """TIME_SHARDS spreads an hour over so many partitions of the index."""
    monkeypatch.setenv("TIME_SHARDS", "1")

    invoke("history_writer", inserts(20))

    assert {row["TimeBucket"]["S"] for row in aws.dynamodb.items("trail")} == {"2018-03-03T14#00"}


def test_a_batch_is_one_log_line_and_its_metrics(aws, capsys):
    """Counts, errors and the first unstored number are in the line, the counts are metrics."""
    records = inserts(4)
    records[0] = with_image(records[0], {})
    aws.dynamodb.script(
        "batch_execute_statement",
        refuse_statements(lambda row: row["Id"] == text("item-002"), "ThrottlingError"),
    )

    invoke("history_writer", records)

    log, metrics = lines(capsys.readouterr().out)
    assert (log["level"], log["message"], log["service"]) == ("WARNING", "batch", SERVICE)
    assert log["counts"] == {
        "RecordsRead": 4,
        "RowsWritten": 2,
        "Quarantined": 1,
        "Unstored": 1,
    }
    assert log["errors"] == {"NewImage has another key than Keys": 1, "ThrottlingError": 1}
    assert log["unstored"] == 1
    assert log["first_unstored"] == records[2]["dynamodb"]["SequenceNumber"]
    assert metrics["RowsWritten"] == [2.0]
    assert metrics["Quarantined"] == metrics["Unstored"] == [1.0]
    assert metrics["HistoryLagMs"][0] > 0
    assert metrics["service"] == SERVICE
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "itemtrail"
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units["RowsWritten"] == "Count"
    assert units["HistoryLagMs"] == "Milliseconds"


def test_a_clean_batch_is_logged_as_information(service, aws, capsys):
    """Warnings are for trouble only."""
    put_sources(aws, inserts(2))

    invoke(service, inserts(2))

    log, metrics = lines(capsys.readouterr().out)
    assert (log["level"], log["unstored"], log["errors"]) == ("INFO", 0, {})
    assert not log.get("first_unstored")
    assert metrics["RecordsRead"] == [2.0]


def test_metrics_of_one_batch_do_not_leak_into_the_next(capsys):
    """Each invocation emits its own counts."""
    invoke("history_writer", inserts(3))
    invoke("history_writer", inserts(1, first=5))

    emitted = [line for line in lines(capsys.readouterr().out) if "_aws" in line]
    assert [line["RowsWritten"] for line in emitted] == [[3.0], [1.0]]


def put_sources(aws, records):
    for delivery in deliveries(records):
        aws.dynamodb.put("Employee", delivery.change.new_image)


def canary_records():
    """Records of every fate, with a canary in every key, name and value."""
    records = [
        lambda_record(new=item(f"{CANARY}-{n}", **{CANARY: text(CANARY)}), sequence=1000 + n)
        for n in range(8)
    ]
    records[0] = with_image(records[0], {CANARY: {"N": CANARY}})
    records[1] = with_image(records[1], item(CANARY))
    records[2] |= {"eventName": CANARY}
    records[3]["dynamodb"]["Keys"] = {CANARY: {CANARY: CANARY}}
    return records


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "Throttling"])
def test_no_item_data_is_ever_logged(service, aws, capsys, caplog, code):
    """Keys and images of good, broken and refused records appear in no log and no metric."""
    error = client_error(code, message=f"{CANARY} is not welcome")
    caplog.set_level(logging.DEBUG)
    records = canary_records()
    put_sources(aws, records[5:])
    for operation in ("batch_execute_statement", "batch_write_item"):
        bad = refuse_call(lambda one: one["Id"]["S"].startswith(f"{CANARY}-5"), error)
        aws.dynamodb.always(operation, bad)

    invoke(service, records)
    aws.dynamodb.always("batch_execute_statement", None)
    invoke(service, [*records, lambda_record(new=item(f"{CANARY}-6"), sequence=1006)])

    assert aws.bad_records()
    written = capsys.readouterr()
    logged = [*lines(written.out), *lines(written.err)]
    assert len([line for line in logged if line.get("message") == "batch"]) == 2
    assert CANARY not in written.out + written.err + caplog.text


def test_no_item_data_is_in_the_error_of_a_failed_invocation(service, aws):
    """Lambda logs what a handler raises, with its causes."""
    aws.s3.always("put_object", client_error("AccessDenied", message=CANARY))
    record = without(lambda_record(new=item(CANARY)), "SequenceNumber")
    record["dynamodb"]["Keys"]["Other"] = record["dynamodb"]["Keys"]["More"] = text(CANARY)

    with pytest.raises(UnstoredRecordError) as caught:
        invoke(service, [record])

    error = caught.value
    while error:
        assert CANARY not in str(error)
        error = error.__cause__ or error.__context__


def test_importing_the_functions_touches_nothing():
    """A cold start imports no frame library, opens no connection and needs no settings."""
    program = """
import socket, sys
def refuse(*_): raise AssertionError("a connection at import")
socket.socket.connect = socket.getaddrinfo = refuse
import history_writer.app, replica_writer.app
foreign = {"pandas", "numpy", "reports", "operations", "itemtrail", "aws_xray_sdk"}
assert not foreign & set(sys.modules), foreign & set(sys.modules)
"""

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_lag_is_never_negative(capsys):
    """A clock behind the service's does not make a metric below zero."""
    outcome = Outcome()
    outcome.counts["RecordsRead"] = 1
    newest = datetime.now(UTC) + timedelta(hours=1)

    report("HistoryLagMs", Summary(NOTHING_FAILED, outcome, newest))

    assert lines(capsys.readouterr().out)[1]["HistoryLagMs"] == [0.0]
