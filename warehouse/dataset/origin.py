"""Which table a dataset's history follows, and which of its rows are of another one. Pure."""

from reports.states.provenance import Provenance
from stream_core.control_row import BackfillMark, TableLife, label_of
from warehouse.dataset.manifest import Dataset
from warehouse.errors import DatasetError


def provenance_of(dataset: Dataset) -> Provenance:
    """What the rows have to be of: the source table.

    Where that was never named it is the table that the newest control row is of.
    """
    table = dataset.source_table
    if table is None:
        # A run may write to another table.
        own = (row for row in dataset.control_rows if isinstance(row, BackfillMark | TableLife))
        streams = (row.stream_arn for row in own)
        newest = max(streams, key=label_of, default=None)
        table = newest and _table_of(newest)
    return Provenance(table)


def foreign_streams(dataset: Dataset) -> tuple[str, ...]:
    """The streams, or tables, that told of rows and are not of the table that is followed.

    Raises:
        DatasetError: there are rows of several tables, and it is not known which one that is.
    """
    provenance = provenance_of(dataset)
    tables = sorted({_table_of(arn) for arn in dataset.streams})
    if provenance.table is None and len(tables) > 1:
        raise DatasetError(
            f"{dataset.folder} has rows of {' and of '.join(tables)}, and it is not known which of "
            "them the history follows: ingest an export once more, with --stack"
        )
    return tuple(arn for arn in dataset.streams if not provenance.is_followed(arn))


def _table_of(arn: str) -> str:
    return arn.partition("/stream/")[0]
