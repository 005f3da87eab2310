"""What is installed, here and in the layer, is what was locked."""

import re

import pytest

from tests.locks import LAYER_LOCK, LOCKS, ROOT, layer_versions, pins
from tests.templates import load

BY_LOCK = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.relative_to(ROOT).as_posix())


@BY_LOCK
def test_every_package_of_a_lock_has_hashes(lock):
    """A file that its maker, or anybody between, exchanged is refused."""
    pinned = pins(lock)

    assert pinned
    sha256 = re.compile("sha256:[0-9a-f]{64}")
    assert [name for name, (_, hashes) in pinned.items() if not hashes] == []
    assert [
        one for _, hashes in pinned.values() for one in hashes if not sha256.fullmatch(one)
    ] == []


@BY_LOCK
def test_a_lock_names_no_place(lock):
    """Packages come from wherever the machine is set up to have them from."""
    assert "://" not in lock.read_text("utf-8")


def test_whatever_is_installed_is_locked():
    """Each installation of the makefiles is of a lock by its hashes, or of this project alone."""
    makefiles = [ROOT / "Makefile", *ROOT.glob("*/Makefile")]
    commands = [
        command
        for makefile in makefiles
        for command in makefile.read_text("utf-8").replace("\\\n", "").splitlines()
        if "pip install" in command
    ]
    of_locks = [one for one in commands if "--require-hashes --requirement" in one]
    used = {f"{name}.lock" for one in of_locks for name in re.findall(r"(\w+)\.lock", one)}

    assert used == {lock.name for lock in LOCKS}
    ours = ("--no-deps --no-build-isolation --editable .", "--no-deps --no-index --find-links dist")
    listed = "--constraint requirements.lock"  # For a release's list; nothing of it is run.
    others = [one for one in commands if one not in of_locks]
    assert [one for one in others if not any(known in one for known in (*ours, listed))] == []


def test_the_layer_is_built_of_what_the_tests_run_with():
    """The same versions and the same files."""
    tested = pins(ROOT / "requirements.lock")

    assert pins(LAYER_LOCK).items() <= tested.items()


def test_the_template_names_the_layers_versions():
    """Its description, which is the output `LayerVersions` too, is what the lock pins."""
    properties = load("template.yaml")["Resources"]["StreamCoreLayer"]["Properties"]

    assert properties["Description"] == layer_versions()
