"""A plan as a file: what was approved is what is carried out, to the byte."""

import hashlib
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from operations.errors import PlanFileError
from operations.execution.left_out import LeftOut
from operations.execution.plan_file import (
    Plan,
    PlanAction,
    PlanHeader,
    PlanItem,
    PlanTable,
    action_on,
    read_plan,
    state_digest,
    write_plan,
)
from operations.recovery.conflicts import Conflict
from reports.states.differences import Difference
from reports.states.timeline import Certainty
from stream_core.attribute_values import digest
from tests.disk import durable_steps, full_disk, recorded_steps

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
TABLE = PlanTable(
    "arn:aws:dynamodb:eu-central-1:123456789012:table/Employee", "3f1f2a60", NOON.replace(year=2025)
)
HEADER = PlanHeader(
    "undo",
    {"since": "2026-03-03T11:00:00.000000Z", "actor": "payroll", "rate": 2.5},
    TABLE,
    "arn:aws:dynamodb:eu-central-1:123456789012:table/EmployeeHistory",
    f"{TABLE.arn}/stream/2026-01-01T00:00:00.000",
    NOON.replace(hour=11),
    NOON,
    "kim",
    "itemtrail 1.0",
)
OLD, NEW = {"Id": {"N": "1"}, "Pay": {"N": "1.50"}}, {"Id": {"N": "1"}, "Pay": {"N": "2"}}
BINARY = {"Id": {"N": "2"}, "Photo": {"B": b"\x00\xff"}, "é\udcff": {"BS": [b"1", b""]}}
ITEMS = (
    PlanItem(
        1,
        {"Id": {"N": "1"}},
        PlanAction.UPDATE,
        (Difference(("Pay",), {"N": "1.50"}, {"N": "2"}),),
        state_digest(OLD),
        state_digest(NEW),
        ("2026-03-03T11:30:00.000000Z#0000000000000000000000000000000000000007",),
        ("it was bounded: a change may be on its way",),
        certainty=Certainty.BOUNDED,
    ),
    PlanItem(
        2,
        {"Id": {"N": "2"}},
        PlanAction.DELETE,
        (Difference((), {"M": BINARY}, None),),
        state_digest(BINARY),
        None,
    ),
    PlanItem(
        3,
        {"Id": {"N": "3"}},
        PlanAction.PUT,
        (Difference((), None, {"M": {"Id": {"N": "3"}, "Lines": {"L": [{"NULL": True}]}}}),),
        None,
        "ab",
    ),
)
THREE = ITEMS[2].keys
LEFT_OUT = (
    LeftOut(
        THREE,
        "conflict",
        conflicts=(
            Conflict(THREE, ("Pay", 0), {"N": "1"}, None, {"B": b"\x00"}, "written since"),
            Conflict(THREE, (), {"M": BINARY}, {"M": BINARY | THREE}, None),
        ),
        because=("a row",),
    ),
    LeftOut({"Id": {"N": "4"}}, "refused", "nothing knows the key"),
)
PLAN = Plan(HEADER, ITEMS, LEFT_OUT)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "undo.plan"


@pytest.fixture
def content(path):
    write_plan(path, PLAN)
    return path.read_bytes()


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        Plan(replace(HEADER, history=None, stream_arn=None, watermark=None), ITEMS[:1]),
        Plan(HEADER, (), LEFT_OUT[1:]),
        Plan(
            replace(HEADER, counts={"conflict": {"written since": 2}}, totals={"baselines": 3}), ()
        ),
    ],
)
def test_what_is_kept_is_read(path, plan):
    """Also without a history, and where there are counts instead of items."""
    written = write_plan(path, plan)

    again = read_plan(path)

    assert again == plan
    assert again.digest == written == plan.digest


def test_the_digest_is_of_all_bytes_before_the_last_line(content):
    """So that any program can tell what was approved: `sed '$d' F | sha256sum`."""
    *lines, last = content.splitlines(keepends=True)

    sha256 = hashlib.sha256(b"".join(lines)).hexdigest()

    assert f"sha256:{sha256}" == PLAN.digest
    assert json.loads(last) == {"items": 3, "deletes": 1, "sha256": sha256}
    assert json.loads(lines[0])["itemtrail_plan"] == 1


def test_two_plans_have_two_digests():
    """Whatever it is that differs between them."""
    others = [
        Plan(replace(HEADER, made_at=NOON.replace(hour=13)), ITEMS),
        Plan(replace(HEADER, arguments={**HEADER.arguments, "rate": 2.0}), ITEMS),
        Plan(HEADER, ITEMS[:2], LEFT_OUT),
        Plan(HEADER, (replace(ITEMS[0], notes=()), *ITEMS[1:]), LEFT_OUT),
        Plan(HEADER, ITEMS),
        Plan(HEADER, ITEMS, (replace(LEFT_OUT[0], conflicts=()), *LEFT_OUT[1:])),
    ]

    assert len({PLAN.digest, *(plan.digest for plan in others)}) == 7


def test_a_flipped_bit_is_refused(path, content):
    """Whichever byte it is in, those of the last line included."""
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])

        with pytest.raises(PlanFileError):
            read_plan(path)


