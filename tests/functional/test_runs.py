"""Runs on an emulator, behind a proxy that loses answers; the history is written from the stream.

MiniStack keeps the idempotency tokens of transactions as AWS documents them, which moto does not.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from operations.execution.item_writer import WriteOutcome
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, write_plan
from operations.execution.run import PlanRun, RunChoice, run_id
from operations.recovery.run_changes import select_run
from operations.recovery.undo import plan_undo
from reports.access.own_writes import find_own_writes
from reports.access.private_files import make_folder, state_folder
from reports.access.table_description import describe
from stream_core.history_row import time_text as moment_text
from stream_core.item_id import item_id
from tests.factories import item, number, text
from tests.functional.test_restore_and_undo import trail  # noqa: F401 - a fixture
from tests.unit.operations.execution.test_atomic_run import together
from tests.unit.operations.execution.test_run import MAKER, plan_of

pytestmark = pytest.mark.functional

PROGRAM = str(Path(sys.executable).with_name("itemtrail"))
SOME_RANGE = {"since": "2018-03-03T18:40:00Z", "until": "2018-03-03T18:46:00Z"}
BAD, GOOD = item("1", V=number(2)), item("1", V=number(1))


def results_of(deployment, plan, folder, **options):
    folder.mkdir(exist_ok=True)
    choice = RunChoice(folder / "run.jsonl", **options)
    run = PlanRun(deployment, plan, Pace(), MAKER, choice)
    return {item_id(result.item.keys): result for result in run.results()}


@pytest.mark.parametrize(
    "change", [(BAD, None), (BAD, GOOD), (None, GOOD)], ids=["delete", "update", "put"]
)
def test_a_lost_answer_loses_no_later_write(trail, proxy, deployment, tmp_path, change):  # noqa: F811
    """Another writer puts it back before the repeat: the token keeps the repeat from undoing that.

    Without a token the delete would be carried out twice, and theirs be lost.
    """
    old, new = change
    if old is not None:
        trail.put(old)

    def put_back():
        if old is None:
            trail.delete("1")
        else:
            trail.put(old)

    proxy.lose_answer("TransactWriteItems", put_back)
    with trail.recording():
        (result,) = results_of(deployment, plan_of(("1", old, new)), tmp_path).values()

    assert result.outcome is WriteOutcome.WRITTEN
    assert proxy.requests.count("TransactWriteItems") == 2
    assert trail.items().get("1") == old


def test_what_a_run_wrote_is_known_from_the_history_alone(trail, deployment, tmp_path):  # noqa: F811
    """Its changes and no others; and the same plan from another folder writes nothing again."""
    changes = [(str(n), item(str(n), V=number(2)), item(str(n), V=number(1))) for n in range(30)]
    for _, old, _ in changes:
        trail.put(old)
    trail.record()
    plan = plan_of(*changes)

    done = results_of(deployment, plan, tmp_path)
    trail.record()
    trail.put(item("0", V=number(5)))
    trail.record()

    assert {result.outcome for result in done.values()} == {WriteOutcome.WRITTEN}
    own = find_own_writes(deployment.reader)
    for name, *_ in changes:
        runs = [own.run_of(row) is not None for row in deployment.reader.rows(name)]
        assert runs == [False, True, False][: 3 if name == "0" else 2]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    resumed = results_of(deployment, plan, elsewhere, may_join=True)
    assert {result.outcome for result in resumed.values()} == {WriteOutcome.WRITTEN}
    assert trail.items()["0"]["V"] == number(5)


def test_who_makes_the_change_of_a_run_again_is_another_writer(
    trail,  # noqa: F811 - the fixture
    deployment,
    tmp_path,
):
    """The run's change was good, and so is theirs: taking the run back leaves it."""
    trail.put(BAD)
    trail.moment()
    plan = kept_plan(trail, [("1", BAD, GOOD)], tmp_path / "undo.plan")
    results_of(deployment, plan, tmp_path)
    trail.moment()
    for theirs in (BAD, GOOD):
        trail.put(theirs)
    trail.record()

    own = find_own_writes(deployment.reader)
    by_run = [own.run_of(row) is not None for row in deployment.reader.rows("1")]
    selected = select_run(trail.deployment, run_id(plan), pace=Pace()).selected
    (back,) = plan_undo(trail.deployment, selected, pace=Pace()).items

    assert by_run == [False, True, False, False]
    assert [len(bad.changes) for bad in selected.items] == [1]
    assert (back.edits, len(back.conflicts)) == ((), 1)


