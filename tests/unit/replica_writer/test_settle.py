"""Settled items equal the source, or are told; the replica's answers are all accounted for."""

import itertools

import pytest
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError

import replica_writer.settle
from replica_writer.settle import Settled
from replica_writer.tables import Problems
from stream_core.errors import RefusedRecordError
from stream_core.item_id import item_id
from stream_core.retry import MARGIN_MS
from tests.factories import Clock, item, number, one_attempt, text
from tests.fakes import (
    DENIED,
    INVALID,
    THROTTLED,
    client_error,
    hold_until_side_by_side,
    leave_unprocessed,
    lose_answer,
    read_timeout,
    refuse_call,
)
from tests.two_tables import TwoTables, factory

WRITE, READ = "batch_write_item", "batch_get_item"
TRANSIENT = [THROTTLED, read_timeout(), client_error("TransactionConflictException")]
ODD = {
    "n": {"N": "1" + "0" * 39},
    "set": {"NS": ["3", "1"]},
    "empty": {"S": ""},
    "bytes": {"B": b""},
    "null": {"NULL": True},
}


class Tables(TwoTables):
    """Tables whose items are settled by their keys."""

    def settle(self, *items, patience=None, guess=None):
        keys = [{name: one[name] for name in self.key_names} for one in items]
        states = (
            {item_id(key): state for key, state in zip(keys, guess, strict=True)}
            if (guess is not None)
            else None
        )
        return self.settler.settle(
            {item_id(key): key for key in keys}, patience or one_attempt(), states
        )


@pytest.fixture
def make_tables():
    with factory(Tables) as make:
        yield make


@pytest.fixture
def tables(make_tables):
    return make_tables()


def some(count, **attributes):
    return [item(f"item-{n:03d}", **attributes) for n in range(count)]


def ids(items):
    return {one["Id"]["S"] for one in items}


def assert_settled(settled):
    assert (settled.unstored, settled.refused, settled.restless) == (set(), {}, set())


def test_a_right_guess_is_written_and_confirmed(tables):
    """A guess that the source confirms costs one write and one consistent read."""
    new = item("1", **ODD)
    tables.source.put("source", new)

    settled = tables.settle(new, guess=[new])

    assert_settled(settled)
    assert tables.of_replica() == [new]
    assert (settled.writes, settled.corrections) == (1, 0)
    (read,) = tables.source.requests(READ)
    assert read["RequestItems"] == {"source": {"Keys": [{"Id": text("1")}], "ConsistentRead": True}}


def test_a_wrong_guess_is_corrected(tables):
    """The source says what an item is, and what it says is confirmed once more."""
    new = item("1", **ODD)
    tables.source.put("source", new)

    settled = tables.settle(new, guess=[item("1", Old=text("x"))])

    assert_settled(settled)
    assert tables.of_replica() == [new]
    assert (settled.writes, settled.corrections) == (2, 1)
    assert len(tables.source.requests(READ)) == 2


@pytest.mark.parametrize("guess", [item("1"), None])
def test_an_item_gone_from_the_source_is_deleted(tables, guess):
    """FACTS 9.27, 9.38: a guess that is no more is deleted, also when it never was there."""
    settled = tables.settle(item("1"), guess=[guess])

    assert_settled(settled)
    assert tables.of_replica() == []
    assert settled.corrections == (1 if guess else 0)


def test_an_item_back_in_the_source_is_put(tables):
    """A guess of absence is corrected too."""
    tables.source.put("source", item("1"))

    assert_settled(tables.settle(item("1"), guess=[None]))

    assert tables.of_replica() == [item("1")]


def test_without_a_guess_the_source_is_asked_first(tables):
    """Nothing but the source's state is ever written by backfill, repair and redrive."""
    tables.source.put("source", item("1"))
    tables.replica.put("replica", item("2"))

    settled = tables.settle(item("1"), item("2"))

    assert_settled(settled)
    assert tables.of_replica() == [item("1")]
    assert (settled.writes, settled.corrections) == (2, 0)
    assert len(tables.replica.requests(WRITE)) == 1


