"""The deployed system: the real templates and packages on MiniStack, driven from outside."""

import base64
import contextlib
import gzip
import hashlib
import io
import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

import itemtrail.local.demo
from itemtrail.cli import main
from tests.deployed_stack import DeployedStack, key_of
from tests.eventually import eventually
from tests.factories import lambda_form, sets_sorted

pytestmark = pytest.mark.functional

STACK, SOURCE = "employee-trail", "Employee"
REPLICA_REGION = itemtrail.local.demo.REPLICA_REGION
PROGRAM = str(Path(sys.executable).with_name("itemtrail"))
WRITERS = ("history_writer", "replica_writer")
# Far from those the demo's workload uses.
IDENTIFIERS = itertools.count(1_000)


@pytest.fixture
def identifier():
    """The `Id` of an item that no other test knows."""
    return next(IDENTIFIERS)


def _with_body(record, **fields):
    return record | {"dynamodb": record["dynamodb"] | fields}


NOTHING_FAILED = {"batchItemFailures": []}


# ---- What changes in the source ------------------------------------------------------------


def test_changes_become_rows_and_replica(deployed, identifier):
    """A put, two updates, a delete and a new put are five rows with their images, and a replica."""
    first = {
        "Name": {"S": "Murali"},
        "Salary": {"N": "12345678901234567890123456789012345678"},
        "Badge": {"B": bytes(range(256))},
        "Skills": {"SS": ["sql", "audit"]},
        "Note": {"S": ""},
        "Path": {"L": [{"M": {"S": {"S": "a name"}, "N": {"NULL": True}}}, {"BOOL": False}]},
    }
    update = {
        "TableName": SOURCE,
        "Key": key_of(identifier),
        "UpdateExpression": "SET #name = :name",
        "ExpressionAttributeNames": {"#name": "Name"},
    }

    states = [None, deployed.put(identifier, **first)]
    for name in ("Murali A.", "Murali Allada"):
        deployed.dynamodb.update_item(**update, ExpressionAttributeValues={":name": {"S": name}})
        states.append(states[-1] | {"Name": {"S": name}})
    deployed.delete(identifier)
    states += [None, deployed.put(identifier, Name={"S": "reborn"})]

    rows = deployed.caught_up(identifier, changes=5)
    events = ["INSERT", "MODIFY", "MODIFY", "REMOVE", "INSERT"]
    assert [row["EventName"]["S"] for row in rows] == events
    for row, (old, new) in zip(rows, itertools.pairwise(states), strict=True):
        assert sets_sorted(row.get("OldImage", {}).get("M")) == sets_sorted(old)
        assert sets_sorted(row.get("NewImage", {}).get("M")) == sets_sorted(new)
        assert row["Keys"] == {"M": key_of(identifier)}
    assert deployed.replica_item(identifier) == states[-1]


def test_twenty_changes_of_a_second_keep_their_order(deployed, identifier):
    """Twenty changes of one item within a second are twenty rows, sorted as they happened."""
    for number in range(20):
        deployed.put(identifier, Count={"N": str(number)})

    rows = deployed.caught_up(identifier, changes=20)

    assert [row["NewImage"]["M"]["Count"]["N"] for row in rows] == list(map(str, range(20)))
    # Some share a second: time alone does not tell the order.
    stamps = {row["ApproximateCreationDateTime"]["S"].partition("#")[0] for row in rows}
    assert len(stamps) < len(rows)


def test_rows_are_found_by_hour(deployed, identifier):
    """A row is in the index `ByTime` under its hour and shard, with its keys and event alone."""
    deployed.put(identifier, Name={"S": "x"})
    (row,) = deployed.caught_up(identifier, changes=1)

    found = deployed.dynamodb.query(
        TableName=deployed.outputs["HistoryTableName"],
        IndexName="ByTime",
        KeyConditionExpression="TimeBucket = :bucket AND ApproximateCreationDateTime = :at",
        ExpressionAttributeValues={
            ":bucket": row["TimeBucket"],
            ":at": row["ApproximateCreationDateTime"],
        },
    )["Items"]

    hour, _, shard = row["TimeBucket"]["S"].partition("#")
    assert row["ApproximateCreationDateTime"]["S"].startswith(hour)
    assert 0 <= int(shard) < int(deployed.outputs["TimeShards"])
    keys = ("Id", "ApproximateCreationDateTime", "TimeBucket", "EventName")
    assert found == [{name: row[name] for name in keys}]


