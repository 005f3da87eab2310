"""Items come back as they were, and nobody's later write is lost by it (on moto)."""

from dataclasses import replace

import pytest

from operations.execution.item_writer import WriteOutcome
from operations.execution.pace import Pace
from operations.recovery.conditions import (
    GUARDED_IN_PART,
    UnwritableError,
    delete_request,
    replace_request,
    update_request,
)
from operations.recovery.conflicts import Conflict
from operations.recovery.plan_items import restored_items
from operations.recovery.restore_items import plan_restore
from reports.access.machine import Machine
from reports.states.differences import Difference, differences
from reports.states.timeline import Certainty
from stream_core.attribute_values import same_item
from stream_core.history_row import HistoryRow
from tests.carried_out import carried_out_restore, outcomes_of
from tests.factories import change, item, nested, number, text
from tests.fakes import DENIED, INVALID, read_timeout
from tests.followed_table import FollowedTable, LostAnswer
from tests.recorded_table import HISTORY, SOURCE

KEY = {"Id": text("1")}
EVERYTHING = {
    "no text": text(""),
    "digits": number("9" * 38),
    "bytes": {"B": b"\x00\xff"},
    "texts": {"SS": ["b", "a"]},
    "numbers": {"NS": ["2", "1"]},
    "binaries": {"BS": [b"2", b"1"]},
    "null": {"NULL": True},
    "list": {"L": [{"M": {}}, {"L": []}, {"SS": ["y", "x"]}]},
    "a.b": {"M": {"S": {"M": {"N": text("v")}}}},
    "deep": nested(30),
}


class RestorableTable(FollowedTable):
    """Whose items are restored."""

    live = FollowedTable.record_states

    def delete(self):
        self.client.delete_item(TableName=SOURCE, Key=KEY)

    def add(self, name, value=None):
        self.client.update_item(
            TableName=SOURCE,
            Key=KEY,
            UpdateExpression="SET #n = :v",
            ExpressionAttributeNames={"#n": name},
            ExpressionAttributeValues={":v": value or text("theirs")},
        )

    def plans(self, minute=0, keys=(KEY,), **options):
        return plan_restore(self.deployment, keys, self.at(minute), pace=Pace(), **options)

    def restore(self, *which, pace=None, **options):
        return self.carry_out(self.plans(*which, **options), pace)

    def carry_out(self, plans, pace=None):
        return carried_out_restore(self.deployment, plans, pace or self.pace())


@pytest.fixture
def world(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return RestorableTable(session)


def ada(**more):
    return item("1", Name=text("Ada"), Salary=number(1), **more)


def eve(**more):
    return item("1", Name=text("Eve"), Salary=number(1), **more)


def test_a_changed_item_is_what_it_was(world):
    """Only what differs is written: what came is removed, what went is set."""
    world.live(ada(Old=text("x")), eve(New=text("y")))

    result = world.restore()

    assert result.is_clean
    assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}
    assert world.item() == ada(Old=text("x"))
    ((operation, request),) = world.racing.written
    assert operation == "Update"
    assert set(request["ExpressionAttributeNames"].values()) == {
        "Id",
        "Name",
        "Old",
        "New",
        "Salary",
    }
    assert request["UpdateExpression"].count("#") == 3


def test_every_type_comes_back_exactly(world):
    """Sets, binary, empty values, 38 digits, nesting; on a condition of all of them."""
    gone = dict.fromkeys(EVERYTHING, text("gone"))
    world.live(item("1", **EVERYTHING), item("1", **gone))
    world.live(item("2", **EVERYTHING), item("2", **gone), item("2", **EVERYTHING), identifier="2")

    there = world.restore(0)
    back = world.restore(1, [{"Id": text("2")}])

    assert there.is_clean
    assert same_item(world.item(), item("1", **EVERYTHING))
    assert back.is_clean
    assert same_item(world.item("2"), item("2", **gone))


def test_a_deleted_item_is_put_back(world):
    """Whole, on the condition that nobody else has."""
    world.live(ada(), None)

    assert world.restore().is_clean
    assert world.item() == ada()


