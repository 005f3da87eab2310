"""Random histories as the live reports see them and as a dataset, and what both should answer."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from reports.access.progress import silent
from reports.access.row_reader import RowReader
from reports.inputs.paths import value_at
from reports.states.actor import actor_of
from reports.states.differences import changed_paths
from reports.states.global_tables import is_replication_only
from reports.states.lives import Lives
from reports.states.provenance import Provenance
from reports.states.row_states import state_before
from reports.states.selection import Selection
from reports.states.spans import spoken_for
from reports.states.stream_order import in_their_time, neighbours, placed_rows
from reports.states.timeline import judge
from reports.states.watermark import TICK, Basis, Watermark
from reports.table.as_of import table_states
from reports.table.changes import changed_rows
from reports.table.versions import table_versions
from reports.verification.continuity import Link, judge_chain
from stream_core.attribute_values import canonical_json, digest, same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.factories import STREAM_ARN, number, text, vouched
from tests.recorded_history import resealed
from tests.unit.memory_tables import HISTORY, Recorded, moment
from warehouse.dataset.manifest import DataFile, Dataset, Ingested
from warehouse.dataset.schema import ROWS, month_of, row_of
from warehouse.questions import activity_sql, states_sql
from warehouse.questions.question import Range

# A quarter of an hour before a month ends.
START_S = (datetime(2018, 3, 31, 23, 45, tzinfo=UTC) - moment(0)).total_seconds()
ODD = "a.\"b'[0]/~\\é\u0000😀"
"""An attribute name with everything that a path may take for its own."""
STATE = ("State",)
NESTED = (ODD, "L", 1, "M")
ACTOR = ("By",)

_NAMES = ("a", "b", "o'c", 'd"\\|é', "json:", "😀")
_GAPS = (0, 0, 0, 0, 0.25, 1, 2, 700, 5000)
_VALUES = [
    text("open"),
    text(ODD),
    text("\ud800x"),
    text("\\ud800x"),
    text(""),
    number(1),
    text("1"),
]
_VALUES += [number("1.50"), number(10**37), {"B": b"\x00\xff"}, {"BOOL": True}, {"NULL": True}]
_VALUES += [{"SS": ["é", "a"]}, {"L": [text('"'), number(2)]}, {"M": {ODD: text("\udfff")}}]
_OTHER_VALUES = [text("x"), {"L": []}, {"M": {"L": {"L": [text("0"), {"M": {"M": text("deep")}}]}}}]
_OTHER_VALUES += [{"M": {"L": {"L": [text("0"), {"M": {"M": {"N": "7"}}}]}}}]
_ACTORS = [text("ann"), text("bob"), text('{"S":"ann"}'), number(7), {"NULL": True}]
_ACTORS += [{"L": [text("ann")]}, {"B": b"ann"}, {"BOOL": False}]
_IDENTITIES = [None, None, None, ("Service", "dynamodb.amazonaws.com")]
# More than five minutes is no clock that goes back.
_BACKS = (0, 0, 0, 1, 2, 2, 700)
_TABLE = STREAM_ARN.partition("/stream/")[0]
_OTHER_STREAM = STREAM_ARN.replace("Employee", "Contractor")
_REPLICATED = "aws:rep:updatetime"
_FILES_A_MONTH = 2
_SCALARS = {"S", "N", "B", "BOOL", "NULL"}
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Step:
    """What happens next: an item is put, deleted (None), or found by a backfill.

    Attributes:
        back: by how many seconds its stamp is too early, in a world whose times go back.
    """

    gap: float
    name: str
    attributes: dict | None
    is_baseline: bool
    identity: tuple | None
    back: float = 0


_attributes = st.fixed_dictionaries(
    {},
    optional={
        "State": st.sampled_from(_VALUES),
        ODD: st.sampled_from(_OTHER_VALUES),
        "By": st.sampled_from(_ACTORS),
    },
)
# Few states come back often, many are rarely the same.
_few = st.sampled_from([{}, {"State": text("open")}, {"State": text("done")}, None])


def _steps(names, size, max_size):
    step = st.builds(
        Step,
        st.sampled_from(_GAPS),
        st.sampled_from(names),
        _few | _few | _attributes,
        st.sampled_from([False, False, True]),
        st.sampled_from(_IDENTITIES),
        st.sampled_from(_BACKS),
    )
    return st.lists(step, min_size=size, max_size=max_size)


@dataclass(frozen=True)
class AskedHistory:
    """A history that is asked in two ways.

    Attributes:
        rows: what is left of it, in order.
        reader: as the live reports make it, without a source table.
        now: when both look at it.
    """

    rows: list[HistoryRow]
    reader: RowReader
    now: datetime

    @property
    def items(self):
        """The rows of each item, in order."""
        ordered = sorted(self.rows, key=lambda row: (row.id, row.sort_key))
        return {name: list(rows) for name, rows in groupby(ordered, key=lambda row: row.id)}

    def place(self, name):
        """An item's rows as they were made, each with since and until when it holds."""
        placed = list(placed_rows(spoken_for(self.items[name])))
        held = in_their_time(one.row for one in placed)
        return [(one, since, until) for one, (_, since, until) in zip(placed, held, strict=True)]

    def is_foreign(self, row):
        return self.reader.provenance.other_table(row) is not None

    def instants(self):
        """Before, at, between and after all stamps."""
        stamps = {row.change.created_at for row in self.rows}
        near = {stamp + timedelta(microseconds=by) for stamp in stamps for by in (-1, 0, 1)}
        ends = {self.reader.horizon - timedelta(days=1), self.reader.horizon, self.now}
        return sorted(at for at in near | ends if at <= self.now)


