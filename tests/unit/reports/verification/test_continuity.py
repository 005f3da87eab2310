"""What is missing between the rows of an item shows, with its class and its time."""

import pytest

from reports.verification.chain_order import Link
from reports.verification.continuity import FindingKind, Head, Unreadable, judge_chain
from stream_core.change import EventName
from stream_core.history_row import sort_key_of
from tests.unit.memory_tables import moment

KEYS = {"Id": {"S": "1"}}


def chain(text, step_s=60):
    """Rows from words: `-A` inserts A, `AB` changes A to B, `B-` removes B, `=B` is a baseline.

    `?` cannot be read. They are `step_s` apart, or stamped with the second behind `@`.
    """
    rows = []
    for place, word in enumerate(text.split()):
        word, _, at = word.partition("@")  # noqa: PLW2901 - the word without its time
        rows.append(link(word, int(at) if at else step_s * place, place))
    return rows


def link(word, at_s, place):
    at = moment(at_s)
    if word == "?":
        return Unreadable(sort_key_of(at, str(place)), at)
    before, after = (None if letter == "-" else letter.encode() for letter in word)
    name = EventName.MODIFY
    if word[0] == "=":
        return Link(sort_key_of(at, "0"), EventName.SNAPSHOT, at, after, after)
    if before is None:
        name = EventName.INSERT
    elif after is None:
        name = EventName.REMOVE
    return Link(sort_key_of(at, str(place + 1)), name, at, before, after)


def judged(text, head="", step_s=60):
    """The findings of a chain; `head` is the live item, `-` for none, empty if it is not known."""
    known = {"": None, "-": Head(None)}.get(head, Head(head.encode()))
    return judge_chain(KEYS, chain(text, step_s), known)


def classes(text, head=""):
    return [finding.kind.value for finding in judged(text, head)]


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("-A AB BC", "C"),
        ("-A AB B- -C CC", "C"),
        ("-A A-", "-"),
        ("-A AB BA AB", "B"),
        ("=A AB", "B"),
        ("=A", "A"),
        ("-A =A AB =B =B", "B"),
        ("-A@0 AB@0 BC@0", "C"),
        ("-A AB", ""),
        ("", ""),
    ],
)
def test_a_whole_chain_has_no_finding(text, head):
    """Changes, deletions, rebirths, states that come back, baselines, one second, no head."""
    assert judged(text, head) == []


@pytest.mark.parametrize(
    ("text", "head", "found", "since", "until"),
    [
        ("-A BC", "C", "MISSING_CHANGE", 0, 60),
        ("-A B-", "-", "MISSING_CHANGE", 0, 60),
        ("-A -B", "B", "MISSING_DELETE", 0, 60),
        ("-A A- BC", "C", "MISSING_INSERT", 60, 120),
        ("-A A- B-", "-", "MISSING_INSERT", 60, 120),
        ("AB BC", "C", "MISSING_START", None, 0),
        ("A-", "-", "MISSING_START", None, 0),
        ("-A AB", "C", "HEAD_MISMATCH", 60, None),
        ("-A AB", "-", "HEAD_MISMATCH", 60, None),
        ("-A A-", "B", "HEAD_MISMATCH", 60, None),
    ],
)
def test_each_class_of_missing_change_is_told_with_its_time(text, head, found, since, until):
    """The missing change was made between the row before and the row after."""
    (finding,) = judged(text, head)

    assert (finding.kind, finding.keys, finding.declared) == (found, KEYS, None)
    assert finding.since == (None if since is None else moment(since))
    assert finding.until == (None if until is None else moment(until))
    rows = chain(text)
    shows_at = rows[-1].created_at if until is None else moment(until)
    assert finding.sort_key in {row.sort_key for row in rows if row.created_at == shows_at}