def test_an_item_that_was_not_there_is_deleted(world):
    """It did not exist as of the instant, and that is sure."""
    world.live(None, ada())

    result = world.restore()

    assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}
    assert world.item() is None


def test_a_dry_run_shows_the_plan_and_writes_nothing(world):
    """The states then and now, and what differs, by path."""
    world.live(ada(Tags={"M": {"a": number(1)}}), eve(Tags={"M": {"a": number(2)}}))

    (plan,) = world.plans()

    assert (plan.is_needed, plan.refusal) == (True, None)
    assert plan.then.image["Name"] == text("Ada")
    assert plan.now.image["Name"] == text("Eve")
    assert plan.differences == (
        Difference(("Name",), text("Eve"), text("Ada")),
        Difference(("Tags", "a"), number(2), number(1)),
    )
    assert world.item()["Name"] == text("Eve")
    assert world.racing.written == []


def test_an_item_that_is_what_it_was_is_left_alone(world):
    """Nothing is written, and that is said."""
    world.live(ada(), eve(), ada())

    result = world.restore()

    assert result.is_clean
    assert result.items[0].reason == "it is what it was"
    assert world.racing.written == []


def test_each_item_is_told_what_became_of_it(world, capsys):
    """A delete waits for the history: it is told after what was planned after it."""
    world.live(None, ada())
    for name in "23":
        world.live(item(name, V=number(1)), item(name, V=number(2)), identifier=name)
    plans = world.plans(keys=[{"Id": text(name)} for name in "123"])
    world.put(item("3", V=number(7)))

    result = world.carry_out(plans)

    assert {one.plan.keys["Id"]["S"]: one.outcome for one in result.items} == {
        "1": WriteOutcome.WRITTEN,
        "2": WriteOutcome.WRITTEN,
        "3": WriteOutcome.CONFLICT,
    }
    assert "interrupted" not in capsys.readouterr().err


def test_an_uncertain_state_is_refused(world):
    """Unless it is asked for: a change is missing between the rows."""
    world.live(ada(), eve(), ada(Salary2=number(2)), missing={1})

    refused = world.restore()
    untouched = world.item()
    allowed = world.restore(allow_uncertain=True)

    assert not refused.is_clean
    assert refused.items[0].plan.then.certainty is Certainty.BOUNDED
    assert "only bounded: a change is missing" in refused.items[0].reason
    assert untouched == ada(Salary2=number(2))
    assert allowed.is_clean
    assert allowed.items[0].reason == refused.items[0].reason
    assert world.item() == ada()


def test_what_is_set_is_written_beside_what_comes_back(world):
    """To an item that changes or is put back, in a map that is made for it; to no other."""
    world.live(ada(), eve())
    stamps = {("Who",): text("grace"), ("Meta", "Why"): text("a mistake")}
    beside = {"Who": text("grace"), "Meta": {"M": {"Why": text("a mistake")}}}

    changed = world.restore(stamps=stamps)
    after_change = world.item()
    world.delete()
    put_back = world.restore(stamps=stamps)
    after_put = world.item()
    world.delete()
    world.put(ada())
    untouched = world.restore(stamps=stamps)

    assert after_change == after_put == {**ada(), **beside}
    assert changed.is_clean
    assert put_back.is_clean
    assert (outcomes_of(untouched), world.item()) == ({}, ada())


def test_what_has_no_place_in_an_item_is_refused(world):
    """A text has no attributes in it, and is not replaced by a map."""
    world.live(item("1", Meta=text("x")), item("1", Meta=text("y")))

    result = world.restore(stamps={("Meta", "Why"): text("a mistake")})

    assert result.items[0].reason == "there is no place for Meta.Why in it"
    assert world.item() == item("1", Meta=text("y"))


def test_a_key_that_nothing_knows_is_no_success(world):
    """It is misspelt, most probably; one that was deleted before is what it was."""
    world.live(item("1", A=number(1)), None)

    gone, unknown = world.plans(minute=1, keys=(KEY, {"Id": text("nowhere")}))

    assert (gone.refusal, gone.is_needed) == (None, False)
    assert unknown.refusal == "neither the table nor its history knows such a key: is it right?"


