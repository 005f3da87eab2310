"""Every example in the help of every command does what it says, on the deployed system.

The examples of `demo` are left out: that command has its own tests, in test_local_stack.py.
"""

import contextlib
import csv
import io
import json
import re
import shlex
import time

import click
import pyarrow.parquet
import pytest

from itemtrail.cli import commands, main
from itemtrail.local_stack import LocalStack
from reports import HistoryTable

pytestmark = pytest.mark.functional

STACK, SOURCE = "employee-trail", "Employee"
WITHIN_S = 20
# Everything else exits with 0.
STATUS = {
    # Nothing was there in March: the stack is new.
    "as-of 42 --at 2026-03-03T18:46:00Z": 1,
    # MiniStack says that its tables have no point-in-time recovery.
    "doctor": 1,
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
}


def examples():
    """The command lines in the help of the program and of every command, as they are typed."""
    for command in (commands, *commands.commands.values()):
        told = click.unstyle(command.help or "").partition("Example:")[2]
        # A backslash at the end goes on in the next line, as in a shell.
        for line in re.sub(r"\\\n\s*", "", told).splitlines():
            if line.strip():
                yield line.strip()


EXAMPLES = sorted({line for line in examples() if not line.startswith("itemtrail demo")})


@pytest.fixture(scope="module")
def deployed():
    """The stack that the examples name, its table written through the ordinary API."""
    with LocalStack() as stack:
        stack.build()
        outputs = stack.deploy(
            STACK, {"SourceTableName": SOURCE, "CreateSampleSourceTable": "true"}
        )
        with contextlib.closing(stack.client("dynamodb")) as dynamodb:
            _write(dynamodb)
        trail = HistoryTable(outputs["HistoryTableName"], SOURCE, session=stack.session())
        deadline = time.monotonic() + WITHIN_S
        while sum(len(list(trail.rows({"Id": one}))) for one in (42, 43, 44)) < 7:
            assert time.monotonic() < deadline, "the history never caught up"
            time.sleep(0.05)
        yield stack


def _write(dynamodb):
    """Three items: one that changes and stays, one that is deleted, one that is only there."""

    def put(identifier, name, status, by):
        texts = {"Name": name, "status": status, "updated_by": by}
        attributes = {name: {"S": text} for name, text in texts.items()}
        item = {"Id": {"N": identifier}, "Salary": {"N": "4200.50"}, **attributes}
        dynamodb.put_item(TableName=SOURCE, Item=item)

    put("42", "Murali", "open", "recruiting")
    put("42", "Murali Allada", "open", "ada")
    put("42", "Murali Allada", "closed", "ada")
    put("43", "Grace", "open", "ada")
    put("43", "=Grace", "closed", "grace")
    dynamodb.delete_item(TableName=SOURCE, Key={"Id": {"N": "43"}})
    put("44", "Radia", "open", "grace")


@pytest.fixture
def folder(tmp_path, monkeypatch, deployed):
    """Where the examples are typed: with the files they name, and the environment they need."""
    for name, value in deployed.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text('42\nId=43\n{"Id": 44}\n')
    (tmp_path / "known-gaps.json").write_text('[{"cause": "outage of 3 March"}]')
    return tmp_path


def test_every_command_has_examples():
    """What is run below is all there is."""
    told = {line.split()[1] for line in EXAMPLES}

    assert told == commands.commands.keys() - {"demo"}
    assert all(line.startswith("itemtrail ") for line in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example, folder, capsysbinary):
    """It ends as it should, and gives what it asks for: nothing else is on stdout."""
    words = shlex.split(example)[1:]
    command, file = words[0], None
    if ">" in words:
        *words, _, file = words

    with pytest.raises(SystemExit) as ended:
        main(words)

    out, err = capsysbinary.readouterr()
    expected = _known(STATUS, example, 0)
    assert (ended.value.code, b"Traceback" in err, b"Error" in err) == (expected, False, False), err
    if "--file" in words:
        assert out == b""
        out = (folder / words[words.index("--file") + 1]).read_bytes()
    answer = _read(command, words, out)
    lines = _known(LINES, example, "some")
    assert answer if lines == "some" else lines is None or len(answer) == lines
    assert file is None or file.endswith(f".{_form(command, words)}")


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
