"""The file that an interrupted run leaves, and that the same run goes on from."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

from operations.errors import StateFileError
from stream_core.attribute_values import wire_json

State: TypeAlias = dict[str, Any]
"""What can be written as JSON; bytes come back as base64 text (`read_item` decodes them)."""


class StateFile:
    """A JSON file that is replaced as a whole: at any moment one state is there, and all of it.

    It holds keys of items, and is readable by its owner alone.
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: where it is.
            about: what the run is about (tables, options), by the names people know: the file of
                a run that was about something else is refused.
        """
        self.path = Path(path)
        self.about: State = json.loads(wire_json(dict(about or {})))

    def load(self) -> State | None:
        """What was saved last; None: there is no file.

        Raises:
            StateFileError: the file cannot be read, or was left by another run.
        """
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from error
        except ValueError:
            content = None
        match content:
            case {"format": 1, "about": dict(about), "state": dict(state)}:
                self._require_same(about)
                return state
        raise self._error("is no state file of this program: name another, or delete it")

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace what was saved.

        Raises:
            StateFileError: the file cannot be written; what was saved before is still there.
        """
        content = {"format": 1, "about": self.about, "state": state}
        try:
            self._replace(wire_json(content, sort_keys=False))
        except OSError as error:
            raise self._error(f"cannot be written: {error.strerror}") from error

    def remove(self) -> None:
        """Forget the run: it is finished."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs from using the file.

        Raises:
            StateFileError: another run is using it.
        """
        if sys.platform == "win32":
            yield
            return
        # A file beside it: the state file itself is replaced again and again.
        beside = self.path.with_name(f"{self.path.name}.lock")
        try:
            lock = beside.open("wb")
        except OSError as error:
            raise self._error(f"cannot be written: {error.strerror}") from error
        with lock:
            if not _locked(lock, beside):
                raise self._error("is in use by another run: wait for it, or name another file")
            try:
                yield
            finally:
                beside.unlink(missing_ok=True)

    def _replace(self, content: bytes) -> None:
        # Made with mode 0600. In the same folder, so that the rename is one step.
        descriptor, temporary = tempfile.mkstemp(prefix=f"{self.path.name}.", dir=self.path.parent)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - mkstemp gives a descriptor
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
        _sync_folder(self.path.parent)

    def _require_same(self, about: State) -> None:
        differing = [
            f"{name} {_shown(about, name)}, not {_shown(self.about, name)}"
            for name in sorted(about.keys() | self.about.keys())
            if about.get(name) != self.about.get(name)
        ]
        if differing:
            raise self._error(
                f"was left by another run ({'; '.join(differing)}): go on as that run was begun, "
                "name another file, or delete it to begin anew"
            )

    def _error(self, what: str) -> StateFileError:
        return StateFileError(f"the state file {self.path} {what}")


def _shown(about: State, name: str) -> str:
    return json.dumps(about[name]) if name in about else "nothing"


def _locked(lock: IO[bytes], path: Path) -> bool:
    """Whether this run now has the lock file to itself."""
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The run that had it may have deleted it in between: then this locks nothing.
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _sync_folder(folder: Path) -> None:
    """Have the rename itself survive a power failure, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
