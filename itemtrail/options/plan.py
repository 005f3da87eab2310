"""Options of the commands that show a plan, and write once it is approved."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from itemtrail.options.kinds import PathType
from itemtrail.options.operation_target import OperationTarget, apply_option, rate_option
from itemtrail.options.target import Command, output_option
from itemtrail.output.answer import chosen_form
from itemtrail.output.approval import Approval
from operations.execution.plan_file import ATOMIC
from reports.inputs.paths import path_text
from stream_core.history_row import time_text

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
_ATOMIC = click.option(
    f"--{ATOMIC}",
    is_flag=True,
    help="Write all items in one transaction, or none of them where one is in conflict: at most "
    "100, of 4 MB together.",
)
_DELETES = click.option(
    "--deletes",
    metavar="REPLICA",
    help="Delete items from this replica, however many, and do not ask for its name.",
)
_PLAN_PATH = click.Path(dir_okay=False, path_type=Path)
_PLAN_FILE = (
    click.option(
        "--plan-out",
        metavar="FILE",
        type=_PLAN_PATH,
        help="Keep the plan in this file, to be looked at and carried out with --plan. It holds "
        "item data.",
    ),
    click.option(
        "--plan",
        "plan_file",
        metavar="FILE",
        type=_PLAN_PATH,
        is_eager=True,
        help="With --show or --apply: the plan in this file, and nothing else.",
    ),
    click.option("--show", is_flag=True, help="With --plan: show it."),
    click.option(
        "--approve",
        metavar="DIGEST",
        help="With --plan: only if this is its digest (sha256:…), and without a question, which a "
        "terminal asks else.",
    ),
)
_JOIN = click.option(
    "--join",
    "joins",
    is_flag=True,
    help="With --plan --apply: go on with it also where somebody else has begun to.",
)
_APPROVALS = {"yes": _YES, "most": _MOST, "deletes": _DELETES}
# What says how, and not what; the plan says what.
_ABOUT_A_PLAN = {"plan_file", "show", "apply", "approve", "joins", "is_each", *_APPROVALS}
_ABOUT_A_RUN = {"rate", "state_path", "output", "tz"}
_BESIDE_A_PLAN = {*_ABOUT_A_PLAN, *_ABOUT_A_RUN, *OperationTarget.__dataclass_fields__}


@dataclass(frozen=True)
class PlanChoice:
    """What is to become of a plan, and in which form that is told.

    Attributes:
        apply: carry it out; else it is shown.
        approval: what is approved on the command line.
        form: of the answer.
        rate: how many items a second at most; None: as many as it can.
        is_each: list every item, also where the same is done to many.
        plan_out: where to keep it.
        plan_file: the plan that was kept, which is then what the command is about.
        digest: what the digest of that has to be; None: it does not matter.
        joins: go on with it also where somebody else has begun to.
    """

    apply: bool
    approval: Approval
    form: str
    rate: float | None
    is_each: bool = False
    plan_out: Path | None = None
    plan_file: Path | None = None
    digest: str | None = None
    joins: bool = False


def plan_options(
    *brakes: str, has_items: bool = True, has_run: bool = False
) -> Callable[[Command], Command]:
    """Add `--apply`, the options about a plan, `--rate` and `--output`; they arrive as `plan`.

    Args:
        brakes: which of `most` and `deletes` there is beside `yes`.
        has_items: whether a plan has a line an item.
        has_run: whether to carry it out is a run, which somebody else may have begun.
    """
    names = ("yes", *brakes)
    options = [
        *([_EACH_ITEM] if has_items else []),
        rate_option,
        apply_option,
        *(_APPROVALS[name] for name in _APPROVALS if name in names),
        *_PLAN_FILE,
        *([_JOIN] if has_run else []),
    ]

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def with_plan(**values: Any) -> Any:
            plan = PlanChoice(
                values.pop("apply"),
                Approval(**{name: values.pop(name) for name in names}),
                chosen_form(values.pop("output")),
                values.pop("rate"),
                values.pop("is_each", False),
                values.pop("plan_out"),
                values.pop("plan_file"),
                values.pop("approve"),
                values.pop("joins", False),
            )
            _require_sense(plan, is_shown=values.pop("show"))
            return command(plan=plan, **values)

        wrapped: Any = output_option(with_plan)
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[no-any-return]

    return add


def yes_option(command: Command) -> Command:
    """Add the option that answers the question beforehand, where there is no plan; `yes`."""
    return _YES(command)


def atomic_option(command: Command) -> Command:
    """Add the option that has all items written together; it arrives as `atomic`."""
    return _ATOMIC(command)


def resolved_arguments() -> dict[str, Any]:
    """What the command line asks for, as a plan keeps it: every relative time resolved."""
    return {
        str(parameter.name): _resolved(value, parameter)
        for parameter, value in _what()
        if parameter.name != "plan_out"
    }


def _what() -> Iterator[tuple[click.Parameter, Any]]:
    """What the command line says of what is to be done, and not of how."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = str(parameter.name)
        is_named = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        # A KEY that is not there is one of no words.
        if is_named and name not in _BESIDE_A_PLAN and context.params.get(name) != ():
            yield parameter, context.params.get(name)


def _resolved(value: Any, parameter: click.Parameter) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(parameter.type, PathType):
        return list(map(path_text, value)) if parameter.multiple else path_text(value)
    if isinstance(value, Mapping):
        return {path_text(path): member for path, member in value.items()}
    if isinstance(parameter.type, click.File):
        return value.name
    return list(value) if isinstance(value, tuple) else value


def _require_sense(plan: PlanChoice, *, is_shown: bool) -> None:
    context = click.get_current_context()
    if plan.plan_file is None:
        beside = {"--show": is_shown, "--approve": plan.digest is not None, "--join": plan.joins}
        for option, is_given in beside.items():
            if is_given:
                raise click.UsageError(f"{option} is for --plan FILE", context)
        return
    if is_shown == plan.apply:
        raise click.UsageError(
            "--plan FILE is to be shown or carried out: give just one of --show and --apply",
            context,
        )
    for parameter, _ in _what():
        raise click.UsageError(
            f"{parameter.get_error_hint(context)} is in the plan, or is not: leave it out beside "
            "--plan",
            context,
        )
