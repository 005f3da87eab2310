"""What is true of a world, and what its history may miss: from the log of writes and the documents.

Nothing here looks at how answers are found. The log tells what an item was at an instant. What a
history may miss is what docs/reports.md lists as leaving no trace, and nothing else.
"""

from itertools import dropwhile, pairwise, takewhile

from stream_core.attribute_values import same_item
from tests.worlds.world import ENDED, LATE, LOST, RECORDED, SECOND

_KNOWN = (RECORDED, ENDED)
"""Of an end of the whole table its new identity tells, without a record."""


class Oracle:
    """Knows all of a world.

    Attributes:
        world: the world as it stands; what is late may come meanwhile.
    """

    def __init__(self, world):
        self.world = world

    def true_image(self, identifier, at):
        """What the item was; changes stamped at the instant are included.

        Where stamps go back, the last change in the order of the stream decides.
        """
        image = self.world.first.get(identifier)
        for write in self.world.writes_of(identifier):
            if write.stamp <= at:
                image = write.new
        return image

    def image_in_order(self, identifier, at):
        """What the item was, if a change that is stamped before an earlier one holds since that."""
        writes = self.world.writes_of(identifier)
        until = [write.new for write in takewhile(lambda write: write.stamp <= at, writes)]
        return until[-1] if until else self.world.first.get(identifier)

    def true_images(self, identifier):
        """All that the item ever was."""
        return [
            self.world.first.get(identifier),
            *(write.new for write in self.world.writes_of(identifier)),
        ]

    def may_say(self, identifier, at, image):
        """Whether a history as it stands can be sure of this, rightly or as documented."""
        return (
            same_item(self.true_image(identifier, at), image)
            or same_item(self.image_in_order(identifier, at), image)
            or self.is_hidden_at(identifier, at, image)
        )

    def is_hidden_at(self, identifier, at, image):
        """Whether lost changes led away from this state and, after the instant, back to it.

        What is on its way is no excuse: an answer about its time is not exact before it came.
        """
        return any(
            same_item(trip[0].old, image)
            and trip[0].stamp <= at < trip[-1].stamp
            and all(write.fate == LOST for write in trip if write.stamp <= at)
            and not self._is_between_streams(trip)
            for trip in self.round_trips(identifier)
        )

    def round_trips(self, identifier):
        """Every run of changes without a row that leads from a state back to it, unseen between."""
        writes = self.world.writes_of(identifier)
        for start, away in enumerate(writes):
            for end in range(start, len(writes)):
                if writes[end].fate in _KNOWN:
                    break
                trip = writes[start : end + 1]
                if same_item(away.old, writes[end].new) and not self._is_seen(trip):
                    yield trip

    def is_marked(self, at):
        """Whether a finished backfill vouches that whatever was there at an instant has a row."""
        return any(began <= at for began, _ in self.world.marks)

    def _is_between_streams(self, trip):
        """Whether rows of two streams, or a row and a later stream, enclose the changes."""
        before = [
            write
            for write in self.world.writes_of(trip[0].identifier)
            if write.order < trip[0].order and write.fate == RECORDED
        ]
        return bool(before) and self.world.is_other_stream(before[-1], trip[-1])

    def _is_seen(self, trip):
        """Whether a baseline was taken on the way; of its own second it may show any moment."""
        return any(
            baseline.identifier == trip[0].identifier
            and trip[0].stamp < baseline.stamp < trip[-1].stamp
            for baseline in self.world.baselines
        )

    def instants(self, identifier):
        """Where answers change, and right before and after."""
        stamps = [write.stamp for write in self.world.writes_of(identifier)]
        stamps += [one.stamp for one in self.world.baselines if one.identifier == identifier]
        around = [stamp + SECOND * step for stamp in stamps for step in (-1, 0, 0.5, 1)]
        return sorted(
            {*around, self.world.horizon, self.world.horizon + SECOND, self.world.now - SECOND}
        )

    def knows(self, identifier, at):
        """Whether the log tells of an instant: neither before all that is known, nor to come.

        A stream is read from its oldest record, which may be of before the history table's making.
        """
        stamps = [write.stamp for write in self.world.writes_of(identifier)]
        return min([self.world.horizon, *stamps]) <= at <= self.world.now

    def is_recorded(self, identifier):
        """Whether every change of an item has its row, and every row of it is a change of it."""
        world = self.world
        return identifier not in world.foreign | world.altered and all(
            write.fate == RECORDED for write in world.writes_of(identifier)
        )

    def is_awaited(self, identifier):
        """Whether a record of the item is still on its way."""
        return any(write.fate == LATE for write in self.world.writes_of(identifier))

    def has_left_something(self, identifier):
        """Whether anything that can be read tells of an item: a row, or the live item."""
        world = self.world
        writes = [write for write in world.writes if write.fate == RECORDED]
        return (world.has_source and identifier in world.live) or any(
            one.identifier == identifier for one in [*world.baselines, *writes]
        )

    def is_whole(self, identifier):
        """Whether in addition its beginning is recorded, and time only goes on."""
        return (
            self.is_recorded(identifier)
            and identifier not in self.world.first
            and not self.steps_back(identifier)
        )

    def steps_back(self, identifier):
        """Whether the stamps of an item's changes and baselines contradict their order."""
        world = self.world
        writes = world.writes_of(identifier)
        stamps = [write.stamp for write in writes]
        return stamps != sorted(stamps) or any(
            write.stamp != write.at.replace(microsecond=0)
            for write in writes
            if any(one.identifier == identifier for one in world.baselines)
        )

    def broken_links(self, identifier):
        """The classes of what is missing from an item's rows; None where baselines leave it open.

        Two neighbouring rows that do not fit, a beginning in the middle, an end that is not the
        live item: as the table of classes in docs/reports.md has them.
        """
        world = self.world
        if any(one.identifier == identifier for one in world.baselines):
            return None
        known = [write for write in world.writes_of(identifier) if write.fate in _KNOWN]
        # An end without a row before it is of an item of which nothing is known.
        rows = list(dropwhile(lambda write: write.fate == ENDED, known))
        live = world.live.get(identifier)
        if not rows:
            return [] if live is None else ["any"]
        links = [(before.new, after.old) for before, after in pairwise(rows)]
        classes = [_class_of(*link) for link in links if not same_item(*link)]
        if rows[0].old is not None:
            classes.append("MISSING_START")
        if not same_item(rows[-1].new, live):
            classes.append("HEAD_MISMATCH")
        return sorted(classes)

    def leaves_trace(self, identifier):
        """Whether something missing from an item's rows has to be found."""
        links = self.broken_links(identifier)
        if links is not None:
            return bool(links)
        # Where there are baselines: the whole states that rows and baselines show, in order.
        seen = self._seen_states(identifier)
        return seen is not None and any(not same_item(*pair) for pair in pairwise(seen))

    def _seen_states(self, identifier):
        """Ends of what rows leave open, in pairs put one after the other; None: not to be told.

        A baseline in the second of a change shows any moment of that second.
        """
        world = self.world
        writes = world.writes_of(identifier)
        baselines = [one for one in world.baselines if one.identifier == identifier]
        stamps = {write.stamp for write in writes}
        if any(one.stamp in stamps for one in baselines) or self.steps_back(identifier):
            return None
        events = [
            (write.stamp, write.order, write.old, write.new)
            for write in writes
            if write.fate in _KNOWN
        ]
        events += [(one.stamp, (0, 0), one.image, one.image) for one in baselines]
        events.sort(key=lambda event: event[:2])
        ends = [(old, new) for _, _, old, new in events]
        gaps = [*pairwise(ends)]
        for (_, new), (old, _) in gaps:
            if not same_item(new, old):
                return [new, old]
        last, live = ends[-1][1], world.live.get(identifier)
        if not same_item(last, live):
            return [last, live]
        stamp, order, old, image = events[0]
        if order != (0, 0) and old is not None:
            return [None, old]
        if order == (0, 0) and any(began + SECOND < stamp for began, _ in world.marks):
            # Every item that there was had a row by then: this one has lost its beginning.
            return [None, image]
        return [live, live]


def _class_of(before, after):
    if before is None:
        return "MISSING_INSERT"
    return "MISSING_DELETE" if after is None else "MISSING_CHANGE"
