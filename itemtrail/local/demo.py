"""The demo: the whole system deployed on this machine, put to work, looked at and checked."""

import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.status import Status
from rich.table import Table

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.local.demo_checks import (
    DemoCheck,
    DemoTables,
    count,
    run_checks,
    wait_until_caught_up,
)
from itemtrail.local.local_stack import EMULATED, REPLICA_TEMPLATE, LocalStack
from itemtrail.local.workload import MURALI, Workload
from itemtrail.tables.items import (
    blame_blocks,
    comparison_table,
    state_table,
    version_blocks,
)
from reports import HistoryTable

STACK = "itemtrail-demo"
REGION, REPLICA_REGION = "us-east-1", "eu-west-1"
_SOURCE = "Employee"


def _declaration(recorded_until: datetime | None) -> str:
    """What makes answers exact: the emulator has no metrics of an invocation, the demo knows."""
    if recorded_until is None:
        return ""
    return (
        f"  export ITEMTRAIL_RECORDED_UNTIL={recorded_until:%Y-%m-%dT%H:%M:%SZ}  "
        "# all changes made until then are in the history\n"
    )


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
@click.option("--seed", default=2018, show_default=True, help="Another seed, another workload.")
def demo(*, keep: bool, seed: int) -> int:
    """Deploy the whole system on this machine, use it, and check what it did.

    Starts an AWS emulator on a free port, builds the packages, deploys template.yaml with a
    replica in another region, changes a table some hundred times and shows what became of it.
    Needs no AWS account. Exits with 1 if anything does not hold.

    \b
    Example:
      itemtrail demo
      itemtrail demo --keep
    """  # noqa: D301
    return Demo(Console(highlight=False), seed).run(keep=keep)


