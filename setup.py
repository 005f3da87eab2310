"""What pyproject.toml cannot say: a wheel holds one package, `itemtrail`, with all others in it.

In the checkout the packages lie side by side, as the Lambda packages need them. Installed, names
such as `reports` would collide with a user's own; see docs/adr/0005-one-namespace.md.
"""

import ast
import shutil
from collections.abc import Collection
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

NAMESPACE = "itemtrail"


class BuildUnderOneNamespace(build_py):
    """Copies the packages, then moves them into `itemtrail` with the imports that name them."""

    def run(self) -> None:
        """Build; an editable installation keeps the packages where they are."""
        if self.editable_mode:
            super().run()
            return
        target = Path(self.build_lib)
        # Left by an earlier build.
        shutil.rmtree(target, ignore_errors=True)
        # What the wheel's metadata lists as its top level.
        self.distribution.packages = [NAMESPACE]
        super().run()
        siblings = {name.partition(".")[0] for name in self.packages} - {NAMESPACE}
        for name in siblings:
            shutil.move(target / name, target / NAMESPACE / name)
        for module in target.rglob("*.py"):
            module.write_text(with_full_imports(module.read_text("utf-8"), siblings), "utf-8")


def with_full_imports(source: str, packages: Collection[str]) -> str:
    """The source of a module, importing these packages from where a wheel has them."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in packages:
            line = lines[node.lineno - 1]
            start = node.col_offset + len("from ")
            lines[node.lineno - 1] = f"{line[:start]}{NAMESPACE}.{line[start:]}"
    return "".join(lines)


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildUnderOneNamespace})
