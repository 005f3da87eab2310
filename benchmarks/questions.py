"""One way of asking about a generated history, in a process of its own, with its memory.

    python -m benchmarks.questions frame QUESTION FOLDER
    python -m benchmarks.questions streamed QUESTION FOLDER
    python -m benchmarks.questions pandas all FOLDER

prints how long it took, the peak of memory until then, and the answer's count and digest.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer

from benchmarks.history import HISTORY, SOURCE, TIME_SHARDS, History
from benchmarks.spent import Clock, digest_of
from stream_core.attribute_values import Item, canonical_json
from stream_core.history_row import HistoryRow, sort_key_of
from stream_core.item_id import item_id

if TYPE_CHECKING:
    import pandas as pd

    from reports import HistoryTable
    from reports.states.selection import Selection

QUESTIONS = {
    "middle": "the table half-way",
    "recent": "the table an hour ago",
    "changes": "a day's changes",
    "filtered": "of them open to paid",
}
_OF_TABLE = {"middle", "recent"}
_ATTRIBUTE, _OLD, _NEW = "Status", "open", "paid"


def main() -> None:
    """Ask, and print the answers as JSON."""
    way, question, folder = sys.argv[1:]
    past = History.read(Path(folder))
    if way == "pandas":
        answers = list(_plain_pandas(past))
    else:
        answers = [{"frame": _frame, "streamed": _streamed}[way](question, past)]
    sys.stdout.write(f"{json.dumps(answers)}\n")


def _frame(question: str, past: History) -> dict[str, Any]:
    """The frame that the library's method returns."""
    trail, where = _trail(question)
    clock = Clock()
    if question in _OF_TABLE:
        frame = trail.table_as_of(_instant(question, past))
        took = _answer(clock, question, f"{frame.attrs['method']}, frame")
        return took | _digest(map(_wire, frame.loc[frame["exists"], "item"]))
    frame = trail.changes(*_last_day(past), where)
    return _answer(clock, question, "ByTime, frame") | _digest(_framed(frame))


def _streamed(question: str, past: History) -> dict[str, Any]:
    """The library's stream, nothing of it kept; the digest's cost is in the time."""
    trail, where = _trail(question)
    clock = Clock()
    if question in _OF_TABLE:
        table = trail.table_states(_instant(question, past))
        digest = _digest(state.image for state in table.states if state.image)
        return _answer(clock, question, f"{table.method}, streamed") | digest
    digest = _digest(map(_row, trail.changed_rows(*_last_day(past), where)))
    return _answer(clock, question, "ByTime, streamed") | digest


def _plain_pandas(past: History) -> Iterator[dict[str, Any]]:
    from benchmarks import plain_pandas  # noqa: PLC0415 - no memory of it in the other ways

    clock = Clock()
    frame = plain_pandas.load()
    yield _answer(clock, "load", "")
    day = _last_day(past)
    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "middle": lambda: plain_pandas.table_as_of(frame, _instant("middle", past)),
        "recent": lambda: plain_pandas.table_as_of(frame, _instant("recent", past)),
        "changes": lambda: plain_pandas.changes(frame, *day),
        "filtered": lambda: plain_pandas.changes_of(frame, *day, _ATTRIBUTE, (_OLD, _NEW)),
    }
    for question, ask in ways.items():
        clock = Clock()
        answer = ask()
        took = _answer(clock, question, "pandas")
        lines = answer[["id", "key", "event", "old", "new"]].itertuples(index=False, name=None)
        yield took | _digest(
            answer["new"] if question in _OF_TABLE else (_line(*columns) for columns in lines)
        )


def _trail(question: str) -> "tuple[HistoryTable, Selection | None]":
    from reports import HistoryTable  # noqa: PLC0415 - no memory of it in the plain way
    from reports.states.selection import Selection  # noqa: PLC0415

    where = Selection(attribute=(_ATTRIBUTE,), old=_OLD, new=_NEW)
    trail = HistoryTable(HISTORY, SOURCE, time_shards=TIME_SHARDS)
    return trail, where if question == "filtered" else None


def _instant(question: str, past: History) -> datetime:
    if question == "recent":
        return past.end - timedelta(hours=1)
    return past.start + (past.end - past.start) / 2


def _last_day(past: History) -> tuple[datetime, datetime]:
    return past.end - timedelta(days=1), past.end


def _answer(clock: Clock, question: str, way: str) -> dict[str, Any]:
    """What it took until now to answer a question in a way."""
    return {"question": question, "way": way, **clock.elapsed()}


def _digest(items: Iterable[Item]) -> dict[str, Any]:
    return digest_of(map(canonical_json, items))


def _row(row: HistoryRow) -> Item:
    change = row.change
    name = change.event_name.value
    return _line(row.id, row.sort_key, name, change.old_image, change.new_image)


def _framed(frame: "pd.DataFrame") -> Iterator[Item]:
    columns = ["key", "at", "sequence_number", "event_name", "old_image", "new_image"]
    for key, at, sequence, name, old, new in frame[columns].itertuples(index=False, name=None):
        sort_key = sort_key_of(at.to_pydatetime(), sequence)
        yield _line(item_id(_wire(key)), sort_key, name, old and _wire(old), new and _wire(new))


def _line(identifier: str, sort_key: str, name: str, old: Item | None, new: Item | None) -> Item:
    """A change as an item."""
    images = {which: {"M": image} for which, image in (("old", old), ("new", new)) if image}
    return {"id": {"S": identifier}, "key": {"S": sort_key}, "event": {"S": name}} | images


def _wire(item: dict[str, Any]) -> Item:
    wire: Item = TypeSerializer().serialize(item)["M"]
    return wire


if __name__ == "__main__":
    main()
