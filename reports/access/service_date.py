"""The time that a service's answer carries, which is what changes are stamped with."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any


def date_of(answer: Any) -> datetime | None:
    """When a service answered, UTC, cut to the second; None where its answer does not say."""
    metadata = answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}
    try:
        date = parsedate_to_datetime(metadata.get("HTTPHeaders", {}).get("date"))
    except (TypeError, ValueError):
        return None
    return None if date.tzinfo is None else date.astimezone(UTC)
