"""The questions an audit asks of a history table, answered as pandas frames."""

from reports.continuity import Finding, FindingClass
from reports.errors import (
    KeyShapeError,
    PathFormatError,
    ReportError,
    TableNotFoundError,
    TimeFormatError,
    UncertainError,
)
from reports.exact import total
from reports.gaps import Gap, read_gaps
from reports.history_table import HistoryTable
from reports.paths import read_path
from reports.selection import Selection
from reports.timeline import Certainty, ItemState
from reports.verdicts import Verdict, Verification
from reports.whole_table import TableAsOf

__all__ = [
    "Certainty",
    "Finding",
    "FindingClass",
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
