"""A plan is shown, and approved, before anything of it is written."""

import errno
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from select import select
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from itemtrail.output.terminal import draw
from itemtrail.tables.cells import count_of
from operations.errors import RefusedError
from reports.unseen import visible

# So many items are changed without the table's name, or this share of the table if that is more.
_MOST_ITEMS, _ONE_IN = 100, 100
_NOTHING = "nothing was written"
_GLANCE_S = 0.2


@dataclass(frozen=True)
class Stakes:
    """What a plan would do to a table.

    Attributes:
        table: the table that is written.
        text: what will be done to it, as a sentence without its end.
        changes: how many of its items are changed or deleted; nothing of a table that is filled.
        deletes: of these, how many are deleted.
        named_deletes: whether a delete needs the table's name: it is a replica, which may be all
            that is left.
        size: about how many items the table has; asked only where it matters.
    """

    table: str
    text: str
    changes: int = 0
    deletes: int = 0
    named_deletes: bool = False
    size: Callable[[], int | None] = lambda: None

    @classmethod
    def of_items(cls, table: str, writes: int, deletes: int, **more: Any) -> "Stakes":
        """The stakes of writing some items of a table, and of deleting others."""
        parts = [
            f"{count_of(number, 'item')} would be {what}"
            for number, what in ((writes, "written"), (deletes, "deleted"))
            if number
        ]
        text = f"{' and '.join(parts)} in {table}" if parts else ""
        return cls(table, text, writes + deletes, deletes, **more)


@dataclass(frozen=True)
class Approval:
    """What was approved on the command line.

    Attributes:
        yes: a plan, without a question.
        most: a plan that changes so many items, without the table's name.
        deletes: the name of a table from which items may be deleted.
    """

    yes: bool = False
    most: int | None = None
    deletes: str | None = None


def require_approval(
    blocks: Iterable[RenderableType], form: str, stakes: Stakes, approval: Approval
) -> None:
    """Show a plan, and return only if it is approved, on the command line or at a terminal.

    Args:
        blocks: the plan; beside an answer for programs it is drawn on stderr.
        form: of the answer.
        stakes: what the plan would do; without a text it is nothing, and nobody is asked.
        approval: what the command line says.

    Raises:
        RefusedError: it is not approved.
        OSError: nobody reads the plan, so that nobody has seen what would be done.
        KeyboardInterrupt: the person pressed Ctrl-C, and was told that nothing was written.
    """
    if not stakes.text:
        return
    try:
        # Not in a pager: the question would be asked when the plan is out of sight.
        draw(blocks, sys.stdout if form == "table" else sys.stderr)
        _require(stakes, approval)
    except BrokenPipeError:
        why = f"its reader left before the end of the plan; {_NOTHING}"
        raise OSError(errno.EIO, why) from None
    except KeyboardInterrupt:
        click.echo(f"\n{_NOTHING}", err=True)
        raise


def can_ask() -> bool:
    """Whether there is a person; a question that goes into a file is asked of nobody."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _require(stakes: Stakes, approval: Approval) -> None:
    brake = _brake(stakes, approval)
    if can_ask():
        if brake is not None:
            _ask(f"{stakes.text}: {brake.why}.", stakes.table)
        elif not approval.yes:
            _ask(f"{stakes.text}.", "yes")
        return
    if brake is not None:
        raise RefusedError(
            f"{stakes.text}: {brake.why}; {_NOTHING}. If that is meant, give {brake.option}"
        )
    if not approval.yes:
        raise RefusedError(
            f"{stakes.text}; {_NOTHING}: without a terminal --apply needs --yes, or a plan "
            "that was kept and looked at (--plan FILE)"
        )


@dataclass(frozen=True)
class _Brake:
    """Why a plan needs more than a yes, and the option that says the same."""

    why: str
    option: str


def _brake(stakes: Stakes, approval: Approval) -> _Brake | None:
    if stakes.named_deletes and stakes.deletes and approval.deletes != stakes.table:
        why = f"deletes from the replica {stakes.table} need its name"
        return _Brake(why, f"--deletes {stakes.table}")
    if stakes.changes <= (_MOST_ITEMS if approval.most is None else approval.most):
        return None
    most, meaning = _most(stakes, approval)
    if stakes.changes <= most:
        return None
    return _Brake(f"that is more than {most:,}{meaning}", f"--most {stakes.changes}")


def _most(stakes: Stakes, approval: Approval) -> tuple[int, str]:
    """How many changes need no name, and where that is from if it is not always so."""
    if approval.most is not None:
        return approval.most, " (--most)"
    share = (stakes.size() or 0) // _ONE_IN
    return (share, " (1 % of the table)") if share > _MOST_ITEMS else (_MOST_ITEMS, "")


def _ask(stakes: str, expected: str) -> None:
    # By words, and what is to be typed in a line of its own: a terminal breaks within them.
    draw([Text(visible(stakes))], sys.stderr)
    click.echo(visible(f"Type {expected} to go on: "), err=True, nl=False)
    # A Ctrl-C of just before Python waits for a line it would see only after that line.
    while not select([sys.stdin], [], [], _GLANCE_S)[0]:
        pass
    answer = sys.stdin.readline()
    if answer.strip() != expected:
        if not answer.endswith("\n"):
            click.echo(err=True)
        raise RefusedError(f"{_NOTHING}: the answer was not {expected}")
