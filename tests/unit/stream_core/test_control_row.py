"""Control rows: written once, sealed, and no rows of an item."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from stream_core.announcement import (
    OWN_PREFIX,
    AnnouncedPortion,
    OwnWrite,
    item_hash,
    standing,
)
from stream_core.control_row import (
    BackfillMark,
    ProofMark,
    RunRow,
    TableLife,
    read_control_row,
)
from stream_core.errors import IntegrityError
from stream_core.item_id import CONTROL_ID, item_id
from stream_core.sealed_row import sealed_item
from tests.factories import STREAM_ARN, number, text

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
MARK = BackfillMark(
    STREAM_ARN, "12345a12", AT, AT.replace(hour=13), "scan", {"scanned": 3}, "0a1b", "itemtrail 1"
)
LIFE = TableLife(STREAM_ARN, "12345a12", AT)
RUN = RunRow(
    *("0123456789ab", "undo", '{"all":true}', "sha256:" + "00" * 32, "ada", "itemtrail 1"),
    *(STREAM_ARN, "12345a12", AT),
)
OWN = OwnWrite("0123456789ab", 7, item_hash("42"), b"\x01" * 32, None, AT, STREAM_ARN)
PROOF = ProofMark(STREAM_ARN, "12345a12", AT, AT.replace(hour=13), 4, 900, "itemtrail 1")
PORTION = AnnouncedPortion(
    "0123456789ab", "c0ffee", (item_hash("1"), item_hash("2")), AT, STREAM_ARN
)
ROWS = [MARK, LIFE, RUN, OWN, OWN.withdrawn(), PROOF, PORTION]


@pytest.mark.parametrize("row", ROWS)
def test_a_control_row_reads_back_as_it_was(row):
    """Under its own `Id`, a key that begins with `!`, and without a bucket of the index."""
    item = row.to_item()

    assert read_control_row(item) == row
    assert item["Id"] == {"S": CONTROL_ID}
    assert item["ApproximateCreationDateTime"]["S"].startswith("!")
    assert "TimeBucket" not in item


def test_places_are_as_documented():
    """DECISIONS C and D2: marks of a stream in order, one life a stream, writes by their item."""
    label = "2018-03-01T10:00:00.000"

    assert MARK.sort_key == f"!backfill#{label}#2026-11-25T13:00:00.000000Z#0a1b"
    assert LIFE.sort_key == f"!life#{label}"
    assert PROOF.sort_key == (
        f"!compared#{label}#2026-11-25T12:00:00.000000Z#2026-11-25T13:00:00.000000Z"
    )
    assert PROOF.sort_key < OWN_PREFIX
    assert RUN.sort_key == "!run#0123456789ab"
    assert OWN.sort_key == (
        f"!own#{sha256(b'42').hexdigest()[:32]}#0123456789ab#7#2026-11-25T12:00:00.000000Z"
    )
    assert OWN.withdrawn().sort_key == f"{OWN.sort_key}#withdrawn"
    assert PORTION.sort_key == "!portion#2026-11-25T12:00:00.000000Z#0123456789ab#c0ffee"


def test_what_was_withdrawn_is_announced_no_more():
    """Announced again later, it stands."""
    again = replace(OWN, at=AT.replace(hour=13))

    assert standing([OWN, OWN.withdrawn(), again, RUN]) == [again]
    assert standing([OWN.withdrawn()]) == []


def test_announced_writes_of_an_item_are_together():
    """DECISIONS D2: one Query gives those of an item, however long its `Id` is."""
    identifier = "x" * 2048
    row = replace(OWN, item=item_hash(identifier))

    assert row.sort_key.startswith(f"!own#{item_hash(identifier)}#")
    assert len(row.sort_key) < 1024
    assert item_hash(identifier) != item_hash("42")


def test_a_write_that_is_announced_again_has_a_place_of_its_own():
    """A change is ours only for a quarter of an hour after its announcement."""
    assert replace(OWN, at=AT.replace(hour=13)).sort_key != OWN.sort_key


@pytest.mark.parametrize("row", ROWS)
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

    assert read_control_row(sealed_item(LIFE.sort_key, STREAM_ARN, content)) == LIFE
    with pytest.raises(IntegrityError, match="not where its content says"):
        read_control_row(sealed_item("!life#else", STREAM_ARN, content))


def test_a_kind_that_is_not_known_is_passed_over():
    """A later version writes more kinds; what is sealed is not called altered for that."""
    item = sealed_item("!seal#1", STREAM_ARN, {"Who": text("me")})

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
