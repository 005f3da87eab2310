"""An undo rests on all changes of its range: none may still be on its way."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.recovery.recorded import BehindError, Lag, await_recorded
from reports.access.machine import Machine
from reports.states.watermark import Basis, NoWatermark, Watermark
from tests.factories import Clock

UNTIL = datetime(2026, 3, 3, 18, 46, tzinfo=UTC)
LATE = Watermark(UNTIL - timedelta(minutes=1), Basis.MEASURED, "by the metrics")


def reader_of(*watermarks, proven=None):
    """A reader that finds out one watermark after the other."""
    arriving = iter(watermarks)
    reader = SimpleNamespace(watermark=next(arriving), find_watermark=lambda: next(arriving))
    reader.watermark_at = lambda _moment: proven or reader.watermark
    return reader


def test_a_range_that_is_recorded_is_not_waited_for():
    """Its last second has to be over by then: a later change may be stamped with it."""
    complete = Watermark(UNTIL + timedelta(seconds=1), Basis.AGED, "by age")

    await_recorded(reader_of(complete), UNTIL, wait=False, pace=Pace())

    same_second = Watermark(UNTIL, Basis.AGED, "by age")
    with pytest.raises(RefusedError):
        await_recorded(reader_of(same_second), UNTIL, wait=False, pace=Pace())


@pytest.mark.parametrize(
    ("watermark", "wait", "advice"),
    [
        (
            LATE,
            False,
            r"\(measured\): --wait waits for it. At once: .*--prove.*, --recorded-until says it$",
        ),
        (
            Watermark(UNTIL, Basis.DECLARED, "declared"),
            True,
            r"\(declared\): give --recorded-until a later second than --until, if that is so$",
        ),
        (
            Watermark(UNTIL, Basis.COMPARED, "kept"),
            False,
            r"\(compared\); `itemtrail status --prove --keep` proves a later moment$",
        ),
        (
            NoWatermark(),
            True,
            "give --stack or --recorded-until. At once: `itemtrail status --prove --keep` with",
        ),
    ],
)
def test_a_range_that_may_not_be_recorded_is_refused(watermark, wait, advice):
    """With what to do about it; where waiting cannot help, it is not waited."""
    pauses = []
    pace = Pace(machine=Machine(now=lambda: UNTIL, sleep=pauses.append))

    with pytest.raises(RefusedError, match=r"may not all be in the history yet: .*" + advice):
        await_recorded(reader_of(watermark), UNTIL, wait=wait, pace=pace)

    assert pauses == []


def test_a_proof_that_was_kept_will_do():
    """Where nothing else tells: that is the way out of the first minutes of a stack."""
    proven = Watermark(UNTIL + timedelta(seconds=1), Basis.COMPARED, "kept")

    await_recorded(reader_of(NoWatermark(), proven=proven), UNTIL, wait=False, pace=Pace())


def test_it_waits_until_the_range_is_recorded():
    """And says how far the history is, and for how long it has waited."""
    clock, progress = Clock(), []
    later = [
        Watermark(UNTIL + timedelta(seconds=n), Basis.MEASURED, "by the metrics") for n in (0, 1)
    ]
    reader = reader_of(LATE, *later)
    pace = Pace(progress=lambda *what: progress.append(what), machine=clock.machine)

    await_recorded(reader, UNTIL, wait=True, pace=pace)

    assert reader.watermark is later[1]
    said = "waiting for the history: complete until {}, to be until 2026-03-03T18:46:00.000000Z; "
    assert progress == [
        (said.format("2026-03-03T18:45:00.000000Z") + "seconds", 0, None),
        (said.format("2026-03-03T18:46:00.000000Z") + "seconds", 15, None),
    ]


def test_all_items_share_one_patience():
    """An item is read a few times, and once where all the patience is used up."""
    pauses = []
    lag = Lag(Pace(patience_s=6, machine=Machine(sleep=pauses.append)))
    reads = []

    for _ in range(3):
        with pytest.raises(BehindError):
            lag.settled(lambda: (False, reads.append("read")))

    assert (len(pauses), len(reads)) == (6, 5 + 3 + 1)
    assert lag.settled(lambda: (True, "the item")) == "the item"
