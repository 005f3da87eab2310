"""A table in which things happened, and what its history has of it: some late, some lost for good.

A world is drawn from a seed. Its log is every true write; what the history has of them went through
the consumers' own reading of a record and their own row. What is done to the rows afterwards is
named in `World.damage`.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from types import SimpleNamespace

from history_writer.overflow_bucket import OverflowBucket
from stream_core.attribute_values import same_item
from stream_core.change import Change, EventName, read_record
from stream_core.control_row import BackfillMark, TableLife
from stream_core.history_row import ID, SORT_KEY, HistoryRow, time_text
from stream_core.item_id import item_id
from tests.factories import lambda_record
from tests.recorded_history import BUCKET, OverflowObjects
from tests.unit.memory_tables import HISTORY, SOURCE, MemoryTables, describe
from tests.worlds import hostile

FIRST_SEQUENCE = 100000000003218256368
ACCOUNT = "arn:aws:dynamodb:eu-west-1:123456789012:table"
RECORDED, LATE, LOST, ENDED = "recorded", "late", "lost", "ended"
DAMAGES = (
    "nothing",
    "late",
    "late round trip",
    "lost one",
    "lost range",
    "lost last",
    "lost first",
    "lost removes",
    "lost inserts",
    "lost some",
    "lost round trip",
    "lost, then baseline",
    "late and lost",
    "stream off and on",
    "table made anew",
    "turned twice",
    "stamps go back",
    "foreign rows",
    "altered rows",
    "overflow gone",
    "rows not in the index",
    "all rows lost",
)
SECOND = timedelta(seconds=1)
_GAPS_S = (0, 0, 0.3, 0.7, 1, 2, 60, 1800, 5000)


@dataclass(eq=False)
class Write:
    """A change that really happened.

    Attributes:
        at: when, to the microsecond; the stream stamps it with `stamp`.
        order: its place among the changes of the table: the stream, then the sequence number.
        fate: whether the history has its row, will have it, never will, or whether the item ended
            with its table, of which there is no record.
    """

    identifier: str
    keys: dict
    at: datetime
    stamp: datetime
    order: tuple[int, int]
    old: dict | None
    new: dict | None
    by_ttl: bool = False
    fate: str = RECORDED


@dataclass(frozen=True)
class Baseline:
    """What a backfill found of an item; its row is stamped with the second."""

    identifier: str
    at: datetime
    image: dict

    @property
    def stamp(self):
        return self.at.replace(microsecond=0)


@dataclass
class World:
    """Everything that happened, and the tables as they stand.

    Attributes:
        seed: what it was drawn from.
        damage: what was done to the history, one of `DAMAGES`.
        writes: all true writes, in order.
        first: what was there before the history began, by `Id`.
        baselines: what backfills recorded.
        marks: when those backfills began that left a mark, and of which stream.
        keys: the key of every item there ever was, by `Id`.
        horizon: when the history began.
        now: when questions are asked.
        watermark: up to when everything is recorded or lost for good; None: not known to anybody.
        foreign: the `Id`s under which there are rows of another table.
        altered: the `Id`s of which a row, or its overflow object, is not what was written.
    unindexed: the `Id`s of which a row is not in the index, though it is long in the table.
    has_source: whether the source table may be read.
    table: which of the tables of its name it is now, and when that was made (`created_at`).
    told_shards: the partitions an hour that whoever asks believes in.
    """

    seed: int
    damage: str
    random: Random
    schema: dict
    shards: int
    horizon: datetime
    now: datetime
    writes: list[Write] = field(default_factory=list)
    first: dict = field(default_factory=dict)
    baselines: list[Baseline] = field(default_factory=list)
    marks: list[tuple[datetime, int]] = field(default_factory=list)
    keys: dict = field(default_factory=dict)
    live: dict = field(default_factory=dict)
    watermark: datetime | None = None
    foreign: set = field(default_factory=set)
    altered: set = field(default_factory=set)
    unindexed: set = field(default_factory=set)
    has_source: bool = True
    told_shards: int | None = None
    streams: int = 0
    labels: dict = field(default_factory=dict)
    is_off: bool = False
    table: int = 1
    created_at: datetime | None = None

    def __post_init__(self):
        self.tables = MemoryTables(
            **{
                HISTORY: describe(HISTORY, [ID, SORT_KEY], CreationDateTime=self.horizon),
                SOURCE: describe(
                    SOURCE,
                    list(self.schema),
                    tags="".join(self.schema.values()),
                    TableArn=f"{ACCOUNT}/{SOURCE}",
                ),
            },
            page=self.random.choice([2, 7, 1000]),
        )
        began = self.horizon - timedelta(minutes=5)
        self.created_at = self.horizon - timedelta(days=9)
        self.begin_stream(began)
        self.objects = OverflowObjects()
        self._overflows = self.damage == "overflow gone" or self.random.random() < 0.2

    @property
    def session(self):
        """As boto3's: gives the clients of these tables."""
        clients = {"dynamodb": self.tables, "s3": self.objects}
        return SimpleNamespace(client=lambda name, **_options: clients[name])

    def begin_stream(self, at):
        """The table, as the so manieth of its name, has a new stream."""
        self.is_off = False
        table, created_at = self.table, self.created_at
        self.streams += 1
        stream = self.streams
        self.labels[stream] = at.strftime("%Y-%m-%dT%H:%M:%S.000")
        self.tables.descriptions[SOURCE] |= {
            "TableId": f"id-{table}",
            "CreationDateTime": created_at,
            "LatestStreamArn": self.stream_arn(stream),
            "LatestStreamLabel": self.labels[stream],
        }
        if self.random.random() < 0.5:
            life = TableLife(self.stream_arn(stream), f"id-{table}", created_at)
            self.tables.put(HISTORY, life.to_item())

    def mark(self, at):
        """A backfill that began at such a time is finished."""
        self.marks.append((at, self.streams))
        arn, table_id = self.stream_arn(), self.tables.descriptions[SOURCE]["TableId"]
        finished = at + timedelta(seconds=1)
        mark = BackfillMark(arn, table_id, at, finished, "scan", {"items": 1}, "run", "itemtrail")
        self.tables.put(HISTORY, mark.to_item())

    def writes_of(self, identifier):
        """The true writes of an item, in order."""
        return [write for write in self.writes if write.identifier == identifier]

    def happen(self, keys, new, at, **options):
        """An item is put, or deleted; nothing is recorded of what changes nothing."""
        identifier = item_id(keys)
        self.keys[identifier] = keys
        old = self.live.get(identifier)
        if same_item(old, new):
            return
        sequence = (self.writes[-1].order[1] if self.writes else FIRST_SEQUENCE) + 7
        if self.writes and self.writes[-1].order[0] != self.streams:
            sequence = FIRST_SEQUENCE  # A new stream counts from the beginning.
        stamp = at.replace(microsecond=0)
        if self.damage == "stamps go back":
            stamp -= timedelta(seconds=self.random.choice([0, 0, 1, 2]))
        order = (self.streams, sequence)
        self.writes.append(Write(identifier, keys, at, stamp, order, old, new, **options))
        self.exist(keys, new)

    def exist(self, keys, image):
        """Let the source table have the item, or not."""
        identifier = item_id(keys)
        self.keys[identifier] = keys
        self.live[identifier] = image
        if image is None:
            del self.live[identifier]
            self.tables.remove(SOURCE, keys)
        else:
            self.tables.put(SOURCE, image)

    def deliver(self, fate):
        """The history writer gets the records of such a fate."""
        for write in self.writes:
            if write.fate == fate:
                self.store(self.row_of(write))
                write.fate = RECORDED

    def row_of(self, write, table=SOURCE):
        """The row that the history writer makes of a write's record."""
        record = lambda_record(
            write.old,
            write.new,
            keys=write.keys,
            sequence=write.order[1],
            at=write.stamp.timestamp(),
            user_identity=("Service", "dynamodb.amazonaws.com") if write.by_ttl else None,
        )
        record["eventSourceARN"] = self.stream_arn(write.order[0], table)
        return HistoryRow.from_change(read_record(record))

    def is_other_stream(self, before, lost):
        """Whether after a lost write the next row of its item is of another stream than before."""
        later = [
            write.order[0]
            for write in self.writes_of(lost.identifier)
            if write.order > lost.order and write.fate == RECORDED
        ]
        return (later[0] if later else self.streams) != before.order[0]

    def stream_arn(self, stream=None, table=SOURCE):
        """The ARN of a stream, of the latest by default."""
        return f"{ACCOUNT}/{table}/stream/{self.labels[stream or self.streams]}"

    def store(self, row):
        """Put a row where the writer puts it; what is there already stays."""
        if self._overflows and self.random.random() < 0.4:
            row = OverflowBucket(self.objects, BUCKET).put(row)
        item = row.to_item(self.shards)
        if self.tables.get(HISTORY, item) is None:
            self.tables.put(HISTORY, item)

    def backfill(self, at):
        """A backfill finds every live item, and may leave its mark."""
        if self.random.random() < 0.5 and not self.is_off:
            self.mark(at)
        for identifier, image in self.live.items():
            baseline = Baseline(identifier, at, image)
            if any(
                (one.identifier, one.stamp) == (identifier, baseline.stamp)
                for one in self.baselines
            ):
                continue
            self.baselines.append(baseline)
            self.store(
                HistoryRow.from_change(
                    Change(
                        item_id=identifier,
                        event_id=None,
                        event_name=EventName.SNAPSHOT,
                        event_source_arn=self.stream_arn(),
                        aws_region="eu-west-1",
                        sequence_number="0",
                        created_at=baseline.stamp,
                        size_bytes=None,
                        keys=self.keys[identifier],
                        old_image=None,
                        new_image=image,
                    )
                )
            )

    def stored(self):
        """The stored rows of items, in order."""
        rows = (row for row in self.tables.items[HISTORY].values() if "TimeBucket" in row)
        return sorted(rows, key=lambda row: (row[ID]["S"], row[SORT_KEY]["S"]))

    def __str__(self):
        """The whole world, a line a write."""
        lines = [f"seed {self.seed}: {self.damage}, began {self.horizon}, now {self.now}"]
        lines.append(f"  recorded until {self.watermark}")
        lines += [f"  before: {name!r} {image}" for name, image in self.first.items()]
        lines += [
            f"  {write.at:%d %H:%M:%S.%f} stamped {write.stamp:%H:%M:%S} {write.order[0]}"
            f"#{write.order[1] - FIRST_SEQUENCE} {write.fate:8} {write.identifier!r}:"
            f" {write.old} -> {write.new}"
            for write in self.writes
        ]
        lines += [f"  mark of a backfill that began at {at}, stream {of}" for at, of in self.marks]
        lines += [f"  baseline {one.at} {one.identifier!r}: {one.image}" for one in self.baselines]
        return "\n".join(lines)


