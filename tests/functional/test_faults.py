"""What operations do behind a proxy that refuses and cuts, and when they are killed (MiniStack).

Every dangerous case that was seen, and the test that shows that it is over:

- a plan refused in the pager, or Ctrl-C at the question, and written yet: test_terminal.py, what is
  not a yes, and Ctrl-C;
- the same undo twice: test_runs.py;
- an emptied source, and its replica: test_compare_and_repair.py;
- a foreign history, another stream: test_restore_and_undo.py, test_compare_and_repair.py,
  test_redrive.py;
- a history that is behind: test_restore_and_undo.py;
- a good insert, and --attribute: test_restore_and_undo.py;
- a lost answer to a delete, an update, a put; a killed run: test_runs.py;
- a killed repair: test_compare_and_repair.py; a killed backfill: test_backfill.py;
- a killed redrive, a restore through faults, tables that refuse for good: here.
"""

import json
import os
import signal
import subprocess
from collections import Counter

import pytest
from botocore.config import Config

from operations.deployed_tables import DeployedTables
from operations.errors import RunEndedError
from operations.execution.item_writer import WriteOutcome
from operations.execution.pace import Pace
from operations.execution.run import PlanRun, RunChoice
from operations.recovery.restore_items import plan_restore
from operations.replica.repair import repair
from reports.access.clients import CLIENT_CONFIG
from reports.access.machine import Machine
from reports.access.own_writes import find_own_writes
from tests.carried_out import carried_out_restore, outcomes_of
from tests.factories import item, number, text
from tests.functional.test_redrive import system  # noqa: F401 - a fixture
from tests.functional.test_restore_and_undo import trail  # noqa: F401 - a fixture
from tests.functional.test_runs import PROGRAM, kept_plan
from tests.unit.operations.execution.test_run import MAKER

pytestmark = pytest.mark.functional


def impatient(session, url):
    """A client that tries once: how often is the operation's own affair."""
    retries = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return session.client("dynamodb", endpoint_url=url, config=CLIENT_CONFIG.merge(retries))


def a_minute_at_once():
    """A pace whose pauses take no time, and are noted."""
    pauses = []
    return Pace(machine=Machine(clock=lambda: sum(pauses), sleep=pauses.append)), pauses


@pytest.mark.bank
def test_a_restore_through_faults_is_exact(trail, proxy, deployment):  # noqa: F811 - the fixtures
    """Throttled in all that it does, and with answers cut: each item is written once."""
    names = [f"{n:02d}" for n in range(12)]
    changed, deleted, inserted = names[:4], names[4:8], names[8:]
    for name in (*changed, *deleted):
        trail.put(item(name, V=number(1), Note=text("as it was")))
    at = trail.moment()
    for name in changed:
        trail.set(name, {"V": number(2)})
    for name in deleted:
        trail.delete(name)
    for name in inserted:
        trail.put(item(name, V=number(3)))
    trail.moment()

    proxy.refuse("GetItem", "ProvisionedThroughputExceededException", times=3)
    proxy.refuse("Query", times=2)
    plans = plan_restore(deployment, [{"Id": text(name)} for name in names], at, pace=Pace())
    for operation in ("BatchGetItem", "BatchExecuteStatement", "TransactWriteItems"):
        proxy.refuse(operation, times=2)
    for after in (0, 3, 7):
        proxy.lose_answer("TransactWriteItems", after=after)
    proxy.lose_answer("BatchExecuteStatement")
    with trail.recording():
        result = carried_out_restore(deployment, plans, Pace())
    trail.record()

    assert outcomes_of(result) == {WriteOutcome.WRITTEN: 12}
    assert result.is_clean
    assert trail.items() == {
        name: item(name, V=number(1), Note=text("as it was")) for name in (*changed, *deleted)
    }
    own = find_own_writes(deployment.reader)
    for name in names:
        by_run = [own.run_of(row) is not None for row in deployment.reader.rows(name)]
        assert by_run == [False] * (len(by_run) - 1) + [True]


