"""Make a failing scenario as short as it gets within bounds, and tell what happens in it."""

from dataclasses import replace

from tests.simulation.model import BrokenPromiseError, check
from tests.simulation.scenario import RATES

_ATTEMPTS = 400
_PARTS = ("strays", "outages", "splits", "writes")


class _Shrinker:
    def __init__(self, scenario, fails):
        self.scenario = scenario
        self._fails = fails
        self._left = _ATTEMPTS

    def keep(self, candidate):
        """Go on with a smaller scenario if it fails as well."""
        if self._left <= 0 or candidate == self.scenario:
            return False
        self._left -= 1
        if not self._fails(candidate):
            return False
        self.scenario = candidate
        return True

    def calm(self):
        """Leave out whole kinds of faults."""
        for kind in RATES:
            settings = self.scenario.settings
            self.keep(
                replace(
                    self.scenario, settings=replace(settings, rates={**settings.rates, kind: 0})
                )
            )
        for name in ("zombies", "duplicates", "slow"):
            self.keep(replace(self.scenario, settings=replace(self.scenario.settings, **{name: 0})))

    def shorten(self, part):
        """Leave out ever smaller pieces of one list."""
        size = len(getattr(self.scenario, part))
        while size:
            start = 0
            while start < len(getattr(self.scenario, part)):
                entries = getattr(self.scenario, part)
                fewer = entries[:start] + entries[start + size :]
                if not self.keep(replace(self.scenario, **{part: fewer})):
                    start += size
            size //= 2

    def mute(self, fired):
        """Leave out single faults."""
        for number in range(1, fired + 1):
            self.keep(replace(self.scenario, muted=self.scenario.muted | {number}))


def failure_of(scenario):
    """The error a scenario ends in, or None."""
    try:
        check(scenario)
    except BrokenPromiseError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a run is a finding
        return error
    return None


def shrink(scenario, fails=lambda candidate: failure_of(candidate) is not None):
    """A scenario that fails too, with as little in it as could be found."""
    shrinker = _Shrinker(scenario, fails)
    shrinker.calm()
    for part in _PARTS:
        shrinker.shorten(part)
    error = failure_of(shrinker.scenario)
    if isinstance(error, BrokenPromiseError):
        shrinker.mute(error.world.faults.fired)
        shrinker.shorten("writes")
    return shrinker.scenario


def story(scenario):
    """What happens in a failing scenario, an event a line, and what is wrong at its end."""
    try:
        check(scenario, trace=True)
    except BrokenPromiseError as error:
        return "\n".join([str(scenario.settings), *error.world.trace, "", *error.problems])
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a run is a finding
        return f"{scenario}\n{type(error).__name__}: {error}"
    return "no failure"


def report(seed, scenario):
    """What a failing seed shows: as short as it gets, and how to run it again."""
    return (
        f"seed {seed} fails; the shortest run found that shows it:\n{story(shrink(scenario))}\n"
        f"again: make simulate SEED={seed}"
    )