def test_a_file_that_was_cut_is_refused(path, content):
    """Wherever it ends: nothing of it is carried out."""
    for length in range(len(content)):
        path.write_bytes(content[:length])

        with pytest.raises(PlanFileError):
            read_plan(path)


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_a_file_without_its_end_says_so(path, content, keep):
    """A line that is whole ends no plan."""
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:keep]))

    with pytest.raises(PlanFileError, match="was cut short: make it anew"):
        read_plan(path)


def _sealed(lines):
    """Lines with the last line that a program of another hand would write."""
    body = b"".join(lines)
    last = {"items": len(ITEMS), "deletes": 1, "sha256": hashlib.sha256(body).hexdigest()}
    return body + json.dumps(last, separators=(",", ":")).encode() + b"\n"


def test_the_same_lines_sealed_are_accepted(path, content):
    """What the next tests edit is what makes them fail."""
    path.write_bytes(_sealed(content.splitlines(keepends=True)[:-1]))

    assert read_plan(path) == PLAN


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"n":2', b'"n":7'),
        (b'"n":2', b'"n":2,"n":2'),
        (b'"n":1', b'"n":true'),
        (b'"action":"delete"', b'"action":"update"'),
        (b'{"n":2', b'{ "n":2'),
        (b'"notes":[]', b'"notes":[],"also":1'),
        (b'{"N":"2"}', b'{"N":"two"}'),
        (b'"edits":[', b'"edits":[7,'),
        (b'"made_by":"kim"', b'"made_by":"k\\u0069m"'),
        (b'"key":{"Id"', b'"key":{"":{"S":""},"Id"'),
        (b'"before":null', b'"before":' + b"[" * 100_000),
        (b'"wanted":null', b'"wanted":7'),
        (b'"reason":"written since"', b'"reason":"written since","also":1'),
    ],
)
def test_a_line_of_another_hand_is_refused(path, content, was, becomes):
    """Even where its digest holds: two readers must not make two plans of it."""
    edited = content.replace(was, becomes, 1)
    assert edited != content
    path.write_bytes(_sealed(edited.splitlines(keepends=True)[:-1]))

    with pytest.raises(PlanFileError, match="not as it was written"):
        read_plan(path)


def test_what_is_left_out_comes_last(path, content):
    """Another order would be other bytes, and say the same."""
    header, *lines, _ = content.splitlines(keepends=True)
    path.write_bytes(_sealed([header, *lines[3:], *lines[:3]]))

    with pytest.raises(PlanFileError, match="not as it was written"):
        read_plan(path)


def test_more_after_the_end_is_refused(path, content):
    """What follows was not approved."""
    path.write_bytes(content + content.splitlines(keepends=True)[-1])

    with pytest.raises(PlanFileError, match="not as it was written"):
        read_plan(path)


@pytest.mark.parametrize("content", [b"", b"Dear Kim,\n", b"[1]\n", b"\xff", b'{"format":1}\n'])
def test_a_file_of_something_else_is_refused(path, content):
    """It is left as it is: it may be somebody's letter."""
    path.write_bytes(content)

    with pytest.raises(PlanFileError, match="no plan of this program"):
        read_plan(path)
    assert path.read_bytes() == content


def test_a_plan_of_another_version_says_so(path, content):
    """A newer program may mean something else by it."""
    path.write_bytes(content.replace(b'"itemtrail_plan":1', b'"itemtrail_plan":2'))

    with pytest.raises(PlanFileError, match="another version of this program: make it anew"):
        read_plan(path)


def test_a_file_that_is_not_there_is_one_line(path):
    """As is one in a folder that is not there, and a folder."""
    with pytest.raises(PlanFileError, match="cannot be read: No such file"):
        read_plan(path)
    with pytest.raises(PlanFileError, match="cannot be read: Is a directory"):
        read_plan(path.parent)
    with pytest.raises(PlanFileError, match="cannot be written: No such file"):
        write_plan(path / "no" / "folder", PLAN)


def test_a_plan_is_its_owners_alone_and_replaced_as_a_whole(path, monkeypatch):
    """It holds what items held."""
    path.write_bytes(b"old")
    path.chmod(0o644)
    steps = recorded_steps(monkeypatch)

    write_plan(path, PLAN)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert steps == durable_steps(path)


def test_a_full_disk_leaves_the_plan_that_was_there(path, content, monkeypatch):
    """And says that there is no new one."""
    full_disk(monkeypatch)

    with pytest.raises(PlanFileError, match="cannot be written: No space left"):
        write_plan(path, Plan(HEADER, ()))
    assert path.read_bytes() == content


def test_a_state_is_known_by_the_digest_of_its_own_attributes():
    """An absent item has none, and what leads to or from it is a put or a delete."""
    assert state_digest(OLD) == digest(OLD).hex()
    assert state_digest(None) is None
    assert action_on("a", "b") is PlanAction.UPDATE
    assert action_on(None, "b") is PlanAction.PUT
    assert action_on("a", None) is PlanAction.DELETE
    assert PLAN.deletes == 1
