"""Every form in which a command answers is as unsure as the answer itself."""

import csv
import io
import json

import pytest

from itemtrail import Certainty
from itemtrail.cli import commands
from itemtrail.options.target import TargetTables
from reports.states.timeline import weaker_of
from tests.factories import lambda_form
from tests.unit.memory_tables import HISTORY, SOURCE
from tests.worlds.answers import Examination
from tests.worlds.world import DAMAGES

pytestmark = pytest.mark.bank

STRENGTH = [certainty.value for certainty in Certainty]
# A row that was altered may end a command, see its own tests.
SEEDS = [
    seed
    for seed, damage in enumerate(DAMAGES)
    if damage not in ("altered rows", "overflow gone", "foreign rows")
]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_form_of_an_answer_is_surer_than_the_answer(seed, monkeypatch, capsys):
    """JSON, lines, CSV and tables of the questions about an item, whatever its key is."""
    examination = Examination(seed)
    monkeypatch.setattr(TargetTables, "open", lambda _tables: examination.trail)
    world = examination.world
    for keys in list(world.keys.values())[:1]:
        for at in (world.horizon, world.now):
            for arguments, weakest in questions(examination.trail, keys, world.horizon, at):
                for form in ("json", "jsonl", "csv", "table"):
                    shown = certainties(capsys, arguments, form)
                    if weakest is not Certainty.EXACT:
                        assert weakest.value in shown, (arguments, form, shown)
                    if arguments[0] in ("as-of", "blame") and form != "table":
                        # A part may be less sure than the whole, never surer.
                        strongest = min(map(STRENGTH.index, shown))
                        assert strongest >= STRENGTH.index(weakest), (arguments, form, shown)


def questions(trail, keys, start, at):
    """Commands and how sure their answers are at least."""
    key = json.dumps(lambda_form(keys))
    time = at.isoformat()
    states = list(trail.states(keys))
    versions = list(trail.versions(start, at, keys))
    old, new = trail.as_of(keys, start), trail.as_of(keys, at)
    yield ("as-of", key, "--at", time), new.certainty
    yield ("diff", key, "--from", start.isoformat(), "--to", time), weaker_of(old, new).certainty
    yield ("blame", key, "--at", time), new.certainty
    yield ("timeline", key), weakest_of(states)
    if versions:
        range_of_time = ("--since", start.isoformat(), "--until", time)
        yield ("between", key, *range_of_time), weakest_of(versions)


def weakest_of(states):
    return max((state.certainty for state in states), key=list(Certainty).index)


def certainties(capsys, arguments, form):
    """The certainties that a command shows."""
    target = ("--history-table", HISTORY, "--source-table", SOURCE, "--output", form)
    commands.main([*arguments, *target], standalone_mode=False)
    out, err = capsys.readouterr()
    if form == "table":
        return [word for word in STRENGTH if word in out]
    shown = [word for word in STRENGTH if word in err]
    if form == "csv":
        return shown + [line["certainty"] for line in csv.DictReader(io.StringIO(out))]
    texts = [out] if form == "json" else out.splitlines()
    return shown + [value for text in texts for value in named_certainty(json.loads(text))]


def named_certainty(record):
    """The values of `certainty` anywhere in a record."""
    if isinstance(record, list):
        return [value for member in record for value in named_certainty(member)]
    if not isinstance(record, dict):
        return []
    inner = [
        value
        for name, member in record.items()
        if name not in ("item", "key")
        for value in named_certainty(member)
    ]
    return inner + ([record["certainty"]] if isinstance(record.get("certainty"), str) else [])
