"""Who made a change, as far as its record tells. Pure.

A stream record names its maker only where DynamoDB itself deleted the item (an expiry by TTL), and
the history that of a run of this program. For all other changes an attribute that every writer
sets, such as `updated_by`, has to stand for it, and says less than it seems to: hence the caveats.
"""

from dataclasses import dataclass
from typing import Literal

from reports.inputs.paths import Path, path_text, value_at
from reports.states.values import value_to_text
from stream_core.attribute_values import same_value
from stream_core.change import EventName
from stream_core.history_row import HistoryRow


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change.

    Attributes:
        name: who; None where nothing tells.
        source: where the name was found; None where there is none.
        caveat: why there is no name, or why it may be another's, in words.
    """

    name: str | None
    source: Literal["userIdentity", "attribute", "run"] | None
    caveat: str | None


def actor_of(row: HistoryRow, attribute: Path | None) -> Actor:
    """Who made the change of a row.

    Args:
        row: the row, its images loaded.
        attribute: the path of the attribute in which writers leave their name, if there is one.
    """
    identity = row.change.user_identity
    if identity is not None and identity.principal_id is not None:
        return Actor(identity.principal_id, "userIdentity", None)
    if row.run is not None:
        # Whoever the attribute names did not make it: it is put back as it was.
        return Actor(row.run_by, "run", None)
    if attribute is None:
        return Actor(None, None, None)
    return _named_by(row, attribute)


def _named_by(row: HistoryRow, attribute: Path) -> Actor:
    path, value = path_text(attribute), value_at(row.change.new_image, attribute)
    if row.change.new_image is None:
        return _unnamed(
            f"a delete does not name who made it: {path} of the old image names who wrote before"
        )
    if value is None:
        return _unnamed(f"the item has no {path}")
    if "NULL" in value:
        return _unnamed(f"{path} is NULL")
    return Actor(value_to_text(value), "attribute", _doubt(row, attribute))


def _unnamed(caveat: str) -> Actor:
    return Actor(None, None, caveat)


def _doubt(row: HistoryRow, attribute: Path) -> str | None:
    path = path_text(attribute)
    if row.change.event_name is EventName.SNAPSHOT:
        return f"a baseline is no change: {path} names who wrote last before it"
    old, new = (
        value_at(image, attribute) for image in (row.change.old_image, row.change.new_image)
    )
    if old is not None and new is not None and same_value(old, new):
        return f"the change left {path} as it was: it may name who wrote before"
    return None