def lived(steps, existing, began_s, *, lost=frozenset(), trouble=None, foreign=frozenset()):  # noqa: PLR0913
    """The world in which steps happened.

    Args:
        steps: what happened.
        existing: what was there before.
        began_s: when the history began.
        lost: the places of rows that are lost.
        trouble: `back`: some changes are stamped before earlier ones; `replicated`: a global table
            writes every change once more.
        foreign: the places of rows that are of another table.
    """
    recorded = Recorded(shards=2, began_s=began_s)
    for name in existing:
        recorded.client.put("Employee", {"Id": text(name), "State": text("old")})
    at = START_S
    for step in steps:
        # AWS stamps changes with the second, as baselines are; some engines more finely.
        at = (at if step.gap < 1 else int(at)) + step.gap
        if step.is_baseline:
            recorded.baseline(step.name, int(at))
        else:
            image = None if step.attributes is None else {"Id": text(step.name), **step.attributes}
            stamp = at - step.back if trouble == "back" else at
            recorded.write(step.name, image, stamp, user_identity=step.identity)
            if trouble == "replicated" and image is not None and step.back != 1:
                recorded.write(step.name, image | {_REPLICATED: number(int(at))}, at)
    stored = recorded.client.items[HISTORY]
    for place, (key, item) in enumerate(sorted(stored.items(), key=lambda entry: entry[0][::-1])):
        if place in lost:
            del stored[key]
        elif place in foreign:
            other = resealed(HistoryRow.from_item(item), event_source_arn=_OTHER_STREAM)
            stored[key] = other.to_item(2)
    rows = sorted(map(HistoryRow.from_item, stored.values()), key=lambda row: row.sort_key)
    reader = RowReader(recorded.client, None, HISTORY, None, 2, strict=False)
    return AskedHistory(rows, reader, moment(at + 60))


