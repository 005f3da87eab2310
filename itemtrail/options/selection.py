"""The options of `changes` that say which changes are asked for."""

import functools
from collections.abc import Callable
from typing import Any

import click

from itemtrail.options.kinds import PathType
from itemtrail.options.target import Command, actor_attribute_option
from reports.states.selection import Selection
from stream_core.change import EventName

# Who makes an expiry, by `userIdentity`: the one actor that a stream names itself.
_TTL = "dynamodb.amazonaws.com"
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--event",
        "events",
        multiple=True,
        type=click.Choice([event.value for event in EventName], case_sensitive=False),
        help="Only this kind of change; may be repeated. A baseline (SNAPSHOT) is none.",
    ),
    click.option(
        "--attribute",
        type=PathType(),
        help="Only changes of the value at this path, e.g. status or lines[0].price.",
    ),
    click.option(
        "--from", "old", metavar="VALUE", help="With --attribute: only from this value, e.g. open."
    ),
    click.option("--to", "new", metavar="VALUE", help="With --attribute: only to this value."),
    click.option(
        "--actor",
        metavar="NAME",
        help="Only changes by this one: with --actor-attribute a name found there, or "
        "dynamodb.amazonaws.com for an expiry by TTL.",
    ),
    actor_attribute_option,
)


def selection_options(command: Command) -> Command:
    """Add the options that choose among changes; they arrive as `where`."""

    @functools.wraps(command)
    def with_selection(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in ("old", "new", "attribute", "actor")}
        if chosen["attribute"] is None and (chosen["old"], chosen["new"]) != (None, None):
            raise click.UsageError(
                "--from and --to are values of --attribute, which is not given; times are --since "
                "and --until",
                click.get_current_context(),
            )
        if chosen["actor"] not in (None, _TTL) and values["actor_attribute"] is None:
            raise click.UsageError(
                "--actor looks for a name in --actor-attribute, which is not given; without it "
                f"only {_TTL} is known, for expiries by TTL",
                click.get_current_context(),
            )
        events = frozenset(map(EventName, values.pop("events")))
        actor_attribute = values.pop("actor_attribute")
        selection = Selection(events, actor_attribute=actor_attribute, **chosen)
        return command(where=selection, **values)

    wrapped: Any = with_selection
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]
