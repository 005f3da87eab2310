"""Control rows: what a history says of itself, written once and sealed like the rows of items.

They are in the history table under the `Id` `!itemtrail`, which no item has (see `item_id`), with a
sort key that begins with `!`, and have no `TimeBucket`, so that the index `ByTime` does not show
them. The content is in `NewImage`; the digest covers all but itself and `Format`, which is 1 until
rows of items have a second one.

`RunRow` and what is in `announcement` say which changes of the source table were made by this
program: every write is announced by a row of its own, before it is made.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from stream_core.announcement import AnnouncedPortion, OwnWrite
from stream_core.attribute_values import Item, digest
from stream_core.errors import IntegrityError
from stream_core.history_row import DIGEST, SORT_KEY, time_text
from stream_core.sealed_row import UNSEALED, sealed_item

RUN_PREFIX = "!run#"
"""Sort keys of run rows begin so."""
REDRIVE = "redrive"
"""The command of runs that write rows long after their own time."""
REDRIVE_LASTS = timedelta(hours=1)
"""How long after its start what a redrive's run row announces is written, at most."""


@dataclass(frozen=True, slots=True)
class BackfillMark:
    """That a backfill of a whole table was finished.

    What it says: whatever was in the table at `started` has a row in the history. For that, changes
    have to have been recorded since before `started`; its writer sees to it.

    Attributes:
        stream_arn: the stream whose records the history was fed with.
        table_id: the table's own even among tables of one name; empty where the engine gives none.
        started, finished: by the service's clock, UTC.
        method: how the items were read: `scan` or `export`.
        counts: what became of them, by the names of `backfill`.
        run: tells runs apart that were finished at the same moment.
        tool: what wrote it, with its version.
    """

    stream_arn: str
    table_id: str
    started: datetime
    finished: datetime
    method: str
    counts: Mapping[str, int]
    run: str
    tool: str

    @property
    def sort_key(self) -> str:
        """Its place: the marks of a stream in the order in which they were finished."""
        return f"!backfill#{label_of(self.stream_arn)}#{time_text(self.finished)}#{self.run}"

    def to_item(self) -> Item:
        """The item to store."""
        content: Item = {
            **_origin(self.stream_arn, self.table_id),
            "Started": {"S": time_text(self.started)},
            "Finished": {"S": time_text(self.finished)},
            "Method": {"S": self.method},
            "Counts": {"M": {name: {"N": str(count)} for name, count in self.counts.items()}},
            "Run": {"S": self.run},
            "Tool": {"S": self.tool},
        }
        return sealed_item(self.sort_key, self.stream_arn, content)

    @classmethod
    def of_content(cls, stream_arn: str, content: Item) -> "BackfillMark":
        """The mark with such a content."""
        return cls(
            stream_arn,
            content["TableId"]["S"],
            datetime.fromisoformat(content["Started"]["S"]),
            datetime.fromisoformat(content["Finished"]["S"]),
            content["Method"]["S"],
            {name: int(count["N"]) for name, count in content["Counts"]["M"].items()},
            content["Run"]["S"],
            content["Tool"]["S"],
        )


@dataclass(frozen=True, slots=True)
class ProofMark:
    """That the whole stream was held against the history, record by record.

    What it says: every change of the stream that is stamped at or before `until` has a row.

    Attributes:
        stream_arn, table_id: as in `BackfillMark`.
        until: up to when the history is complete, UTC.
        finished: by the service's clock, UTC.
        shards, records: how many were read.
        tool: what wrote it, with its version.
    """

    stream_arn: str
    table_id: str
    until: datetime
    finished: datetime
    shards: int
    records: int
    tool: str

    @property
    def sort_key(self) -> str:
        """Its place, before announced writes: what is read of a history is read with it."""
        moments = f"{time_text(self.until)}#{time_text(self.finished)}"
        return f"!compared#{label_of(self.stream_arn)}#{moments}"

    def to_item(self) -> Item:
        """The item to store."""
        content: Item = {
            **_origin(self.stream_arn, self.table_id),
            "Until": {"S": time_text(self.until)},
            "Finished": {"S": time_text(self.finished)},
            "Shards": {"N": str(self.shards)},
            "Records": {"N": str(self.records)},
            "Tool": {"S": self.tool},
        }
        return sealed_item(self.sort_key, self.stream_arn, content)

    @classmethod
    def of_content(cls, stream_arn: str, content: Item) -> "ProofMark":
        """The mark with such a content."""
        return cls(
            stream_arn,
            content["TableId"]["S"],
            datetime.fromisoformat(content["Until"]["S"]),
            datetime.fromisoformat(content["Finished"]["S"]),
            int(content["Shards"]["N"]),
            int(content["Records"]["N"]),
            content["Tool"]["S"],
        )


