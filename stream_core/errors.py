"""What can go wrong, as one tree, and whether trying again can help.

ItemtrailError
├── MalformedRecordError    this record cannot be read; quarantined
├── RefusedRecordError      the table refused this record for good; quarantined
├── IntegrityError          stored bytes are not what their digest says
├── EventError              this is no batch of records; it is refused
├── ForeignRecordError      a record is not of the followed table; the batch is refused
├── ViewTypeError           the stream lacks the old or the new images; the batch is refused
├── CallError               a call to a service did not succeed (retry.py)
├── UnstoredRecordError     a record is neither stored nor quarantined and cannot be named
└── SettingsError           the environment is incomplete or wrong
"""


class ItemtrailError(Exception):
    """Base of every error this project raises on purpose."""


class MalformedRecordError(ItemtrailError):
    """A stream record, or a value in it, breaks DynamoDB's own rules.

    The message names the place and the rule, never the value: it is logged.
    """


class RefusedRecordError(ItemtrailError):
    """The table refused one record, and would refuse it again.

    The service's message may quote the item, so only the code may be logged or shown.

    Attributes:
        code: the service's own code for the error.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code apart from the message."""
        super().__init__(f"{code}: {message}")
        self.code = code


class IntegrityError(ItemtrailError):
    """Stored bytes do not match the digest recorded for them, or are gone."""


class EventError(ItemtrailError):
    """What the function was called with is no batch of stream records."""


class ForeignRecordError(ItemtrailError):
    """A record is not of a stream of the followed table, so that none of its batch is taken."""


class ViewTypeError(ItemtrailError):
    """The stream does not carry both images, so no record of it can be trusted."""


class UnstoredRecordError(ItemtrailError):
    """A record without a sequence number could be neither stored nor quarantined."""


class SettingsError(ItemtrailError):
    """One or more environment variables are missing or wrong; the message names each."""
