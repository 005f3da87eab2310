"""The simulated event source mapping keeps Lambda's documented contract, and meets the handlers."""

from collections import deque

import pytest

from tests.simulation import consumers, model
from tests.simulation.mapping import Mapping, checkpoint
from tests.simulation.scenario import Scenario, Settings, Write
from tests.simulation.scheduler import MS, SECOND
from tests.simulation.world import World

# One digit more from the third on: as text, they sort the other way round.
SEQUENCES = ["98", "99", "100", "101"]


def failures(*identifiers):
    return {"batchItemFailures": [{"itemIdentifier": one} for one in identifiers]}


@pytest.mark.parametrize("outcome", [failures(), None, {}, {"batchItemFailures": None}])
def test_nothing_reported_is_success(outcome):
    """FACTS 9.56: an empty response, in every spelling, moves the checkpoint past the batch."""
    assert checkpoint(SEQUENCES, outcome) == 4


@pytest.mark.parametrize(
    "outcome",
    [
        failures(""),
        failures(None),
        failures("7"),
        failures("100", "7"),
        {"batchItemFailures": [{}]},
        {"batchItemFailures": [{"itemidentifier": "99"}]},
        RuntimeError("raised"),
        TimeoutError("timed out"),
    ],
)
def test_an_unusable_answer_fails_the_whole_batch(outcome):
    """FACTS 9.56: an empty, missing or unknown id, or a raise, has everything delivered again."""
    assert checkpoint(SEQUENCES, outcome) == 0


def test_the_lowest_number_is_the_checkpoint():
    """FACTS 9.57: of several ids the lowest counts, by number and not by text."""
    assert checkpoint(SEQUENCES, failures("101", "99", "100")) == 1
    assert checkpoint(SEQUENCES, failures("101", "100")) == 2


class Lambda:
    """Keeps what a mapping delivers; answers by a script, then with success."""

    def __init__(self, monkeypatch, *script):
        self.deliveries = []
        self._script = deque(script)
        for app in consumers.APPS.values():
            monkeypatch.setattr(app, "handler", self._handle)

    def _handle(self, event, _context):
        records = event["Records"]
        self.deliveries.append([int(one["eventID"].removeprefix("event-")) for one in records])
        answer = self._script.popleft() if self._script else failures()
        if isinstance(answer, Exception):
            raise answer
        named = [records[n]["dynamodb"]["SequenceNumber"] for n in answer.pop("positions", [])]
        return failures(*named) if named else answer


def run(monkeypatch, settings, writes, *script, splits=()):
    """Run a world whose history consumer answers by a script; returns the deliveries."""
    world = World(Scenario(5, settings, writes, splits))
    world.problems = []
    world.acknowledged = lambda *_: None
    world._mappings = [Mapping(world, "history")]
    function = Lambda(monkeypatch, *script)
    world.run()
    return world, function.deliveries


def writes_of(*items, pace=0):
    return tuple(Write(n * pace, one, {"Version": {"N": str(n)}}) for n, one in enumerate(items))


def test_the_mapping_delivers_from_the_checkpoint_on(monkeypatch):
    """FACTS 9.57: what lies before the lowest failure is done, the rest comes again."""
    _, deliveries = run(
        monkeypatch, Settings(window=SECOND), writes_of(0, 1, 2, 3), {"positions": [3, 1, 2]}
    )

    assert deliveries == [[0, 1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize("bad", [failures(""), failures(None), failures("7")])
def test_an_unknown_id_has_the_whole_batch_delivered_again(monkeypatch, bad):
    """FACTS 9.56: nothing of a batch counts as done when its answer names no record of it."""
    _, deliveries = run(monkeypatch, Settings(window=SECOND), writes_of(0, 1, 2), bad)

    assert deliveries == [[0, 1, 2], [0, 1, 2]]


def test_a_raise_has_the_batch_bisected(monkeypatch):
    """A failing batch is split in two, the first half first, until the halves succeed."""
    error = RuntimeError("no")
    _, deliveries = run(monkeypatch, Settings(window=SECOND), writes_of(0, 1, 2, 3), error, error)

    assert deliveries == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3]]


def test_what_fails_for_too_long_goes_to_the_failure_bucket(monkeypatch):
    """FACTS 9.58: past the age limit the records themselves are in the failure object."""
    world, deliveries = run(
        monkeypatch,
        Settings(window=SECOND, max_age=120 * SECOND),
        writes_of(0, 1),
        *[RuntimeError("no")] * 50,
    )

    assert len(deliveries) > 4
    assert sorted(model.given_up_records(world, "history")) == sorted(
        model.canonical(record.true) for record in world.source.log
    )


def test_a_parent_shard_is_drained_before_its_children(monkeypatch):
    """FACTS 9.61: of an item that goes on in another shard, nothing is delivered ahead of time."""
    writes = writes_of(*[0, 1] * 20, pace=20 * MS)
    splits = ((200 * MS, 2), (400 * MS, 1), (600 * MS, 2))
    settings = Settings(batch_size=3, parallel=2)

    world, deliveries = run(monkeypatch, settings, writes, *[RuntimeError("no")] * 5, splits=splits)

    first = list(dict.fromkeys(number for batch in deliveries for number in batch))
    assert world.stats["splits"] == 3
    for item in (0, 1):
        assert [number for number in first if number % 2 == item] == list(range(item, 40, 2))


def test_time_running_out_is_answered_in_time():
    """FACTS 9.65: with a table that only throttles, what is left is reported before the end."""
    settings = Settings(batch_size=30, timeout=12 * SECOND, rates={"throttled": 0.9})
    writes = writes_of(*range(30))

    world = model.check(Scenario(8, settings, writes))

    assert world.stats["fault: throttled"] > 20
