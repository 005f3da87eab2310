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
from setuptools.command.egg_info import egg_info

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
        super().run()
        siblings = {name.partition(".")[0] for name in self.packages} - {NAMESPACE}
        for name in siblings:
            shutil.move(target / name, target / NAMESPACE / name)
        for module in target.rglob("*.py"):
            module.write_text(with_full_imports(module.read_text("utf-8"), siblings), "utf-8")


class OneTopLevel(egg_info):
    """Metadata that names the one package which is installed, whoever builds the wheel."""

    def run(self) -> None:
        """Write the metadata; pip asks for it before anything is built."""
        super().run()
        Path(self.egg_info, "top_level.txt").write_text(f"{NAMESPACE}\n", "utf-8")


def with_full_imports(source: str, packages: Collection[str]) -> str:
    """The source of a module, importing these packages from where a wheel has them.

    Raises:
        ValueError: an import of theirs is written in a way that is not looked for here.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in packages:
            line = lines[node.lineno - 1]
            before, keyword, rest = line.partition("from ")
            if before.strip() or ";" in rest or node.level:
                raise ValueError(f"an import of ours stands alone in its line: {line.strip()}")
            lines[node.lineno - 1] = f"{before}{keyword}{NAMESPACE}.{rest}"
    return "".join(lines)


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildUnderOneNamespace, "egg_info": OneTopLevel})