def draw(seed):
    """The world of a seed."""
    random = Random(seed)  # noqa: S311 - worlds, no secrets
    damage = DAMAGES[seed % len(DAMAGES)]
    horizon = datetime(2026, 3, 3, random.randrange(24), random.randrange(60), tzinfo=UTC)
    schema = random.choice(hostile.SCHEMAS)
    world = World(seed, damage, random, schema, random.choice([1, 2, 3]), horizon, horizon)
    keys = hostile.distinct_keys(random, schema, random.choice([1, 2, 3]))
    images = [hostile.attributes(random) for _ in range(random.choice([2, 3, 4]))]
    if random.random() < 0.5:
        for key in keys[:2]:
            world.exist(key, {**random.choice(images), **key})
            world.first[item_id(key)] = world.live[item_id(key)]
    at = horizon + timedelta(seconds=random.choice([0.2, 1.6, 300]))
    if random.random() < 0.4:
        world.backfill(at)
    at = _live_on(world, keys, images, at)
    _harm(world)
    world.deliver(RECORDED)
    world.now = at + timedelta(seconds=random.choice([3, 30, 3600, 200_000]))
    world.told_shards = random.choice([None, 1, world.shards])
    _harm_rows(world, keys, images)
    # Without the source nothing tells what a key looks like, or which of two tables is meant.
    needs_source = not world.stored() or bool(world.foreign)
    world.has_source = random.random() < 0.88 or needs_source
    _draw_watermark(world)
    return world