def test_large_images_go_to_the_overflow_bucket(deployed, identifier):
    """A row too large for DynamoDB points at the very version of an object with both images."""
    photos = [random.Random(number).randbytes(250_000) for number in (1, 2)]  # noqa: S311
    images = [deployed.put(identifier, Photo={"B": photo}) for photo in photos]

    small, large = deployed.caught_up(identifier, changes=2)

    assert "Overflow" not in small
    assert not large.keys() & {"OldImage", "NewImage"}
    pointer = large["Overflow"]["M"]
    assert pointer["Bucket"]["S"] == deployed.outputs["OverflowBucketName"]
    kept = deployed.s3.get_object(
        Bucket=pointer["Bucket"]["S"], Key=pointer["Key"]["S"], VersionId=pointer["VersionId"]["S"]
    )
    content = gzip.decompress(kept["Body"].read())
    assert kept["VersionId"] == pointer["VersionId"]["S"]
    assert hashlib.sha256(content).hexdigest() == pointer["SHA256"]["S"]
    assert len(content) == int(pointer["Bytes"]["N"])
    assert json.loads(content) == {
        "OldImage": lambda_form(images[0]),
        "NewImage": lambda_form(images[1]),
    }


# ---- What is delivered again, or badly -----------------------------------------------------


def test_second_delivery_adds_nothing(deployed, identifier):
    """The same records delivered once more add no row, change no row and report no failure."""
    for number in range(3):
        deployed.put(identifier, Count={"N": str(number)}, Badge={"B": b"\xff\x00"})
    before = deployed.caught_up(identifier, changes=3)
    records = deployed.records(identifier)
    assert len(records) == 3

    answers = [deployed.invoke(writer, records)[:2] for writer in WRITERS]

    assert answers == [(NOTHING_FAILED, None)] * 2
    assert deployed.rows(identifier) == before
    assert deployed.replica_item(identifier) == deployed.source_item(identifier)
    found = [deployed.quarantined(writer, one) for writer in WRITERS for one in records]
    assert not any(found)


def test_old_record_does_not_bring_back_the_old_state(deployed, identifier):
    """A record delivered late, of an item since changed or deleted, leaves the replica as it is."""
    other = next(IDENTIFIERS)
    for one in (identifier, other):
        deployed.put(one, Count={"N": "1"})
    deployed.put(identifier, Count={"N": "2"})
    deployed.delete(other)
    for one in (identifier, other):
        deployed.caught_up(one, changes=2)
    old = [deployed.records(one)[0] for one in (identifier, other)]

    answer, error, _ = deployed.invoke("replica_writer", old)

    assert (answer, error) == (NOTHING_FAILED, None)
    assert deployed.replica_item(identifier)["Count"] == {"N": "2"}
    assert deployed.replica_item(other) is None


def test_replay_fills_what_is_missing(deployed, identifier):
    """Lost rows and items come back when their records are delivered again: a redrive is enough."""
    deployed.put(identifier, Name={"S": "x"})
    (row,) = deployed.caught_up(identifier, changes=1)
    for writer in WRITERS:
        _forget(deployed, writer, identifier)
        assert _kept(deployed, writer, identifier) == []

    for writer in WRITERS:
        deployed.invoke(writer, deployed.records(identifier))

    assert deployed.rows(identifier) == [row]
    assert deployed.replica_item(identifier) == deployed.source_item(identifier)


@pytest.mark.parametrize("writer", WRITERS)
def test_malformed_record_is_quarantined_and_the_rest_stored(deployed, writer):
    """A record that cannot be read goes whole to quarantine; those around it are stored.

    The replica needs the key alone: it settles the item, and keeps nothing aside.
    """
    before, bad, after = (next(IDENTIFIERS) for _ in range(3))
    for one in (before, bad, after):
        deployed.put(one, Name={"S": "x"})
        deployed.caught_up(one, changes=1)
    kept_before = {one: _kept(deployed, writer, one) for one in (before, after)}
    for one in (before, after):
        # So that it is seen to be stored anew.
        _forget(deployed, writer, one)
    good, after_good = (deployed.records(one)[0] for one in (before, after))
    broken = _with_body(
        deployed.records(bad)[0], NewImage={"Id": {"N": str(bad)}, "Badge": {"B": "not base64"}}
    )

    answer, error, _ = deployed.invoke(writer, [good, broken, after_good])

    assert (answer, error) == (NOTHING_FAILED, None)
    kept_aside = deployed.quarantined(writer, broken)
    if writer == "history_writer":
        (kept,) = kept_aside
        assert kept["Consumer"] == writer
        assert kept["Error"] == "MalformedRecordError"
        assert "NewImage" in kept["Reason"]
        assert kept["Record"] == broken
    else:
        assert kept_aside == []
        assert deployed.replica_item(bad) == deployed.source_item(bad)
    assert {one: _kept(deployed, writer, one) for one in (before, after)} == kept_before


