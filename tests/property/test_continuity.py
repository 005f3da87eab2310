"""Whole histories have no finding; whatever is done to them that leaves a trace is found."""

from collections import Counter
from copy import deepcopy
from itertools import pairwise

from hypothesis import assume, event, given
from hypothesis import strategies as st

from reports.access.machine import Machine
from reports.states.spans import timeline
from reports.states.timeline import Certainty
from reports.verification.continuity import FindingKind, Head, Link, judge_chain
from reports.verification.verdicts import Verdict
from reports.verification.verify import verify
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from stream_core.history_row import sort_key_of
from tests.factories import item, number, text
from tests.property.test_as_of import lived, steps
from tests.recorded_history import LATER, SHARDS, History, StillClock, resealed, row_of
from tests.unit.memory_tables import moment

OTHER = item("2", State=text("X"))
FORGED = item("1", State=text("forged"))


def verified(history):
    clock = StillClock()
    return verify(history.reader, machine=Machine(now=clock.now, sleep=clock.sleep))


def found_in(history):
    return sorted(finding.kind.value for finding in verified(history).findings)


def history_of(rows, live):
    """A history of one item, and of another one beside it."""
    return History(*rows, row_of(None, OTHER, -60), live=[*([live] if live else []), OTHER])


@given(steps, st.sets(st.integers(0, 13)))
def test_a_whole_history_has_no_finding(given_steps, overflowed):
    """Several changes a second, deletions, rebirths, baselines, images in the overflow bucket."""
    life = lived(given_steps)
    history = history_of([], life.last)
    for place, row in enumerate(life.rows):
        history.store((history.overflow(row) if place in overflowed else row).to_item(SHARDS))

    came_of_it = verified(history)

    assert came_of_it.findings == []
    assert came_of_it.clean
    assert came_of_it.rows == len(life.rows) + 1


@given(steps, st.data())
def test_a_baseline_at_the_start_makes_a_history_whole(given_steps, data):
    """What was there before needs no INSERT then, wherever in its second the baseline was taken."""
    life = lived([(0, "baseline"), *given_steps], first=item("1", State=number(99)))
    in_its_second = [
        image
        for row in life.rows
        for image in (row.change.old_image, row.change.new_image)
        if image is not None and row.change.created_at == moment(0)
    ]
    baseline = resealed(life.rows[0], new_image=data.draw(st.sampled_from(in_its_second)))

    assert found_in(history_of([baseline, *life.rows[1:]], life.last)) == []


@given(steps, st.data())
def test_nothing_is_found_only_where_the_rows_close(given_steps, data):
    """Whichever rows are lost: a finding just when what is left does not follow from itself."""
    life = lived([step for step in given_steps if step[1] != "baseline"])
    kept = data.draw(st.lists(st.booleans(), min_size=len(life.rows), max_size=len(life.rows)))
    left = [row.change for row, keep in zip(life.rows, kept, strict=True) if keep]
    states = [None, *(image for one in left for image in (one.old_image, one.new_image)), life.last]
    is_whole = all(same_item(*pair) for pair in zip(states[::2], states[1::2], strict=True))

    came_of_it = verified(history_of([row for row in life.rows if row.change in left], life.last))

    assert came_of_it.clean is is_whole
    assert (came_of_it.findings == []) is is_whole
    assert came_of_it.integrity is Verdict.HOLDS
    assert all(
        one.since is None or one.until is None or one.since <= one.until
        for one in came_of_it.findings
    )


@given(steps, st.sampled_from([None, item("1", State=number(99))]), st.data())
def test_what_as_of_calls_bounded_is_found(given_steps, first, data):
    """Where an answer between the first row and now is not exact, verification says why."""
    life = lived(given_steps, first)
    kept = data.draw(st.lists(st.booleans(), min_size=len(life.rows), max_size=len(life.rows)))
    left = [row for row, keep in zip(life.rows, kept, strict=True) if keep]
    history = history_of(left, life.last)
    newest = history.reader.evidence({"Id": text("1")}, LATER, LATER)

    _, *since_the_first_row = timeline(left, newest)

    if not all(state.certainty is Certainty.EXACT for state in since_the_first_row):
        assert not verified(history).clean
    elif not left:
        assert verified(history).clean is (life.last is None)


