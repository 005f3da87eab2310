"""A plan as a file: what was shown and approved is what is carried out, and nothing else.

JSON Lines in UTF-8: a header, a line for each item, a line for each that is left out and why, and a
last line with how many items are written and the SHA-256 over all bytes before it. A file that was
cut or edited is refused, and so is one that says the same in other bytes, of which two readers
might make two plans. It holds item data: its owner alone may read it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from operations.errors import PlanFileError
from operations.execution.left_out import LeftOut, left_out_line, read_left_out
from operations.execution.plan_line import plan_line, read_value
from operations.recovery.stamps import Stamps
from reports.access.private_files import replacing_file
from reports.states.differences import Difference
from reports.states.timeline import Certainty
from stream_core.attribute_values import Item, digest, read_item
from stream_core.errors import MalformedRecordError
from stream_core.history_row import time_text

_Content = TypeVar("_Content")

ATOMIC = "atomic"
"""The argument that asks for all items of a plan to be written together, or none."""
_VERSION = 1
_DIGEST_KIND = "sha256:"
_LEFT_OUT_BEGINS, _LAST_LINE_BEGINS = b'{"left_out":', b'{"items":'
# Whatever a line may hold that is no line of a plan.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


class PlanAction(StrEnum):
    """What is done to an item."""

    UPDATE = "update"
    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class PlanTable:
    """The table that a plan writes to.

    Attributes:
        table_id: what a table of the same name that was made anew does not have.
        created_at: when it was made, UTC.
    """

    arn: str
    table_id: str
    created_at: datetime


@dataclass(frozen=True)
class PlanHeader:
    """What a plan is for, and what it rests on.

    Attributes:
        command: the command that made it, and carries it out.
        arguments: what was asked for, as JSON, with every relative time resolved.
        table: the table that is written; where that does not exist yet, the one that is read.
        history: ARN of the history it rests on.
        stream_arn: the stream of the table that the history follows.
        watermark: up to when the history was known to be complete, UTC.
        made_at: when it was made, UTC.
        made_by: who made it.
        tool: name and version of the program.
        counts: how much is left out though it is not as it should be, by what it is and why.
        totals: how much is written all the same without a line each, by what it is: of a whole
            table, about which an order says all there is to say.
        stamps: what is written beside what is taken back, and only there.
    """

    command: str
    arguments: Mapping[str, Any]
    table: PlanTable
    history: str | None
    stream_arn: str | None
    watermark: datetime | None
    made_at: datetime
    made_by: str
    tool: str
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    stamps: Stamps = field(default_factory=dict)


@dataclass(frozen=True)
class PlanItem:
    """What is done to one item.

    Attributes:
        number: its place in the plan, from 1.
        edits: what is written, and what it takes the place of; where an item is put or deleted,
            the whole of it, with the empty path.
        before: digest of the item's own attributes as it was seen, in hex; None: it is not there.
        after: the same of what it is going to be.
        because: sort keys of the history rows that it rests on.
        notes: what to know before it is approved: how sure its state is, what becomes of it.
        seen: sort key of the last row of its history when the plan was made; None: it had none.
        certainty: of what it was; None: of that nothing is asked.
    """

    number: int
    keys: Item
    action: PlanAction
    edits: tuple[Difference, ...]
    before: str | None
    after: str | None
    because: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seen: str | None = None
    certainty: Certainty | None = None


@dataclass(frozen=True)
class Plan:
    """What a command is going to write, and which items it leaves out."""

    header: PlanHeader
    items: tuple[PlanItem, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def deletes(self) -> int:
        """How many items are deleted."""
        return sum(item.action is PlanAction.DELETE for item in self.items)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to carry out."""
        return not self.items and not self.header.totals

    @property
    def is_atomic(self) -> bool:
        """Whether all of its items are written together, or none."""
        return bool(self.header.arguments.get(ATOMIC))

    @cached_property
    def digest(self) -> str:
        """What is approved: `sha256:` and the SHA-256 of its lines but the last, in hex."""
        sha256 = hashlib.sha256()
        for line in _lines(self):
            sha256.update(line)
        return _DIGEST_KIND + sha256.hexdigest()


def state_digest(item: Item | None) -> str | None:
    """The digest of an item's own attributes as a plan has it; None: there is no item."""
    return None if item is None else digest(item).hex()


def action_on(before: str | None, after: str | None) -> PlanAction:
    """What leads from one state to another, by their digests."""
    if after is None:
        return PlanAction.DELETE
    return PlanAction.PUT if before is None else PlanAction.UPDATE


def write_plan(path: Path, plan: Plan) -> str:
    """Keep a plan in a file, instead of what was in it; returns the plan's digest.

    Raises:
        PlanFileError: it cannot be written; the file is as it was before.
    """
    try:
        with replacing_file(path) as file:
            for line in _lines(plan):
                file.write(line)
            file.write(_last_line(plan))
    except OSError as error:
        raise PlanFileError(f"the plan {path} cannot be written: {error.strerror}") from error
    return plan.digest