def _kept(deployed, writer, identifier):
    """What a writer keeps of an item: its rows, or its replica."""
    if writer == "history_writer":
        return deployed.rows(identifier)
    return [item for item in [deployed.replica_item(identifier)] if item]


def _forget(deployed, writer, identifier):
    """Remove what a writer keeps of an item, as nobody with its rights could."""
    if writer == "replica_writer":
        table = deployed.outputs["ReplicaTableName"]
        deployed.replica.delete_item(TableName=table, Key=key_of(identifier))
        return
    for row in deployed.rows(identifier):
        deployed.dynamodb.delete_item(
            TableName=deployed.outputs["HistoryTableName"],
            Key={name: row[name] for name in ("Id", "ApproximateCreationDateTime")},
        )


@pytest.mark.parametrize("writer", WRITERS)
def test_stream_without_both_images_is_refused(deployed, identifier, writer):
    """A stream of another view type fails the invocation by name, with nothing written at all."""
    deployed.put(identifier, Name={"S": "x"})
    deployed.caught_up(identifier, changes=1)
    kept = _kept(deployed, writer, identifier)
    (good,) = deployed.records(identifier)
    _forget(deployed, writer, identifier)

    for view_type in ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"):
        poor = _with_body(good, StreamViewType=view_type)
        answer, error, _ = deployed.invoke(writer, [good, poor])

        assert error
        assert f"{view_type}, not NEW_AND_OLD_IMAGES" in answer["errorMessage"]
        assert _kept(deployed, writer, identifier) == []
        assert deployed.quarantined(writer, poor) == []

    # Refused as a whole, it is all there to be delivered again.
    assert deployed.invoke(writer, [good])[:2] == (NOTHING_FAILED, None)
    assert _kept(deployed, writer, identifier) == kept


def test_altered_record_does_not_touch_the_row(deployed, identifier):
    """A record sent again with other content is quarantined; row and replica stay as they were."""
    deployed.put(identifier, Salary={"N": "1"})
    before = deployed.caught_up(identifier, changes=1)
    (record,) = deployed.records(identifier)
    altered = _with_body(record, NewImage={**key_of(identifier), "Salary": {"N": "1000000"}})

    answers = [deployed.invoke(writer, [altered])[:2] for writer in WRITERS]

    assert answers == [(NOTHING_FAILED, None)] * 2
    assert deployed.rows(identifier) == before
    assert deployed.replica_item(identifier)["Salary"] == {"N": "1"}
    (kept,) = deployed.quarantined("history_writer", altered)
    assert kept["Error"] == "IntegrityError"
    assert kept["Record"] == altered


# ---- How it is deployed --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (
            "HistoryWriter",
            {
                "HISTORY_TABLE": "HistoryTableName",
                "OVERFLOW_BUCKET": "OverflowBucketName",
                "TIME_SHARDS": "TimeShards",
            },
        ),
        (
            "ReplicaWriter",
            {
                "SOURCE_TABLE": "SourceTableName",
                "REPLICA_TABLE": "ReplicaTableName",
                "REPLICA_REGION": "ReplicaRegion",
            },
        ),
    ],
)
def test_deployed_settings_are_the_outputs(deployed, name, own):
    """Functions, mappings and outputs name the same tables, buckets and stream."""
    function = deployed.functions.get_function_configuration(
        FunctionName=deployed.outputs[f"{name}FunctionName"]
    )
    mapping = deployed.functions.get_event_source_mapping(UUID=deployed.outputs[f"{name}MappingId"])

    variables = function["Environment"]["Variables"]
    expected = own | {"QUARANTINE_BUCKET": "QuarantineBucketName"}
    assert {one: variables[one] for one in expected} == {
        one: deployed.outputs[output] for one, output in expected.items()
    }
    assert len(function["Layers"]) == 1
    assert mapping["State"] == "Enabled"
    assert mapping["FunctionArn"] == function["FunctionArn"]
    assert mapping["EventSourceArn"] == deployed.outputs["SourceStreamArn"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRecordAgeInSeconds"] == 43200
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"].endswith(
        f":{deployed.outputs['QuarantineBucketName']}"
    )
    assert not mapping.get("FilterCriteria", {}).get("Filters")


