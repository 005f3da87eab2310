"""What `make release` made is whole, is what was tested, and says nothing of who made it."""

import hashlib
import json
import os
import subprocess
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import itemtrail
from tests import licences
from tests.locks import LAYER_LOCK, ROOT, pins

if "RELEASED" not in os.environ:
    pytest.skip("holds what `make release` made", allow_module_level=True)

DIST = Path(os.environ["RELEASED"])
WHEEL = DIST / f"itemtrail-{itemtrail.__version__}-py3-none-any.whl"
SOURCES = DIST / f"itemtrail-{itemtrail.__version__}.tar.gz"
SBOMS = [DIST / "layer.cdx.json", DIST / "package.cdx.json"]


def _versions(sbom):
    components = json.loads(sbom.read_text("utf-8"))["components"]
    return {one["name"].lower().replace("_", "-"): one["version"] for one in components}


def test_checksums_are_of_every_file_that_is_published():
    """Whoever downloads one can hold it against them."""
    lines = (DIST / "SHA256SUMS").read_text("ascii").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}

    assert sums.keys() == {path.name for path in (WHEEL, SOURCES, *SBOMS)}
    assert sums == {name: hashlib.sha256((DIST / name).read_bytes()).hexdigest() for name in sums}


def test_the_layers_sbom_lists_what_it_is_built_of():
    """The packages and versions of its lock, and no others."""
    assert _versions(SBOMS[0]) == {name: locked for name, (locked, _) in pins(LAYER_LOCK).items()}


def test_the_packages_sbom_lists_what_is_installed_with_it():
    """Ours and all that it brings, at the versions that the tests run with."""
    brought = {name: version(name) for name in licences.closure()}

    assert _versions(SBOMS[1]) == brought | {"itemtrail": itemtrail.__version__}


def test_the_source_archive_is_the_checkout():
    """Whoever has it can build the Lambda packages, deploy the templates and run the tests."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    with tarfile.open(SOURCES) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {*listed.strip("\0").split("\0")} - names == set()


def test_nothing_published_names_the_place_where_it_was_made():
    """No path of the machine is in any of the files."""
    with tarfile.open(SOURCES) as archive:
        files = [archive.extractfile(member) for member in archive.getmembers()]
        contents = [file.read() for file in files if file]
    with zipfile.ZipFile(WHEEL) as archive:
        contents += [archive.read(name) for name in archive.namelist()]
    contents += [sbom.read_bytes() for sbom in SBOMS]

    place = os.fsencode(ROOT)
    assert len(contents) > 400
    assert [content for content in contents if place in content] == []
