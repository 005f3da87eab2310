"""What a person sees: tables drawn block by block, paged as git does."""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import PurePath
from typing import TextIO

import click
from rich.console import Console, Group, RenderableType

from itemtrail.output.progress import ProgressBar

# On a wider line the eye gets lost.
_WIDEST = 160
# As git sets it: leave at once what fits on a screen, keep colours, and leave the text standing.
_LESS = "FRX"


def show(blocks: Iterable[RenderableType], progress: ProgressBar) -> None:
    """Draw an answer as it arrives; on a terminal through the user's pager.

    Not for what is done meanwhile: whoever leaves the pager would end it, unseen.
    """
    arriving = iter(blocks)
    first = list(islice(arriving, 1))
    progress.answer_begins()
    if not first:
        return
    console = _console(sys.stdout)
    texts = _drawn(console, chain(first, arriving))
    if sys.stdin.isatty() and sys.stdout.isatty() and not console.is_dumb_terminal:
        _page(texts)
    else:
        _write(texts, sys.stdout)


def draw(blocks: Iterable[RenderableType], out: TextIO) -> None:
    """Draw what is asked about next, or done meanwhile, without a pager."""
    _write(_drawn(_console(out), blocks), out)


def _console(out: TextIO) -> Console:
    console = Console(file=out, highlight=False)
    console.width = min(console.width, _WIDEST)
    return console


def _drawn(console: Console, blocks: Iterable[RenderableType]) -> Iterator[str]:
    for block in blocks:
        with console.capture() as captured:
            # A line that must not be broken may be longer than the screen; a text that is not in
            # a group is joined to others, which breaks it.
            console.print(Group(block), crop=False)
        yield captured.get()


def _write(texts: Iterable[str], out: TextIO) -> None:
    for text in texts:
        if out.isatty():
            ProgressBar.make_room()
        out.write(text)
        out.flush()


def _page(texts: Iterator[str]) -> None:
    """Feed a pager; what goes wrong meanwhile is told when the reader has left it."""
    failures: list[BaseException] = []

    def until_failure() -> Iterator[str]:
        try:
            yield from texts
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below
            failures.append(error)

    os.environ.setdefault("LESS", _LESS)
    click.echo_via_pager(until_failure(), color=_pager_shows_colour())
    if failures:
        raise failures[0]


def _pager_shows_colour() -> bool | None:
    """Whether to leave colours in; for `less` click looks at its flags."""
    pager = os.environ.get("PAGER", "").split()
    return None if not pager or PurePath(pager[0]).name == "less" else True
