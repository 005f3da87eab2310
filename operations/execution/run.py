"""The run of a plan: its items are written one by one, side by side, and each is accounted for.

For each item, in this order: the local journal, then the announcement in the history, then the
write on its condition, then the journal again. So whoever is interrupted, by whatever, finds out
what was under way, and the same command goes on from there; see `decision` for what it does then.

A run ends by itself when for a minute nothing at all could be read or written.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.errors import OperationError, RefusedError, RunEndedError
from operations.execution.announcer import Announcer
from operations.execution.atomic_runner import AtomicRunner, require_together
from operations.execution.attempts import Attempts
from operations.execution.decision import PlanTerms
from operations.execution.guard import require_followed
from operations.execution.item_history import ItemHistory
from operations.execution.item_run import ItemRun, Unproven
from operations.execution.item_runner import ItemRunner
from operations.execution.item_writer import WriteOutcome
from operations.execution.journal import RunJournal, journal_path
from operations.execution.pace import USUAL_PATIENCE_S, Pace
from operations.execution.plan_file import Plan, PlanItem
from operations.execution.plan_header import PlanMaker
from operations.execution.service_clock import ServiceClock
from operations.execution.standstill import Standstill
from operations.execution.write_proof import without_proof
from reports.access.parallel import in_order
from stream_core.attribute_values import wire_json
from stream_core.control_row import RunRow

_RUN_DIGITS = 12
# API reference, BatchGetItem.
_MOST_READ = 100
# A change is in the history a second or two after it was made.
_PROOF_WITHIN_S, _PROOF_PAUSE_S = 15.0, 0.25
_FINAL = frozenset({WriteOutcome.WRITTEN, WriteOutcome.UNNEEDED, WriteOutcome.MIXED})
# What these take back is all of an item as it was; others leave the rest of it to its writers.
_STRICT = frozenset({"restore"})


def run_id(plan: Plan) -> str:
    """The id of a plan's run: the same plan is the same run."""
    return plan.digest.partition(":")[2][:_RUN_DIGITS]


@dataclass(frozen=True, slots=True)
class RunChoice:
    """How a plan is carried out, beside what is in it.

    Attributes:
        journal_file: where the run keeps what it did; by default in the current folder.
        is_kept: whether the plan is in a file; a plan made anew is another run.
        may_join: also where somebody else has begun it.
        tell: called with what there is to know, a line each, before anything is written.
    """

    journal_file: Path | None = None
    is_kept: bool = True
    may_join: bool = False
    tell: Callable[[str], object] = lambda _line: None


