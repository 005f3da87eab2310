"""Options of the commands that show a plan, and write once it is approved."""

import functools
from collections.abc import Callable
from typing import Any

import click

from itemtrail.options.operation_target import apply_option
from itemtrail.options.target import Command
from itemtrail.output.approval import Approval

_YES = click.option("--yes", is_flag=True, help="With --apply: do not ask, as in a script.")
_MOST = click.option(
    "--most",
    metavar="N",
    type=click.IntRange(min=0),
    help="With --apply: change so many items at most without asking for the table's name; 100, or "
    "1 % of the table if that is more, by default.",
)
_EACH_ITEM = click.option(
    "--each",
    "is_each",
    is_flag=True,
    help="List every item, also where the same is done to many.",
)
_DELETES = click.option(
    "--deletes",
    metavar="REPLICA",
    help="Delete items from this replica, and do not ask for its name.",
)


def approval_options(*parts: str) -> Callable[[Command], Command]:
    """Add `--apply` and the options that say what is approved; they arrive as `approval`.

    Args:
        parts: which of `most` and `deletes` there is beside `yes`.
    """
    options = [_YES, *(option for name, option in _BRAKES.items() if name in parts)]

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def with_approval(yes: bool, **values: Any) -> Any:  # noqa: FBT001 - click names it
            brakes = {name: values.pop(name) for name in parts}
            return command(approval=Approval(yes, **brakes), **values)

        wrapped: Any = with_approval
        for option in reversed(options):
            wrapped = option(wrapped)
        return apply_option(wrapped)  # type: ignore[no-any-return]

    return add


def each_option(command: Command) -> Command:
    """Add the option that lists what is shown as one line otherwise; it arrives as `is_each`."""
    return _EACH_ITEM(command)


_BRAKES = {"most": _MOST, "deletes": _DELETES}
