"""The command line as it was given, and command lines that a person is to give next."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime

import click
from click.core import ParameterSource

from itemtrail.options.operation_target import OperationTarget
from stream_core.history_row import time_text


def given_words() -> list[str]:
    """The words behind the program's name."""
    words: list[str] = click.get_current_context().find_root().obj
    return words


def command_text(words: Sequence[str]) -> str:
    """A command line that can be pasted into a shell."""
    return f"itemtrail {shlex.join(words)}"


def with_target(*words: str) -> str:
    """A command line for the same tables, as far as this one names them."""
    return command_text([*words, *_target_words()])


def _target_words() -> Iterator[str]:
    context = click.get_current_context()
    for parameter in context.command.params:
        name = str(parameter.name)
        is_named = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if is_named and name in OperationTarget.__dataclass_fields__:
            value = context.params[name]
            yield parameter.opts[0]
            yield time_text(value) if isinstance(value, datetime) else str(value)
