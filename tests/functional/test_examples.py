"""Every example in the help of every command does what it says, on the deployed system.

The examples of `demo` are left out: that command has its own tests, in test_local_stack.py. So are
those that have DynamoDB export a table: no emulator does; test_archive.py has a stand-in for it.
"""

import contextlib
import csv
import io
import json
import re
import shlex
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from unittest.mock import ANY

import click
import pyarrow.parquet
import pytest

from itemtrail.cli import commands, main
from itemtrail.local.local_stack import EMULATED
from operations.redrive.objects import StreamRange
from reports import HistoryTable
from reports.deployment.watermark import WatermarkFinder
from tests.eventually import eventually
from tests.export_files import export_files, write_to
from tests.factories import RECORDED, item, lambda_form
from tests.left_behind import invocation
from tests.recorded_history import rows_of
from warehouse.archive.ingest import ingest

pytestmark = pytest.mark.functional

STACK, SOURCE = "employee-trail", "Employee"
# What writes has a stack of the same name to itself, so that the questions' answers stay.
WRITING = {"enable", "backfill", "compare", "repair", "redrive", "restore", "undo"}
WRITING_REGION = "us-west-2"
# This leaves an item's rows for ever, which the others would find.
ACCEPTING, ACCEPTING_REGION = {"accept"}, "us-east-2"
# These ask a dataset, which is made of files.
OF_A_DATASET = {"archive", "query"}
FOREIGN = {"Id": {"N": "7"}}
TABLES = "arn:aws:dynamodb:us-east-1:123456789012:table"
EXPORT = "export/AWSDynamoDB/01693685827463-2d8752fd"
# Everything else exits with 0.
STATUS = {
    # Nothing was there in March: the stack is new.
    "as-of 42 --at 2026-03-03T18:46:00Z": 1,
    # MiniStack has not all that is looked at, 3; examples before it may have left something, 1.
    "doctor": ANY,
    # The stream keeps the records of earlier tests, whose rows are gone: 1 after such, 0 alone.
    "status --prove": ANY,
    # Somebody has written to the replica.
    "compare --sample": 0,
    "compare": 1,
    "repair --stack employee-trail --rate 500 --apply": 0,
    "repair --stack": 1,
}
# What has to be in the answer, where it is known.
LINES = {
    "history 42": 3,
    "changes 42": 3,
    "changes --since '1d ago' --event remove": 1,
    "changes --since '1d ago' --attribute status --from open --to closed": 2,
    "changes --since '1d ago' --actor ada": 3,
    "blame 42": 5,
    "between 42": 3,
    "table-as-of --at now": 2,
    # Of none of them is it known whether it was there: the stack is new.
    "table-as-of --at 2026-03-03": 3,
    "table-as-of --at '1 min ago'": None,
    "verify": None,
    "compare --sample": None,
    "compare": 1,
    "redrive --consumer history_writer": 2,
    "restore 42": 1,
    # What an earlier test has done already is in no plan.
    "repair --plan": None,
    "restore --plan": None,
    "undo --plan undo.plan --apply": None,
    "restore --keys-file": 3,
    "undo 42": 1,
    "undo --since": 2,
}


def examples():
    """The command lines in the help of the program and of every command, as they are typed."""
    for command in (commands, *commands.commands.values()):
        told = click.unstyle(command.help or "").partition("Example:")[2]
        # A backslash at the end goes on in the next line, as in a shell.
        for line in re.sub(r"\\\n\s*", "", told).splitlines():
            if line.strip():
                yield line.strip()


def _command(example):
    return example.split()[1]


EXAMPLES = sorted(
    {
        line
        for line in examples()
        if not line.startswith("itemtrail demo") and " --to s3://" not in line
    }
)


@pytest.fixture(scope="module")
def asked(deployed, local_stack):
    """The stack that the examples name, its table written through the ordinary API."""
    deployed.empty()
    _write(deployed.dynamodb)
    _await_rows(local_stack, local_stack.region, deployed.outputs, 7)


@pytest.fixture(scope="module")
def damaged(local_stack, built):
    """The stack for what writes, after a bad job."""
    parameters = {"SampleSourceTableName": SOURCE, **EMULATED}
    outputs = local_stack.deploy(STACK, parameters, template=built, region=WRITING_REGION)
    with contextlib.ExitStack() as closing:

        def client(service):
            made = local_stack.client(service, WRITING_REGION)
            return closing.enter_context(contextlib.closing(made))

        dynamodb = client("dynamodb")
        for identifier in ("42", "43", "44"):
            _put(dynamodb, identifier, "Murali", "open", "ada")
        before = _next_second()
        for identifier in ("42", "43"):
            _put(dynamodb, identifier, "Murali", "closed", "payroll")
        after = _next_second()
        _await_rows(local_stack, WRITING_REGION, outputs, 5)
        moments = {"2026-03-03T18:40Z": before, "2026-03-03T18:46Z": after}
        yield Damaged(dynamodb, client("s3"), client("dynamodbstreams"), outputs, moments)


