"""What the demo holds against what it did: every change recorded, every item replicated."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itemtrail.local.workload import LARGE, MURALI, Workload
from reports import Certainty, HistoryTable
from reports.inputs.keys import key_text
from stream_core.attribute_values import Item, same_item
from stream_core.errors import ItemtrailError
from stream_core.history_row import HistoryRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_POLL_S = 0.1
_STALLED_AFTER_S = 30


@dataclass(frozen=True)
class Tables:
    """The deployed system, as the demo looks at it."""

    dynamodb: "DynamoDBClient"
    source_table: str
    history_table: str
    replica: "DynamoDBClient"
    replica_table: str
    time_shards: int


@dataclass(frozen=True)
class Check:
    """One thing that must hold, and what was found wrong with it."""

    claim: str
    problems: list[str]


def wait_until_caught_up(
    tables: Tables, workload: Workload, progress: Callable[[int], None]
) -> bool:
    """Wait until the functions have done all their work; False if they stall."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < _STALLED_AFTER_S:
        rows = count(tables.dynamodb, tables.history_table)
        if rows != seen:
            seen, since = rows, time.monotonic()
            progress(rows)
        if rows >= workload.changes and not replica_differences(tables):
            return True
        time.sleep(_POLL_S)
    return False


def run_checks(tables: Tables, workload: Workload, trail: HistoryTable) -> list[Check]:
    """Hold the history and the replica against the workload's own log."""
    rows = {one: list(trail.rows({"Id": one})) for one in workload.log}
    total = count(tables.dynamodb, tables.history_table)
    verification = trail.verify()
    extra = [] if total == workload.changes else [f"{total} rows for {workload.changes} changes"]
    return [
        Check(
            "every change is one history row, in order, types exact",
            [*extra, *_history_problems(workload, rows)],
        ),
        Check(
            "images too large for a row came back whole from the overflow bucket",
            [f"no row of item {LARGE} is in the overflow bucket"]
            if not any(row.overflow for row in rows[LARGE])
            else [],
        ),
        Check(
            "the state as of three instants is what it was, and exact",
            _told(_state_problems(workload, trail)),
        ),
        Check(
            "the whole table as of these instants is what it was, and exact",
            _told(_table_problems(workload, trail)),
        ),
        Check(
            "the changes by time are all changes, each once",
            _told(_range_problems(workload, trail)),
        ),
        Check(
            "verify finds the history intact and complete",
            [f"{one.kind} of {key_text(one.keys)}: {one.detail}" for one in verification.findings]
            or ([] if verification.clean else verification.notes),
        ),
        Check("the replica equals the source, item by item", replica_differences(tables)),
    ]


def _told(problems: Iterator[str]) -> list[str]:
    """What is wrong, also if looking for it ends at a row that is."""
    told: list[str] = []
    try:
        told.extend(problems)
    except ItemtrailError as error:
        told.append(str(error))
    return told


def _history_problems(workload: Workload, rows: dict[int, list[HistoryRow]]) -> Iterator[str]:
    for one, log in workload.log.items():
        if len(rows[one]) != len(log):
            yield f"item {one}: {len(rows[one])} rows for {len(log)} changes"
            continue
        for number, (row, (old, new)) in enumerate(zip(rows[one], log, strict=True), start=1):
            change = row.change
            if not (same_item(change.old_image, old) and same_item(change.new_image, new)):
                yield f"item {one}: row {number} is not the change that was made"


def _state_problems(workload: Workload, trail: HistoryTable) -> Iterator[str]:
    for at, items in workload.instants:
        state = trail.as_of({"Id": MURALI}, at)
        if not same_item(state.image, items.get(MURALI)):
            yield f"item {MURALI} as of {at}: not the state it had"
        if state.certainty is not Certainty.EXACT:
            yield f"item {MURALI} as of {at}: {state.certainty}, {state.reason}"


def _table_problems(workload: Workload, trail: HistoryTable) -> Iterator[str]:
    for at, items in workload.instants:
        states = {state.keys["Id"]["N"]: state for state in trail.table_states(at).states}
        for one in states.keys() | set(map(str, items)):
            state = states.get(one)
            image = state.image if state else None
            if not same_item(image, items.get(int(one))):
                yield f"item {one} as of {at}: not the state it had"
            elif state and state.certainty is not Certainty.EXACT:
                yield f"item {one} as of {at}: {state.certainty}, {state.reason}"


def _range_problems(workload: Workload, trail: HistoryTable) -> Iterator[str]:
    changes = Counter(int(row.id) for row in trail.changed_rows(trail.horizon, "now"))
    for one in changes.keys() | workload.log.keys():
        if changes[one] != len(workload.log[one]):
            yield f"item {one}: {changes[one]} changes found of {len(workload.log[one])}"


def replica_differences(tables: Tables) -> list[str]:
    """Items that are not the same in the source and the replica."""
    source = _items(tables.dynamodb, tables.source_table)
    replica = _items(tables.replica, tables.replica_table)
    return [
        f"item {one} differs between source and replica"
        for one in sorted(source.keys() | replica.keys())
        if not same_item(source.get(one), replica.get(one))
    ]


def count(dynamodb: "DynamoDBClient", table: str) -> int:
    """The number of items in a table, counted now."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table, Select="COUNT", ConsistentRead=True
    )
    return sum(page["Count"] for page in pages)


def _items(dynamodb: "DynamoDBClient", table: str) -> dict[str, Item]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {item["Id"]["N"]: item for page in pages for item in page["Items"]}
