"""A plan that is kept in a file: it is shown, approved and carried out, and nothing else is."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from itemtrail.commands.kept_plan import carried_out
from itemtrail.records.kinds import PLAN, PLAN_ITEM, RESTORE, UNDO
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanAction, PlanItem, read_plan, write_plan
from operations.execution.plan_header import PlanMaker
from operations.recovery.bad_changes import UNDECIDED
from tests.factories import text
from tests.unit.itemtrail.library import (
    AGO,
    BACKFILLED,
    CONFLICTING,
    EVERY_ORDER,
    HEADER,
    ONE,
    PLANNED,
    RANGE,
    REFUSED,
    REPAIRED,
    SELECTED,
    UNDONE,
    WRITTEN,
    Library,
)
from tests.unit.itemtrail.outputs import lines_of, only_line

ORDERS = {"undo": ("undo", "1", *RANGE), "restore": ("restore", "1", "--at", AGO)}
COMMANDS = pytest.mark.parametrize("command", ORDERS)


@pytest.fixture
def kept(run, command):
    """A plan in a file, made by the command."""
    run(*ORDERS[command], "--plan-out", "the.plan")
    return "the.plan"


@COMMANDS
def test_a_plan_is_kept_and_nothing_is_written(run, tmp_path, command):
    """With every time resolved; how to come back to it is told."""
    library = Library()

    status, _, err = run(*ORDERS[command], "--plan-out", "the.plan", library=library)

    plan = read_plan(tmp_path / "the.plan")
    assert (status, plan.header.command, len(plan.items)) == (
        1,
        command,
        2 if command == "undo" else 1,
    )
    assert plan.header.arguments["key"] == ["1"]
    assert {"write_undone", "write_restored"} & set(library.order) == set()
    assert f"the plan is in the.plan: {plan.digest}" in err
    assert f"itemtrail {command} --plan the.plan --apply --approve {plan.digest}" in err


def test_relative_times_are_resolved_in_the_plan(run, tmp_path):
    """`2h ago` is another moment when the plan is carried out."""
    run("undo", "1", "--since", "2h ago", "--until", "1h ago", "--plan-out", "the.plan")
    run("restore", "1", "--before", AGO, "--plan-out", "restore.plan")

    arguments = read_plan(tmp_path / "the.plan").header.arguments
    restored = read_plan(tmp_path / "restore.plan").header.arguments
    assert all(arguments[name].endswith("Z") for name in ("since", "until"))
    assert arguments["since"] < arguments["until"]
    assert restored["at"] == "2018-03-03T14:05:59.999999Z"


def test_a_plan_keeps_what_was_asked_for(run, tmp_path):
    """Whoever approves it sees what was chosen, and what is written beside it."""
    choice = ("--attribute", "a.b", "--counter", "n", "--counter", "m.n", "--set", "by=ada")

    run("undo", *RANGE, *choice, "--atomic", "--rate", "5", "--plan-out", "the.plan")
    run("restore", "1", "--at", AGO, "--atomic", "--plan-out", "restore.plan")

    assert read_plan(tmp_path / "the.plan").is_atomic
    assert read_plan(tmp_path / "restore.plan").is_atomic
    arguments = read_plan(tmp_path / "the.plan").header.arguments
    assert arguments == {
        "since": "2018-03-01T00:00:00.000000Z",
        "until": "2018-04-01T23:59:59.999999Z",
        "attribute": "a.b",
        "counters": ["n", "m.n"],
        "stamps": {"by": {"S": "ada"}},
        "atomic": True,
    }


@COMMANDS
@pytest.mark.usefixtures("kept")
def test_a_kept_plan_is_shown_without_asking_any_table(run, command):
    """In every form, with its digest; nothing is planned anew, and what it leaves out counts."""
    library = Library()

    status, out, err = run(command, "--plan", "the.plan", "--show", library=library)
    _, lines, _ = run(command, "--plan", "the.plan", "--show", "--output", "jsonl")
    _, table, _ = run(command, "--plan", "the.plan", "--show", "--output", "table")

    document = json.loads(out)
    assert (status, library.order) == (1, [])
    assert list(document) == list(PLAN.fields)
    left_out = [one for one in document["items"] if one["outcome"] != "planned"]
    assert [(one["outcome"], one["key"], one["number"]) for one in left_out] == {
        "undo": [("conflict", ONE, None), ("undecided", SELECTED.undecided[0].keys, None)],
        "restore": [("refused", REFUSED.keys, None)],
    }[command]
    assert [list(json.loads(line)) for line in lines.splitlines()] == [
        list(PLAN_ITEM.fields)
    ] * len(document["items"])
    assert f"the plan is {document['digest']}" in err
    assert lines_of(table)[0] == f"Plan: {command} of {HEADER.table.arn}"
    why = {"undo": "! Name is Grace, not Murali Allada; wanted Murali (again)"}
    assert why.get(command, str(REFUSED.refusal)) in " ".join(table.split())
    assert any(
        "made 2018-03-03 14:06:00 UTC by kim with itemtrail 1.0" in one for one in lines_of(table)
    )


@COMMANDS
@pytest.mark.usefixtures("kept")
def test_a_kept_plan_is_carried_out_and_nothing_is_planned(run, tmp_path, command):
    """Without a question: it was looked at; the answer is the command's own."""
    library = Library()
    plan = read_plan(tmp_path / "the.plan")

    status, out, _ = run(
        command, "--plan", "the.plan", "--apply", "--approve", plan.digest, library=library
    )

    name = {"undo": "write_undone", "restore": "write_restored"}[command]
    (_, carried_out, _), _ = library.asked[name]
    assert (status, library.order, carried_out) == (1, [name], plan)
    kind = {"undo": UNDO, "restore": RESTORE}[command]
    answer = json.loads(out)
    assert [list(record) for record in answer] == [list(kind.fields)] * len(answer)
    assert answer[-1]["outcome"] == "conflict"


