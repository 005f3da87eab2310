"""A file that is replaced as a whole: after a power failure it is the old one or the new one."""

import os
import stat

import pytest

from reports.access.durable_file import READABLE, make_folder, move_file, replace_file
from tests.disk import durable_steps, full_disk, recorded_steps


def test_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    """And the name is, before the call ends: a rename alone may come first, or not at all."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    steps = recorded_steps(monkeypatch)

    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert steps == durable_steps(path)


def test_a_file_that_is_moved_is_on_the_disk_before_its_new_name(tmp_path, monkeypatch):
    """As is one whose content was written long before."""
    written, path = tmp_path / "written", tmp_path / "rows" / "file"
    written.write_bytes(b"rows")
    path.parent.mkdir()
    steps = recorded_steps(monkeypatch)

    move_file(written, path)

    assert (path.read_bytes(), written.exists()) == (b"rows", False)
    assert steps == durable_steps(path)


def test_a_new_folder_is_on_the_disk_with_those_above_it(tmp_path, monkeypatch):
    """A file in a folder that a power failure takes is as lost as one that was never written."""
    path = tmp_path / "rows" / "month=2026-11"
    steps = recorded_steps(monkeypatch)

    make_folder(path)
    make_folder(path)

    assert path.is_dir()
    above = [tmp_path.stat().st_ino, path.parent.stat().st_ino]
    assert steps == [("flush", number) for number in above]


@pytest.mark.parametrize(("options", "mode"), [({}, 0o600), ({"mode": READABLE}, 0o644)])
def test_a_file_is_its_owners_alone_unless_it_is_said(tmp_path, options, mode):
    """Whatever the process's mask is."""
    path = tmp_path / "file"

    replace_file(path, b"", **options)

    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """And nothing beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    full_disk(monkeypatch)

    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    """Some file systems have no such thing: the file is in its place."""
    path = tmp_path / "file"
    flush = os.fsync

    def files_alone(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", files_alone)

    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
