"""Which exports make up a dataset: of one table, without a gap, each once. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from reports.exports.export import Export, ExportKind
from stream_core.announcement import OWN_PREFIX, PORTION_PREFIX
from stream_core.attribute_values import Item, same_item
from stream_core.errors import IntegrityError
from stream_core.history_row import SORT_KEY
from warehouse.dataset.manifest import DataFile, Dataset
from warehouse.errors import DatasetError

_ANNOUNCED = (OWN_PREFIX, PORTION_PREFIX)


def begun(folder: Path, export: Export, horizon: datetime | None) -> Dataset:
    """A dataset that an export can be the first of; it has no rows yet.

    Raises:
        DatasetError: the export shows only what changed, since after the history began.
    """
    dataset = Dataset(
        folder, export.table_arn, horizon, export.time, exports=(), files=(), disordered=()
    )
    if export.since is not None and (horizon is None or export.since > horizon):
        raise DatasetError(
            f"{export.arn} shows only what was written since {_text(export.since)}: ingest an "
            f"export of the whole table first, a {ExportKind.FULL}"
        )
    return dataset


def extended(dataset: Dataset, export: Export, horizon: datetime | None) -> Dataset:
    """The dataset as the export will make it, its rows and the export itself aside.

    Raises:
        DatasetError: the export is of another table, or there is a gap before it.
    """
    _require_same_table(dataset, export)
    if export.since is not None and export.since > dataset.complete_until:
        raise DatasetError(
            f"{export.arn} begins at {_text(export.since)}, and {dataset.folder} is complete until "
            f"{_text(dataset.complete_until)} only: ingest the {ExportKind.INCREMENTAL} of the "
            f"time in between first, or a {ExportKind.FULL}"
        )
    if horizon is not None and dataset.horizon not in (None, horizon):
        raise DatasetError(
            f"the history in {dataset.folder} began at {_text(dataset.horizon)}, not at "
            f"{_text(horizon)}: give the horizon of its own history table, or none"
        )
    return replace(
        dataset,
        horizon=horizon or dataset.horizon,
        complete_until=max(dataset.complete_until, export.time),
    )


def is_there(dataset: Dataset, export: Export) -> bool:
    """Whether the export was ingested before.

    Raises:
        DatasetError: another export of its name was.
    """
    for ingested in dataset.exports:
        if ingested.arn == export.arn:
            if (ingested.items, ingested.md5) != (export.items, export.files_md5):
                raise DatasetError(
                    f"{export.arn} was ingested before, and its list of files is another one now: "
                    "find out who changed it"
                )
            return True
    return False


def until(dataset: Dataset, moment: datetime) -> Iterator[DataFile]:
    """The files whose rows were in the table at a moment: exports until then showed them."""
    shown = {ingested.arn for ingested in dataset.exports if ingested.until <= moment}
    return (file for file in dataset.files if file.export in shown)


def later_wholes(dataset: Dataset, export: Export) -> bool:
    """Whether the dataset has all that was in the table at the export's time or later."""
    return any(
        ingested.since is None and ingested.until >= export.time for ingested in dataset.exports
    )


def with_controls(dataset: Dataset, export: Export, shown: Iterable[Item]) -> tuple[Item, ...]:
    """The control rows of a dataset with those that an export shows.

    What runs announced of single items is left out: no answer of a dataset rests on it, and a large
    undo has more of it than all the rest of a manifest.

    Args:
        dataset: as `extended` by the export.
        export: that shows them.
        shown: its control rows.

    Raises:
        IntegrityError: one was written again or removed.
    """
    known = _by_name(dataset.controls)
    rows = _by_name(shown)
    for name, item in rows.items():
        if not same_item(known.setdefault(name, item), item):
            raise IntegrityError(
                f"{export.arn} shows another control row {name} than the dataset has: it was "
                "written again; find out who did it"
            )
    is_last = export.time == dataset.complete_until
    if export.kind is ExportKind.FULL and is_last and (lost := known.keys() - rows.keys()):
        raise IntegrityError(
            f"{export.arn} does not show the control row {min(lost)}, which the dataset has: it "
            "was removed from the table; find out who did it"
        )
    return tuple(known[name] for name in sorted(known))


def _by_name(controls: Iterable[Item]) -> dict[str, Item]:
    """Control rows by their place, but for announcements."""
    named = ((item[SORT_KEY]["S"], item) for item in controls)
    return {name: item for name, item in named if not name.startswith(_ANNOUNCED)}


def _require_same_table(dataset: Dataset, export: Export) -> None:
    if export.table_arn != dataset.history_table:
        raise DatasetError(
            f"{export.arn} is of {export.table_arn}, and {dataset.folder} is of "
            f"{dataset.history_table}: a dataset is of one table; name another folder"
        )
    for ingested in dataset.exports:
        if ingested.table_id and export.table_id and ingested.table_id != export.table_id:
            raise DatasetError(
                f"{export.arn} is of another table of the same name, {export.table_id}, and "
                f"{dataset.folder} is of {ingested.table_id}: a dataset is of one table; name "
                "another folder"
            )


def _text(moment: datetime | None) -> str:
    return "no time" if moment is None else moment.astimezone(UTC).isoformat()


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
    remaining = sorted(
        exports, key=lambda export: (export.time, export.kind is not ExportKind.FULL)
    )
    ordered: list[Export] = []
    while remaining:
        fitting = (export for export in remaining if _fits(export, covered))
        # Where none fits, ingesting says what is missing.
        export = next(fitting, remaining[0])
        remaining.remove(export)
        ordered.append(export)
        covered = export.time if covered is None else max(covered, export.time)
    return ordered


def _fits(export: Export, covered: datetime | None) -> bool:
    return export.since is None or (covered is not None and export.since <= covered)