def test_a_source_that_must_not_be_read_needs_a_guess(make_tables):
    """With neither there is nothing to settle on."""
    tables = make_tables(read_source=False)

    with pytest.raises(ValueError, match="a guess or a source"):
        tables.settle(item("1"))


def test_a_guess_stands_where_the_source_is_not_read(make_tables):
    """SETTLE=false: what the stream says is written, and nothing is read."""
    tables = make_tables(read_source=False)

    settled = tables.settle(item("1"), item("2"), guess=[item("1"), None])

    assert_settled(settled)
    assert tables.of_replica() == [item("1")]
    assert not tables.source.calls


def test_nothing_to_settle_needs_no_request(tables):
    """FACTS 9.62: no keys, no call."""
    assert tables.settle() == Settled()
    assert not tables.replica.calls
    assert not tables.source.calls


def test_items_are_settled_by_25(tables):
    """Requests hold at most 25 items."""
    items = some(60, **ODD)
    for one in items:
        tables.source.put("source", one)

    settled = tables.settle(*items, guess=[*items])

    assert_settled(settled)
    assert tables.of_replica() == tables.of_source()
    sizes = [len(request["RequestItems"]["replica"]) for request in tables.replica.requests(WRITE)]
    assert sorted(sizes) == [10, 25, 25]


def test_slices_are_under_way_side_by_side(tables, monkeypatch):
    """A call does not wait for the one before it: the replica may be far away."""
    items = some(50)
    for one in items:
        tables.source.put("source", one)
    hold_until_side_by_side(monkeypatch, tables.replica, WRITE)

    assert_settled(tables.settle(*items, guess=[*items]))


def test_only_what_differs_is_corrected(tables):
    """Of many items the differing one is written and read again, no other."""
    items = some(25)
    for one in items:
        tables.source.put("source", one)
    tables.source.put("source", item("item-007", New=text("y")))

    settled = tables.settle(*items, guess=[*items])

    assert_settled(settled)
    assert (settled.writes, settled.corrections) == (26, 1)
    last = tables.source.requests(READ)[-1]["RequestItems"]["source"]["Keys"]
    assert last == [{"Id": text("item-007")}]


def test_spelling_and_order_are_no_difference(tables):
    """An item the source spells otherwise is not written again."""
    tables.source.put("source", item("1", n=number("1.50"), s={"SS": ["b", "a"]}))

    settled = tables.settle(item("1"), guess=[item("1", s={"SS": ["a", "b"]}, n=number("1.5"))])

    assert settled.corrections == 0


def test_a_change_between_write_and_read_is_followed(tables):
    """Every write is followed by a read that agreed with it."""
    first, second, third = (item("1", Version=number(n)) for n in range(3))
    tables.source.put("source", first)

    def then(state):
        def entry(_request, carry_out):
            tables.source.put("source", state)
            return carry_out()

        return entry

    tables.source.script(READ, then(second), then(third))

    settled = tables.settle(first, guess=[first])

    assert_settled(settled)
    assert tables.of_replica() == [third]
    assert (settled.writes, settled.corrections) == (3, 2)


def never_resting(tables, identifier):
    versions = iter(range(10**6))

    def change(_request, carry_out):
        tables.source.put("source", item(identifier, Version=number(next(versions))))
        return carry_out()

    tables.source.always(READ, change)


def test_an_item_that_never_rests_is_followed_while_there_is_time(tables):
    """It is followed until time runs out and named; the calm item is settled by one read."""
    clock = Clock(left_ms=MARGIN_MS + 20_000)
    tables.source.put("source", item("calm"))
    never_resting(tables, "busy")

    settled = tables.settle(
        item("busy"),
        item("calm"),
        guess=[item("busy"), item("calm")],
        patience=clock.patience,
    )

    assert settled.restless == settled.unsettled == {"busy"}
    assert settled.refused == {}
    assert 5 * len(clock.pauses_s) <= len(tables.source.requests(READ))
    assert clock.left_ms < MARGIN_MS + 5_000
    assert item("calm") in tables.of_replica()