def test_a_run_that_is_refused_for_good_ends_and_goes_on(
    trail,  # noqa: F811 - the fixture
    proxy,
    deployment,
    local_stack,
    tmp_path,
):
    """After a minute for all of it, with what was done; the same plan goes on when it may."""
    changes = [(str(n), item(str(n), V=number(2)), item(str(n), V=number(1))) for n in range(30)]
    for _, old, _ in changes:
        trail.put(old)
    trail.record()
    plan = kept_plan(trail, changes, tmp_path / "undo.plan")
    deployment.dynamodb = impatient(local_stack.session(), proxy.url)
    proxy.refuse("TransactWriteItems", "ProvisionedThroughputExceededException")
    pace, pauses = a_minute_at_once()
    choice = RunChoice(tmp_path / "journal", go_on="undo --plan undo.plan --apply")

    with pytest.raises(RunEndedError) as ended:
        list(PlanRun(deployment, plan, pace, MAKER, choice).results())
    untouched = trail.items()
    proxy.accept("TransactWriteItems")
    again = PlanRun(deployment, plan, Pace(), MAKER, RunChoice(tmp_path / "journal"))
    with trail.recording():
        results = list(again.results())

    assert "0 of 30 items written" in str(ended.value)
    assert "this goes on with it: undo --plan undo.plan --apply" in str(ended.value)
    assert max(pauses) < sum(pauses) < 8 * 90
    assert untouched == {name: old for name, old, _ in changes}
    assert Counter(result.outcome for result in results) == {WriteOutcome.WRITTEN: 30}
    assert trail.items() == {name: new for name, _, new in changes}


def test_a_repair_that_is_refused_for_good_ends(system, proxy, local_stack):  # noqa: F811
    """After a minute for all of it; the next one does what is left."""
    for n in range(60):
        system.dynamodb.put_item(TableName=system.names.source, Item=item(f"{n:02d}", V=number(n)))
    keys = [item(f"{n:02d}") for n in range(60)]
    refused = DeployedTables(
        system.names.source,
        local_stack.session(),
        proxy.url,
        history_table=system.names.history,
        replica_table=system.names.replica,
    )
    refused.dynamodb = refused.replica_client = impatient(local_stack.session(), proxy.url)
    proxy.refuse("BatchWriteItem", "ProvisionedThroughputExceededException")
    pace, pauses = a_minute_at_once()

    result = repair(refused, keys, apply=True, pace=pace)
    refused.pool.shutdown()
    left = system.items(system.names.replica)
    again = repair(system.deployment, keys, apply=True, pace=Pace())

    assert "nothing has succeeded for 60 seconds: ended with what was done" in result.ended
    assert (result.is_clean, result.healed, left) == (False, 0, [])
    assert sum(pauses) < 2 * 60
    assert (again.is_clean, again.healed) == (True, 60)
    assert system.items(system.names.replica) == system.items(system.names.source)


def test_a_killed_redrive_leaves_no_zombie(system, proxy, local_stack, tmp_path):  # noqa: F811
    """Killed between write and read, its items deleted meanwhile: the next one takes them away."""
    for n in range(3):
        system.dynamodb.put_item(TableName=system.names.source, Item=item(f"{n}", V=number(n)))
    found = system.records()
    records = {"Records": [system.delivered(record) for record in found]}
    order = [
        *(PROGRAM, "redrive", "--apply", "--pointers", "a.json"),
        *("--source-table", system.names.source, "--history-table", system.names.history),
        *("--replica-table", system.names.replica, "--quarantine-bucket", system.names.quarantine),
        *("--overflow-bucket", system.names.overflow, "--time-shards", "4"),
    ]
    (tmp_path / "a.json").write_text(json.dumps(records))
    surroundings = {**os.environ, **local_stack.environment()}

    def redrive():
        return subprocess.Popen(
            [*order, "--endpoint-url", proxy.url],
            cwd=tmp_path,
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    killed = redrive()

    def delete_and_kill():
        for n in range(3):
            system.dynamodb.delete_item(TableName=system.names.source, Key=item(f"{n}"))
        killed.kill()

    proxy.lose_answer("BatchWriteItem", delete_and_kill)
    killed.communicate()
    zombies = system.items(system.names.replica)
    again = redrive()
    _, err = again.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert len(zombies) == 3
    assert again.returncode == 0, err
    assert system.items(system.names.replica) == system.items(system.names.source) == []