class Demo:
    """One run of the demo, and how long its parts took."""

    def __init__(self, console: Console, seed: int) -> None:
        """Show the run on a console."""
        self._console = console
        self._seed = seed
        self._timings: dict[str, float] = {}

    def run(self, *, keep: bool) -> int:
        """Run it; returns the exit status."""
        with contextlib.ExitStack() as resources:
            with self._step("start MiniStack, an AWS emulator, on a free port"):
                stack = resources.enter_context(LocalStack(REGION))
            tables = self._deploy(stack)
            workload = Workload(tables.dynamodb, tables.source_table, self._seed)
            with self._step("change the table through the ordinary DynamoDB API"):
                workload.run()
            recorded_until = self._wait(tables, workload)
            trail = HistoryTable(
                tables.history_table,
                tables.source_table,
                session=stack.session(),
                time_shards=tables.time_shards,
                recorded_until=recorded_until,
            )
            self._show(trail, workload)
            with self._step("check all of it against the workload's own log"):
                checks = run_checks(tables, workload, trail)
            self._summarise(tables, workload, checks)
            if keep:
                self._keep(stack, workload, recorded_until)
        holds = recorded_until is not None and not any(check.problems for check in checks)
        return CLEAN if holds else FINDINGS

    def _deploy(self, stack: LocalStack) -> DemoTables:
        with self._step("build the Lambda packages with sam build"):
            stack.build()
        with self._step(f"deploy replica.yaml in {REPLICA_REGION}"):
            replica = stack.deploy(
                f"{STACK}-replica", template=REPLICA_TEMPLATE, region=REPLICA_REGION
            )
        with self._step(f"deploy template.yaml in {REGION}"):
            outputs = stack.deploy(
                STACK,
                {
                    "SampleSourceTableName": _SOURCE,
                    "ReplicaTableName": replica["ReplicaTableName"],
                    "ReplicaRegion": REPLICA_REGION,
                    "ReplicaKmsKeyArn": replica["ReplicaKmsKeyArn"],
                    **EMULATED,
                },
            )
        return DemoTables(
            dynamodb=stack.session().client("dynamodb"),
            source_table=outputs["SourceTableName"],
            history_table=outputs["HistoryTableName"],
            replica=stack.session(REPLICA_REGION).client("dynamodb"),
            replica_table=outputs["ReplicaTableName"],
            time_shards=int(outputs["TimeShards"]),
        )

    def _wait(self, tables: DemoTables, workload: Workload) -> datetime | None:
        """When every change made was in the history; None: the functions stall."""
        with self._step("wait until both functions have caught up") as status:
            caught_up = wait_until_caught_up(
                tables,
                workload,
                lambda rows: status.update(f"{rows} of {workload.changes} history rows …"),
            )
        return datetime.now(UTC).replace(microsecond=0) if caught_up else None

    def _show(self, trail: HistoryTable, workload: Workload) -> None:
        key = trail.key_schema.key_of({"Id": MURALI})
        answers: list[RenderableType] = [Group(*version_blocks(key, trail.rows(key)))]
        answers += [state_table(trail.as_of(key, at)) for at, _ in workload.instants]
        first, last = workload.instants[0][0], workload.instants[-1][0]
        answers.append(comparison_table(*trail.differences(key, first, last)))
        answers += blame_blocks(*trail.blames(key, last, actor_attribute=("UpdatedBy",)))
        for answer in answers:
            self._console.print()
            self._console.print(answer)
        self._console.print()

    def _summarise(self, tables: DemoTables, workload: Workload, checks: list[DemoCheck]) -> None:
        history_rows = count(tables.dynamodb, tables.history_table)
        figures = Table(
            title="Counts and timings", title_justify="left", box=None, show_header=False
        )
        figures.add_row("changes made", str(workload.changes))
        figures.add_row("history rows", str(history_rows))
        figures.add_row("items in the source", str(count(tables.dynamodb, tables.source_table)))
        figures.add_row("items in the replica", str(count(tables.replica, tables.replica_table)))
        for step, seconds in self._timings.items():
            figures.add_row(step, f"{seconds:.1f} s")
        self._console.print(figures)
        self._console.print()
        for check in checks:
            mark = "[red]fails" if check.problems else "[green]holds"
            self._console.print(f"{mark}[/]  {check.claim}")
            for problem in check.problems[:10]:
                self._console.print(f"         {problem}", markup=False)

    def _keep(self, stack: LocalStack, workload: Workload, recorded_until: datetime | None) -> None:
        """Say how to go on by hand, and stay until Ctrl-C."""
        own = Path(sys.argv[0])
        # `python -m` puts the path of a module there, which cannot be run.
        is_module = own.name == "__main__.py"
        program = shlex.join([sys.executable, "-m", "itemtrail"] if is_module else [str(own)])
        first, renamed, last = (f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for at, _ in workload.instants)
        commands = (
            f"history {MURALI}",
            f"as-of {MURALI} --at {renamed}",
            f"diff {MURALI} --from {first}",
            f"blame {MURALI} --at {last} --actor-attribute UpdatedBy",
            (
                f"changes --since {first} --until {last} --attribute Salary "
                "--actor-attribute UpdatedBy"
            ),
            f"table-as-of --at {renamed}",
            "verify",
            f"report {MURALI} --file audit.html",
        )
        self._console.print(
            f"\nRunning at {stack.endpoint_url} until Ctrl-C, for every user of this machine and "
            "for nobody else: it checks no\ncredentials, but refuses requests of web pages. In "
            "another terminal:\n\n"
            f"  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\n"
            f"  export AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}\n"
            f"  export AWS_ENDPOINT_URL={stack.endpoint_url}\n"
            f"  export ITEMTRAIL_STACK={STACK}\n"
            f"{_declaration(recorded_until)}\n"
            + "".join(f"  {program} {command}\n" for command in commands),
            soft_wrap=True,
            markup=False,
        )
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()

    @contextlib.contextmanager
    def _step(self, what: str) -> Iterator[Status]:
        began = time.monotonic()
        with self._console.status(f"{what} …") as status:
            yield status
        self._timings[what] = time.monotonic() - began
        self._console.print(f"[green]✓[/] {what} [dim]{self._timings[what]:.1f} s[/]")
