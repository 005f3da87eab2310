"""Which run has the new table: a run writes into it only as long as its tag has the run's id."""

from threading import Lock

from operations.errors import RunEndedError, TakenOverError
from operations.recovery.table.new_table import TAG_SHOWS_WITHIN_S, NewTable
from operations.recovery.table.order import TAG, OrderTag

LOOK_EVERY_S = 5.0
"""A run that another has taken over from writes on for so long at most."""
_NO_MORE = "nothing more is written by this one"


class Hold:
    """A run's hold of the new table; may be asked side by side.

    Two people may give the same order. A tag cannot be set on a condition, so a run sees to it
    that the tag that it set is still there before whatever it writes.
    """

    def __init__(self, table: NewTable, tag: OrderTag, *, took_over: bool) -> None:
        """The table has its tag.

        Args:
            table: the new table.
            tag: what its tag is as long as this run has it.
            took_over: whether another run may still be writing.
        """
        self._table, self._tag = table, tag
        self._clock = table.pace.machine.clock
        self._others_write_until = (
            self._clock() + TAG_SHOWS_WITHIN_S + LOOK_EVERY_S if took_over else None
        )
        self._lock = Lock()
        self._looked_at: float | None = None
        self._is_lost = False

    @classmethod
    def take_over(cls, table: NewTable, begun: OrderTag, tag: OrderTag) -> "Hold":
        """Take the table over from an earlier run of the same order.

        Args:
            table: the new table.
            begun: its tag when this run was planned.
            tag: this run's.

        Raises:
            TakenOverError: another run has taken it over or finished it since.
            RunEndedError: its tag cannot be set.
        """
        there = table.current_tag()
        if there != begun:
            raise TakenOverError(held_by(table.name, there))
        if problem := table.set_tag(tag):
            raise RunEndedError(
                f"'{table.name}' cannot be taken over: its tag is not set ({problem})"
            )
        table.await_tag(tag)
        hold = cls(table, tag, took_over=True)
        hold.look()
        return hold

    def require(self) -> None:
        """See to it that this run has the table, if that was not seen just now.

        Raises:
            TakenOverError: it has not.
            RunEndedError: that cannot be told.
        """
        with self._lock:
            now = self._clock()
            is_recent = self._looked_at is not None and now - self._looked_at < LOOK_EVERY_S
            if self._is_lost or not is_recent:
                self._look(now)

    def look(self) -> None:
        """The same, whenever it was seen.

        Raises:
            TakenOverError, RunEndedError: as for `require`.
        """
        with self._lock:
            self._look(self._clock())

    def outlast_others(self) -> None:
        """Wait until the run from which this one took over must have seen that."""
        if self._others_write_until is not None:
            self._table.pace.machine.sleep(max(0.0, self._others_write_until - self._clock()))

    def finish(self) -> None:
        """Have the tag say that all is in the table, whereupon no run writes to it any more.

        Raises:
            TakenOverError: another run has taken it over just now.
            RunEndedError: the tag is not set, or what it is cannot be told.
        """
        finished = self._tag.finished()
        if problem := self._table.set_tag(finished):
            raise self._unfinished(problem)
        self._table.await_tag(finished)
        there = self._table.current_tag()
        if there == self._tag:
            raise self._unfinished("it does not show")
        if there != finished:
            raise TakenOverError(held_by(self._table.name, there))

    def _unfinished(self, why: str) -> RunEndedError:
        return RunEndedError(
            f"all is in '{self._table.name}', but its tag {TAG} could not be set to finished "
            f"({why}): before anybody writes to the table give the same command again, or set the "
            f"tag to '{self._tag.finished()}'; else that command would undo what they write"
        )

    def _look(self, now: float) -> None:
        there = self._table.current_tag()
        if there != self._tag:
            self._is_lost = True
            raise TakenOverError(held_by(self._table.name, there))
        self._looked_at = now


def held_by(name: str, there: OrderTag | None) -> str:
    """Who has a table that this run has not, and what to do.

    Args:
        name: the table.
        there: the tag that it has now, if it has one.
    """
    if there is None:
        return (
            f"'{name}' has no longer the tag that this run has set: {_NO_MORE}; find out who "
            "removed it or made the table anew"
        )
    if there.is_finished:
        return (
            f"run {there.run} has finished '{name}', so it is anyone's to write to: {_NO_MORE}, "
            "and nothing is left to do"
        )
    return (
        f"run {there.run} has taken '{name}' over: {_NO_MORE}; leave it to that one, or give the "
        "same command again once that one is ended"
    )
