"""Files that are replaced as a whole, in one step that survives a power failure.

A rename may reach the disk before the content that it names, or not at all, unless both are
asked for, one after the other: https://lwn.net/Articles/457667/.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PRIVATE, READABLE = 0o600, 0o644


def replace_file(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Give a file this content: at any moment it has either the old one or the new one.

    Args:
        path: the file, which is made if need be.
        content: all of it.
        mode: who may read it.

    Raises:
        OSError: it cannot be written; it is as before, and nothing is left beside it.
    """
    with replacing_file(path, mode) as file:
        file.write(content)


@contextlib.contextmanager
def replacing_file(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """What is written within the block becomes a file's content when the block ends well.

    Args:
        path: the file, which is made if need be.
        mode: who may read it.

    Raises:
        OSError: it cannot be written; it is as before, and nothing is left beside it.
    """
    # In the same folder, so that the rename is one step.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - mkstemp gives a descriptor
            yield file
        temporary.chmod(mode)
        move_file(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def move_file(written: Path, path: Path) -> None:
    """Bring a file that is complete to its place, in the same file system.

    Raises:
        OSError: it cannot be moved; it is where it was.
    """
    # To be written to, because Windows refuses to flush what is only read.
    with written.open("rb+") as file:
        os.fsync(file.fileno())
    written.replace(path)
    _flush(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises:
        OSError: it cannot be made.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _flush(path.parent)


def _flush(folder: Path) -> None:
    """Bring the names in a folder to the disk. Not every system can flush one."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