def _live_on(world, keys, images, at):
    """Let things happen; gives the time when all is over."""
    random = world.random
    steps = random.choice([2, 5, 9, 14])
    turning = random.randrange(1, steps)
    for step in range(steps):
        at += timedelta(seconds=random.choice(_GAPS_S))
        if step == turning:
            at = _turn(world, keys, images, at)
        _step(world, keys, images, at)
    return at


def _step(world, keys, images, at):
    random = world.random
    chance, key = random.random(), random.choice(keys)
    live = world.live.get(item_id(key))
    if chance < 0.05:
        world.backfill(at)
    elif chance < 0.15:  # A batch job goes over all items within a second.
        mark = {"job": {"N": str(random.randrange(3))}}
        for identifier, image in list(world.live.items()):
            world.happen(world.keys[identifier], {**image, **mark}, at)
    elif chance < 0.35:
        world.happen(key, None, at, by_ttl=random.random() < 0.3)
    elif chance < 0.5 and live:
        changed = hostile.mutated(random, {name: live[name] for name in live.keys() - key.keys()})
        world.happen(key, {**changed, **key}, at)
    else:
        world.happen(key, {**random.choice(images), **key}, at)


def _turn(world, keys, images, at):
    """What happens to a table as a whole, if that is the damage; gives the time after it."""
    kinds = {"stream off and on": [False], "table made anew": [True]}.get(world.damage, [])
    if world.damage == "turned twice":
        kinds = world.random.choice([[True, True], [False, True], [True, False]])
    for place, is_anew in enumerate(kinds):
        if place:
            for _ in range(world.random.randrange(4)):
                at += timedelta(seconds=world.random.choice(_GAPS_S))
                _step(world, keys, images, at)
            at += timedelta(seconds=world.random.choice([2, 60, 5000]))
        at = _new_stream(world, keys, images, at, is_anew=is_anew)
    return at


