"""Keys as people give them: on the command line, or a file of them."""

import functools
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

import click

from itemtrail.options.target import Command, key_argument
from reports.errors import KeyShapeError, ReportError
from reports.inputs.keys import KeySchema
from stream_core.attribute_values import Item

_NUMBER = re.compile(r"-\.?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)


class KeyedCommand(click.Command):
    """A command about a KEY, which may be a number below zero: `-5` is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words after the command, numbers below zero as if they stood after `--`."""
        words, behind = self._parted(args)
        try:
            return super().parse_args(ctx, [*words, "--", *behind])
        except click.NoSuchOption as error:
            if error.option_name.startswith("--"):
                raise
            raise click.UsageError(
                f"no such option: {error.option_name}; a KEY that begins with - goes behind --, as "
                f"in {ctx.command_path} -- -x",
                ctx,
            ) from None

    def _parted(self, args: list[str]) -> tuple[list[str], list[str]]:
        """What may hold options, and what is none: numbers below zero, and all behind `--`."""
        values = {
            name: option.nargs
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        words: list[str] = []
        numbers: list[str] = []
        arriving = iter(args)
        for word in arriving:
            if word == "--":
                break
            (numbers if _NUMBER.fullmatch(word) else words).append(word)
            words.extend(islice(arriving, values.get(word, 0)))
        return words, [*numbers, *arriving]


@dataclass(frozen=True)
class GivenKeys:
    """The keys of items, as the command line gives them; false where it gives none.

    Attributes:
        key: the words of one key.
        file: lines with a key each.
    """

    key: tuple[str, ...] = ()
    file: TextIO | None = None

    def __bool__(self) -> bool:
        return bool(self.key or self.file)

    def read(self, schema: KeySchema) -> list[Item] | None:
        """The keys, None where none are given.

        Raises:
            KeyShapeError: something is no key of the table.
            ReportError: the file is no list of keys.
        """
        if self.key:
            return [schema.key_of_text(self.key)]
        return None if self.file is None else _keys_in(self.file, schema)


def keys_options(command: Command) -> Command:
    """Add KEY, and the option that names a file of keys; they arrive as `keys`."""

    @functools.wraps(command)
    def with_keys(key: tuple[str, ...], keys_file: TextIO | None, **values: Any) -> Any:
        if key and keys_file:
            context = click.get_current_context()
            raise click.UsageError("use just one of KEY and --keys-file", context)
        return command(keys=GivenKeys(key, keys_file), **values)

    option = click.option(
        "--keys-file",
        type=click.File(encoding="utf-8-sig"),
        help="The items whose keys are in this file, a key a line, as on the command line or as "
        "JSON; - is standard input.",
    )
    return key_argument(required=False)(option(with_keys))  # type: ignore[return-value]


def _keys_in(file: TextIO, schema: KeySchema) -> list[Item]:
    try:
        lines = [line.rstrip("\r\n") for line in file]
    except UnicodeDecodeError:
        raise ReportError(f"{file.name} is not text in UTF-8: write a key a line") from None
    keys = [
        _key_of_line(schema, line, f"{file.name} line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not keys:
        # Looking at nothing would find nothing wrong.
        raise ReportError(f"there is no key in {file.name}: write a key a line")
    return keys


def _key_of_line(schema: KeySchema, line: str, place: str) -> Item:
    try:
        return schema.key_of_line(line)
    except KeyShapeError as error:
        raise KeyShapeError(f"{place}: {error}") from None