def test_a_job_that_does_its_damage_again_is_no_run(trail, deployment, tmp_path):  # noqa: F811
    """After an undo, its undo, and the undo of that: what is undone is the damage alone."""
    trail.put(GOOD)
    since = trail.moment()
    trail.put(BAD)
    trail.moment()
    for count, (old, new) in enumerate([(BAD, GOOD), (GOOD, BAD), (BAD, GOOD)]):
        folder = tmp_path / str(count)
        folder.mkdir()
        plan = kept_plan(trail, [("1", old, new)], folder / "undo.plan")
        results_of(deployment, plan, folder)
        trail.moment()
    trail.put(BAD)
    until = trail.moment()

    own = find_own_writes(deployment.reader)
    by_run = [own.run_of(row) is not None for row in deployment.reader.rows("1")]
    done = trail.undo(apply=True, since=since, until=until)

    assert by_run == [False, False, True, True, True, False]
    assert done.is_clean
    assert trail.items()["1"] == GOOD


def test_all_items_are_written_together_or_none_is(trail, proxy, deployment, tmp_path):  # noqa: F811
    """The answer is lost, and one is set back before the repeat; of another plan one is changed."""
    plans = []
    for name in "ab":
        changes = [(f"{name}{n}", item(f"{name}{n}", V=number(2)), None) for n in range(2)]
        changes.append((f"{name}2", item(f"{name}2", V=number(2)), item(f"{name}2", V=number(1))))
        for _, old, _ in changes:
            trail.put(old)
        plans.append(together(plan_of(*changes)))
    trail.record()
    set_back, other = item("a2", V=number(2)), item("b2", V=number(3))
    proxy.lose_answer("TransactWriteItems", lambda: trail.put(set_back))
    trail.put(other)

    with trail.recording():
        written, stuck = (
            results_of(deployment, plan, (tmp_path / str(count))).values()
            for count, plan in enumerate(plans)
        )

    assert [one.outcome for one in written] == [WriteOutcome.WRITTEN] * 3
    assert [one.outcome for one in stuck] == [WriteOutcome.CONFLICT] * 3
    assert proxy.requests.count("TransactWriteItems") == 2
    there = {name for name in trail.items() if name[0] in "ab"}
    assert there == {"a2", "b0", "b1", "b2"}
    assert (trail.items()["a2"], trail.items()["b2"]) == (set_back, other)


def kept_plan(trail, changes, path):  # noqa: F811 - the fixture
    """A plan for the trail's table, in a file."""
    table = describe(trail.dynamodb, trail.names.source)
    header = MAKER.header(trail.deployment, "undo", SOME_RANGE, table, Pace())
    rows = trail.deployment.reader.rows
    items = (
        replace(item, seen=[row.sort_key for row in rows(item_id(item.keys))][-1])
        for item in plan_of(*changes).items
    )
    plan = Plan(header, tuple(items))
    write_plan(path, plan)
    return plan


