"""What a run of this program wrote is shown as that, by every answer that shows changes."""

import pytest

from reports import HistoryTable
from reports.access.own_writes import find_own_writes
from reports.states.own_writes import state_digest
from reports.states.selection import Selection
from reports.table.changes import changed_rows
from stream_core.announcement import OwnWrite, item_hash
from stream_core.control_row import RunRow
from stream_core.item_id import CONTROL_ID
from tests.factories import STREAM_ARN, item, number, text
from tests.unit.memory_tables import HISTORY, Recorded, moment

RUN = RunRow(
    *("0123456789ab", "undo", "{}", "sha256:00", "ada", "itemtrail"),
    *(STREAM_ARN, "12345a12", moment(20)),
)
KEY = {"Id": text("1")}


class UndoneOnce(Recorded):
    """An item that a job spoiled, and that a run brought back; then others wrote."""

    def __init__(self, **options):
        super().__init__(**options)
        self.write("1", item("1", By=text("app"), Count=number(1)), at=0)
        self.write("1", item("1", By=text("job"), Count=number(2)), at=10)
        self.start(RUN)
        self.own("1", item("1", By=text("app"), Count=number(1)), at=20)
        self.write("1", item("1", By=text("app"), Count=number(1), More=number(1)), at=30)

    def start(self, run):
        self.client.put(HISTORY, run.to_item())

    def own(self, name, image, at):
        """Announce a write, and make it."""
        states = state_digest(self.live(name)), state_digest(image)
        write = OwnWrite(RUN.run, 1, item_hash(name), *states, moment(at), STREAM_ARN)
        self.client.put(HISTORY, write.to_item())
        self.write(name, image, at=at)

    @property
    def trail(self):
        trail = HistoryTable.__new__(HistoryTable)
        trail._reader, trail._now = self.reader, lambda: moment(600)
        return trail

    def queries_of_control_rows(self):
        return [
            request["ExpressionAttributeValues"][":after"]["S"]
            for operation, request in self.client.requests
            if operation == "query"
            and request["ExpressionAttributeValues"].get(":id") == text(CONTROL_ID)
        ]


@pytest.fixture
def world():
    return UndoneOnce()


def test_every_answer_names_the_run(world):
    """Rows, changes, states and what each value goes back to."""
    ours = [None, None, RUN.run, None]
    trail = world.trail

    assert [row.run for row in trail.rows(KEY)] == ours
    assert [row.run for row in trail.changed_rows(moment(0), moment(60))] == ours
    assert [row.run for row in trail.changed_rows(moment(0), moment(60), key=KEY)] == ours
    states = [state.row.run for state in trail.states(KEY) if state.exists]
    assert states == ours
    for key in (KEY, None):
        versions = trail.versions(moment(0), moment(60), key)
        assert [state.row.run for state in versions if state.row] == ours
    blames = {blame.path[0]: blame.row.run for blame in trail.blames(KEY)[1]}
    assert blames == {"Id": None, "By": RUN.run, "Count": RUN.run, "More": None}


def test_the_frames_name_it_too(world):
    """With who started the run."""
    trail = world.trail
    frames = (
        trail.history(KEY),
        trail.changes(moment(0), moment(60)),
        trail.between(moment(0), moment(60)),
        trail.timeline(KEY).iloc[1:],
    )

    for frame in frames:
        assert list(frame["run"]) == [None, None, RUN.run, None]
        assert list(frame["run_by"]) == [None, None, "ada", None]
    blame = trail.blame(KEY).set_index("path")
    assert dict(blame["run_by"]) == {"Id": None, "By": "ada", "Count": "ada", "More": None}


def test_who_ran_it_made_the_change(world):
    """And not the writer whose name it put back."""
    trail, where = world.trail, Selection(actor="app", actor_attribute="By")

    assert [row.run for row in trail.changed_rows(moment(0), moment(60), where)] == [None, None]
    where = Selection(actor="ada", actor_attribute="By")
    assert [row.run for row in trail.changed_rows(moment(0), moment(60), where)] == [RUN.run]
    actors = {blame.path[0]: blame.actor for blame in trail.blames(KEY, actor_attribute="By")[1]}
    assert (actors["By"].name, actors["By"].source) == ("ada", "run")
    assert (actors["More"].name, actors["More"].source) == ("app", "attribute")


def test_without_any_run_nothing_else_is_read():
    """One Query says that there is none."""
    world = Recorded()
    world.write("1", item("1"), at=0)
    world.client.requests.clear()

    assert len(list(changed_rows(world.reader, moment(0), moment(60), Selection()))) == 1
    assert UndoneOnce.queries_of_control_rows(world) == ["!run# "]


@pytest.mark.parametrize(("items", "all_at_once"), [(2, False), (150, True)])
def test_announcements_are_read_by_item_until_there_are_many(world, items, all_at_once):
    """A question about one item does not read those of all, and one about all not each."""
    for n in range(items):
        world.own(f"item {n}", item(f"item {n}"), at=40)
    world.client.requests.clear()

    rows = list(changed_rows(world.reader, moment(40), moment(60), Selection()))

    assert [row.run for row in rows] == [RUN.run] * items
    asked = world.queries_of_control_rows()[1:]
    assert (asked[-1] == "!own# ") is all_at_once
    assert len(asked) == min(items, 100) + all_at_once


def test_a_run_or_an_announcement_that_was_altered_says_nothing(world):
    """`verify` reports it."""
    for row in (RUN.to_item(), next(i for i in world.reader.control_items("!own#"))):
        world.client.put(HISTORY, row | {"EventSourceARN": text("else")})

        assert [row.run for row in world.trail.rows(KEY)] == [None] * 4
        world.client.put(HISTORY, row)
    assert find_own_writes(world.reader).runs == {RUN.run: RUN}
