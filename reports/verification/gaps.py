"""Gaps that people declare: findings with a known cause, which then break no verdict.

The file is a JSON list of objects:

- `cause`: why something is missing, in words.
- `class`: the class of the findings it covers.
- `key`: the item, by attribute name: `{"Id": 1}` or in wire form `{"Id": {"N": "1"}}`.
- `from`, `to`: ISO 8601 times, or days in UTC, that the missing change was made between, both
  included; a time left out leaves that end open.

A declaration that had no bounds would silence whatever is found later. So a cause and a class are
required, and a key or times: `to` for `MISSING_START`, `from` for `HEAD_MISMATCH`, which have no
other end, and both for all other classes. What tells of altered or foreign rows is declared one
item at a time: it needs a `key`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from reports.errors import KeyShapeError, ReportError, TimeFormatError
from reports.inputs.keys import KeySchema
from reports.inputs.times import TimeRole, read_written_time
from reports.verification.continuity import INTEGRITY, Finding, FindingKind
from stream_core.attribute_values import Item
from stream_core.item_id import item_id

_FIELDS = ("cause", "class", "key", "from", "to")
# Of the others both ends are known.
_ENDS = {FindingKind.MISSING_START: ("to",), FindingKind.HEAD_MISMATCH: ("from",)}


@dataclass(frozen=True)
class Gap:
    """A gap that was declared.

    Attributes:
        cause: why it is there, in words.
        kind: the kind of finding it covers.
        keys: the item's key in wire form, None for every item.
        since: the missing change was made at this time or later; None: no matter when.
        until: and at this time or earlier; None: no matter when.

    Raises:
        ReportError: it has no bounds, or its end is before its start.
    """

    cause: str
    kind: FindingKind
    keys: Item | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """See that it is bounded."""
        if self.keys is None:
            self._require_times()
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ReportError("`from` is later than `to`: exchange them")

    def _require_times(self) -> None:
        if self.kind in INTEGRITY:
            raise ReportError(f"{self.kind} is declared item by item: add the item's `key`")
        ends = {"from": self.since, "to": self.until}
        missing = [f"`{name}`" for name in _ENDS.get(self.kind, ends) if ends[name] is None]
        if missing:
            raise ReportError(
                f"it has no bounds and would cover whatever is found later: add "
                f"{' and '.join(missing)}, or the item's `key`"
            )

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is what was declared, all of the time it may be of included."""
        return (
            self.kind is finding.kind
            and (self.keys is None or item_id(self.keys) == item_id(finding.keys))
            and (self.since is None or (finding.since is not None and self.since <= finding.since))
            and (self.until is None or (finding.until is not None and finding.until <= self.until))
        )


def declare(findings: Iterable[Finding], gaps: Sequence[Gap]) -> list[Finding]:
    """The findings, each with the cause of the first gap that covers it, if there is one."""
    causes = ((finding, (gap.cause for gap in gaps if gap.covers(finding))) for finding in findings)
    return [replace(finding, declared=next(cause, finding.declared)) for finding, cause in causes]


def read_gaps(path: str | Path, key_schema: KeySchema) -> list[Gap]:
    """The gaps declared in a file; see this module for its format.

    Raises:
        ReportError: the file cannot be read, or an entry of it says nothing that can be used.
    """
    try:
        # A number that went through a float is another key.
        entries = json.loads(
            Path(path).read_bytes(), parse_int=Decimal, parse_float=Decimal, parse_constant=Decimal
        )
    except OSError as error:
        raise ReportError(f"the gaps file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(
            f"the gaps file {path} is not JSON ({error}): write a list of objects such as "
            '[{"class": "MISSING_START", "to": "2026-03-02T00:00:00Z", "cause": "deployed then"}]'
        ) from error
    if not isinstance(entries, list):
        raise ReportError(f"the gaps file {path} holds no list: put its entries into [ ]")
    return [
        _read_entry(entry, f"the gaps file {path}, entry {number}", key_schema)
        for number, entry in enumerate(entries, 1)
    ]


def _read_entry(entry: Any, where: str, key_schema: KeySchema) -> Gap:
    if not isinstance(entry, dict):
        raise ReportError(f"{where}: not an object: write {{ }} with {', '.join(_FIELDS)}")
    for name in entry:
        if name not in _FIELDS:
            raise ReportError(f"{where}: unknown field '{name}': use {', '.join(_FIELDS)}")
    cause = entry.get("cause")
    if not isinstance(cause, str) or not cause.strip():
        raise ReportError(f"{where}: no cause: say in `cause` why something is missing")
    kind, keys = _read_class(entry, where), _read_key(entry, where, key_schema)
    since = _read_end(entry, "from", where, TimeRole.START)
    until = _read_end(entry, "to", where, TimeRole.END)
    try:
        return Gap(cause, kind, keys, since, until)
    except ReportError as error:
        raise ReportError(f"{where}: {error}") from error


def _read_class(entry: dict[str, Any], where: str) -> FindingKind:
    classes = f"use one of {', '.join(FindingKind)}"
    if "class" not in entry:
        raise ReportError(f"{where}: no class: say in `class` what it covers, {classes}")
    try:
        return FindingKind(entry["class"])
    except ValueError:
        raise ReportError(f"{where}: unknown class '{entry['class']}': {classes}") from None


def _read_key(entry: dict[str, Any], where: str, key_schema: KeySchema) -> Item | None:
    if "key" not in entry:
        return None
    key = entry["key"]
    if not isinstance(key, dict):
        raise ReportError(f"{where}: `key` is not an object: name the attributes of {key_schema}")
    types = key_schema.types
    try:
        return key_schema.key_of(
            {
                # A text stands for a value of the attribute's own type, as on the command line.
                name: {types[name]: value} if isinstance(value, str) and name in types else value
                for name, value in key.items()
            }
        )
    except KeyShapeError as error:
        raise ReportError(f"{where}: {error}") from error


def _read_end(entry: dict[str, Any], name: str, where: str, role: TimeRole) -> datetime | None:
    if name not in entry:
        return None
    try:
        # Not `2h ago`, which would say something else each time the file is read.
        return read_written_time(entry[name], role=role)
    except TimeFormatError as error:
        raise ReportError(f"{where}: `{name}`: {error}") from None