def _new_stream(world, keys, images, at, *, is_anew):
    """The stream was switched off and on, or the table made anew; gives the time after it."""
    already, world.is_off = len(world.writes), True
    if not is_anew:
        for _ in range(world.random.randrange(4)):
            at += timedelta(seconds=world.random.choice(_GAPS_S))
            _step(world, keys, images, at)
    else:
        for identifier in list(world.live):
            world.happen(world.keys[identifier], None, at)
    for write in world.writes[already:]:
        write.fate = ENDED if is_anew else LOST
    at += timedelta(seconds=60)
    if is_anew:
        world.table, world.created_at = world.table + 1, at - 59 * SECOND
    world.begin_stream(at - SECOND)
    return at


def _harm(world):
    """Decide what is late and what is lost."""
    random, writes, damage = world.random, world.writes, world.damage
    if not writes:
        return
    if damage in ("late", "late and lost"):
        for write in writes[-random.randrange(1, 5) :]:
            write.fate = random.choice([LATE, LATE, RECORDED])
        for write in random.sample(writes, random.randrange(2)):
            write.fate = LATE
    if damage in _HARMED:
        of_item = world.writes_of(random.choice(writes).identifier)
        for write in _HARMED[damage](random, writes, of_item):
            write.fate = LATE if damage == "late round trip" else LOST
    if damage == "lost, then baseline":
        world.backfill(writes[-1].at + timedelta(seconds=random.choice([1, 600])))


def _some_after_each_other(random, writes, most):
    place = random.randrange(len(writes))
    return writes[place : place + random.randint(1, most)]


def _round_trip(random, writes):
    trips = [
        writes[start : end + 1]
        for start in range(len(writes))
        for end in range(start + 1, len(writes))
        if same_item(writes[start].old, writes[end].new)
    ]
    return random.choice(trips) if trips else []


