"""What can go wrong with an operation, each with what to do about it.

ItemtrailError
└── OperationError
    ├── JournalError     the journal of a run does not fit it, or cannot be kept
    ├── PlanFileError    the file of a plan is not what was written
    ├── RunEndedError    a run gave up for now; the same command goes on
    ├── NoAnswerError    a table was throttled or out of reach for as long as was waited
    ├── StateFileError   the file of an interrupted run does not fit this one
    └── RefusedError     it would do harm, or the tables do not allow it
"""

from stream_core.errors import ItemtrailError


class OperationError(ItemtrailError):
    """Base of the errors of `operations`."""


class NoAnswerError(OperationError):
    """A table did not answer for as long as was waited; what was done until then is done."""


class StateFileError(OperationError):
    """The file that an interrupted run left does not belong to this one, or cannot be read."""


class JournalError(OperationError):
    """The journal of a run is of another one, or cannot be kept: nothing is written without it."""


class PlanFileError(OperationError):
    """A plan cannot be kept, or what is in its file is not what was written."""


class RunEndedError(OperationError):
    """Nothing was answered for long, or the journal is full: the run ended, what it did is kept."""


class TakenOverError(RunEndedError):
    """Another run has what this one was writing, or has finished it: this one is to end."""


class RefusedError(OperationError):
    """The operation would do harm, or the tables as they are do not allow it."""
