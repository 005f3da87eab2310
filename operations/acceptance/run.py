"""The acceptance run: every belief tried once, and everything taken away again."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    BeliefOutcome,
    TriedBelief,
    not_tried,
    request_text,
)
from operations.acceptance.beliefs import BELIEFS
from operations.acceptance.trial import Trial
from reports.access.progress import Progress, silent
from stream_core.errors import ItemtrailError

# With the wait for the first row it is half an hour at the most. Where that did not come nothing is
# consumed, and little else comes.
_TIME_S, _TIME_WITHOUT_ROW_S = 1_500.0, 300.0


@dataclass(frozen=True)
class AcceptanceRun:
    """What an acceptance run came to.

    Attributes:
        trial: what it was run on.
        at: when it began.
        ended: when all was taken away again.
        tried: every belief, and what came of it.
        stays: what remains in the account.
    """

    trial: Trial
    at: datetime
    ended: datetime
    tried: tuple[TriedBelief, ...]
    stays: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether no belief was refuted."""
        return not any(tried.result.outcome is BeliefOutcome.REFUTED for tried in self.tried)


def accept(
    trial: Trial, skipped: Collection[str] = (), progress: Progress = silent
) -> AcceptanceRun:
    """Try every belief that can be tried here; what was made is taken away, however it ends.

    Args:
        trial: what to run it on.
        skipped: ids of beliefs that are not to be tried.
        progress: called with how many are done.

    Raises:
        RefusedError: there is an item with the canary's key already.
        ClientError: the canary cannot be written.
    """
    began, canary, clean_up = trial.machine.now(), trial.canary, trial.clean_up
    try:
        clean_up.later("the canary", canary.delete)
        canary.begin()
        canary.time_limit.ends_in(_TIME_S if canary.row is not None else _TIME_WITHOUT_ROW_S)
        tried = tuple(_all_tried(trial, skipped, progress))
    finally:
        if canary.is_written:
            clean_up.stays.insert(0, f"the canary's rows in {trial.stack.history_table}, for ever")
        canary.time_limit.until = math.inf
        clean_up.run()
        trial.close()
    return AcceptanceRun(trial, began, trial.machine.now(), tried, tuple(clean_up.stays))


def planned(trial: Trial, skipped: Collection[str] = ()) -> tuple[TriedBelief, ...]:
    """Every belief, and why it would not be tried, or that it would be."""
    would_be = not_tried("a dry run: it would be tried")
    return tuple(
        TriedBelief(belief, _ruled_out(trial, belief, skipped) or would_be, 0) for belief in BELIEFS
    )


def _all_tried(trial: Trial, skipped: Collection[str], progress: Progress) -> Iterator[TriedBelief]:
    for done, belief in enumerate(BELIEFS):
        progress(f"trying {belief.id}", done, len(BELIEFS))
        began = trial.machine.clock()
        result = _ruled_out(trial, belief, skipped) or _attempted(trial, belief)
        yield TriedBelief(belief, result, round((trial.machine.clock() - began) * 1000))


def _ruled_out(trial: Trial, belief: Belief, skipped: Collection[str]) -> AttemptResult | None:
    """Why a belief is not tried; None: it is."""
    if belief.id in skipped:
        return not_tried("left out with --skip")
    if belief.attempt is None or (trial.is_emulator and belief.untried):
        return not_tried(belief.untried)
    return None


def _attempted(trial: Trial, belief: Belief) -> AttemptResult:
    """What came of an attempt; an error that it did not expect says nothing of the belief."""
    attempt: Any = belief.attempt
    try:
        result: AttemptResult = attempt(trial)
    except ClientError as error:
        return not_tried(request_text(error))
    except (BotoCoreError, ItemtrailError, ResponseParserError) as error:
        return not_tried(" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - the others are tried all the same, and it is named
        return not_tried(f"the answer is not understood: {type(error).__name__} {error}")
    return result
