"""One run of a backfill: the parts of the table side by side, page by page."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from operations.backfill.baselines import Baselines
from operations.backfill.journal import Journal
from operations.backfill.observation import Observation
from operations.backfill.results import PageResult
from operations.backfill.source_facts import SourceFacts
from operations.errors import NoAnswerError
from operations.execution.guard import DeleteBrake
from operations.execution.pace import Pace
from operations.execution.request import answer_to, codes_text
from operations.execution.service_clock import ServiceClock
from operations.execution.settlement import by_id, settle_all
from operations.execution.standstill import Standstill
from replica_writer.settle import Settler
from reports.exports.export import Export, ExportFile
from stream_core.attribute_values import Item
from stream_core.item_id import item_id
from stream_core.retry import Patience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PATIENCE_S = 60.0
PAGE_ITEMS = 250
"""So many are in memory, and in the journal, for each part under way."""
# Longer than any patience: who is stopped has none left.
_FOR_EVER_S = 1e9


@dataclass(frozen=True)
class BackfillRun:
    """What a run works with.

    Attributes:
        reading: the client that reads the source.
        baselines: None: the history is left alone.
        settler: None: the replica is left alone, or only counted.
        brake: holds what is deleted from the replica.
        replica: whether the replica is part of the run.
        apply: whether to write.
        pace: how fast, and how long a page is tried.
        clock: the service's time.
    """

    facts: SourceFacts
    reading: "DynamoDBClient"
    journal: Journal
    baselines: Baselines | None
    settler: Settler | None
    brake: DeleteBrake
    replica: bool
    apply: bool
    pace: Pace
    clock: ServiceClock
    stopped: threading.Event = field(default_factory=threading.Event)

    def side_by_side(self, work: Callable[[int], None], threads: int) -> None:
        """Work on every part that is not done; an error or an interrupt ends all of them soon."""
        parts = [number for number, part in enumerate(self.journal.parts) if not part.done]

        def guarded(number: int) -> None:
            try:
                if not self.stopped.is_set():
                    work(number)
            except NoAnswerError as error:
                self._end(str(error))
            except BaseException:
                self.stopped.set()
                raise

        with self.pace.machine.threads(threads) as pool:
            try:
                for _ in pool.map(guarded, parts):
                    pass
            except BaseException:
                # Waits for the pages under way, which have no patience left.
                self.stopped.set()
                raise

    def settle_again(self) -> bool:
        """Settle what an earlier run may have left half-way; whether that succeeded."""
        keys = by_id(self.journal.under_way.remaining)
        result = self._settle(keys) if keys else PageResult()
        self.journal.leave(result)
        return not result.undone

    def segment(self, number: int) -> None:
        """Work through the rest of a segment."""
        part = self.journal.parts[number]
        place, is_first = part.start, part.start is None
        while (place is not None or is_first) and not self.stopped.is_set():
            observations, place = self._read(number, place)
            is_first = False
            result = self._page(observations)
            if not self._goes_on(result):
                return
            self.journal.finish(number, place, result)
            self._hold(self.journal.counts.deleted)

    def file(self, export: Export, number: int) -> None:
        """Work through a file of an export."""
        total = PageResult()
        for items in self._batches(export, export.files[number]):
            if self.stopped.is_set():
                return
            observations = self._observations(items, export.time, export.time)
            total.add(self._page(observations))
            self._hold(self.journal.counts.deleted + total.counts.deleted)
            if not self._goes_on(total):
                return
        self.journal.finish(number, None, total)

    def _goes_on(self, result: PageResult) -> bool:
        """Whether a page was done with; a run in which none is any more ends."""
        if not result.undone:
            self.standstill.moved()
            return True
        self.journal.leave(result)
        if (reason := self.standstill.reason) is not None:
            self._end(reason)
        return False

    def _hold(self, deleted: int) -> None:
        """End the run if it deletes too many items."""
        if (refusal := self.brake.refusal(deleted)) is not None:
            self._end(refusal)

    def _end(self, reason: str) -> None:
        self.stopped.set()
        self.journal.ended = self.journal.ended or reason

    def _batches(self, export: Export, file: ExportFile) -> Iterator[list[Item]]:
        yield from export.batches(file, self.facts.key_schema, self.page_items)

    @property
    def page_items(self) -> int:
        """How many items a page has: with a rate no more than a second's."""
        return min(PAGE_ITEMS, max(1, int(self.pace.per_second or PAGE_ITEMS)))

    def _read(self, number: int, place: Item | None) -> tuple[dict[str, Observation], Item | None]:
        """The next page of a segment, and the key that the one after it goes on from."""
        request: dict[str, Any] = {
            "TableName": self.facts.name,
            "ConsistentRead": True,
            "Segment": number,
            "TotalSegments": len(self.journal.parts),
            "Limit": self.page_items,
            **({} if place is None else {"ExclusiveStartKey": place}),
        }

        answer, since, until = answer_to(
            lambda: self.clock.ask(lambda: self.reading.scan(**request)),
            self._patience(),
            self.facts.name,
        )
        return self._observations(answer["Items"], since, until), answer.get("LastEvaluatedKey")

    def _observations(
        self, items: Sequence[Item], since: Any, until: Any
    ) -> dict[str, Observation]:
        observations = (Observation(self.facts.key_of(item), item, since, until) for item in items)
        return {item_id(observation.keys): observation for observation in observations}

    def _page(self, observations: Mapping[str, Observation]) -> PageResult:
        """Do all there is to do about some items."""
        result = PageResult()
        self.pace.rate.take(len(observations))
        result.counts.scanned = len(observations)
        if observations and self.baselines is not None:
            result.add(self.baselines.add(observations, self._patience(), apply=self.apply))
        if observations and self.replica:
            keys = {
                identifier: observation.keys for identifier, observation in observations.items()
            }
            result.add(self._settle(keys))
        return result

    def _settle(self, keys: Mapping[str, Item]) -> PageResult:
        result = PageResult()
        if self.settler is None:
            result.counts.settled = len(keys)
            return result
        since = self.standstill.now()
        settled = settle_all(self.settler, keys, self._patience, self.journal.under_way)
        codes = codes_text(settled.errors)
        result.undone += [
            (identifier, f"not settled in the replica: {codes}")
            for identifier in sorted(settled.unstored)
        ]
        result.undone += [
            (identifier, "it changed whenever it was settled")
            for identifier in sorted(settled.restless)
        ]
        result.refused += [
            (identifier, f"the replica refuses it: {error.code}")
            for identifier, error in settled.refused.items()
        ]
        if keys and keys.keys() <= settled.unstored:
            self.standstill.failed(since)
        result.counts.settled = len(keys.keys() - settled.failed)
        result.counts.deleted = settled.deletes
        return result

    @cached_property
    def standstill(self) -> Standstill:
        """Since when nothing succeeds any more; who is stopped has no patience left."""
        machine = replace(self.pace.machine, clock=self._clock)
        return Standstill(machine, self.pace.wait_s(PATIENCE_S))

    def _patience(self) -> Patience:
        return self.standstill.patience()

    def _clock(self) -> float:
        return self.pace.machine.clock() + (_FOR_EVER_S if self.stopped.is_set() else 0.0)
