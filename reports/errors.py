"""What can go wrong with a question, each with what to do about it.

ItemtrailError
└── ReportError
    ├── KeyShapeError       the key given is not a key of the table
    ├── TimeFormatError     the time given cannot be read
    ├── PathFormatError     the attribute path given cannot be read
    ├── TableNotFoundError  there is no such table or stack
    ├── ExportError         an export is damaged, or not of the kind needed (access)
    └── UncertainError      a certain answer was asked for, and there is none

Of the errors of `stream_core`, IntegrityError has another kind here: ForeignRowError.
"""

from stream_core.errors import IntegrityError, ItemtrailError

_LONGEST_SHOWN = 100


class ReportError(ItemtrailError):
    """Base of the errors of `reports`."""


class KeyShapeError(ReportError):
    """The key given is not a key of the source table."""


class TimeFormatError(ReportError):
    """The time given cannot be read."""


class PathFormatError(ReportError):
    """The attribute path given cannot be read."""


class TableNotFoundError(ReportError):
    """There is no such table, or it is not a history table."""


class UncertainError(ReportError):
    """A certain answer was asked for, and the history gives only a weaker one."""


class ForeignRowError(IntegrityError):
    """A row of a history is of another table, and may be just what was written there."""


def shown(value: object) -> str:
    """What was given, as an error names it: one line, and a short one."""
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    if "\n" in text or len(text) > _LONGEST_SHOWN:
        return f"this {type(value).__name__}"
    return text
