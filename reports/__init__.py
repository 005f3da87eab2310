"""The questions an audit asks of a history table, answered as pandas frames."""

from reports.errors import (
    KeyShapeError,
    PathFormatError,
    ReportError,
    TableNotFoundError,
    TimeFormatError,
    UncertainError,
)
from reports.history_table import HistoryTable
from reports.inputs.paths import read_path
from reports.states.selection import Selection
from reports.states.timeline import Certainty, ItemState
from reports.states.values import total
from reports.table.as_of import TableAsOf
from reports.verification.continuity import Finding, FindingKind
from reports.verification.gaps import Gap, read_gaps
from reports.verification.verdicts import Verdict, Verification

__all__ = [
    "Certainty",
    "Finding",
    "FindingKind",
    "Gap",
    "HistoryTable",
    "ItemState",
    "KeyShapeError",
    "PathFormatError",
    "ReportError",
    "Selection",
    "TableAsOf",
    "TableNotFoundError",
    "TimeFormatError",
    "UncertainError",
    "Verdict",
    "Verification",
    "read_gaps",
    "read_path",
    "total",
]