def test_every_broken_link_is_a_finding():
    """One gap hides no other."""
    assert classes("AB CD -E EF", "G") == [
        "MISSING_START",
        "MISSING_CHANGE",
        "MISSING_DELETE",
        "HEAD_MISMATCH",
    ]


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("-A BC AB CD DE", "E"),  # two rows in the middle exchanged
        ("-A CD AB BC DE", "E"),  # one moved to the front
        ("-A BC CD AB DE", "E"),  # and to the back
        ("-A DE CD BC AB EF", "F"),  # all turned round
        ("AB -A BC CD", "D"),  # the first two
        ("-A AB CD BC", "D"),  # the last two, with the live item
        ("-A AB CD BC", ""),  # and without: only one end fits
        ("-A AB DE CD BC", "E"),  # the last three
        ("BC -A AB CD", ""),
        ("A- -A -B BC", "C"),  # the insert behind its removal
        ("-A AB B- CD -C DE", "E"),  # around a deletion
        ("-B A- -A BC", "C"),  # a whole life in front of another
        ("=A BC AB CD", "D"),  # after a baseline
        ("-A AB BC =B CD", "D"),  # a baseline stamped too late
        ("-A AB =C BC CD", "D"),  # or too early
        ("-A =B AB BC", "C"),
        ("-A AB BC =C DE CD EF", "F"),  # a baseline among them
        ("CD -C DE A- -A", "E"),  # one order would use up what another needs
        ("CC -A -C C-", "A"),
    ],
)
def test_rows_out_of_order_are_one_finding(text, head):
    """Where the same rows close the chain in another order, nothing is missing."""
    assert classes(text, head) == ["ORDER"]


def test_an_order_finding_names_its_rows():
    """From the first to the last row that is out of place, and no further."""
    (finding,) = judged("-A AB CD BC DE EF", "F")

    rows = chain("-A AB CD BC DE EF")
    assert (finding.since, finding.until) == (moment(120), moment(180))
    assert finding.sort_key == rows[2].sort_key
    assert finding.detail == (
        f"2 rows from this one to {rows[3].sort_key} follow from each other in another order"
    )


def test_several_orders_are_told_one_by_one():
    """Each with its own rows, also one within another."""
    assert classes("-A BC AB CD EF DE FG", "G") == ["ORDER", "ORDER"]
    assert classes("-A FG BC DE CD EF AB GH", "H") == ["ORDER", "ORDER"]


@pytest.mark.parametrize(
    "text",
    [
        "-B A- -A B- -C DE",  # lives exchange their insertions, and a link that fits moves too
        "B- A- -B -A -C DE",  # an order with a start is better than a nearer one without
    ],
)
def test_an_order_and_a_missing_row_are_told_apart(text):
    """What no order explains stays a finding beside it."""
    assert sorted(classes(text, "E")) == ["MISSING_CHANGE", "ORDER"]


def test_a_link_that_fits_moves_too_where_an_order_needs_it():
    """Between two missing changes lives exchanged their insertions: no more rows are named."""
    _, order, _ = judged("-X YZ Z- -B A- -A B- -C CD FE", "E")

    assert order.kind is FindingKind.ORDER
    assert (order.since, order.until) == (moment(180), moment(360))


def test_rows_without_a_start_may_be_out_of_order_too():
    """The start stays a finding: no order of these rows has one."""
    assert sorted(classes("BC AB CD", "D")) == ["MISSING_START", "ORDER"]


def test_an_order_is_no_excuse_for_a_missing_row():
    """What no permutation closes stays missing."""
    assert classes("-A CD AB DE", "E") == ["MISSING_CHANGE"] * 3
    assert classes("-A A- BC", "C") == ["MISSING_INSERT"]
    # B- -B before it would close the chain, but an insertion would be missing then.
    assert classes("-B B- BC", "C") == ["MISSING_INSERT"]
    assert classes("A- -A AB", "B") == ["MISSING_START"]
    # BA AB BC would close, but explain nothing: the start is missing either way.
    assert classes("AB BA BC", "C") == ["MISSING_START", "MISSING_CHANGE"]


def test_a_displaced_row_far_away_is_found():
    """The distance does not matter, only how many links it breaks."""
    states = [chr(0x100 + n) for n in range(2000)]
    text = [f"{old}{new}" for old, new in zip(["-", *states], states, strict=False)]
    text[3], text[1900] = text[1900], text[3]

    (finding,) = judge_chain(KEYS, chain(" ".join(text)), Head(states[-1].encode()))

    assert finding.kind is FindingKind.ORDER
    assert (finding.since, finding.until) == (moment(180), moment(1900 * 60))


def test_a_chain_without_any_link_is_judged_in_bounded_time():
    """Ten thousand rows that never fit: each is a finding, and none is searched for long."""
    findings = judged(" ".join(["AB"] * 10_000))

    assert len(findings) == 10_000


@pytest.mark.parametrize(
    "text",
    [
        "-A =A@60 AB@60 BC@60 CD",  # before the changes of its second
        "-A =B@60 AB@60 BC@60 CD",  # between them
        "-A =C@60 AB@60 BC@60 CD",  # after them
        "=A@0 -A@0 AB",  # an insertion in the second of the first baseline
        "=B@0 AB@0 BC",  # the first row has a baseline, though it shows what came after
        "-A =B@60 AB@60 B-@60",
    ],
)
def test_a_baseline_shows_any_state_of_its_second(text):
    """It sorts first in its second, and was taken at some moment of it."""
    assert judged(text) == []