def test_an_item_that_rests_at_last_is_settled(tables):
    """Twelve changes, each between a write and the read after it, and then none."""
    tables.source.put("source", item("1"))
    versions = iter(range(12))

    def change(_request, carry_out):
        for version in itertools.islice(versions, 1):
            tables.source.put("source", item("1", Version=number(version)))
        return carry_out()

    tables.source.always(READ, change)

    settled = tables.settle(item("1"), guess=[item("1")], patience=Clock().patience)

    assert_settled(settled)
    assert tables.of_replica() == [item("1", Version=number(11))]


@pytest.mark.parametrize("error", TRANSIENT)
@pytest.mark.parametrize("side", ["source", "replica"])
def test_a_failed_call_is_made_again(tables, side, error):
    """FACTS 9.37: transient failures on either side are overcome in the invocation."""
    items, clock = some(3), Clock()
    for one in items:
        tables.source.put("source", one)
    getattr(tables, side).script(READ if side == "source" else WRITE, error, error)

    settled = tables.settle(*items, guess=[*items], patience=clock.patience)

    assert_settled(settled)
    assert tables.of_replica() == items
    assert len(clock.pauses_s) == 2
    assert sum(settled.errors.values()) == 2


@pytest.mark.parametrize(
    "error",
    [
        read_timeout(),
        ConnectionClosedError(endpoint_url="https://dynamodb.example"),
        client_error("InternalServerError", status=500),
    ],
)
def test_a_write_without_answer_is_not_the_end(tables, error):
    """FACTS 9.33, 9.99: the write may take effect after all that came later, so it is told."""
    tables.source.put("source", item("1"))
    tables.replica.script(WRITE, lose_answer(error))

    settled = tables.settle(item("1"), guess=[item("1")], patience=Clock().patience)

    assert tables.of_replica() == [item("1")]
    assert settled.lost == settled.unsettled == {"1"}


@pytest.mark.parametrize(
    "error",
    [
        THROTTLED,
        ConnectTimeoutError(endpoint_url="https://dynamodb.example"),
    ],
)
def test_a_write_that_was_refused_or_never_sent_is_the_end(tables, error):
    """A throttle is an answer, and what was not sent cannot arrive."""
    tables.source.put("source", item("1"))
    tables.replica.script(WRITE, error)

    settled = tables.settle(item("1"), guess=[item("1")], patience=Clock().patience)

    assert settled.unsettled == set()


@pytest.mark.parametrize("answer", [KeyError("UnprocessedItems"), ValueError("half an answer")])
@pytest.mark.parametrize("side", ["source", "replica"])
def test_an_exception_of_another_kind_is_no_success(tables, side, answer):
    """The items of the call are unstored, all other calls are carried out to their end."""
    items = some(60)
    for one in items:
        tables.source.put("source", one)
    getattr(tables, side).script(READ if side == "source" else WRITE, answer)

    settled = tables.settle(*items, guess=[*items], patience=Clock().patience)

    assert len(settled.unsettled) in {10, 25}
    assert ids(items) - ids(tables.of_replica()) <= settled.unsettled
    assert settled.errors == {type(answer).__name__: 1}


def test_a_fault_of_a_slice_leaves_the_others_alone(tables, monkeypatch):
    """Whatever goes wrong between the calls, its items are unstored and every call has ended."""
    items = some(60)
    for one in items:
        tables.source.put("source", one)
    broken = replica_writer.settle.same_item

    def same_item(first, second):
        if second["Id"] == text("item-030"):
            raise RuntimeError
        return broken(first, second)

    monkeypatch.setattr("replica_writer.settle.same_item", same_item)

    settled = tables.settle(*items, guess=[*items])

    assert settled.unsettled == ids(items[25:50])
    assert settled.errors == {"RuntimeError": 1}
    assert tables.of_replica() == items


def test_an_answer_that_does_not_speak_of_the_table_deletes_nothing(tables):
    """An answer cut short would pass for one of absent items."""
    tables.replica.put("replica", item("1"))
    tables.source.script(READ, lambda *_: {"Responses": {}, "UnprocessedKeys": {}})

    settled = tables.settle(item("1"))

    assert settled.unsettled == {"1"}
    assert tables.of_replica() == [item("1")]


