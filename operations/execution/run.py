"""The run of a plan: its items are written some at a time, and each is accounted for.

For each item, in this order: the local journal, then the announcement in the history, then a look
at what others have announced and done, then the write on its condition, then the journal again. So
whoever is interrupted, by whatever, finds out what was under way, and the same command goes on from
there; see `decision` for what it does then.

A run ends by itself when for a minute nothing at all could be read or written.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.errors import OperationError, RefusedError, RunEndedError
from operations.execution.announcer import Announcer
from operations.execution.atomic_runner import AtomicRunner, require_together
from operations.execution.attempts import Attempts
from operations.execution.decision import PlanTerms
from operations.execution.guard import require_followed
from operations.execution.item_history import ItemHistory
from operations.execution.item_look import ItemLook
from operations.execution.item_run import Aside, ItemRun, Unproven
from operations.execution.item_runner import ItemRunner
from operations.execution.item_writer import WriteOutcome
from operations.execution.journal import RunJournal, journal_path
from operations.execution.pace import USUAL_PATIENCE_S, Pace, pause_s
from operations.execution.plan_file import Plan, PlanItem
from operations.execution.plan_header import PlanMaker
from operations.execution.service_clock import ServiceClock
from operations.execution.standstill import Standstill
from operations.execution.write_proof import without_proof
from reports.access.parallel import in_order
from reports.states.own_writes import LATEST
from stream_core.attribute_values import wire_json
from stream_core.control_row import RunRow

_RUN_DIGITS = 12
# More at once would hardly save any time, and each has to wait for all that are looked at with it.
_MOST_AT_ONCE = 200
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
        journal_file: where the run keeps what it did; by default in the folder of the user's state.
        go_on: the command that goes on with it; None: the plan is in no file, and one that is
            made anew is another run.
        may_join: also where somebody else has begun it.
        tell: called with what there is to know, a line each, before anything is written.
    """

    journal_file: Path | None = None
    go_on: str | None = None
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
    _announced: int = field(default=0, init=False)

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
        """What was written, and what was not, in a line."""
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
        if self._announced:
            parts.append(
                f"{self._announced:,} of them announced and not withdrawn: for "
                f"{LATEST.total_seconds() / 60:.0f} minutes no other run writes them"
            )
        return f"run {self.run}: {', '.join(parts)}"

    def how_to_go_on(self) -> str:
        """With which command the rest is written, in a line."""
        if self.choice.go_on is not None:
            return f"this goes on with it: {self.choice.go_on}"
        return (
            "the same command plans the rest anew, which is another run: "
            f"itemtrail undo --run {self.run} takes back this one alone"
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
            run = _Portions(runner, self.plan.is_atomic)
            for portion in chunked(self.plan.items, self._portion):
                done = [item for item in portion if self._is_done(item)]
                if self.plan.is_atomic and len(done) < len(portion):
                    # What became of some was kept, and not yet of the others.
                    done = []
                yield from self._done_before(done)
                yield from run.carried_out([item for item in portion if item not in done])
            yield from run.aside_again(self._portion)
            yield from self._proven_in_time(runner, run.unproven)
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
                history = ItemHistory(
                    *(deployment.reader, announcer, clock, self.plan.header.made_at),
                    standstill.patience,
                )
                terms = self._terms
                look = ItemLook(deployment, attempts, history, standstill, self.pace, terms)
                with self._withdrawing(attempts):
                    yield ItemRunner(deployment, attempts, look, standstill, terms)
            except RefusedError:
                raise
            except OperationError as error:
                text = f"{error}; {self.how_it_stands()}; {self.how_to_go_on()}"
                raise RunEndedError(text) from error

    @contextmanager
    def _withdrawing(self, attempts: Attempts) -> Iterator[None]:
        """Take back at the end, whatever that is, what was announced and is not sent."""
        try:
            yield
        finally:
            with suppress(OperationError, ClientError, BotoCoreError):
                # Who ends a run does not wait for a history that does not answer.
                attempts.withdraw(attempts.unsent, self.pace.machine.patience(0))
            self._announced = len(attempts.unsent)

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
        return _MOST_AT_ONCE if per_second is None else max(1, min(_MOST_AT_ONCE, int(per_second)))

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
        began = machine.clock()
        while unproven and (waited_s := machine.clock() - began) < _PROOF_WITHIN_S:
            machine.sleep(pause_s(waited_s, _PROOF_PAUSE_S))
            unproven = yield from _proven(runner, unproven)
        yield from map(without_proof, unproven)


@dataclass
class _Portions:
    """Portions of a plan, one after the other.

    Attributes:
        unproven: what became of items if the history shows it, as it does not yet.
    """

    runner: ItemRunner
    is_atomic: bool
    unproven: list[Unproven] = field(default_factory=list)
    _aside: list[Aside] = field(default_factory=list)
    _first: list[PlanItem] = field(default_factory=list)
    _is_recorded: bool = False

    def carried_out(self, items: Sequence[PlanItem]) -> Generator[ItemRun, None, None]:
        """Write some items; what became of them, but for those that wait.

        Raises:
            RunEndedError: nothing was answered for too long.
            OperationError: the history does not show what was written before.
        """
        self._require_recorded()
        runner = self.runner
        carry_out = AtomicRunner(runner).carry_out if self.is_atomic else runner.carry_out
        with closing(carry_out(items)) as results:
            for result in results:
                if isinstance(result, Aside):
                    self._aside.append(result)
                elif isinstance(result, Unproven):
                    self.unproven.append(result)
                else:
                    if result.outcome is WriteOutcome.WRITTEN and not self._is_recorded:
                        self._first.append(result.item)
                    yield result
        runner.require_answers()
        self.unproven = yield from _proven(runner, self.unproven)

    def aside_again(self, portion: int) -> Generator[ItemRun, None, None]:
        """Those that wait, again and again while the run waits; then as they are.

        Args:
            portion: so many at once.
        """
        while self._aside and self.runner.look.lag.pause():
            waiting, self._aside = self._aside, []
            for some in chunked(waiting, portion):
                yield from self.carried_out([aside.item for aside in some])
        for aside in self._aside:
            yield self.runner.result_of_aside(aside)

    def _require_recorded(self) -> None:
        """See once that what this run has written comes into the history.

        While that stands still nobody can tell what others do: no run writes on and on then.

        Raises:
            OperationError: it does not come.
        """
        if self._is_recorded or not self._first:
            return
        look, written, missing = self.runner.look, len(self._first), self._first
        while missing := self._unrecorded(missing):
            shown = written - len(missing)
            look.pace.progress("waiting for the history; writes that it shows", shown, written)
            if not look.lag.pause():
                raise OperationError(
                    f"the history does not show {len(missing):,} of the first {written:,} writes "
                    "of this run, and no more is written while it stands still: `itemtrail status` "
                    "says what is wrong with it"
                )
        self._is_recorded = True

    def _unrecorded(self, items: Sequence[PlanItem]) -> list[PlanItem]:
        with closing(in_order(self.runner.attempts.is_recorded, items)) as recorded:
            return [item for item, shown in zip(items, recorded, strict=True) if not shown]


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