@COMMANDS
def test_results_come_as_they_happen(run_on, capsys, command):
    """Of a run that is interrupted, what was done is there."""

    class Interrupted(list):
        def __iter__(self):
            yield from super().__iter__()
            raise KeyboardInterrupt

    run_on(*ORDERS[command], "--plan-out", "the.plan")
    capsys.readouterr()
    library = Library()
    results = Interrupted(WRITTEN)
    library.answers |= {"write_undone": results, "write_restored": results}

    status = run_on(command, "--plan", "the.plan", "--apply", "--output", "jsonl", library=library)

    written = [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]
    assert (status, written) == (130, ["written", "conflict"])


@COMMANDS
@pytest.mark.usefixtures("kept")
def test_another_plan_than_was_approved_is_refused(run, command):
    """Whatever it holds."""
    library = Library()

    status, out, err = run(
        *(command, "--plan", "the.plan", "--apply", "--approve", "sha256:00"), library=library
    )

    assert (status, out, library.order) == (2, "", [])
    assert "nothing was written: the plan the.plan is sha256:" in only_line(err)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"command": "restore"}, "the plan is of itemtrail restore, not of undo"),
        ({"table": {"arn": "arn:aws:dynamodb:eu-west-1:1:table/Other"}}, "Other, not for arn:aws"),
        ({"table": {"table_id": "of another"}}, "an older table of the name 'Employee'"),
        ({"history": "Other-history"}, "rests on the history Other-history, not on Employee-hist"),
        ({"stream_arn": f"{HEADER.stream_arn}-old"}, "the stream of 'Employee' was switched"),
    ],
)
def test_a_plan_for_something_else_is_refused(run, tmp_path, header, expected):
    """Of another command, for another table or history, or for what was under the name before."""
    table = replace(HEADER.table, **header.pop("table", {}))
    write_plan(tmp_path / "the.plan", Plan(replace(HEADER, table=table, **header), PLANNED))
    library = Library()

    status, _, err = run("undo", "--plan", "the.plan", "--apply", library=library)

    assert (status, library.order) == (2, [])
    assert expected in only_line(err)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--plan", "the.plan"), "give just one of --show and --apply"),
        (("--plan", "the.plan", "--show", "--apply"), "give just one of --show and --apply"),
        (("--show", *RANGE, "--all"), "--show is for --plan FILE"),
        (("--join", *RANGE, "--all"), "--join is for --plan FILE"),
        (("--approve", "sha256:0", *RANGE, "--all"), "--approve is for --plan FILE"),
        (("1", "--plan", "the.plan", "--apply"), "]...' is in the plan, or is not"),
        (("--plan", "the.plan", "--show", "--since", AGO), "'--since' is in the plan, or is not"),
        (("--plan", "the.plan", "--show", "--all"), "'--all' is in the plan, or is not"),
        (("--plan", "the.plan", "--show", "--plan-out", "x"), "'--plan-out' is in the plan"),
        (("--plan", "no.plan", "--show"), "the plan no.plan cannot be read: No such file"),
    ],
)
def test_beside_a_plan_nothing_else_says_what_to_do(run, tmp_path, words, expected):
    """It would be unclear which of them counts."""
    write_plan(tmp_path / "the.plan", Plan(HEADER, PLANNED))
    library = Library()

    status, out, err = run("undo", *words, library=library)

    assert (status, out, library.order) == (2, "", [])
    assert expected in only_line(err)


