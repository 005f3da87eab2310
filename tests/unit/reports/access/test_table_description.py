"""What DynamoDB says of a table is read in one way, whoever asks."""

import pytest
from botocore.exceptions import ClientError

from reports import TableNotFoundError
from reports.access.table_description import TableDescription, describe
from tests.unit.memory_tables import SOURCE, Recorded, client_error

KEY = {
    "KeySchema": [
        {"AttributeName": "Year", "KeyType": "RANGE"},
        {"AttributeName": "Artist", "KeyType": "HASH"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "Genre", "AttributeType": "S"},
        {"AttributeName": "Year", "AttributeType": "N"},
        {"AttributeName": "Artist", "AttributeType": "S"},
    ],
}


def test_the_partition_key_is_first_and_keys_of_indexes_are_none():
    """Whatever order an engine names the attributes in."""
    table = TableDescription(KEY)

    assert table.key == (("Artist", "S"), ("Year", "N"))
    assert str(table.key_schema) == "Artist (S), Year (N)"


@pytest.mark.parametrize(
    ("fields", "stream"),
    [
        ({}, (False, None, None)),
        (
            {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
            (True, "KEYS_ONLY", None),
        ),
        (
            {"StreamSpecification": {"StreamEnabled": False}, "LatestStreamArn": "arn:old"},
            (False, None, "arn:old"),
        ),
    ],
)
def test_a_stream_may_be_on_off_or_never_have_been(fields, stream):
    """The ARN of the last one stays, also when it is long off."""
    table = TableDescription(fields)

    assert (table.has_stream, table.view_type, table.stream_arn) == stream


def test_counts_that_are_not_given_are_not_zero():
    """An engine may count nothing."""
    table = TableDescription({})

    assert (table.items, table.size_bytes, table.table_id) == (None, None, "")


def test_a_table_that_is_not_there_is_named_with_where_it_was_looked_for():
    """And any other refusal stays what it is."""
    client = Recorded().client

    with pytest.raises(TableNotFoundError, match=r"no table 'Nope' in .*: check its name"):
        describe(client, "Nope")
    with pytest.raises(ClientError, match="AccessDenied"):
        describe(client, SOURCE, _refused)


def _refused(_request):
    raise client_error("AccessDeniedException")
