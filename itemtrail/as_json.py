"""Answers for programs: JSON in which nothing is lost.

An attribute value keeps DynamoDB's own form (`{"N": "1"}`, binary as base64), times are ISO 8601
in UTC, and an absent value is null. docs/cli.md lists the fields.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from reports.differences import Difference
from reports.frames import changed_paths
from reports.paths import path_text
from reports.timeline import ItemState, weaker_of
from stream_core.attribute_values import wire_json
from stream_core.history_row import HistoryRow, time_text


def print_json(value: Any) -> None:
    """Print one JSON document, indented."""
    click.echo(json.dumps(json.loads(wire_json(value, sort_keys=False)), indent=2))


def print_jsonl(values: Iterable[Any]) -> None:
    """Print one JSON document a line."""
    for value in values:
        click.echo(wire_json(value, sort_keys=False))


def versions(rows: Sequence[HistoryRow]) -> list[dict[str, Any]]:
    """The versions of an item, oldest first."""
    return [
        _version(row, following) for row, following in zip(rows, [*rows, None][1:], strict=True)
    ]


def state(of: ItemState) -> dict[str, Any]:
    """An item as of an instant."""
    return {
        "key": of.keys,
        "at": time_text(of.at),
        "exists": of.exists,
        "item": of.image,
        "certainty": of.certainty.value,
        "reason": of.reason,
        "valid_from": _time(of.valid_from),
        "valid_to": _time(of.valid_to),
        "row": None if of.row is None else _row(of.row),
    }


def comparison(old: ItemState, new: ItemState, found: Sequence[Difference]) -> dict[str, Any]:
    """Two states and what differs between them."""
    return {
        "key": old.keys,
        "from": state(old),
        "to": state(new),
        "differences": list(map(difference, found)),
    }


def differences(
    old: ItemState, new: ItemState, found: Sequence[Difference]
) -> list[dict[str, Any]]:
    """What differs between two states, each line with how sure that is."""
    certainty = weaker_of(old, new).certainty.value
    return [{**difference(one), "certainty": certainty} for one in found]


def difference(one: Difference) -> dict[str, Any]:
    """One attribute path that differs."""
    return {
        "path": path_text(one.path),
        "change": one.kind,
        "old": one.old,
        "new": one.new,
    }


def _version(row: HistoryRow, following: HistoryRow | None) -> dict[str, Any]:
    identity = row.change.user_identity
    return {
        "valid_from": time_text(row.change.created_at),
        "valid_to": _time(following.change.created_at if following else None),
        "is_current": following is None and row.change.new_image is not None,
        **_row(row),
        "changed": changed_paths(row),
        "old_image": row.change.old_image,
        "new_image": row.change.new_image,
        "user_identity": identity and {"type": identity.type, "principalId": identity.principal_id},
    }


def _row(row: HistoryRow) -> dict[str, Any]:
    return {
        "event_name": row.change.event_name.value,
        "sequence_number": row.change.sequence_number,
        "event_id": row.change.event_id,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)