@dataclass(frozen=True)
class Damaged:
    """A stack in need of the commands that write, and the moments before and after a bad job."""

    dynamodb: Any
    s3: Any
    streams: Any
    outputs: dict
    moments: dict

    def typed(self, example):
        """The words of an example, with the moments of the real mistake."""
        return [self.moments.get(word, word) for word in shlex.split(example)[1:]]

    def damage(self):
        """Write to the replica what the source has not, and quarantine a record.

        What earlier examples wrote is in the history before: an operation would wait for it.
        """
        eventually(lambda: all(map(self._is_recorded, ("42", "43", "44"))))
        content = {"Format": 1, "Consumer": "history_writer", "Error": "", "Reason": ""}
        content["Record"] = lambda_form(self.records[0])
        self.dynamodb.put_item(TableName=self.outputs["ReplicaTableName"], Item=FOREIGN)
        self.s3.put_object(
            Bucket=self.outputs["QuarantineBucketName"],
            Key="quarantine/history_writer/1.json",
            Body=json.dumps(content, default=datetime.timestamp),
        )

    def _is_recorded(self, identifier):
        """Whether the last row of an item has left it as it is."""
        table, key = self.outputs["HistoryTableName"], {"Id": {"N": identifier}}
        live = self.dynamodb.get_item(TableName=SOURCE, Key=key, ConsistentRead=True).get("Item")
        (newest,) = self.dynamodb.query(
            TableName=table,
            KeyConditionExpression="Id = :id",
            ExpressionAttributeValues={":id": {"S": identifier}},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=1,
        )["Items"]
        return newest.get("NewImage", {}).get("M") == live

    def heal(self):
        """Take the foreign item away."""
        self.dynamodb.delete_item(TableName=self.outputs["ReplicaTableName"], Key=FOREIGN)

    def write_files(self, folder):
        """The files that the examples name: an export, and a message from a dead-letter queue."""
        numbers = [one["dynamodb"]["SequenceNumber"] for one in self.records]
        place = StreamRange(self.outputs["SourceStreamArn"], self.shard, *numbers[:2], 2)
        (folder / "dead-letters.json").write_text(json.dumps(invocation(place=place)))
        table = self.dynamodb.describe_table(TableName=SOURCE)["Table"]
        files = export_files(
            [{**item(), "Id": {"N": "44"}}],
            table_arn=table["TableArn"],
            table_id=table.get("TableId", ""),
            time=datetime.now(UTC),
        )
        for name, content in files.items():
            path = folder / EXPORT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    @cached_property
    def records(self):
        """The first page of the stream, each record with the ARN that Lambda adds."""
        arn = self.outputs["SourceStreamArn"]
        iterator = self.streams.get_shard_iterator(
            StreamArn=arn, ShardId=self.shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = self.streams.get_records(ShardIterator=iterator)["Records"]
        return [record | {"eventSourceARN": arn} for record in records]

    @cached_property
    def shard(self):
        """The name of the stream's only shard."""
        described = self.streams.describe_stream(StreamArn=self.outputs["SourceStreamArn"])
        (shard,) = described["StreamDescription"]["Shards"]
        return shard["ShardId"]


def _await_rows(stack, region, outputs, rows):
    trail = HistoryTable(outputs["HistoryTableName"], SOURCE, session=stack.session(region))
    eventually(lambda: sum(len(list(trail.rows({"Id": key}))) for key in (42, 43, 44)) >= rows)


def _next_second():
    """A moment of which nothing before or after is stamped in the same second."""
    time.sleep(1.1)
    moment = datetime.now(UTC)
    time.sleep(1.1)
    return moment.isoformat()


def _write(dynamodb):
    """Three items: one that changes and stays, one that is deleted, one that is only there."""
    _put(dynamodb, "42", "Murali", "open", "recruiting")
    _put(dynamodb, "42", "Murali Allada", "open", "ada")
    _put(dynamodb, "42", "Murali Allada", "closed", "ada")
    _put(dynamodb, "43", "Grace", "open", "ada")
    _put(dynamodb, "43", "=Grace", "closed", "grace")
    dynamodb.delete_item(TableName=SOURCE, Key={"Id": {"N": "43"}})
    _put(dynamodb, "44", "Radia", "open", "grace")


def _put(dynamodb, identifier, name, status, by):
    texts = {"Name": name, "status": status, "updated_by": by}
    attributes = {name: {"S": text} for name, text in texts.items()}
    item = {"Id": {"N": identifier}, "Salary": {"N": "4200.50"}, **attributes}
    dynamodb.put_item(TableName=SOURCE, Item=item)


@pytest.fixture
def folder(tmp_path, monkeypatch, local_stack):
    """Where the examples are typed: with the files they name, and the environment they need."""
    for name, value in local_stack.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text('42\nId=43\n{"Id": 44}\n')
    (tmp_path / "known-gaps.json").write_text(
        '[{"cause": "outage of 3 March", "class": "MISSING_START", "to": "2018-03-03"}]'
    )
    return tmp_path


def test_every_command_has_examples():
    """What is run below is all there is."""
    told = {line.split()[1] for line in EXAMPLES}

    assert told == commands.commands.keys() - {"demo"}
    assert all(line.startswith("itemtrail ") for line in EXAMPLES)


@pytest.fixture
def archived(tmp_path, monkeypatch):
    """Where the examples of a dataset are typed: with an export of a history, and the dataset."""
    monkeypatch.chdir(tmp_path)
    rows = rows_of(item(), {**item(), "status": {"S": "open"}}, None)
    stored = [row.to_item(4) for row in rows]
    files = export_files(stored, table_arn=f"{TABLES}/{STACK}-history")
    ingest("trail", write_to(tmp_path / EXPORT, files), None)


@pytest.mark.usefixtures("archived")
@pytest.mark.parametrize("example", [one for one in EXAMPLES if _command(one) in OF_A_DATASET])
def test_example_of_a_dataset(example, tmp_path, capsysbinary):
    """The same, where there is no stack at all."""
    _try(example, shlex.split(example)[1:], tmp_path, capsysbinary)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    "example",
    [line for line in EXAMPLES if _command(line) not in WRITING | ACCEPTING | OF_A_DATASET],
)
def test_example(example, folder, monkeypatch, capsysbinary):
    """It ends as it should, and gives what it asks for: nothing else is on stdout."""
    # The emulator's stream has no page that comes later.
    monkeypatch.setattr("operations.proof._PAUSE_S", 0.0)
    _try(example, shlex.split(example)[1:], folder, capsysbinary)


