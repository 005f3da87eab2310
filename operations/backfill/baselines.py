"""Baselines: the state of an item whose history does not show how it began.

An item needs one if it has no row yet, or if its first row is a change of what was there before
and no baseline was ever taken. A baseline is a row like any other: written once, refused if it is
there, sealed by its digest.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from history_writer.writer import HistoryWriter
from operations.backfill.observation import Dated, Observation, date, stamp
from operations.backfill.results import PageResult
from operations.backfill.source_facts import SourceFacts
from operations.execution.request import answer_to, codes_text
from operations.execution.service_clock import ServiceClock
from stream_core.attribute_values import Item, canonical_json
from stream_core.batch import Delivery
from stream_core.change import Change, EventName
from stream_core.errors import IntegrityError
from stream_core.history_row import ID, SORT_KEY, time_text
from stream_core.retry import Patience, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A sequence number of 0 has a baseline sort first in its second.
_SEQUENCE_NUMBER = "0"
_BEGINNINGS = (EventName.INSERT, EventName.SNAPSHOT)


@dataclass(frozen=True, slots=True)
class _FirstRow:
    """The oldest row of an item.

    Attributes:
        created_at: its time, to the tick of the engine.
    """

    event_name: EventName
    created_at: datetime


@dataclass(frozen=True)
class Baselines:
    """Writes the baselines that are missing in a history table.

    Attributes:
        reading: the client that reads both tables.
        clock: the service's time.
        sleep: pauses for so many seconds.
    """

    facts: SourceFacts
    reading: "DynamoDBClient"
    writer: HistoryWriter
    clock: ServiceClock
    sleep: Callable[[float], object]

    def add(
        self, observations: Mapping[str, Observation], patience: Patience, *, apply: bool
    ) -> PageResult:
        """Write a baseline for each item that needs one; harmless to repeat.

        Args:
            observations: items that were there, by id, as they were read.
            patience: how long to go on trying.
            apply: whether to write; otherwise what would be written is counted.

        Raises:
            OperationError: a table does not answer.
        """
        result = PageResult()
        firsts = self._answers(self._first_row, list(observations), patience)
        needed = self._needed(observations, firsts, patience, result)
        result.counts.already_there += len(observations) - len(needed)
        if apply:
            changes = self._changes(needed, patience, result)
            self._store(changes, patience, result)
            moments = {identifier: change.created_at for identifier, change in changes.items()}
        else:
            result.counts.baselines += len(needed)
            moments = {identifier: observation.since for identifier, observation in needed.items()}
        for identifier, moment in moments.items():
            first = firsts[identifier]
            result.counts.changed_first += first is not None and first.created_at < stamp(
                moment, self.facts.tick
            )
        return result

    def _needed(
        self,
        observations: Mapping[str, Observation],
        firsts: Mapping[str, _FirstRow | None],
        patience: Patience,
        result: PageResult,
    ) -> dict[str, Observation]:
        changed = [
            identifier
            for identifier, row in firsts.items()
            if row and row.event_name not in _BEGINNINGS
        ]
        has_baseline = self._answers(self._has_baseline, changed, patience)
        result.counts.changed_first += sum(has_baseline.values())
        return {
            identifier: observation
            for identifier, observation in observations.items()
            if firsts[identifier] is None or has_baseline.get(identifier) is False
        }

    def _changes(
        self, observations: Mapping[str, Observation], patience: Patience, result: PageResult
    ) -> dict[str, Change]:
        """The baselines of items, those left out that have none."""

        def look_again(before: Mapping[str, Observation]) -> Mapping[str, Observation]:
            # Only then is it later by the service's clock too.
            self.sleep(self.clock.doubt.total_seconds())
            return self._answers(
                lambda identifier: self._sight(before[identifier].keys), list(before), patience
            )

        dates = date(observations, look_again, self.facts.tick)
        result.counts.gone += len(dates.gone)
        result.undone += [
            (identifier, "it changed each time it was read") for identifier in dates.restless
        ]
        return {
            identifier: self._change(identifier, dated) for identifier, dated in dates.dated.items()
        }

    def _change(self, identifier: str, dated: Dated) -> Change:
        content = canonical_json({"Id": {"S": identifier}, "Image": {"M": dated.item}})
        name = hashlib.sha256(content + dated.at.isoformat().encode("ascii")).hexdigest()[:32]
        return Change(
            item_id=identifier,
            event_id=f"snapshot-{name}",
            event_name=EventName.SNAPSHOT,
            event_source_arn=self.facts.event_source_arn,
            aws_region=self.facts.region,
            sequence_number=_SEQUENCE_NUMBER,
            created_at=dated.at,
            size_bytes=None,
            keys=dated.keys,
            old_image=None,
            new_image=dated.item,
        )

    def _store(self, changes: dict[str, Change], patience: Patience, result: PageResult) -> None:
        outcome = self.writer.store(
            [Delivery({ID: identifier}, change) for identifier, change in changes.items()], patience
        )
        codes = codes_text(outcome.errors)
        undone = [
            (record[ID], f"its baseline is not stored: {codes}") for record in outcome.unstored
        ]
        refused = [(refusal.record[ID], _reason(refusal.error)) for refusal in outcome.refused]
        result.undone += undone
        result.refused += refused
        result.counts.baselines += len(changes) - len(undone) - len(refused)

    def _sight(self, keys: Item) -> Observation:
        answer, since, until = self.clock.ask(
            lambda: self.reading.get_item(TableName=self.facts.name, Key=keys, ConsistentRead=True)
        )
        return Observation(keys, answer.get("Item"), since, until)

    def _first_row(self, identifier: str) -> _FirstRow | None:
        request = self._rows_of(identifier)
        answer, _, _ = self.clock.ask(lambda: self.reading.query(**request, Limit=1))
        if not answer["Items"]:
            return None
        row: Any = answer["Items"][0]
        try:
            created_at = datetime.fromisoformat(row[SORT_KEY]["S"].partition("#")[0])
            event_name = EventName(row["EventName"]["S"])
        except (KeyError, ValueError) as error:
            table = self.writer.history_table
            raise IntegrityError(f"not a history row: {row[SORT_KEY]} of '{table}'") from error
        return _FirstRow(event_name, stamp(created_at, self.facts.tick))

    def _has_baseline(self, identifier: str) -> bool:
        request = self._rows_of(identifier)
        request["FilterExpression"] = "#event = :snapshot"
        request["ExpressionAttributeValues"][":snapshot"] = {"S": EventName.SNAPSHOT.value}
        pages = self.reading.get_paginator("query").paginate(**request)
        return any(page["Items"] for page in pages)

    def _rows_of(self, identifier: str) -> dict[str, Any]:
        return {
            "TableName": self.writer.history_table,
            # Rows from before the table was made are of an earlier one: this one's items have no
            # beginning by them. Stamps are whole seconds, or minutes.
            "KeyConditionExpression": "#id = :id AND #time BETWEEN :made AND :last",
            "ProjectionExpression": "#time, #event",
            "ExpressionAttributeNames": {"#id": ID, "#time": SORT_KEY, "#event": "EventName"},
            "ExpressionAttributeValues": {
                ":id": {"S": identifier},
                ":made": {"S": time_text(stamp(self.facts.created_at, self.facts.tick))},
                ":last": {"S": "~"},
            },
            "ConsistentRead": True,
        }

    def _answers(self, ask: Any, identifiers: list[str], patience: Patience) -> dict[str, Any]:
        """What is asked about each item, side by side."""

        def answer(identifier: str) -> Any:
            return answer_to(lambda: ask(identifier), patience, "the history or its source")

        return dict(zip(identifiers, self.writer.pool.map(answer, identifiers), strict=True))


def _reason(error: Exception) -> str:
    if isinstance(error, IntegrityError):
        return f"its history has another baseline: {error}"
    return f"the history table refuses it: {error_code(error)}"
