"""`as_of` of items with few and with many versions: what it reads, and how long it takes.

Beside it what a user would otherwise do: query the item's rows and take the last one in time.
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table

from benchmarks.history import HISTORY, SOURCE, history, order_id
from benchmarks.processes import Served, check_endpoint, environment, serving_history
from reports import Certainty, HistoryTable
from stream_core.attribute_values import Item, same_item
from stream_core.history_row import ID, SORT_KEY, sort_key_after

_VERSIONS = (10, 1_000, 100_000)
_KEYS = {versions: {"Id": order_id(number)} for number, versions in enumerate(_VERSIONS)}
_ROUNDS = 400
# The plain way reads all there is of an item: as often as takes some seconds.
_PLAIN_ROUNDS = {10: 100, 1_000: 5, 100_000: 1}


@dataclass(frozen=True)
class Figure:
    """What one way of asking took for one item.

    Attributes:
        ms: the median of its calls.
        requests, rows, size: of one call; rows and their bytes as DynamoDB counts them, the live
            item among them.
    """

    way: str
    versions: int
    ms: float
    requests: float
    rows: float
    size: float


def measure() -> list[dict[str, Any]]:
    """Every way for every item, the items in turn so that drift hits all alike.

    Raises:
        AssertionError: the plain way gives another answer.
    """
    check_endpoint()
    sample = history(f"as-of-{max(_VERSIONS)}", _VERSIONS)
    middle = sample.start + (sample.end - sample.start) / 2
    moments = {
        "before the first row": sample.start - timedelta(seconds=1),
        "between two rows": middle,
        "after the last row": sample.end,
    }
    often = dict.fromkeys(_VERSIONS, _ROUNDS)
    figures = []
    with serving_history(sample.folder) as endpoint:
        os.environ |= environment(endpoint.url)
        trail = HistoryTable(HISTORY, SOURCE)
        _ = trail.key_schema
        for words, at in moments.items():
            ask = lambda key, at=at: trail.as_of(key, at)  # noqa: E731
            figures += _measured(f"as_of, {words}", ask, often, endpoint)
        plain = _Plain(middle)
        figures += _measured("all rows, the last in time", plain.ask, _PLAIN_ROUNDS, endpoint)
        for versions, key in _KEYS.items():
            state = trail.as_of(key, middle)
            same = same_item(state.image, plain.answers[key[ID]])
            if state.certainty is not Certainty.EXACT or not same:
                raise AssertionError(f"two answers for the item of {versions} versions")
    return [asdict(figure) for figure in figures]


def _measured(
    way: str, ask: Callable[[Mapping[str, str]], Any], rounds: dict[int, int], endpoint: Served
) -> list[Figure]:
    took: dict[int, list[float]] = {versions: [] for versions in rounds}
    read: dict[int, list[int]] = {}
    endpoint.counts()
    for turn in range(max(rounds.values())):
        for versions in (count for count, turns in rounds.items() if turn < turns):
            began = time.perf_counter()
            ask(_KEYS[versions])
            took[versions].append(time.perf_counter() - began)
            if turn == 0:  # What a call reads does not vary.
                counts = endpoint.counts().values()
                read[versions] = [sum(column) for column in zip(*counts, strict=True)]
    return [
        Figure(way, versions, statistics.median(times) * 1000, *read[versions])
        for versions, times in took.items()
    ]


class _Plain:
    """All rows of an item with an ordinary client, then the last one in time."""

    def __init__(self, at: datetime) -> None:
        self._dynamodb = boto3.client("dynamodb")
        self._until = sort_key_after(at)
        self.answers: dict[str, Item | None] = {}

    def ask(self, key: Mapping[str, str]) -> None:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=HISTORY,
            KeyConditionExpression="Id = :id",
            ExpressionAttributeValues={":id": {"S": key[ID]}},
        )
        rows = [row for page in pages for row in page["Items"]]
        last = [row for row in rows if row[SORT_KEY]["S"] < self._until][-1]
        self.answers[key[ID]] = last["NewImage"]["M"] if "NewImage" in last else None


def show(measured_figures: list[dict[str, Any]], console: Console) -> None:
    """Print the figures as a table."""
    figures = [Figure(**figure) for figure in measured_figures]
    fewest = {figure.way: figure for figure in figures if figure.versions == min(_VERSIONS)}
    ratio = f"times {min(_VERSIONS)} versions"
    table = Table(title="The state of one item at an instant, median")
    for name in ("way", "versions", "ms", ratio, "requests", "items read", "bytes read"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for figure in figures:
        table.add_row(
            figure.way,
            f"{figure.versions:,}",
            f"{figure.ms:,.2f}",
            f"{figure.ms / fewest[figure.way].ms:,.2f}",
            f"{figure.requests:,}",
            f"{figure.rows:,}",
            f"{figure.size:,}",
            end_section=figure.versions == max(_VERSIONS),
        )
    console.print(table)
