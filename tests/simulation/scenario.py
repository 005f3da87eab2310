"""What one seed stands for: how the world is set, what happens to the source, what fails when.

Everything a run does is drawn from here, so a scenario with a change or a fault less is another
run that can be repeated: that is how a failure is made short.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.scheduler import HOUR, MS, SECOND

_KNOWN = ("throttled", "entries", "server_error", "no_connection", "lost_answer", "late", "crash")
_ODD = ("garbled", "odd_error")
RATES = _KNOWN + _ODD
"""Kinds of faults that may hit any request."""
RESOURCES = ("history", "replica", "source", "quarantine", "overflow")
OUTAGES = (
    "AccessDeniedException",
    "ResourceNotFoundException",
    "InternalServerError",
    "Throttling",
)
MALFORMED = ("base64", "another key", "no body", "no sequence", "no image", "two tags", "no time")

KEY_SHAPES = ("S", "N", "B", "S+N", "S+S")
_VALUES: tuple[Any, ...] = (
    {"S": ""},
    {"S": "é😀'\" |\\"},
    {"N": "12345678901234567890123456789012345678"},
    {"N": "1" + "0" * 125},
    {"N": "0." + "0" * 129 + "1"},
    {"B": "AAE="},
    {"B": ""},
    {"SS": ["b", "a", ""]},
    {"NS": ["2", "10", "-1.5"]},
    {"BS": ["", "AQ=="]},
    {"NULL": True},
    {"BOOL": False},
    {"L": []},
    {"M": {}},
    {"M": {"S": {"S": "v"}, "N": {"L": [{"B": "/w=="}, {"NULL": True}]}}},
)
_MANY_ITEMS = 50
_OFF = 30 * SECOND
_NAMES = ("S", "N", "M", "a.b", "Name", "e\u0301", "NULL")


@dataclass(frozen=True)
class Write:
    """One write to the source: an item's new attributes, or None for a delete.

    Attributes:
        malformed: how the record of it is broken on its way, if it is.
        poison: the replica refuses the item as long as it holds this state.
    """

    at: int
    item: int
    attributes: dict[str, Any] | None
    malformed: str = ""

    @property
    def poison(self):
        return bool(self.attributes) and "Poison" in self.attributes


@dataclass(frozen=True)
class Outage:
    """A table or bucket that fails for a while."""

    resource: str
    start: int
    end: int
    code: str


@dataclass(frozen=True)
class Stray:
    """An invocation from outside the mapping's order: old records once more, however late."""

    at: int
    count: int
    forged: bool


@dataclass(frozen=True)
class Settings:
    """How the world is set.

    Attributes:
        slow: how often a request takes long.
        zombies: how often an invocation is taken for dead, and goes on.
        duplicates: how often a batch is delivered again after its success.
        settle: the replica's consumer may read the source.
        second_look: items are announced and looked at once more, so that writes to the replica may
            take effect late.
        clock_back: by how many seconds the time of a record may be behind that of earlier ones.
        global_table: items have the attributes that global tables of 2017 add to them.
        refused_items: items that no table takes.
        refuses_calls: an INSERT of such an item has the whole call refused.
    """

    key_shape: str = "S"
    items: int = 3
    batch_size: int = 10
    parallel: int = 1
    window: int = 0
    timeout: int = 60 * SECOND
    max_age: int = 12 * HOUR
    slow: float = 0.1
    zombies: float = 0.0
    duplicates: float = 0.0
    settle: bool = True
    second_look: bool = False
    clock_back: int = 0
    global_table: bool = False
    refused_items: frozenset[int] = frozenset()
    refuses_calls: bool = False
    rates: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """A run, before it happens.

    Attributes:
        splits: when a shard is closed, and into how many it goes on.
        remade: when the stream is switched off and on: another label, low sequence numbers again.
        muted: faults that are left out, by their number in the run.
    """

    seed: int
    settings: Settings = field(default_factory=Settings)
    writes: tuple[Write, ...] = ()
    splits: tuple[tuple[int, int], ...] = ()
    remade: tuple[int, ...] = ()
    outages: tuple[Outage, ...] = ()
    strays: tuple[Stray, ...] = ()
    muted: frozenset[int] = frozenset()

    @property
    def calm_from(self):
        """From when on nothing fails any more."""
        last = max([write.at for write in self.writes] + [one.end for one in self.outages] + [0])
        return last + 60 * SECOND


