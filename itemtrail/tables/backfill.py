"""What `enable` and `backfill` show."""

import json
from collections.abc import Collection, Iterator, Mapping

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.layout import CountLine, capped, count_table, folded, titled, to_copy
from operations.backfill.plan import Backfill
from operations.enable import Stream
from reports.deployment.stack import Consumer

_DIGEST_WIDTH = 16


def stream_blocks(stream: Stream) -> Iterator[RenderableType]:
    """The stream of a table."""
    yield titled(f"Stream of {stream.table}")
    if stream.arn is not None:
        yield to_copy(stream.arn)
        yield ""


def outline_blocks(
    source: str, export: str | None, items: int | None, tables: Mapping[Consumer, str]
) -> Iterator[RenderableType]:
    """What a backfill would do, without the counts that only reading all of it gives.

    Args:
        source: the table.
        export: where its items are taken from instead; None: from the table.
        items: about how many it has; None: the engine does not say.
        tables: what is written, for each consumer that is worked for.
    """
    begun = f"from the export {export}" if export else f"about {items or 0:,} items"
    texts = {
        Consumer.HISTORY_WRITER: "a baseline of each without a beginning there, into the history ",
        Consumer.REPLICA_WRITER: "each that differs there, into the replica ",
    }
    lines = (f"{texts[consumer]}{table}" for consumer, table in tables.items())
    yield titled(f"Plan: backfill of {source}", *map(cells.plain, [begun, *lines]), "")


def backfill_blocks(
    backfill: Backfill, consumers: Collection[Consumer], source: str
) -> Iterator[RenderableType]:
    """What a backfill did, or would do, for the consumers it worked for."""
    counts, would = backfill.counts, "" if backfill.applied else "would be "
    lines = [CountLine(counts.scanned, "items read")]
    if Consumer.HISTORY_WRITER in consumers:
        lines += [
            CountLine(counts.baselines, f"baselines {would}written into the history", "green"),
            CountLine(counts.already_there, "have their beginning in the history already"),
            CountLine(counts.gone, "were deleted before their baseline: their REMOVE shows them"),
            CountLine(
                counts.changed_first, "of these were changed before their baseline: see the gap"
            ),
        ]
    if Consumer.REPLICA_WRITER in consumers:
        settled = f"{would}settled in the replica: made equal if they differ"
        lines.append(CountLine(counts.settled, settled, "green"))
    yield titled(f"Backfill of {source}", count_table(lines), "")
    for title, problems in (
        ("refused for good", backfill.problems),
        ("not done, to be tried again", backfill.unfinished),
    ):
        if problems:
            columns = (Column("item (digest)", width=_DIGEST_WIDTH), folded(title))
            yield capped(
                columns,
                problems,
                lambda problem: (problem.key_digest, cells.plain(problem.reason)),
            )
            yield ""
    if backfill.gap is not None:
        yield Text("for verify --gaps, as a file with:", style="dim")
        yield to_copy(gap_text(backfill))
        yield ""


def gap_text(backfill: Backfill) -> str:
    """The declaration for `verify --gaps`, as that file has it."""
    return json.dumps([backfill.gap], ensure_ascii=True)