def test_an_altered_history_restores_nothing(world):
    """Not even where uncertain states are allowed."""
    world.live(ada(), eve())
    row = HistoryRow.from_change(change(None, ada(), at=world.at(0).timestamp(), sequence=1))
    forged = row.to_item(4) | {"NewImage": {"M": ada(Bonus=number(1_000_000))}}
    world.client.put_item(TableName=HISTORY, Item=forged)

    result = world.restore(allow_uncertain=True)

    assert not result.is_clean
    assert "its history is not intact: digest mismatch" in result.items[0].reason
    assert world.item() == eve()


def test_a_row_of_another_table_restores_nothing(world):
    """It may be just what was written there: which table, is what has to be known."""
    world.live(ada(), eve())
    row = change(None, ada(), at=world.at(0).timestamp(), sequence=1)
    arn = row.event_source_arn.replace("/stream/", "-2/stream/")
    foreign = replace(row, event_source_arn=arn)
    world.client.put_item(TableName=HISTORY, Item=HistoryRow.from_change(foreign).to_item(4))

    (refused,) = world.plans()

    of_another = f"its history has a row of another table: it is of {arn}, not of the followed"
    assert refused.refusal.startswith(of_another)


def test_a_change_after_the_plan_is_a_conflict(world):
    """Nothing is written, and what was expected, found and wanted is said."""
    world.live(ada(), eve())
    plans = world.plans()
    world.put(item("1", Name=text("Eva"), Salary=number(2)))

    result = world.carry_out(plans)

    (one,) = result.items
    assert (one.outcome, one.reason) == (WriteOutcome.CONFLICT, "it is no longer what the plan saw")
    assert one.conflicts == (Conflict(KEY, ("Name",), text("Eve"), text("Eva"), text("Ada")),)
    assert not result.is_clean
    assert world.item()["Name"] == text("Eva")


def test_a_change_of_what_does_not_differ_is_a_conflict_too(world):
    """The item would not be what it was."""
    world.live(ada(), eve())
    world.racing.script("transact_write_items", lambda: world.add("Salary", number(7)))

    (one,) = world.restore().items

    assert (one.outcome, one.reason) == (WriteOutcome.CONFLICT, "it has changed meanwhile")
    assert world.item()["Name"] == text("Eve")


def test_an_attribute_that_comes_at_the_same_moment_is_kept(world):
    """No condition can rule it out, and no update takes it away."""
    world.live(ada(), eve())
    world.racing.script("transact_write_items", lambda: world.add("Theirs"))

    result = world.restore()

    assert outcomes_of(result) == {WriteOutcome.MIXED: 1}
    assert not result.is_clean
    assert world.item() == ada(Theirs=text("theirs"))


def test_an_item_deleted_meanwhile_is_not_made_anew(world):
    """An update would otherwise make one of the attributes it sets."""
    world.live(item("1", Name=text("Ada")), item("1"))
    world.racing.script("transact_write_items", world.delete)

    (one,) = world.restore().items

    assert one.outcome is WriteOutcome.CONFLICT
    assert one.reason == "it has changed meanwhile"
    assert world.item() is None


def test_an_item_put_back_by_somebody_else_is_left_to_them(world):
    """Theirs is not overwritten."""
    world.live(ada(), None)
    world.racing.script("transact_write_items", lambda: world.put(eve()))

    (one,) = world.restore().items

    assert one.outcome is WriteOutcome.CONFLICT
    assert one.conflicts == (Conflict(KEY, (), None, {"M": eve()}, {"M": ada()}),)
    assert world.item() == eve()


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_delete_takes_nothing_along(world, is_seen):
    """What changes at the same moment refuses it; what is added is put back with the item."""
    world.live(None, ada())
    change_ = (lambda: world.add("Name")) if is_seen else (lambda: world.add("Theirs"))
    world.racing.script("transact_write_items", change_)

    (one,) = world.restore().items

    assert one.outcome is WriteOutcome.CONFLICT
    theirs = {"Name": text("theirs")} if is_seen else {"Theirs": text("theirs")}
    assert world.item() == ada() | theirs
    assert [conflict.path for conflict in one.conflicts] == [()]


