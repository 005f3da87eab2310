"""Whether the history, the stream and the tables are those that belong together.

Asked before anything is written: a table named by mistake would else get another table's past, and
a source that lost its items, or is another table under the old name, would have its replica follow.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.execution.request import answer_to
from reports.access.table_description import TableDescription, describe
from reports.states.provenance import CLOCK_TOLERANCE, Provenance
from stream_core.attribute_values import Item
from stream_core.control_row import label_of
from stream_core.history_row import ID, SORT_KEY
from stream_core.item_id import CONTROL_ID

_SOME_ROWS = 100
_ARN = "EventSourceARN"
# So many deletes are ordinary, and so large a share of a table is not.
_FEW_DELETES, _GREAT_SHARE = 100, 0.1


def require_followed(deployment: DeployedTables, pace: Pace) -> TableDescription:
    """See that a source is the table that its stack follows, and that its history is of.

    Args:
        deployment: names them.
        pace: how long each request is tried.

    Returns:
        The source table as it is.

    Raises:
        RefusedError: the stack reads another stream than the table has now, or most of the rows
            that a scan of the history meets first are of another table.
        TableNotFoundError: there is no such table.
    """
    name = deployment.source_table
    source = describe(deployment.dynamodb, name, lambda ask: answer_to(ask, pace.patience(), name))
    if deployment.stream_arn is not None:
        _require_stream(deployment.stack or "", deployment.stream_arn, source)
    require_history_of(deployment, source, pace)
    return source


def require_history_of(deployment: DeployedTables, source: TableDescription, pace: Pace) -> None:
    """See that a history, where one is named, is a table's own, however it is followed now.

    Raises:
        RefusedError: most of the rows that a scan meets first are of another table.
    """
    arns = Counter(row[_ARN]["S"] for row in _some_rows(deployment, pace))
    followed = Provenance(source.arn or source.name)
    foreign = Counter({arn: n for arn, n in arns.items() if not followed.is_followed(arn)})
    # A few may have been put there by mistake, for ever; each is told where it matters.
    if foreign.total() > arns.total() / 2:
        ((arn, _),) = foreign.most_common(1)
        table = arn.partition("/stream/")[0]
        raise RefusedError(
            f"the history '{deployment.history_table}' is of {table}, not of {followed.table}: "
            "name the table that it is of, or that table's own history"
        )


@dataclass(frozen=True)
class DeleteBrake:
    """How many items may be deleted from a replica for no longer being in its source.

    Attributes:
        replica: the replica's name.
        items: about how many items it has.
        doubt: why the source may not be what the replica is a copy of; empty: it is.
        is_lifted: whether somebody named the replica, to have its items deleted all the same.
    """

    replica: str
    items: int
    doubt: str = ""
    is_lifted: bool = False

    @classmethod
    def on(
        cls,
        deployment: DeployedTables,
        source: TableDescription,
        replica: TableDescription,
        deletes: str | None,
        pace: Pace,
    ) -> "DeleteBrake":
        """The brake for a source and its replica as they are.

        Args:
            deployment: both, and the history that may know the source.
            source: the source.
            replica: the replica.
            deletes: the name of the replica, given to have its items deleted.
            pace: how long each request is tried.

        Raises:
            RefusedError: another table's name is given.
        """
        if deletes is not None and deletes != replica.name:
            raise RefusedError(
                f"items would be deleted from '{replica.name}', and '{deletes}' is named for it: "
                "name the replica, or leave it out"
            )
        doubt = "" if deletes else _doubt(deployment, source, pace)
        return cls(replica.name, replica.items or 0, doubt, deletes is not None)

    def refusal(self, deletes: int) -> str | None:
        """Why so many items may not be deleted; None: they may."""
        if self.is_lifted or not deletes:
            return None
        if not self.doubt and (deletes <= _FEW_DELETES or deletes <= _GREAT_SHARE * self.items):
            return None
        of_all = f" of about {self.items:,}" if self.items else ""
        why = "that is more than a tenth: they"
        if self.doubt:
            why = (
                f"{self.doubt}: the replica may be all that is left, so bring the items back; they"
            )
        return (
            f"{deletes:,}{of_all} items would be deleted from the replica '{self.replica}', and "
            f"{why} are deleted only where the replica is named for it (--deletes {self.replica})"
        )

    def require(self, deletes: int) -> None:
        """See that so many items may be deleted.

        Raises:
            RefusedError: they may not.
        """
        if (refusal := self.refusal(deletes)) is not None:
            raise RefusedError(refusal)


def _require_stream(stack: str, followed: str, source: TableDescription) -> None:
    if source.has_stream and source.stream_arn == followed:
        return
    now = "is off" if not source.has_stream else f"is {label_of(source.stream_arn or '')}"
    raise RefusedError(
        f"stack '{stack}' follows the stream {label_of(followed)} of '{source.name}', and the "
        f"table's stream {now}: it was switched, or the table made anew. Deploy the stack with the "
        "stream that the table has now (SourceStreamArn)"
    )


def _doubt(deployment: DeployedTables, source: TableDescription, pace: Pace) -> str:
    """Why a source may not be what its replica is a copy of; empty: nothing speaks against it."""
    if _is_made_anew(deployment, source, pace):
        return f"the source '{source.name}' is not the table that its history is of, but made anew"
    scan = partial(deployment.dynamodb.scan, TableName=source.name, Limit=1, ConsistentRead=True)
    has_any = answer_to(scan, pace.patience(), source.name)["Items"]
    return "" if has_any else f"the source '{source.name}' is empty"


def _is_made_anew(deployment: DeployedTables, source: TableDescription, pace: Pace) -> bool:
    if deployment.history_table is None:
        return False
    lives = deployment.reader.lives
    known = {life.table_id for life in lives.tables.values()}
    known |= {mark.table_id for mark in lives.marks.values()}
    known -= {""}
    if known and source.table_id:
        return source.table_id not in known
    rows = _some_rows(deployment, pace)
    stamps = [row[SORT_KEY]["S"] for row in rows if row[ID] != {"S": CONTROL_ID}]
    return bool(stamps) and all(_is_before(stamp, source.created_at) for stamp in stamps)


def _is_before(sort_key: str, created_at: datetime) -> bool:
    try:
        stamp = datetime.fromisoformat(sort_key.partition("#")[0])
    except ValueError:
        # No row of ours: it shows nothing.
        return False
    return stamp.replace(tzinfo=stamp.tzinfo or UTC) < created_at - CLOCK_TOLERANCE


def _some_rows(deployment: DeployedTables, pace: Pace) -> list[Item]:
    """Place and origin of the rows that a scan of the history, if there is one, meets first.

    They may all be control rows, after a large run: these name the table too.
    """
    history = deployment.history_table
    if history is None:
        return []
    names = {"#n0": ID, "#n1": SORT_KEY, "#n2": _ARN}
    request: dict[str, Any] = {
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
        "ConsistentRead": True,
    }
    scan = partial(deployment.dynamodb.scan, TableName=history, Limit=_SOME_ROWS, **request)
    page = answer_to(scan, pace.patience(), history)
    return [row for row in page["Items"] if _ARN in row]
