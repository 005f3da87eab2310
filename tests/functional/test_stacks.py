"""Several stacks of the real template in one account, and what an update leaves in place."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from itemtrail.cli import main
from itemtrail.local import sam
from reports.deployment.stack import Consumer, Stack
from tests.eventually import eventually

pytestmark = [pytest.mark.functional, pytest.mark.bank]


@pytest.fixture(scope="module")
def halves(deploy):
    """The history of a table in one stack, its replica in another."""
    audit = deploy("audit", SampleSourceTableName="Halved", Consumers="history")
    stream = audit.outputs["SourceStreamArn"]
    second = deploy("second", Consumers="replica", SourceStreamArn=stream)
    return audit, second


@pytest.fixture
def cli(local_stack, monkeypatch, capsys, tmp_path):
    """Run a command line against the emulator; gives the exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name, value in local_stack.environment().items():
        monkeypatch.setenv(name, value)

    def cli(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return cli


def _becomes(read, wanted):
    eventually(lambda: read() == wanted)


def _resources(local_stack, name):
    with contextlib.closing(local_stack.client("cloudformation")) as formation:
        pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
        }


def test_two_stacks_share_nothing(deployed, deploy, local_stack):
    """Two stacks side by side have no resource in common, and each follows its own table alone."""
    deployed.empty()
    other = deploy("other-side")

    deployed.put(1)
    deployed.put(2)
    other.put(3)

    _becomes(deployed.recorded, [1, 2])
    _becomes(deployed.replicated, [1, 2])
    _becomes(other.recorded, [3])
    _becomes(other.replicated, [3])
    resources = [_resources(local_stack, stack.name) for stack in (deployed, other)]
    # The replica of the first is in a stack of its own.
    assert resources[1].keys() - resources[0].keys() == {"ReplicaTable"}
    assert resources[0].keys() < resources[1].keys()
    assert set(resources[0].values()).isdisjoint(resources[1].values())


def test_update_in_place_loses_nothing(halves, local_stack, tmp_path):
    """A stack with a history alone is updated while a replica's stack follows the same table.

    Code and settings of its function are others afterwards; tables, buckets and mappings, and what
    they hold, are the same, and no change is left out. (A mapping's own numbers are left alone: of
    an updated mapping the emulator makes texts of them, and reads no more.)
    """
    history, replica = halves
    assert not {name for name in history.outputs if "Replica" in name}
    assert not {name for name in replica.outputs if "History" in name or "Overflow" in name}
    for identifier in range(10):
        history.put(identifier)
    _becomes(history.recorded, list(range(10)))
    outputs, resources = history.outputs, _resources(local_stack, "audit")

    history.template = _newer(history.template, tmp_path)
    history.deploy(MemorySize="512", Timeout="30", LogLevel="WARNING")
    for identifier in range(10, 20):
        history.put(identifier)

    _becomes(history.recorded, list(range(20)))
    _becomes(replica.replicated, list(range(20)))
    assert history.outputs == outputs
    assert _resources(local_stack, "audit") == resources
    now = history.functions.get_function_configuration(
        FunctionName=outputs["HistoryWriterFunctionName"]
    )
    assert (now["MemorySize"], now["Timeout"]) == (512, 30)
    assert now["Environment"]["Variables"]["LOG_LEVEL"] == "WARNING"


def _newer(built, folder):
    """The packages with other code that does the same."""
    template = shutil.copytree(built.parent, folder / "newer") / built.name
    with (template.parent / "HistoryWriterFunction/history_writer/app.py").open("a") as code:
        code.write("\n# newer\n")
    return template


def test_a_stack_of_one_consumer_is_well(halves):
    """Of two stacks on a table, each has its own part, and nothing is missing in either."""
    for watched, consumer, role in zip(halves, Consumer, ("history", "replica"), strict=True):
        status = watched.status()

        assert watched.stack.consumers == (consumer,)
        assert [one.role for one in status.tables] == ["source", role]
        assert [one.consumer for one in status.consumers] == [consumer]
        assert [one.count for one in status.kept_aside] == [0, 0]
        assert (status.clean, status.horizon is None) == (True, role == "replica")


