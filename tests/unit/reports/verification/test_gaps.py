"""Declared gaps cover what they say, and nothing else."""

import json
from datetime import UTC, datetime

import pytest

from reports import ReportError
from reports.inputs.keys import KeySchema
from reports.verification.continuity import Finding, FindingKind
from reports.verification.gaps import Gap, declare, read_gaps
from tests.factories import number, text

ONE, TWO = {"Id": number(1)}, {"Id": number(2)}
SCHEMA = KeySchema({"Id": "N"})
KNOWN = {"cause": "x", "class": "ORDER"}


def hour(of_day):
    return None if of_day is None else datetime(2018, 3, 3, of_day, tzinfo=UTC)


def finding(found="MISSING_CHANGE", keys=ONE, since=10, until=12):
    return Finding(FindingKind(found), keys, hour(since), hour(until), None, "")


def gap(found="MISSING_CHANGE", keys=None, since=None, until=None):
    return Gap("known", FindingKind(found), keys, hour(since), hour(until))


@pytest.mark.parametrize(
    ("declared", "found", "covered"),
    [
        (gap(keys=ONE), finding(), True),
        (gap("MISSING_DELETE", ONE), finding(), False),
        (gap(keys={"Id": number("1.0")}), finding(), True),
        (gap(keys=TWO), finding(), False),
        (gap(since=10, until=12), finding(), True),
        (gap(since=11, until=12), finding(), False),
        (gap(since=10, until=11), finding(), False),
        (gap("HEAD_MISMATCH", since=9), finding("HEAD_MISMATCH", until=None), True),
        (gap("HEAD_MISMATCH", since=9, until=23), finding("HEAD_MISMATCH", until=None), False),
        (gap("MISSING_START", until=23), finding("MISSING_START", since=None), True),
        (gap("MISSING_START", since=0, until=23), finding("MISSING_START", since=None), False),
        (gap("MISSING_START", until=23), finding("MISSING_START", since=None, until=None), False),
        (
            gap("MISSING_START", ONE),
            finding("MISSING_START", since=None, until=None),
            True,
        ),
        (gap(keys=ONE), finding("DIGEST_MISMATCH"), False),
        (gap("KEY_MISMATCH", ONE), finding("KEY_MISMATCH"), True),
        (gap("KEY_MISMATCH", ONE), finding("DIGEST_MISMATCH"), False),
        (gap("DIGEST_MISMATCH", ONE, 12), finding("DIGEST_MISMATCH"), False),
    ],
)
def test_a_gap_covers_a_finding_that_lies_within_it(declared, found, covered):
    """By class, item and time; an altered row only if it was declared as one, item by item."""
    assert declared.covers(found) is covered


def test_covered_findings_stay_listed_with_their_cause():
    """The first gap that fits gives the cause."""
    first = Gap("outage", FindingKind.MISSING_CHANGE, TWO)
    second = Gap("noted", FindingKind.MISSING_CHANGE, None, hour(0), hour(23))

    declared = declare([finding(), finding(keys=TWO)], [first, second])

    assert [one.declared for one in declared] == ["noted", "outage"]
    assert declare([finding()], [first]) == [finding()]


@pytest.fixture
def read(tmp_path):
    """Reads a gaps file with such content."""
    path = tmp_path / "gaps.json"

    def write_and_read(content, schema=SCHEMA):
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_gaps(path, schema)

    return write_and_read


def test_a_file_is_read_whole(read):
    """Every field, and every field left out."""
    everything = {
        "cause": "outage of 3 March",
        "class": "MISSING_CHANGE",
        "key": {"Id": 1},
        "from": "2018-03-03T10:00:00Z",
        "to": "2018-03-03T13:00:00+01:00",
    }

    least = {"cause": "never backfilled", "class": "MISSING_START", "to": "2018-03-03T12:00:00Z"}

    assert read([everything, least]) == [
        Gap("outage of 3 March", FindingKind.MISSING_CHANGE, ONE, hour(10), hour(12)),
        Gap("never backfilled", FindingKind.MISSING_START, until=hour(12)),
    ]
    assert read([]) == []


