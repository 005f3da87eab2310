"""Answers as pandas frames; the only module that builds them.

Every frame has a column `id`, the item's canonical key as text, which `groupby` and `merge` take.
Times are timezone-aware UTC; values are exact Python values (`Decimal`, bytes, sets) in columns
of dtype object, with the wire type beside them where NULL and absent must be told apart. With
`coerce`, numbers are floats, in columns of `float64` where there is nothing else, binary is base64
text and sets are lists: see `values.to_python`; a key is never coerced, as another one could come
of it: neither `key` nor the key's columns of `scd2`. `to_parquet` takes every frame, see
`exact_frame`.
"""

import json
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from reports.exact_frame import ExactFrame
from reports.inputs.paths import Path, path_text
from reports.states.actor import actor_of
from reports.states.blame import Blame
from reports.states.columns import columns_of, values_of
from reports.states.differences import Difference, changed_paths
from reports.states.stream_order import in_their_time
from reports.states.timeline import ItemState
from reports.states.values import delta, to_python, value_to_python
from reports.states.watermark import NoWatermark, Watermark
from reports.verification.continuity import Finding
from stream_core.attribute_values import AttributeValue, Item
from stream_core.history_row import HistoryRow, time_text
from stream_core.item_id import item_id

_SCD2 = (
    "valid_from",
    "valid_to",
    "is_current",
    "certainty",
    "basis",
    "reason",
    "sequence_number",
)


def history_frame(rows: Sequence[HistoryRow], *, coerce: bool = False) -> pd.DataFrame:
    """One line a version, in the order in which they were made.

    Columns: `id`, `valid_from`, `valid_to` (half-open, `NaT` while it lasts), `is_current`,
    `event_name`, `item` (the state from then on, None after a REMOVE), `old_image`, `new_image`,
    `changed` (attribute paths), `sequence_number`, `event_id`, `by` (`userIdentity`, set for an
    expiry by TTL), `fault` (why the row is not what was written, else None), `run` and `run_by`
    (the run of `undo` or `restore` that made the change, and who started it; else None).
    """
    times = [(since, until) for _, since, until in in_their_time(rows)]
    starts, ends = [since for since, _ in times], [until for _, until in times]
    new_images = _images([row.change.new_image for row in rows], coerce=coerce)
    return ExactFrame(
        {
            "id": _objects(row.change.item_id for row in rows),
            "valid_from": _times(starts),
            "valid_to": _times(ends),
            "is_current": _flags(
                end is None and row.change.new_image is not None
                for end, row in zip(ends, rows, strict=True)
            ),
            "event_name": _objects(row.change.event_name.value for row in rows),
            "item": new_images,
            "old_image": _images([row.change.old_image for row in rows], coerce=coerce),
            "new_image": new_images,
            "changed": _objects(changed_paths(row) for row in rows),
            "sequence_number": _objects(row.change.sequence_number for row in rows),
            "event_id": _objects(row.change.event_id for row in rows),
            "by": _objects(_identity(row) for row in rows),
            "fault": _objects(row.fault for row in rows),
            **_runs(rows),
        }
    )


def changes_frame(
    rows: Sequence[HistoryRow], actor_attribute: Path | None = None, *, coerce: bool = False
) -> pd.DataFrame:
    """One line a change, in the order of time.

    Columns: `id`, `changed_at`, `key`, `event_name`, `changed` (attribute paths), `old_image`,
    `new_image`, `actor` and `actor_caveat` (see `actor.actor_of`), `sequence_number`, `event_id`,
    `fault` (why the row is not what was written, else None), `run` and `run_by` (see
    `history_frame`).
    """
    actors = [actor_of(row, actor_attribute) for row in rows]
    return ExactFrame(
        {
            "id": _objects(row.change.item_id for row in rows),
            "changed_at": _times([row.change.created_at for row in rows]),
            "key": _images([row.change.keys for row in rows], coerce=False),
            "event_name": _objects(row.change.event_name.value for row in rows),
            "changed": _objects(changed_paths(row) for row in rows),
            "old_image": _images([row.change.old_image for row in rows], coerce=coerce),
            "new_image": _images([row.change.new_image for row in rows], coerce=coerce),
            "actor": _objects(actor.name for actor in actors),
            "actor_caveat": _objects(actor.caveat for actor in actors),
            "sequence_number": _objects(row.change.sequence_number for row in rows),
            "event_id": _objects(row.change.event_id for row in rows),
            "fault": _objects(row.fault for row in rows),
            **_runs(rows),
        }
    )


