"""The commands that write: every form, dry runs that say so, and exit statuses."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace

import pyarrow.parquet
import pytest

from itemtrail.cli import commands
from itemtrail.records import kinds as record_kinds
from itemtrail.records.kinds import FieldKind
from operations.enable import Stream
from operations.errors import RefusedError
from operations.execution.item_run import ItemRun
from operations.execution.item_writer import WriteOutcome
from operations.recovery.plan_items import restored_items
from operations.recovery.undo import Undone
from operations.replica.repair import Repaired
from stream_core.history_row import time_text
from tests.unit.itemtrail.library import (
    AGO,
    BACKFILLED,
    CLEAN,
    EVERY_ORDER,
    FROM_STREAM,
    PLACES,
    PLAN,
    REDRIVEN,
    WHOLE,
    Library,
)
from tests.unit.itemtrail.outputs import only_line

LINES = {
    "enable": record_kinds.STREAM,
    "backfill": record_kinds.PROBLEM,
    "compare": record_kinds.DISCREPANCY,
    "repair": record_kinds.REPAIR_LINE,
    "redrive": record_kinds.REDRIVE_LINE,
    "redrive --from-stream": record_kinds.REDRIVE_LINE,
    "restore": record_kinds.RESTORE,
    "restore --into": record_kinds.TABLE_RESTORE_LINE,
    "undo": record_kinds.UNDO,
}
DOCUMENTS = {
    "enable": record_kinds.STREAM,
    "backfill": record_kinds.BACKFILL,
    "repair": record_kinds.REPAIR,
    "redrive": record_kinds.REDRIVE,
    "redrive --from-stream": record_kinds.REDRIVE,
    "restore --into": record_kinds.TABLE_RESTORE,
}
NESTED = {
    ("backfill", "problems"): record_kinds.PROBLEM,
    ("repair", "unhealed"): record_kinds.REPAIR_LINE,
    ("redrive", "leftovers"): record_kinds.LEFTOVER,
    ("redrive", "lost"): record_kinds.LOST,
    ("restore", "differences"): record_kinds.DIFFERENCE,
    ("restore", "conflicts"): record_kinds.CONFLICT,
    ("restore --into", "problems"): record_kinds.TABLE_RESTORE_LINE,
    ("undo", "edits"): record_kinds.DIFFERENCE,
    ("undo", "conflicts"): record_kinds.CONFLICT,
}
DONE = replace(
    WHOLE, uncertain=Counter(), unwritten=(), unknown=(), extraneous=0, ended=None, may_go_on=False
)
EVERY_COMMAND = pytest.mark.parametrize("command", EVERY_ORDER)
# These only add what is missing, and ask nobody.
APPLY = dict.fromkeys(EVERY_ORDER, ("--apply", "--yes"))
APPLY |= dict.fromkeys(("enable", "redrive", "redrive --from-stream"), ("--apply",))
WRITING = pytest.mark.parametrize("command", sorted(EVERY_ORDER.keys() - {"compare"}))


@EVERY_COMMAND
def test_json_has_the_documented_fields_in_order(run, command):
    """A list of records, or one document, each with the fields of its kind and no other."""
    _, out, _ = (
        run(*EVERY_ORDER[command], *APPLY[command], "--output", "json")
        if (command != "compare")
        else run(*EVERY_ORDER[command])
    )

    answer = json.loads(out)
    if command in DOCUMENTS:
        assert list(answer) == list(DOCUMENTS[command].fields)
    else:
        assert answer
        assert all(list(record) == list(LINES[command].fields) for record in answer)


@pytest.mark.parametrize(("command", "field"), NESTED)
def test_nested_records_have_the_documented_fields(run, command, field):
    """What is within a record is documented too."""
    _, out, _ = run(*EVERY_ORDER[command], *APPLY[command])

    answer = json.loads(out)
    records = answer if isinstance(answer, list) else [answer]
    nested = [one for record in records for one in record[field]]
    assert nested
    assert all(list(record) == list(NESTED[command, field].fields) for record in nested)


@EVERY_COMMAND
def test_csv_and_parquet_say_the_same_as_json(run_on, capsysbinary, command):
    """Every form has the same lines with the same fields, typed by their kinds."""
    order = (*EVERY_ORDER[command], "--output")

    run_on(*order, "jsonl")
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    run_on(*order, "csv")
    cells = capsysbinary.readouterr().out.decode("utf-8")
    header, *rows = csv.reader(io.StringIO(cells, newline=""))
    run_on(*order, "parquet")
    table = pyarrow.parquet.read_table(io.BytesIO(capsysbinary.readouterr().out))

    fields = LINES[command].fields
    assert header == table.column_names == list(fields)
    assert len(lines) == len(rows) == table.num_rows > 0
    for place, (name, kind) in enumerate(fields.items()):
        values = [line[name] for line in lines]
        assert [cell == "" for cell in (row[place] for row in rows)] == [
            value in (None, "") for value in values
        ]
        assert _typed(kind, table[name].to_pylist()) == values


def _typed(kind, values):
    if kind is FieldKind.TIME:
        return [value and time_text(value) for value in values]
    if kind is FieldKind.WIRE:
        return [value and json.loads(value) for value in values]
    return values


@WRITING
def test_without_apply_nothing_is_written_and_that_is_said(run, command):
    """The library is asked for a dry run, and both a person and a program's stderr are told."""
    library = Library(enable=Stream("Employee", None, was_on=False, applied=False))

    _, _, err = run(*EVERY_ORDER[command], library=library)
    _, table, silent = run(*EVERY_ORDER[command], "--output", "table", library=library)

    assert err.splitlines()[-1].startswith("dry run, nothing was written: with --apply ")
    assert "dry run, nothing was written: with --apply " in table
    assert silent == ""
    assert not {"write_restored", "write_undone"} & set(library.order)
    assert not any(named.get("apply") for _, named in library.asked.values())


