"""No more is read than there may be, whatever an object or a file holds."""

import io

import pytest
from botocore.exceptions import IncompleteReadError
from botocore.response import StreamingBody

from reports.access.bounded import OversizeError, read_at_most


class Endless:
    """A body that never ends.

    Attributes:
        read_bytes: how many of its bytes were read.
    """

    def __init__(self):
        self.read_bytes = 0

    def read(self, size):
        assert size > 0
        self.read_bytes += size
        return bytes(size)


@pytest.mark.parametrize("size", [0, 1, 4_999_999, 5_000_000])
def test_what_is_within_the_limit_is_read_whole(size):
    """Up to the very last byte that there may be."""
    content = bytes(size)

    assert read_at_most(io.BytesIO(content), 5_000_000) == content


@pytest.mark.parametrize("most", [0, 10, 5_000_000])
def test_what_is_beyond_the_limit_stays_unread(most):
    """One byte tells that there is more."""
    body = Endless()

    with pytest.raises(OversizeError, match=f"more than {most} bytes"):
        read_at_most(body, most)

    assert body.read_bytes == most + 1


def test_a_connection_that_breaks_is_no_end():
    """A part of a body is not taken for all of it."""
    body = StreamingBody(io.BytesIO(b"a part"), 100)

    with pytest.raises(IncompleteReadError):
        read_at_most(body, 1000)
