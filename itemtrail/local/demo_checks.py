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
from stream_core.item_id import item_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_POLL_S = 0.1
_STALLED_AFTER_S = 30


@dataclass(frozen=True)
class DemoTables:
    """The deployed system, as the demo looks at it."""

    dynamodb: "DynamoDBClient"
    source_table: str
    history_table: str
    replica: "DynamoDBClient"
    replica_table: str
    time_shards: int


@dataclass(frozen=True)
class DemoCheck:
    """One thing that must hold, and what was found wrong with it."""

    claim: str
    problems: list[str]


def wait_until_caught_up(
    tables: DemoTables, workload: Workload, progress: Callable[[int], None]
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


def run_checks(tables: DemoTables, workload: Workload, trail: HistoryTable) -> list[DemoCheck]:
    """Hold the history and the replica against the workload's own log."""
    rows = {finding: list(trail.rows({"Id": finding})) for finding in workload.log}
    total = count(tables.dynamodb, tables.history_table)
    verification = trail.verify()
    extra = [] if total == workload.changes else [f"{total} rows for {workload.changes} changes"]
    return [
        DemoCheck(
            "every change is one history row, in order, types exact",
            [*extra, *_history_problems(workload, rows)],
        ),
        DemoCheck(
            "images too large for a row came back whole from the overflow bucket",
            [f"no row of item {LARGE} is in the overflow bucket"]
            if not any(row.overflow for row in rows[LARGE])
            else [],
        ),
        DemoCheck(
            "the state as of three instants is what it was, and exact",
            _collected(_state_problems(workload, trail)),
        ),
        DemoCheck(
            "the whole table as of these instants is what it was, and exact",
            _collected(_table_problems(workload, trail)),
        ),
        DemoCheck(
            "the changes by time are all changes, each once",
            _collected(_range_problems(workload, trail)),
        ),
        DemoCheck(
            "verify finds the history intact and complete",
            [
                f"{finding.kind} of {key_text(finding.keys)}: {finding.detail}"
                for finding in verification.findings
            ]
            or ([] if verification.clean else verification.notes),
        ),
        DemoCheck("the replica equals the source, item by item", replica_differences(tables)),
    ]


def _collected(problems: Iterator[str]) -> list[str]:
    """What is wrong, also if looking for it ends at a row that is."""
    collected: list[str] = []
    try:
        collected.extend(problems)
    except ItemtrailError as error:
        collected.append(str(error))
    return collected


def _history_problems(workload: Workload, rows: dict[int, list[HistoryRow]]) -> Iterator[str]:
    for identifier, log in workload.log.items():
        if len(rows[identifier]) != len(log):
            yield f"item {identifier}: {len(rows[identifier])} rows for {len(log)} changes"
            continue
        for number, (row, (old, new)) in enumerate(
            zip(rows[identifier], log, strict=True), start=1
        ):
            change = row.change
            if not (same_item(change.old_image, old) and same_item(change.new_image, new)):
                yield f"item {identifier}: row {number} is not the change that was made"


def _state_problems(workload: Workload, trail: HistoryTable) -> Iterator[str]:
    for at, items in workload.instants:
        state = trail.as_of({"Id": MURALI}, at)
        if not same_item(state.image, items.get(MURALI)):
            yield f"item {MURALI} as of {at}: not the state it had"
        if state.certainty is not Certainty.EXACT:
            yield f"item {MURALI} as of {at}: {state.certainty}, {state.reason}"


def _table_problems(workload: Workload, trail: HistoryTable) -> Iterator[str]:
    for at, images in workload.instants:
        items = {str(number): image for number, image in images.items()}
        # A row that no change explains may be of another kind of key.
        states = {item_id(state.keys): state for state in trail.table_states(at).states}
        for identifier in states.keys() | items.keys():
            state = states.get(identifier)
            image = state.image if state else None
            if not same_item(image, items.get(identifier)):
                yield f"item {identifier} as of {at}: not the state it had"
            elif state and state.exists and state.certainty is not Certainty.EXACT:
                yield f"item {identifier} as of {at}: {state.certainty}, {state.reason}"


def _range_problems(workload: Workload, trail: HistoryTable) -> Iterator[str]:
    changes = Counter(int(row.id) for row in trail.changed_rows(trail.horizon, "now"))
    for identifier in changes.keys() | workload.log.keys():
        listed, made = changes[identifier], len(workload.log[identifier])
        if listed != made:
            yield f"item {identifier}: {listed} changes found of {made}"


def replica_differences(tables: DemoTables) -> list[str]:
    """Items that are not the same in the source and the replica."""
    source = _items(tables.dynamodb, tables.source_table)
    replica = _items(tables.replica, tables.replica_table)
    return [
        f"item {identifier} differs between source and replica"
        for identifier in sorted(source.keys() | replica.keys())
        if not same_item(source.get(identifier), replica.get(identifier))
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
