"""The options of `restore --into`: which table is made, of which items."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from itemtrail.options.kinds import PathType
from itemtrail.options.target import Command
from reports.errors import ReportError
from reports.inputs.keys import KeySchema
from reports.inputs.paths import Path
from reports.states.item_conditions import ItemCondition, Operator
from stream_core.environment import TABLE_NAME

_OPERATORS = [operator.value for operator in Operator]


_THREE_WORDS = "write three words, PATH OP VALUE, e.g. --where status = open"


def _conditions(
    context: click.Context, option: click.Parameter, values: tuple[tuple[Path, str, str], ...]
) -> tuple[ItemCondition, ...]:
    try:
        return tuple(_condition(*words) for words in values)
    except ReportError as error:
        raise click.BadParameter(str(error), context, option) from None


def _condition(path: Path, word: str, value: str) -> ItemCondition:
    if word not in _OPERATORS:
        raise ReportError(
            f"'{word}' is no OP, which is one of {' '.join(_OPERATORS)}: {_THREE_WORDS}"
        )
    # A word too few, and the next option is taken for one.
    if value.startswith("--"):
        raise ReportError(f'\'{value}\' is an option: {_THREE_WORDS}; or {{"S": "{value}"}}')
    return ItemCondition(path, Operator(word), value)


def _new_table(context: click.Context, option: click.Parameter, name: str | None) -> str | None:
    if name is not None and not TABLE_NAME.fullmatch(name):
        raise click.BadParameter(
            f"'{name}' is no name of a table: 3 to 255 letters, digits, and _ - .", context, option
        )
    return name


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--into",
        "new_table",
        metavar="TABLE",
        callback=_new_table,
        help="Restore the whole table, or a selection of it, into this new one, set up as the "
        "source is; the source is only read.",
    ),
    click.option(
        "--where",
        "conditions",
        metavar="PATH OP VALUE",
        type=(PathType(), str, str),
        multiple=True,
        callback=_conditions,
        help="With --into: only items of which this was true, e.g. --where status = open; may be "
        f"repeated. OP is one of {' '.join(_OPERATORS)}, the signs < and > in quotes.",
    ),
    click.option(
        "--key-prefix",
        "prefixes",
        metavar="TEXT",
        multiple=True,
        help="With --into: only items whose partition key begins so; may be repeated, for items "
        "that begin with any of these.",
    ),
    click.option(
        "--ttl",
        "with_ttl",
        is_flag=True,
        help="With --into: have items expire as the source's do, once all are there; without it "
        "none expires.",
    ),
    click.option(
        "--key-attribute",
        "key_attributes",
        metavar="NAME:TYPE",
        multiple=True,
        help="With --into, where the source is gone: its key, e.g. Id:N; the partition key first.",
    ),
)


@dataclass(frozen=True)
class TableChoice:
    """Which table to make, and of which items.

    Attributes:
        conditions: what was true of them.
        prefixes: what their partition key begins with.
        with_ttl: have them expire.
        key_schema: the key of a source that is gone.
        allows_uncertain: restore also what is not certain to have been so.
    """

    new_table: str
    conditions: tuple[ItemCondition, ...] = ()
    prefixes: tuple[str, ...] = ()
    with_ttl: bool = False
    key_schema: KeySchema | None = None
    allows_uncertain: bool = False


def table_options(command: Command) -> Command:
    """Add `--into` and what goes with it; they arrive as `into`, None where it is not given."""

    @functools.wraps(command)
    def with_table(**values: Any) -> Any:
        new_table = values.pop("new_table")
        with_it = {
            name: values.pop(name)
            for name in ("conditions", "prefixes", "with_ttl", "key_attributes")
        }
        if new_table is None:
            _require_none(with_it)
            return command(into=None, **values)
        with_it["key_schema"] = _schema(with_it.pop("key_attributes"))
        return command(into=TableChoice(new_table, **with_it), **values)

    wrapped: Any = with_table
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _require_none(with_it: dict[str, Any]) -> None:
    context = click.get_current_context()
    for parameter in context.command.params:
        if with_it.get(str(parameter.name)):
            raise click.UsageError(f"{parameter.opts[0]} is for --into", context)


def _schema(attributes: tuple[str, ...]) -> KeySchema | None:
    if not attributes:
        return None
    types = dict(attribute.rpartition(":")[::2] for attribute in attributes)
    if "" in types or not set(types.values()) <= {"S", "N", "B"} or len(types) > 2:  # noqa: PLR2004
        raise click.UsageError(
            f"'{' '.join(attributes)}' is no key: write e.g. --key-attribute Id:N, and a second "
            "one for the sort key; types are S, N and B",
            click.get_current_context(),
        )
    return KeySchema(types)
