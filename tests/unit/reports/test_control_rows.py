"""What the history says of itself shows in no answer, costs none, and is checked."""

from contextlib import suppress
from itertools import count

import pytest

from reports.access.progress import silent
from reports.access.row_reader import RowReader
from reports.states.lives import Lives
from reports.states.selection import Selection
from reports.table.as_of import table_states
from reports.table.changes import changed_rows
from reports.table.versions import table_versions
from reports.verification.continuity import FindingKind
from reports.verification.verify import verify
from stream_core.announcement import OwnWrite, item_hash
from stream_core.control_row import BackfillMark, RunRow, TableLife
from stream_core.errors import IntegrityError
from stream_core.item_id import CONTROL_ID
from tests.factories import FIRST_SEQUENCE, STREAM_ARN, item, number, text
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, moment

NOW = moment(600)
LIFE = TableLife(STREAM_ARN, "12345a12", moment(-86400))
MARK = BackfillMark(STREAM_ARN, "12345a12", moment(-60), moment(-30), "scan", {}, "0a", "itemtrail")
RUN = RunRow(
    *("0123456789ab", "undo", "{}", "sha256:00", "ada", "itemtrail"),
    *(STREAM_ARN, "12345a12", moment(30)),
)
OWN = OwnWrite("0123456789ab", 1, item_hash("1"), b"\x01" * 32, None, moment(31), STREAM_ARN)


@pytest.fixture
def world(monkeypatch):
    recorded = Recorded()
    # As DynamoDB gives them: any other number is a finding.
    monkeypatch.setattr(recorded, "_sequences", count(FIRST_SEQUENCE))
    for row in (LIFE, MARK, RUN, OWN):
        recorded.client.put(HISTORY, row.to_item())
    # An item of the very name that control rows have for their `Id`.
    for name in ("1", CONTROL_ID):
        recorded.write(name, item(name, Count=number(1)), at=0)
        recorded.write(name, item(name, Count=number(2)), at=60)
    return recorded


def names(keys):
    return sorted(key["Id"]["S"] for key in keys)


@pytest.mark.parametrize("rows", [None, 10_000_000])
def test_the_whole_table_shows_items_alone(world, rows):
    """Read from the history or rewound, at an instant and over a range."""
    if rows is not None:
        world.counted(rows=rows)
    answer = table_states(world.reader, moment(30), NOW, certain=False, progress=silent)
    assert names(state.keys for state in answer.states) == [CONTROL_ID, "1"]

    versions = table_versions(world.reader, moment(0), moment(60), NOW, silent)
    assert names(state.keys for state in versions) == [CONTROL_ID] * 2 + ["1"] * 2


def test_changes_show_rows_of_items_alone(world):
    """Of all items and of the one whose name they share."""
    rows = changed_rows(world.reader, moment(-90), moment(90), Selection())
    assert names(row.change.keys for row in rows) == [CONTROL_ID] * 2 + ["1"] * 2
    assert [row.change.new_image["Count"] for row in world.reader.rows(f"!{CONTROL_ID}")] == [
        number(1),
        number(2),
    ]


def test_the_key_of_a_history_is_that_of_its_items(world):
    """Without a source table it comes from a row, whichever the table gives first."""
    alone = RowReader(world.client, None, HISTORY, None)
    assert list(alone.key_schema.types) == ["Id"]
    for row in list(world.rows):
        world.forget(row)
    with suppress(AttributeError):
        del alone.key_schema
    with pytest.raises(Exception, match="is empty"):
        _ = RowReader(world.client, None, HISTORY, None).key_schema


def test_verify_counts_items_alone_and_holds(world):
    """Rows that are sealed and in their place are no finding."""
    verification = verify(world.reader)

    assert verification.clean
    assert (verification.items, verification.rows) == (2, 4)


def test_what_announces_writes_says_nothing_of_the_streams(world):
    """Nor is it read where nobody asks for it: there may be millions of them."""
    assert world.reader.control_rows() == [MARK, LIFE]
    assert Lives.read([RUN, OWN, MARK, LIFE], None) == Lives.read([MARK, LIFE], None)
    assert world.reader.control_rows("!own", "~") == [OWN, RUN]
    controls = [
        item for item in world.client.items[HISTORY].values() if item["Id"]["S"] == CONTROL_ID
    ]
    assert len(list(world.reader.control_items())) == len(controls) == 4


@pytest.mark.parametrize("keys", [None, [{"Id": text("1")}]])
def test_an_altered_control_row_breaks_integrity(world, keys):
    """It is believed by nothing, and found whatever items are looked at."""
    altered = MARK.to_item() | {"EventSourceARN": text("else")}
    world.client.put(HISTORY, altered)

    assert world.reader.control_rows() == [LIFE]
    (finding,) = verify(world.reader, keys).findings
    assert finding.kind is FindingKind.DIGEST_MISMATCH
    assert finding.keys == {"Id": text(CONTROL_ID)}
    assert finding.sort_key == MARK.sort_key


def test_a_row_of_an_item_among_control_rows_is_found(world):
    """Under their `Id` the history has nothing of an item."""
    (row, *_) = world.rows
    world.client.put(HISTORY, row.to_item(4) | {"Id": text(CONTROL_ID)})

    assert [finding.kind for finding in verify(world.reader).findings] == [
        FindingKind.DIGEST_MISMATCH
    ]
    assert world.client.get(SOURCE, {"Id": text(CONTROL_ID)}) is not None
    with pytest.raises(IntegrityError):
        list(world.reader.rows(CONTROL_ID))