def test_an_answer_that_does_not_say_what_is_unprocessed_is_no_success(tables):
    """An answer cut short may have left items out."""
    tables.replica.script(WRITE, lambda *_: {})

    assert tables.settle(item("1"), guess=[item("1")]).unsettled == {"1"}


@pytest.mark.parametrize(
    "error",
    [
        client_error("ValidationError", operation="AssumeRole"),
        client_error(
            "ValidationException", message="The provided key element does not match the schema"
        ),
        client_error(
            "ValidationException",
            message="One or more parameter values were invalid: Missing the key Id in the item",
        ),
        client_error(
            "ValidationException",
            message="One or more parameter values were invalid: Type mismatch for key Id "
            "expected: S actual: N",
        ),
    ],
)
@pytest.mark.parametrize("side", ["source", "replica"])
def test_a_fault_of_the_deployment_is_no_fault_of_an_item(tables, side, error):
    """A role that cannot be assumed, a table of another key: nothing is refused for good."""
    items = some(3)
    getattr(tables, side).always(READ if side == "source" else WRITE, error)

    settled = tables.settle(*items, guess=[*items])

    assert settled.unsettled == ids(items)
    assert settled.refused == {}


@pytest.mark.parametrize("error", [*TRANSIENT, DENIED, client_error("ResourceNotFoundException")])
@pytest.mark.parametrize("side", ["source", "replica"])
def test_a_failing_side_has_everything_reported(tables, side, error):
    """An item that was not confirmed is not settled, whichever side failed."""
    items = some(30)
    getattr(tables, side).always(READ if side == "source" else WRITE, error)

    settled = tables.settle(*items, guess=[*items])

    assert settled.unstored == ids(items)
    assert settled.refused == {}
    calls = getattr(tables, side).calls
    assert len(calls) == 2
    assert settled.writes == (30 if side == "source" else 0)


def test_trying_ends_in_time(tables):
    """FACTS 9.65: when time runs short, what is not settled is reported."""
    clock = Clock(left_ms=MARGIN_MS + 2_000)
    tables.replica.always(WRITE, THROTTLED)

    settled = tables.settle(item("1"), guess=[None], patience=clock.patience)

    assert settled.unstored == {"1"}
    assert clock.left_ms >= MARGIN_MS


def is_third(one):
    return one["Id"] == text("item-002")


@pytest.mark.parametrize("side", ["source", "replica"])
def test_unprocessed_items_are_sent_again(tables, side):
    """FACTS 9.36: of ten items the one handed back is sent again, without the others."""
    items, clock = some(10), Clock()
    for one in items:
        tables.source.put("source", one)
    client, operation = getattr(tables, side), READ if side == "source" else WRITE
    client.script(operation, leave_unprocessed(is_third), leave_unprocessed(is_third))

    settled = tables.settle(*items, guess=[*items], patience=clock.patience)

    assert_settled(settled)
    assert tables.of_replica() == items
    assert len(client.requests(operation)) == 3
    assert len(clock.pauses_s) == 2
    assert settled.errors == {"UnprocessedKeys" if side == "source" else "UnprocessedItems": 2}


@pytest.mark.parametrize("side", ["source", "replica"])
def test_unprocessed_items_are_reported_when_time_is_up(tables, side):
    """FACTS 9.36: what is handed back to the end is reported, the others are settled."""
    items = some(10)
    for one in items:
        tables.source.put("source", one)
    client, operation = getattr(tables, side), READ if side == "source" else WRITE
    client.always(operation, leave_unprocessed(is_third))

    settled = tables.settle(*items, guess=[*items])

    assert settled.unstored == {"item-002"}
    assert settled.refused == {}
    # An item that was written but not read again stays as it was written.
    assert tables.of_replica() == (items if side == "source" else items[:2] + items[3:])


