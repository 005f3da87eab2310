"""The kinds of record that answers are made of: the one place that names their fields.

docs/json.md documents each field; fields may be added, none is taken away or changes its kind. How
each kind of field is written is up to `writers.py` and `parquet.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]
"""Field names to values, in the order of the record's kind."""


class FieldKind(Enum):
    """What a field holds, and so how it is written."""

    TIME = "time"
    TEXT = "text"
    FLAG = "flag"
    INTEGER = "integer"
    WIRE = "nested"
    """Attribute values in DynamoDB's own form, lists, other records."""


@dataclass(frozen=True)
class RecordKind:
    """The fields that every record of one kind has, in order."""

    name: str
    fields: Mapping[str, FieldKind]


_TIME, _TEXT, _FLAG = FieldKind.TIME, FieldKind.TEXT, FieldKind.FLAG
_INTEGER, _WIRE = FieldKind.INTEGER, FieldKind.WIRE
_ROW_FIELDS = {"event_name": _TEXT, "sequence_number": _TEXT, "event_id": _TEXT}
_CERTAINTY_FIELDS = {"certainty": _TEXT, "reason": _TEXT}
_ACTOR_FIELDS = {"actor": _TEXT, "actor_source": _TEXT, "actor_caveat": _TEXT}
_DIFFERENCE_FIELDS = {"path": _TEXT, "change": _TEXT, "old": _WIRE, "new": _WIRE}
_IMAGE_FIELDS = {"changed": _WIRE, "old_image": _WIRE, "new_image": _WIRE}

ROW = RecordKind("row", _ROW_FIELDS)
VERSION = RecordKind(
    "version",
    {"key": _WIRE, "valid_from": _TIME, "valid_to": _TIME, "is_current": _FLAG}
    | _ROW_FIELDS
    | _IMAGE_FIELDS
    | {"user_identity": _WIRE},
)
STATE = RecordKind(
    "state",
    {"key": _WIRE, "at": _TIME, "exists": _FLAG, "item": _WIRE}
    | _CERTAINTY_FIELDS
    | {"valid_from": _TIME, "valid_to": _TIME, "row": _WIRE},
)
SPAN = RecordKind(
    "span",
    {"key": _WIRE, "valid_from": _TIME, "valid_to": _TIME, "is_current": _FLAG, "exists": _FLAG}
    | {"item": _WIRE, "changed": _WIRE}
    | _CERTAINTY_FIELDS
    | _ROW_FIELDS,
)
DIFFERENCE = RecordKind("difference", _DIFFERENCE_FIELDS)
DIFFERENCE_LINE = RecordKind(
    "difference line", {"key": _WIRE} | _DIFFERENCE_FIELDS | _CERTAINTY_FIELDS
)
COMPARISON = RecordKind(
    "comparison", {"key": _WIRE, "from": _WIRE, "to": _WIRE, "differences": _WIRE}
)
CHANGE = RecordKind(
    "change",
    {"key": _WIRE, "at": _TIME}
    | _ROW_FIELDS
    | _IMAGE_FIELDS
    | _ACTOR_FIELDS
    | {"user_identity": _WIRE},
)
BLAME = RecordKind(
    "blame",
    {"key": _WIRE, "path": _TEXT, "value": _WIRE, "since": _TIME}
    | _ROW_FIELDS
    | _ACTOR_FIELDS
    | _CERTAINTY_FIELDS,
)
FINDING = RecordKind(
    "finding",
    {"finding": _TEXT, "key": _WIRE, "since": _TIME, "until": _TIME, "sort_key": _TEXT}
    | {"detail": _TEXT, "declared": _TEXT},
)
VERIFICATION = RecordKind(
    "verification",
    {"clean": _FLAG, "integrity": _TEXT, "completeness": _TEXT}
    | {"items": _INTEGER, "rows": _INTEGER, "overflow_objects": _INTEGER}
    | {"findings": _WIRE, "notes": _WIRE},
)
ADVICE = RecordKind(
    "advice", {"check": _TEXT, "subject": _TEXT, "ok": _FLAG, "found": _TEXT, "to_do": _TEXT}
)
TABLE_STATUS = RecordKind(
    "table status",
    {"role": _TEXT, "name": _TEXT, "region": _TEXT, "exists": _FLAG, "status": _TEXT}
    | {"items": _INTEGER, "size_bytes": _INTEGER, "created_at": _TIME, "problem": _TEXT},
)
CONSUMER_STATUS = RecordKind(
    "consumer status",
    {"consumer": _TEXT, "function": _TEXT, "mapping": _TEXT, "state": _TEXT, "last_result": _TEXT}
    | {"problem": _TEXT, "lag_ms": _INTEGER, "lag_problem": _TEXT},
)
KEPT_ASIDE = RecordKind(
    "kept aside",
    {"what": _TEXT, "prefix": _TEXT, "count": _INTEGER, "at_least": _FLAG, "newest": _TIME}
    | {"problem": _TEXT},
)
STATUS = RecordKind(
    "status",
    {"stack": _TEXT, "region": _TEXT, "at": _TIME, "clean": _FLAG, "horizon": _TIME}
    | {"tables": _WIRE, "consumers": _WIRE, "kept_aside": _WIRE, "quarantine_bucket": _TEXT},
)
STATUS_LINE = RecordKind(
    "status line",
    {"part": _TEXT, "name": _TEXT, "resource": _TEXT, "state": _TEXT, "clean": _FLAG}
    | {"count": _INTEGER, "size_bytes": _INTEGER, "lag_ms": _INTEGER, "newest": _TIME}
    | {"problem": _TEXT},
)
