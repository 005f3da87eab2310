"""Showing a plan before it is carried out, and the result after it."""

import errno
from collections.abc import Iterable

from rich.console import RenderableType

from itemtrail.output.progress import ProgressBar
from itemtrail.output.terminal import show


def show_plan(blocks: Iterable[RenderableType]) -> None:
    """Draw a plan that is carried out next.

    Raises:
        OSError: nobody reads it any more, so that nobody has seen what would be done.
    """
    try:
        show(blocks, ProgressBar())
    except BrokenPipeError:
        why = "its reader left before the end of the plan; nothing was written"
        raise OSError(errno.EIO, why) from None


def dry_run(would: str) -> str:
    """That nothing was written, and what would be."""
    return f"dry run, nothing was written: with --apply {would}"
