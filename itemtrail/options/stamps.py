"""The options that say what is written beside what is taken back, and by whom."""

from collections.abc import Mapping
from typing import Any

import click

from itemtrail.options.target import Command
from operations.execution.operator_name import operator_name
from operations.recovery.stamps import Stamps, is_stamped
from reports.errors import PathFormatError, ReportError
from reports.inputs.keys import KeySchema
from reports.inputs.paths import Path, path_text, read_path
from reports.inputs.values import read_value
from stream_core.attribute_values import AttributeValue


class StampType(click.ParamType):
    """PATH=VALUE on the command line."""

    name = "path=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Path, AttributeValue]:
        """Read it, or say how it should look."""
        # A name in quotes may hold the sign itself.
        ends = [place for place, sign in enumerate(value) if sign == "="]
        for end in ends:
            try:
                path = read_path(value[:end])
            except PathFormatError:
                continue
            if any(isinstance(step, int) for step in path):
                self.fail(f"'{value}' is within a list: name a place in maps", param, ctx)
            try:
                return path, read_value(value[end + 1 :])
            except ReportError as error:
                self.fail(str(error), param, ctx)
        return self.fail(f"'{value}' is not PATH=VALUE: write e.g. updated_by=ada", param, ctx)


def set_option(command: Command) -> Command:
    """Add the option that names what is written beside; it arrives as `stamps`."""
    return click.option(
        "--set",
        "stamps",
        metavar="PATH=VALUE",
        type=StampType(),
        multiple=True,
        callback=lambda _context, _option, stamps: _distinct(stamps),
        help="Write this too, to every item that is changed or put back, e.g. updated_by=ada; may "
        "be repeated. A JSON number, true, false and null are that, all else is text.",
    )(command)


def by_option(command: Command) -> Command:
    """Add the option that says who is at work."""
    return click.option(
        "--by",
        metavar="NAME",
        default=operator_name,
        help="With --actor-attribute: who undoes, which is written there; you by default.",
    )(command)


def require_no_key(stamps: Stamps, schema: KeySchema) -> None:
    """Refuse to write a key.

    Raises:
        UsageError: a value is to be written to an attribute of the key.
    """
    for path in stamps:
        if path[0] in schema.types:
            raise click.UsageError(
                f"{path_text(path)} is in the table's key, which no write can change",
                click.get_current_context(),
            )


def _distinct(stamps: tuple[tuple[Path, AttributeValue], ...]) -> Mapping[Path, AttributeValue]:
    paths: list[Path] = []
    for path, _ in stamps:
        if is_stamped(path, paths) or any(is_stamped(other, [path]) for other in paths):
            raise click.UsageError(
                f"--set writes {path_text(path)} twice: leave one out", click.get_current_context()
            )
        paths.append(path)
    return dict(stamps)