def test_a_repair_by_a_plan_is_told_which_items_it_may_write(run, tmp_path):
    """Their keys and no others, each with what was planned for it; nothing is compared."""
    replica = replace(HEADER, command="repair")
    planned = tuple(replace(one, edits=()) for one in PLANNED)
    write_plan(tmp_path / "the.plan", Plan(replica, planned))
    library = Library()

    run("repair", "--plan", "the.plan", "--apply", "--deletes", "Employee", library=library)

    (_, keys), named = library.asked["repair"]
    assert library.order == ["repair"]
    assert keys == [one.keys for one in planned]
    assert (named["planned"], named["apply"], named["deletes"]) == (planned, True, "Employee")


def test_a_repair_keeps_its_plan(run, tmp_path):
    """A line an item, by what is done to it; nothing is written. Where the state is, is no plan."""
    library = Library(repair=replace(REPAIRED, plan=PLANNED))

    run("repair", "1", "--state", "a.json", "--plan-out", "the.plan", library=library)
    again, _, _ = run("repair", "--plan", "the.plan", "--state", "b.json", "--show")

    plan = read_plan(tmp_path / "the.plan")
    assert (again, plan.header.command, plan.items) == (0, "repair", PLANNED)
    assert library.asked["repair"][1]["apply"] is False


def test_a_repair_that_is_approved_does_what_it_has_shown(run):
    """What has become something else since is not done."""
    library = Library(repair=replace(REPAIRED, plan=PLANNED))

    run("repair", "1", "--apply", "--yes", library=library)

    assert library.order == ["repair", "repair"]
    assert library.asked["repair"][1]["planned"] == PLANNED


@COMMANDS
@pytest.mark.parametrize("how", ["--show", "--apply"])
def test_what_a_plan_leaves_out_is_told_wherever_it_is_used(run, tmp_path, command, how):
    """A conflict that it had when it was made is no success later."""
    counts = {"conflict": {"written since": 2, "shifted": 1}, "refused": {"unknown key": 1}}
    write_plan(tmp_path / "the.plan", Plan(replace(HEADER, command=command, counts=counts), ()))
    library = Library(write_undone=[], write_restored=[])

    status, _, err = run(command, "--plan", "the.plan", how, library=library)

    assert status == 1
    told = "\n  2 conflict: written since\n  1 conflict: shifted\n  1 refused: unknown key\n"
    assert f"left out when the plan was made (the command without --plan lists them):{told}" in err


