"""What can go wrong with a dataset, each with what to do about it.

ItemtrailError
├── DatasetError     the dataset is damaged, or what is asked of it does not fit it
├── IntegrityError   a history row is not what was written (stream_core)
└── ExportError      an export is damaged (reports.access)
"""

from stream_core.errors import ItemtrailError


class DatasetError(ItemtrailError):
    """The dataset is damaged or in use, or an export does not belong into it."""
