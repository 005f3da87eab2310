"""The order of a table as a plan keeps it among its arguments, with what it makes. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from operations.errors import PlanFileError
from operations.recovery.table.order import TableOrder
from operations.recovery.table.selection import ItemSelection
from operations.recovery.table.settings import TableSettings
from reports.inputs.keys import KeySchema
from reports.inputs.paths import read_path
from reports.states.item_conditions import ItemCondition, Operator
from stream_core.attribute_values import read_item
from stream_core.errors import ItemtrailError
from stream_core.history_row import time_text

_NAME = "into"


def is_order(arguments: Mapping[str, Any]) -> bool:
    """Whether the arguments of a plan are an order of a table."""
    return _NAME in arguments


def order_arguments(
    order: TableOrder, keys: KeySchema, settings: TableSettings, left_out: Iterable[str]
) -> dict[str, Any]:
    """An order as the arguments of a plan, with what it makes.

    Args:
        order: what is to be restored.
        keys: the source's key: it may be gone when the plan is carried out.
        settings: what the new table is to be made with.
        left_out: what the source has and the new table does not get, in words.
    """
    return {
        _NAME: order.new_table,
        "at": time_text(order.at),
        "selection": order.selection.content(),
        "key_attributes": dict(keys.types),
        "ttl": order.with_ttl,
        "allow_uncertain": order.allows_uncertain,
        "settings": settings.content(),
        "left_out": list(left_out),
    }


def order_in(arguments: Mapping[str, Any]) -> TableOrder:
    """The order that a plan has.

    Raises:
        PlanFileError: it has none that this program writes.
    """
    try:
        key, chosen = arguments["key_attributes"], arguments["selection"]
        keys = chosen["keys"]
        selection = ItemSelection(
            None if keys is None else tuple(map(read_item, keys)),
            tuple(chosen["prefixes"]),
            tuple(
                ItemCondition(read_path(path), Operator(operator), value)
                for path, operator, value in chosen["where"]
            ),
        )
        return TableOrder(
            arguments[_NAME],
            datetime.fromisoformat(arguments["at"]),
            selection,
            KeySchema(key),
            arguments["ttl"],
            arguments["allow_uncertain"],
        )
    except (LookupError, TypeError, ValueError, ItemtrailError) as error:
        raise _unreadable() from error


def settings_in(arguments: Mapping[str, Any]) -> tuple[TableSettings, tuple[str, ...]]:
    """What a plan's new table is made with, and what it does not get.

    Raises:
        PlanFileError: it does not say so as this program does.
    """
    try:
        return TableSettings.read(arguments["settings"]), tuple(arguments["left_out"])
    except (LookupError, TypeError) as error:
        raise _unreadable() from error


def _unreadable() -> PlanFileError:
    return PlanFileError("the plan's order of a table cannot be read: make the plan anew")
