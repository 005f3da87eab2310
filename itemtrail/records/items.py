"""Every answer as flat records.

A record is a dict from field name to value, with the fields of its kind in `record_kinds.py`: times
as `datetime`, wire values as they are, None where there is nothing.
"""

from collections.abc import Iterator, Sequence

from itemtrail.records.kinds import ROW, Record
from reports.inputs.paths import path_text
from reports.states.actor import Actor
from reports.states.blame import Blame
from reports.states.differences import Difference, changed_paths
from reports.states.timeline import ItemState, weaker_of
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow

_NO_ROW: Record = dict.fromkeys(ROW.fields)


def version(row: HistoryRow, following: HistoryRow | None) -> Record:
    """A recorded version of an item, and the row that ends it."""
    return {
        "key": row.change.keys,
        "valid_from": row.change.created_at,
        "valid_to": following.change.created_at if following else None,
        "is_current": following is None and row.change.new_image is not None,
        **_row(row),
        **_images(row),
        "user_identity": _identity(row),
    }


def state(of: ItemState) -> Record:
    """An item as of an instant."""
    return {
        "key": of.keys,
        "at": of.at,
        "exists": of.exists,
        "item": of.image,
        **_certainty(of),
        "valid_from": of.valid_from,
        "valid_to": of.valid_to,
        "row": of.row and _row(of.row),
    }


def span(of: ItemState) -> Record:
    """A state and how long it lasted."""
    return {
        "key": of.keys,
        "valid_from": of.valid_from,
        "valid_to": of.valid_to,
        "is_current": of.is_current,
        "exists": of.exists,
        "item": of.image,
        "changed": changed_paths(of.row) if of.row and began_with(of, of.row) else [],
        **_certainty(of),
        **(_row(of.row) if of.row else _NO_ROW),
    }


def began_with(of: ItemState, row: HistoryRow) -> bool:
    """Whether a state began with a row's change; before the first row it only ended with it."""
    return of.valid_from == row.change.created_at


def comparison(old: ItemState, new: ItemState, found: Sequence[Difference]) -> Record:
    """Two states and what differs between them."""
    return {
        "key": old.keys,
        "from": state(old),
        "to": state(new),
        "differences": list(map(difference, found)),
    }


def difference(one: Difference) -> Record:
    """One attribute path that differs."""
    return {"path": path_text(one.path), "change": one.kind, "old": one.old, "new": one.new}


def difference_lines(
    old: ItemState, new: ItemState, found: Sequence[Difference]
) -> Iterator[Record]:
    """What differs between two states, each with the certainty of the weaker of them."""
    weaker = weaker_of(old, new)
    for one in found:
        yield {"key": old.keys, **difference(one), **_certainty(weaker)}


def change(row: HistoryRow, actor: Actor) -> Record:
    """A change, and who made it."""
    return {
        "key": row.change.keys,
        "at": row.change.created_at,
        **_row(row),
        **_images(row),
        **_actor(actor),
        "user_identity": _identity(row),
    }


def blame(keys: Item, one: Blame) -> Record:
    """An attribute path, and the change that made it what it is."""
    return {
        "key": keys,
        "path": path_text(one.path),
        "value": one.value,
        "since": one.row and one.row.change.created_at,
        **(_row(one.row) if one.row else _NO_ROW),
        **_actor(one.actor),
        **_certainty(one),
    }


def _row(row: HistoryRow) -> Record:
    return {
        "event_name": row.change.event_name.value,
        "sequence_number": row.change.sequence_number,
        "event_id": row.change.event_id,
    }


def _images(row: HistoryRow) -> Record:
    return {
        "changed": changed_paths(row),
        "old_image": row.change.old_image,
        "new_image": row.change.new_image,
    }


def _identity(row: HistoryRow) -> Record | None:
    identity = row.change.user_identity
    return (
        None if identity is None else {"type": identity.type, "principalId": identity.principal_id}
    )


def _actor(actor: Actor) -> Record:
    return {"actor": actor.name, "actor_source": actor.source, "actor_caveat": actor.caveat}


def _certainty(of: ItemState | Blame) -> Record:
    return {"certainty": of.certainty.value, "reason": of.reason}
