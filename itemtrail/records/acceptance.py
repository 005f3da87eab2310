"""What an acceptance run answers, as records, and what is kept of it with an issue."""

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from itemtrail.records.kinds import ACCEPTANCE, BELIEF, Record, record_of
from operations.acceptance.belief import TriedBelief
from operations.acceptance.run import AcceptanceRun

_MASK = "************"


def belief_records(tried: Sequence[TriedBelief], account: str | None) -> Iterator[Record]:
    """Every belief, and what came of it.

    Args:
        tried: the beliefs.
        account: the number of the account, to be masked; None: nothing is.
    """
    for entry in tried:
        record = record_of(
            BELIEF,
            entry.belief,
            belief=entry.belief.id,
            outcome=entry.result.outcome.value,
            evidence=entry.result.evidence,
            duration_ms=entry.duration_ms,
        )
        yield _masked(record, account)


def acceptance_record(run: AcceptanceRun, account: str | None) -> Record:
    """The whole run; arguments as for `belief_records`."""
    trial = run.trial
    record = record_of(
        ACCEPTANCE,
        run,
        stack=trial.stack.name,
        region=trial.region,
        account=trial.account,
        emulator=trial.is_emulator,
        clean=run.is_clean,
        versions={
            "itemtrail": version("itemtrail"),
            "boto3": version("boto3"),
            "python": platform.python_version(),
        },
        parameters=dict(trial.stack.parameters),
        canary=trial.canary.keys,
        beliefs=list(belief_records(run.tried, account)),
        stays=list(run.stays),
    )
    masked: Record = _masked(record, account)
    return masked


def _masked(value: Any, account: str | None) -> Any:
    """A value without the account's number in any of its texts."""
    if account is None:
        return value
    match value:
        case str():
            return value.replace(account, _MASK)
        case dict():
            return {name: _masked(member, account) for name, member in value.items()}
        case list():
            return [_masked(member, account) for member in value]
        case _:
            return value