def test_an_item_that_cannot_be_put_back_is_told(world):
    """Somebody has put another in its place: theirs stays, and the history has the rest."""
    world.live(None, ada())
    world.racing.script(
        "transact_write_items", lambda: world.add("Theirs"), lambda: world.put(eve())
    )

    (one,) = world.restore().items

    assert one.outcome is WriteOutcome.CONFLICT
    assert "could not be put back: see its history" in one.reason
    assert world.item() == eve()


@pytest.mark.parametrize("states", [(ada(), eve()), (ada(), None), (None, ada())])
def test_a_lost_answer_is_no_conflict(world, states):
    """Sent again, the request is known by its token."""
    world.live(*states)
    world.racing.script("transact_write_items", LostAnswer(read_timeout()))

    result = world.restore()

    assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}
    assert world.item() == states[0]


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        (DENIED, WriteOutcome.UNSENT, "the table answers AccessDeniedException"),
        (INVALID, WriteOutcome.REFUSED, "the table answers ValidationException"),
    ],
)
def test_what_the_table_does_not_do_is_told(world, error, verdict, reason):
    """With its code; the item is as it was."""
    world.live(ada(), eve())
    world.racing.script("transact_write_items", error)

    (one,) = world.restore().items

    assert one.outcome is verdict
    assert reason in one.reason
    assert world.item() == eve()


def test_what_global_tables_add_is_theirs(world):
    """Neither compared nor written, nor a reason to put a deleted item back."""
    theirs = {"aws:rep:updatetime": number(1)}
    world.live(ada(**theirs), eve(**{"aws:rep:updatetime": number(2)}))

    assert world.restore().is_clean
    assert world.item() == ada(**{"aws:rep:updatetime": number(2)})
    world.live(None, ada(**theirs))
    assert world.restore(-1).is_clean
    assert world.item() is None


def many(count, value):
    return item("1", **{f"attribute {n}": number(value) for n in range(count)})


def test_an_item_of_very_many_attributes_is_restored(world):
    """A condition has no room for all: what it cannot name is looked at afterwards."""
    world.live(many(400, 1), many(400, 1) | {"attribute 7": number(2)})
    world.racing.script("transact_write_items", lambda: world.add("attribute 399", number(5)))

    (one,) = world.restore().items

    assert one.outcome is WriteOutcome.MIXED
    assert world.item() == many(400, 1) | {"attribute 399": number(5)}
    ((_, request),) = world.racing.written
    assert request["ConditionExpression"].count(" AND ") == 149


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (many(200, 1), many(200, 2)),
        (item("1", Data={"B": b"1" * 2_000}, Last=number(1)), item("1", Data={"B": b"2"})),
    ],
    ids=["many", "large"],
)
class TestMoreThanAnUpdateCanExpress:
    """More changes than an expression may name, or larger ones than an update may be."""

    @pytest.fixture(autouse=True)
    def _small_updates(self, monkeypatch):
        # moto takes no item that comes near the real limit.
        monkeypatch.setattr("operations.recovery.conditions._MOST_SET_BYTES", 2_000)

    def test_the_item_is_put_in_the_place_of_the_other(self, world, before, after):
        """On the condition of all that there is room for."""
        world.live(before, after)

        result = world.restore()

        assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}
        assert same_item(world.item(), before)
        ((operation, request),) = world.racing.written
        assert operation == "put_item"
        assert len(request["ConditionExpression"]) <= 4096

    def test_what_comes_at_the_same_moment_is_put_back(self, world, before, after):
        """With the item as it was: a put takes along what it cannot see."""
        world.live(before, after)
        world.racing.script("put_item", lambda: world.add("Theirs"))

        (one,) = world.restore().items

        assert one.outcome is WriteOutcome.CONFLICT
        assert "was put back with that change" in one.reason
        assert same_item(world.item(), after | {"Theirs": text("theirs")})

    def test_what_comes_after_that_stays(self, world, before, after):
        """A third one's write is not overwritten by putting the second's back."""
        world.live(before, after)
        third = before | {"Third": number(3), "attribute 0": number(3)}
        third |= {"Last": number(3)}
        world.racing.script("put_item", lambda: world.add("Theirs"))
        world.racing.script("transact_write_items", lambda: world.put(third))

        (one,) = world.restore().items

        assert one.outcome is WriteOutcome.CONFLICT
        assert "could not be put back: see its history" in one.reason
        assert same_item(world.item(), third)

    def test_what_may_not_have_been_put_back_is_unsent(self, world, before, after):
        """Which of the two states is there is not known: it is no conflict that was settled."""
        world.live(before, after)
        world.racing.script("put_item", lambda: world.add("Theirs"))
        world.racing.script("transact_write_items", DENIED)

        (one,) = world.restore().items

        assert one.outcome is WriteOutcome.UNSENT

    def test_a_lost_answer_is_no_conflict(self, world, before, after):
        """Sent again, the put meets its own effect."""
        world.live(before, after)
        world.racing.script("put_item", LostAnswer(read_timeout()))

        result = world.restore()

        assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}


