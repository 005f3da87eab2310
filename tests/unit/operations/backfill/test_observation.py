"""When an item was what was read of it: by which clock, to which tick, between which changes."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from operations.backfill.observation import Observation, date, stamp, tick_of
from operations.execution.service_clock import ServiceClock
from tests.factories import item, number

SECOND = timedelta(seconds=1)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEYS = {"1": item("1")}


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def seen(since, until, version=1):
    """An item as it was between two times; None: it was not there."""
    found = None if version is None else item("1", Version=number(version))
    return Observation(item("1"), found, at(since), at(until))


def dated(*sightings, tick=SECOND):
    """What comes of sightings, one after another; and how many were needed."""
    rest = iter(sightings[1:])
    looks = []

    def look_again(before):
        looks.append(before)
        return {"1": next(rest)}

    return date({"1": sightings[0]}, look_again, tick), len(looks)


# ---- Dating ---------------------------------------------------------------------------------


def test_a_read_within_a_second_needs_no_other():
    """Wherever within it: a baseline shows some moment of its second."""
    dates, looks = dated(seen(3.1, 3.9))

    assert (dates.dated["1"].at, looks) == (at(3), 0)


def test_a_read_across_the_turn_of_a_second_is_made_again():
    """The next one stands for itself, whether the item is the same or not."""
    for version in (1, 2):
        dates, looks = dated(seen(3.9, 4.1), seen(4.9, 5.1), seen(5.2, 5.9, version))

        assert (dates.dated["1"].at, looks) == (at(5), 2)
        assert dates.dated["1"].item["Version"] == number(version)


def test_where_every_read_takes_seconds_two_that_agree_have_to_do():
    """It was so when the first answer was there. Else a slow network would never be done."""
    slow = [seen(10 * n, 10 * n + 3) for n in range(9)]

    dates, looks = dated(*slow)

    assert (dates.dated["1"].at, looks) == (at(73), 8)


def test_an_item_that_was_deleted_meanwhile_is_gone():
    """And one that never was the same twice is restless."""
    dates, _ = dated(seen(3.9, 4.1), seen(4.2, 4.3, None))
    assert (dates.dated, dates.gone, dates.restless) == ({}, {"1"}, set())

    dates, _ = dated(*(seen(n - 0.1, n + 0.1, n) for n in range(9)))
    assert (dates.dated, dates.gone, dates.restless) == ({}, set(), {"1"})


def test_a_minute_is_a_tick_where_changes_are_stamped_so():
    """Only the turn of a minute matters then."""
    minute = timedelta(minutes=1)

    assert dated(seen(3.9, 59.9), tick=minute)[0].dated["1"].at == at(0)
    assert dated(seen(59.9, 60.1), seen(60.2, 118), tick=minute)[0].dated["1"].at == at(60)


def test_no_change_is_on_the_wrong_side_of_a_baseline():
    """Changes at any time, reads of any length: what sorts before it was before it.

    A change of the same second may be on either side; readers know that.
    """
    dice = random.Random(1)  # noqa: S311 - dice, not secrets
    for _ in range(3000):
        life = sorted(dice.uniform(0, 4) for _ in range(dice.randrange(4)))
        now = dice.uniform(0, 3)
        sightings, moments = [], []
        for _ in range(9):
            moments.append(now + dice.uniform(0, 0.2))
            until = moments[-1] + dice.uniform(0, 0.2)
            version = sum(change <= moments[-1] for change in life) % 2
            sightings.append(seen(now, until, version))
            now = until + 0.01

        dates, _ = dated(*sightings)

        found = dates.dated["1"]
        before = [change for change in life if stamp(at(change), SECOND) < found.at]
        within = [change for change in life if stamp(at(change), SECOND) == found.at]
        versions = {(len(before) + n) % 2 for n in range(len(within) + 1)}
        assert int(found.item["Version"]["N"]) in versions


# ---- Ticks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arn", "seconds"),
    [
        ("arn:aws:dynamodb:eu-west-1:123456789012:table/Employee", 1),
        ("arn:aws-cn:dynamodb:cn-north-1:123456789012:table/Employee", 1),
        ("arn:aws:dynamodb:ddblocal:000000000000:table/Employee", 60),
        ("arn:scylla:alternator:::table/Employee", 1),
        ("Employee", 1),
    ],
)
def test_dynamodb_local_alone_stamps_to_the_minute(arn, seconds):
    """It is known by the region in its ARNs."""
    assert tick_of(arn) == timedelta(seconds=seconds)


def test_a_stamp_is_rounded_down():
    """As the service rounds, before 1970 too."""
    assert stamp(at(3.999999), SECOND) == at(3)
    assert stamp(at(119.9), timedelta(minutes=1)) == at(60)
    assert stamp(datetime(1969, 12, 31, 23, 59, 59, 1, UTC), SECOND).microsecond == 0


# ---- The service's clock ---------------------------------------------------------------------


class Service:
    """Requests to a service whose clock is off from this machine's.

    Attributes:
        now: the time of this machine.
    """

    def __init__(self, off_s, *, dates=True):
        self.now = at(0.123)
        self.off = timedelta(seconds=off_s)
        self.clock = ServiceClock(lambda: self.now)
        self._dates = dates

    def request(self, there_s=0.004, back_s=0.006):
        """Make one; returns the window told for it and the true time of the service."""
        true = []

        def handle():
            self.now += timedelta(seconds=there_s)
            true.append(self.now + self.off)
            self.now += timedelta(seconds=back_s)
            headers = {"date": format_datetime(true[0], usegmt=True)} if self._dates else {}
            return {"ResponseMetadata": {"HTTPHeaders": headers}}

        _, since, until = self.clock.ask(handle)
        return since, until, true[0]


@pytest.mark.parametrize("off_s", [0, 0.02, -0.5, 1.7, -3600, 86_400.25])
def test_the_window_has_the_time_of_the_service_in_it(off_s):
    """From the first answer on; and soon it is little wider than the request took."""
    service = Service(off_s)

    for n in range(250):
        since, until, true = service.request()
        assert since <= true <= until
        service.now += timedelta(seconds=0.0071)
        assert n < 200 or until - since < timedelta(seconds=0.2)

    assert service.clock.doubt < timedelta(seconds=0.2)
    assert service.now + service.off <= service.clock.latest()


@pytest.mark.parametrize("off_s", [0, 0.6, -100.01])
def test_a_clock_is_tuned_within_a_second(off_s):
    """By a few requests: one of them is soon after the turn of a second, the one before is not."""
    service = Service(off_s)
    service.request()
    begun = service.now

    def request():
        service.now += timedelta(seconds=0.01)
        date_ = format_datetime(service.now + service.off, usegmt=True)
        return {"ResponseMetadata": {"HTTPHeaders": {"date": date_}}}

    def sleep(seconds):
        service.now += timedelta(seconds=seconds)

    service.clock.tune(request, sleep)
    tuned = service.now
    service.clock.tune(request, sleep)

    assert tuned == service.now <= begun + timedelta(seconds=1.2)
    assert service.clock.doubt <= timedelta(seconds=0.25)


def test_after_the_doubt_a_request_is_later_for_sure():
    """A request that is sent so much after an answer is handled after it, by any clock."""
    dice = random.Random(2)  # noqa: S311 - dice, not secrets
    service = Service(13.4)
    for _ in range(300):
        _, until, _ = service.request(dice.uniform(0, 0.3), dice.uniform(0, 0.3))
        service.now += service.clock.doubt

        since, _, true = service.request(dice.uniform(0, 0.3), dice.uniform(0, 0.3))

        assert until <= since <= true
        service.now += timedelta(seconds=dice.uniform(0, 2))


def test_a_clock_that_is_set_is_followed():
    """What was learned before contradicts it then, and is forgotten."""
    service = Service(0)
    for _ in range(200):
        service.request()
    service.off = timedelta(seconds=-30)

    for _ in range(3):
        since, until, true = service.request()
        assert since <= true <= until


def test_a_clock_that_drifts_is_followed():
    """A second in an hour, in steps too small to contradict what is known."""
    service = Service(0)
    for _ in range(20_000):
        service.now += timedelta(seconds=1.0037)
        service.off += timedelta(seconds=1 / 3600)
        since, until, true = service.request()
        assert since - timedelta(seconds=0.2) <= true <= until + timedelta(seconds=0.2)


def test_without_dates_the_clocks_are_taken_to_agree():
    """Somebody's emulator may send none."""
    service = Service(5, dates=False)

    since, until, _ = service.request()

    assert until - since == timedelta(seconds=0.01 + 0.05)
    assert service.clock.doubt == timedelta(seconds=0.05)


@pytest.mark.parametrize("date_", ["", "yesterday", "Wed, 25 Nov 2026 12:00:00 -0000"])
def test_a_date_that_is_none_is_passed_over(date_):
    """So is an answer of another form."""
    clock = ServiceClock(lambda: NOON)

    for answer in ({"ResponseMetadata": {"HTTPHeaders": {"date": date_}}}, {}, "text"):
        assert clock.ask(lambda one=answer: one)[1:] == (at(-0.025), at(0.025))
