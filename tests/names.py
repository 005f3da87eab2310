"""Names that a reader has to guess at: `python -m tests.names`, which `make lint` runs.

Looks at every name that the packages define or use: variables, arguments, attributes, functions,
classes, modules. Exits with 1 when there is one that it refuses.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "stream_core",
    "history_writer",
    "replica_writer",
    "reports",
    "operations",
    "warehouse",
    "itemtrail",
)

# Refused as a whole name, each with the reason.
WHOLE = {
    "one": "name what it is one of: row, key, finding",
    "another": "name what it is another of",
    "others": "name what they are",
    "each": "name what each is",
    "found": "name what was found: rows, findings, match",
    "given": "name what was given: key, text, value",
    "asked": "name what was asked for",
    "left": "say remaining, or the left side of what",
    "again": "name what is done again: retry, second read",
    "of": "name the thing that it is of",
}
# Refused as a part of a name too.
PART = {
    "told": "say reported, named, given as, progress",
    "untold": "say what is missing: silent, unreported",
    "nobody": "say None, no reader, no subscriber",
    "somebody": "name the person or program",
    "whoever": "name the person or program",
    "fine": "say passed, valid, healthy",
    "wrong": "say what is wrong: invalid, different, refused",
}


def refusal(name: str) -> str | None:
    """Why a name is refused; None: it is not."""
    words = name.strip("_").lower()
    parts = [PART[word] for word in words.split("_") if word in PART]
    return WHOLE.get(words) or (parts[0] if parts else None)


def names_of(node: ast.AST) -> Iterator[str]:
    """The names that a node of the syntax tree brings."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.keyword(arg=str(name)):
            yield name


def problems(root: Path = ROOT) -> Iterator[str]:
    """What is refused in the packages below a folder, a line each."""
    classes = defaultdict(list)
    for module in sorted(path for name in PACKAGES for path in (root / name).rglob("*.py")):
        place = module.relative_to(root)
        if module.stem.endswith("ing"):
            yield f"{place}: a module is named by a noun, not by what it does"
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(str(place))
            refused = {name: refusal(name) for name in names_of(node)}
            yield from (
                f"{place}:{node.lineno}: {name}: {why}" for name, why in refused.items() if why
            )
    yield from (
        f"{', '.join(places)}: {name} has more than one meaning"
        for name, places in classes.items()
        if len(places) > 1
    )


def main() -> None:
    """Print every problem, and exit with 1 if there is one."""
    lines = list(problems())
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