@dataclass(frozen=True, slots=True)
class TableLife:
    """Which table a stream belongs to: another one of the same name has another life.

    Attributes:
        stream_arn: the stream.
        table_id: as in `BackfillMark`.
        created_at: when the table was created, UTC.
    """

    stream_arn: str
    table_id: str
    created_at: datetime

    @property
    def sort_key(self) -> str:
        """Its place: a stream has one."""
        return f"!life#{label_of(self.stream_arn)}"

    def to_item(self) -> Item:
        """The item to store."""
        content = {
            **_origin(self.stream_arn, self.table_id),
            "CreatedAt": {"S": time_text(self.created_at)},
        }
        return sealed_item(self.sort_key, self.stream_arn, content)

    @classmethod
    def of_content(cls, stream_arn: str, content: Item) -> "TableLife":
        """The life with such a content."""
        created_at = datetime.fromisoformat(content["CreatedAt"]["S"])
        return cls(stream_arn, content["TableId"]["S"], created_at)


@dataclass(frozen=True, slots=True)
class RunRow:
    """That the plan of a command is being carried out, or was.

    Attributes:
        run: the run's id, made of the plan's digest: the same plan is the same run.
        command: its name.
        arguments: how it was ordered, as JSON text, with its times resolved.
        plan_digest: of the plan file, `sha256:` and hex; empty: there is none.
        who: who started it, as far as that is known.
        tool: what runs it, with its version.
        stream_arn: the stream of the table that is written; without one, the ARN of the table.
        table_id: as in `BackfillMark`.
        started: by the service's clock, UTC; of a redrive by that of its machine.
    """

    run: str
    command: str
    arguments: str
    plan_digest: str
    who: str
    tool: str
    stream_arn: str
    table_id: str
    started: datetime

    @property
    def sort_key(self) -> str:
        """Its place: a run has one."""
        return f"{RUN_PREFIX}{self.run}"

    @property
    def table_arn(self) -> str:
        """The table that is written."""
        return self.stream_arn.partition("/stream/")[0]

    def to_item(self) -> Item:
        """The item to store."""
        content: Item = {
            **_origin(self.stream_arn, self.table_id),
            "Run": {"S": self.run},
            "Command": {"S": self.command},
            "Arguments": {"S": self.arguments},
            "PlanDigest": {"S": self.plan_digest},
            "Who": {"S": self.who},
            "Tool": {"S": self.tool},
            "Started": {"S": time_text(self.started)},
        }
        return sealed_item(self.sort_key, self.stream_arn, content)

    @classmethod
    def of_content(cls, stream_arn: str, content: Item) -> "RunRow":
        """The run with such a content."""
        return cls(
            content["Run"]["S"],
            content["Command"]["S"],
            content["Arguments"]["S"],
            content["PlanDigest"]["S"],
            content["Who"]["S"],
            content["Tool"]["S"],
            stream_arn,
            content["TableId"]["S"],
            datetime.fromisoformat(content["Started"]["S"]),
        )


ControlRow: TypeAlias = BackfillMark | ProofMark | TableLife | RunRow | OwnWrite | AnnouncedPortion
_KINDS: Mapping[str, type[ControlRow]] = {
    "!backfill": BackfillMark,
    "!compared": ProofMark,
    "!life": TableLife,
    "!own": OwnWrite,
    "!portion": AnnouncedPortion,
    "!run": RunRow,
}


def read_control_row(item: Item) -> ControlRow | None:
    """What a control row says, its digest checked; None: it is of a kind that is not known here.

    Raises:
        IntegrityError: it is not what was written.
    """
    sort_key = item[SORT_KEY]["S"]
    sealed = {name: value for name, value in item.items() if name not in UNSEALED}
    if item.get(DIGEST) != {"B": digest(sealed)}:
        raise IntegrityError(f"digest mismatch in the control row {sort_key}")
    kind = _KINDS.get(sort_key.partition("#")[0])
    if kind is None:
        return None
    try:
        row = kind.of_content(item["EventSourceARN"]["S"], item["NewImage"]["M"])
        if row.to_item() != item:
            raise IntegrityError(f"the control row {sort_key} is not where its content says")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        reason = f"no control row {sort_key}: {type(error).__name__} {error}"
        raise IntegrityError(reason) from error
    return row


def intact_control_rows(items: Iterable[Item]) -> list[ControlRow]:
    """Those control rows that are what was written, and of a kind that is known here.

    One that was altered vouches for nothing.
    """
    rows: list[ControlRow] = []
    for item in items:
        with suppress(IntegrityError):
            row = read_control_row(item)
            rows += [] if row is None else [row]
    return rows


def label_of(stream_arn: str) -> str:
    """The label that a stream has among those of its table, in its ARN; empty: it is no stream."""
    return stream_arn.partition("/stream/")[2]


def _origin(stream_arn: str, table_id: str) -> Item:
    return {
        "SourceArn": {"S": stream_arn.partition("/stream/")[0]},
        "StreamLabel": {"S": label_of(stream_arn)},
        "TableId": {"S": table_id},
    }
