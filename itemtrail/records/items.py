"""What the commands about one item answer, as records; those about many use some of them too."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from itemtrail.records.kinds import (
    BLAME,
    DIFFERENCE,
    DIFFERENCE_LINE,
    ROW,
    SPAN,
    STATE,
    VERSION,
    Record,
    record_of,
)
from reports.inputs.paths import path_text
from reports.states.actor import Actor
from reports.states.blame import Blame
from reports.states.differences import Difference, changed_paths
from reports.states.timeline import ItemState, weaker_of
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow

_NO_ROW: Record = dict.fromkeys(ROW.fields)


def version_record(row: HistoryRow, since: datetime, until: datetime | None) -> Record:
    """A recorded version of an item, since when and until when it was so."""
    return record_of(
        VERSION,
        row.change,
        key=row.change.keys,
        valid_from=since,
        valid_to=until,
        is_current=until is None and row.change.new_image is not None,
        changed=changed_paths(row),
        user_identity=identity_fields(row),
        fault=row.fault,
        **run_fields(row),
    )


def state_record(state: ItemState) -> Record:
    """An item as of an instant."""
    return record_of(
        STATE,
        state,
        key=state.keys,
        item=state.image,
        row=state.row and record_of(ROW, state.row.change),
    )


def span_record(state: ItemState) -> Record:
    """A state and how long it lasted."""
    began = began_with(state)
    return record_of(
        SPAN,
        state,
        key=state.keys,
        item=state.image,
        changed=changed_paths(state.row) if state.row and began else [],
        **_row_fields(state.row),
        **run_fields(state.row if began else None),
    )


def began_with(state: ItemState) -> bool:
    """Whether a state began with its row's change; before the first row it only ended with it."""
    began = state.valid_from
    return state.row is not None and began is not None and state.row.change.created_at <= began


def comparison_record(old: ItemState, new: ItemState, differences: Sequence[Difference]) -> Record:
    """Two states and what differs between them."""
    return {
        "key": old.keys,
        "from": state_record(old),
        "to": state_record(new),
        "differences": list(map(difference_record, differences)),
    }


def difference_record(difference: Difference) -> Record:
    """One attribute path that differs."""
    return record_of(
        DIFFERENCE, difference, path=path_text(difference.path), change=difference.kind
    )


def difference_line_records(
    old: ItemState, new: ItemState, differences: Sequence[Difference]
) -> Iterator[Record]:
    """What differs between two states, each with the certainty of the weaker of them."""
    weaker = weaker_of(old, new)
    for difference in differences:
        yield record_of(DIFFERENCE_LINE, weaker, key=old.keys, **difference_record(difference))


def blame_record(keys: Item, blame: Blame) -> Record:
    """An attribute path, and the change that made it what it is."""
    return record_of(
        BLAME,
        blame,
        key=keys,
        path=path_text(blame.path),
        since=blame.row and blame.row.change.created_at,
        **_row_fields(blame.row),
        **actor_fields(blame.actor),
        **run_fields(blame.row),
    )


def actor_fields(actor: Actor) -> Record:
    """Who made a change, among the other fields of a record."""
    return {"actor": actor.name, "actor_source": actor.source, "actor_caveat": actor.caveat}


def run_fields(row: HistoryRow | None) -> Record:
    """Which run of this program made a change, and who started it."""
    return {"run": row and row.run, "run_by": row and row.run_by}


def identity_fields(row: HistoryRow) -> Record | None:
    """Who made a change as DynamoDB says it, which it does of an expiry alone."""
    identity = row.change.user_identity
    return (
        None if identity is None else {"type": identity.type, "principalId": identity.principal_id}
    )


def _row_fields(row: HistoryRow | None) -> Record:
    return record_of(ROW, row.change) if row else _NO_ROW
