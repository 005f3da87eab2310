"""What is missing between the rows of an item shows, with its class and its time."""

from dataclasses import replace
from itertools import zip_longest

import pytest

from reports.verification.continuity import FindingKind, Head, Link, Unreadable, judge_chain
from stream_core.change import EventName
from stream_core.history_row import sort_key_of
from tests.factories import STREAM_ARN
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
        return Link(sort_key_of(at, "0"), EventName.SNAPSHOT, at, after, after, STREAM_ARN)
    if before is None:
        name = EventName.INSERT
    elif after is None:
        name = EventName.REMOVE
    return Link(sort_key_of(at, str(place + 1)), name, at, before, after, STREAM_ARN)


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
    ("text", "head", "found"),
    [
        ("-A BC AB CD", "D", ["MISSING_CHANGE"] * 3),
        ("AB -A BC", "C", ["MISSING_START", "MISSING_DELETE", "MISSING_CHANGE"]),
        ("-A AB CD BC", "D", ["MISSING_CHANGE", "MISSING_CHANGE", "HEAD_MISMATCH"]),
        ("B- -B BA A-", "-", ["MISSING_START"]),
    ],
)
def test_rows_that_would_fit_in_another_order_are_no_excuse(text, head, found):
    """Their numbers say that they are where they belong: that they would fit is a coincidence."""
    assert classes(text, head) == found


def test_a_state_that_comes_back_hides_no_missing_change():
    """A status that goes to and fro, two of its changes lost."""
    assert classes("-O OC CO HO CO", "O") == ["MISSING_CHANGE", "MISSING_CHANGE"]


def test_a_break_may_also_be_a_row_that_was_rewritten():
    """Every class that tells of a missing change says both, and after which row."""
    findings = judged("AB CD -E E- FG", "H")

    assert [finding.kind.value for finding in findings] == [
        "MISSING_START",
        "MISSING_CHANGE",
        "MISSING_DELETE",
        "MISSING_INSERT",
        "HEAD_MISMATCH",
    ]
    assert all("missing" in finding.detail for finding in findings)
    assert all("rewritten" in finding.detail for finding in findings)
    rows = [row.sort_key for row in chain("AB CD -E E- FG")]
    assert [finding.follows for finding in findings] == [None, rows[0], rows[1], rows[3], rows[4]]


def numbered(text, *numbers, streams=()):
    """The rows of a chain with other sequence numbers, and of other streams than one."""
    return [
        replace(
            row,
            sort_key=sort_key_of(row.created_at, str(number)),
            stream=stream,
        )
        for row, number, stream in zip_longest(chain(text), numbers, streams, fillvalue="one")
    ]


def test_numbers_that_contradict_the_stored_order_are_a_finding():
    """The clock went back: the numbers tell the true order, in which nothing is missing."""
    rows = numbered("-A CD BC AB DE", 1, 4, 3, 2, 5)

    (finding,) = judge_chain(KEYS, rows, Head(b"E"))

    assert finding.kind is FindingKind.ORDER
    assert (finding.since, finding.until) == (moment(60), moment(180))
    assert finding.sort_key == rows[1].sort_key
    assert finding.detail == (
        f"3 rows from this one to {rows[3].sort_key}: their sequence numbers tell another order "
        "than their times"
    )


def test_a_change_that_is_missing_among_rows_out_of_order_is_told_too():
    """In the order of the numbers, between times that may go back."""
    rows = numbered("-A DE AB EF", 1, 3, 2, 4)

    order, missing = judge_chain(KEYS, rows, Head(b"F"))

    assert (order.kind, missing.kind) == (FindingKind.ORDER, FindingKind.MISSING_CHANGE)
    assert (missing.since, missing.until) == (moment(60), moment(120))
    assert (missing.follows, missing.sort_key) == (rows[2].sort_key, rows[1].sort_key)


def test_every_group_of_rows_out_of_order_is_told():
    """Those between which the numbers grow are groups of their own."""
    rows = numbered("AB -A BC DE CD", 2, 1, 3, 5, 4)

    assert [
        (finding.kind.value, finding.sort_key) for finding in judge_chain(KEYS, rows, Head(b"E"))
    ] == [("ORDER", rows[0].sort_key), ("ORDER", rows[3].sort_key)]


def test_numbers_of_two_streams_do_not_compare():
    """A stream that was made anew may count from anywhere."""
    assert judge_chain(KEYS, numbered("-A AB BC CD", 8, 9, 1, 2, streams="oott"), Head(b"D")) == []
    assert [
        finding.kind.value
        for finding in judge_chain(KEYS, numbered("-A BC AB CD", 8, 10, 9, 2, streams="ooot"))
    ] == ["ORDER"]


def test_a_baseline_among_rows_out_of_order_shows_any_state_of_theirs():
    """Its time says as little as theirs do."""
    shown = numbered("-A CD =X@90 AB BC DE", 1, 4, 0, 2, 3, 5)
    assert [one.kind.value for one in judge_chain(KEYS, shown)] == ["ORDER", "MISSING_CHANGE"]
    shown = numbered("-A CD =B@90 AB BC DE", 1, 4, 0, 2, 3, 5)
    assert [one.kind.value for one in judge_chain(KEYS, shown)] == ["ORDER"]


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
    early = Link(
        sort_key_of(moment(60), "0"), EventName.SNAPSHOT, moment(60), b"B", b"B", STREAM_ARN
    )
    at = moment(60.5)
    later = Link(sort_key_of(at, "7"), EventName.MODIFY, at, b"A", b"B", STREAM_ARN)

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
        ("-A ? DE CD EF", "F", ["MISSING_CHANGE"] * 2),
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
