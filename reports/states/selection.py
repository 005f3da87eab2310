"""Which changes are asked for. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from reports.errors import ReportError
from reports.inputs.paths import Path, as_path, value_at
from reports.inputs.values import wire_value
from reports.states.actor import actor_of
from reports.states.global_tables import is_replication_only
from reports.states.row_states import state_before
from stream_core.attribute_values import AttributeValue, canonical_number, same_value
from stream_core.change import EventName
from stream_core.errors import MalformedRecordError
from stream_core.history_row import HistoryRow

_CHANGES = frozenset({EventName.INSERT, EventName.MODIFY, EventName.REMOVE})
_Test: TypeAlias = Callable[[AttributeValue | None], bool]


@dataclass(frozen=True)
class Selection:
    """What must be true of a change; all of it, where several things are given.

    A change of nothing but a global table's own attributes (`aws:rep:*`) is no change, unless such
    an attribute is asked for.

    A value is given as text or as a wire value. Text fits an `S` that equals it, an `N` of the
    same number, a `BOOL` spelled `true` or `false`, a `NULL` spelled `null`. A wire value, or its
    JSON text (`{"N": "1"}`), fits an equal value of its own type only.

    Attributes:
        event_names: only these; empty: every change. A `SNAPSHOT` records no change, so it has to
            be asked for by name.
        attribute: only changes in which the value at this path came, went or became another; a
            path is text (`address.city`) or its steps.
        old: the value there before; needs `attribute`.
        new: the value there after; needs `attribute`.
        actor: only changes made by this one; see `actor.actor_of`.
        actor_attribute: the path of the attribute in which writers leave their name.

    Raises:
        ReportError: a value is given without its attribute, or is no value.
    """

    event_names: frozenset[EventName] = frozenset()
    attribute: Path | str | None = None
    old: str | Mapping[str, Any] | None = None
    new: str | Mapping[str, Any] | None = None
    actor: str | None = None
    actor_attribute: Path | str | None = None

    def __post_init__(self) -> None:
        if self.attribute is None and (self.old is not None or self.new is not None):
            raise ReportError(
                "an old or a new value was given, and not of which attribute: name the attribute"
            )
        _ = self.path, self.actor_path, self._fits_old, self._fits_new

    def takes(self, event_name: EventName) -> bool:
        """Whether changes of this kind can be accepted at all; what cannot be read may be any."""
        return event_name in (self.event_names or _CHANGES) or event_name is EventName.UNREADABLE

    def accepts(self, row: HistoryRow) -> bool:
        """Whether a change is asked for."""
        return self._fits(row) and (
            self.actor is None or actor_of(row, self.actor_path).name == self.actor
        )

    def undecided(self, row: HistoryRow) -> bool:
        """Whether a change would be asked for if only it named its actor.

        A delete never does, unless it is an expiry by TTL.
        """
        return (
            self.actor is not None
            and self._fits(row)
            and actor_of(row, self.actor_path).name is None
        )

    @cached_property
    def path(self) -> Path | None:
        """The steps of `attribute`."""
        return as_path(self.attribute, "attribute")

    @cached_property
    def actor_path(self) -> Path | None:
        """The steps of `actor_attribute`."""
        return as_path(self.actor_attribute, "actor_attribute")

    @cached_property
    def _fits_old(self) -> _Test:
        return value_test(self.old)

    @cached_property
    def _fits_new(self) -> _Test:
        return value_test(self.new)

    def _fits(self, row: HistoryRow) -> bool:
        if not self.takes(row.change.event_name):
            return False
        if self.path is None:
            return not is_replication_only(row)
        old = value_at(state_before(row), self.path)
        new = value_at(row.change.new_image, self.path)
        return not same_value(old, new) and self._fits_old(old) and self._fits_new(new)


def value_test(expected: str | Mapping[str, Any] | None) -> _Test:
    """Tells whether a value is the one expected, as `Selection` has them; None: any is.

    Raises:
        ReportError: it has the form of a wire value, and is none.
    """
    if expected is None:
        return lambda _value: True
    exact = wire_value(expected)
    if exact is not None:
        return lambda value: same_value(value, exact)
    text = str(expected)
    number = _number(text)
    return lambda value: value is not None and _spelled(value, text, number)


def _spelled(value: AttributeValue, text: str, number: str | None) -> bool:
    ((tag, content),) = value.items()
    match tag:
        case "S":
            return bool(content == text)
        case "N":
            return canonical_number(content) == number
        case "BOOL":
            return text == str(content).lower()
        case _:
            return tag == "NULL" and text == "null"


def _number(text: str) -> str | None:
    try:
        return canonical_number(text)
    except MalformedRecordError:
        return None