@WRITING
def test_with_apply_it_is_done(run, command):
    """In a script --yes is the consent, where a person would be asked."""
    library = Library()

    _, out, err = run(*EVERY_ORDER[command], *APPLY[command], library=library)

    assert "dry run" not in err + out
    assert {"write_restored", "write_undone"} & set(library.order) or any(
        named.get("apply") for _, named in library.asked.values()
    )


def test_a_comparison_has_nothing_to_apply(run):
    """It only reads."""
    status, _, err = run("compare", "--apply")

    assert status == 2
    assert "No such option" in only_line(err)


@pytest.mark.parametrize(
    ("command", "answers"),
    [
        ("backfill", {"backfill": replace(BACKFILLED, finished=True, problems=[], unfinished=[])}),
        ("compare", {"compare": ([], CLEAN)}),
        ("repair", {"repair": Repaired(True, 1, 0, {}, 1, 0, (), ())}),
        ("redrive", {"redrive": replace(REDRIVEN, leftovers=(), lost=())}),
        (
            "redrive --from-stream",
            {"redrive_from_stream": replace(FROM_STREAM, leftovers=(), lost=())},
        ),
        (
            "restore",
            {
                "plan_restore": [PLAN],
                "write_restored": [ItemRun(restored_items([PLAN])[0], WriteOutcome.WRITTEN)],
            },
        ),
        ("restore --into", {"restore_table": DONE}),
        ("undo", {"plan_undo": Undone(False, (), ()), "write_undone": []}),
    ],
)
def test_exits_with_0_where_nothing_is_left_and_with_1_where_something_is(run, command, answers):
    """Conflicts, refusals, what still fails and what differs are findings."""
    apply = () if command == "compare" else APPLY[command]

    clean, _, _ = run(*EVERY_ORDER[command], *apply, **answers)
    left, _, _ = run(*EVERY_ORDER[command], *apply)

    assert (clean, left) == (0, 1)


@EVERY_COMMAND
def test_an_interrupt_exits_with_130(run, command):
    """Ctrl-C is told apart from a failure."""
    library = Library(**dict.fromkeys(PLACES, KeyboardInterrupt()))

    status, _, err = run(*EVERY_ORDER[command], library=library)

    assert (status, err.strip()) == (130, "")