def states_frame(states: Sequence[ItemState], *, coerce: bool = False) -> pd.DataFrame:
    """One line a state of an item.

    Columns: `id`, `key`, `valid_from` (`NaT` where it is not known), `valid_to` (exclusive, `NaT`
    while it lasts or where it is not known), `is_current`, `exists`, `item` (None where there was
    none), `certainty`, `basis` (what `exact` rests on, else None), `reason`, `event_name` and
    `sequence_number` of the row it rests on, `run` and `run_by` of a change that it began with
    (see `history_frame`). The certainty is that of the whole span.
    """
    rows = [state.row for state in states]
    began = [row if state.valid_from else None for row, state in zip(rows, states, strict=True)]
    return ExactFrame(
        {
            "id": _objects(item_id(state.keys) for state in states),
            "key": _images([state.keys for state in states], coerce=False),
            "valid_from": _times([state.valid_from for state in states]),
            "valid_to": _times([state.valid_to for state in states]),
            "is_current": _flags(state.is_current for state in states),
            "exists": _flags(state.exists for state in states),
            "item": _images([state.image for state in states], coerce=coerce),
            "certainty": _objects(state.certainty.value for state in states),
            "basis": _objects(state.basis and state.basis.value for state in states),
            "reason": _objects(state.reason for state in states),
            "event_name": _objects(row and row.change.event_name.value for row in rows),
            "sequence_number": _objects(row and row.change.sequence_number for row in rows),
            **_runs(began),
        }
    )


def scd2_frame(states: Iterable[ItemState], *, coerce: bool = False) -> pd.DataFrame:
    """Slowly changing dimension, type 2: one line a version, one column an attribute path.

    The column `id` comes first, `valid_from`, `valid_to`, `is_current`, `certainty`, `basis`,
    `reason` and `sequence_number` last. An attribute of such a name is a column in quotes,
    `"valid_from"`, as is one whose name holds a dot. A map or list with more than 100 paths within
    it, over all versions, is one column. Absent attributes are `pd.NA`, `NULL` is None; with
    `coerce` both are None, and NaN among numbers. A time lies in exactly one version
    (`valid_from <= time < valid_to`); versions that lasted less than the second they are stamped
    with have `valid_from == valid_to`.
    """
    versions = [state for state in states if state.exists]
    keys = {(name,): None for state in versions for name in state.keys}
    images = [state.image or {} for state in versions]
    paths = columns_of(images)
    values_by_version = [values_of(image, paths) for image in images]
    own = states_frame(versions)
    columns: dict[str, Any] = {"id": own["id"]}
    for path in keys | dict.fromkeys(sorted(paths, key=path_text)):
        values = [values.get(path) for values in values_by_version]
        columns[_column(path)] = _values(values, coerce=coerce and path not in keys, absent=pd.NA)
    return ExactFrame(columns | dict(own[list(_SCD2)].items()))


def difference_frame(
    keys: Item, changes: Sequence[Difference], *, coerce: bool = False
) -> pd.DataFrame:
    """One line an attribute path of an item that differs.

    Columns: `id`, `path`, `change`, `old`, `new`, `delta`, `old_type`, `new_type`. `change`
    is `added`, `removed` or `changed`; `delta` is new minus old, exactly, for numbers; a type is
    DynamoDB's (`S`, `N`, `NULL`, …), None where the attribute is absent.
    """
    deltas = [_delta(change) for change in changes]
    return ExactFrame(
        {
            "id": _objects([item_id(keys)] * len(changes)),
            "path": _objects(path_text(change.path) for change in changes),
            "change": _objects(change.kind for change in changes),
            "old": _values([change.old for change in changes], coerce=coerce),
            "new": _values([change.new for change in changes], coerce=coerce),
            "delta": pd.Series(deltas, dtype="float64" if coerce else object),
            "old_type": _objects(_type(change.old) for change in changes),
            "new_type": _objects(_type(change.new) for change in changes),
        }
    )


