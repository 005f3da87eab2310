"""In which order exports can be ingested. Pure."""

from collections.abc import Iterable
from datetime import datetime

from operations.export import Export, ExportKind


def in_order(
    exports: Iterable[Export], complete_until: datetime | None, horizon: datetime | None
) -> list[Export]:
    """Exports in an order in which none leaves a gap before it, if there is one.

    Args:
        exports: of one table.
        complete_until: of the dataset that they are for; None: there is none yet.
        horizon: when the history began; None: not known.
    """
    # A history that had not begun yet lacks nothing.
    covered = complete_until or horizon
    left = sorted(exports, key=lambda one: (one.time, one.kind is not ExportKind.FULL))
    ordered: list[Export] = []
    while left:
        fitting = (one for one in left if _fits(one, covered))
        # Where none fits, ingesting says what is missing.
        export = next(fitting, left[0])
        left.remove(export)
        ordered.append(export)
        covered = export.time if covered is None else max(covered, export.time)
    return ordered


def _fits(export: Export, covered: datetime | None) -> bool:
    return export.since is None or (covered is not None and export.since <= covered)
