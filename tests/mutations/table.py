"""The tables of mutations, one a package: what is broken, and which tests have to notice.

A table is a TOML file of a section for each broken file, which names its tests, and one below it
for each mutation: `old` stands in the file exactly once, `new` is put in its place. A mutation may
name `tests` of its own; `simulation` stands for the simulation of the writers. One that nothing
can notice says why in `equivalent`: it is no longer one when its reason goes.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
SIMULATION = "simulation"


class OutdatedError(Exception):
    """The code has changed, so that a mutation cannot be made any more: bring it up to date."""


@dataclass(frozen=True)
class Mutation:
    """One deliberate break: a piece of the code, and what is put in its place.

    Attributes:
        identifier: its name in the table.
        tests: files of tests, or `SIMULATION` alone.
        equivalent: why nothing can notice it; empty: the tests have to.
        in_suite: whether `make banks` tries it too, within a few seeds of the simulation.
    """

    identifier: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""
    in_suite: bool = False

    @property
    def package(self):
        """The package that it breaks."""
        return self.path.partition("/")[0]

    @property
    def is_simulated(self):
        """Whether the simulation has to notice it."""
        return SIMULATION in self.tests

    def broken(self, root):
        """The text of the broken file.

        Raises:
            OutdatedError: what is to be replaced is not there exactly once.
        """
        text = (root / self.path).read_text("utf-8")
        if text.count(self.old) != 1:
            raise OutdatedError(f"not exactly once in {self.path}: {self.old!r}")
        return text.replace(self.old, self.new)


def read_mutations():
    """The mutations of all tables, in their order."""
    return [
        Mutation(identifier, path, **({"tests": tests} | fields))
        for table in sorted(FOLDER.glob("*.toml"))
        for path, mutations in tomllib.loads(table.read_text("utf-8")).items()
        for tests in [tuple(mutations.pop("tests"))]
        for identifier, fields in mutations.items()
    ]
