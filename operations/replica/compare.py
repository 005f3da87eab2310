"""Hold a source table and its replica against each other, both ways, while they are in use.

The source is read page by page, and the same items from the replica; then the keys of the replica,
and the same items from the source. What differs at first sight is looked at again (`watch`), and
what differs for good is explained by the history. At any time some pages and the keys under
suspicion are in memory, however large the tables.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.replica.compared_table import (
    ComparedTable,
    Place,
    require_segments,
    work_off_segments,
)
from operations.replica.discrepancies import ComparisonSummary, Discrepancy, DiscrepancyKind
from operations.replica.explainer import Explainer
from operations.replica.sample import Sample
from operations.replica.table_pair import TablePair, equal
from operations.replica.watch import MOST_SUSPECTS, Conclusion, Watch, WatchResult
from replica_writer.tables import MAX_READS
from stream_core.attribute_values import Item
from stream_core.clients import CONCURRENCY
from stream_core.item_id import item_id

if TYPE_CHECKING:
    from operations.replica.reasons import Reason

SEGMENTS = 8


class _Seen(NamedTuple):
    """What came of a page: items met, items of which states were compared, those that differ."""

    met: int
    looked_at: int
    suspects: dict[str, Item]


def compare(
    deployment: DeployedTables,
    *,
    segments: int = SEGMENTS,
    sample: float | None = None,
    seed: int | None = None,
    pace: Pace,
) -> "Comparison":
    """Compare a source and its replica; nothing is written.

    A difference counts when it lasts: while items are written to, the replica is a little behind,
    and that is no finding. What is behind for longer than the patience is one, with the reason
    LAGGING. Reads are consistent. Attributes that global tables add are not compared.

    Args:
        deployment: names the tables; with a history table the reasons are given.
        segments: how many parts of a table are read side by side, up to 12; more come after.
        sample: a share of the items to look at, chosen at random; by default all. Both tables are
            still scanned, but only so many items are read by their keys, which is what costs.
        seed: what an earlier comparison's sample was chosen by, to look at the same items.
        pace: how many items a second, of both tables together; for how long a difference has to
            last; what is called with how far it is.

    Returns:
        The discrepancies, to be iterated over once, and their summary.

    Raises:
        RefusedError: no replica is named, it is the source itself, or it has another key.
        OperationError: a table cannot be read; also later, while iterating.
        TableNotFoundError: the history table is none.
    """
    require_segments(segments)
    chosen = Sample.draw(sample, seed)
    tables = TablePair.open(deployment, pace)
    history = None if deployment.history_table is None else deployment.reader
    explainer = Explainer(history, tables.source, pace.machine)
    return Comparison(tables, explainer, segments, chosen, pace)


class Comparison(Iterator[Discrepancy]):
    """Discrepancies as they are found, and the summary of what has been seen so far.

    Example:
        for discrepancy in comparison:
            print(discrepancy.kind, discrepancy.reason)
        print(comparison.summary.statement)
    """

    def __init__(
        self, tables: TablePair, explainer: Explainer, segments: int, sample: Sample, pace: Pace
    ) -> None:
        self._tables = tables
        self._explainer = explainer
        self._segments = segments
        self._sample = sample
        self._pace = pace
        self._met: Counter[str] = Counter()
        self._kinds: Counter[DiscrepancyKind] = Counter()
        self._reasons: Counter[Reason | None] = Counter()
        self._restless: list[Item] = []
        self._looked_at = self._passing = 0
        self._is_complete = False
        self._results = self._discrepancies()

    def __next__(self) -> Discrepancy:
        return next(self._results)

    def close(self) -> None:
        """End it early: nothing more is read."""
        self._results.close()

    @property
    def summary(self) -> ComparisonSummary:
        """What it has come to so far; `is_complete` once there is no more to iterate over."""
        return ComparisonSummary(
            source_items=self._met["source"],
            replica_items=self._met["replica"],
            looked_at=self._looked_at,
            kinds=dict(self._kinds),
            reasons=dict(self._reasons),
            restless=tuple(self._restless),
            passing=self._passing,
            sample=self._sample.share,
            seed=self._sample.seed,
            is_complete=self._is_complete,
        )

    def _discrepancies(self) -> Generator[Discrepancy, None, None]:
        at_once = min(self._segments, CONCURRENCY)
        # Left early, it waits for the pages under way; those not begun yet are dropped.
        with ThreadPoolExecutor(at_once) as executor:
            watch = Watch(self._tables, executor, self._pace, self._explainer.version)
            for table, step in (
                (self._tables.source, self._source_page),
                (self._tables.replica, self._replica_page),
            ):
                for seen in work_off_segments(executor, self._segments, at_once, step):
                    self._note(table, seen)
                    watch.add(seen.suspects)
                    yield from self._clear(watch, executor, MOST_SUSPECTS)
            yield from self._clear(watch, executor, 0)
        self._is_complete = True

    def _source_page(self, place: Place) -> tuple[_Seen, Place | None]:
        """Items of the source that are not so in the replica."""
        source, replica = self._tables.source, self._tables.replica
        page = source.page(place, keys_only=not self._sample.is_everything)
        items = self._chosen(page.items)
        suspects: dict[str, Item] = {}
        for portion in map(dict, chunked(items.items(), MAX_READS)):
            keys = {identifier: source.key_of(item) for identifier, item in portion.items()}
            copies = replica.read(keys)
            states = portion if self._sample.is_everything else source.read(keys)
            suspects |= {
                identifier: keys[identifier]
                for identifier in keys
                if not equal(states[identifier], copies[identifier])
            }
        return _Seen(len(page.items), len(items), suspects), page.following

    def _replica_page(self, place: Place) -> tuple[_Seen, Place | None]:
        """Items of the replica that the source has not; those that it has were compared."""
        page = self._tables.replica.page(place, keys_only=True)
        keys = self._chosen(page.items)
        present = self._tables.source.read(keys, keys_only=True)
        suspects = {
            identifier: key for identifier, key in keys.items() if present[identifier] is None
        }
        return _Seen(len(page.items), len(suspects), suspects), page.following

    def _chosen(self, items: list[Item]) -> dict[str, Item]:
        by_id = {item_id(self._tables.source.key_of(item)): item for item in items}
        return {
            identifier: item for identifier, item in by_id.items() if self._sample.has(identifier)
        }

    def _note(self, table: ComparedTable, seen: _Seen) -> None:
        self._met[table.role] += seen.met
        self._looked_at += seen.looked_at
        met = self._met[table.role]
        # The table's own count is some hours old.
        expected = max(met, table.description.items) if table.description.items else None
        self._pace.progress(f"{table.role} items", met, expected)

    def _clear(self, watch: Watch, executor: Executor, most: int) -> Iterator[Discrepancy]:
        """What is clear of the suspects, when no more than `most` are left."""
        for results in watch.results(most):
            self._count(results)
            differing = [result for result in results if result.conclusion is Conclusion.DIFFERS]
            explained = executor.map(self._explainer.explain, differing)
            for result, discrepancy in zip(differing, explained, strict=True):
                if discrepancy is None:
                    watch.resume(result.suspect)
                    continue
                self._kinds[discrepancy.kind] += 1
                self._reasons[discrepancy.reason] += 1
                yield discrepancy
            if most == 0:
                clear = self._passing + len(self._restless) + self._kinds.total()
                self._pace.progress("suspects looked at again", clear, clear + len(watch))

    def _count(self, results: list[WatchResult]) -> None:
        for result in results:
            if result.conclusion is Conclusion.EQUAL:
                self._passing += 1
            elif result.conclusion is Conclusion.RESTLESS:
                self._restless.append(result.suspect.key)
