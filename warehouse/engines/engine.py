"""What every engine answers, so that its caller need not know which one runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Self

import pyarrow as pa
from sqlglot import exp

from reports.inputs.paths import Path
from warehouse.dataset.manifest import Dataset
from warehouse.questions import activity_sql, continuity_sql, states_sql
from warehouse.questions.placement import chains, moved_rows
from warehouse.questions.question import EARLIEST, LATEST, Bounds, Question, Range


class Engine(ABC):
    """Questions to a dataset, which every engine beside this module answers alike.

    Answers come as a stream of Arrow record batches, with times in UTC, and images, hashes and
    keys as the dataset has them (see `warehouse.dataset.schema`). They are in no order unless the
    question names one.

    Raises:
        DatasetError: a question cannot be answered, or free SQL is none.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.bounds = Bounds.from_dataset(dataset)

    @abstractmethod
    def sql(self, text: str) -> pa.RecordBatchReader:
        """The answer to one query in DuckDB's dialect over `rows` and the `views`.

        Reads only. A column's type is the engine's own, null-ness is unknown.
        """

    @abstractmethod
    def ask(self, tree: exp.Query) -> pa.RecordBatchReader:
        """The answer to a query as a tree in DuckDB's dialect."""

    @abstractmethod
    def define(self, question: Question) -> None:
        """Make a question a view of its name."""

    @abstractmethod
    def map_rows(
        self, function: Callable[[pa.RecordBatch], pa.RecordBatch], answer: pa.Schema
    ) -> pa.RecordBatchReader:
        """What a function makes of all rows of the dataset, batch by batch."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds."""

    def place_rows(self) -> None:
        """Find out which rows do not stand where their times put them: to be done once, at first.

        Raises:
            DatasetError: they are too many to be told to the engine.
        """
        items = self.dataset.disordered
        if items is None or items:
            lines = (line for batch in self.ask(chains(items)) for line in batch.to_pylist())
            moved = moved_rows(lines, self.bounds.foreign)
            self.bounds = replace(self.bounds, moved=tuple(moved))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def answer(self, question: Question) -> pa.RecordBatchReader:
        """The answer to a question, in its columns exactly."""
        batches = (question.fitted(batch) for batch in self.ask(question.tree))
        return pa.RecordBatchReader.from_batches(question.answer, batches)

    def views(
        self,
        *,
        at: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        actor_attribute: Path | None = None,
        attribute: Path | None = None,
    ) -> list[str]:
        """Define views named after the questions, for `sql`; their names.

        Args:
            at: the instant of `table_as_of`; by default until when the dataset is complete.
            since: the start of the changes and of `diff`; by default the beginning of time.
            until: their end; by default the end of time, and until when the dataset is complete.
            actor_attribute: where writers leave their name, for `changes_per_actor`.
            attribute: the attribute of `dwell`; without it there is no such view.
        """
        made, foreign = Range(since or EARLIEST, until or LATEST), self.bounds.foreign
        questions = [
            activity_sql.history(),
            activity_sql.changes(made),
            activity_sql.changes_per_day(made, foreign),
            activity_sql.churn(made, foreign),
            activity_sql.changes_per_attribute(made, foreign),
            activity_sql.changes_per_actor(made, actor_attribute, foreign),
            states_sql.table_as_of(at or self.bounds.complete_until, self.bounds),
            states_sql.versions(self.bounds),
            states_sql.diff(
                made.since, until or max(made.since, self.bounds.complete_until), self.bounds
            ),
            continuity_sql.chains_in_doubt(foreign),
        ]
        if attribute is not None:
            questions.append(activity_sql.dwell(attribute, self.bounds))
        for question in questions:
            self.define(question)
        return [question.name for question in questions]

    def findings(self) -> pa.RecordBatchReader:
        """Where rows do not follow from each other; see `reports.verification.continuity`."""
        links = self.answer(continuity_sql.chains_in_doubt(self.bounds.foreign))
        return pa.RecordBatchReader.from_batches(
            continuity_sql.FINDINGS, continuity_sql.judged(links)
        )