def test_many_items_are_restored_at_a_rate(world):
    """Each once, whoever names it twice; what is wrong with one does not stop the others."""
    keys = [{"Id": text(str(n))} for n in range(5)]
    for n in range(5):
        states = (item(str(n), V=number(1)), item(str(n), V=number(2)))
        world.live(*states, identifier=str(n), missing={0} if n == 2 else ())
    pauses = []
    told = []

    result = world.restore(
        keys=[*keys, *keys],
        pace=Pace(
            1,
            progress=lambda *what: told.append(what),
            machine=Machine(now=lambda: world.now, clock=lambda: sum(pauses), sleep=pauses.append),
        ),
    )

    assert [one.is_clean for one in result.items] == [False, True, True, True, True]
    assert [world.item(str(n))["V"] for n in range(5)] == [
        number(2 if n == 2 else 1) for n in range(5)
    ]
    assert len(pauses) == 3
    assert told[-1] == ("items", 4, 4)


def test_a_plan_keeps_to_a_rate_too(world):
    """It reads each item, and its history."""
    world.live(item("1", V=number(1)), item("1", V=number(2)))
    pauses = []
    machine = Machine(clock=lambda: sum(pauses), sleep=pauses.append)
    keys = [{"Id": text(str(n))} for n in range(4)]

    plan_restore(world.deployment, keys, world.at(0), pace=Pace(1, machine=machine))

    assert sum(pauses) >= 3


def test_a_path_within_an_item_is_changed_on_its_own():
    """A map that is gone is a conflict, and no malformed request."""
    edits = [
        Difference(("a", "b.c"), number(1), number(2)),
        Difference(("a", "new"), None, text("x")),
        Difference(("gone",), text("y"), None),
    ]

    request = update_request(KEY, edits, {"Id": text("1"), "a": {"M": {}}, "other": text("z")})

    assert request["ConditionExpression"] == (
        "attribute_exists(#0) AND #1.#2 = :0 AND attribute_type(#1, :2) AND "
        "attribute_not_exists(#1.#3) AND #4 = :4 AND #5 = :5"
    )
    assert request["UpdateExpression"] == "SET #1.#2 = :1, #1.#3 = :3 REMOVE #4"
    names = request["ExpressionAttributeNames"]
    assert [names[f"#{n}"] for n in range(6)] == ["Id", "a", "b.c", "new", "gone", "other"]