@dataclass
class PlanRun:
    """Carries a plan out; used once.

    Attributes:
        maker: who runs it, and with what program, for whoever finds its changes later.
        choice: how it is run.
    """

    deployment: DeployedTables
    plan: Plan
    pace: Pace
    maker: PlanMaker
    choice: RunChoice = RunChoice()
    journal: RunJournal | None = field(default=None, init=False)

    @property
    def run(self) -> str:
        """The run's id."""
        return run_id(self.plan)

    @property
    def counts(self) -> Counter[WriteOutcome]:
        """How many items came to what, by what is known here; those under way are in none."""
        done = {} if self.journal is None else self.journal.done
        return Counter(outcome for outcome, _ in done.values())

    def how_it_stands(self) -> str:
        """What was written, what was not, and how to go on, in a line."""
        counts, total = self.counts, len(self.plan.items)
        begun = set() if self.journal is None else self.journal.attempts.keys()
        done = set() if self.journal is None else self.journal.done.keys()
        parts = [f"{counts[WriteOutcome.WRITTEN]:,} of {total:,} items written"]
        parts += [
            f"{counts[outcome]:,} {outcome.value}"
            for outcome in WriteOutcome
            if outcome is not WriteOutcome.WRITTEN and counts[outcome]
        ]
        if under_way := len(begun - done):
            parts.append(f"{under_way:,} that may or may not be written")
        if untouched := total - len(begun | done):
            parts.append(f"{untouched:,} not touched")
        return f"run {self.run}: {', '.join(parts)}; {self._how_to_go_on()}"

    def _how_to_go_on(self) -> str:
        if self.choice.is_kept:
            return f"{self.plan.header.command} --plan FILE --apply goes on with it"
        return (
            "the same command plans the rest anew, which is another run: "
            f"undo --run {self.run} takes back this one alone"
        )

    def results(self) -> Generator[ItemRun, None, None]:
        """Write the items; what became of each, as it comes.

        Raises:
            RefusedError: somebody else is carrying it out, or has begun to; its items are to be
                written together, and one transaction has no room for them.
            RunEndedError: nothing was answered for a minute, or the journal cannot be written; the
                same command goes on.
            OperationError: it cannot begin, as the journal or the history cannot be written.
        """
        if self.plan.is_atomic:
            require_together(len(self.plan.items))
        with self._begun() as runner:
            unproven: list[Unproven] = []
            carry_out = AtomicRunner(runner).carry_out if self.plan.is_atomic else runner.carry_out
            for portion in chunked(self.plan.items, self._portion):
                done = [item for item in portion if self._is_done(item)]
                if self.plan.is_atomic and len(done) < len(portion):
                    # What became of some was kept, and not yet of the others.
                    done = []
                yield from self._done_before(done)
                to_do = [item for item in portion if item not in done]
                with closing(carry_out(to_do)) as results:
                    for result in results:
                        if isinstance(result, Unproven):
                            unproven.append(result)
                        else:
                            yield result
                unproven = yield from _proven(runner, unproven)
            yield from self._proven_in_time(runner, unproven)
            runner.attempts.journal.flush()

    @contextmanager
    def _begun(self) -> Iterator[ItemRunner]:
        machine, deployment = self.pace.machine, self.deployment
        standstill = Standstill(machine, self.pace.wait_s(USUAL_PATIENCE_S))
        clock = ServiceClock(machine.now)
        path = self.choice.journal_file or journal_path(self.run)
        with RunJournal.opened(path, self.run, self.plan.digest) as journal:
            self.journal = journal
            clock.ask(lambda: deployment.dynamodb.describe_table(TableName=deployment.source_table))
            require_followed(deployment, self.pace)
            announcer = Announcer(deployment.dynamodb, deployment.reader, self._row(clock))
            may_go_on = self.choice.may_join or journal.is_begun
            announcer.begin(standstill.patience(), may_go_on=may_go_on)
            journal.begun()
            if announcer.problem:
                self.choice.tell(announcer.problem)
            try:
                attempts = Attempts(deployment.reader, announcer, journal, clock)
                yield ItemRunner(
                    deployment,
                    attempts,
                    ItemHistory(
                        deployment.reader, self.run, self.plan.header.made_at, standstill.patience
                    ),
                    standstill,
                    self.pace,
                    self._terms,
                )
            except RefusedError:
                raise
            except OperationError as error:
                raise RunEndedError(f"{error}; {self.how_it_stands()}") from error

    @property
    def _terms(self) -> PlanTerms:
        header = self.plan.header
        return PlanTerms(header.command in _STRICT, header.stamps)

    def _row(self, clock: ServiceClock) -> RunRow:
        header = self.plan.header
        return RunRow(
            self.run,
            header.command,
            wire_json(header.arguments).decode("utf-8"),
            self.plan.digest,
            self.maker.who,
            self.maker.tool,
            header.stream_arn or header.table.arn,
            header.table.table_id,
            clock.earliest(),
        )

    @property
    def _portion(self) -> int:
        """How many items are looked at together: what is written a second, as far as that goes."""
        per_second = None if self.plan.is_atomic else self.pace.per_second
        return _MOST_READ if per_second is None else max(1, min(_MOST_READ, int(per_second)))

    def _is_done(self, item: PlanItem) -> bool:
        done = {} if self.journal is None else self.journal.done
        return item.number in done and done[item.number][0] in _FINAL

    def _done_before(self, items: list[PlanItem]) -> Iterator[ItemRun]:
        for item in items:
            if self.journal is not None and self._is_done(item):
                yield ItemRun(item, *self.journal.done[item.number])

    def _proven_in_time(
        self, runner: ItemRunner, unproven: list[Unproven]
    ) -> Generator[ItemRun, None, None]:
        """The results that wait for the history; those that it does not show in time as well."""
        machine = self.pace.machine
        given_up = machine.clock() + _PROOF_WITHIN_S
        while unproven and machine.clock() < given_up:
            machine.sleep(_PROOF_PAUSE_S)
            unproven = yield from _proven(runner, unproven)
        yield from map(without_proof, unproven)


def _proven(
    runner: ItemRunner, unproven: list[Unproven]
) -> Generator[ItemRun, None, list[Unproven]]:
    """The results that the history shows by now; returns the others."""
    missing: list[Unproven] = []
    with closing(in_order(lambda result: (result, runner.prove(result)), unproven)) as looked_at:
        for result, proven in looked_at:
            if proven is None:
                missing.append(result)
            else:
                yield proven
    return missing