def test_deployed_tables_and_buckets_are_protected(deployed):
    """History and replica refuse deletion; the buckets keep every version."""
    outputs = deployed.outputs
    for client, table in (
        (deployed.dynamodb, outputs["HistoryTableName"]),
        (deployed.replica, outputs["ReplicaTableName"]),
    ):
        with pytest.raises(ClientError, match="deletion protection"):
            client.delete_table(TableName=table)

    for bucket in (outputs["OverflowBucketName"], outputs["QuarantineBucketName"]):
        assert deployed.s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@pytest.mark.parametrize("writer", WRITERS)
def test_an_invocation_logs_one_summary(deployed, identifier, writer):
    """An invocation logs one line that accounts for its records, and its metrics."""
    deployed.put(identifier, Name={"S": "x"})
    deployed.caught_up(identifier, changes=1)

    _, _, log = deployed.invoke(writer, deployed.records(identifier) * 2)

    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (summary,) = [line for line in lines if line.get("message") == "batch"]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert summary["counts"]["RecordsRead"] == 2
    assert summary["unstored"] == 0
    assert metrics["RecordsRead"] == [2.0]
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "itemtrail"
    assert summary["service"] == metrics["service"]
    assert writer.replace("_", "-") in summary["service"].replace("_", "-")


def test_no_item_data_reaches_a_log(deployed, local_stack):
    """Neither keys nor attribute values of stored and of broken records are ever logged."""
    key, value, binary = "271828182845904523", "canary-in-a-value", b"canary-in-binary"
    deployed.put(key, Name={"S": value}, Badge={"B": binary})
    deployed.caught_up(key, changes=1)
    (record,) = deployed.records(key)
    broken = [
        _with_body(record, NewImage={**key_of(key), "Badge": {"B": value}}),
        _with_body(record, NewImage={**key_of(key), "Name": {"S": value, "N": value}}),
        _with_body(record, NewImage={**key_of(key), "Amount": {"N": value}}),
        _with_body(record, NewImage={**key_of(7), "Name": {"S": value}}),
        _with_body(record, Keys={"Id": {"X": key}}),
        _with_body(record, NewImage={**key_of(key), "Name": {"S": value + "-altered"}}),
    ]

    for writer in WRITERS:
        deployed.invoke(writer, [record, *broken])
    for writer in WRITERS:
        # A failure as a whole logs a traceback.
        deployed.invoke(writer, [record, _with_body(record, StreamViewType="KEYS_ONLY")])

    logged = deployed.log_text() + local_stack.log.read_text("utf-8", "replace")
    assert '"message":"batch"' in logged
    assert "ViewTypeError" in logged
    canaries = (key, value, binary.decode(), base64.b64encode(binary).decode())
    assert [one for one in canaries if one in logged] == []


# ---- The command line ----------------------------------------------------------------------


@pytest.fixture
def run_itemtrail(local_stack, monkeypatch, capsys):
    """Run `itemtrail` against the deployed system, by `--endpoint-url` alone.

    As a program of its own it runs in test_terminal.py and test_wheel.py.
    """
    for name, value in local_stack.environment().items():
        if name.startswith("AWS_") and name != "AWS_ENDPOINT_URL":
            monkeypatch.setenv(name, value)

    def run(*arguments, endpoint_url=local_stack.endpoint_url):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--endpoint-url", endpoint_url])
        return subprocess.CompletedProcess(arguments, ended.value.code, *capsys.readouterr())

    return run


def test_history_command_lists_every_version(deployed, run_itemtrail, identifier):
    """`itemtrail history` in a pipe gives every version as JSON, deletion and all, and exits 0."""
    item = deployed.put(identifier, Name={"S": "Murali"}, Badge={"B": b"\x00\xff"})
    deployed.delete(identifier)
    deployed.caught_up(identifier, changes=2)

    ran = run_itemtrail("history", identifier, "--stack", STACK)

    assert (ran.returncode, ran.stderr) == (0, "")
    first, second = json.loads(ran.stdout)
    assert first["event_name"] == "INSERT"
    assert first["new_image"] == lambda_form(item)
    assert first["valid_to"] == second["valid_from"]
    assert (second["event_name"], second["new_image"]) == ("REMOVE", None)
    assert (second["old_image"], second["is_current"]) == (lambda_form(item), False)