def read_plan(path: Path) -> Plan:
    """The plan in a file.

    Raises:
        PlanFileError: it cannot be read, was cut or edited, or is of another version.
    """
    try:
        with path.open("rb") as file:
            return _plan_of(path, file)
    except OSError as error:
        raise PlanFileError(f"the plan {path} cannot be read: {error.strerror}") from error


def _plan_of(path: Path, lines: Iterator[bytes]) -> Plan:
    header = _header_of(path, next(lines, b""))
    items: list[PlanItem] = []
    left_out: list[LeftOut] = []
    last = b""
    for line in lines:
        if last:
            raise _edited(path)
        if line.startswith(_LAST_LINE_BEGINS):
            last = line
        elif line.startswith(_LEFT_OUT_BEGINS):
            left_out.append(_as_written(path, line, read_left_out, left_out_line))
        elif left_out:
            raise _edited(path)
        else:
            read = partial(_read_item_line, number=len(items) + 1)
            items.append(_as_written(path, line, read, _item_line))
    if not last:
        raise _cut(path)
    plan = Plan(header, tuple(items), tuple(left_out))
    if last != _last_line(plan):
        raise _edited(path)
    return plan


def _header_of(path: Path, line: bytes) -> PlanHeader:
    try:
        content = json.loads(line)
        version = content["itemtrail_plan"]
    except _UNREADABLE:
        raise PlanFileError(f"{path} is no plan of this program, or was edited") from None
    if version != _VERSION:
        raise PlanFileError(
            f"the plan {path} is of another version of this program: make it anew, or use that one"
        )
    try:
        header = _read_header(content)
        is_as_written = _header_line(header) == line
    except (*_UNREADABLE, MalformedRecordError):
        is_as_written = False
    if not is_as_written:
        raise _edited(path)
    return header


def _as_written(
    path: Path,
    line: bytes,
    read: Callable[[dict[str, Any]], _Content],
    written: Callable[[_Content], bytes],
) -> _Content:
    """What a line says, if it is to the byte as it is written."""
    try:
        content = read(json.loads(line))
        if written(content) == line:
            return content
    except (*_UNREADABLE, MalformedRecordError):
        pass
    raise _edited(path) if line.endswith(b"\n") else _cut(path)


def _cut(path: Path) -> PlanFileError:
    return PlanFileError(f"the plan {path} was cut short: make it anew")


def _edited(path: Path) -> PlanFileError:
    return PlanFileError(f"the plan {path} is not as it was written: make it anew")


def _lines(plan: Plan) -> Iterator[bytes]:
    yield _header_line(plan.header)
    yield from map(_item_line, plan.items)
    yield from map(left_out_line, plan.left_out)


def _header_line(header: PlanHeader) -> bytes:
    watermark, table = header.watermark, header.table
    return plan_line(
        {
            "itemtrail_plan": _VERSION,
            "command": header.command,
            "arguments": header.arguments,
            "table": {
                "arn": table.arn,
                "id": table.table_id,
                "created": time_text(table.created_at),
            },
            "history": header.history,
            "stream_arn": header.stream_arn,
            "watermark": None if watermark is None else time_text(watermark),
            "made_at": time_text(header.made_at),
            "made_by": header.made_by,
            "tool": header.tool,
            "counts": header.counts,
            "totals": header.totals,
            "stamps": [{"path": path, "value": value} for path, value in header.stamps.items()],
        }
    )


def _read_header(content: dict[str, Any]) -> PlanHeader:
    table, watermark = content["table"], content["watermark"]
    return PlanHeader(
        content["command"],
        content["arguments"],
        PlanTable(table["arn"], table["id"], datetime.fromisoformat(table["created"])),
        content["history"],
        content["stream_arn"],
        None if watermark is None else datetime.fromisoformat(watermark),
        datetime.fromisoformat(content["made_at"]),
        content["made_by"],
        content["tool"],
        content["counts"],
        content["totals"],
        {
            tuple(stamp["path"]): read_item({"value": stamp["value"]})["value"]
            for stamp in content["stamps"]
        },
    )


def _item_line(item: PlanItem) -> bytes:
    return plan_line(
        {
            "n": item.number,
            "key": item.keys,
            "action": item.action,
            "edits": [{"path": edit.path, "old": edit.old, "new": edit.new} for edit in item.edits],
            "before": item.before,
            "after": item.after,
            "because": item.because,
            "notes": item.notes,
            "seen": item.seen,
            "certainty": item.certainty,
        }
    )


def _read_item_line(content: dict[str, Any], number: int) -> PlanItem:
    before, after = content["before"], content["after"]
    return PlanItem(
        number,
        read_item(content["key"]),
        action_on(before, after),
        tuple(_read_edit(edit) for edit in content["edits"]),
        before,
        after,
        tuple(content["because"]),
        tuple(content["notes"]),
        content["seen"],
        None if content["certainty"] is None else Certainty(content["certainty"]),
    )


def _read_edit(content: dict[str, Any]) -> Difference:
    path = tuple(content["path"])
    return Difference(path, read_value(path, content["old"]), read_value(path, content["new"]))


def _last_line(plan: Plan) -> bytes:
    sha256 = plan.digest.removeprefix(_DIGEST_KIND)
    return plan_line({"items": len(plan.items), "deletes": plan.deletes, "sha256": sha256})