def test_expressions_stay_within_their_limits():
    """300 operators and functions, 4 KB, however long the paths are."""
    deep = tuple(str(n) for n in range(30))
    wide = [Difference((*deep, str(n)), number(1), number(2)) for n in range(40)]

    with pytest.raises(UnwritableError, match="more than an update can name"):
        update_request(KEY, wide, {})
    with pytest.raises(UnwritableError, match="larger than an update may be"):
        update_request(KEY, [Difference(("a",), None, {"B": bytes(409_000)})], {})
    for whole in (
        delete_request(KEY, many(400, 1)),
        replace_request(KEY, many(400, 1), many(400, 2)),
        replace_request(KEY, many(9, 1), many(400, 2)),
    ):
        assert 130 < whole["ConditionExpression"].count(" AND ") <= 149
        assert len(whole["ConditionExpression"]) <= 4096


def test_differences_name_what_an_update_needs():
    """The plan's paths, cut to attributes, are what is written."""
    found = differences(ada(Tags={"M": {"a": number(1)}}), eve(Tags={"M": {}}))

    assert {one.path[0] for one in found} == {"Name", "Tags"}


def test_an_update_names_no_more_than_a_condition_can():
    """A hundred and fifty clauses: DynamoDB takes no more than three hundred operators."""
    edits = [Difference((f"a{place}",), number(1), number(2)) for place in range(150)]

    assert update_request(KEY, edits[:149], {})["ConditionExpression"].count(" AND ") == 149
    with pytest.raises(UnwritableError, match="150 changes are more than an update can name"):
        update_request(KEY, edits, {})


def test_what_was_seen_is_required_as_far_as_there_is_room():
    """A condition takes four kilobytes, and the changes go first."""
    deep = tuple(str(step) for step in range(30))
    edits = [Difference((*deep, str(place)), number(1), number(2)) for place in range(32)]
    seen = {f"seen{place}": number(place) for place in range(100)}

    condition = update_request(KEY, edits, seen)["ConditionExpression"]

    assert 3800 < len(condition) <= 4096


def test_an_item_that_expired_comes_back_with_a_word_about_it(world):
    """DynamoDB deletes it again; of an item that is there nothing is said."""
    specification = {"Enabled": True, "AttributeName": "expires"}
    world.client.update_time_to_live(TableName=SOURCE, TimeToLiveSpecification=specification)
    expired = number(int(world.at(0).timestamp()))
    world.live(ada(expires=expired), None)

    (gone,) = world.plans()
    world.put(eve(expires=expired))
    (there,) = world.plans()

    assert [note.partition(":")[0] for note in gone.notes] == ["it will expire again"]
    assert there.notes == ()


def test_what_no_condition_can_guard_is_said_before_it_is_approved(world):
    """Of an item that is deleted with more in it than that; a plan that is kept says the same."""
    world.live(None, many(200, 1))

    (plan,) = world.plans()
    (planned,) = restored_items([plan])

    assert plan.notes == planned.notes == (GUARDED_IN_PART,)


def test_an_item_is_not_deleted_for_a_time_of_which_nothing_is_known(world):
    """Before the history began it may have been there: that it was not is no knowledge."""
    world.live(None, ada())

    (plan,) = plan_restore(
        world.deployment, [KEY], world.at(-60 * 24 * 365), allow_uncertain=True, pace=Pace()
    )

    assert plan.then.certainty is Certainty.UNKNOWN
    assert "nothing tells that it was not there" in plan.refusal
    assert not plan.is_in_plan


def test_many_items_are_read_a_hundred_a_call(world):
    """As they are; their histories by a few calls each."""
    names = [str(n) for n in range(101)]
    for name in names:
        world.put(item(name, N=number(1)))
    world.racing.steps.clear()

    plans = world.plans(keys=[{"Id": text(name)} for name in names])

    assert [plan.now.image["Id"]["S"] for plan in plans] == names
    assert world.racing.steps.count("batch_get_item") == 2


def test_what_is_recorded_while_an_item_is_looked_at_was_written_since(world):
    """The newest row is looked up before the item is read: the plan rests on nothing later."""
    world.other_writer("1", ada())
    (first,) = world.rows("1")
    world.racing.script("batch_get_item", lambda: world.other_writer("1", eve()))

    (plan,) = world.plans(30)

    assert plan.seen == first.sort_key
    assert plan.now.image == eve()
