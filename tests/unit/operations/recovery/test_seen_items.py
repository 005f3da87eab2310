"""Many items with bad changes are looked at by few calls, a few by themselves."""

from types import SimpleNamespace

import pytest

from operations.errors import NoAnswerError
from operations.execution.pace import Pace
from operations.recovery import bad_changes, seen_items
from operations.recovery.bad_changes import select_bad
from operations.recovery.undo import plan_undo
from reports.access.machine import Machine
from stream_core.attribute_values import item_size
from stream_core.control_row import REDRIVE, RunRow
from tests.factories import STREAM_ARN, item, number
from tests.fakes import DENIED, THROTTLED
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, moment

MANY = 1000
BEGAN_S, ENDED_S, NOW_S = 3600, 3660, 2 * 3600


class Damaged:
    """A table of many items that a bad job has been through, an hour ago."""

    def __init__(self, items=MANY, **options):
        self.world = Recorded(**options)
        self.client = self.world.client
        self.names = [f"item-{n:04d}" for n in range(items)]
        for n, name in enumerate(self.names):
            self.world.write(name, item(name, V=number(1)), at=n % 60)
            self.world.write(name, item(name, V=number(2)), at=BEGAN_S + n % 60)
        self.pauses = []

    def pace(self, per_second=None, now_s=NOW_S):
        machine = Machine(
            now=lambda: moment(now_s),
            clock=lambda: sum(self.pauses),
            sleep=self.pauses.append,
            jitter=lambda: 1.0,
        )
        return Pace(per_second, machine=machine)

    @property
    def deployment(self):
        return SimpleNamespace(
            reader=self.world.reader,
            dynamodb=self.client,
            source_table=SOURCE,
            history_table=HISTORY,
            stream_arn=None,
        )

    def selected(self, **options):
        pace = options.pop("pace", None) or self.pace()
        chosen = {"since": moment(BEGAN_S), "until": moment(ENDED_S)} | options
        return select_bad(self.deployment, **chosen, pace=pace)

    def undone(self):
        """What is to be written to each item."""
        return {name: [number(1)] for name in self.names}

    def planned(self, **options):
        """What an undo would do; the calls of the plan alone are counted."""
        selected = self.selected()
        self.client.calls.clear()
        return plan_undo(self.deployment, selected, pace=self.pace(**options)).items


def values_of(planned):
    return {one.keys["Id"]["S"]: [edit.new for edit in one.edits] for one in planned}


def test_a_thousand_items_take_some_dozen_calls():
    """A hundred items a call, and the index: the rows were read when they were selected."""
    damaged = Damaged()

    planned = damaged.planned()

    assert values_of(planned) == damaged.undone()
    assert damaged.client.calls["batch_get_item"] == MANY / 100
    assert damaged.client.calls["get_item"] == 0
    assert damaged.client.calls.total() <= MANY / 100 + 30


def test_rows_of_a_very_large_job_are_read_again(monkeypatch):
    """A hundred a call; the memory has room for some of them only, by what they hold."""
    damaged = Damaged()
    row_bytes = 2 * item_size(item(damaged.names[0], V=number(1)))
    monkeypatch.setattr(bad_changes, "_MOST_KEPT_BYTES", 300 * row_bytes)

    planned = damaged.planned()

    assert values_of(planned) == damaged.undone()
    assert damaged.client.calls["batch_get_item"] == MANY / 100 + (MANY - 300) / 100


