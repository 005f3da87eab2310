"""Which exports make up a dataset, to the very moment."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports.exports.export import Export, ExportKind
from tests.unit.memory_tables import moment
from warehouse.dataset.coverage import begun, extended, is_there, later_wholes, until
from warehouse.dataset.manifest import DataFile, Dataset, Ingested
from warehouse.errors import DatasetError

FOLDER = Path("dataset")
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/EmployeeHistory"


def export_of(until_s, since_s=None, **options):
    """An export of the table as it was then, or of what was written since."""
    fields = {
        "folder": None,
        "arn": f"{TABLE}/export/{since_s}-{until_s}",
        "table_arn": TABLE,
        "table_id": "id",
        "kind": ExportKind.FULL if since_s is None else ExportKind.INCREMENTAL,
        "since": None if since_s is None else moment(since_s),
        "time": moment(until_s),
        "items": 3,
        "files": (),
        "files_md5": "md5",
    }
    return Export(**fields | options)


def dataset_of(*exports, complete_s=60):
    """A dataset of a file for each export."""
    return Dataset(
        FOLDER,
        TABLE,
        None,
        moment(complete_s),
        tuple(
            Ingested(
                export.arn,
                export.kind.value,
                export.table_id,
                export.since,
                export.time,
                export.items,
                1,
                export.files_md5,
            )
            for export in exports
        ),
        tuple(
            DataFile(export.arn, 1, 1, moment(0), moment(0), "", export.arn) for export in exports
        ),
    )


def test_an_incremental_export_may_begin_where_the_dataset_ends():
    """Nothing is missing between them; a second later something may be."""
    dataset = dataset_of(export_of(60))

    assert extended(dataset, export_of(120, since_s=60), None).complete_until == moment(120)
    with pytest.raises(DatasetError, match="of the time in between first"):
        extended(dataset, export_of(120, since_s=61), None)


def test_a_dataset_may_begin_with_what_was_written_since_the_history_began():
    """A history that had not begun yet lacks nothing."""
    dataset = begun(FOLDER, export_of(60, since_s=0), moment(0))

    assert (dataset.horizon, dataset.complete_until) == (moment(0), moment(60))
    with pytest.raises(DatasetError, match="whole table first"):
        begun(FOLDER, export_of(60, since_s=1), moment(0))


def test_an_older_export_takes_nothing_back():
    """The dataset stays complete until the later time."""
    assert extended(dataset_of(export_of(60)), export_of(30), None).complete_until == moment(60)


def test_an_export_shows_what_was_there_at_its_own_time():
    """Its rows were in the table at that moment, and not a moment earlier."""
    dataset = dataset_of(export_of(30), export_of(60))

    assert len(list(until(dataset, moment(60)))) == 2
    assert len(list(until(dataset, moment(59)))) == 1


def test_a_full_export_has_all_that_was_there_until_its_own_time():
    """So has a later one; one that shows only what changed vouches for nothing before it."""
    earlier = export_of(59)

    assert later_wholes(dataset_of(export_of(60)), export_of(60))
    assert later_wholes(dataset_of(export_of(60)), earlier)
    assert not later_wholes(dataset_of(earlier), export_of(60))
    assert not later_wholes(dataset_of(export_of(60, since_s=30)), earlier)


@pytest.mark.parametrize("change", [{"items": 4}, {"files_md5": "other"}])
def test_an_export_that_was_ingested_is_known_by_its_count_and_its_files(change):
    """Either that became another one is an alarm."""
    export = export_of(60)
    dataset = dataset_of(export)

    assert is_there(dataset, export)
    assert not is_there(dataset, export_of(61))
    with pytest.raises(DatasetError, match="its list of files is another one now"):
        is_there(dataset, replace(export, **change))


def test_a_table_made_anew_under_the_name_is_another_table():
    """As far as exports say which it was."""
    dataset = dataset_of(export_of(60))

    assert extended(dataset, export_of(90, table_id=""), None).complete_until == moment(90)
    with pytest.raises(DatasetError, match="of another table of the same name"):
        extended(dataset, export_of(90, table_id="another"), None)