def test_as_of_command_tells_state_and_certainty(deployed, run_itemtrail, identifier):
    """`itemtrail as-of` gives the state at a second, and says that it is exact and why."""
    item = deployed.put(identifier, Name={"S": "Murali"})
    (row,) = deployed.caught_up(identifier, changes=1)
    stamp = row["ApproximateCreationDateTime"]["S"].partition("#")[0]
    later = datetime.fromisoformat(stamp).timestamp() + 1
    eventually(lambda: time.time() > later)
    question = ("as-of", identifier, "--at", stamp, "--stack", STACK)

    ran = run_itemtrail(*question, "--certain", "--recorded-until", "now")
    unsure = run_itemtrail(*question, "--certain")

    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert (told["exists"], told["item"], told["certainty"]) == (True, item, "exact")
    # The emulator measures nothing, and its mapping is too young for its records' age to tell.
    assert unsure.returncode == 2
    assert "only bounded" in unsure.stderr
    assert (told["valid_from"], told["valid_to"]) == (stamp, None)
    assert told["row"]["sequence_number"] == row["SequenceNumber"]["S"]


def test_as_of_command_before_the_history_is_not_certain(deployed, run_itemtrail, identifier):
    """A time before the history began is answered as unknown, and refused with `--certain`."""
    deployed.put(identifier, Name={"S": "Murali"})
    deployed.caught_up(identifier, changes=1)
    question = ("as-of", f"Id={identifier}", "--at", "2018-03-03", "--stack", STACK)

    ran, certain = run_itemtrail(*question), run_itemtrail(*question, "--certain")

    assert json.loads(ran.stdout)["certainty"] == "unknown"
    assert ran.returncode == 1
    assert (certain.returncode, certain.stdout) == (2, "")
    assert len(certain.stderr.splitlines()) == 1


def test_diff_command_shows_what_differs(deployed, run_itemtrail, identifier):
    """`itemtrail diff` gives the net difference between two instants by attribute path."""
    deployed.put(identifier, Name={"S": "a"}, Gone={"N": "1"}, Same={"N": "1"})
    (row,) = deployed.caught_up(identifier, changes=1)
    second = row["ApproximateCreationDateTime"]["S"].partition("#")[0]
    # Stamps are whole seconds: only a change of a later one is a change since then.
    later = datetime.fromisoformat(second).timestamp() + 1
    eventually(lambda: time.time() > later)
    deployed.put(identifier, Name={"S": "b"}, Same={"N": "1"}, New={"S": ""})
    deployed.caught_up(identifier, changes=2)

    question = ("diff", identifier, "--from", second, "--stack", STACK)
    ran = run_itemtrail(*question, "--recorded-until", "now")

    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["from"]["certainty"] == told["to"]["certainty"] == "exact"
    assert {
        one["path"]: (one["change"], one["old"], one["new"]) for one in told["differences"]
    } == {
        "Name": ("changed", {"S": "a"}, {"S": "b"}),
        "Gone": ("removed", {"N": "1"}, None),
        "New": ("added", None, {"S": ""}),
    }


def test_question_about_nothing_is_a_finding(deployed, run_itemtrail, identifier):
    """The history of an item that never was is empty JSON and exit 1, so that a script can tell."""
    assert deployed.source_item(identifier) is None

    ran = run_itemtrail("history", identifier, "--stack", STACK)

    assert (ran.returncode, json.loads(ran.stdout)) == (1, [])
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("as-of", "--at", "now"), 1),
        (("timeline",), 1),
        (("blame",), 1),
        (("diff", "--from", "1h ago"), 0),
        (("changes", "--since", "1h ago"), 1),
        (("between", "--since", "1h ago"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_every_question_about_nothing_is_answered(
    deployed, run_itemtrail, identifier, command, status
):
    """An engine refuses a range that ends before it starts: of no rows there is none to ask."""
    assert deployed.source_item(identifier) is None
    name, *options = command

    ran = run_itemtrail(name, identifier, *options, "--stack", STACK)

    assert ran.returncode == status, ran.stderr
    json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("as-of", "1", "--at", "last tuesday", "--stack", STACK), "last tuesday"),
        (("history", "1", "--history-table", "Nowhere"), "Nowhere"),
        (("history", "1", "--history-table", SOURCE), "not a history table"),
        (("history", "1", "--stack", "nosuchstack"), "nosuchstack"),
        (("history", "1", "--stack", STACK, "--region", REPLICA_REGION), REPLICA_REGION),
        (("history", "one", "--stack", STACK), "Id (N)"),
        (("history", "Artist=a", "Title=b", "--stack", STACK), "Id (N)"),
    ],
)
@pytest.mark.usefixtures("deployed")
def test_bad_input_is_one_line_and_exit_2(run_itemtrail, arguments, told):
    """What cannot be answered is one line that names what is wrong, and exit 2."""
    ran = run_itemtrail(*arguments)

    _assert_one_line(ran, told)


