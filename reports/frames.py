"""Rows and differences as pandas frames; the only module that builds them.

Times are timezone-aware UTC; values are exact Python values (`Decimal`, bytes, sets) in columns
of dtype object, with the wire type beside them where NULL and absent must be told apart.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports.differences import Difference, differences
from reports.paths import path_text
from reports.python_values import to_python, value_to_python
from reports.timeline import state_before
from stream_core.attribute_values import AttributeValue, Item
from stream_core.history_row import HistoryRow


def history_frame(rows: Sequence[HistoryRow]) -> pd.DataFrame:
    """One line a version, oldest first.

    Columns: `valid_from`, `valid_to` (half-open, `NaT` while it lasts), `is_current`,
    `event_name`, `item` (the state from then on, None after a REMOVE), `old_image`, `new_image`,
    `changed` (attribute paths), `sequence_number`, `event_id`, `by` (`userIdentity`, set for an
    expiry by TTL).
    """
    starts = [row.change.created_at for row in rows]
    ends = [*starts, None][1:]
    return pd.DataFrame(
        {
            "valid_from": _times(starts),
            "valid_to": _times(ends),
            "is_current": [
                end is None and row.change.new_image is not None
                for end, row in zip(ends, rows, strict=True)
            ],
            "event_name": [row.change.event_name.value for row in rows],
            "item": _objects([_python(row.change.new_image) for row in rows]),
            "old_image": _objects([_python(row.change.old_image) for row in rows]),
            "new_image": _objects([_python(row.change.new_image) for row in rows]),
            "changed": _objects([changed_paths(row) for row in rows]),
            "sequence_number": [row.change.sequence_number for row in rows],
            "event_id": [row.change.event_id for row in rows],
            "by": _objects([_identity(row) for row in rows]),
        }
    )


def difference_frame(found: Sequence[Difference]) -> pd.DataFrame:
    """One line an attribute path: `path`, `change`, `old`, `new`, `old_type`, `new_type`.

    `change` is `added`, `removed` or `changed`; a type is DynamoDB's (`S`, `N`, `NULL`, …), None
    where the attribute is absent.
    """
    return pd.DataFrame(
        {
            "path": _objects([path_text(one.path) for one in found]),
            "change": _objects([one.kind for one in found]),
            "old": _objects([_value(one.old) for one in found]),
            "new": _objects([_value(one.new) for one in found]),
            "old_type": _objects([_type(one.old) for one in found]),
            "new_type": _objects([_type(one.new) for one in found]),
        }
    )


def changed_paths(row: HistoryRow) -> list[str]:
    """The attribute paths that a row's change touched."""
    found = differences(state_before(row), row.change.new_image)
    return [path_text(one.path) for one in found]


def _times(moments: Sequence[Any]) -> pd.Series:
    return pd.Series(pd.to_datetime(list(moments), utc=True)).astype("datetime64[us, UTC]")


def _objects(values: Sequence[Any]) -> pd.Series:
    # Without the dtype pandas would turn None into NaN and texts into its own type.
    return pd.Series(list(values), dtype=object)


def _python(image: Item | None) -> dict[str, Any] | None:
    return None if image is None else to_python(image)


def _value(value: AttributeValue | None) -> Any:
    return None if value is None else value_to_python(value)


def _type(value: AttributeValue | None) -> str | None:
    return None if value is None else next(iter(value))


def _identity(row: HistoryRow) -> str | None:
    identity = row.change.user_identity
    return None if identity is None else identity.principal_id
