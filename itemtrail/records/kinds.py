"""The kinds of record that answers are made of: the one place that names their fields.

A record is a dict from field name to value: times as `datetime`, wire values as they are, None
where there is nothing. docs/json.md documents each field; fields may be added, none is taken away
or changes its kind. How each kind of field is written is up to `itemtrail.output`.
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


def record_of(kind: RecordKind, value: object, **fields: Any) -> Record:
    """A record of a kind: the fields that are given, and for the others the value's attributes."""
    return {
        name: fields[name] if name in fields else _plain(getattr(value, name))
        for name in kind.fields
    }


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


_TIME, _TEXT, _FLAG = FieldKind.TIME, FieldKind.TEXT, FieldKind.FLAG
_INTEGER, _WIRE = FieldKind.INTEGER, FieldKind.WIRE
_ROW_FIELDS = {"event_name": _TEXT, "sequence_number": _TEXT, "event_id": _TEXT}
_CERTAINTY_FIELDS = {"certainty": _TEXT, "basis": _TEXT, "reason": _TEXT}
_ACTOR_FIELDS = {"actor": _TEXT, "actor_source": _TEXT, "actor_caveat": _TEXT}
_RUN_FIELDS = {"run": _TEXT, "run_by": _TEXT}
_DIFFERENCE_FIELDS = {"path": _TEXT, "change": _TEXT, "old": _WIRE, "new": _WIRE}
_IMAGE_FIELDS = {"changed": _WIRE, "old_image": _WIRE, "new_image": _WIRE}

