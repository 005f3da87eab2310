"""The keys of items that are being settled, kept for the run after one that was killed.

An item that was written into the replica, and deleted from the source before it was read again, is
in no page and in no comparison of some keys any more: only this list knows it.
"""

import threading
from collections.abc import Callable, Collection, Iterable
from itertools import count

from operations.errors import StateFileError
from operations.execution.state_file import StateFile
from stream_core.attribute_values import Item
from stream_core.errors import MalformedRecordError
from stream_core.item_id import item_id, read_key


class UnderWay:
    """Keys that are being settled; its methods may be called side by side.

    Attributes:
        remaining: keys that an earlier run may have left half-way, to be settled first.
    """

    def __init__(
        self, save: Callable[[], None] = lambda: None, remaining: Collection[Item] = ()
    ) -> None:
        """Go on from what an earlier run left.

        Args:
            save: keeps `keys`; called before any of them is written.
            remaining: what was kept last.
        """
        self._save = save
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._portions: dict[int, list[Item]] = {0: list(remaining)}
        self.remaining = list(remaining)

    @property
    def keys(self) -> list[Item]:
        """All that may be half-way now."""
        with self._lock:
            return [key for portion in self._portions.values() for key in portion]

    def begin(self, keys: Iterable[Item]) -> int:
        """Some items are about to be settled; returns their number for `end`."""
        with self._lock:
            number = next(self._numbers)
            self._portions[number] = list(keys)
        self._save()
        return number

    def end(self, number: int, unsettled: Collection[str] = ()) -> None:
        """They are settled, but for some ids; kept later: to settle them again is harmless."""
        with self._lock:
            portion = self._portions[number]
            self._portions[number] = [key for key in portion if item_id(key) in unsettled]
            settled = {item_id(key) for key in portion} - set(unsettled)
            # What an earlier run left is done with when anybody has settled it.
            self._portions[0] = [key for key in self._portions[0] if item_id(key) not in settled]


class UnderWayFile:
    """A file that keeps them for an operation that has no other state."""

    def __init__(self, file: StateFile | None) -> None:
        """Go on from the file, where there is one.

        Args:
            file: where to keep them; None: nowhere, because nothing is written.

        Raises:
            StateFileError: the file was left by another run, or was altered.
        """
        self._file = file
        self._saving = threading.Lock()
        self.under_way = UnderWay(self.save, self._saved())

    def save(self) -> None:
        """Keep them as they are now."""
        with self._saving:
            if self._file is not None:
                self._file.save({"under_way": self.under_way.keys})

    def close(self) -> None:
        """Forget the file if nothing is left half-way; else keep what is."""
        if self._file is None:
            return
        if self.under_way.keys:
            self.save()
        else:
            self._file.remove()

    def _saved(self) -> list[Item]:
        saved = None if self._file is None else self._file.load()
        if self._file is None or saved is None:
            return []
        return read_keys(self._file, saved.get("under_way"))


def read_keys(file: StateFile, saved: object) -> list[Item]:
    """Keys as they were kept in a state file.

    Raises:
        StateFileError: they are none.
    """
    match saved:
        case list():
            try:
                return list(map(read_key, saved))
            except MalformedRecordError as error:
                problem = str(error)
        case _:
            problem = "no list of keys"
    raise StateFileError(
        f"the state file {file.path} was altered ({problem}): delete it to begin anew"
    )
