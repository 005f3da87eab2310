"""What a user would otherwise do: load the whole history with boto3 and ask pandas.

An ordinary client and its paginator; items as the client gives them, which is faster and smaller
than a `Table` resource's Python values; of each row only what the questions need. Nothing is
checked, and rows that should be there and are not go unnoticed.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import boto3
import pandas as pd

from benchmarks.history import HISTORY


def load() -> pd.DataFrame:
    """Every row of the history, its images as they are."""
    columns: dict[str, list[Any]] = {name: [] for name in ("id", "key", "event", "old", "new")}
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=HISTORY)
    for page in pages:
        for item in page["Items"]:
            columns["id"].append(item["Id"]["S"])
            columns["key"].append(item["ApproximateCreationDateTime"]["S"])
            columns["event"].append(item["EventName"]["S"])
            columns["old"].append(item["OldImage"]["M"] if "OldImage" in item else None)
            columns["new"].append(item["NewImage"]["M"] if "NewImage" in item else None)
    frame = pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    )
    frame["time"] = pd.to_datetime(frame["key"].str.split("#").str[0], utc=True, format="ISO8601")
    return frame


def table_as_of(frame: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """The newest row of each item up to an instant, without those that delete it."""
    rows = frame[frame["time"] <= at].sort_values(["id", "key"])
    last = rows.groupby("id").tail(1)
    return last[last["event"] != "REMOVE"]


def changes(frame: pd.DataFrame, start: datetime, end: datetime) -> pd.DataFrame:
    """The rows of a range of time, in order."""
    return frame[(frame["time"] >= start) & (frame["time"] <= end)].sort_values(["key", "id"])


def changes_of(
    frame: pd.DataFrame, start: datetime, end: datetime, attribute: str, values: tuple[str, str]
) -> pd.DataFrame:
    """Those of them in which a text went from one value to another."""
    rows = changes(frame, start, end)
    old, new = (_texts(rows[image], attribute) for image in ("old", "new"))
    return rows[[pair == values for pair in zip(old, new, strict=True)]]


def _texts(images: Iterable[Any], attribute: str) -> list[str | None]:
    return [image and image.get(attribute, {}).get("S") for image in images]
