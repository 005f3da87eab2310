"""The items of a table that are meant, as they were at an instant; a few are asked for by key."""

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from operations.recovery.table.results import Method
from operations.recovery.table.selection import ItemSelection
from reports.access.parallel import in_order
from reports.access.progress import Progress
from reports.access.row_reader import RowReader
from reports.states.named_paths import NamedPaths
from reports.states.timeline import Certainty, ItemState, judge
from reports.table.as_of import table_states
from stream_core.attribute_values import Item
from stream_core.history_row import time_text
from stream_core.item_id import item_id

# Each takes three requests; a table of any size is read by fewer from about here.
MOST_BY_KEY = 1000


@dataclass
class SelectedStates:
    """The states of the items that are meant.

    Attributes:
        method, reason: how they are found, see `TableAsOf`.
        states: those of items that existed, and of those that are not sure not to have; read while
            it is iterated, and closed by whoever ends sooner.
        unknown: keys that were named and are known to nothing, once all states were read.
        conditions: the attributes of the conditions, as far as no item was found to have them.
    """

    method: Method
    reason: str
    states: Generator[ItemState, None, None]
    unknown: list[Item]
    conditions: NamedPaths


@dataclass(frozen=True)
class StateFinder:
    """Finds what items were at an instant, changes stamped at it included.

    Attributes:
        reader: reads both tables.
        at: the instant.
        now: the present.
        progress: is called with what was read.
    """

    reader: RowReader
    at: datetime
    now: datetime
    progress: Progress

    def states(self, selection: ItemSelection, partition_key: str) -> SelectedStates:
        """Every item that is meant as it was.

        Args:
            selection: which items.
            partition_key: the name of the table's partition key.
        """
        unknown: list[Item] = []
        looked_at = "no item"
        if selection.keys is not None and len(selection.ids) <= MOST_BY_KEY:
            states = self._by_key(selection.ids, unknown)
            method: Method = "keys"
            reason = "each of the items named was asked for"
            looked_at = "none of the items named"
        else:
            as_of = table_states(
                self.reader, self.at, self.now, certain=False, progress=self.progress
            )
            method, reason = as_of.method, as_of.reason
            states = cast("Generator[ItemState, None, None]", as_of.states)
            if selection.keys is not None:
                states = self._with_missing(states, dict(selection.ids), unknown)
        conditions = NamedPaths(
            {condition.path: "--where" for condition in selection.conditions},
            f"as of {time_text(self.at)} {looked_at} is known to have had",
        )
        if selection:
            states = _meant(states, selection, partition_key, conditions)
        return SelectedStates(method, reason, states, unknown, conditions)

    def _by_key(
        self, keys: Mapping[str, Item], unknown: list[Item]
    ) -> Generator[ItemState, None, None]:
        """The states of items, by their keys; those of which nothing is known are noted."""
        with closing(in_order(self._known_state, keys.values())) as answers:
            for done, (key, state) in enumerate(answers, 1):
                self.progress("items", done, len(keys))
                if state is None:
                    unknown.append(key)
                elif state.exists or state.certainty is not Certainty.EXACT:
                    yield state

    def _known_state(self, key: Item) -> tuple[Item, ItemState | None]:
        evidence = self.reader.evidence(key, self.at, self.now)
        is_known = evidence.before or evidence.after or evidence.live is not None
        return key, judge(evidence) if is_known else None

    def _with_missing(
        self,
        states: Generator[ItemState, None, None],
        missing: dict[str, Item],
        unknown: list[Item],
    ) -> Generator[ItemState, None, None]:
        """The states of a table, then those of the keys that were not among them."""
        with closing(states):
            for state in states:
                missing.pop(item_id(state.keys), None)
                yield state
        yield from self._by_key(missing, unknown)


def _meant(
    states: Generator[ItemState, None, None],
    selection: ItemSelection,
    partition_key: str,
    conditions: NamedPaths,
) -> Generator[ItemState, None, None]:
    with closing(states):
        for state in states:
            conditions.note_states(state.image)
            if selection.accepts(state, partition_key):
                yield state
