"""What can go wrong, as one tree, and whether trying again can help.

ItemtrailError
├── MalformedRecordError    this record cannot be read; quarantined
├── RefusedRecordError      the table refused this record for good; quarantined
├── IntegrityError          stored bytes are not what their digest says
├── ViewTypeError           the stream lacks the old or the new images; the batch is refused
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


class ViewTypeError(ItemtrailError):
    """The stream does not carry both images, so no record of it can be trusted."""


class UnstoredRecordError(ItemtrailError):
    """A record without a sequence number could be neither stored nor quarantined."""


class SettingsError(ItemtrailError):
    """One or more environment variables are missing or wrong; the message names each."""
