"""Every question to the history of a world, each answer held against the oracle.

A fault is a kind, by which faults that are being mended can be told apart, and what was seen. It is
a fault to be surer than the truth: to be exact and not true, to be exact and then to change, to
leave out what was there without a word, to find nothing where something is missing that leaves a
trace, to name a class that cannot be, or to end with an error.
"""

from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain

from itemtrail import Certainty, HistoryTable, UncertainError
from reports.access.machine import Machine
from reports.states.watermark import Basis
from reports.table.rewind import UNSEEN
from reports.verification.verdicts import Verdict
from reports.verification.verify import verify
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from stream_core.history_row import ID
from stream_core.item_id import item_id
from tests.unit.memory_tables import HISTORY, SOURCE
from tests.worlds.oracle import Oracle
from tests.worlds.world import LATE, LOST, RECORDED, SECOND, draw, seen_later

_COMPLETENESS = {"MISSING_CHANGE", "MISSING_INSERT", "MISSING_DELETE", "MISSING_START"}
_COMPLETENESS |= {"HEAD_MISMATCH"}
_MOST_INSTANTS = 8
_STRENGTH = list(Certainty)


class Examination:
    """Asks all questions of one world.

    Attributes:
        faults: what was worse than the truth allows, as (kind, text).
        exact: how many answers were exact, so that a bank that never gets one is noticed.
    """

    def __init__(self, seed):
        self.world = draw(seed)
        self.oracle = Oracle(self.world)
        self.random = self.world.random
        self.faults = []
        self.mixed = set()
        self.exact = 0
        self.answers = 0

    def run(self):
        """Ask now, and ask the same again when everything late has come."""
        earlier = []
        for identifier, keys in self.world.keys.items():
            with self._documented(f"questions of {identifier!r}"):
                earlier += self._ask_of_item(identifier, keys)
        for at in self._some_instants():
            with self._documented(f"the table as of {at}"):
                self._ask_of_table(at)
        with self._documented("changes"):
            self._ask_for_changes()
        with self._documented("frames"):
            self._ask_for_frames()
        with self._documented("verify"):
            self._verify()
        seen_later(self.world)
        for state in earlier:
            with self._documented("the same question later"):
                self._ask_again(state)
        return self.faults

    @property
    def trail(self):
        world = self.world
        return HistoryTable(
            HISTORY,
            SOURCE if world.has_source else None,
            session=world.session,
            time_shards=world.told_shards,
            recorded_until=world.watermark,
            machine=Machine(now=lambda: world.now),
        )

    def _fault(self, kind, text):
        self.faults.append((kind, text))

    @contextmanager
    def _documented(self, question):
        """No question that is understood ends with an error, also where a row is altered."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever is raised is a fault
            self._fault("error", f"{question}: {type(error).__name__} {error}")

    # Of one item.

    def _ask_of_item(self, identifier, keys):
        if any(
            {write.fate for write in trip} == {LATE, LOST}
            for trip in self.oracle.round_trips(identifier)
        ):
            # What is lost shows when the rest of its round trip comes.
            self.mixed.add(identifier)
        trail, answers = self.trail, []
        instants = self.oracle.instants(identifier)
        instants = self.random.sample(instants, min(len(instants), _MOST_INSTANTS))
        watermark = self.world.watermark
        edges = [] if watermark is None else [watermark, watermark - SECOND]
        outside = [self.world.horizon - SECOND, self.world.now + SECOND]
        for at in [*instants, *edges, *outside, self.world.now]:
            state = trail.as_of(keys, at)
            self._check_state(identifier, at, state, "as-of")
            self._check_certain(trail, keys, at, state)
            answers.append(state)
        self._check_line(identifier, trail.states(keys), "timeline")
        self._check_agreement(identifier, answers, list(trail.states(keys)))
        start, end = sorted(self.random.sample([*instants, self.world.now], 2))
        self._check_line(identifier, trail.versions(start, end, keys), "between", start, end)
        self._check_difference(identifier, keys, start, end)
        self._check_blame(identifier, keys, end)
        return answers

    def _check_certain(self, trail, keys, at, state):
        try:
            certain = trail.as_of(keys, at, certain=True)
        except UncertainError:
            if state.certainty is Certainty.EXACT:
                self._fault("certain", f"{state.keys} at {at}: exact, and refused")
        else:
            if certain.certainty is not Certainty.EXACT:
                self._fault("certain", f"{state.keys} at {at}: {certain.certainty} passed")

    def _check_state(self, identifier, at, state, question):
        self.answers += 1
        what = (
            f"{question} {identifier!r} at {at}: {state.certainty} {state.image} ({state.reason})"
        )
        self._check_real(identifier, state, what)
        if state.certainty is not Certainty.EXACT:
            return
        self.exact += 1
        if not self.oracle.knows(identifier, at):
            self._fault("exact-outside", what)
        elif not state.exists and state.row is None and not self._may_be_absent(state):
            self._fault("absent-without-mark", what)
        elif not self.oracle.may_say(identifier, at, state.image):
            truth = self.oracle.true_image(identifier, at)
            self._fault("exact-not-true", f"{what}, and it was {truth}")

    def _may_be_absent(self, state):
        """Whether without a row at or before an instant it is sure that there was no item."""
        return state.at == self.world.now or self.oracle.is_marked(state.at)

    def _check_real(self, identifier, state, what):
        """Whatever is shown of an item was its state at some time, unless said to be altered."""
        if identifier in self.world.foreign | self.world.altered:
            return
        images = self.oracle.true_images(identifier)
        if state.exists and not any(same_item(state.image, image) for image in images):
            self._fault("never-so", what)

    def _check_line(self, identifier, states, question, start=None, end=None):
        """A line of states: each exact one was so from its beginning to its end."""
        world = self.world
        states = list(states)
        for state in states:
            since = max(filter(None, [state.valid_from, world.horizon]))
            until = min(filter(None, [state.valid_to, world.now]))
            what = f"{question} {identifier!r} {state.valid_from} to {state.valid_to}:"
            what += f" {state.certainty} {state.image} ({state.reason})"
            self._check_real(identifier, state, what)
            if state.certainty is not Certainty.EXACT:
                continue
            self.exact += 1
            stamps = {write.stamp for write in world.writes_of(identifier)}
            within = {since, *(stamp for stamp in stamps if since <= stamp < until)}
            if since >= until and state.valid_to is not None:
                continue  # It did not last to the end of its second.
            for at in sorted(within):
                if not self.oracle.may_say(identifier, at, state.image):
                    self._fault("exact-line", f"{what}, and at {at} it was not")
        # Between two streams there are lines of their own.
        is_one_stream = world.streams == 1 and not world.baselines
        if self.oracle.is_whole(identifier) and is_one_stream:
            self._check_whole_line(identifier, states, question, start, end)

    def _check_agreement(self, identifier, answers, states):
        """Of a moment of the past a timeline says what as-of says of it, and is no surer."""
        for answer in answers:
            if answer.at >= self.world.now:
                continue
            around = [
                state
                for state in states
                if (state.valid_from or state.valid_to) is not None
                and (state.valid_from is None or state.valid_from <= answer.at)
                and (state.valid_to is None or answer.at < state.valid_to)
            ]
            what = f"{identifier!r} at {answer.at}: {answer.certainty} {answer.image}, and in the"
            what += f" timeline {[(state.certainty, state.image) for state in around]}"
            if not around and answer.certainty is not Certainty.UNKNOWN:
                self._fault("untold", what)
            if any(
                _STRENGTH.index(state.certainty) < _STRENGTH.index(answer.certainty)
                or not (
                    same_item(state.image, answer.image) or answer.certainty is Certainty.UNKNOWN
                )
                for state in around
            ):
                self._fault("timeline-differs", what)

    def _check_whole_line(self, identifier, states, question, start, end):
        """Of an item of which nothing is missing every version is there and no other."""
        writes = self.world.writes_of(identifier)
        true = []
        for place, write in enumerate(writes):
            ended = writes[place + 1].stamp if place + 1 < len(writes) else None
            if start is None or (
                write.stamp <= end
                and (ended is None or ended > start or write.stamp == ended == start)
            ):
                true.append((write.stamp, ended, write.new))
        if start is not None:
            true = [version for version in true if version[2] is not None]
        shown = [
            (state.valid_from, state.valid_to, state.image)
            for state in states
            if state.valid_from is not None and not state.may_be_older
        ]
        if len(shown) != len(true) or not all(
            mine[:2] == theirs[:2] and same_item(mine[2], theirs[2])
            for mine, theirs in zip(true, shown, strict=True)
        ):
            self._fault("versions", f"{question} {identifier!r}: {shown}, and true is {true}")

    def _check_difference(self, identifier, keys, start, end):
        old, new, differences = self.trail.differences(keys, start, end)
        names = {difference.path[0] for difference in differences}
        differing = _differing(old.image, new.image)
        if names != differing:
            self._fault("diff", f"{identifier!r} {start} to {end}: {names}, not {differing}")
        self._check_state(identifier, start, old, "diff from")
        self._check_state(identifier, end, new, "diff to")

    def _check_blame(self, identifier, keys, at):
        state, blames = self.trail.blames(keys, at)
        self._check_state(identifier, at, state, "blame")
        trips = self.oracle.round_trips(identifier) if self.world.streams == 1 else ()
        hidden = list(chain.from_iterable(trips))
        for entry in blames:
            what = f"{identifier!r} at {at}: {entry.path} {entry.value} {entry.certainty}"
            what += f" since {entry.row and entry.row.change.created_at} ({entry.reason})"
            if entry.certainty is not Certainty.EXACT:
                continue
            if state.certainty is not Certainty.EXACT:
                self._fault("part-surer", f"blame {what}, and the whole is {state.certainty}")
                continue
            last = self._last_change_of(identifier, entry.path, at)
            if last in hidden:
                continue
            if last is None or entry.row is None or entry.row.change.created_at != last.stamp:
                self._fault("blame", f"{what}, and it was {last and last.stamp}")

    def _last_change_of(self, identifier, path, at):
        """The last true change, up to an instant, that gave a path another value."""
        last = None
        for write in self.world.writes_of(identifier):
            if write.stamp <= at and _value_at(write.old, path) != _value_at(write.new, path):
                last = write
        return last

    def _ask_again(self, earlier):
        """An exact answer stays as it is when what was late has come.

        What was live then is no longer sure, where its change is lost.
        """
        if earlier.certainty is not Certainty.EXACT:
            return
        later = self.trail.as_of(earlier.keys, earlier.at)
        identifier = item_id(earlier.keys)
        if identifier in self.mixed:
            return
        if earlier.basis is Basis.LIVE and later.certainty is not Certainty.EXACT:
            return
        if later.certainty is not Certainty.EXACT or not same_item(later.image, earlier.image):
            self._fault(
                "exact-changed",
                f"{earlier.keys} at {earlier.at}: {earlier.image} ({earlier.reason}), and later"
                f" {later.certainty} {later.image} ({later.reason})",
            )

    # Of the whole table.

    def _some_instants(self):
        instants = {at for identifier in self.world.keys for at in self.oracle.instants(identifier)}
        return [*self.random.sample(sorted(instants), min(2, len(instants))), self.world.now]

    def _ask_of_table(self, at):
        ways = {}
        for size in (0, 10**12):
            self._pretend_size(size)
            answer = self.trail.table_states(at)
            states = list(answer.states)
            self._check_table(at, answer, states)
            ways[answer.method] = {item_id(state.keys): state for state in states}
        self._pretend_size(0)
        self._check_items_alone(at, ways["history"])
        is_within = self.world.horizon <= at <= self.world.now
        is_within = is_within and at >= self.world.created_at
        if len(ways) == 1 and is_within and self.world.has_source:
            self._fault("ways", f"the table as of {at}: only {list(ways)}")
        for identifier in ways["history"].keys() & ways.get("rewind", {}).keys():
            both = [way[identifier] for way in ways.values()]
            is_sure = all(state.certainty is Certainty.EXACT for state in both)
            if is_sure and not same_item(both[0].image, both[1].image):
                self._fault("ways", f"{identifier!r} at {at}: {[state.image for state in both]}")

    def _check_items_alone(self, at, shown):
        """Each item is in the whole table what it is alone, and as sure."""
        trail = self.trail
        for identifier, state in shown.items():
            alone = trail.as_of(state.keys, at)
            if self.oracle.steps_back(identifier) and alone.certainty is state.certainty:
                continue  # Next to a baseline the whole table looks for no order of numbers.
            if alone.certainty is not state.certainty or not same_item(alone.image, state.image):
                self._fault(
                    "alone-differs",
                    f"{identifier!r} at {at}: {state.certainty} {state.image} ({state.reason}), and"
                    f" alone {alone.certainty} {alone.image} ({alone.reason})",
                )

    def _pretend_size(self, size):
        """Let the history's rows seem so large that the other way is cheaper."""
        self.world.tables.descriptions[HISTORY] |= {"ItemCount": 1000, "TableSizeBytes": size}
        self.world.tables.descriptions[SOURCE] |= {"ItemCount": 1}

    def _check_table(self, at, answer, states):
        shown = Counter(item_id(state.keys) for state in states)
        for state in states:
            identifier = item_id(state.keys)
            self._check_state(identifier, at, state, f"table-as-of by {answer.method}")
        if max(shown.values(), default=1) > 1:
            self._fault("twice", f"{answer.method} at {at}: {shown}")
        for identifier in self.world.keys.keys() - shown.keys():
            truth = self.oracle.true_image(identifier, at)
            if (
                truth is not None
                and UNSEEN not in answer.reason
                and self.oracle.knows(identifier, at)
                and self._should_show(identifier, answer)
                and not self.oracle.may_say(identifier, at, None)
            ):
                self._fault(
                    f"omitted-by-{answer.method}",
                    f"{identifier!r} at {at}, {truth}: not in the answer ({answer.reason})",
                )

    def _should_show(self, identifier, answer):
        """Whether an item's absence from an answer is not said, or not known to be possible."""
        if self.oracle.has_left_something(identifier):
            return True
        watermark, now = self.trail.watermark, self.world.now
        is_fresh = answer.at < now and not watermark.covers(answer.at)
        return is_fresh and watermark.doubt(now) not in answer.reason

    def _ask_for_changes(self):
        instants = self._some_instants()
        start, end = min(instants), max(instants)
        rows = list(self.trail.changed_rows(start, end))
        shown = sorted((row.id, int(row.change.sequence_number)) for row in rows)
        true = sorted(
            (write.identifier, write.order[1])
            for write in self.world.writes
            if write.fate == RECORDED and start <= write.stamp <= end
        )
        unsure = self.world.foreign | self.world.unindexed
        if [one for one in shown if one[0] not in unsure] != [
            one for one in true if one[0] not in unsure
        ]:
            self._fault("changes", f"{start} to {end}: {shown}, and true is {true}")

    def _ask_for_frames(self):
        """The same in frames: each line with the certainty that the state itself has."""
        trail = self.trail
        if not self.world.keys:
            return
        identifier, keys = self.random.choice(sorted(self.world.keys.items()))
        now = self.world.now
        states = list(trail.states(keys))
        timeline = trail.timeline(keys)
        if list(timeline["certainty"]) != [state.certainty.value for state in states]:
            self._fault("frame", f"timeline of {identifier!r}")
        versions = list(trail.versions(self.world.horizon, "now", keys))
        if list(trail.between(self.world.horizon, "now", keys)["certainty"]) != [
            state.certainty.value for state in versions
        ]:
            self._fault("frame", f"between of {identifier!r}")
        whole = trail.as_of(keys, now)
        blame = trail.blame(keys, now)
        if blame.attrs["certainty"] != whole.certainty.value:
            self._fault("frame", f"blame of {identifier!r}")
        self._check_current_row(identifier, trail.history(keys), list(trail.rows(keys)))
        dimension = trail.scd2(keys)
        shown = [state for state in states if state.exists]
        if list(dimension["certainty"]) != [state.certainty.value for state in shown]:
            self._fault("frame", f"scd2 of {identifier!r}")
        self._check_current(identifier, states)

    def _check_current_row(self, identifier, history, rows):
        """The row that is current is the one of the live item, where all are recorded."""
        live = self.world.live.get(identifier)
        for row, is_current in zip(rows, history["is_current"], strict=True):
            # A baseline of the second of a change that is stamped earlier may show either state.
            is_sure = (
                is_current
                and self.oracle.is_recorded(identifier)
                and (row.change.event_name is not EventName.SNAPSHOT)
            )
            if is_sure and not same_item(row.change.new_image, live):
                self._fault("current", f"history of {identifier!r}: {row.sort_key}")

    def _check_current(self, identifier, states):
        """What is current is the live item, unless something is missing or on its way."""
        live = self.world.live.get(identifier)
        for state in states:
            is_sure = state.certainty is Certainty.EXACT or self.oracle.is_recorded(identifier)
            if state.is_current and is_sure and not same_item(state.image, live):
                self._fault("current", f"{identifier!r}: {state.image}, and live is {live}")

    # The verdicts.

    def _verify(self):
        world, oracle = self.world, self.oracle
        verification = self._verified()
        found = {}
        for finding in verification.findings:
            if finding.sort_key is None and finding.detail.startswith("the stream of the table"):
                continue  # Of no item.
            found.setdefault(item_id(finding.keys), []).append(finding.kind.value)
        self._check_verdict("all", set(world.keys), verification)
        for identifier in world.keys if world.has_source else ():
            self._check_classes(identifier, found.get(identifier, []))
        is_whole = all(map(oracle.is_whole, world.keys)) and world.has_source
        # A gap in the stream is found even if all rows fit.
        is_whole = is_whole and world.damage not in ("stream off and on", "turned twice")
        is_told = world.told_shards in (None, world.shards) and not world.unindexed
        # Rows of an earlier table cannot be told from invented ones, if nothing tells of it.
        is_told = is_told and not any("was made" in one.detail for one in verification.findings)
        if is_whole and is_told and world.stored() and not verification.clean:
            self._fault("false-alarm", f"verify: {verification.findings} {verification.notes}")
        for identifier, keys in world.keys.items():
            self._check_verdict("of one", {identifier}, self._verified([keys]))

    def _check_verdict(self, question, identifiers, verification):
        """A verdict holds only where nothing that leaves a trace is missing, and not of nothing."""
        world = self.world
        verdicts = {verification.completeness, verification.integrity}
        what = f"verify {question} {verdicts}, "
        if Verdict.HOLDS in verdicts and not any(
            row[ID]["S"] in identifiers for row in world.stored()
        ):
            self._fault("holds-nothing", f"{what}there is no row of {identifiers}")
        if not world.has_source and verification.completeness is Verdict.HOLDS:
            self._fault("holds-without-source", what)
        if not verification.clean:
            return
        traced = set(filter(self.oracle.leaves_trace, identifiers))
        for kind, damaged in {
            "holds": traced,
            "holds-foreign": world.foreign,
            "holds-altered": world.altered,
            "holds-index": world.unindexed,
        }.items():
            if damaged & identifiers:
                self._fault(kind, f"{what}in spite of {damaged & identifiers}")

    def _verified(self, keys=None):
        clock = [self.world.now]

        def pause(seconds):
            clock[0] += timedelta(seconds=seconds)

        machine = Machine(now=lambda: clock[0], sleep=pause)
        reader = self.trail._reader
        wanted = None if keys is None else [reader.key_schema.key_of(key) for key in keys]
        return verify(reader, wanted, machine=machine)

    def _check_classes(self, identifier, classes):
        oracle = self.oracle
        if identifier in self.world.foreign | self.world.altered:
            return
        # Of a stream between two others it may not be known which table it is of.
        is_unclear = self.world.damage == "turned twice" or oracle.steps_back(identifier)
        if is_unclear or oracle.is_awaited(identifier):
            return
        if "ORDER" in classes:
            self._fault("order", f"{identifier!r}: {classes}, and the stamps are in order")
            return
        links = oracle.broken_links(identifier)
        missing = sorted(name for name in classes if name in _COMPLETENESS)
        if links == ["any"]:
            if not missing:
                self._fault("unfound", f"{identifier!r}: live, no row, and nothing is found")
        elif links is not None and links != missing:
            self._fault("classes", f"{identifier!r}: {missing}, and missing are {links}")
        elif links is None and oracle.leaves_trace(identifier) and not missing:
            self._fault("unfound", f"{identifier!r}: nothing is found")


def examine(seed):
    """The faults of a seed's world."""
    return Examination(seed).run()


def _differing(old, new):
    old, new = old or {}, new or {}
    return {
        name
        for name in old.keys() | new.keys()
        if name not in old or name not in new or not same_item({"": old[name]}, {"": new[name]})
    }


def _value_at(image, path):
    """The value at a path, in one spelling; None: there is none."""
    value = {"M": image or {}}
    for step in path:
        ((_, content),) = value.items()
        try:
            value = content[step]
        except (KeyError, IndexError, TypeError):
            return None
        if not isinstance(value, dict):
            return None
    ((tag, content),) = value.items()
    return (tag, frozenset(content)) if tag in ("SS", "NS", "BS") else (tag, repr(content))