def draw(seed):
    """The scenario of a seed."""
    rng = random.Random(seed)  # noqa: S311 - dice, not secrets
    settings = _settings(rng)
    writes = _writes(rng, settings)
    last = writes[-1].at
    splits = tuple((rng.randrange(last + 1), rng.choice((1, 2))) for _ in range(_few(rng, 3)))
    strays = tuple(
        Stray(
            rng.choice((rng.randrange(last + 1), rng.randrange(30 * HOUR))),
            rng.randint(1, 12),
            rng.random() < 0.3,
        )
        for _ in range(_few(rng, 4))
    )
    outages = tuple(_outage(rng, settings, last) for _ in range(_few(rng, 2)))
    scenario = Scenario(
        seed, settings, writes, tuple(sorted(splits)), outages=outages, strays=strays
    )
    return _with_hazards(scenario)


def _few(rng, most):
    return rng.choice((0, rng.randint(0, most)))


def _settings(rng):
    items = rng.choice((1, 2, 3, 5, 8, 40))
    scale = rng.choice((0, 0.03, 0.1, 0.25))
    rates = {kind: scale * rng.choice((0, 0.3, 1)) for kind in _KNOWN}
    if scale and rng.random() < 0.3:
        rates[rng.choice(_KNOWN)] = 0.5
    return Settings(
        key_shape=rng.choice(KEY_SHAPES),
        items=items,
        batch_size=rng.choice((1, 2, 5, 10, 30, 100)),
        parallel=rng.choice((1, 1, 2, 4)),
        window=rng.choice((0, 0, 100 * MS, SECOND)),
        timeout=rng.choice((12, 20, 60)) * SECOND,
        max_age=rng.choice((120 * SECOND, HOUR, 12 * HOUR, 12 * HOUR)),
        slow=rng.choice((0, 0.1, 0.5)),
        zombies=rng.choice((0, 0, 0.1, 0.4)),
        duplicates=rng.choice((0, 0.1, 0.3)),
        refused_items=frozenset(rng.sample(range(items), min(items - 1, _few(rng, 2)))),
        refuses_calls=rng.random() < 0.3,
        rates=rates,
    )


def _with_hazards(scenario):
    """The rarer hazards, by dice of their own: what was drawn before does not change."""
    dice = random.Random(f"hazards {scenario.seed}")  # noqa: S311 - dice, not secrets
    rates = {kind: dice.choice((0, 0, 0.02, 0.1)) for kind in _ODD}
    settings = replace(
        scenario.settings,
        rates={**scenario.settings.rates, **rates},
        settle=dice.random() >= 0.12,
        clock_back=dice.choice((0, 0, 0, 1, 4)),
        global_table=dice.random() < 0.15,
    )
    scenario = replace(scenario, settings=settings)
    if settings.settle and dice.random() < 0.2:
        scenario = _with_second_look(scenario, dice)
    hazard = dice.random()
    if hazard < 0.1:
        return _with_remade_stream(scenario, dice)
    if hazard < 0.13:
        return _with_large_batches(scenario, dice)
    if hazard < 0.15:
        return _with_grown_items(scenario, dice)
    if hazard < 0.18:
        return _with_restless_item(scenario, dice)
    return scenario


def _with_second_look(scenario, dice):
    """Whatever takes effect late; short outages, for every try is announced and looked at."""
    settings = scenario.settings
    settings = replace(
        settings,
        second_look=True,
        timeout=dice.choice((20, 60, 300)) * SECOND,
        rates={**settings.rates, "late": dice.choice((0.02, 0.1, 0.3))},
    )
    outages = tuple(
        replace(
            outage,
            resource="looks" if dice.random() < 0.2 else outage.resource,
            end=min(outage.end, outage.start + dice.randrange(SECOND, 10 * 60 * SECOND)),
        )
        for outage in scenario.outages
    )
    if settings.timeout > 60 * SECOND and dice.random() < 0.5:
        # Requests are signed long after their items were announced.
        start = scenario.writes[0].at
        end = start + dice.randrange(settings.timeout)
        outages += (Outage("replica", start, end, "Throttling"),)
    return replace(scenario, settings=settings, outages=outages)