@st.composite
def worlds(draw, max_steps=24):
    """Histories of several items, whole or damaged, whose table may be older than they."""
    # Few items that much happens to, in one second too: that is where the rules are.
    names = draw(st.sampled_from([_NAMES[:1], _NAMES[1:3], _NAMES[2:5], _NAMES]))
    size = draw(st.sampled_from([0, max_steps // 4, max_steps // 2, max_steps // 2]))
    steps = draw(_steps(names, size, max_steps))
    existing = draw(st.sets(st.sampled_from(names), max_size=3))
    # Before all changes, or in their midst, as if rows were older than the table.
    began_s = draw(st.sampled_from([-86400, START_S - 1, START_S, START_S + 2]))
    lost = draw(st.just(set()) | st.sets(st.integers(0, max_steps), max_size=4))
    trouble = draw(st.sampled_from([None, "back", "replicated", "foreign"]))
    places = st.sets(st.integers(0, max_steps), min_size=1, max_size=4)
    foreign = draw(places) if trouble == "foreign" else set()
    world = lived(steps, existing, began_s, lost=lost, trouble=trouble, foreign=foreign)
    world.reader.provenance = Provenance(_TABLE)
    instants = st.sampled_from(world.instants())
    seconds = st.sampled_from([timedelta(0), TICK])
    recorded = draw(
        st.none() | st.builds(lambda at, by: min(at + by, world.now), instants, seconds)
    )
    if recorded is not None:
        world.reader.watermark = Watermark(recorded, Basis.MEASURED, "measured by the test")
    since = draw(st.none() | instants)
    world.reader.lives = Lives() if since is None else vouched(since)
    return world


def dataset_of(folder, rows, complete_until, horizon=None, watermark=None, **options):
    """Rows as a dataset, several files a month."""
    names = []
    by_month = defaultdict(list)
    for row in rows:
        by_month[month_of(row.change.created_at)].append(row)
    for month, month_rows in sorted(by_month.items()):
        for number_ in range(_FILES_A_MONTH):
            lines = [row_of(row) for row in month_rows[number_::_FILES_A_MONTH]]
            if lines:
                names.append(write_file(folder, month, f"{number_}.parquet", lines))
    files = tuple(DataFile.from_file(folder, name, "export") for name in names)
    export = Ingested(
        "export", "FULL_EXPORT", "id", None, complete_until, len(rows), len(rows), "md5"
    )
    dataset = Dataset(
        folder,
        "arn",
        horizon,
        complete_until,
        (export,),
        files,
        watermark,
        streams=tuple({row.change.event_source_arn for row in rows}),
        **options,
    )
    dataset.save()
    return Dataset.open(folder)


def write_file(folder, month, name, lines):
    """Lines of a dataset as one of its files; its name."""
    path = folder / "rows" / f"month={month}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = sorted(lines, key=lambda line: (line["id"], line["sort_key"]))
    pq.write_table(pa.Table.from_pylist(lines, schema=ROWS), path)
    return f"rows/month={month}/{name}"


def world_dataset(folder, world):
    """A world's rows as a dataset that is complete until the world's present."""
    watermark = world.reader.watermark
    known = watermark if isinstance(watermark, Watermark) else None
    return dataset_of(
        folder, world.rows, world.now, world.reader.horizon, known, source_table=_TABLE
    )


def told_of_backfill(engine, world):
    """An engine that knows since when every item of the world has a row."""
    mark = world.reader.lives.mark(STREAM_ARN)
    engine.bounds = replace(engine.bounds, complete_since=mark and mark.started)
    return engine


def lines_of(reader, *order):
    """An answer's lines; sorted, where the answer is in no order."""
    lines = reader.read_all().to_pylist()
    return sorted(lines, key=lambda line: [repr(line[name]) for name in order]) if order else lines


def answers_of(engine, instants, since, until):
    """What an engine answers to every question."""
    bounds, always = engine.bounds, Range()
    questions = {
        **{f"as of {at}": (states_sql.table_as_of(at, bounds), "id") for at in instants},
        "diff": (states_sql.diff(since, until, bounds), "id"),
        "changes": (activity_sql.changes(Range(since, until)),),
        "versions": (states_sql.versions(bounds), "id", "sort_key", "valid_from"),
        "per day": (activity_sql.changes_per_day(always, bounds.foreign),),
        "churn": (activity_sql.churn(always, bounds.foreign),),
        "per attribute": (activity_sql.changes_per_attribute(always, bounds.foreign),),
        "per actor": (
            activity_sql.changes_per_actor(always, ACTOR, bounds.foreign),
            "actor",
            "source",
        ),
        "dwell": (activity_sql.dwell(STATE, bounds), "type", "value"),
        "dwell within": (activity_sql.dwell(NESTED, bounds), "type", "value"),
    }
    return {
        name: lines_of(engine.answer(question), *order)
        for name, (question, *order) in questions.items()
    } | {"findings": lines_of(engine.findings(), "id", "sort_key", "found")}


def expected(world, instants, since, until):
    """What the live reports answer and, where they have no such question, a plain reckoning."""
    return {f"as of {at}": live_states(world, at) for at in instants} | {
        "diff": live_diff(world, since, until),
        "changes": live_changes(world, since, until),
        "versions": live_versions(world),
        "findings": live_findings(world),
        "per day": per_day(world, ("changes", "inserted", "modified", "removed", "items")),
        "churn": per_day(world, ("inserted", "removed", "net")),
        "per attribute": per_attribute(world),
        "per actor": per_actor(world),
        "dwell": dwell(world, STATE),
        "dwell within": dwell(world, NESTED),
    }


def state_of(world, name, at):
    """An item at an instant, as `as_of` has it; where times go back, always by the numbers.

    `as_of` asks for these only where the rows on both sides of the instant do not fit each other.
    """
    rows = world.items[name]
    evidence = world.reader.evidence(rows[0].change.keys, at, world.now)
    beside = neighbours(spoken_for(rows), at)
    if beside is not None:
        near = {row.sort_key for row in (beside.before, beside.after) if row is not None}
        moved = {one.row.sort_key for one, _, _ in world.place(name) if one.was_moved}
        evidence = replace(
            evidence,
            before=beside.before,
            after=beside.after,
            since=beside.since,
            until=beside.until,
            is_disordered=beside.are_disordered,
            last_by_time=evidence.last_sort_key if near & moved else None,
        )
    return judge(evidence)


def live_states(world, at):
    if any(one.was_moved for name in world.items for one, _, _ in world.place(name)):
        every = (state_of(world, name, at) for name in world.items)
        states = [state for state in every if state.exists or state.basis is None]
    else:
        snapshot = table_states(world.reader, at, world.now, certain=False, progress=silent)
        states = snapshot.states
    lines = [
        {
            "id": state.row.id,
            "keys": _json(state.keys),
            "exists": state.exists,
            "image": _json(state.image),
            "image_hash": _hash(state.image),
            "certainty": state.certainty.value,
            "basis": state.basis and state.basis.value,
            "reason": state.reason,
            "valid_from": state.valid_from,
            "valid_to": state.valid_to,
            "sort_key": state.row.sort_key,
        }
        for state in states
    ]
    return _stored(lines, "id")


def live_changes(world, since, until):
    rows = changed_rows(world.reader, since, until, Selection())
    return [row_of(row) | {"written_at": None, "written_after": None} for row in rows]


def live_versions(world):
    first = datetime.min.replace(tzinfo=UTC)
    versions = table_versions(world.reader, first, world.now, world.now, silent)
    lines = [
        {
            "id": state.row.id,
            "keys": _json(state.keys),
            "image": _json(state.image),
            "certainty": state.certainty.value,
            "basis": state.basis and state.basis.value,
            "reason": state.reason,
            "valid_from": state.valid_from,
            "valid_to": state.valid_to,
            "is_current": state.is_current,
            "sequence_number": state.row.change.sequence_number,
            "sort_key": state.row.sort_key,
        }
        for state in versions
    ]
    return _stored(lines, "id", "sort_key", "valid_from")


def live_diff(world, since, until):
    """Held together in Python: what `as_of` says of every item at both instants."""
    lines = []
    for name, rows in world.items.items():
        keys = rows[0].change.keys
        old, new = (state_of(world, name, at) for at in (since, until))
        if not same_item(old.image, new.image):
            kind = "changed" if old.exists and new.exists else "removed"
            lines.append(
                {
                    "id": name,
                    "keys": _json(keys),
                    "kind": kind if old.exists else "added",
                    "old_image": _json(old.image),
                    "new_image": _json(new.image),
                    "old_certainty": old.certainty.value,
                    "old_basis": old.basis and old.basis.value,
                    "old_reason": old.reason,
                    "new_certainty": new.certainty.value,
                    "new_basis": new.basis and new.basis.value,
                    "new_reason": new.reason,
                }
            )
    return _stored(lines, "id")


def live_findings(world):
    lines = []
    for name, rows in world.items.items():
        chain = [
            Link(
                row.sort_key,
                row.change.event_name,
                row.change.created_at,
                _hash(state_before(row)),
                _hash(row.change.new_image),
                row.change.event_source_arn,
            )
            for row in rows
            if not world.is_foreign(row)
        ]
        lines += [
            {
                "found": finding.kind.value,
                "id": name,
                "keys": _json(finding.keys),
                "since": finding.since,
                "until": finding.until,
                "sort_key": finding.sort_key,
                "detail": finding.detail,
            }
            for finding in judge_chain(rows[0].change.keys, chain)
        ]
    return _stored(lines, "id", "sort_key", "found")


def per_day(world, names):
    days = defaultdict(list)
    for row in _changes(world):
        days[row.change.created_at.astimezone(UTC).date()].append(row)
    return [
        {"day": day} | {name: value for name, value in _counts(rows).items() if name in names}
        for day, rows in sorted(days.items())
    ]


def per_attribute(world):
    touched = defaultdict(list)
    for row in _changes(world):
        for path in changed_paths(row):
            touched[_HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", path)].append(row)
    return [
        {"path": path, "changes": len(rows), "items": len({row.id for row in rows})} | _span(rows)
        for path, rows in sorted(touched.items())
    ]


def per_actor(world):
    made = defaultdict(list)
    for row in _changes(world):
        actor = actor_of(row, ACTOR)
        value = value_at(row.change.new_image, ACTOR)
        if actor.source == "attribute" and "L" in value:
            made[None, None].append((row, 0))
        else:
            doubt = actor.source == "attribute" and actor.caveat is not None
            made[actor.name, actor.source].append((row, int(doubt)))
    lines = []
    for (name, source), pairs in made.items():
        rows = [row for row, _ in pairs]
        counts = _counts(rows)
        del counts["net"]
        doubtful = sum(doubt for _, doubt in pairs)
        line = {"actor": name, "source": source, "doubtful": doubtful}
        lines.append(line | counts | _span(rows))
    return sorted(lines, key=lambda line: [repr(line["actor"]), repr(line["source"])])


def dwell(world, path):
    stays = []
    for name in world.items:
        stays += _stays(world.place(name), path, world)
    lines = []
    for value in {stay["value"] for stay in stays}:
        here = [stay for stay in stays if stay["value"] == value]
        micros = [stay["micros"] for stay in here]
        total = float(sum(micro // 10**6 for micro in micros))
        total += float(sum(micro % 10**6 for micro in micros)) / 1000000
        lines.append(
            {
                "type": value[0],
                "value": value[1],
                "items": len({stay["id"] for stay in here}),
                "stays": len(here),
                "entered": sum(stay["entered"] for stay in here),
                "lasting": sum(stay["lasting"] for stay in here),
                "uncertain": sum(stay["uncertain"] for stay in here),
                "total_seconds": total,
                "mean_seconds": total / len(here),
            }
        )
    return sorted(lines, key=lambda line: [repr(line["type"]), repr(line["value"])])


def _stays(rows, path, world):
    stays, before = [], "unknown"
    for (placed, since, until), following in pairwise([*rows, None]):
        row = placed.row
        change = row.change
        is_first = placed is rows[0][0]
        if is_first and change.event_name is not EventName.SNAPSHOT:
            before = _value(change.old_image, path)
        value = _value(change.new_image, path)
        begins = is_first or value != before
        entered = before not in ("unknown", value)
        before = value
        if value is None:
            continue
        if begins:
            start = {"id": row.id, "value": value, "micros": 0, "entered": entered}
            stays.append(start | {"lasting": False, "uncertain": False})
        stay = stays[-1]
        end = until or max(world.now, since)
        stay["micros"] += (end - since) // timedelta(microseconds=1)
        stay["lasting"] = following is None
        stay["uncertain"] |= world.is_foreign(row)
        if following is not None:
            after = following[0]
            stay["uncertain"] |= _hash(change.new_image) != _hash(state_before(after.row))
            stay["uncertain"] |= not world.reader.watermark.covers(end)
            stay["uncertain"] |= after.was_moved or world.is_foreign(after.row)
    return stays


def _value(image, path):
    """Type and text of a value; both None where the item has no such attribute."""
    if image is None:
        return None
    value = value_at(image, path)
    if value is None:
        return None, None
    ((tag, content),) = json.loads(canonical_json({"": value}))[""].items()
    if tag == "NULL":
        return tag, None
    if tag == "BOOL":
        return tag, str(content).lower()
    if tag in _SCALARS:
        return tag, _half_spelled(content)
    return tag, json.dumps(_half_spelled(content), sort_keys=True, separators=(",", ":"))


def _half_spelled(content):
    if isinstance(content, str):
        return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", content)
    if isinstance(content, list):
        return [_half_spelled(member) for member in content]
    if isinstance(content, dict):
        return {_half_spelled(name): _half_spelled(member) for name, member in content.items()}
    return content


def _changes(world):
    changes = (row for row in world.rows if row.change.event_name is not EventName.SNAPSHOT)
    return [row for row in changes if not (is_replication_only(row) or world.is_foreign(row))]


def _counts(rows):
    kinds = [row.change.event_name.value for row in rows]
    inserted, modified, removed = (kinds.count(name) for name in ("INSERT", "MODIFY", "REMOVE"))
    return {
        "changes": len(rows),
        "inserted": inserted,
        "modified": modified,
        "removed": removed,
        "items": len({row.id for row in rows}),
        "net": inserted - removed,
    }


def _span(rows):
    stamps = [row.change.created_at for row in rows]
    return {"first_at": min(stamps), "last_at": max(stamps)}


def _stored(lines, *order):
    for line in lines:
        if line["id"].startswith("json:"):
            line["id"] = f"json:{json.dumps(line['id'])}"
    return sorted(lines, key=lambda line: [repr(line[name]) for name in order])


def _json(image):
    return None if image is None else canonical_json(image).decode("ascii")


def _hash(image):
    return None if image is None else digest(image)[:16]
