"""The licences of what a user installs: `python -m tests.licences`.

As each package declares them in its metadata. The extras `local` and `spark` are left out: an
emulator and SAM for whoever develops, and an engine that people bring along.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.locks import LAYER_LOCK, pins

PAGE = Path(__file__).parents[1] / "docs/licences.md"
EXTRAS = ("parquet", "warehouse")
# Each lets us use the package in a product of any licence, ours included.
PERMISSIVE = {
    "0BSD",
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "MIT",
    "MIT License",
    "MIT No Attribution License (MIT-0)",
    "PSF-2.0",
    "Zlib",
}
_HEAD = """# Licences of what is installed

As each package declares them; `make docs` makes this page, and a test refuses a licence that is not
permissive. Those in the layer run on Lambda, next to what the Lambda runtime itself brings; all are
installed with the command line and its extras `parquet` and `warehouse`.

| package | licence | in the layer |
|---|---|---|
"""


def closure():
    """Every package that is installed with ours, itself left out."""
    found = {}
    waiting = [("itemtrail", EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            needed = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in (*extras, "")
            )
            package = canonicalize_name(requirement.name)
            if needed and package not in found:
                found[package] = licences(package)
                waiting.append((package, tuple(requirement.extras)))
    return found


def licences(package):
    """What a package declares: an expression of SPDX names, else the classifiers, else a name."""
    metadata = distribution(package).metadata
    if expression := metadata.get("License-Expression"):
        return expression.split(" AND ")
    classifiers = [
        name.rpartition(" :: ")[2]
        for name in metadata.get_all("Classifier", [])
        if name.startswith("License :: OSI Approved :: ")
    ]
    return classifiers or [metadata.get("License", "none")]


def text():
    """The page."""
    layer = pins(LAYER_LOCK)
    lines = [
        f"| {package} | {', '.join(names)} | {'yes' if package in layer else ''} |\n"
        for package, names in sorted(closure().items())
    ]
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(text())