def blame_frame(keys: Item, blames: Sequence[Blame], *, coerce: bool = False) -> pd.DataFrame:
    """One line an attribute path of an item, and the change that made it what it is.

    Columns: `id`, `path`, `value`, `type`, `since` (`NaT` where the change is not recorded),
    `event_name`, `sequence_number`, `event_id`, `actor`, `actor_caveat`, `certainty`, `basis`,
    `reason`, `run` and `run_by` (see `history_frame`).
    """
    changes = [entry.row and entry.row.change for entry in blames]
    return ExactFrame(
        {
            "id": _objects([item_id(keys)] * len(blames)),
            "path": _objects(path_text(entry.path) for entry in blames),
            "value": _values([entry.value for entry in blames], coerce=coerce),
            "type": _objects(_type(entry.value) for entry in blames),
            "since": _times([change and change.created_at for change in changes]),
            "event_name": _objects(change and change.event_name.value for change in changes),
            "sequence_number": _objects(change and change.sequence_number for change in changes),
            "event_id": _objects(change and change.event_id for change in changes),
            "actor": _objects(entry.actor.name for entry in blames),
            "actor_caveat": _objects(entry.actor.caveat for entry in blames),
            "certainty": _objects(entry.certainty.value for entry in blames),
            "basis": _objects(entry.basis and entry.basis.value for entry in blames),
            "reason": _objects(entry.reason for entry in blames),
            **_runs([entry.row for entry in blames]),
        }
    )


def certainty_of(state: ItemState) -> dict[Hashable | None, Any]:
    """How sure an answer is, for the `attrs` of its frame: `certainty`, `basis`, `reason`."""
    basis = state.basis and state.basis.value
    return {"certainty": state.certainty.value, "basis": basis, "reason": state.reason}


def completeness_of(
    watermark: Watermark | NoWatermark, until: datetime, now: datetime
) -> dict[Hashable | None, Any]:
    """Up to when no change is missing from a list of them, for the `attrs` of its frame.

    `complete_until` and its `basis` are None where that is not known; `reason` says why a change
    up to `until` may be missing, and is None where none can be.
    """
    reason = None if watermark.covers(until) else watermark.doubt(now)
    if isinstance(watermark, NoWatermark):
        return {"complete_until": None, "basis": None, "reason": reason}
    complete_until, basis = time_text(watermark.at), watermark.basis.value
    return {"complete_until": complete_until, "basis": basis, "reason": reason}


def findings_frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """One line a finding of `verify`.

    Columns: `id`, `finding` (its class), `key`, `since` and `until` (between which the missing or
    wrong change lies, `NaT` where there is no bound), `sort_key` of the row, `detail`, `declared`
    (the cause, where a declared gap covers it), `missing` (what the missing changes came to, in
    words).
    """
    return ExactFrame(
        {
            "id": _objects(item_id(finding.keys) for finding in findings),
            "finding": _objects(finding.kind.value for finding in findings),
            "key": _images([finding.keys for finding in findings], coerce=False),
            "since": _times([finding.since for finding in findings]),
            "until": _times([finding.until for finding in findings]),
            "sort_key": _objects(finding.sort_key for finding in findings),
            "detail": _objects(finding.detail for finding in findings),
            "declared": _objects(finding.declared for finding in findings),
            "missing": _objects(finding.missing for finding in findings),
        }
    )


def _runs(rows: Sequence[HistoryRow | None]) -> dict[str, pd.Series]:
    return {
        "run": _objects(row and row.run for row in rows),
        "run_by": _objects(row and row.run_by for row in rows),
    }


def _times(moments: Sequence[Any]) -> pd.Series:
    return pd.Series(pd.to_datetime(list(moments), utc=True)).astype("datetime64[us, UTC]")


def _flags(values: Iterable[bool]) -> pd.Series:
    return pd.Series(list(values), dtype=bool)


def _objects(values: Iterable[Any]) -> pd.Series:
    # Without the dtype pandas would turn None into NaN and texts into its own type.
    return pd.Series(list(values), dtype=object)


def _images(images: Sequence[Item | None], *, coerce: bool) -> pd.Series:
    return _objects(None if image is None else to_python(image, coerce=coerce) for image in images)


def _values(
    values: Sequence[AttributeValue | None], *, coerce: bool, absent: Any = None
) -> pd.Series:
    """A column of values; coerced numbers among nothing else are floats that can be plotted."""
    if coerce:
        absent = None
        if {_type(value) for value in values} - {None, "NULL"} == {"N"}:
            return pd.Series([value.get("N") if value else None for value in values]).astype(
                "float64"
            )
    return _objects(
        absent if value is None else value_to_python(value, coerce=coerce) for value in values
    )


def _delta(difference: Difference) -> Decimal | None:
    match difference.old, difference.new:
        case {"N": str(old)}, {"N": str(new)}:
            return delta(Decimal(old), Decimal(new))
    return None


def _type(value: AttributeValue | None) -> str | None:
    return None if value is None else next(iter(value))


def _column(path: Path) -> str:
    text = path_text(path)
    return json.dumps(text) if text in ("id", *_SCD2) else text


def _identity(row: HistoryRow) -> str | None:
    identity = row.change.user_identity
    return None if identity is None else identity.principal_id
