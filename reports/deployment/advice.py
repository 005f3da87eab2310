"""A check of a deployment, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from reports.deployment.stack_reader import UNREADABLE, reason_of

Judgement: TypeAlias = tuple[bool | None, str, str | None]
"""Whether it is as it must be, what was found, what to do."""


@dataclass(frozen=True)
class Advice:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, e.g. `deletion protection`; the same in every release.
        subject: of what, e.g. a table's name.
        ok: None where it could not be checked.
        observation: what was found, or why nothing could be.
        to_do: what helps; None only where `ok` is True.
    """

    check: str
    subject: str
    ok: bool | None
    observation: str
    to_do: str | None = None


@dataclass(frozen=True)
class DeploymentCheck:
    """Something to look at."""

    name: str
    subject: str
    judge: Callable[[], Judgement]

    def advice(self) -> Advice:
        """What came of looking; what cannot be read is told with its reason."""
        try:
            ok, observation, to_do = self.judge()
        except UNREADABLE as error:
            to_do = (
                "Ask again with credentials that may read it; "
                "`aws sts get-caller-identity` shows whose these are."
            )
            return Advice(self.name, self.subject, None, reason_of(error), to_do)
        return Advice(self.name, self.subject, ok, observation, to_do)


def passed(observation: str) -> Judgement:
    """It is as it must be."""
    return True, observation, None


def failed(observation: str, to_do: str) -> Judgement:
    """It is not."""
    return False, observation, to_do


def unclear(observation: str, to_do: str) -> Judgement:
    """It could not be checked."""
    return None, observation, to_do
