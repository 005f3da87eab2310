"""The changes of one run of this program, to be taken back themselves.

The run has announced each of its writes, so that it is known which changes there are to be: the
history need not be complete for that, and an announced write that it does not show is told.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.recovery.bad_changes import BadItem, Selected
from reports.access.own_writes import find_own_writes
from reports.states.own_writes import LATEST
from reports.states.selection import Selection
from reports.table.changes import changed_rows
from stream_core.announcement import OWN_PREFIX, item_hash, standing

# As in `own_writes`: stamps are whole seconds.
_ROUNDING = timedelta(seconds=2)


@dataclass(frozen=True)
class RunChanges:
    """The changes of a run.

    Attributes:
        since, until: between which they are stamped.
    """

    selected: Selected
    since: datetime
    until: datetime


def select_run(deployment: DeployedTables, run: str, *, pace: Pace) -> RunChanges:
    """All changes that a run has made.

    Args:
        deployment: the source table and its history.
        run: the run's id.
        pace: how many rows a second are read; says what time it is; what is called with the
            changes selected.

    Raises:
        RefusedError: the history knows no such run.
        IntegrityError: the history is not what was written.
    """
    reader = deployment.reader
    row = find_own_writes(reader).runs.get(run)
    if row is None:
        raise RefusedError(
            f"the history knows no run {run}: `itemtrail changes` names those that wrote"
        )
    announced = {
        write.item: write.at
        for write in standing(reader.control_rows(OWN_PREFIX, f"{OWN_PREFIX}~"))
        if write.run == run
    }
    since = row.started - _ROUNDING
    until = min(max([row.started, *announced.values()]) + LATEST, pace.machine.now())
    items: dict[str, BadItem] = {}
    paced = partial(pace.rate.take, 1)
    changes = changed_rows(reader, since, until, Selection(), progress=pace.progress, paced=paced)
    with closing(changes):
        for change in changes:
            if change.run == run:
                known = items.get(change.id, BadItem(change.change.keys, ()))
                changes_so_far = (*known.changes, change.sort_key)
                items[change.id] = replace(known, changes=changes_so_far)
                pace.progress("changes selected", len(items), None)
    missing = len(announced.keys() - set(map(item_hash, items)))
    note = (
        f"{missing:,} announced writes of run {run} are not in the history: they were not made, or "
        "are still on their way"
    )
    selected = Selected(
        tuple(items.values()),
        undecided=(),
        unknown=(note,) if missing else (),
    )
    return RunChanges(selected, since, until)
