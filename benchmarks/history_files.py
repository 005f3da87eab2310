"""Tables in files: each item's JSON ready to be sent, found by bisection, its size known.

The first attributes of every item of a table are texts of one width, keys among them; that is what
lets a process serve a million items in a few megabytes and microseconds.
"""

import json
import mmap
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path


class TableWriter:
    """Writes the files of one table: its items, where each ends, and how large each counts."""

    def __init__(self, folder: Path, name: str) -> None:
        """Begin an empty table."""
        self.name = name
        self.ends, self.sizes = array("Q"), array("I")
        self._folder = folder
        self._items = Path(folder, f"{name}.json").open("wb")  # noqa: SIM115 - see close()

    def add(self, items: bytes | bytearray, ends: Iterable[int], sizes: Iterable[int]) -> None:
        """Append items, a comma behind each, whose keys are greater than all before."""
        begin = self._items.tell()
        self._items.write(items)
        self.ends.extend(begin + end for end in ends)
        self.sizes.extend(sizes)

    def close(self) -> None:
        """Write what is left."""
        self._items.close()
        Path(self._folder, f"{self.name}.ends").write_bytes(self.ends.tobytes())
        Path(self._folder, f"{self.name}.sizes").write_bytes(self.sizes.tobytes())


class Rows:
    """The items of one table by their number, in the order of its key."""

    def __init__(self, folder: Path, name: str, head: Sequence[str]) -> None:
        """Open the files; `head` names the attributes that each item's JSON begins with."""
        with Path(folder, f"{name}.json").open("rb") as items:
            self._items = mmap.mmap(items.fileno(), 0, access=mmap.ACCESS_READ)
        self._begins = array("Q", [0, *_numbers(Path(folder, f"{name}.ends"), "Q")])
        self._sizes = _numbers(Path(folder, f"{name}.sizes"), "I")
        self._attributes, self._values = self._spans(head)

    def __len__(self) -> int:
        return len(self._begins) - 1

    def json(self, begin: int, end: int) -> bytes:
        """The items from one number up to, not including, another, commas between."""
        return self._items[self._begins[begin] : self._begins[end] - 1] if begin < end else b""

    def size(self, row: int) -> int:
        """The item's bytes as DynamoDB counts them."""
        return self._sizes[row]

    def key(self, row: int, *names: str) -> tuple[bytes, ...]:
        """The texts of some of its first attributes."""
        begin = self._begins[row]
        return tuple(
            self._items[begin + span.start : begin + span.stop]
            for span in map(self._values.__getitem__, names)
        )

    def item(self, row: int, names: Sequence[str]) -> bytes:
        """An item, with only these attributes if any are named."""
        if not names:
            return self.json(row, row + 1)
        if self._attributes.keys() >= set(names):
            return self.attributes(row, names)
        whole = json.loads(self.json(row, row + 1))
        return json.dumps({name: whole[name] for name in names if name in whole}).encode("ascii")

    def attributes(self, row: int, names: Iterable[str]) -> bytes:
        """An item with only these of its first attributes."""
        begin, items = self._begins[row], self._items
        spans = map(self._attributes.__getitem__, names)
        fields = (items[begin + span.start : begin + span.stop] for span in spans)
        return b"{" + b",".join(fields) + b"}"

    def _spans(self, head: Sequence[str]) -> tuple[dict[str, slice], dict[str, slice]]:
        """Where the first attributes and their texts lie; the first item shows it for all."""
        attributes, values = {}, {}
        item, begin = self.json(0, 1), 1
        for name in head:
            if not item.startswith(f'"{name}":'.encode(), begin):
                raise ValueError(f"the items do not begin with {', '.join(head)}")
            end = item.index(b"}", begin)
            # A map's text is the last in it.
            values[name] = slice(item.rindex(b'"', begin, end - 1) + 1, end - 1)
            while item[end : end + 1] == b"}":
                end += 1
            attributes[name], begin = slice(begin, end), end + 1
        return attributes, values


class View:
    """A table or an index of it: its items in the order of some of their first attributes."""

    def __init__(
        self,
        rows: Rows,
        key_names: Sequence[str],
        order: Sequence[int] | None = None,
        projected: Sequence[str] = (),
    ) -> None:
        """Look at a table's items.

        Args:
            rows: the items.
            key_names: the attributes that they are in the order of.
            order: an index has their numbers in its own order.
            projected: an index has these of their first attributes.
        """
        self.key_names = key_names
        self._rows = rows
        self._order = range(len(rows)) if order is None else order
        self._projected = projected

    def __len__(self) -> int:
        return len(self._order)

    def row(self, place: int) -> int:
        """The number of the item at a place of this order."""
        return self._order[place]

    def key(self, place: int) -> tuple[bytes, ...]:
        """The key at a place."""
        return self._rows.key(self._order[place], *self.key_names)

    def key_json(self, place: int) -> bytes:
        """The key at a place as JSON."""
        return self._rows.attributes(self._order[place], self.key_names)

    def size(self, place: int) -> int:
        """The bytes at a place as DynamoDB counts them."""
        row = self._order[place]
        if not self._projected:
            return self._rows.size(row)
        return sum(map(len, (*self._projected, *self._rows.key(row, *self._projected))))

    def place(self, *texts: bytes) -> int:
        """The first place whose key is not less; less than another is a key that begins it."""
        # Not `key`, whose look-up bisect would do once more for each step.
        return bisect_left(self._order, texts, key=lambda row: self._rows.key(row, *self.key_names))

    def items(self, places: range, names: Sequence[str] | None) -> bytes:
        """The items at some places, with only these attributes if any are named, as JSON."""
        if not names and not self._projected and places.step == 1:
            return self._rows.json(places.start, places.stop)
        wanted = names or self._projected
        return b",".join(self._rows.item(self._order[place], wanted) for place in places)


def order_file(folder: Path, name: str, index: str) -> Path:
    """Where the order of an index is kept."""
    return Path(folder, f"{name}.{index}")


def sort(folder: Path, name: str, head: Sequence[str], index: str, key: Sequence[str]) -> None:
    """Write the order of an index."""
    rows = Rows(folder, name, head)
    order = sorted(range(len(rows)), key=lambda row: rows.key(row, *key))
    order_file(folder, name, index).write_bytes(array("I", order).tobytes())


def order_of(folder: Path, name: str, index: str) -> Sequence[int]:
    """Read the order of an index."""
    return _numbers(order_file(folder, name, index), "I")


def _numbers(path: Path, kind: str) -> "array[int]":
    numbers = array(kind)
    numbers.frombytes(path.read_bytes())
    return numbers