def test_two_stacks_of_one_consumer_are_two_readers(halves):
    """They are all that a shard takes, and no finding in either."""
    for watched, role in zip(halves, ("history", "replica"), strict=True):
        assert watched.findings() == []
        (readers,) = [one for one in watched.advice() if one.check == "readers"]
        assert readers.observation.startswith("2 event source mappings read the stream: ")
        assert readers.observation.endswith(f"{role} only (Consumers={role})")


def test_the_commands_of_the_other_half_say_so(halves, cli):
    """One clear line and exit 2; what the stack has is done without being told."""
    history, replica = halves
    # A verdict over nothing is none.
    history.put(1)
    eventually(history.recorded)
    eventually(replica.replicated)
    for arguments, expected in (
        (("compare", "--stack", "audit"), "stack 'audit' follows 'Halved' with its history writer"),
        (("verify", "--stack", "second"), "stack 'second' follows 'Halved' with its replica writ"),
    ):
        status, out, err = cli(*arguments)

        assert (status, out, err.count("\n")) == (2, "", 1)
        assert expected in err
    for name in ("audit", "second"):
        for command in ("backfill", "redrive"):
            status, _, err = cli(command, "--stack", name)

            assert status == 0, err
    assert cli("verify", "--stack", "audit")[0] == cli("compare", "--stack", "second")[0] == 0


def test_values_stay_where_they_are_written_down(deploy, local_stack, tmp_path):
    """A plain `sam deploy` takes the values of samconfig.toml, and takes back what it has not.

    So docs/deployment.md has values changed there, or with `--save-params`.
    """
    stack = deploy("written-down", TimeShards="2")
    parameters = stack.parameters | {"TimeShards": "2"}
    config = tmp_path / "samconfig.toml"
    values = " ".join(f"{name}={value}" for name, value in parameters.items())
    config.write_text(
        "version = 0.1\n[default.deploy.parameters]\n"
        f'stack_name = "{stack.name}"\nparameter_overrides = "{values}"\n'
        'resolve_s3 = true\nconfirm_changeset = false\ncapabilities = "CAPABILITY_IAM"\n'
        "fail_on_empty_changeset = false\n"
    )

    def shards_after(*options):
        command = [Path(sys.executable).parent / "sam", "deploy", "--config-file", config]
        subprocess.run(
            [*command, "--template-file", stack.template, *options],
            env=sam.environment() | local_stack.environment() | {"SAM_CLI_POLL_DELAY": "0.1"},
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        return Stack.read(stack.session, stack.name, local_stack.endpoint_url).time_shards

    more = ["--parameter-overrides", values.replace("TimeShards=2", "TimeShards=4")]
    assert shards_after() == 2
    assert shards_after(*more) == 4
    assert shards_after() == 2
    assert shards_after(*more, "--save-params") == 4
    assert shards_after() == 4


def test_what_no_mapping_read_comes_back_from_the_stream(deploy, cli):
    """A stack without its mapping: nothing is recorded until the stream itself is read.

    Then the mapping is made anew, as doctor says, and reads all once more.
    """
    half = deploy("unfollowed", Consumers="history")
    half.put(1)
    _becomes(half.recorded, [1])
    half.deploy(FollowStream="false")
    half.put(2)
    half.put(3)
    advice = [one.to_do for one in half.advice() if one.check == "mapping state"]
    redrive = ("redrive", "--from-stream", "--stack", half.name)

    planned = cli(*redrive)
    before = half.recorded()
    applied = cli(*redrive, "--apply")
    after = half.recorded()
    again = cli(*redrive)
    verified = cli("verify", "--stack", half.name)
    half.deploy(FollowStream="true")
    half.put(4)
    _becomes(half.recorded, [1, 2, 3, 4])
    doctor = json.loads(cli("doctor", "--stack", half.name)[1])

    assert (planned[0], before) == (1, [1])
    assert "2 of 3 records would be written" in planned[2]
    assert (applied[0], after) == (0, [1, 2, 3])
    assert again[0] == 0
    assert verified[0] == 0, verified
    assert "FollowStream=true" in advice[0]
    assert [one["ok"] for one in doctor if one["check"] == "mapping state"] == [True]
    assert cli("verify", "--stack", half.name)[0] == 0