# Seconds since the change before, 0 for the same second; and whether the item is then there.
distinct_steps = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=10)


def distinct(given_steps):
    """Rows of one item whose every state is another one, and what is live then."""
    rows, state, at = [], None, 0
    for place, (gap, is_there) in enumerate(given_steps):
        new = item("1", State=number(place)) if is_there or state is None else None
        at += gap
        rows.append(row_of(state, new, at, place))
        state = new
    return rows, state


def broken(before, after):
    """The class of a broken link between two rows."""
    if before is None:
        return "MISSING_INSERT"
    return "MISSING_DELETE" if after is None else "MISSING_CHANGE"


def of_missing(rows, place, live):
    """The classes that the loss of a row brings."""
    if place + 1 < len(rows):
        after = rows[place + 1].change.old_image
        if place == 0:
            return [] if after is None else ["MISSING_START"]
        return [broken(rows[place - 1].change.new_image, after)]
    if place == 0:
        return [] if live is None else ["MISSING_START"]
    return ["HEAD_MISMATCH"]


def lose_one(rows, live, place, _data):
    return history_of(rows[:place] + rows[place + 1 :], live), of_missing(rows, place, live)


def exchange_two(rows, live, place, data):
    other = data.draw(st.integers(0, len(rows) - 1))
    moved = list(rows)
    moved[place], moved[other] = (
        at_place_of(rows[other], rows[place]),
        at_place_of(rows[place], rows[other]),
    )
    return history_of(moved, live), [] if other == place else naive(moved, live)


def set_clock_back(rows, live, place, data):
    """Two rows have each the time of the other, and the numbers that they always had."""
    other = data.draw(st.integers(0, len(rows) - 1))
    one_time, other_time = rows[place].change.created_at, rows[other].change.created_at
    moved = list(rows)
    moved[place] = resealed(rows[place], created_at=other_time)
    moved[other] = resealed(moved[other], created_at=one_time)
    return history_of(moved, live), [] if one_time == other_time else ["ORDER"]


def naive(rows, live):
    """The classes of all links that do not close, the rows being in their true order."""
    states = [(row.change.old_image, row.change.new_image) for row in rows]
    start = [] if states[0][0] is None else ["MISSING_START"]
    end = [] if states[-1][1] == live else ["HEAD_MISMATCH"]
    links = [broken(left, right) for (_, left), (right, _) in pairwise(states) if left != right]
    return [*start, *links, *end]


def at_place_of(row, other):
    return resealed(
        row, created_at=other.change.created_at, sequence_number=other.change.sequence_number
    )


def alter_image(rows, live, place, data):
    history = history_of(rows, live)
    altered = deepcopy(history.stored()[place])
    image = data.draw(
        st.sampled_from([name for name in ("OldImage", "NewImage") if name in altered])
    )
    altered[image] = {"M": FORGED}
    history.store(altered)
    return history, ["DIGEST_MISMATCH"]


def forge_new_image(rows, live, place, _data):
    if rows[place].change.new_image is None:
        return None
    forged = resealed(rows[place], new_image=FORGED)
    found = "MISSING_CHANGE" if place + 1 < len(rows) else "HEAD_MISMATCH"
    return history_of([*rows[:place], forged, *rows[place + 1 :]], live), [found]


def forge_old_image(rows, live, place, _data):
    if rows[place].change.old_image is None:
        return None
    forged = resealed(rows[place], old_image=FORGED)
    return history_of([*rows[:place], forged, *rows[place + 1 :]], live), ["MISSING_CHANGE"]


def duplicate(rows, live, place, _data):
    change = rows[place].change
    again = resealed(rows[place], sequence_number=str(int(change.sequence_number) + 1))
    return history_of([*rows, again], live), [broken(change.new_image, change.old_image)]