def _with_remade_stream(scenario, dice):
    """Nothing is written while the stream is off: that would be a gap, and not a fault."""
    writes = scenario.writes
    place = dice.randrange(len(writes))
    later = tuple(replace(write, at=write.at + 2 * _OFF) for write in writes[place:])
    return replace(scenario, writes=writes[:place] + later, remade=(writes[place].at + _OFF,))


def _with_large_batches(scenario, dice):
    """More records at once than any call takes."""
    settings = replace(
        scenario.settings, batch_size=dice.choice((300, 1000, 10_000)), window=SECOND, parallel=1
    )
    now, items = scenario.writes[-1].at, dice.choice((60, 200))
    burst = []
    for number in range(dice.choice((150, 300))):
        now += MS
        attributes = {"Version": {"N": str(number % 4)}} if dice.random() < 0.9 else None
        burst.append(Write(now, dice.randrange(items), attributes))
    return replace(scenario, settings=settings, writes=(*scenario.writes, *burst))


def _with_restless_item(scenario, dice):
    """One item that changes between every write and the read after it, where nothing else fails."""
    settings = replace(
        scenario.settings,
        slow=0,
        parallel=1,
        window=0,
        batch_size=dice.choice((2, 10)),
        refused_items=frozenset(),
        rates={},
    )
    now, writes = scenario.writes[-1].at, []
    for number in range(150):
        now += dice.randrange(20 * MS)
        writes.append(Write(now, 0, {"Version": {"N": str(number)}}))
    writes = (*scenario.writes, *writes)
    return replace(scenario, settings=settings, writes=writes, outages=())


def _with_grown_items(scenario, dice):
    """Small when they are written, and large by the time that they are settled."""
    settings = replace(
        scenario.settings, batch_size=100, window=SECOND, parallel=1, items=_MANY_ITEMS
    )
    now = scenario.writes[-1].at
    small = [
        Write(now + (1 + item) * MS, item, {"Version": {"N": "7"}}) for item in range(_MANY_ITEMS)
    ]
    text = dice.choice(("x", "\u00e9", "\U0001f600"))
    large = {"Text": {"S": text * (dice.randrange(300_000, 390_000) // len(text.encode()))}}
    grown = [replace(write, at=write.at + 200 * MS, attributes=large) for write in small]
    return replace(scenario, settings=settings, writes=(*scenario.writes, *small, *grown))


def _outage(rng, settings, last):
    start = rng.randrange(last + 1)
    length = rng.choice((rng.randint(1, 30) * SECOND, rng.randint(1, 3) * settings.max_age // 2))
    return Outage(rng.choice(RESOURCES), start, start + length, rng.choice(OUTAGES))


def _writes(rng, settings):
    count = rng.choice((3, 10, 30, 60))
    pace = rng.choice((2 * MS, 20 * MS, 200 * MS, 10 * SECOND))
    malformed = rng.choice((0, 0, 0, 0.05))
    poison = rng.choice((0, 0, 0.05))
    heavy = rng.choice((0, 0, 0, 0.1))
    now, writes = 0, []
    for _ in range(count):
        now += int(rng.expovariate(1) * pace)
        # The first item is the hot one.
        item = 0 if rng.random() < 0.4 else rng.randrange(settings.items)
        attributes = None if rng.random() < 0.25 else _attributes(rng, poison, heavy)
        broken = rng.choice(MALFORMED) if rng.random() < malformed else ""
        writes.append(Write(now, item, attributes, broken))
    return tuple(writes)


def _attributes(rng, poison, heavy):
    # Few versions, so that an item comes back to a state it had before.
    attributes = {"Version": {"N": str(rng.randrange(4))}}
    for name in rng.sample(_NAMES, rng.randint(0, 2)):
        attributes[name] = rng.choice(_VALUES)
    if rng.random() < poison:
        attributes["Poison"] = {"BOOL": True}
    if rng.random() < heavy:
        attributes["Deep"] = _deep() if rng.random() < 0.8 else {"S": "x" * 250_000}
    return attributes


def _deep():
    value = {"BOOL": True}
    for _ in range(31):
        value = {"L": [value]}
    return value
