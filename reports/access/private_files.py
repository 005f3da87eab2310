"""The one way files are written here: for their owner alone, no link followed, whole or not at all.

Who may write into a folder can put a link there, to have another file emptied or added to, or read
by others what is written. A file that is replaced is therefore a new one under the old name, one
that is kept open is no link, and a folder that is made is nobody else's.

A rename may reach the disk before the content that it names, or not at all, unless both are
asked for, one after the other: https://lwn.net/Articles/457667/.
"""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700
_READABLE = 0o644
_OTHERS_MAY_WRITE = 0o022
# No link is followed, and no pipe waited for. Windows knows neither, nor whose a folder is.
_UNFOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BYTES = getattr(os, "O_BINARY", 0)
_OWN_ID = getattr(os, "geteuid", lambda: 0)


def state_folder() -> Path:
    """Where what this user's interrupted runs leave is; not made yet.

    XDG Base Directory Specification: `$XDG_STATE_HOME`, or `~/.local/state`.

    Raises:
        OSError: the user has no home.
    """
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    if named.is_absolute():
        return named / "itemtrail"
    try:
        return Path.home() / ".local" / "state" / "itemtrail"
    except RuntimeError as error:
        why = "there is no home folder for what a run leaves: set XDG_STATE_HOME"
        raise OSError(errno.ENOENT, why, "~") from error


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
        OSError: it cannot be written, or is a link or no file; it is as before, and nothing is
            left beside it.
    """
    _require_replaceable(path)
    # In the same folder, so that the rename is one step.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - mkstemp gives a descriptor
            yield file
        move_file(temporary, path, mode)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def move_file(written: Path, path: Path, mode: int = PRIVATE) -> None:
    """Bring a file that is complete to its place, in the same file system.

    Args:
        written: the file.
        path: its place.
        mode: who may read it.

    Raises:
        OSError: it cannot be moved; it is where it was.
    """
    written.chmod(mode)
    # To be written to, because Windows refuses to flush what is only read.
    with written.open("rb+") as file:
        os.fsync(file.fileno())
    written.replace(path)
    _flush(path.parent)


def mode_kept(path: Path) -> int:
    """Who may read what takes a file's place: who may read that; at first its owner alone."""
    try:
        return stat.S_IMODE(path.lstat().st_mode) & _READABLE | PRIVATE
    except FileNotFoundError:
        return PRIVATE


def new_path(path: Path) -> Path:
    """Make an empty file, for a writer that opens its files itself; returns the path.

    Raises:
        OSError: it cannot be made, or there is one.
    """
    path.touch(PRIVATE, exist_ok=False)
    return path


def kept_file(path: Path) -> BinaryIO:
    """A file to read and to append to, which is made if need be and never emptied.

    The folder of the user's state is made for it.

    Raises:
        OSError: it cannot be opened, is a link or no file, or others may write into that folder.
    """
    if _is_state_folder(path.parent):
        make_folder(path.parent)
        _require_own(path.parent)
    return open(_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "r+b")


def kept_content(path: Path) -> bytes:
    """What is in a file that a run has left.

    Raises:
        OSError: it cannot be read, or is a link or no file.
    """
    with open(_descriptor(path, os.O_RDONLY), "rb") as file:
        return file.read()


def make_folder(path: Path, mode: int = _PRIVATE_FOLDER) -> None:
    """Make a folder, with those above it, unless it is there.

    Args:
        path: the folder.
        mode: who may look into those that are made.

    Raises:
        OSError: it cannot be made.
    """
    for folder in reversed([path, *path.parents]):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(_PRIVATE_FOLDER)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            folder.chmod(mode)
            _flush(folder.parent)


def path_within(folder: Path, name: str) -> Path:
    """The path of a file that a list names by its name within a folder.

    Args:
        folder: which may be a link itself.
        name: with slashes; the file need not be there.

    Raises:
        OSError: it leads out of the folder, by a link too.
    """
    real = folder.resolve()
    path = (real / name).resolve()
    if not path.is_relative_to(real):
        raise OSError(errno.EPERM, f"it leads out of {folder}", str(folder / name))
    return folder / name


def _descriptor(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | _UNFOLLOWED | _BYTES, PRIVATE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_plain(path) from error
        raise
    facts = os.fstat(descriptor)
    # Another name of the file may be anywhere.
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        os.close(descriptor)
        raise _not_plain(path)
    return descriptor


def _require_replaceable(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise _not_plain(path)


def _is_state_folder(folder: Path) -> bool:
    try:
        return folder == state_folder()
    except OSError:
        return False


def _require_own(folder: Path) -> None:
    facts = folder.lstat()
    if (
        not stat.S_ISDIR(facts.st_mode)
        or facts.st_uid != _OWN_ID()
        or facts.st_mode & _OTHERS_MAY_WRITE
    ):
        why = "it is a link, or others may write there: chmod it to 700, or set XDG_STATE_HOME"
        raise OSError(errno.EPERM, why, str(folder))


def _not_plain(path: Path) -> OSError:
    return OSError(errno.ELOOP, "it is a link or no plain file", str(path))


def _flush(folder: Path) -> None:
    """Bring the names in a folder to the disk. Not every system can flush one."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
