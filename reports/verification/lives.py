"""Control rows held against themselves."""

from collections.abc import Iterable

from reports.verification.continuity import Finding, FindingKind
from stream_core.attribute_values import Item
from stream_core.control_row import ControlRow, read_control_row
from stream_core.errors import IntegrityError
from stream_core.history_row import ID, SORT_KEY


def examine_controls(items: Iterable[Item]) -> tuple[list[ControlRow], list[Finding]]:
    """The control rows that can be believed, and what is wrong with the others."""
    rows: list[ControlRow] = []
    findings: list[Finding] = []
    for item in items:
        try:
            row = read_control_row(item)
        except IntegrityError as error:
            findings.append(_altered(item, str(error)))
        else:
            rows += [] if row is None else [row]
    return rows, findings


def _altered(item: Item, detail: str) -> Finding:
    sort_key = item[SORT_KEY]["S"]
    return Finding(FindingKind.DIGEST_MISMATCH, {ID: item[ID]}, None, None, sort_key, detail)