def move_with_digest(rows, live, place, _data):
    moved = resealed(rows[place], item_id="2")
    history = history_of([*rows[:place], moved, *rows[place + 1 :]], live)
    return history, ["KEY_MISMATCH", *of_missing(rows, place, live)]


def move(rows, live, place, _data):
    history = history_of(rows, live)
    moved = history.stored()[place]
    history.lose(moved)
    history.store(moved | {"Id": text("2")})
    return history, ["DIGEST_MISMATCH", "KEY_MISMATCH", *of_missing(rows, place, live)]


def in_overflow(rows, live, place):
    history = history_of(rows, live)
    history.store(history.overflow(rows[place]).to_item(SHARDS))
    return history


def lose_overflow(rows, live, place, _data):
    history = in_overflow(rows, live, place)
    history.objects.bodies.clear()
    return history, ["DIGEST_MISMATCH"]


def alter_overflow(rows, live, place, data):
    history = in_overflow(rows, live, place)
    ((at, body),) = history.objects.bodies.items()
    byte = data.draw(st.integers(10, len(body) - 1))
    history.objects.bodies[at] = body[:byte] + bytes([body[byte] ^ 255]) + body[byte + 1 :]
    return history, ["DIGEST_MISMATCH"]


def alter_bucket(rows, live, place, data):
    history = history_of(rows, live)
    altered = history.stored()[place]
    bucket = altered["TimeBucket"]["S"]
    other = data.draw(st.sampled_from([None, bucket[:-4] + "9#01", "x", bucket[:-2] + "99"]))
    history.store(
        {**altered, "TimeBucket": text(other)}
        if other
        else {k: v for k, v in altered.items() if k != "TimeBucket"}
    )
    return history, ["KEY_MISMATCH"]


DAMAGES = [
    lose_one,
    exchange_two,
    set_clock_back,
    alter_image,
    forge_new_image,
    forge_old_image,
    duplicate,
    move_with_digest,
    move,
    lose_overflow,
    alter_overflow,
    alter_bucket,
]


@given(distinct_steps, st.sampled_from(DAMAGES), st.data())
def test_every_damage_that_leaves_a_trace_is_found_and_told_by_its_class(given_steps, damage, data):
    """Rows lost, exchanged, altered, forged, duplicated, moved; overflow objects lost, altered."""
    rows, live = distinct(given_steps)
    place = data.draw(st.integers(0, len(rows) - 1))
    done = damage(rows, live, place, data)
    assume(done is not None)
    history, expected = done
    event(damage.__name__)

    assert found_in(history) == sorted(expected)


few_states = st.sampled_from([None, b"A", b"B", b"C"])


@st.composite
def numbered_rows(draw):
    """Rows in the order of their numbers, a few lost or strange, stamped by a clock that errs."""
    states = draw(st.lists(few_states, min_size=1, max_size=8))
    edges = [edge for edge in pairwise([None, *states]) if draw(st.integers(0, 5))]
    edges += draw(st.lists(st.tuples(few_states, few_states), max_size=1))
    seconds = [draw(st.integers(place, place + 3)) for place in range(len(edges))]
    return [
        Link(
            sort_key_of(moment(second), str(place + 1)),
            EventName.MODIFY,
            moment(second),
            before,
            after,
            "a stream",
        )
        for place, (second, (before, after)) in enumerate(zip(seconds, edges, strict=True))
    ], states[-1]


@given(numbered_rows())
def test_numbers_tell_the_order_and_nothing_else_does(rows):
    """Order is found just where times contradict numbers; each link that is broken is found."""
    links, live = rows
    stored = sorted(links, key=lambda link: link.sort_key)

    kinds = Counter(finding.kind for finding in judge_chain({}, stored, Head(live)))

    states = [(None, None), *((link.before, link.after) for link in links), (live, live)]
    if not links:
        states = []
    event(f"{kinds[FindingKind.ORDER]} out of order")
    assert bool(kinds[FindingKind.ORDER]) is (stored != links)
    assert kinds.total() - kinds[FindingKind.ORDER] == sum(
        left != right for (_, left), (right, _) in pairwise(states)
    )
