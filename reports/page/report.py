"""An audit report as one HTML page that needs nothing else: for one item, or for a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.inputs.keys import key_text
from reports.inputs.paths import Path, path_text
from reports.inputs.times import moment_text
from reports.page import activity_chart as drawn_activity
from reports.page import timeline_chart as drawn_timeline
from reports.page.activity_chart import Activity
from reports.page.text import count_of, plain, shown, value_html, when
from reports.page.words import CERTAINTIES, CLASSES, EXCEPTION, TERMS, VERDICTS
from reports.states.actor import Actor, actor_of
from reports.states.differences import Difference, changes_of
from reports.states.timeline import ItemState
from stream_core.change import EventName
from stream_core.history_row import HistoryRow

if TYPE_CHECKING:
    from reports.deployment.advice import Advice
    from reports.states.blame import Blame
    from reports.verification.continuity import Finding
    from reports.verification.gaps import Gap
    from reports.verification.verdicts import Verification

MOST_ROWS = 1_000
"""So many of the newest rows are printed; the verdicts are on all of them."""
_MOST_DIFFERENCES = 40
_MOST_FINDINGS = 500
# Who asks for now means the moment at which the report is made.
_NOW = timedelta(minutes=1)
_SIGNS = {
    "MARKS": {"holds": "✓", "broken": "✗", "unproven": "?"},
    "SIGNS": {"added": "+", "removed": "-", "changed": "~"},
    "SHAPES": {
        "insert": "M0 -6.5 L6.5 5 H-6.5 Z",
        "modify": "M-5 0 A5 5 0 1 0 5 0 A5 5 0 1 0 -5 0 Z",
        "remove": "M0 6.5 L6.5 -5 H-6.5 Z",
        "snapshot": "M0 -6 L6 0 L0 6 L-6 0 Z",
        "unreadable": "M-5 -5 H5 V5 H-5 Z",
    },
    "KINDS": {
        **{event.value.lower(): event.value for event in EventName},
        "second": "changes, some of one second",
        "many": "changes",
    },
}


@dataclass(frozen=True)
class About:
    """What a report is about, and when it was made.

    Attributes:
        question: in the words of who asked it, such as the command line.
        made_at: when the tables were read, UTC.
        horizon: when the history began, UTC.
        region: where the tables are.
        endpoint_url: another endpoint than AWS.
        version: of this program.
    """

    question: str
    made_at: datetime
    history_table: str
    source_table: str | None
    horizon: datetime
    region: str | None = None
    stack: str | None = None
    endpoint_url: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class _PrintedRow:
    """A row of the history with what is printed beside it."""

    number: int
    row: HistoryRow
    place: str | None
    differences: list[Difference]
    more: int
    actor: Actor
    findings: list["Finding"]


def item_report(  # noqa: PLR0913 - each argument is one answer of the library
    about: About,
    state: ItemState,
    *,
    states: Sequence[ItemState],
    rows: Sequence[HistoryRow],
    blames: Sequence["Blame"],
    verification: "Verification",
    actor_attribute: Path | None = None,
) -> str:
    """The report on one item, as an HTML page.

    Args:
        about: what was asked.
        state: the item at the instant that was asked for.
        states: its whole life, as `HistoryTable.states` gives it.
        rows: its history, oldest first.
        blames: for every attribute path of `state`, the change it comes from.
        verification: of this item alone.
        actor_attribute: the attribute that names who makes a change.
    """
    first = max(len(rows) - MOST_ROWS, 0)
    lines = _printed_rows(rows, first, verification.findings, actor_attribute)
    return _page(
        "item.html.j2",
        about,
        verification,
        CERTAINTIES,
        key=key_text(state.keys),
        state=state,
        blames=blames,
        lines=lines,
        row_count=len(rows),
        numbers={row.sort_key: number for number, row in enumerate(rows, start=1)},
        first_printed=first + 1,
        timeline=drawn_timeline.draw(
            states,
            rows,
            about.horizon,
            max(about.made_at, state.at),
            state.at if abs(state.at - about.made_at) > _NOW else None,
        ),
    )


def table_report(
    about: About,
    verification: "Verification",
    activity: Activity,
    *,
    gaps: Sequence["Gap"] = (),
    advice: Sequence["Advice"] | None = None,
) -> str:
    """The report on a whole table, as an HTML page.

    Args:
        about: what was asked.
        verification: of the whole table.
        activity: its changes, counted by `Activity.counted`.
        gaps: what was declared beforehand.
        advice: what the doctor said of the deployment, None where it was not asked.
    """
    return _page(
        "table.html.j2",
        about,
        verification,
        {},
        activity=activity,
        chart=drawn_activity.draw(activity),
        gaps=[(gap, _covered(gap, verification)) for gap in gaps],
        # What is wrong comes first, then what is unclear.
        advice=advice and sorted(advice, key=lambda entry: (entry.ok is True, entry.ok is None)),
    )


def _page(
    template: str,
    about: About,
    verification: "Verification",
    words: Mapping[str, str],
    **more: Any,
) -> str:
    findings = list(verification.findings)
    kinds = {finding.kind.value for finding in findings}
    classes = {name: meaning for name, meaning in CLASSES.items() if name in kinds}
    page = _environment().get_template(template)
    return page.render(
        about=about,
        verification=verification,
        findings=findings[:_MOST_FINDINGS],
        finding_count=len(findings),
        declared_count=verification.declared,
        verdicts=VERDICTS,
        exception=EXCEPTION,
        words=[*words.items(), *classes.items(), *TERMS.items()],
        **_SIGNS,
        **more,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        # Whatever a template prints goes through here, so that no field can be forgotten.
        finalize=shown,
        loader=PackageLoader(__package__),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "key": key_text,
        "moment": moment_text,
        "number": count_of,
        "path": path_text,
        "plain": plain,
        "value": value_html,
        "when": when,
    }
    return environment


def _printed_rows(
    rows: Sequence[HistoryRow],
    first: int,
    findings: Iterable["Finding"],
    actor_attribute: Path | None,
) -> list[_PrintedRow]:
    by_row: dict[str | None, list[Finding]] = {}
    for finding in findings:
        by_row.setdefault(finding.sort_key, []).append(finding)
    lines = []
    for index, place in islice(enumerate(_places(rows)), first, None):
        row = rows[index]
        changes = changes_of(row)
        lines.append(
            _PrintedRow(
                index + 1,
                row,
                place,
                changes[:_MOST_DIFFERENCES],
                max(len(changes) - _MOST_DIFFERENCES, 0),
                actor_of(row, actor_attribute),
                by_row.get(row.sort_key, []),
            )
        )
    return lines


def _places(rows: Iterable[HistoryRow]) -> Iterator[str | None]:
    """For each row, which one of its second it is."""
    for _, group in groupby(rows, key=lambda row: row.change.created_at):
        count = len(list(group))
        for place in range(1, count + 1):
            yield f"{place} of {count} in this second" if count > 1 else None


def _covered(gap: "Gap", verification: "Verification") -> int:
    return sum(finding.declared == gap.cause for finding in verification.findings)
