"""A watermark is never later than what is stored, whatever fails short of a silent stall."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from reports.deployment.delivery import FAILURES, QUIET, Deliveries, Measured, watermark_of
from reports.states.watermark import Basis, NoWatermark, Watermark

NOON = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WELL = Deliveries(
    now=NOON,
    timeout=MINUTE,
    maximum_age=12 * HOUR,
    state="Enabled",
    modified_at=NOON - 9 * HOUR,
    follows_latest=True,
    measured=Measured(was_polled=True),
)


def test_a_clean_half_hour_is_complete_but_for_what_is_under_way():
    """Until 11:55 all is known: 30 minutes before, less the time-out and a minute."""
    watermark = watermark_of(WELL)

    assert watermark.at == datetime(2026, 11, 25, 11, 23, tzinfo=UTC)
    assert watermark.basis is Basis.MEASURED


def test_the_greatest_age_of_a_record_is_waited_for():
    """What was sent late was stored later."""
    late = Measured(was_polled=True, age=7 * MINUTE)

    assert watermark_of(replace(WELL, measured=late)).at == watermark_of(WELL).at - 7 * MINUTE


def test_a_long_time_out_moves_the_window():
    """An invocation that still runs has not counted what it fails."""
    patient = replace(WELL, timeout=15 * MINUTE)

    assert watermark_of(patient).at == datetime(2026, 11, 25, 10, 58, tzinfo=UTC)


@pytest.mark.parametrize("name", FAILURES)
def test_after_a_failure_only_age_counts(name):
    """A record may be tried again until it is twelve hours old."""
    failed = Measured(was_polled=True, failures={name: 1})

    watermark = watermark_of(replace(WELL, measured=failed))

    assert (watermark.at, watermark.basis) == (NOON - 12 * HOUR - QUIET, Basis.AGED)
    assert name in watermark.reason
    assert isinstance(watermark_of(replace(WELL, measured=failed, maximum_age=None)), NoWatermark)


@pytest.mark.parametrize("measured", [None, Measured(was_polled=False)])
def test_metrics_that_are_not_there_are_not_zero(measured):
    """A mapping that counts nothing tells nothing."""
    assert watermark_of(replace(WELL, measured=measured)).basis is Basis.AGED


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"state": "Disabled"}, "Disabled"),
        ({"follows_latest": False}, "latest stream"),
        ({"modified_at": NOON - 30 * MINUTE}, "was changed"),
        ({"modified_at": WELL.quiet_time.begin}, "was changed"),
        ({"kept_aside": (NOON - HOUR, None)}, "kept aside"),
    ],
)
def test_without_a_sound_delivery_there_is_no_watermark(change, word):
    """Nothing is claimed, and it is said why."""
    answer = watermark_of(replace(WELL, **change))

    assert isinstance(answer, NoWatermark)
    assert word in answer.reason


@pytest.mark.parametrize("seconds", [0, 59])
def test_after_a_change_of_the_mapping_it_is_said_when_metrics_tell(seconds):
    """And then they do; the rest of the hour a mapping is new, and somebody wants to know."""
    changed_at = WELL.quiet_time.begin + timedelta(seconds=seconds)
    new = replace(WELL, modified_at=changed_at)

    known_at = re.search("before (.*) nothing tells", watermark_of(new).reason)[1]

    told = replace(new, now=datetime.fromisoformat(known_at))
    assert told.now - new.now <= 2 * MINUTE
    assert watermark_of(told).basis is Basis.MEASURED


@pytest.mark.parametrize("measured", [WELL.measured, None])
def test_what_is_kept_aside_is_not_in_the_history(measured):
    """The watermark lies before the earliest of it; a later one changes nothing."""
    earliest = NOON - 20 * HOUR
    kept = replace(WELL, measured=measured, kept_aside=(NOON, earliest))
    later = replace(WELL, measured=measured, kept_aside=(NOON,))

    assert not watermark_of(kept).covers(earliest - timedelta(seconds=1))
    assert watermark_of(kept).covers(earliest - timedelta(seconds=2))
    assert "redrive" in watermark_of(kept).reason
    assert watermark_of(later) == watermark_of(replace(WELL, measured=measured))


class Mapping:
    """A mapping that polls shards minute by minute, fails, throttles, and is slow now and then.

    It never stalls without a word: that is the assumption the rule rests on.
    """

    def __init__(self, random):
        self.random = random
        self.shards = [[] for _ in range(random.randint(1, 4))]
        self.rates = [random.choice([0, 0.02, 0.3, 2]) for _ in self.shards]
        self.sent = [0] * len(self.shards)
        self.running = [None] * len(self.shards)
        self.backoff = [0] * len(self.shards)
        self.failures = {name: set() for name in FAILURES}
        self.ages = {}
        self.kept = []
        length = 20 * 60
        self.troubles = [
            (
                random.randrange(len(self.shards)),
                random.randrange(length),
                random.choice([3, 20, 90, 800]),
                random.choice(["Errors", "Throttles", "FailedInvokeEventCount", "slow"]),
            )
            for _ in range(random.randint(0, 4))
        ]

    def pass_minute(self, now):
        for number, shard in enumerate(self.shards):
            rate = self.rates[number]
            for _ in range(int(rate) + (self.random.random() < rate % 1)):
                # Stamps step back a minute, records are seen a minute late.
                stamp = now - (self.random.random() < 0.05)
                shard.append({"stamp": stamp, "seen": now + (self.random.random() < 0.1)})
            trouble = next(
                (
                    kind
                    for place, start, length, kind in self.troubles
                    if place == number and start <= now < start + length
                ),
                None,
            )
            self._end(number, now)
            if self.running[number] is None and now >= self.backoff[number]:
                self._send(number, now, trouble)

    def _end(self, number, now):
        if self.running[number] is None or now < self.running[number][0]:
            return
        _, batch, trouble = self.running[number]
        self.running[number] = None
        if trouble in (None, "slow"):
            self.sent[number] += len(batch)
            stored = batch
        else:
            self.failures[trouble].add(now)
            self.backoff[number] = now + self.random.randint(1, 8)
            # Rows are written side by side: later ones are stored though an earlier one is not.
            partly = trouble == "FailedInvokeEventCount"
            stored = [one for one in batch[1:] if partly and self.random.random() < 0.7]
        for record in stored:
            record["stored"] = True

    def _send(self, number, now, trouble):
        batch = []
        for record in self.shards[number][self.sent[number] :][:20]:
            if record["seen"] > now:
                break
            batch.append(record)
        if not batch:
            return
        if now - batch[0]["stamp"] > 12 * 60:
            self.failures["OnFailureDestinationDeliveredEventCount"].add(now)
            self.kept.append(batch[0]["stamp"])
            self.sent[number] += 1
        elif trouble == "Throttles":
            self.failures["Throttles"].add(now)
            self.backoff[number] = now + self.random.randint(1, 8)
        else:
            age = now - batch[-1]["stamp"]
            self.ages[now] = max(self.ages.get(now, 0), age)
            slow = trouble == "slow" or self.random.random() < 0.3
            self.running[number] = (now + slow, batch, trouble)

    def delivery(self, now):
        """What the service tells of it."""
        known = replace(WELL, now=moment(now), modified_at=moment(-9), measured=None, kept_aside=())
        quiet = known.quiet_time
        seen = [n for n in range(now + 1) if quiet.begin <= moment(n) <= quiet.end]
        return replace(
            known,
            measured=Measured(
                was_polled=True,
                failures={
                    name: sum(n in minutes for n in seen) for name, minutes in self.failures.items()
                },
                age=max((self.ages.get(n, 0) for n in seen), default=0) * MINUTE,
            ),
            kept_aside=[moment(stamp) for stamp in self.kept],
        )

    def is_complete(self, until):
        """Whether all that is stamped until then is stored, but for what is kept aside."""
        return all(
            record.get("stored") or record["stamp"] in self.kept
            for shard in self.shards
            for record in shard
            if moment(record["stamp"]) <= until
        )


def moment(minute):
    return NOON.replace(second=0) + minute * MINUTE


def test_no_watermark_is_later_than_what_is_stored():
    """In twenty hours of writes, failures, throttles and slow batches, asked now and then."""
    claims = Counter()
    for seed in range(20):
        mapping = Mapping(Random(seed))  # noqa: S311 - a world, no secret
        for now in range(20 * 60):
            mapping.pass_minute(now)
            if now > 120 and now % 17 == 0:
                answer = watermark_of(mapping.delivery(now))
                assert isinstance(answer, Watermark)
                assert mapping.is_complete(answer.at), f"seed {seed} at minute {now}: {answer}"
                claims[answer.basis] += 1

    assert claims[Basis.MEASURED] > 20
    assert claims[Basis.AGED] > 20
