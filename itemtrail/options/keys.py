"""Keys as people give them: on the command line, or a file of them."""

import re
from itertools import islice
from typing import TextIO

import click

from itemtrail.options.target import Command
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


def keys_file_option(command: Command) -> Command:
    """Add the option that names a file of keys; it arrives as `keys_file`."""
    return click.option(
        "--keys-file",
        type=click.File(encoding="utf-8-sig"),
        help="The items whose keys are in this file, a key a line, as on the command line or as "
        "JSON; - is standard input.",
    )(command)


def require_one_way(key: tuple[str, ...], keys_file: TextIO | None) -> None:
    """Refuse keys in both places.

    Raises:
        UsageError: they are.
    """
    if key and keys_file:
        raise click.UsageError("use just one of KEY and --keys-file", click.get_current_context())


def given_keys(
    schema: KeySchema, key: tuple[str, ...], keys_file: TextIO | None
) -> list[Item] | None:
    """The keys given, None where none are.

    Raises:
        KeyShapeError: something is no key of the table.
        ReportError: the file is no list of keys.
    """
    if key:
        return [schema.key_of_text(key)]
    return None if keys_file is None else _keys_in(keys_file, schema)


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