@pytest.mark.parametrize("guess_is_absent", [False, True])
def test_unprocessed_composite_keys_are_recognised(make_tables, guess_is_absent):
    """FACTS 9.42: puts and deletes that come back are matched by key, however it is spelled."""
    tables = make_tables("pk", "sk")
    items = [{"pk": {"B": b"\x00"}, "sk": number(n), "v": text("|")} for n in ("1.0", "2", "3")]
    if not guess_is_absent:
        for one in items:
            tables.source.put("source", one)

    def normalised(request, carry_out):
        answer = leave_unprocessed(lambda one: one["sk"] == number("1.0"))(request, carry_out)
        for write in answer["UnprocessedItems"]["replica"]:
            (kind,) = write.values()
            (kind.get("Item") or kind["Key"])["sk"] = number("1")
        return answer

    tables.replica.script(WRITE, normalised)
    guess = [None] * 3 if guess_is_absent else [*items]

    settled = tables.settle(*items, guess=guess, patience=Clock().patience)

    assert_settled(settled)
    assert tables.of_replica() == tables.of_source()
    assert [len(r["RequestItems"]["replica"]) for r in tables.replica.requests(WRITE)] == [3, 1]


@pytest.mark.parametrize("bad", [{"item-000"}, {"item-012"}, {"item-024"}, {"item-003", "item-04"}])
def test_a_refused_item_is_isolated(tables, bad):
    """FACTS 9.52: the call is halved until the refused item stands alone; the others are in."""
    items = some(25)
    for one in items:
        tables.source.put("source", one)
    tables.replica.always(WRITE, refuse_call(lambda one: one["Id"]["S"] in bad))

    settled = tables.settle(*items, guess=[*items])

    refused = bad & ids(items)
    assert settled.refused.keys() == refused
    assert all(isinstance(error, RefusedRecordError) for error in settled.refused.values())
    assert {error.code for error in settled.refused.values()} == {"ValidationException"}
    assert settled.unstored == set()
    assert ids(tables.of_replica()) == ids(items) - refused
    assert settled.writes == 25 - len(refused)


def test_a_refused_read_is_isolated(tables):
    """One key that the source refuses does not hold up the others."""

    def refuse(request, carry_out):
        if any(key["Id"] == text("") for key in request["RequestItems"]["source"]["Keys"]):
            raise INVALID
        return carry_out()

    tables.source.put("source", item("a"))
    tables.source.always(READ, refuse)

    settled = tables.settle(item("a"), item(""))

    assert settled.refused.keys() == {""}
    assert settled.unstored == set()
    assert tables.of_replica() == [item("a")]


def test_a_refused_correction_is_refused(tables):
    """FACTS 9.52: what the replica refuses in a later round is told as well."""
    tables.source.put("source", item("1", Bad=text("x")))
    tables.replica.always(WRITE, refuse_call(lambda one: "Bad" in one))

    settled = tables.settle(item("1"), guess=[item("1")])

    assert settled.refused.keys() == {"1"}


def test_halving_mixed_failures_loses_nothing(tables):
    """FACTS 9.52: a denial while halving concerns its half alone."""
    items = some(8)
    for one in items:
        tables.source.put("source", one)
    tables.replica.script(WRITE, INVALID, DENIED)

    settled = tables.settle(*items, guess=[*items])

    assert settled.unstored == ids(items[:4])
    assert settled.refused == {}
    assert tables.of_replica() == items[4:]


def test_what_global_tables_add_stays_out(tables):
    """FACTS 9.22: `aws:rep:*` is neither written nor taken for a difference."""
    added = {"aws:rep:deleting": {"BOOL": False}, "aws:rep:updatetime": number(1)}
    tables.source.put("source", item("1", **added, kept=text("aws:rep:x")))

    settled = tables.settle(item("1"), guess=[item("1", kept=text("aws:rep:x"), **added)])
    asked = tables.settle(item("1"))

    assert tables.of_replica() == [item("1", kept=text("aws:rep:x"))]
    assert settled.corrections == asked.corrections == 0


def test_results_add_up():
    """Taking over another result loses nothing of either."""
    one = Problems(unstored={"a"})
    other = Problems(unstored={"c"}, lost={"e"}, refused={"d": ValueError()})
    other.errors["X"] = 1

    one.add(other)

    assert (one.unstored, one.lost, one.refused.keys()) == ({"a", "c"}, {"e"}, {"d"})
    assert one.errors["X"] == 1
