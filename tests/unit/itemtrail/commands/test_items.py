"""The commands about one item."""

import json
import re

from tests.factories import number
from tests.unit.itemtrail.outputs import only_line
from tests.unit.itemtrail.trail import AT, KEYS, OLD, ROWS, Trail


def test_history_as_json_is_whole_and_in_dynamodbs_own_form(run):
    """Numbers stay text, binary is base64 with its type, absence is null."""
    status, out, err = run("history", "1")

    first, second, third = json.loads(out)
    assert (status, err) == (0, "")
    assert first == {
        "key": KEYS,
        "valid_from": "2018-03-03T14:06:00.000000Z",
        "valid_to": "2018-03-03T14:06:00.000000Z",
        "is_current": False,
        "event_name": "INSERT",
        "sequence_number": "1",
        "event_id": "event-1",
        "changed": ["Id", "Name", "Salary"],
        "old_image": None,
        "new_image": OLD,
        "user_identity": None,
        "fault": None,
        "run": None,
        "run_by": None,
    }
    assert second["new_image"]["Photo"] == {"B": "AAE="}
    assert second["changed"] == ["Name", "Photo", "Salary"]
    assert third["new_image"] is None
    assert third["user_identity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def test_history_as_a_table_shows_what_changed(run):
    """A person sees the order within a second, the changed values, and an expiry as such."""
    _, out, _ = run("history", "1", "--output", "table")

    assert "History of Id=1" in out
    assert "~ Name: Murali → Murali Allada" in out
    assert "- Salary: 4200.50" in out
    assert out.count("2018-03-03 14:06:00") == 1
    assert out.count("same second") == 2
    assert "REMOVE (TTL)" in out


def test_nothing_recorded_exits_with_1_and_says_so_apart_from_the_data(run):
    """A script can tell, and what it reads is still JSON."""
    status, out, err = run("history", "1", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (1, [])
    assert only_line(err) == "nothing is recorded of Id=1"


def test_as_of_carries_its_certainty(run):
    """The answer says how sure it is, since when it holds, and on which row it rests."""
    _, out, _ = run("as-of", "1", "--at", "2018-03-03T14:06:00Z")

    answer = json.loads(out)
    assert answer["item"] == OLD
    assert answer["certainty"] == "exact"
    assert answer["reason"] == "the rows before and after fit each other"
    assert answer["valid_from"] == "2018-03-03T14:06:00.000000Z"
    assert answer["row"] == {
        "event_name": "INSERT",
        "sequence_number": "1",
        "event_id": "event-1",
    }


def test_diff_shows_marks_and_both_values(run):
    """Removed, changed and added attributes are told apart."""
    _, out, _ = run("diff", "1", "--from", "2018-01-01", "--output", "table")

    lines = [line.split() for line in out.splitlines()]
    assert ["~", "Name", "Murali", "Murali", "Allada"] in lines
    assert ["+", "Photo", "base64:AAE="] in lines
    assert ["-", "Salary", "4200.50"] in lines


def test_diff_as_json_has_both_states(run):
    """A program gets the states that were compared, with their certainties."""
    _, out, _ = run("diff", "1", "--from", "2018-01-01")

    answer = json.loads(out)
    assert {"path": "Salary", "change": "removed", "old": number("4200.50"), "new": None} in answer[
        "differences"
    ]
    assert answer["from"]["certainty"] == answer["to"]["certainty"] == "exact"


def test_diff_line_by_line_has_the_key_and_the_certainty(run):
    """Lines can be put together with those of another item, and each says how sure it is."""
    _, out, _ = run("diff", "1", "--from", "2018-01-01", "--output", "jsonl")

    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["path"] for line in lines] == ["Name", "Photo", "Salary"]
    assert all(line["key"] == KEYS and line["certainty"] == "exact" for line in lines)


def test_a_diff_without_a_line_says_how_sure_it_is(run):
    """In lines and CSV nothing else would tell that an answer is only bounded."""
    trail = Trail()
    state = trail.as_of(KEYS, AT)
    trail.differences = lambda *_: (state, state, [])

    status, out, err = run("diff", "1", "--from", "2018-01-01", "--output", "jsonl", trail=trail)

    assert (status, out) == (0, "")
    assert "nothing differs (exact: the rows before and after fit each other)" in err


def test_blame_names_the_change_and_the_actor(run):
    """For every path there is since when it is so, by which change, and by whom."""
    _, out, err = run("blame", "1", "--actor-attribute", "Name")

    by_path = {one["path"]: one for one in json.loads(out)}
    assert only_line(err).startswith("as of 20")
    assert by_path["Salary"] == {
        "key": KEYS,
        "path": "Salary",
        "value": number("4200.50"),
        "since": "2018-03-03T14:06:00.000000Z",
        "event_name": "INSERT",
        "sequence_number": "1",
        "event_id": "event-1",
        "actor": "Murali",
        "actor_source": "attribute",
        "actor_caveat": None,
        "certainty": "exact",
        "basis": "declared",
        "reason": "recorded",
        "run": None,
        "run_by": None,
    }


def test_blame_of_an_item_that_was_not_there_exits_with_1(run):
    """There is nothing to blame, and the line says how sure that is."""
    status, out, err = run("blame", "1", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (1, [])
    assert err.splitlines()[1:] == ["there was no Id=1 then (bounded: a change is missing)"]


def test_timeline_tells_the_time_before_and_after_the_rows(run):
    """Spans without a row are told too, with the length of each and its certainty."""
    status, out, _ = run("timeline", "1", "--output", "table")

    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert status == 0
    assert "○ 2018-03-02 14:06:00 1 day not there" in lines
    assert "● 2018-03-03 14:06:00 under 1 s existed + Name: Murali" in lines
    assert re.search(r"○ +same second +\d+ days .*deleted +expired \(TTL\)", out)
    assert "exact throughout" in lines


def test_timeline_marks_a_gap(run):
    """Where a change is missing the span before it says so, and so does the last line."""
    _, out, _ = run("timeline", "1", "--output", "table", trail=Trail(rows=[ROWS[0], ROWS[2]]))

    assert "bounded: a change is missing between the rows before and after" in out
    assert "1 span not exact: the reason stands beside each" in out


def test_timeline_of_an_item_that_never_was_exits_with_1(run):
    """The answer still tells how sure that is."""
    status, out, err = run("timeline", "1", trail=Trail(rows=[]))

    assert status == 1
    assert [one["exists"] for one in json.loads(out)] == [False]
    assert only_line(err) == "nothing is known of Id=1"