def command(trail, proxy, local_stack, plan_file, folder):  # noqa: F811
    """The command that carries a plan out, in a folder."""
    names = trail.names
    return subprocess.Popen(
        [
            *(PROGRAM, "undo", "--plan", plan_file, "--apply", "--output", "jsonl"),
            *("--source-table", names.source, "--history-table", names.history),
            *("--endpoint-url", proxy.url),
        ],
        cwd=folder,
        env={**os.environ, **local_stack.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_that_was_killed_goes_on(trail, proxy, local_stack, tmp_path):  # noqa: F811
    """With the same command: each item is written once, and each is accounted for."""
    changes = [(str(n), item(str(n), V=number(2)), item(str(n), V=number(1))) for n in range(220)]
    for _, old, _ in changes:
        trail.put(old)
    trail.record()
    plan_file = tmp_path / "undo.plan"
    plan = kept_plan(trail, changes, plan_file)
    killed = command(trail, proxy, local_stack, plan_file, tmp_path)
    # Carried out, and nobody is there any more to hear of it.
    proxy.lose_answer("TransactWriteItems", killed.kill)
    killed.communicate()
    trail.record()
    so_far = sum(one["V"] == number(1) for one in trail.items().values())

    with trail.recording():
        resumed = command(trail, proxy, local_stack, plan_file, tmp_path)
        out, err = resumed.communicate()

    assert killed.returncode == -signal.SIGKILL
    # Of the first two hundred, by transactions.
    assert so_far in range(25, 201, 25)
    assert resumed.returncode == 0, err
    assert f"run {run_id(plan)}" in err
    outcomes = Counter(json.loads(line)["outcome"] for line in out.splitlines())
    assert outcomes == {"written": 220}
    own = find_own_writes(trail.deployment.reader)
    for name, *_ in changes:
        rows = list(trail.deployment.reader.rows(name))
        assert [own.run_of(row) is not None for row in rows] == [False, True]


@pytest.mark.parametrize("suffix", ["", ".lock"])
def test_a_run_follows_no_link(trail, proxy, local_stack, tmp_path, suffix):  # noqa: F811
    """In the place of its journal, or of its lock: nothing is emptied, added to, or undone."""
    trail.put(BAD)
    trail.record()
    plan = kept_plan(trail, [("1", BAD, GOOD)], tmp_path / "undo.plan")
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    folder = state_folder()
    make_folder(folder)
    (folder / f"run-{run_id(plan)}.jsonl{suffix}").symlink_to(target)

    refused = command(trail, proxy, local_stack, tmp_path / "undo.plan", tmp_path)
    _, err = refused.communicate()

    assert refused.returncode == 2, err
    assert "it is a link or no plain file" in err
    assert target.read_bytes() == b"precious"
    assert trail.items() == {"1": BAD}


@pytest.fixture
def typed(trail, local_stack, tmp_path, monkeypatch):  # noqa: F811
    """Asks a command of the program for JSON, on the trail's tables, in a folder of its own."""
    for name, value in local_stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    names = trail.names

    def answer(*words):
        done = subprocess.run(
            [
                *(PROGRAM, *words, "--output", "json"),
                *("--source-table", names.source, "--history-table", names.history),
                *("--time-shards", "4", "--recorded-until", moment_text(datetime.now(UTC))),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout), done.stderr

    return answer


def corrupted(trail):  # noqa: F811
    """Since when a bad job has been at three items."""
    for n in range(3):
        trail.put(item(str(n), Status=text("open"), By=text("app")))
    since = moment_text(trail.moment())
    for n in range(3):
        trail.set(str(n), {"Status": text("CORRUPT"), "By": text("job")})
    return since


def test_the_same_undo_twice_does_nothing(trail, typed):  # noqa: F811
    """And the run can be taken back by its id: then the job's work is there again."""
    since = corrupted(trail)
    trail.moment()
    choice = ("undo", "--since", since, "--attribute", "Status")

    def undo(*words):
        until = moment_text(trail.moment())
        answer = typed(*words, "--apply", "--yes", *until_now(words, until))
        trail.moment()
        return answer

    first, err = undo(*choice)
    after = trail.items()
    repeated, _ = undo(*choice)

    assert {record["outcome"] for record in first} == {"written"}
    assert {one["Status"]["S"] for one in after.values()} == {"open"}
    assert {record["outcome"] for record in repeated} <= {"unneeded"}
    assert trail.items() == after
    run = re.search(r"run ([0-9a-f]{12})", err)[1]
    changes, _ = typed("changes", "--since", since, "--until", "now")
    assert [change["run"] for change in changes] == [None] * 3 + [run] * 3
    back, _ = undo("undo", "--run", run)
    assert {record["outcome"] for record in back} == {"written"}
    assert {one["Status"]["S"] for one in trail.items().values()} == {"CORRUPT"}


def test_a_plan_shows_to_others_what_it_leaves_out(trail, typed):  # noqa: F811
    """Who approves it sees which items conflict and why; one without items is not offered."""
    since = corrupted(trail)
    until = moment_text(trail.moment())
    trail.set("1", {"Status": text("on hold"), "By": text("kim")})
    trail.moment()
    choice = ("--since", since, "--until", until, "--attribute", "Status")

    typed("undo", *choice, "--plan-out", "undo.plan")
    shown, _ = typed("undo", "--plan", "undo.plan", "--show")
    carried_out, err = typed("undo", "--plan", "undo.plan", "--apply")
    trail.moment()
    _, offered = typed("undo", *choice, "--plan-out", "again.plan")

    assert [(one["outcome"], one["key"]["Id"]["S"]) for one in shown["items"]] == [
        ("planned", "0"),
        ("planned", "2"),
        ("conflict", "1"),
    ]
    assert shown["items"][-1]["conflicts"][0]["found"] == text("on hold")
    assert [one["outcome"] for one in carried_out] == ["written"] * 2
    assert "(--show lists the items)" in err
    assert trail.items()["1"]["Status"] == text("on hold")
    assert "it has no items: there is nothing to carry out" in offered


def until_now(words, until):
    """The end of a range, where there is one."""
    return ("--until", until) if "--since" in words else ()
