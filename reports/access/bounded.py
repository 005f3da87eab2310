"""Reading up to a limit: whoever can write an object or a file decides how large it is."""

from typing import Protocol

from stream_core.errors import ItemtrailError

MOST_KEPT_BYTES = 128 * 1024 * 1024
"""More than a failed record or batch takes: Lambda's is of 6 MB, which a quarantined record's line
breaks and spaces make 15 times larger at most, at the deepest level."""
_READ_AT_ONCE = 1024 * 1024


class OversizeError(ItemtrailError):
    """There is more to be read than there may be."""


class Readable(Protocol):
    """A file that is open, or the body of an object."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none at the end."""
        ...


def read_at_most(content: Readable, most: int) -> bytes:
    """All that there is.

    Args:
        content: what is read.
        most: how many bytes there may be.

    Raises:
        OversizeError: there are more of them; those are not read.
    """
    chunks: list[bytes] = []
    size = 0
    # To the empty chunk: a body whose connection broke says so there only.
    while chunk := content.read(min(_READ_AT_ONCE, most + 1 - size)):
        size += len(chunk)
        if size > most:
            raise OversizeError(f"more than {most} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
