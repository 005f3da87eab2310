"""What an acceptance run shows: what it is about to do, and what came of it."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.records.kinds import Record
from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, notes, table_of, titled
from operations.acceptance.belief import BeliefOutcome
from operations.acceptance.trial import Trial
from reports.deployment.stack import Consumer
from reports.inputs.keys import key_text

_LOOKS = {
    BeliefOutcome.REFUTED: ("✗", "red"),
    BeliefOutcome.NOT_TRIED: ("?", "yellow"),
    BeliefOutcome.CONFIRMED: ("✓", "green"),
}
_COLUMNS = (
    Column("", width=1),
    folded("what is believed", 5),
    folded("by what it is known", 4, "dim"),
)


def intention_blocks(trial: Trial) -> Iterator[RenderableType]:
    """What a run does, what it leaves behind, and what it costs."""
    stack = trial.stack
    days = stack.parameters.get("OverflowLockDays", "many")
    source, history = stack.source_table, stack.history_table
    item = (
        f"writes the item {key_text(trial.canary.keys)} of {source}, changes it and deletes it: "
        f"its rows stay in {history} for ever"
    )
    calls = (
        f"makes calls on {history} that its policy has to deny; one that is not denied changes "
        "nothing"
    )
    poison = (
        f"invokes {stack.function(Consumer.HISTORY_WRITER)} with a record that cannot be read: "
        "HistoryQuarantineAlarm sounds some minutes later"
    )
    alarm = "sets an alarm to ALARM for a moment: all subscribers of its topic hear of it"
    made = (
        "makes, and takes away at its end: a function with the history writer's role; a queue and "
        "its subscription; an alarm; two buckets"
    )
    if stack.parameters.get("SampleSourceTableName"):
        made += (
            "; a mapping of that function, which reads the sample's stream as a third reader for "
            "some minutes"
        )
    locked = f"leaves a small object in {stack.overflow_bucket}, locked for {days} days"
    cost = (
        "costs about one US cent beside the stack's own costs, and takes up to half an hour on AWS"
    )
    yield titled(f"Accept {stack.name}")
    yield from notes([item, calls, poison, alarm, made, locked, cost])
    yield ""


def acceptance_blocks(title: str, records: Sequence[Record]) -> Iterator[RenderableType]:
    """Every belief as it was recorded, and what came of it: what was refuted comes first."""
    by_outcome = {
        outcome: [record for record in records if record["outcome"] == outcome.value]
        for outcome in _LOOKS
    }
    counts = Text(", ").join(
        Text(f"{len(some)} {outcome.value}", style=_LOOKS[outcome][1])
        for outcome, some in by_outcome.items()
        if some
    )
    yield titled(f"{title}: {cells.count_of(len(records), 'belief')}", counts, "")
    yield table_of(_COLUMNS, [_row(record) for some in by_outcome.values() for record in some])
    yield ""


def _row(record: Record) -> Row:
    mark = Text(*_LOOKS[BeliefOutcome(record["outcome"])])
    name = Text.assemble((record["belief"], "bold"), "\n", cells.plain(record["sentence"]))
    return mark, name, cells.plain(record["evidence"])
