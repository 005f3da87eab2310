"""How far long work is, on a terminal."""

import sys
import time
from typing import ClassVar, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Nobody needs to know how far something is that is done at once.
_PATIENCE_S = 0.5


class ProgressBar:
    """Shows on stderr how far long work is, where stderr is a terminal.

    Call it as a `reports.access.progress.Progress`. Where the answer goes to a terminal too, it
    ends as the answer begins, or makes room for each part of it: the two never mix.
    """

    # There is one terminal, and whoever tells something there knows of no bar.
    _shown: ClassVar[Progress | None] = None

    def __init__(self) -> None:
        """Show nothing yet: most questions are answered at once."""
        self._began = time.monotonic()
        self._over = not sys.stderr.isatty()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Tell what is being done, how much of it is, and of how much if that is known."""
        if self._over or time.monotonic() - self._began < _PATIENCE_S:
            return
        count = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        if self._bar is None:
            self._bar = _bar()
            self._bar.add_task("", what=what, count=count)
        (task,) = self._bar.task_ids
        self._bar.update(task, total=total, completed=done, what=what, count=count)
        if self._bar is not self._shown:
            self.make_room()
            ProgressBar._shown = self._bar
            self._bar.start()

    def answer_begins(self) -> None:
        """Make room, where the answer goes to a terminal."""
        if sys.stdout.isatty():
            self.end()

    def end(self) -> None:
        """Show nothing any more."""
        self._over = True
        if self._bar is self._shown:
            self.make_room()

    @classmethod
    def make_room(cls) -> None:
        """Take away the one that is shown, for a line there; what is told next brings it back."""
        if cls._shown is not None:
            cls._shown.stop()
            cls._shown = None


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[what]}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        # The answer may be on its way into a file meanwhile.
        redirect_stdout=False,
        redirect_stderr=False,
    )