@pytest.mark.parametrize("options", [{"items": 100}, {"now_s": BEGAN_S + 300}])
def test_each_item_is_asked_for_its_rows_where_that_is_surer_or_no_dearer(options):
    """Few items, or rows of the last minutes: by one call each, beside a hundred items a call."""
    options = dict(options)
    damaged = Damaged(options.pop("items", MANY // 2))

    planned = damaged.planned(**options)

    assert values_of(planned) == damaged.undone()
    assert damaged.client.calls["get_item"] == 0
    assert len(damaged.names) <= damaged.client.calls["query"] <= len(damaged.names) + 20


def test_a_busy_table_is_not_looked_through(monkeypatch):
    """What others have had done to it since takes longer to read than each item."""
    monkeypatch.setattr(seen_items, "_MOST_ENTRIES_AN_ITEM", 2)
    damaged = Damaged(400)
    for n in range(3 * 400):
        damaged.world.write("busy", item("busy", N=number(n)), at=BEGAN_S + 100 + n // 10)

    planned = damaged.planned()

    assert values_of(planned) == damaged.undone()
    assert damaged.client.calls["query"] >= 400
    assert damaged.client.calls["batch_get_item"] == 400 / 100


def test_an_index_that_may_not_be_read_is_done_without(monkeypatch):
    """Its items were named, so that nothing else needed it."""
    damaged = Damaged(400)
    selected = damaged.selected()
    query = damaged.client.query

    def refusing(**request):
        if "IndexName" in request:
            raise DENIED
        return query(**request)

    monkeypatch.setattr(damaged.client, "query", refusing)

    planned = plan_undo(damaged.deployment, selected, pace=damaged.pace()).items

    assert values_of(planned) == damaged.undone()


@pytest.mark.parametrize(("ago_s", "is_asked"), [(60, True), (69 * 60, True), (71 * 60, False)])
def test_old_rows_that_were_redriven_may_not_be_in_the_index_yet(ago_s, is_asked):
    """A good writer went to and fro, which was redriven; a later change leads on from there."""
    damaged, name = Damaged(400), "item-0030"
    for at, value in ((ENDED_S + 60, 3), (ENDED_S + 120, 2)):
        row = damaged.world.write(name, item(name, V=number(value)), at=at)
        damaged.client.lagging.add((row.id, row.sort_key))
    damaged.world.write(name, item(name, V=number(2), More=number(1)), at=ENDED_S + 180)
    at = moment(NOW_S - ago_s)
    redrive = RunRow("1", REDRIVE, "{}", "", "ada", "itemtrail", STREAM_ARN, "", at)
    damaged.client.put(HISTORY, redrive.to_item())

    planned = {one.keys["Id"]["S"]: one for one in damaged.planned()}

    # What it holds was meant, as the good writer put it there.
    assert (planned[name].edits == ()) is is_asked
    assert (damaged.client.calls["query"] >= 400) is is_asked


def test_what_was_done_since_is_known():
    """Of whomever: the place stays as it is, and that is told."""
    damaged = Damaged(400)
    damaged.world.write("item-0007", item("item-0007", V=number(3)), at=ENDED_S + 60)

    planned = {one.keys["Id"]["S"]: one for one in damaged.planned()}

    assert damaged.client.calls["query"] < 100
    assert [conflict.actual for conflict in planned["item-0007"].conflicts] == [number(3)]
    assert planned["item-0007"].edits == ()
    assert planned["item-0008"].edits != ()


@pytest.mark.parametrize("hidden", [[ENDED_S + 60], [ENDED_S + 60, ENDED_S + 120], [BEGAN_S + 30]])
def test_an_item_whose_rows_are_not_all_in_the_index_is_asked_itself(hidden):
    """One in between, the last ones, or the bad change itself."""
    damaged, name = Damaged(400), "item-0030"
    for n, at in enumerate([ENDED_S + 60, ENDED_S + 120, ENDED_S + 180], 3):
        damaged.world.write(name, item(name, V=number(2), More=number(n)), at=at)
    selected = damaged.selected()
    damaged.client.lagging = {
        (row.id, row.sort_key)
        for row in damaged.world.rows
        if row.id == name and row.change.created_at in [moment(at) for at in hidden]
    }
    damaged.client.requests.clear()

    planned = plan_undo(damaged.deployment, selected, pace=damaged.pace()).items

    asked = [
        request["ExpressionAttributeValues"][":id"]["S"]
        for operation, request in damaged.client.requests
        if operation == "query" and ":id" in request["ExpressionAttributeValues"]
    ]
    assert name in asked
    assert set(asked) <= {name, "!itemtrail"}
    assert values_of(planned)[name] == [number(1)]


def test_changes_of_late_that_led_back_are_no_others_loss():
    """What the index hides of them would not show, but an item with a later row is asked itself."""
    damaged, name = Damaged(400), "item-0030"
    for n, (value, more) in enumerate([(3, None), (2, None), (2, 1)]):
        image = item(name, V=number(value), **({"More": number(more)} if more else {}))
        damaged.world.write(name, image, at=NOW_S - 400 + n)
    damaged.client.lagging = {(row.id, row.sort_key) for row in damaged.world.rows[-3:-1]}

    planned = {one.keys["Id"]["S"]: one for one in damaged.planned()}

    # Who set it to what the bad job had set it to has meant that.
    assert planned[name].edits == ()
    assert planned["item-0031"].edits != ()


def test_what_is_not_answered_for_at_once_is_asked_for_again():
    """And a table that answers for none of them for a minute ends the plan: once, for all."""
    damaged = Damaged(400, batch=30)
    assert len(damaged.planned()) == 400

    def throttle():
        raise THROTTLED

    selected = damaged.selected()
    damaged.client.before["batch_get_item"] += [throttle] * 10_000
    damaged.pauses.clear()
    with pytest.raises(NoAnswerError, match="'Employee' does not answer"):
        plan_undo(damaged.deployment, selected, pace=damaged.pace())
    assert sum(damaged.pauses) <= 8 * 60


def test_no_more_at_once_than_a_second_may_have():
    """Of items that are planned, and of rows that are looked at before."""
    damaged = Damaged(400)

    selected = damaged.selected(pace=damaged.pace(per_second=50))
    assert sum(damaged.pauses) > 350 / 50
    damaged.pauses.clear()
    plan_undo(damaged.deployment, selected, pace=damaged.pace(per_second=50))

    assert sum(damaged.pauses) >= 350 / 50
    sizes = [
        len(request["RequestItems"][SOURCE]["Keys"])
        for operation, request in damaged.client.requests
        if operation == "batch_get_item" and SOURCE in request["RequestItems"]
    ]
    assert max(sizes) == 50


def test_items_that_were_named_are_paced_too():
    """Each takes a call of its own."""
    damaged = Damaged(4)
    keys = [{"Id": {"S": name}} for name in damaged.names]

    damaged.selected(keys=keys, pace=damaged.pace(per_second=1))

    assert sum(damaged.pauses) >= 3
