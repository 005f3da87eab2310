"""Giving an answer in the form asked for."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import TypeVar

import click
from rich.console import RenderableType
from rich.text import Text

from itemtrail.output import json_and_csv as writers
from itemtrail.output import parquet
from itemtrail.output.progress import ProgressBar
from itemtrail.output.terminal import draw, show
from itemtrail.records.kinds import Record, RecordKind
from reports.unseen import visible
from stream_core.history_row import time_text

Entry = TypeVar("Entry")

FORMS = ("table", "json", "jsonl", "csv", "parquet")


@dataclass(frozen=True)
class Answer:
    """What a command has to say; of its forms only the one asked for is ever made.

    Attributes:
        kind: what the records are.
        records: the answer for programs, a record at a time.
        blocks: the answer for people, as tables that follow each other.
        document: what JSON shows instead of a list of the records.
        summary: what it comes to, for people: below the tables, on stderr beside any other form;
            made once all the rest is written.
        times: the times asked for as they were understood: on stderr beside all but tables and
            documents, which have them.
        is_applied: something is written for it, or was: it comes without a pager.
    """

    kind: RecordKind
    records: Iterable[Record]
    blocks: Iterable[RenderableType]
    document: Callable[[], Record] | None = None
    summary: Iterable[Text] = ()
    times: str = ""
    is_applied: bool = False


def chosen_form(output: str | None) -> str:
    """The form to answer in, once it is known that it can be.

    Raises:
        UsageError: it is binary, and would go to a terminal.
        ReportError: what writes it is not installed.
    """
    form = output or ("table" if sys.stdout.isatty() else "json")
    if form == "parquet":
        if sys.stdout.isatty():
            raise click.UsageError(
                "--output parquet is binary: send it into a file, e.g. > answer.parquet",
                click.get_current_context(silent=True),
            )
        parquet.require_pyarrow()
    return form


def give(answer: Answer, form: str, progress: ProgressBar | None = None) -> None:
    """Write or show an answer as it arrives, and what it comes to."""
    progress = progress or ProgressBar()
    if form == "table":
        blocks = chain(answer.blocks, answer.summary)
        if answer.is_applied:
            draw(blocks, sys.stdout)
        else:
            show(blocks, progress)
        return
    _write(answer, form, progress)
    progress.end()
    for line in answer.summary:
        tell(line.plain)


def instant(at: datetime) -> str:
    """An instant asked for, as `Answer.times` has it."""
    return f"as of {time_text(at)}"


def span(since: datetime, until: datetime) -> str:
    """A range asked for, or two instants, as `Answer.times` has it."""
    return f"from {time_text(since)} to {time_text(until)}"


def tell(text: str) -> None:
    """Tell a person something beside the answer, which may quote what a table holds."""
    ProgressBar.make_room()
    click.echo(visible(text), err=True)


def _write(answer: Answer, form: str, progress: ProgressBar) -> None:
    if form == "json" and answer.document is not None:
        document = answer.document()
        progress.answer_begins()
        writers.write_document(document)
    else:
        arriving = iter(answer.records)
        # Nothing is written, not even a header, before it is known that there is an answer.
        first = list(islice(arriving, 1))
        progress.answer_begins()
        if answer.times:
            tell(answer.times)
        _write_records(form, answer.kind, chain(first, arriving))


def _write_records(form: str, kind: RecordKind, records: Iterable[Record]) -> None:
    match form:
        case "json":
            writers.write_json(records)
        case "jsonl":
            writers.write_jsonl(records)
        case "csv":
            writers.write_csv(kind, records)
        case _:
            parquet.write_parquet(kind, records)


def noted(entries: Iterable[Entry], passed: list[Entry]) -> Iterator[Entry]:
    """What passes, each noted as it does."""
    for entry in entries:
        passed.append(entry)
        yield entry


@dataclass
class Counted(Iterable[Entry]):
    """What passes, and how many of it have passed."""

    entries: Iterable[Entry]
    count: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Entry]:
        for entry in self.entries:
            self.count += 1
            yield entry