def test_a_plan_without_items_is_not_offered(run, tmp_path):
    """There is nothing to carry out; who does so is not told that there is no such change."""
    library = Library(plan_undo=replace(UNDONE, items=(CONFLICTING,), undecided=()))

    status, _, err = run(*ORDERS["undo"], "--plan-out", "the.plan", library=library)
    shown, _, told = run("undo", "--plan", "the.plan", "--show")
    applied, _, end = run("undo", "--plan", "the.plan", "--apply", library=Library(write_undone=[]))

    assert read_plan(tmp_path / "the.plan").is_empty
    assert (status, shown, applied) == (1, 1, 1)
    for text_ in (err, told):
        assert "it has no items: there is nothing to carry out" in text_
        assert "carry it out:" not in text_
    assert "the plan has no items: nothing was written" in end
    assert "no such change" not in end


@COMMANDS
@pytest.mark.usefixtures("kept")
def test_a_plan_counts_what_it_leaves_out(tmp_path, command):
    """The conflicts of an undo, what a restore may not write, and why."""
    counts = read_plan(tmp_path / "the.plan").header.counts

    assert (
        counts
        == {
            "undo": {"conflict": {"again": len(UNDONE.conflicts)}, "undecided": {UNDECIDED: 1}},
            "restore": {"refused": {REFUSED.refusal: 1}},
        }[command]
    )


@pytest.mark.parametrize("command", ["undo", "restore", "repair", "backfill"])
def test_a_plan_stays_kept_whatever_is_answered(run, tmp_path, command):
    """It is in its file before the question is asked, and the refusal says where."""
    library = Library(
        repair=replace(REPAIRED, plan=PLANNED), backfill=replace(BACKFILLED, finished=True)
    )

    status, _, err = run(
        *EVERY_ORDER[command], "--plan-out", "the.plan", "--apply", library=library
    )

    plan = read_plan(tmp_path / "the.plan")
    assert (status, plan.header.command) == (2, command)
    assert {"write_undone", "write_restored"} & set(library.order) == set()
    *_, kept, refused = err.splitlines()
    assert kept == "the plan is still in the.plan"
    assert "nothing was written: without a terminal --apply needs --yes" in refused


@pytest.mark.parametrize("words", [("repair", "1"), ("repair", "--plan", "the.plan", "--show")])
def test_a_repair_lists_what_is_done_to_many_as_one(run, tmp_path, words):
    """With three examples; each with --each."""
    items = tuple(
        PlanItem(n, {"Id": text(f"k{n}")}, PlanAction.DELETE, (), "01", None) for n in range(1, 6)
    )
    write_plan(tmp_path / "the.plan", Plan(replace(HEADER, command="repair"), items))
    library = Library(repair=replace(REPAIRED, plan=items))

    _, grouped, _ = run(*words, "--output", "table", library=library)
    _, each, _ = run(*words, "--output", "table", "--each", library=library)

    assert any("5 items: Id=k1, Id=k2, Id=k3, …" in line for line in lines_of(grouped))
    assert [f"k{n}" in grouped for n in range(1, 6)] == [True] * 3 + [False] * 2
    assert all(f"k{n}" in each for n in range(1, 6))


def test_an_empty_plan_is_no_run(tmp_path, monkeypatch):
    """There is nothing to announce, and nothing to keep a journal of."""
    monkeypatch.chdir(tmp_path)

    with carried_out(None, Plan(HEADER, ()), None, pace=Pace()) as results:
        assert list(results) == []
    assert list(tmp_path.iterdir()) == []


@COMMANDS
def test_a_plan_is_made_when_it_was_asked_for(run, monkeypatch, command):
    """What was announced while it was made is looked for, and not what came after alone."""
    moments = []
    made = PlanMaker.header

    def header(maker, *parts):
        moments.extend(parts[-1].machine.now() for _ in range(2))
        return made(maker, *parts)

    monkeypatch.setattr(PlanMaker, "header", header)
    began = datetime.now(UTC)

    run(*ORDERS[command], "--plan-out", "the.plan")

    assert moments[0] == moments[1] >= began