ROW = RecordKind("row", _ROW_FIELDS)
VERSION = RecordKind(
    "version",
    {"key": _WIRE, "valid_from": _TIME, "valid_to": _TIME, "is_current": _FLAG}
    | _ROW_FIELDS
    | _IMAGE_FIELDS
    | {"user_identity": _WIRE, "fault": _TEXT}
    | _RUN_FIELDS,
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
    | _ROW_FIELDS
    | _RUN_FIELDS,
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
    | {"user_identity": _WIRE, "fault": _TEXT}
    | _RUN_FIELDS,
)
BLAME = RecordKind(
    "blame",
    {"key": _WIRE, "path": _TEXT, "value": _WIRE, "since": _TIME}
    | _ROW_FIELDS
    | _ACTOR_FIELDS
    | _CERTAINTY_FIELDS
    | _RUN_FIELDS,
)
FINDING = RecordKind(
    "finding",
    {"finding": _TEXT, "key": _WIRE, "since": _TIME, "until": _TIME, "sort_key": _TEXT}
    | {"detail": _TEXT, "declared": _TEXT, "missing": _TEXT},
)
VERIFICATION = RecordKind(
    "verification",
    {"clean": _FLAG, "integrity": _TEXT, "completeness": _TEXT, "complete_until": _TIME}
    | {"items": _INTEGER, "rows": _INTEGER, "overflow_objects": _INTEGER}
    | {"declared": _INTEGER, "findings": _WIRE, "notes": _WIRE},
)
ADVICE = RecordKind(
    "advice", {"check": _TEXT, "subject": _TEXT, "ok": _FLAG, "found": _TEXT, "to_do": _TEXT}
)
BELIEF = RecordKind(
    "belief",
    {"belief": _TEXT, "outcome": _TEXT, "sentence": _TEXT, "source": _TEXT, "evidence": _TEXT}
    | {"duration_ms": _INTEGER},
)
ACCEPTANCE = RecordKind(
    "acceptance",
    {"stack": _TEXT, "region": _TEXT, "account": _TEXT, "emulator": _FLAG, "at": _TIME}
    | {"ended": _TIME, "clean": _FLAG, "versions": _WIRE, "parameters": _WIRE}
    | {"canary": _WIRE, "beliefs": _WIRE, "stays": _WIRE},
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
    | {"watermark": _WIRE, "proof": _WIRE}
    | {"tables": _WIRE, "consumers": _WIRE, "kept_aside": _WIRE, "quarantine_bucket": _TEXT},
)
WATERMARK = RecordKind("watermark", {"at": _TIME, "basis": _TEXT, "reason": _TEXT})
PROOF = RecordKind(
    "proof", {"shards": _INTEGER, "records": _INTEGER, "watermark": _WIRE, "missing": _WIRE}
)
MISSING_RECORD = RecordKind(
    "missing record",
    {"key": _WIRE, "created_at": _TIME, "shard_id": _TEXT, "sequence_number": _TEXT},
)
STATUS_LINE = RecordKind(
    "status line",
    {"part": _TEXT, "name": _TEXT, "resource": _TEXT, "state": _TEXT, "clean": _FLAG}
    | {"count": _INTEGER, "size_bytes": _INTEGER, "lag_ms": _INTEGER, "newest": _TIME}
    | {"problem": _TEXT},
)
BACKFILL = RecordKind(
    "backfill",
    {"applied": _FLAG, "finished": _FLAG, "clean": _FLAG, "scanned": _INTEGER}
    | {"baselines": _INTEGER, "already_there": _INTEGER, "gone": _INTEGER}
    | {"changed_first": _INTEGER, "settled": _INTEGER, "deleted": _INTEGER, "problems": _WIRE}
    | {"go_on": _TEXT, "ended": _TEXT, "gap": _WIRE, "mark": _WIRE},
)
MARK = RecordKind("mark", {"outcome": _TEXT, "since": _TIME, "reason": _TEXT})
PROBLEM = RecordKind("problem", {"key_digest": _TEXT, "passing": _FLAG, "reason": _TEXT})
STREAM = RecordKind(
    "stream",
    {"table": _TEXT, "stream_arn": _TEXT, "was_on": _FLAG, "applied": _FLAG, "recorded": _FLAG},
)
DISCREPANCY = RecordKind(
    "discrepancy",
    {"key": _WIRE, "kind": _TEXT, "reason": _TEXT, "meaning": _TEXT, "to_do": _TEXT, "at": _TIME}
    | {"changes_behind": _INTEGER, "behind_since": _TIME, "behind_s": _INTEGER}
    | {"source": _WIRE, "replica": _WIRE},
)
REPAIR = RecordKind(
    "repair",
    {"applied": _FLAG, "clean": _FLAG, "looked_at": _INTEGER, "equal": _INTEGER}
    | {"missing": _INTEGER, "different": _INTEGER, "extraneous": _INTEGER, "healed": _INTEGER}
    | {"deleted": _INTEGER, "planned": _WIRE, "unhealed": _WIRE, "ended": _TEXT},
)
REPAIR_LINE = RecordKind(
    "repair line", {"key": _WIRE, "problem": _TEXT, "action": _TEXT, "reason": _TEXT}
)
_LEFTOVER_FIELDS = {"where": _TEXT, "why": _TEXT, "reason": _TEXT, "consumer": _TEXT}
_RECORD_FIELDS = {"sequence_number": _TEXT, "key_digest": _TEXT}
_RANGE_FIELDS = {"stream_arn": _TEXT, "shard_id": _TEXT, "start": _TEXT, "end": _TEXT}
REDRIVE = RecordKind(
    "redrive",
    {"applied": _FLAG, "clean": _FLAG, "objects": _INTEGER, "records": _INTEGER, "counts": _WIRE}
    | {"done": _WIRE, "leftovers": _WIRE, "lost": _WIRE, "ended": _TEXT, "stream": _WIRE}
    | {"planned": _WIRE},
)
STREAM_READING = RecordKind(
    "stream reading",
    {"stream_arn": _TEXT, "shards": _INTEGER, "stored": _INTEGER, "missing_records": _INTEGER}
    | {"items": _INTEGER, "missing": _WIRE},
)
_PLANNED_FIELDS = {"event_name": _TEXT, "in_stream": _FLAG, "differences": _WIRE}
PLANNED_ROW = RecordKind(
    "planned row",
    {"where": _TEXT, "key": _WIRE, "created_at": _TIME, "sequence_number": _TEXT} | _PLANNED_FIELDS,
)
LEFTOVER = RecordKind("leftover", _LEFTOVER_FIELDS | _RECORD_FIELDS)
LOST = RecordKind(
    "lost range", {"where": _TEXT, "reason": _TEXT, "found": _INTEGER} | _RANGE_FIELDS
)
REDRIVE_LINE = RecordKind(
    "redrive line",
    {"outcome": _TEXT}
    | _LEFTOVER_FIELDS
    | _RECORD_FIELDS
    | {"found": _INTEGER}
    | _RANGE_FIELDS
    | {"key": _WIRE, "created_at": _TIME}
    | _PLANNED_FIELDS,
)
PLAN = RecordKind(
    "plan",
    {"digest": _TEXT, "command": _TEXT, "arguments": _WIRE, "table": _WIRE, "history": _TEXT}
    | {"stream_arn": _TEXT, "watermark": _TIME, "made_at": _TIME, "made_by": _TEXT}
    | {"tool": _TEXT, "counts": _WIRE, "totals": _WIRE, "deletes": _INTEGER, "items": _WIRE},
)
PLAN_ITEM = RecordKind(
    "plan item",
    {"number": _INTEGER, "key": _WIRE, "action": _TEXT, "edits": _WIRE, "before": _TEXT}
    | {"after": _TEXT, "because": _WIRE, "notes": _WIRE, "certainty": _TEXT, "outcome": _TEXT}
    | {"reason": _TEXT, "conflicts": _WIRE},
)
CONFLICT = RecordKind(
    "conflict",
    {"path": _TEXT, "expected": _WIRE, "found": _WIRE, "wanted": _WIRE, "reason": _TEXT},
)
RESTORE = RecordKind(
    "restore",
    {"key": _WIRE, "at": _TIME, "outcome": _TEXT, "reason": _TEXT, "certainty": _TEXT}
    | {"notes": _WIRE, "existed": _FLAG, "exists": _FLAG, "differences": _WIRE, "conflicts": _WIRE},
)
TABLE_RESTORE = RecordKind(
    "table restore",
    {"applied": _FLAG, "clean": _FLAG, "finished": _FLAG, "new_table": _TEXT, "at": _TIME}
    | {"method": _TEXT, "reason": _TEXT, "items": _INTEGER, "already_there": _INTEGER}
    | {"uncertain": _INTEGER, "unwritten": _INTEGER, "unknown": _INTEGER, "extraneous": _INTEGER}
    | {"reasons": _WIRE, "problems": _WIRE, "settings": _WIRE, "left_out": _WIRE, "notes": _WIRE}
    | {"ended": _TEXT, "go_on": _TEXT},
)
TABLE_RESTORE_LINE = RecordKind(
    "table restore line",
    {"problem": _TEXT, "key": _WIRE, "existed": _FLAG, "certainty": _TEXT, "reason": _TEXT},
)
UNDO = RecordKind(
    "undo",
    {"key": _WIRE, "outcome": _TEXT, "reason": _TEXT, "changes": _WIRE}
    | {"edits": _WIRE, "conflicts": _WIRE, "notes": _WIRE},
)
ARCHIVE = RecordKind(
    "archive",
    {"dataset": _TEXT, "history_table": _TEXT, "horizon": _TIME, "complete_until": _TIME}
    | {"recorded_until": _TIME, "basis": _TEXT}
    | {"rows": _INTEGER, "rows_read": _INTEGER, "rows_added": _INTEGER}
    | {"already_there": _INTEGER, "exports": _WIRE, "notes": _WIRE},
)
ARCHIVED_EXPORT = RecordKind(
    "archived export",
    {"export": _TEXT, "kind": _TEXT, "since": _TIME, "until": _TIME}
    | {"rows_read": _INTEGER, "rows_added": _INTEGER, "already_there": _INTEGER},
)
VIEW_COLUMN = RecordKind("view column", {"view": _TEXT, "column": _TEXT, "type": _TEXT})
