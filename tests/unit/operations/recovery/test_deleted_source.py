"""What is said where the table is gone that is to be written (on moto)."""

import pytest

from reports.errors import TableNotFoundError
from tests.recorded_table import HISTORY, SOURCE, RecordedTable


def test_what_to_do_when_the_source_was_deleted_is_said(session):
    """Its name is right then; of a history that is not there it would be wrong."""
    table = RecordedTable(session)
    tables = table.deployment
    assert tables.key_schema.types == {"Id": "S"}

    table.client.delete_table(TableName=SOURCE)
    del tables.reader
    with pytest.raises(TableNotFoundError, match=r"no table 'Employee' in .*restore --into TABLE"):
        _ = tables.key_schema
    table.client.delete_table(TableName=HISTORY)
    del tables.reader
    with pytest.raises(TableNotFoundError) as error:
        _ = tables.key_schema

    assert "restore --into" not in str(error.value)
