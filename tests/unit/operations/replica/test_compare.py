"""Source against replica: what is found, why, and what is not taken for a finding."""

import gc
import math
import random
import threading
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from types import SimpleNamespace

import pytest

import operations.replica.compare
import operations.replica.compared_table
import operations.replica.reasons
import operations.replica.watch
from operations.errors import OperationError, RefusedError
from operations.execution.pace import Pace
from operations.replica.compare import compare
from operations.replica.discrepancies import DiscrepancyKind
from operations.replica.reasons import Reason, past_of
from operations.replica.sample import Sample, share_at_most
from reports.access.progress import silent
from reports.errors import TableNotFoundError
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.comparison import HISTORY, REPLICA, SOURCE, a_world, describe
from tests.factories import NOON, STREAM_ARN, change, item, number, text
from tests.fakes import DENIED, THROTTLED
from tests.recorded_history import resealed

MISSING, DIFFERENT, EXTRANEOUS = DiscrepancyKind
PATIENCE_S = 10.0


@pytest.fixture
def world():
    with a_world() as world:
        yield world


@pytest.fixture
def blind_world():
    """A deployment of which no history table is known."""
    with a_world(history=False) as world:
        yield world


def version(identifier, number_):
    return item(identifier, Version=number(number_))


def compared(world, rate=None, patience_s=PATIENCE_S, progress=silent, **options):
    """A comparison, carried out: what it found by id, and its summary."""
    pace = Pace(rate, patience_s, progress, world.machine)
    comparison = compare(world.deployment, pace=pace, **options)
    found = {one.keys["Id"]["S"]: one for one in comparison}
    return found, comparison.summary


def reasons(found):
    return {identifier: (one.kind, one.reason) for identifier, one in found.items()}


# What is found


def test_equal_tables_are_clean(world):
    """Items are equal when their canonical forms are: spelling and order say nothing."""
    world.write(item("1", Price=number("1.50"), Tags={"SS": ["a", "b"]}))
    world.put(REPLICA, {"Tags": {"SS": ["b", "a"]}, "Price": number("1.5"), "Id": text("1")})

    found, summary = compared(world)

    assert found == {}
    assert summary.is_clean
    assert (summary.source_items, summary.replica_items, summary.looked_at) == (1, 1, 1)
    assert (summary.passing, summary.restless) == (0, ())
    assert summary.statement == "0 of 1 items differ"


def test_empty_tables_are_clean(world):
    """Nothing equals nothing."""
    found, summary = compared(world)

    assert found == {}
    assert summary.is_clean


def test_every_kind_is_found(blind_world):
    """Missing, different and extraneous, each with both its states; no history, no reason."""
    blind_world.put(SOURCE, version("1", 1), version("2", 1), version("3", 1))
    blind_world.put(REPLICA, version("2", 2), version("3", 1), version("4", 1))

    found, summary = compared(blind_world)

    assert reasons(found) == {"1": (MISSING, None), "2": (DIFFERENT, None), "4": (EXTRANEOUS, None)}
    assert (found["2"].source, found["2"].replica) == (version("2", 1), version("2", 2))
    assert (found["1"].replica, found["4"].source) == (None, None)
    assert (
        found["1"].explanation.meaning == "no history table was given, so the reason is not known"
    )
    assert summary.kinds == {MISSING: 1, DIFFERENT: 1, EXTRANEOUS: 1}
    assert summary.reasons == {None: 3}
    assert not summary.is_clean
    assert summary.looked_at == 4
    assert summary.share_at_most is None


def test_attributes_of_global_tables_are_not_compared(world):
    """An older global table adds attributes to its items that the replica is kept free of."""
    added = {"aws:rep:updatetime": number(1), "aws:rep:deleting": {"BOOL": False}}
    world.put(SOURCE, item("1", **added), item("2", **added))
    world.put(REPLICA, item("1"), item("2", Name=text("other")))

    found, _ = compared(world)

    assert found.keys() == {"2"}


def test_composite_keys_find_their_items():
    """Both key attributes make the item, in the order that the tables have them."""
    with a_world("Who", "At", history=False) as world:
        one, other = ({"Who": text("a|b"), "At": text(at)} for at in ("1", "2"))
        world.put(SOURCE, one, other)
        world.put(REPLICA, one, one | {"At": text("3")})

        found = list(compare(world.deployment, pace=Pace(machine=world.machine)))

    assert sorted((one.kind, one.keys["At"]["S"]) for one in found) == [
        (EXTRANEOUS, "3"),
        (MISSING, "2"),
    ]


