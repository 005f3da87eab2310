"""Break the code on purpose, one way at a time, and see that the tests notice.

`make mutations`: each break is made in a copy of the code, the real one is not touched. A break
that no test shows is a hole in the tests, and fails the command.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.mutations.table import ROOT, OutdatedError, read_mutations

# An endless loop is noticed as well.
_MOST_S = 600
_PYTEST = ("pytest", "-x", "-q", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider")
_LEFT_OUT = shutil.ignore_patterns(".*", "build", "*.egg-info")


def run_in_copy(command, break_copy=lambda _copy: None, timeout_s=None):
    """Run a module of Python in a copy of the code; returns how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "itemtrail"
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
        break_copy(copy)
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=copy,
            # The first failure will do: no smaller example is looked for.
            env=os.environ | {"HYPOTHESIS_PROFILE": "first-failure"},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )


def evidence(mutation, seeds):
    """What noticed a mutation, in a line; empty: nothing did.

    Raises:
        OutdatedError: it cannot be made any more, or the broken code does not run.
    """
    simulation = ("tests.simulation", "--brief", f"--seeds={seeds}")
    command = simulation if mutation.is_simulated else (*_PYTEST, *mutation.tests)
    text = mutation.broken(ROOT)
    try:
        run = run_in_copy(
            command, lambda copy: (copy / mutation.path).write_text(text, "utf-8"), _MOST_S
        )
    except subprocess.TimeoutExpired:
        return f"it ran for more than {_MOST_S} s"
    if run.returncode == 0:
        return ""
    lines = [line for line in run.stdout.splitlines() if line.startswith(("seed ", "FAILED "))]
    if not lines:
        raise OutdatedError(f"the broken copy does not run\n{(run.stdout + run.stderr)[-2000:]}")
    return lines[0]


def attempt(mutation, seeds):
    """Whether a mutation was noticed, and a line on it."""
    began = time.monotonic()
    try:
        noticed_by = evidence(mutation, seeds)
    except OutdatedError as error:
        return False, f"{mutation.identifier}: OUTDATED: {error}"
    line = noticed_by[:150] or f"NOT NOTICED: {mutation.path}: {mutation.new!r}"
    return bool(noticed_by), f"{mutation.identifier}: {line} ({time.monotonic() - began:.0f} s)"


def say(text):
    """Say it at once, also through a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def require_sound_tests(mutations):
    """See that the tests pass on a copy that is not broken."""
    tests = {path for mutation in mutations if not mutation.is_simulated for path in mutation.tests}
    if tests and (run := run_in_copy((*_PYTEST, *sorted(tests)))).returncode:
        sys.exit(f"the tests fail on a copy that is not broken\n{run.stdout[-2000:]}")


def main():
    """Try mutations; exit status 1 if one is not noticed or outdated."""
    parser = argparse.ArgumentParser(prog="make mutations", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ID", help="only this; repeatable")
    parser.add_argument("--package", help="only what breaks this package")
    parser.add_argument("--sample", type=int, default=1, help="only every so many-th")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to simulate at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many side by side")
    arguments = parser.parse_args()
    mutations = [
        mutation
        for mutation in read_mutations()
        if (not arguments.only or mutation.identifier in arguments.only)
        and arguments.package in {None, mutation.package}
    ]
    tried = [one for one in mutations if not one.equivalent][:: arguments.sample]
    require_sound_tests(tried)
    unnoticed = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for place, (is_noticed, line) in enumerate(
            pool.map(partial(attempt, seeds=arguments.seeds), tried), 1
        ):
            unnoticed += not is_noticed
            say(f"[{place}/{len(tried)}] {line}")
    for mutation in mutations:
        if mutation.equivalent:
            say(f"{mutation.identifier}: equivalent: {mutation.equivalent}")
    say(f"{len(tried) - unnoticed} noticed, {unnoticed} not")
    return bool(unnoticed or not tried)


if __name__ == "__main__":
    sys.exit(main())
