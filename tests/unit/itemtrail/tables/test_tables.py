"""Tables for people: readable, aligned, shown as their rows arrive."""

from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, Group

from itemtrail.records.items import version_record
from itemtrail.tables import cells, layout
from itemtrail.tables.items import blame_blocks, state_table, timeline_blocks, version_blocks
from itemtrail.tables.many_items import change_blocks
from reports.states.blame import blame
from reports.states.evidence import Evidence
from reports.states.timeline import Certainty, ItemState, judge
from stream_core.history_row import HistoryRow
from tests.factories import change, item, text
from tests.unit.itemtrail.stdout import AT, KEYS, ROW


def drawn(*blocks, width=200):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(*blocks)
    return captured.get()


def test_long_values_are_cut_in_tables_with_their_size():
    """A table stays readable; all other forms have the whole value."""
    photo = item("1", Photo={"B": b"\x00" * 5000}, Note=text("x" * 5000))
    rows = [HistoryRow.from_change(change(None, photo))]
    state = judge(Evidence(KEYS, AT, AT, AT, before=rows[0]))

    for table in (Group(*version_blocks(KEYS, rows)), state_table(state)):
        assert "… (5,000 bytes)" in drawn(table)
        assert "… (5,000 characters)" in " ".join(drawn(table).split())
    assert (
        len(version_record(rows[0], rows[0].change.created_at, None)["new_image"]["Photo"]["B"])
        == 5000
    )


def test_blame_says_how_sure_its_changes_are_where_the_state_is_surer():
    """The state now is what it is; a change on its way may have set a value, and set it back."""
    evidence = Evidence(KEYS, AT, AT, AT, ROW, live_was_read=True, live=ROW.change.new_image)
    state = judge(evidence)

    table = drawn(*blame_blocks(state, blame(evidence, [ROW], None)))

    assert "the item's state: exact (live): the live item" in table
    assert table.count("since when and by whom: bounded: the last row fits the live item") == 1


def test_what_a_run_wrote_is_shown_as_that():
    """Beside what changed, and beside the change that a value goes back to."""
    row = replace(ROW, run="0123456789ab", run_by="a\x1bda")
    state = judge(Evidence(KEYS, AT, AT, AT, row, live_was_read=True, live=row.change.new_image))

    shown = drawn(
        *version_blocks(KEYS, [row]),
        *change_blocks("Changes", [row], None),
        *timeline_blocks(KEYS, [replace(state, valid_from=AT)], AT),
        *blame_blocks(state, blame(Evidence(KEYS, AT, AT, AT, row), [row], None)),
    )

    assert shown.count("by run 0123456789ab (a\\x1bda)") == 3
    blamed = shown[shown.index("Blame of") :]
    assert blamed.count("run 0123456789ab") == blamed.count("a\\x1bda") > 0
    assert "by run" not in drawn(*version_blocks(KEYS, [ROW]))


@pytest.mark.parametrize("width", [80, 140])
def test_columns_do_not_depend_on_the_rows(width):
    """Blocks of a table that are drawn one after the other line up."""
    rows = [
        HistoryRow.from_change(change(None, item("1", a=text("x" * length)), sequence=length))
        for length in (1, 30, 5, 200)
    ]

    lines = drawn(*version_blocks(KEYS, rows), width=width).splitlines()

    places = {line.index("+ a:") for line in lines if "+ a:" in line}
    assert len(places) == 1
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ItemState(KEYS, AT, None, Certainty.EXACT, "so"), "no such item"),
        (
            judge(
                Evidence(
                    *(KEYS, AT, AT, AT),
                    before=HistoryRow.from_change(change(item("1"), None)),
                    live_was_read=True,
                )
            ),
            "deleted from 2018-03-03 14:06:00 to now",
        ),
        (
            judge(Evidence(KEYS, AT, AT, AT, after=ROW)),
            "valid from an unknown time to 2018-03-03 14:06:00",
        ),
    ],
)
def test_a_state_says_since_when_it_holds(state, expected):
    """Deleted, never there, and unknown beginnings are told apart."""
    assert expected in drawn(state_table(state))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=3, seconds=5), "3 min 5 s"),
        (timedelta(hours=1, seconds=5), "1 h"),
        (timedelta(days=1, hours=1), "1 day 1 h"),
        (timedelta(days=364, hours=23, minutes=59), "364 days 23 h"),
    ],
)
def test_a_span_is_told_in_words(span, expected):
    """Two units at most: more tell nobody anything."""
    assert cells.lasting(span) == expected


def test_the_first_line_is_shown_at_once_and_later_ones_in_blocks():
    """Nobody waits for a first line, and long tables draw fast."""
    sizes = [len(block) for block in layout.blocks(range(1000))]

    assert sizes[:5] == [1, 2, 4, 8, 16]
    assert max(sizes) == 128
    assert sum(sizes) == 1000


def test_slow_lines_do_not_wait_for_a_block_to_fill(monkeypatch):
    """When lines come slowly each is shown as it comes."""
    clock = iter(range(1000))
    monkeypatch.setattr(layout, "monotonic", lambda: next(clock))

    assert max(len(block) for block in layout.blocks(range(20))) == 2


def test_attributes_are_in_the_order_of_their_names():
    """Whatever order a table gives them in: two states can be compared by eye."""
    shown = cells.attributes({"b": text("2"), "Id": text("1"), "a": text("1")}, {"Id": text("1")})

    assert shown.plain.index("a:") < shown.plain.index("b:")
