"""An audit trail, a transaction history and a standby replica for any DynamoDB table.

The public interface; docs/reports.md describes it.

Example:
    >>> from itemtrail import HistoryTable
    >>> trail = HistoryTable("EmployeeHistory", source_table="Employee")
    >>> trail.as_of({"Id": 1}, "2018-03-03T18:46:00Z").item
"""

from reports import (
    Certainty,
    Finding,
    FindingKind,
    Gap,
    HistoryTable,
    ItemState,
    KeyShapeError,
    PathFormatError,
    ReportError,
    Selection,
    TableAsOf,
    TableNotFoundError,
    TimeFormatError,
    UncertainError,
    Verdict,
    Verification,
    read_gaps,
    read_path,
    total,
)
from stream_core.errors import IntegrityError, ItemtrailError

__version__ = "0.1.0"

__all__ = [
    "Certainty",
    "Finding",
    "FindingKind",
    "Gap",
    "HistoryTable",
    "IntegrityError",
    "ItemState",
    "ItemtrailError",
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
    "__version__",
    "read_gaps",
    "read_path",
    "total",
]
