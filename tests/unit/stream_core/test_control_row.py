"""Control rows: written once, sealed, and no rows of an item."""

from datetime import UTC, datetime

import pytest

from stream_core.control_row import BackfillMark, TableLife, _sealed_item, read_control_row
from stream_core.errors import IntegrityError
from stream_core.item_id import CONTROL_ID, item_id
from tests.factories import STREAM_ARN, number, text

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
MARK = BackfillMark(
    STREAM_ARN, "12345a12", AT, AT.replace(hour=13), "scan", {"scanned": 3}, "0a1b", "itemtrail 1"
)
LIFE = TableLife(STREAM_ARN, "12345a12", AT)


@pytest.mark.parametrize("row", [MARK, LIFE])
def test_a_control_row_reads_back_as_it_was(row):
    """Under its own `Id`, a key that begins with `!`, and without a bucket of the index."""
    item = row.to_item()

    assert read_control_row(item) == row
    assert item["Id"] == {"S": CONTROL_ID}
    assert item["ApproximateCreationDateTime"]["S"].startswith("!")
    assert "TimeBucket" not in item


def test_places_are_as_documented():
    """DECISIONS C: the marks of a stream in order, and one life for each stream."""
    label = "2018-03-01T10:00:00.000"

    assert MARK.sort_key == f"!backfill#{label}#2026-11-25T13:00:00.000000Z#0a1b"
    assert LIFE.sort_key == f"!life#{label}"


@pytest.mark.parametrize("row", [MARK, LIFE])
def test_whatever_is_altered_in_a_control_row_is_refused(row):
    """Any attribute that is changed, added or taken away breaks the digest or the format."""
    item = row.to_item()
    for name in item.keys() - {"Format"}:
        with pytest.raises(IntegrityError):
            read_control_row(item | {name: text("!backfill#else")})
    for name in item.keys() - {"ApproximateCreationDateTime", "Format"}:
        with pytest.raises(IntegrityError):
            read_control_row({key: value for key, value in item.items() if key != name})
    with pytest.raises(IntegrityError):
        read_control_row(item | {"TimeBucket": text("2026-11-25T12#00")})


def test_a_control_row_moved_to_another_place_is_refused():
    """A content under another key than its own is no mark, however well it is sealed."""
    content = LIFE.to_item()["NewImage"]["M"]

    assert read_control_row(_sealed_item(LIFE.sort_key, STREAM_ARN, content)) == LIFE
    with pytest.raises(IntegrityError, match="not where its content says"):
        read_control_row(_sealed_item("!life#else", STREAM_ARN, content))


def test_a_kind_that_is_not_known_is_passed_over():
    """A later version writes more kinds; what is sealed is not called altered for that."""
    item = _sealed_item("!run#1", STREAM_ARN, {"Who": text("me")})

    assert read_control_row(item) is None
    with pytest.raises(IntegrityError, match="digest mismatch"):
        read_control_row(item | {"NewImage": {"M": {"Who": text("you")}}})


@pytest.mark.parametrize("name", ["!itemtrail", "!!itemtrail", "!!!itemtrail"])
def test_no_item_has_the_id_of_control_rows(name):
    """A key of that text has an id of its own, and no two such keys share one."""
    names = {item_id({"Id": text("!" * n + "itemtrail")}) for n in range(1, 9)}

    assert item_id({"Id": text(name)}) == f"!{name}"
    assert CONTROL_ID not in names
    assert len(names) == 8
    assert item_id({"Id": text("a" + name), "No": number(1)}) == f"a{name}|1"