@pytest.mark.parametrize(
    ("text", "found", "since", "until"),
    [
        ("-A =X@60 AB@60 BC@60 CD", ["MISSING_CHANGE"], 0, 60),
        ("-A A- =X@120 -B@120 BC", ["MISSING_INSERT"], 60, 120),
        ("=X@0 AB@0 BC", ["MISSING_CHANGE"], None, 0),
        ("-A =A@60 BC@60", ["MISSING_CHANGE"], 0, 60),
        ("-A =B BC", ["MISSING_CHANGE"], 0, 60),
        ("-A =A BC", ["MISSING_CHANGE"], 60, 120),
        ("-A A- =B BC", ["MISSING_INSERT"], 60, 120),
        ("-A =A -B", ["MISSING_DELETE"], 60, 120),
    ],
)
def test_a_baseline_that_fits_nothing_is_a_finding(text, found, since, until):
    """Also one that fits on one side only, which tells when the missing change was made."""
    findings = judged(text)

    assert [finding.kind.value for finding in findings] == found
    assert findings[0].since == (None if since is None else moment(since))
    assert findings[0].until == moment(until)


def test_a_baseline_between_rows_that_fit_tells_of_two_missing_changes():
    """Somebody changed the item and changed it back."""
    assert classes("-A =X AB") == ["MISSING_CHANGE", "MISSING_CHANGE"]
    assert classes("-A A- =X -B") == ["MISSING_INSERT", "MISSING_DELETE"]


def test_a_baseline_shows_its_second_where_changes_are_stamped_more_finely():
    """Some engines stamp to the microsecond: then a baseline may show a later stamp's state."""
    early = Link(sort_key_of(moment(60), "0"), EventName.SNAPSHOT, moment(60), b"B", b"B")
    at = moment(60.5)
    later = Link(sort_key_of(at, "7"), EventName.MODIFY, at, b"A", b"B")

    assert judge_chain(KEYS, [*chain("-A"), early, later], Head(b"B")) == []


@pytest.mark.parametrize(
    ("text", "head", "found"),
    [
        ("-A ? CD", "D", []),
        ("? AB", "B", []),
        ("-A ?", "X", []),
        ("-A ? CD EF ? GH", "H", ["MISSING_CHANGE"]),
        ("-A ? CD", "X", ["HEAD_MISMATCH"]),
        ("AB ? CD", "D", ["MISSING_START"]),
        ("?", "X", []),
        ("? ?", "", []),
        ("-A ? DE CD EF", "F", ["ORDER"]),
        ("-A CD BC ? EF", "F", ["MISSING_CHANGE"] * 2),
        ("-A =X@60 ?@60 BC@60", "C", []),
        ("-A =X@60 ?@60 BC", "C", []),
        ("=A@0 ?@0 BC", "C", []),
    ],
)
def test_nothing_is_said_next_to_a_row_that_cannot_be_read(text, head, found):
    """Its states are not known, and everything further away is judged as ever."""
    assert classes(text, head) == found


def test_a_later_baseline_does_not_open_a_history():
    """Only one in the second of the first row tells what was there before it."""
    assert classes("AB BC =C@120 CD@120") == ["MISSING_START"]


def test_an_order_may_explain_many_broken_links():
    """All of seven rows turned round are one finding, also beside a change that is missing."""
    assert classes("-A GH FG EF DE CD BC AB HI XY", "Y") == ["ORDER", "MISSING_CHANGE"]


def test_several_links_that_fit_move_where_an_order_needs_them():
    """Between two missing changes lives exchanged their first three rows."""
    text = "-X YZ Z- -D DE EF CP PQ Q- -A AB BC FR RS S- XY"

    assert sorted(classes(text, "Y")) == ["MISSING_CHANGE", "MISSING_INSERT", "ORDER"]


def test_a_displaced_row_far_away_is_found_beside_a_missing_change():
    """The search has steps enough for both."""
    states = [chr(0x100 + n) for n in range(2000)]
    words = [f"{old}{new}" for old, new in zip(["-", *states], states, strict=False)]
    words[3], words[1900] = words[1900], words[3]

    assert classes(" ".join([*words, "XY"]), "Y") == ["ORDER", "MISSING_CHANGE"]
