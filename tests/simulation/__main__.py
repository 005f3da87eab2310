"""Run seeds of the simulation on all cores: `python -m tests.simulation --seeds 2000`."""

import argparse
import os
import sys
import time
from collections import Counter
from multiprocessing import get_context

# Sets of texts come in another order in every process, unless this is set: one seed, one run.
if os.environ.get("PYTHONHASHSEED") != "0":
    os.execve(  # noqa: S606 - the same command again
        sys.executable,
        [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
        {**os.environ, "PYTHONHASHSEED": "0"},
    )

from tests.simulation.model import check
from tests.simulation.scenario import draw
from tests.simulation.shrink import report

_FAULT = "fault: "


def say(text):
    """Tell at once, also through a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments():
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--brief", action="store_true", help="do not shorten a failure")
    return parser.parse_args()


def _run(seed):
    try:
        return seed, check(draw(seed)).stats, ""
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a run is a finding
        return seed, Counter(), f"{type(error).__name__}: {error}"


def _progress(done, seeds, started):
    if sys.stderr.isatty():
        rate = done / (time.monotonic() - started)
        sys.stderr.write(f"\r{done} of {len(seeds)} seeds, {rate:.1f} a second ")
        sys.stderr.flush()


def _figures(stats, seeds, seconds):
    """What the seeds went through, as lines."""
    faults = {name: count for name, count in stats.items() if name.startswith(_FAULT)}
    total = sum(faults.values())
    yield f"{seeds} seeds in {seconds:.0f} s: {stats['events']} events,"
    yield f"  {stats['deliveries']} deliveries in {stats['invocations']} invocations,"
    yield f"  {stats['requests']} requests,"
    yield f"  {total} faults ({total / seconds:.0f} a second), {stats['redriven']} records redriven"
    for name, count in sorted(faults.items(), key=lambda entry: -entry[1]):
        yield f"  {count:9d}  {name.removeprefix(_FAULT)}"
    for name in sorted(stats):
        if not name.startswith(_FAULT):
            yield f"  {stats[name]:9d}  {name}"


def main():
    """Run the seeds; exit status 1 if one fails."""
    arguments = _arguments()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.seed is not None:
        seeds = [arguments.seed]
    stats, failed, done, started = Counter(), [], 0, time.monotonic()
    workers = min(os.cpu_count() or 1, len(seeds))
    with get_context("fork").Pool(workers) as pool:
        for seed, counts, problem in pool.imap_unordered(_run, seeds):
            done += 1
            stats += counts
            _progress(done, seeds, started)
            if problem:
                failed.append(seed)
                say(f"seed {seed} fails: {problem[:2000]}")
                if not arguments.keep_going:
                    break
        pool.terminate()
    say("\n".join(_figures(stats, done, time.monotonic() - started)))
    if failed and not arguments.brief:
        say(report(failed[0], draw(failed[0])))
    say(f"{len(failed)} failed" if failed else "no failures")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