_HARMED = {
    "late round trip": lambda random, _, of_item: _round_trip(random, of_item),
    "late and lost": lambda random, _, of_item: _some_after_each_other(random, of_item, 1),
    "lost one": lambda random, _, of_item: _some_after_each_other(random, of_item, 1),
    "lost range": lambda random, _, of_item: _some_after_each_other(random, of_item, 5),
    "lost last": lambda _random, _, of_item: of_item[-1:],
    "lost first": lambda random, _, of_item: of_item[: random.choice([1, 1, 2])],
    "lost removes": lambda _random, writes, _: [one for one in writes if one.new is None],
    "lost inserts": lambda _random, writes, _: [one for one in writes if one.old is None],
    "lost some": lambda random, writes, _: [one for one in writes if random.random() < 0.35],
    "lost round trip": lambda random, _, of_item: _round_trip(random, of_item),
    "lost, then baseline": lambda random, _, of_item: _some_after_each_other(random, of_item, 2),
    "all rows lost": lambda _random, writes, _: writes,
}
"""Which writes a damage is about, of all and of those of one item."""


def _harm_rows(world, keys, images):
    """Do to the stored rows what the damage says."""
    random = world.random
    if world.damage == "foreign rows":
        _write_foreign_rows(world, keys, images)
    if world.damage == "all rows lost":
        world.baselines.clear()
        world.marks.clear()
        world.tables.items[HISTORY].clear()
    if world.damage == "rows not in the index":
        # What is younger may be on its way into the index.
        until = time_text(world.now - timedelta(minutes=16))
        for row in world.stored():
            if random.random() < 0.3 and row[SORT_KEY]["S"] < until:
                world.tables.lagging.add((row[ID]["S"], row[SORT_KEY]["S"]))
                world.unindexed.add(row[ID]["S"])
    if world.damage == "altered rows" and world.stored():
        _alter(world, dict(random.choice(world.stored())))
    pointing = [row for row in world.stored() if "Overflow" in row]
    if world.damage == "overflow gone" and pointing:
        _remove_object(world, pointing)


def _alter(world, row):
    image = world.random.choice([one for one in ("OldImage", "NewImage", "Overflow") if one in row])
    change = {"SHA256": {"S": "0" * 64}} if image == "Overflow" else {"forged": {"BOOL": True}}
    row[image] = {"M": {**row[image]["M"], **change}}
    world.tables.put(HISTORY, row)
    world.altered.add(row[ID]["S"])


def _remove_object(world, pointing):
    """Take away an object that some rows point to."""

    def place(row):
        pointer = row["Overflow"]["M"]
        return pointer["Key"]["S"], pointer["VersionId"]["S"]

    gone = place(world.random.choice(pointing))
    del world.objects.bodies[gone]
    world.altered |= {row[ID]["S"] for row in pointing if place(row) == gone}


def _write_foreign_rows(world, keys, images):
    """Rows of another table of the same key."""
    random = world.random
    key = random.choice([random.choice(keys), *hostile.distinct_keys(random, world.schema, 1)])
    began = world.horizon + timedelta(seconds=random.choice([0, 1, 60, 4000]))
    at = min(began, world.now - timedelta(seconds=3))
    states = [None, *({**random.choice(images), **key} for _ in range(2)), None]
    states = states[: random.choice([2, 3, 4])]
    for place, (old, new) in enumerate(pairwise(states)):
        if not same_item(old, new):
            order = (1, FIRST_SEQUENCE + 3 + 7 * place)
            stamp = (at + timedelta(seconds=place)).replace(microsecond=0)
            write = Write(item_id(key), key, stamp, stamp, order, old, new)
            world.store(world.row_of(write, table="Another"))
    world.keys[item_id(key)] = key
    world.foreign.add(item_id(key))


def _draw_watermark(world):
    """A true watermark: nothing that is still to come is stamped, or happened, before it."""
    random = world.random
    coming = [min(write.at, write.stamp) for write in world.writes if write.fate == LATE]
    most = min([*coming, world.now])
    happened = [write.at for write in world.writes if write.at < most]
    candidates = [
        None,
        most - timedelta(microseconds=1),
        most - timedelta(seconds=random.choice([0.5, 1, 30])),
        *([random.choice(happened)] if happened else []),
    ]
    world.watermark = random.choice(candidates)


def seen_later(world):
    """The same world when everything late has come, and an hour has passed."""
    world.deliver(LATE)
    world.now += timedelta(hours=1)
