"""A table is restored into a new one on an emulator: interrupted, refused, gone on with."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.recovery.table.order import TAG, TableOrder
from operations.recovery.table.plan import plan_table
from operations.recovery.table.restore import restore_table
from reports.access.machine import Machine
from stream_core.attribute_values import same_item
from stream_core.history_row import time_text
from tests.factories import item, number, text
from tests.functional.test_restore_and_undo import EVERYTHING, trail  # noqa: F401 - a fixture
from tests.tables import key_schema

pytestmark = pytest.mark.functional

PROGRAM = str(Path(sys.executable).with_name("itemtrail"))
MANY = 600


@pytest.fixture
def new_table(trail, dynamodb):  # noqa: F811 - the fixture
    """The name of a table to be made; it is deleted afterwards, if it was."""
    name = f"{trail.names.source}-then"
    yield name
    try:
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=name)
    except dynamodb.exceptions.ResourceNotFoundException:
        pass


def restored(deployment, order, *, apply=True):
    """What a restore comes to that does not wait for what is refused."""
    pace = Pace(patience_s=0, machine=Machine(sleep=lambda _seconds: None))
    plan = plan_table(deployment, order, pace=pace)
    return restore_table(deployment, plan, apply=apply, pace=pace)


def filled(trail, count=MANY):  # noqa: F811 - the fixture
    """Have many items in the table, and all of them recorded; gives the moment."""
    for numbers in chunked(range(count), 25):
        requests = [
            {"PutRequest": {"Item": item(f"{n:04d}", Version=number(n), Kind=text("ab"[n % 2]))}}
            for n in numbers
        ]
        trail.dynamodb.batch_write_item(RequestItems={trail.names.source: requests})
    return trail.moment()


def tag_of(dynamodb, table):
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    tags = dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in tags}[TAG]


def command(trail, local_stack, endpoint_url, *words):  # noqa: F811 - the fixture
    """The program under way, on the trail's tables."""
    names = trail.names
    return subprocess.Popen(
        [
            *(PROGRAM, "restore", *words, "--output", "json"),
            *("--source-table", names.source, "--history-table", names.history),
            *("--time-shards", "4", "--recorded-until", time_text(datetime.now(UTC))),
            *("--endpoint-url", endpoint_url),
        ],
        env={**os.environ, **local_stack.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_whole_table_is_restored_into_a_new_one(trail, new_table):  # noqa: F811
    """As it was, every type, while the source goes on."""
    for n in range(60):
        trail.put(item(f"{n}", **EVERYTHING, Version=number(n)))
    then = trail.items()
    at = trail.moment()
    for n in range(0, 60, 3):
        trail.delete(f"{n}")
        trail.set(f"{n + 1}", {"Version": text("other")})
        trail.put(item(f"new-{n}"))
    trail.moment()
    now = trail.items()

    planned = restored(trail.deployment, TableOrder(new_table, at), apply=False)
    result = restored(trail.deployment, TableOrder(new_table, at))

    assert (planned.items, result.items) == (60, 60)
    assert result.is_clean
    there = trail.items(new_table)
    assert there.keys() == then.keys()
    assert all(same_item(there[one], then[one]) for one in then)
    assert trail.items() == now
    table = trail.dynamodb.describe_table(TableName=new_table)["Table"]
    assert table["DeletionProtectionEnabled"]
    assert tag_of(trail.dynamodb, new_table).startswith("finished ")


@pytest.mark.bank
def test_a_restore_that_was_killed_goes_on(
    trail,  # noqa: F811 - the fixture
    proxy,
    local_stack,
    dynamodb,
    new_table,
):
    """With the same command, which writes what is missing; another order is refused meanwhile."""
    at = filled(trail)
    order = ("--into", new_table, "--apply", "--yes")
    killed = command(trail, local_stack, proxy.url, *order, "--at", time_text(at))
    # Carried out, and nobody is there any more to hear of it.
    proxy.lose_answer("BatchWriteItem", killed.kill, after=3)
    killed.communicate()
    there = len(trail.items(new_table))
    tag = tag_of(dynamodb, new_table)

    other = command(trail, local_stack, proxy.url, *order, "--at", "2018-03-03T18:46Z")
    _, refusal = other.communicate()
    proxy.requests.clear()
    resumed = command(trail, local_stack, proxy.url, *order, "--at", time_text(at))
    out, err = resumed.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert 75 < there < MANY
    assert tag.startswith("unfinished made=yes ")
    assert other.returncode == 2
    assert "was begun by another restore; what differs is the instant" in refusal
    assert resumed.returncode == 0, err
    answer = json.loads(out)
    assert (answer["items"], answer["finished"]) == (MANY, True)
    # What was under way when it was killed may have arrived later.
    assert there <= answer["already_there"] < MANY
    missing = MANY - answer["already_there"]
    assert proxy.requests.count("BatchWriteItem") == -(-missing // 25)
    assert trail.items(new_table) == trail.items()
    assert tag_of(dynamodb, new_table).startswith("finished ")


def test_a_restore_goes_on_when_the_source_is_gone_since(
    trail,  # noqa: F811 - the fixture
    proxy,
    local_stack,
    new_table,
    tmp_path,
):
    """With the same command or its plan; what is not certain any more has to be allowed."""
    at = filled(trail)
    then = trail.items()
    order = ("--into", new_table, "--at", time_text(at))
    plan = tmp_path / "the.plan"
    url = local_stack.endpoint_url
    kept = ("--allow-uncertain", "--plan-out", str(plan))
    command(trail, local_stack, url, *order, *kept).communicate()
    killed = command(trail, local_stack, proxy.url, *order, "--apply", "--yes")
    proxy.lose_answer("BatchWriteItem", killed.kill, after=3)
    killed.communicate()
    trail.dynamodb.delete_table(TableName=trail.names.source)

    refused = command(trail, local_stack, url, *order, "--apply", "--yes")
    out, err = refused.communicate()
    there = len(trail.items(new_table))
    resumed = command(trail, local_stack, url, "--plan", str(plan), "--apply", "--yes")
    resumed_out, resumed_err = resumed.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert refused.returncode == 1, err
    answer = json.loads(out)
    assert (answer["applied"], answer["finished"], answer["uncertain"]) == (True, False, MANY)
    assert 75 < there == answer["already_there"] < MANY
    assert resumed.returncode == 1, resumed_err
    answer = json.loads(resumed_out)
    assert (answer["items"], answer["finished"], answer["uncertain"]) == (MANY, True, MANY)
    assert trail.items(new_table) == then
    assert tag_of(trail.dynamodb, new_table).startswith("finished made=yes ")


@pytest.mark.bank
def test_a_new_table_that_refuses_for_good_ends_the_run(
    trail,  # noqa: F811 - the fixture
    proxy,
    deployment,
    new_table,
):
    """With what was done; when it takes items again the same order goes on."""
    order = TableOrder(new_table, filled(trail))
    proxy.refuse("BatchWriteItem", "ProvisionedThroughputExceededException", after=4)

    first = restored(deployment, order)
    proxy.accept("BatchWriteItem")
    second = restored(deployment, order)

    assert first.ended.startswith(
        f"'{new_table}' answers ProvisionedThroughputExceededException: nothing has succeeded"
    )
    assert (first.items, first.unwritten, first.may_go_on) == (100, (), True)
    assert (second.items, second.already_there, second.is_clean) == (MANY, 100, True)
    assert trail.items(new_table) == trail.items()


@pytest.mark.bank
def test_a_history_that_refuses_for_good_ends_the_run(
    trail,  # noqa: F811 - the fixture
    proxy,
    deployment,
    new_table,
):
    """What was read until then is written, and the same order goes on."""
    order = TableOrder(new_table, filled(trail))
    proxy.refuse("BatchGetItem", "ProvisionedThroughputExceededException", after=2)

    first = restored(deployment, order)
    proxy.accept("BatchGetItem")
    second = restored(deployment, order)

    assert first.ended == (
        "a table that is read does not answer (ProvisionedThroughputExceededException)"
    )
    assert first.items == second.already_there < MANY
    assert (second.items, second.is_clean) == (MANY, True)


@pytest.fixture
def order(trail, new_table):  # noqa: F811 - the fixture
    """Many items, as they are now, into a new table."""
    return TableOrder(new_table, filled(trail))


@pytest.fixture
def own_time(monkeypatch):
    """A machine whose clock is moved by pauses alone, none of which is waited for; the pauses."""
    pauses = []
    # Also those of the client, before it reads once more.
    monkeypatch.setattr("botocore.endpoint.time.sleep", pauses.append)
    return Machine(clock=lambda: sum(pauses), sleep=pauses.append), pauses


def test_the_rate_holds_for_what_is_read_and_planned_too(deployment, order, own_time):
    """Every row is paid for in time when it is counted, and every item once more when written."""
    (machine, pauses), rate = own_time, 100
    seconds = []
    for apply in (False, True):
        pauses.clear()
        pace = Pace(rate, machine=machine)
        plan = plan_table(deployment, order, pace=pace)
        assert restore_table(deployment, plan, apply=apply, pace=pace).items == MANY
        seconds.append(sum(pauses))

    planned, written = seconds
    # The last call is paid for by the one that would come after it.
    assert planned >= (MANY - 100) / rate
    assert written >= planned + (MANY - 100) / rate


REFUSED = {
    "BatchGetItem": "a table that is read does not answer (ProvisionedThroughputExceededException)",
    "BatchWriteItem": "nothing has succeeded for 60 seconds: ended with what was done",
}


@pytest.mark.parametrize("operation", REFUSED)
def test_who_refuses_for_good_ends_the_run_after_a_minute(
    proxy, deployment, order, own_time, operation
):
    """Of the run, not of each item that is still to come; what was done is gone on from."""
    machine, pauses = own_time
    proxy.refuse(operation, "ProvisionedThroughputExceededException", after=2)
    pace = Pace(machine=machine)
    plan = plan_table(deployment, order, pace=pace)
    result = restore_table(deployment, plan, apply=True, pace=pace)
    waited = sum(pauses)
    proxy.accept(operation)
    later = restored(deployment, order)

    assert REFUSED[operation] in result.ended
    # Whoever waits side by side with others moves the same clock.
    assert 50 < waited < 60 * MANY / 25
    assert 0 < result.items == later.already_there < MANY
    assert (result.may_go_on, later.items, later.is_clean) == (True, MANY, True)


def test_the_new_table_has_what_the_source_has(
    trail,  # noqa: F811 - the fixture
    local_stack,
    dynamodb,
    new_table,
):
    """Indexes of both kinds, capacity, class, stream, tags; no item expires until that is asked."""
    source = f"{trail.names.source}-rich"
    kept = {
        "KeySchema": key_schema(["Id", "At"]),
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": tag}
            for name, tag in {"Id": "S", "At": "S", "By": "S", "Size": "N"}.items()
        ],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "by-size",
                "KeySchema": key_schema(["Id", "Size"]),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Note"]},
            }
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-whom",
                "KeySchema": key_schema(["By", "At"]),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
            }
        ],
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 50, "WriteCapacityUnits": 60},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
    }
    dynamodb.create_table(TableName=source, **kept, Tags=[{"Key": "team", "Value": "payroll"}])
    expiry = {"Enabled": True, "AttributeName": "Expires"}
    dynamodb.update_time_to_live(TableName=source, TimeToLiveSpecification=expiry)
    row = {"Id": text("1"), "At": text("2"), "By": text("ada"), "Size": number(3), "Note": text("")}
    dynamodb.put_item(TableName=source, Item=row)
    deployment = DeployedTables(
        source, local_stack.session(), history_table=trail.names.history, time_shards=4
    )
    order = TableOrder(new_table, datetime.now(UTC), allows_uncertain=True)

    planned = restored(deployment, order, apply=False)
    result = restored(deployment, order)

    assert planned.settings == result.settings
    table = dynamodb.describe_table(TableName=new_table)["Table"]
    source_table = dynamodb.describe_table(TableName=source)["Table"]
    for name in ("KeySchema", "AttributeDefinitions", "StreamSpecification"):
        assert table[name] == source_table[name] == kept[name]
    assert [_made(index) for index in table["LocalSecondaryIndexes"]] == (
        kept["LocalSecondaryIndexes"]
    )
    assert [_made(index) for index in table["GlobalSecondaryIndexes"]] == (
        kept["GlobalSecondaryIndexes"]
    )
    units = table["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (50, 60)
    assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert {"Key": "team", "Value": "payroll"} in tags
    ttl = dynamodb.describe_time_to_live(TableName=new_table)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"
    assert result.left_out[0].startswith("the time to live (by Expires)")
    query = {
        "TableName": new_table,
        "IndexName": "by-size",
        "KeyConditionExpression": "Id = :id AND Size > :size",
        "ExpressionAttributeValues": {":id": text("1"), ":size": number(2)},
    }
    assert [one["Id"] for one in dynamodb.query(**query)["Items"]] == [row["Id"]]


def _made(index):
    """An index as it was asked for."""
    asked = {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
    units = index.get("ProvisionedThroughput")
    return asked | ({"ProvisionedThroughput": units} if units else {})


def test_a_selection_is_planned_shown_and_carried_out_by_its_file(
    trail,  # noqa: F811 - the fixture
    local_stack,
    new_table,
    tmp_path,
):
    """Exactly those items, whatever became of them since; a key that nothing knows is named."""
    at = filled(trail, 40)
    for n in range(0, 40, 2):
        trail.set(f"{n:04d}", {"Kind": text("b")})
    trail.moment()
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(f"{n:04d}\n" for n in range(20)) + "nowhere\n", "utf-8")
    plan = tmp_path / "the.plan"
    url = local_stack.endpoint_url

    def run(*words):
        done = command(trail, local_stack, url, *words)
        out, err = done.communicate()
        return done.returncode, json.loads(out), err

    planned, answer, err = run(
        *("--into", new_table, "--at", time_text(at), "--keys-file", str(keys)),
        *("--where", "Kind", "=", "a", "--where", "Version", "<", "10", "--plan-out", str(plan)),
    )
    digest = err.split("the plan is in ")[1].split(": ")[1].split()[0]
    shown, document, _ = run("--plan", str(plan), "--show")
    done, result, _ = run("--plan", str(plan), "--apply", "--approve", digest)

    assert (planned, shown, done) == (1, 1, 1)
    assert (answer["items"], answer["unknown"], answer["applied"]) == (5, 1, False)
    assert document["totals"] == {f"items in {new_table}": 5}
    assert (result["items"], result["applied"], result["finished"]) == (5, True, True)
    assert [problem["key"] for problem in result["problems"]] == [{"Id": text("nowhere")}]
    there = trail.items(new_table)
    assert sorted(there) == [f"{n:04d}" for n in range(0, 10, 2)]
    assert {one["Kind"]["S"] for one in there.values()} == {"a"}


def test_a_clumsy_order_makes_no_table(trail, local_stack, new_table):  # noqa: F811 - the fixture
    """A misspelt name that selects everything, no name of a table, a source that is gone."""
    at = time_text(filled(trail, 3))
    url = local_stack.endpoint_url

    def run(*words):
        done = command(trail, local_stack, url, *words, "--at", at, "--apply", "--yes")
        out, err = done.communicate()
        return done.returncode, out, err

    status, out, _ = run("--into", new_table, "--where", "Kinde", "!=", "b")
    too_short, _, refusal = run("--into", "T3")
    trail.dynamodb.delete_table(TableName=trail.names.source)
    gone, _, pointed = run("0001")

    assert (status, too_short, gone) == (1, 2, 2)
    answer = json.loads(out)
    assert "had the attribute Kinde of --where: is Kind meant?" in answer["ended"]
    assert (answer["items"], answer["go_on"]) == (0, None)
    assert new_table not in trail.dynamodb.list_tables()["TableNames"]
    assert "'T3' is no name of a table" in refusal
    assert "itemtrail restore --into TABLE makes it anew" in pointed
