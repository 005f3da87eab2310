"""The file that an interrupted run leaves, and that the same run goes on from."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from operations.errors import StateFileError
from reports.access.file_lock import locked
from reports.access.private_files import kept_content, replace_file
from stream_core.attribute_values import wire_json

State: TypeAlias = dict[str, Any]
"""What can be written as JSON; bytes come back as base64 text (`read_item` decodes them)."""


class StateFile:
    """A JSON file that is replaced as a whole: at any moment one state is there, and all of it.

    It holds keys of items, and is readable by its owner alone.
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any]) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: where it is.
            about: what the run is about (tables, options), by the names people know: the file of
                a run that was about something else is refused.
        """
        self.path = Path(path)
        self.about: State = json.loads(wire_json(dict(about)))

    def load(self) -> State | None:
        """What was saved last; None: there is no file.

        Raises:
            StateFileError: the file cannot be read, or was left by another run.
        """
        try:
            content = json.loads(kept_content(self.path))
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
            replace_file(self.path, wire_json(content, sort_keys=False))
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
        # A file beside it: the state file itself is replaced again and again.
        beside = self.path.with_name(f"{self.path.name}.lock")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(beside))
            except BlockingIOError as error:
                what = "is in use by another run: wait for it, or name another file"
                raise self._error(what) from error
            except OSError as error:
                raise self._error(f"cannot be written: {error.strerror}") from error
            yield

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