@pytest.mark.parametrize("example", [one for one in EXAMPLES if _command(one) in WRITING])
def test_example_of_what_writes(example, folder, damaged, monkeypatch, capsysbinary):
    """The same, on a stack where something is wrong; the times are those of a real mistake."""
    monkeypatch.setenv("AWS_REGION", WRITING_REGION)
    # Nobody writes meanwhile: what differs does not have to last.
    monkeypatch.setattr("operations.replica.watch.PATIENCE_S", 1.0)
    # The emulator has no metrics of which half a day ago could be known to be complete.
    monkeypatch.setattr(WatermarkFinder, "find", lambda _self: RECORDED)
    damaged.write_files(folder)
    damaged.damage()
    if "--sample" in example:
        # By chance it would be found, and mostly not.
        damaged.heal()

    words = damaged.typed(example)
    if "--plan" in words:
        (making,) = [one for one in EXAMPLES if f"--plan-out {words[2]} " in f"{one} "]
        _try(making, damaged.typed(making), folder, capsysbinary)
    err = _try(example, words, folder, capsysbinary)

    is_dry = "--apply" not in words and words[0] not in ("compare", "enable")
    # A kept plan of what another example has done by now has no items.
    assert (b"nothing was written" in err) is (is_dry or b"the plan has no items" in err)


@pytest.fixture(scope="module")
def untried(local_stack, built):
    """The stack in a region where no other example is typed."""
    parameters = {"SampleSourceTableName": SOURCE, **EMULATED}
    local_stack.deploy(STACK, parameters, template=built, region=ACCEPTING_REGION)


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("example", [one for one in EXAMPLES if _command(one) in ACCEPTING])
def test_example_of_accept(example, folder, monkeypatch, capsysbinary):
    """The same; without --apply nothing is written."""
    monkeypatch.setenv("AWS_REGION", ACCEPTING_REGION)

    err = _try(example, shlex.split(example)[1:], folder, capsysbinary)

    assert (b"nothing was written" in err) is ("--apply" not in example)


def _try(example, words, folder, capsysbinary):
    command, file = words[0], None
    if ">" in words:
        *words, _, file = words

    with pytest.raises(SystemExit) as ended:
        main(words)

    out, err = capsysbinary.readouterr()
    expected = _known(STATUS, example, 0)
    if expected is not ANY:
        assert ended.value.code == expected, err
    assert (ended.value.code == 2, b"Traceback" in err, b"Error" in err) == (False,) * 3, err
    if command == "report" and "--file" in words:
        assert out == b""
        out = (folder / words[words.index("--file") + 1]).read_bytes()
    answer = _read(command, words, out)
    lines = _known(LINES, example, "some")
    assert answer if lines == "some" else lines is None or len(answer) == lines, answer
    assert file is None or file.endswith(f".{_form(command, words)}")
    return err


def _known(by_start, example, otherwise):
    """What is known of an example, by what it begins with."""
    typed = example.removeprefix("itemtrail ")
    return next((known for start, known in by_start.items() if typed.startswith(start)), otherwise)


def _form(command, words):
    if command == "report":
        return "html"
    return words[words.index("--output") + 1] if "--output" in words else "json"


def _read(command, words, out):
    """What was printed, read as what was asked for."""
    match _form(command, words):
        case "json":
            return json.loads(out)
        case "jsonl":
            return [json.loads(line) for line in out.splitlines()]
        case "csv":
            header, *lines = csv.reader(io.StringIO(out.decode("utf-8"), newline=""))
            assert all(len(line) == len(header) for line in lines)
            return lines
        case "parquet":
            return pyarrow.parquet.read_table(io.BytesIO(out)).to_pylist()
        case _:
            assert out.lower().startswith(b"<!doctype html>")
            assert out.rstrip().endswith(b"</html>")
            return out
