"""How far long work is, on a terminal."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Nobody needs to know how far something is that is done at once.
_PATIENCE_S = 0.5


class ProgressBar:
    """Shows on stderr how far long work is, where stderr is a terminal.

    Call it as a `reports.access.progress.Progress`. Where the answer goes to a terminal too, it
    ends as the answer begins: the two never mix.
    """

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
            self._bar.start()
        (task,) = self._bar.task_ids
        self._bar.update(task, total=total, completed=done, what=what, count=count)

    def answer_begins(self) -> None:
        """Make room, where the answer goes to a terminal."""
        if sys.stdout.isatty():
            self.end()

    def end(self) -> None:
        """Show nothing any more."""
        self._over = True
        if self._bar is not None:
            self._bar.stop()


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