@pytest.mark.parametrize(
    ("types", "given", "keys"),
    [
        ({"Id": "N"}, b'{"Id": 1}', ONE),
        ({"Id": "N"}, b'{"Id": "1"}', ONE),
        ({"Id": "N"}, b'{"Id": {"N": "1.0"}}', ONE),
        ({"Id": "N"}, b'{"Id": 12345678901234567890.5}', {"Id": number("12345678901234567890.5")}),
        ({"Id": "S"}, b'{"Id": "1"}', {"Id": text("1")}),
        ({"Id": "B"}, b'{"Id": "AAE="}', {"Id": {"B": b"\x00\x01"}}),
        (
            {"Artist": "S", "Year": "N"},
            b'{"Year": 1999, "Artist": {"S": "x"}}',
            {"Artist": text("x"), "Year": number(1999)},
        ),
    ],
)
def test_keys_are_plain_or_wire_values(read, types, given, keys):
    """As on the command line; numbers lose no digit on the way."""
    (declared,) = read(
        b'[{"cause": "x", "class": "ORDER", "key": ' + given + b"}]", KeySchema(types)
    )

    assert declared.keys == keys


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("x", r"not an object: write \{ \} with cause, class, key, from, to"),
        ({"class": "ORDER"}, "no cause: say in `cause` why something is missing"),
        ({"cause": " "}, "no cause"),
        (
            {"cause": "x", "klass": "ORDER"},
            "unknown field 'klass': use cause, class, key, from, to",
        ),
        ({"cause": "x", "class": "LOST"}, "unknown class 'LOST': use one of MISSING_CHANGE, MISSI"),
        ({"cause": "x", "class": None}, "unknown class 'None'"),
        ({"cause": "known"}, "no class: say in `class` what it covers, use one of MISSING_CHANGE"),
        (
            {**KNOWN, "key": 1},
            r"`key` is not an object: name the attributes of Id \(N\)",
        ),
        (
            {**KNOWN, "key": {"Id": "x"}},
            r"not a key of the table: Id is not a number; its ke",
        ),
        (
            {**KNOWN, "key": {"Name": "x"}},
            "not a key of the table: it has Name",
        ),
        (
            {**KNOWN, "from": "2h ago"},
            "`from`: '2h ago' is not a time: use ISO 8601",
        ),
        ({**KNOWN, "to": 5}, "`to`: .* is not a time"),
        (
            {**KNOWN, "from": "2018-03-04", "to": "2018-03-03"},
            "`from` is later than `to`: exchange them",
        ),
        ({"cause": "x", "class": "KEY_MISMATCH"}, "KEY_MISMATCH is declared item by item: add the"),
        ({"cause": "x", "class": "DIGEST_MISMATCH"}, "DIGEST_MISMATCH is declared item by item"),
        (KNOWN, "it has no bounds and .*: add `from` and `to`, or the"),
        ({**KNOWN, "from": "2018-03-03"}, "it has no bounds .*: add `to`"),
        ({"cause": "x", "class": "MISSING_START", "from": "2018-03-03"}, "it has .*: add `to`"),
        ({"cause": "x", "class": "HEAD_MISMATCH", "to": "2018-03-03"}, "it has .*: add `from`"),
    ],
)
def test_a_bad_entry_is_named_with_what_to_do(read, entry, problem):
    """File, entry, and how it should be: in one line."""
    with pytest.raises(ReportError, match=rf"gaps\.json, entry 2: {problem}") as raised:
        read([{"cause": "fine", "class": "ORDER", "key": {"Id": 1}}, entry])

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[{", r"gaps\.json is not JSON \(.*\): write a list of objects such as \[\{\"class\""),
        (b"\xff", r"gaps\.json is not JSON"),
        (b"[" * 100_000, r"gaps\.json is not JSON"),
        (
            b'[{"cause": "x", "class": "ORDER", "key": {"Id": NaN}}]',
            "entry 1: not a key of the table",
        ),
        (b"{}", r"gaps\.json holds no list: put its entries into \[ \]"),
    ],
)
def test_a_file_that_holds_no_gaps_is_refused(read, content, problem):
    """Nothing of it is taken for an empty list."""
    with pytest.raises(ReportError, match=problem):
        read(content)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    """A wrong name must not pass for no gaps."""
    with pytest.raises(ReportError, match=r"nope\.json cannot be read: No such file"):
        read_gaps(tmp_path / "nope.json", SCHEMA)


def test_a_gap_may_be_a_moment(read):
    """A change that was missing at a second is declared by that second."""
    moment = "2018-03-03T10:00:00Z"

    (gap_,) = read([{"cause": "outage", "class": "ORDER", "from": moment, "to": moment}])

    assert gap_.since == gap_.until == hour(10)