@pytest.mark.parametrize("segments", [1, 3, 40])
def test_every_page_of_every_segment_is_read(segments):
    """Small pages, keys left unprocessed, any number of segments: every item is seen once."""
    with a_world(history=False, page=7, batch=5) as world:
        world.put(SOURCE, *(version(f"{n:03d}", 1) for n in range(100)))
        world.put(REPLICA, *(version(f"{n:03d}", 1 + (n == 50)) for n in range(10, 110)))

        found, summary = compared(world, segments=segments)

    assert found.keys() == {f"{n:03d}" for n in (*range(10), 50, *range(100, 110))}
    assert (summary.source_items, summary.replica_items, summary.looked_at) == (100, 100, 110)


def test_the_replica_is_read_between_two_reads_of_the_source(blind_world):
    """Look by look the replica comes first, so that the source was read before and after it."""
    blind_world.put(SOURCE, version("1", 1))

    compared(blind_world)

    read = [
        next(iter(one["RequestItems"])) for one in blind_world.client.requests("batch_get_item")
    ]
    assert read[:1] + read[1:3] * ((len(read) - 1) // 2) == read
    assert read[1:3] == [REPLICA, SOURCE]


# Why


def test_a_past_state_is_lagging(world):
    """How far behind: the changes that are missing, and since when."""
    world.write(version("1", 1))
    world.sleep(100)
    world.write(version("1", 2), replicated=False)
    world.sleep(50)
    world.write(version("1", 3), replicated=False)
    world.sleep(60)

    found, summary = compared(world)

    assert reasons(found) == {"1": (DIFFERENT, Reason.LAGGING)}
    explanation = found["1"].explanation
    assert explanation.changes_behind == 2
    assert explanation.behind_since == world.rows[1].change.created_at
    assert timedelta(seconds=110) < found["1"].behind < timedelta(seconds=130)
    assert "2 changes ago" in explanation.meaning
    assert "another writer put an old state back" in explanation.meaning
    assert "redrive" in explanation.to_do
    assert summary.reasons == {Reason.LAGGING: 1}


def test_an_absence_of_the_past_is_lagging(world):
    """An INSERT that did not arrive leaves a gap, a REMOVE that did not arrive leaves an item."""
    world.write(version("inserted", 1), replicated=False)
    world.write(version("reborn", 1))
    world.delete("reborn")
    world.write(version("reborn", 2), replicated=False)
    world.write(version("removed", 1))
    world.delete("removed", replicated=False)

    found, _ = compared(world)

    assert reasons(found) == {
        "inserted": (MISSING, Reason.LAGGING),
        "reborn": (MISSING, Reason.LAGGING),
        "removed": (EXTRANEOUS, Reason.LAGGING),
    }
    # The rows cannot tell it from a delay: it was not there before its insert either.
    assert "or another writer deleted it there" in found["inserted"].explanation.meaning
    assert {one.explanation.changes_behind for one in found.values()} == {1}


def test_the_latest_of_equal_past_states_counts(world):
    """An item that was so before and became so again is as far behind as the last time it left."""
    for number_ in (1, 2, 1, 3):
        world.sleep(10)
        world.write(version("1", number_), replicated=number_ == 1)

    found, _ = compared(world)

    assert found["1"].explanation.changes_behind == 1
    assert found["1"].explanation.behind_since == world.rows[3].change.created_at


def test_a_state_that_never_was_is_corrupt(world):
    """Different and extraneous items, all of whose changes are recorded."""
    for name in ("bent", "revived"):
        world.write(version(name, 1))
    world.delete("revived")
    world.put(REPLICA, version("bent", 99), version("revived", 99))

    found, _ = compared(world)

    assert reasons(found) == {
        "bent": (DIFFERENT, Reason.CORRUPT),
        "revived": (EXTRANEOUS, Reason.CORRUPT),
    }
    assert "something else writes to the replica" in found["bent"].explanation.meaning
    assert "as far back" not in found["bent"].explanation.meaning


def test_a_recorded_item_that_was_never_absent_and_is_missing_is_corrupt(world):
    """Its history begins with a change of an item that was there; somebody deleted the copy."""
    world.put(SOURCE, version("1", 1))
    world.write(version("1", 2))
    world.client.remove(REPLICA, {"Id": text("1")})

    found, _ = compared(world)

    assert reasons(found) == {"1": (MISSING, Reason.CORRUPT)}
    assert "never absent, as far back as the history goes" in found["1"].explanation.meaning


def test_an_item_older_than_the_history_was_not_backfilled(world):
    """No row, or baselines only: no recorded change should have brought it to the replica."""
    world.put(SOURCE, version("unknown", 1), version("baseline", 1), version("copied", 2))
    world.put(REPLICA, version("copied", 1))
    world.baseline("baseline")

    found, _ = compared(world)

    assert reasons(found) == {
        "unknown": (MISSING, Reason.NOT_BACKFILLED),
        "baseline": (MISSING, Reason.NOT_BACKFILLED),
        "copied": (DIFFERENT, Reason.NOT_BACKFILLED),
    }
    for one in found.values():
        assert "backfill" in one.explanation.to_do
    assert "never backfilled" in found["unknown"].explanation.meaning


def test_a_copy_that_differs_from_its_baseline_is_corrupt(world):
    """A baseline and no change: the item is known, and was never as the replica has it."""
    world.put(SOURCE, version("1", 1))
    world.baseline("1")
    world.put(REPLICA, version("1", 2))

    found, _ = compared(world)

    assert reasons(found) == {"1": (DIFFERENT, Reason.CORRUPT)}


def test_a_key_that_nobody_knows_is_a_foreign_write(world):
    """It is neither in the source nor in any row."""
    world.put(REPLICA, version("1", 1))

    found, _ = compared(world)

    assert reasons(found) == {"1": (EXTRANEOUS, Reason.FOREIGN_WRITE)}
    assert "`repair` deletes the item" in found["1"].explanation.to_do


def test_a_change_that_reached_nobody_is_a_lost_event(world):
    """The history ends in another state than the source, whatever the replica has."""
    for name in ("updated", "deleted", "older"):
        world.write(version(name, 1))
        world.write(version(name, 2), replicated=name != "older")
    world.write(version("updated", 3), recorded=False, replicated=False)
    world.delete("deleted", recorded=False, replicated=False)
    world.write(version("older", 3), recorded=False, replicated=False)

    found, _ = compared(world)

    assert reasons(found) == {
        "updated": (DIFFERENT, Reason.LOST_EVENT),
        "deleted": (EXTRANEOUS, Reason.LOST_EVENT),
        "older": (DIFFERENT, Reason.LOST_EVENT),
    }
    assert "verify" in found["updated"].explanation.to_do


def test_a_row_that_is_missing_is_a_lost_event(world):
    """What the replica has may have been in the gap, so it is not called corrupt."""
    world.write(version("1", 1))
    world.write(version("1", 2))
    world.write(version("1", 3), replicated=False)
    world.write(version("1", 4), replicated=False)
    world.put(REPLICA, version("1", 99))
    world.forget(world.rows[1])
    world.forget(world.rows[2])

    found, _ = compared(world)

    assert reasons(found) == {"1": (DIFFERENT, Reason.LOST_EVENT)}
    assert "lacks a change" in found["1"].explanation.meaning


def test_a_state_known_from_an_old_image_alone_is_lagging(world):
    """The row that made the state is gone; the next one's old image still vouches for it."""
    world.write(version("1", 1))
    world.write(version("1", 2))
    world.write(version("1", 3), replicated=False)
    world.forget(world.rows[1])

    found, _ = compared(world)

    assert reasons(found) == {"1": (DIFFERENT, Reason.LAGGING)}
    assert found["1"].explanation.changes_behind == 1


def test_rows_of_another_table_explain_nothing(world):
    """The difference is found all the same, and the foreign row is named."""
    world.write(version("1", 1), replicated=False)
    (row,) = world.rows
    arn = STREAM_ARN.replace("table/Employee", "table/Customer")
    world.put(HISTORY, resealed(row, event_source_arn=arn).to_item(4))

    found, _ = compared(world)

    assert reasons(found) == {"1": (MISSING, None)}
    assert f"it is of {arn}, not of the followed table" in found["1"].explanation.meaning


def test_a_history_that_cannot_be_read_leaves_the_reason_open(world):
    """The difference is found all the same, and it is said why nothing is known."""
    world.write(version("1", 1), replicated=False)
    world.write(version("2", 1), replicated=False)
    (broken,) = (row for row in world.rows if row.id == "2")
    world.put(HISTORY, broken.to_item(4) | {"Digest": {"B": b"forged"}})

    found, _ = compared(world)
    world.client.always("query", DENIED)
    denied, _ = compared(world)

    assert reasons(found) == {"1": (MISSING, Reason.LAGGING), "2": (MISSING, None)}
    assert "digest mismatch" in found["2"].explanation.meaning
    assert reasons(denied) == {"1": (MISSING, None), "2": (MISSING, None)}
    assert denied["1"].explanation.meaning == "the history cannot be read: AccessDeniedException"


def test_a_long_history_is_not_read_to_its_end(world, monkeypatch):
    """After so many rows nothing is claimed; what is found earlier is not looked for further."""
    monkeypatch.setattr(operations.replica.reasons, "MOST_ROWS", 5)
    for number_ in range(9):
        world.write(version("bent", number_))
        world.write(version("behind", number_), replicated=number_ < 6)
    world.put(REPLICA, version("bent", 99))

    found, _ = compared(world)

    assert reasons(found) == {"bent": (DIFFERENT, None), "behind": (DIFFERENT, Reason.LAGGING)}
    assert found["behind"].explanation.changes_behind == 3


def rows_of(*states, at=NOON):
    """Rows of one item's states, all of one second, newest first."""
    made = [
        HistoryRow.from_change(change(old, new, at=at, sequence=n + 1, keys=item("1")))
        for n, (old, new) in enumerate(zip([None, *states], states, strict=False))
    ]
    return made[::-1]


def baseline_of(state, at=NOON):
    found = change(None, state, at=at)
    return HistoryRow.from_change(
        replace(found, event_name=EventName.SNAPSHOT, sequence_number="0")
    )


def test_a_baseline_within_a_second_of_changes_breaks_nothing():
    """It sorts first in its second and shows any moment of it: no gap, no change counted."""
    first, second, third = (version("1", n) for n in range(3))
    rows = rows_of(first, second, third)

    past = past_of([*rows, baseline_of(second)], version("1", 99))

    assert past.is_whole
    assert past.begins_with_birth
    assert (past.rows, past.changes, past.had_it) == (4, 3, False)


def test_a_baseline_vouches_for_a_state_too():
    """An item that was only ever seen by a backfill was in that state."""
    older, newer = version("1", 1), version("1", 2)
    rows = [
        HistoryRow.from_change(change(older, newer, at=NOON + 60, sequence=5)),
        baseline_of(older),
    ]

    past = past_of(rows, older)

    assert past.had_it
    assert past.changes_since == 1
    assert past_of(rows, None).had_it is False


def test_a_state_known_from_a_new_image_alone_is_of_the_past():
    """The next row does not go on from it, because the one in between is missing."""
    first, _, third, fourth = states = [version("1", n) for n in range(4)]
    rows = rows_of(*states)

    past = past_of([rows[0], rows[3]], first)

    assert past.had_it
    assert (past.changes_since, past.left_at) == (1, rows[0].change.created_at)
    assert (past.last, past_of(rows, third).changes_since) == (fourth, 1)


# What is no finding


def test_a_replica_that_catches_up_is_no_finding(world):
    """A difference at first sight that passes within the patience is counted as passing."""
    world.lag_s = PATIENCE_S / 2
    world.write(version("1", 1))
    world.write(version("2", 1))

    found, summary = compared(world)

    assert found == {}
    assert summary.is_clean
    assert summary.passing == 2


def test_a_replica_that_is_too_late_is_lagging(world):
    """A lag of longer than the patience is told, and by how much."""
    world.lag_s = 0
    world.write(version("1", 1))
    world.write(version("1", 2), replicated=False)

    found, _ = compared(world, patience_s=2)

    assert reasons(found) == {"1": (DIFFERENT, Reason.LAGGING)}


def test_an_item_that_never_holds_still_is_restless(world):
    """It is named apart and is no difference, and what rests is not kept waiting for ever."""
    world.write(version("1", 0))
    world.write(version("2", 0), replicated=False)
    versions = iter(range(1, 10**6))
    world.lag_s = 0.5
    world.happens = lambda _now: world.write(version("1", next(versions)))

    found, summary = compared(world)

    assert found.keys() == {"2"}
    assert summary.restless == (item("1"),)
    assert summary.kinds == {MISSING: 1}
    assert summary.statement == "1 of 2 items differ, 1 changed all the time"
    assert world.now < 12 * PATIENCE_S


def test_an_item_that_goes_to_and_fro_is_not_different(world):
    """Seen in the same state at every look, but its history moves: it does not rest."""
    world.write(version("1", 0))
    world.lag_s = 0.0
    world.write(version("1", 1), replicated=False)

    def to_and_fro(_now):
        world.write(version("1", 0), replicated=False)
        world.write(version("1", 1), replicated=False)

    world.happens = to_and_fro

    found, summary = compared(world)

    assert found == {}
    assert summary.restless == (item("1"),)


def test_a_change_while_the_history_is_read_is_no_lost_event(world):
    """The source was read before the history: what is newer there than it was, is only newer."""
    world.write(version("1", 1))
    world.write(version("1", 2), replicated=False)

    def change(_request, carry_out):
        world.write(version("1", 3))
        return carry_out()

    # The newest row before the item is seen to rest, the newest row after that, then all rows.
    world.client.script("query", None, None, change)

    found, summary = compared(world)

    assert found == {}
    assert summary.is_clean
    assert summary.passing == 1


def test_an_item_that_moved_once_has_to_rest_longer(world):
    """Twice as long, and then it is told."""
    world.write(version("1", 1), replicated=False)
    moved = []

    def once(now):
        if now > PATIENCE_S / 2 and not moved:
            moved.append(now)
            world.write(version("1", 2), replicated=False)

    world.happens = once

    found, _ = compared(world)

    assert reasons(found) == {"1": (MISSING, Reason.LAGGING)}
    assert world.now - moved[0] >= 2 * PATIENCE_S


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("history", [True, False])
def test_heavy_writing_makes_no_finding(seed, history):
    """Thousands of writes to few items meanwhile, a lag of seconds: what is found was planted."""
    rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    with a_world(history=history, page=20) as world:
        hot, cold = ([f"{kind}{n:02d}" for n in range(60)] for kind in ("hot", "cold"))
        for name in (*hot, *cold):
            world.write(version(name, 0))
        planted = set(rng.sample(cold, 5))
        for name in planted:
            world.put(REPLICA, version(name, 99))

        def write(_now):
            world.lag_s = rng.uniform(0.05, 3)
            for _ in range(10):
                name = rng.choice(hot[: rng.randrange(1, len(hot))])
                if rng.random() < 0.3:
                    world.delete(name)
                else:
                    world.write(version(name, rng.randrange(3)))

        world.happens = write

        found, summary = compared(world, segments=1)

        assert found.keys() == planted
        assert summary.passing + len(summary.restless) > 0
        assert {one["Id"]["S"] for one in summary.restless} <= set(hot)


# Sampling


def test_both_directions_look_at_the_same_sample(blind_world):
    """Of items in either table those of the sample are found, and no others."""
    names = [f"{n:03d}" for n in range(400)]
    blind_world.put(SOURCE, *(version(name, 1) for name in names[:300]))
    blind_world.put(REPLICA, *(version(name, 2) for name in names[100:]))

    found, summary = compared(blind_world, sample=0.25, seed=11)

    assert found.keys() == {name for name in names if Sample(0.25, 11).has(name)}
    assert summary.looked_at == len(found)
    assert 60 < len(found) < 140
    assert (summary.sample, summary.seed) == (0.25, 11)
    assert summary.source_items == summary.replica_items == 300


def test_a_sample_is_read_by_key_alone(blind_world):
    """Of the other items nothing but the keys is sent."""
    blind_world.put(SOURCE, *(version(f"{n:03d}", 1) for n in range(200)))
    blind_world.put(REPLICA, *(version(f"{n:03d}", 1) for n in range(200)))

    _, summary = compared(blind_world, sample=0.1)

    client = blind_world.client
    assert all("ProjectionExpression" in one for one in client.requests("scan"))
    read = sum(
        len(table["Keys"])
        for one in client.requests("batch_get_item")
        for table in one["RequestItems"].values()
    )
    # From both tables, and from the source once more for the way back.
    assert read == 3 * summary.looked_at < 3 * 60


def test_a_clean_sample_states_what_it_proves(blind_world):
    """Nothing found among 300 is not nothing: up to a hundredth may differ."""
    items = [version(f"{n:05d}", 1) for n in range(600)]
    blind_world.put(SOURCE, *items)
    blind_world.put(REPLICA, *items)

    found, summary = compared(blind_world, sample=0.5, seed=3)

    assert found == {}
    bound = 1 - 0.05 ** (1 / summary.looked_at)
    assert summary.share_at_most == pytest.approx(bound)
    assert summary.statement == (
        f"0 of {summary.looked_at} items differ, chosen at random: with a confidence of 95% no "
        f"more than {bound:.3%} of all items do"
    )


def test_each_sample_is_another_one():
    """Without a seed nobody can know which items are looked at."""
    samples = {Sample.draw(0.5).seed for _ in range(5)}

    assert len(samples) == 5


def test_a_sample_has_its_share():
    """One of a hundred on average, whatever the ids look like."""
    sample = Sample(0.01, 5)

    chosen = sum(sample.has(f"customer#{n:09d}") for n in range(50_000))

    # Four standard deviations.
    assert abs(chosen - 500) < 4 * math.sqrt(495)


@pytest.mark.parametrize("share", [0, -0.1, 1.01, math.nan])
def test_no_sample_is_refused(world, share):
    """A share is more than nothing and at most everything."""
    with pytest.raises(RefusedError, match=r"0\.01 for one item in a hundred"):
        compare(world.deployment, sample=share, pace=Pace())


@pytest.mark.parametrize(
    ("found", "looked_at", "bound"),
    [
        # One-sided 95 % upper limits as tables of the binomial distribution have them.
        (0, 10, 0.2589),
        (1, 10, 0.3942),
        (5, 10, 0.7776),
        (9, 10, 0.9949),
        (0, 100, 0.0295),
        (5, 100, 0.1023),
        (10, 10, 1.0),
        (0, 0, 1.0),
        (0, 1, 0.95),
    ],
)
def test_the_bound_is_that_of_the_tables(found, looked_at, bound):
    """Clopper and Pearson's limit, as published."""
    assert share_at_most(found, looked_at) == pytest.approx(bound, abs=5e-5)


@pytest.mark.parametrize(("found", "looked_at"), [(0, 3), (2, 17), (30, 60), (7, 400), (199, 200)])
def test_the_bound_leaves_five_percent_exactly(found, looked_at):
    """Under the share given, so few are found with a probability of 5 %, by exact arithmetic."""
    share = Fraction(share_at_most(found, looked_at))

    probability = sum(
        math.comb(looked_at, k) * share**k * (1 - share) ** (looked_at - k)
        for k in range(found + 1)
    )

    assert float(probability) == pytest.approx(0.05, rel=1e-9)


@pytest.mark.parametrize("looked_at", [100, 10_000, 10_000_000])
def test_without_a_find_it_is_the_rule_of_three(looked_at):
    """About 3 / n, however large n is."""
    assert share_at_most(0, looked_at) == pytest.approx(3 / looked_at, rel=0.02)


def test_large_numbers_take_no_time_and_stay_right():
    """A million of a hundred million: a little more than a hundredth, by the normal curve."""
    deviation = math.sqrt(0.01 * 0.99 / 10**8)

    assert share_at_most(10**6, 10**8) == pytest.approx(0.01 + 1.6449 * deviation, rel=1e-5)


# Size, rate, interruption


class Weighed(str):
    """A text of an item that knows how many of its kind there are."""

    __slots__ = ()
    alive = most = 0
    lock = threading.Lock()

    def __new__(cls, value):
        with cls.lock:
            Weighed.alive += 1
            Weighed.most = max(Weighed.most, Weighed.alive)
        return super().__new__(cls, value)

    def __del__(self):
        with self.lock:
            Weighed.alive -= 1


class Endless:
    """A client of two tables of any size, whose items are made when they are read."""

    def __init__(self, size, *, is_replica_empty):
        self.size, self.is_replica_empty = size, is_replica_empty
        self.meta = SimpleNamespace(region_name="us-east-1")

    def describe_table(self, TableName):  # noqa: N803
        return {"Table": describe(TableName, ["Id"])}

    def scan(self, TableName, Segment, TotalSegments, Limit, **request):  # noqa: N803
        if TableName == REPLICA and self.is_replica_empty:
            return {"Items": []}
        start = (
            int(request["ExclusiveStartKey"]["Id"]["S"]) if "ExclusiveStartKey" in request else -1
        )
        numbers = range(Segment, self.size, TotalSegments)
        mine = [n for n in numbers if n > start][:Limit]
        answer = {"Items": [self.item(n) for n in mine]}
        if mine and mine[-1] != numbers[-1]:
            answer["LastEvaluatedKey"] = {"Id": text(str(mine[-1]))}
        return answer

    def batch_get_item(self, RequestItems):  # noqa: N803
        ((table, request),) = RequestItems.items()
        if table == REPLICA and self.is_replica_empty:
            return {"Responses": {}, "UnprocessedKeys": {}}
        found = [self.item(int(key["Id"]["S"])) for key in request["Keys"]]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def item(self, n):
        return {"Id": text(f"{n}"), "Data": text(Weighed("x"))}


def weigh(size, **options):
    """The most items that were in memory at once while two such tables were compared."""
    gc.collect()
    Weighed.most = Weighed.alive
    with a_world(history=False) as world:
        world.use(Endless(size, **options))
        found = 0
        for one in compare(world.deployment, segments=2, pace=Pace(machine=world.machine)):
            found += 1
            del one
        return found, Weighed.most


@pytest.mark.parametrize("is_replica_empty", [False, True])
def test_memory_is_bounded_by_pages(monkeypatch, is_replica_empty):
    """Five times the items, the same number in memory; also when every single one differs."""
    monkeypatch.setattr(operations.replica.compared_table, "PAGE_ITEMS", 100)

    few, many = (1_000, 5_000) if is_replica_empty else (2_000, 10_000)

    found_of_few, of_few = weigh(few, is_replica_empty=is_replica_empty)
    found_of_many, of_many = weigh(many, is_replica_empty=is_replica_empty)

    assert (found_of_few, found_of_many) == ((few, many) if is_replica_empty else (0, 0))
    # Pages of two segments under way and handed over, their copies, and what is looked at again.
    assert of_many <= 2_000
    assert of_many <= 1.5 * of_few + 200


def test_suspects_are_bounded_too(monkeypatch):
    """When everything differs, scanning waits until there are fewer suspects."""
    monkeypatch.setattr(operations.replica.compare, "MOST_SUSPECTS", 50)
    most = []
    with a_world(history=False, page=10) as world:
        world.put(SOURCE, *(version(f"{n:03d}", 1) for n in range(300)))
        add = operations.replica.watch.Watch.add

        def noted(self, keys):
            add(self, keys)
            most.append(len(self))

        monkeypatch.setattr(operations.replica.watch.Watch, "add", noted)

        found, _ = compared(world, segments=2)

    assert len(found) == 300
    assert max(most) <= 60


def test_a_rate_is_kept(blind_world):
    """A thousand items of each table and their copies, at five hundred a second."""
    items = [version(f"{n:04d}", 1) for n in range(1_000)]
    blind_world.put(SOURCE, *items)
    blind_world.put(REPLICA, *items)

    compared(blind_world, rate=500)

    assert 7 < blind_world.now < 9
    assert {one["Limit"] for one in blind_world.client.requests("scan")} == {500}


def test_throttling_is_waited_out(blind_world):
    """Scans and reads that are refused for a while are made again."""
    blind_world.put(SOURCE, version("1", 1))
    blind_world.put(REPLICA, version("1", 2))
    for operation in ("describe_table", "scan", "batch_get_item"):
        blind_world.client.script(operation, THROTTLED, THROTTLED)

    found, summary = compared(blind_world)

    assert found.keys() == {"1"}
    assert summary.is_complete


@pytest.mark.parametrize("operation", ["scan", "batch_get_item"])
def test_throttling_without_end_ends_it(blind_world, operation):
    """After a minute it says what to do."""
    blind_world.put(SOURCE, version("1", 1))

    blind_world.client.always(operation, THROTTLED)
    comparison = compare(blind_world.deployment, segments=1, pace=Pace(machine=blind_world.machine))

    with pytest.raises(OperationError, match="try again later, or slower"):
        list(comparison)

    assert not comparison.summary.is_complete
    assert 50 < blind_world.now < 65


def test_a_missing_permission_is_told(blind_world):
    """With the table, the code, and what is needed; without any text that may quote keys."""
    blind_world.client.always("scan", DENIED)

    with pytest.raises(OperationError) as raised:
        list(compare(blind_world.deployment, pace=Pace(machine=blind_world.machine)))

    assert str(raised.value) == (
        "the source table 'Employee' in us-east-1 cannot be read (AccessDeniedException): check "
        "its name, its region, and that you are allowed DescribeTable, Scan and BatchGetItem on it"
    )


def test_ending_it_early_reads_no_more(blind_world):
    """Whoever has seen enough closes it: what is under way ends, nothing new begins."""
    blind_world.put(SOURCE, *(version(f"{n:03d}", 1) for n in range(50)))
    comparison = compare(blind_world.deployment, pace=Pace(machine=blind_world.machine))

    first = next(comparison)
    comparison.close()
    calls = len(blind_world.client.calls)

    assert first.kind is MISSING
    assert list(comparison) == []
    assert len(blind_world.client.calls) == calls
    assert not comparison.summary.is_complete
    assert comparison.summary.statement.endswith("the comparison was not finished")


def test_progress_is_told(blind_world):
    """Items of either table out of those expected, then the suspects."""
    blind_world.client.descriptions[SOURCE]["ItemCount"] = 500
    blind_world.put(SOURCE, *(version(f"{n:03d}", 1) for n in range(20)))
    told = []

    compared(blind_world, progress=lambda *what: told.append(what), segments=1)

    assert told[0] == ("source items", 20, 500)
    assert told[1] == ("replica items", 0, None)
    assert told[-1] == ("suspects looked at again", 20, 20)


# What is refused


def test_the_source_is_no_replica_of_itself(world):
    """The same table under whatever name or region."""
    world.client.descriptions[REPLICA]["TableId"] = f"id-{SOURCE}"

    with pytest.raises(RefusedError, match="'EmployeeReplica' is the source table itself"):
        compare(world.deployment, pace=Pace())


def test_tables_without_ids_are_told_apart_by_name(world):
    """Not every engine has ids of tables."""
    for name in (SOURCE, REPLICA):
        del world.client.descriptions[name]["TableId"]
        world.client.descriptions[name]["TableArn"] = f"arn:aws:dynamodb:::table/{name}"

    found, _ = compared(world)
    world.client.descriptions[REPLICA]["TableArn"] = "arn:aws:dynamodb:::table/Employee"

    assert found == {}
    with pytest.raises(RefusedError, match="the source table itself"):
        compare(world.deployment, pace=Pace())


@pytest.mark.parametrize("names", [["Name"], ["Id", "At"], ["At", "Id"]])
def test_another_key_is_refused(world, names):
    """A replica with another key is none."""
    world.client.descriptions[REPLICA] = describe(REPLICA, names)

    with pytest.raises(RefusedError, match=r"the source's is Id \(S, HASH\)"):
        compare(world.deployment, pace=Pace())


def test_a_table_that_is_not_there_is_told(world):
    """Which one, and what to look at."""
    del world.client.descriptions[REPLICA]

    with pytest.raises(OperationError, match=r"the replica table 'EmployeeReplica'.*ResourceNot"):
        compare(world.deployment, pace=Pace())


def test_a_history_that_is_none_is_told_at_once(world):
    """Not after an hour of scanning."""
    world.client.descriptions[HISTORY] = describe(HISTORY, ["Id"])

    with pytest.raises(TableNotFoundError, match="not a history table"):
        compare(world.deployment, pace=Pace())


def test_a_history_that_may_not_be_read_is_told_at_once(world):
    """With what it takes to read it."""
    world.client.script("describe_table", None, None, DENIED)

    with pytest.raises(OperationError, match=r"history table .* DescribeTable and Query on it"):
        compare(world.deployment, pace=Pace())


def test_no_replica_is_refused(world):
    """It has to be named."""
    with pytest.raises(RefusedError, match="which replica table"):
        compare(replace(world.deployment, replica_table=None), pace=Pace())


@pytest.mark.parametrize("segments", [0, -1, 1_000_001])
def test_impossible_segments_are_refused(world, segments):
    """As many as DynamoDB allows."""
    with pytest.raises(RefusedError, match="from 1 to 1,000,000"):
        compare(world.deployment, segments=segments, pace=Pace())


def test_a_rate_of_nothing_is_refused(world):
    """It would never end."""
    with pytest.raises(RefusedError, match="give more than 0"):
        compared(world, rate=0)
