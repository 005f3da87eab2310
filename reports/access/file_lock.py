"""A lock between processes: a file that one of them has to itself."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from reports.access.private_files import kept_file


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep all that lock this file out until the end of the block; Windows keeps nothing out.

    Args:
        path: made for the lock, and removed with it.

    Raises:
        BlockingIOError: it is locked already.
        OSError: it cannot be written, or is a link.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415 - Windows has none

    with kept_file(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_there(file.fileno(), path):
            raise BlockingIOError
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_there(descriptor: int, path: Path) -> bool:
    """Whether the file was not removed by who had the lock, just before it was locked here."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