@EVERY_COMMAND
def test_a_refusal_is_one_line_and_exit_2(run, command):
    """The library's own words, and no traceback."""
    library = Library(**dict.fromkeys(PLACES, RefusedError("it would do harm")))

    status, out, err = run(*EVERY_ORDER[command], library=library)

    assert (status, out, only_line(err)) == (2, "", "Error: it would do harm")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["enable"], "Missing argument 'TABLE'. Try: itemtrail enable --help"),
        (["backfill", "--no-history", "--no-replica"], "leave nothing to do: give one of them"),
        (["backfill", "--segments", "257"], "257 is not in the range 1<=x<=256"),
        (["backfill", "--rate", "0"], "0.0 is not in the range x>0"),
        (["compare", "--sample", "1"], "'1' is no part of the items: write e.g. 1% or 0.01"),
        (["compare", "--sample", "0%"], "'0%' is no part of the items"),
        (["compare", "--sample", "few"], "'few' is no part of the items"),
        (["compare", "--seed", "7"], "--seed chooses a sample: give its --sample too"),
        (["repair", "1", "--keys-file", "-"], "use just one of KEY and --keys-file"),
        (["repair", "1", "2"], "not a key of the table: '1 2' does not make one"),
        (["redrive", "--consumer", "writer"], "'writer' is not one of 'history_writer'"),
        (["redrive", "--pointers", "nowhere.json"], "File 'nowhere.json' does not exist"),
        (["redrive", "--from-stream", "--pointers", __file__], "reads the whole stream: use one"),
        (["redrive", "--since", "1h ago"], "--since is for --from-stream"),
        (["restore", "1"], "as of when? give just one of --at and --before. Try: itemtrail"),
        (["restore", "--at", AGO], "restore what? give KEY or --keys-file, or --into"),
        (["restore", "1", "--into", "new", "--at", AGO], "with --into a file names them"),
        (["restore", "1", "--at", AGO, "--key-attribute", "Id:N"], "--key-attribute is for --into"),
        (["restore", "1", "--at", AGO, "--ttl"], "--ttl is for --into"),
        (["restore", "--into", "T3", "--at", AGO], "'T3' is no name of a table: 3 to 255 letters"),
        (["restore", "--into", "arn:a:b", "--at", AGO], "'arn:a:b' is no name of a table"),
        (["restore", "1", "--at", AGO, "--key-prefix", "a"], "--key-prefix is for --into"),
        (["restore", "1", "--at", AGO, "--where", "a", "=", "1"], "--where is for --into"),
        (
            ["restore", "--into", "new", "--at", AGO, "--where", "a", "~", "1"],
            "'~' is no OP, which is one of = != < <= > >= begins_with: write three words",
        ),
        (
            ["restore", "--into", "new", "--where", "a = 1", "--at", AGO],
            "'--at' is no OP, which is one of = !=",
        ),
        (
            ["restore", "--into", "new", "--where", "a", "=", "--at", AGO],
            "'--at' is an option: write three words, PATH OP VALUE, e.g. --where status = open",
        ),
        (
            ["restore", "--into", "new", "--at", AGO, "--where", "a", "=", '{"N": "x"}'],
            "not an attribute value",
        ),
        (
            ["restore", "--into", "new", "--at", AGO, "--key-attribute", "Id"],
            "'Id' is no key: write e.g. --key-attribute Id:N",
        ),
        (["undo", "1", "--since", "2018-01-01"], "Missing option '--until'"),
        (
            ["undo", "1", "--since", "now", "--until", "2018-01-01"],
            "--since is later than --until: swap them. Try: itemtrail undo --help",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, arguments, expected):
    """Every mistake is told in one line that says what to do, and nothing else happens."""
    library = Library()

    status, out, err = run(*arguments, library=library)

    assert (status, out, library.order) == (2, "", [])
    assert only_line(err).startswith("Error: ")
    assert expected in err


def test_every_command_that_writes_is_tried_here():
    """The lists above miss no command with --apply; `accept` is tried in test_accept.py."""
    writing = {
        name
        for name, command in commands.commands.items()
        if any(option.name == "apply" for option in command.params)
    } - {"accept"}

    assert writing | {"compare"} == {name.split()[0] for name in EVERY_ORDER}
