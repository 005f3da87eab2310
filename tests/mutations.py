"""Break the writers on purpose, one way at a time, and see that the simulation notices.

`make simulate-mutations`: each break is made in a copy of the code, the real one is not touched.
A break that no seed shows is a hole in the simulation, and fails the command.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_COPIED = ("stream_core", "history_writer", "replica_writer", "tests/simulation")
_COPIED_FILES = ("tests/factories.py", "tests/service_limits.py")
HISTORY, REPLICA_TABLES = "history_writer/writer.py", "replica_writer/tables.py"
BATCH = "stream_core/batch.py"


class OutdatedError(Exception):
    """The code has changed, so that a break cannot be made any more: bring it up to date."""


@dataclass(frozen=True)
class Mutation:
    """One deliberate break: a piece of the code, and what is put in its place."""

    name: str
    path: str
    old: str
    new: str

    def apply(self, root):
        """Break a copy of the code."""
        path = root / self.path
        text = path.read_text("utf-8")
        if text.count(self.old) != 1:
            raise OutdatedError(f"{self.name}: not exactly once in {self.path}: {self.old!r}")
        path.write_text(text.replace(self.old, self.new), "utf-8")


ISSUE = (
    Mutation(
        "drop the duplicate check", HISTORY, "    if stored == entry.row.digest:", "    if True:"
    ),
    Mutation("compare sequence numbers as text", BATCH, "unstored), key=int)", "unstored))"),
    Mutation("report the last failure", BATCH, "lowest = min(", "lowest = max("),
    Mutation(
        "skip settle",
        "replica_writer/settle.py",
        "if self.settler.source is None:",
        "if True:",
    ),
    Mutation(
        "ignore UnprocessedItems",
        REPLICA_TABLES,
        "return [item_id(_key_of(request, names)) for request in unprocessed]",
        "return []",
    ),
)
MORE = (
    Mutation(
        "ignore UnprocessedKeys",
        REPLICA_TABLES,
        'for key in answer["UnprocessedKeys"].get(self.name, {"Keys": []})["Keys"]',
        "for key in ()",
    ),
    Mutation(
        "ignore errors of single statements",
        HISTORY,
        "None if problem is None else",
        "None if not problem or problem['Code'] not in _DUPLICATE else",
    ),
    Mutation(
        "acknowledge what quarantine refused",
        BATCH,
        "outcome.unstored.append(refusal.record)",
        "pass",
    ),
    Mutation(
        "acknowledge what quarantine had no time for",
        BATCH,
        "outcome.unstored += [refusal.record for refusal in pending]",
        "",
    ),
    Mutation(
        "take unknown errors for success (history)",
        HISTORY,
        "            else:\n                outcome.unstored.append(entry.delivery.record)\n"
        "        missing",
        "        missing",
    ),
    Mutation(
        "take unknown errors for success (replica)",
        REPLICA_TABLES,
        "self.unstored.update(ids)",
        "pass",
    ),
    Mutation(
        "forget rows when time runs out",
        HISTORY,
        "outcome.unstored += [entry.delivery.record for entry in remaining]\n"
        "        return outcome, refused",
        "return outcome, refused",
    ),
    Mutation(
        "forget items when time runs out",
        REPLICA_TABLES,
        "        problems.unstored.update(remaining)\n        return problems",
        "        return problems",
    ),
    Mutation("sort rows by text", "stream_core/history_row.py", ".zfill(MAX_SEQUENCE_DIGITS)", ""),
    Mutation(
        "leave the sequence number out of the key",
        "stream_core/history_row.py",
        "#{sequence_number.zfill(MAX_SEQUENCE_DIGITS)}",
        "",
    ),
    Mutation(
        "take a missing permission for a bad record",
        "stream_core/retry.py",
        '"Serialization",',
        '"Serialization", "AccessDenied",',
    ),
    Mutation(
        "do not split a refused call (history)",
        HISTORY,
        "error.retry is Retry.PERMANENT and len(entries) > 1",
        "False",
    ),
    Mutation(
        "do not split a refused call (replica)", REPLICA_TABLES, "if len(ids) > 1:", "if False:"
    ),
    Mutation(
        "one quarantine object for all unnumbered records",
        "stream_core/quarantine.py",
        "-{fingerprint}.json",
        ".json",
    ),
    Mutation(
        "write rows without their overflow object",
        "history_writer/overflow_bucket.py",
        "answer = self.s3.put_object(",
        "answer = dict(",
    ),
)


def noticed(mutation, seeds):
    """Run a broken copy; returns what the simulation said when it noticed, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in _COPIED:
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "test_*")
            )
        for name in _COPIED_FILES:
            shutil.copy(ROOT / name, copy / name)
        mutation.apply(copy)
        run = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--brief", f"--seeds={seeds}"],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
    if run.returncode == 0:
        return ""
    found = [line for line in run.stdout.splitlines() if line.startswith("seed ")]
    if not found:
        raise OutdatedError(f"{mutation.name}: the broken copy does not run\n{run.stderr[-2000:]}")
    return found[0]


def say(text):
    """Tell at once, also through a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main():
    """Run every mutation; exit status 1 if one survives."""
    parser = argparse.ArgumentParser(prog="make simulate-mutations", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many to try at most")
    arguments = parser.parse_args()
    survivors = 0
    for mutation in ISSUE + MORE:
        found = noticed(mutation, arguments.seeds)
        survivors += not found
        say(f"{mutation.name}: {found[:160] or 'NOT NOTICED'}")
    say(f"{len(ISSUE + MORE) - survivors} noticed, {survivors} not")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
