"""What a redrive came to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from operations.redrive.contents import Leftover, Load, Lost
from operations.stored_rows import MissingRecord
from reports.deployment.stack import Consumer
from stream_core.history_row import HistoryRow

_MOST_PLANNED = 1_000


@dataclass(frozen=True)
class StreamReading:
    """What reading a whole stream came to.

    Attributes:
        stream_arn: the stream.
        shards: how many of its shards were read.
        stored: records that had their row when they were looked for; None where they were not,
            because only the replica was asked for.
        missing: the first ten thousand of those that had none.
        missing_records: how many had none.
        items: items that the records read are about, where the replica was asked for.
    """

    stream_arn: str
    shards: int
    stored: int | None
    missing: tuple[MissingRecord, ...]
    missing_records: int
    items: int


@dataclass(frozen=True)
class PlannedRow:
    """What a record would become, if it is no row yet.

    Attributes:
        where: the key of the object, or the path of the file, that it is in.
        row: says where it came from, unless the stream has the same record.
    """

    where: str
    row: HistoryRow


@dataclass(frozen=True)
class Redriven:
    """What a redrive did, or, in a dry run, would do.

    Attributes:
        applied: whether anything was written.
        objects: objects and files that were for the consumers asked for.
        records: records that were read: those in them, or those of the stream.
        done: keys of the objects that were put away under `done/`, and paths of the files that are
            finished with; in a dry run, of those that would be if the tables took every record.
        leftovers: what stays where it is, and why.
        lost: parts of the stream that have expired.
        counts: rows written and found (`RowsWritten`, `Duplicates`), items settled (`Settled`).
        planned: in a dry run, the first thousand of the records for the history.
        ended: why it ended before all was looked at; None: it did not.
        stream: what the stream had, where that was read; None where the bucket was.
    """

    applied: bool
    objects: int
    records: int
    done: tuple[str, ...]
    leftovers: tuple[Leftover, ...]
    lost: tuple[Lost, ...]
    counts: Counter[str]
    ended: str | None = None
    stream: StreamReading | None = None
    planned: tuple[PlannedRow, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left behind, and no record of the stream is without its row."""
        is_missing = not self.applied and self.stream is not None and self.stream.missing
        return not (self.leftovers or self.lost or self.ended is not None or is_missing)


@dataclass
class RedriveTotals:
    """The same, while it goes on."""

    objects: int = 0
    records: int = 0
    done: list[str] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    ended: str | None = None
    planned: list[PlannedRow] = field(default_factory=list)

    def plan(self, group: Iterable[Load]) -> None:
        """Note what would become of some loads, as far as there is room for it."""
        for load in group:
            room = _MOST_PLANNED - len(self.planned)
            for_history = (
                delivery
                for delivery, takers in load.deliveries
                if Consumer.HISTORY_WRITER in takers
            )
            self.planned += [
                PlannedRow(
                    load.where, HistoryRow.from_change(delivery.change, delivery.redriven_from)
                )
                for delivery in islice(for_history, room)
            ]

    def result(self, *, applied: bool, stream: StreamReading | None = None) -> Redriven:
        """What it has come to."""
        return Redriven(
            applied,
            self.objects,
            self.records,
            tuple(self.done),
            tuple(self.leftovers),
            tuple(self.lost),
            self.counts,
            self.ended,
            stream,
            tuple(self.planned),
        )
