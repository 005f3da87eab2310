"""What `changes` answers, as records; `between` and `table-as-of` answer with those of items."""

from itemtrail.records.items import actor_fields, identity_fields, run_fields
from itemtrail.records.kinds import CHANGE, Record, record_of
from reports.states.actor import Actor
from reports.states.differences import changed_paths
from stream_core.history_row import HistoryRow


def change_record(row: HistoryRow, actor: Actor) -> Record:
    """A change, and who made it."""
    return record_of(
        CHANGE,
        row.change,
        key=row.change.keys,
        at=row.change.created_at,
        changed=changed_paths(row),
        user_identity=identity_fields(row),
        fault=row.fault,
        **run_fields(row),
        **actor_fields(actor),
    )