def test_unreachable_endpoint_is_one_line_and_exit_2(run_itemtrail):
    """An endpoint where nobody listens is named in one line, with exit 2."""
    with socket.socket() as held:
        # Bound and not listening: nobody else can take the port, and it answers nobody.
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]

        ran = run_itemtrail(
            "history", "1", "--stack", STACK, endpoint_url=f"http://127.0.0.1:{port}"
        )

    _assert_one_line(ran, str(port))


def test_malformed_endpoint_is_one_line_and_exit_2(run_itemtrail):
    """An endpoint that is no URL is named in one line, with exit 2."""
    ran = run_itemtrail("history", "1", "--stack", STACK, endpoint_url="localhost:8000")

    _assert_one_line(ran, "localhost:8000")


def _assert_one_line(ran, told):
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("Error: ")
    assert told in line


# ---- The demo's own judgement --------------------------------------------------------------


@pytest.fixture(scope="module")
def sabotaged_demo(deployed, local_stack):
    """The demo on the deployed system with a forged row in its history; its status and output."""
    deployed.empty()
    deployed.dynamodb.put_item(
        TableName=deployed.outputs["HistoryTableName"],
        Item={"Id": {"S": "forged"}, "ApproximateCreationDateTime": {"S": "2026"}},
    )
    ready = contextlib.nullcontext(_Ready(deployed, local_stack))
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(itemtrail.local.demo, "LocalStack", lambda _: ready)
        patch.setattr(itemtrail.local.demo, "STACK", STACK)
        patch.setattr(signal, "pause", _interrupt)
        patch.setattr(sys, "argv", [PROGRAM, "demo", "--keep"])
        demo = itemtrail.local.demo.Demo(Console(file=output, width=200), seed=1)
        status = demo.run(keep=True)
    return status, output.getvalue()


@dataclass(frozen=True)
class _Ready:
    """A local stack where everything is built and deployed already."""

    deployed: DeployedStack
    stack: Any

    @property
    def endpoint_url(self):
        return self.stack.endpoint_url

    def build(self):
        pass

    def deploy(self, *_args, **_options):
        # Those of replica.yaml too.
        return {"ReplicaKmsKeyArn": "", **self.deployed.outputs}

    def session(self, region=None):
        return self.stack.session(region)


def _interrupt():
    raise KeyboardInterrupt


def test_demo_fails_when_something_does_not_hold(sabotaged_demo):
    """A row that no change explains is told by the demo's check, and its exit status is 1."""
    status, output = sabotaged_demo

    assert status == 1
    assert "fails  every change is one history row" in output
    assert "rows for" in output


# Eight programs and a whole demo.
@pytest.mark.bank
def test_kept_demo_prints_commands_that_work(sabotaged_demo, local_stack, tmp_path):
    """The commands that `demo --keep` prints can be run as they are, and answer."""
    _, output = sabotaged_demo
    commands = [line.strip() for line in output.splitlines() if line.strip().startswith(PROGRAM)]
    exports = [line.strip() for line in output.splitlines() if line.startswith("  export ")]
    environment = {"PATH": local_stack.environment()["PATH"], "HOME": str(local_stack.folder)}

    ran = [
        subprocess.run(
            ["sh", "-ec", "\n".join([*exports, command])],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for command in commands
    ]

    said = {
        command.split()[1]: (one.returncode, one.stderr)
        for command, one in zip(commands, ran, strict=True)
    }
    for asked in ("history", "diff", "blame", "changes"):
        status, remarks = said[asked]
        assert (status, "Error" in remarks) == (0, False)
    # Before the history began there may have been no such item yet.
    assert said["as-of"] in ((0, ""), (1, ""))
    # The forged row is found, and marked by what has to read it.
    assert said["table-as-of"][0] == 1
    assert "1 row is of another table" in said["table-as-of"][1]
    assert said["verify"] == (1, "")
    assert said["report"][0] == 0
    assert json.loads(ran[0].stdout)[0]["new_image"]["Name"] == {"S": "Murali"}
