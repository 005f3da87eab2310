"""Answers for people about operations on the tables: backfill, enable, compare, repair, redrive."""

import json
from collections.abc import Collection, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.cells import Line, counted
from operations.backfill.plan import Backfill
from operations.enable import Stream
from reports.deployment.stack import Consumer

_MOST_LISTED = 1000
_DIGEST_WIDTH = 16


def backfill_blocks(
    of: Backfill, consumers: Collection[Consumer], source: str, summary: Text
) -> Iterator[RenderableType]:
    """What a backfill did, or would do, for the consumers it worked for."""
    counts, would = of.counts, "" if of.applied else "would be "
    lines = [Line(counts.scanned, "items read")]
    if Consumer.HISTORY_WRITER in consumers:
        lines += [
            Line(counts.baselines, f"baselines {would}written into the history", "green"),
            Line(counts.already_there, "have their beginning in the history already"),
            Line(counts.gone, "were deleted before their baseline: their REMOVE shows them"),
            Line(counts.changed_first, "of these were changed before their baseline: see the gap"),
        ]
    if Consumer.REPLICA_WRITER in consumers:
        settled = f"{would}settled in the replica: made equal if they differ"
        lines.append(Line(counts.settled, settled, "green"))
    yield cells.titled(f"Backfill of {source}", counted(lines), "")
    for title, problems in (
        ("refused for good", of.problems),
        ("not done, to be tried again", of.unfinished),
    ):
        if problems:
            yield _reasons(title, [(one.key_digest, one.reason) for one in problems])
            yield ""
    if of.gap is not None:
        yield Text("for verify --gaps, as a file with:", style="dim")
        yield _to_copy(gap_text(of))
        yield ""
    yield summary


def _to_copy(text: str) -> Group:
    """Text in one line, however long: not wrapped by us, it can be copied."""
    return Group(Text(cells.printable(text), no_wrap=True, overflow="ignore"))


def gap_text(of: Backfill) -> str:
    """The declaration for `verify --gaps`, as that file has it."""
    return json.dumps([of.gap], ensure_ascii=True)


def stream_blocks(of: Stream, summary: Text) -> Iterator[RenderableType]:
    """The stream of a table."""
    yield cells.titled(f"Stream of {of.table}")
    if of.arn is not None:
        yield _to_copy(of.arn)
        yield ""
    yield summary


def _reasons(title: str, found: Sequence[tuple[str, str]]) -> Table:
    table = cells.new_table()
    table.add_column("item (digest)", width=_DIGEST_WIDTH)
    table.add_column(title, overflow="fold", ratio=1)
    for digest, reason in found[:_MOST_LISTED]:
        table.add_row(digest, cells.plain(reason))
    if len(found) > _MOST_LISTED:
        table.add_row("", Text(f"… and {len(found) - _MOST_LISTED:,} more", style="dim"))
    return table
