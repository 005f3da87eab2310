"""Run the bank of worlds on all cores: `python -m tests.worlds --seeds 5000`."""

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from multiprocessing import get_context

from tests.worlds.answers import Examination
from tests.worlds.world import draw

_SHOWN = 3


def _run(seed):
    examination = Examination(seed)
    return seed, examination.run(), Counter(answers=examination.answers, exact=examination.exact)


def _say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main():
    """Run the seeds; exit status 1 if an answer is better than the truth."""
    parser = argparse.ArgumentParser(prog="make worlds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one only, and show its world")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.seed is not None:
        seeds = [arguments.seed]
        _say(draw(arguments.seed))
    started, counts, kinds = time.monotonic(), Counter(), defaultdict(list)
    with get_context("fork").Pool(min(os.cpu_count() or 1, len(seeds))) as pool:
        for seed, faults, counted in pool.imap_unordered(_run, seeds):
            counts += counted
            for kind, text in faults:
                kinds[kind].append((seed, text))
    seconds = time.monotonic() - started
    _say(f"{len(seeds)} worlds in {seconds:.0f} s,")
    _say(f"{counts['answers']} answers, {counts['exact']} of them exact")
    for kind, faults in kinds.items():
        _say(f"{kind}: {len(faults)} in {len({seed for seed, _ in faults})} worlds")
        for seed, text in sorted(faults)[:_SHOWN]:
            _say(f"  seed {seed}: {text}")
    return bool(kinds)


if __name__ == "__main__":
    sys.exit(main())
