"""The questions an audit asks of a history table, answered as pandas frames."""

from reports.errors import (
    KeyShapeError,
    ReportError,
    TableNotFoundError,
    TimeFormatError,
    UncertainError,
)
from reports.history_table import HistoryTable
from reports.timeline import Certainty, ItemState

__all__ = [
    "Certainty",
    "HistoryTable",
    "ItemState",
    "KeyShapeError",
    "ReportError",
    "TableNotFoundError",
    "TimeFormatError",
    "UncertainError",
]
