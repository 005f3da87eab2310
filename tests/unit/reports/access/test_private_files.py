"""Files are written for their owner alone, whole or not at all, and never through a link."""

import os
import stat
from pathlib import Path

import pytest

from reports.access import private_files
from reports.access.private_files import (
    kept_content,
    kept_file,
    make_folder,
    move_file,
    new_path,
    path_within,
    replace_file,
    state_folder,
)
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


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("options", "mode"), [({}, 0o600), ({"mode": 0o644}, 0o644)])
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


@pytest.mark.usefixtures("umask")
def test_folders_and_files_are_their_owners_alone(tmp_path):
    """Whatever they are made for."""
    written = new_path(tmp_path / "written")
    moved = tmp_path / "a" / "b" / "moved"

    make_folder(moved.parent)
    written.chmod(0o666)
    move_file(written, moved)
    with kept_file(tmp_path / "kept"):
        pass

    paths = [moved.parent.parent, moved.parent, moved, tmp_path / "kept", new_path(tmp_path / "n")]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in paths]
    assert modes == [0o700, 0o700, 0o600, 0o600, 0o600]


def symbolic(path, target):
    path.symlink_to(target)


def hard(path, target):
    path.hardlink_to(target)


def dangling(path, target):
    target.unlink()
    path.symlink_to(target)


def pipe(path, _target):
    os.mkfifo(path)


@pytest.mark.parametrize("link", [symbolic, hard, dangling, pipe])
def test_no_link_is_followed_to_keep_a_file(tmp_path, link):
    """Whoever puts one where a lock, a journal or a state is to be has nothing from it."""
    target, path = tmp_path / "target", tmp_path / "lock"
    target.write_bytes(b"precious")
    link(path, target)
    before = target.exists() and target.read_bytes()

    with pytest.raises(OSError, match="it is a link or no plain file"):
        kept_file(path)

    assert (target.exists() and target.read_bytes()) == before


@pytest.mark.parametrize("link", [symbolic, dangling, pipe])
def test_a_link_is_not_replaced_by_a_file(tmp_path, link):
    """`/dev/stdout` is one: root would lose it. What it leads to is not written to either."""
    target, path = tmp_path / "target", tmp_path / "report"
    target.write_bytes(b"precious")
    link(path, target)
    was, before = path.lstat().st_ino, target.exists() and target.read_bytes()

    with pytest.raises(OSError, match="it is a link or no plain file"):
        replace_file(path, b"page")
    with pytest.raises(FileExistsError):
        new_path(path)

    assert path.lstat().st_ino == was
    assert (target.exists() and target.read_bytes()) == before


def test_a_kept_file_is_read_and_added_to(tmp_path):
    """Never emptied, by whomever it is opened."""
    path = tmp_path / "journal"
    for line in (b"one\n", b"two\n"):
        with kept_file(path) as file:
            file.write(line)

    with kept_file(path) as file:
        assert file.read() == b"one\ntwo\n"
    assert kept_content(path) == b"one\ntwo\n"


@pytest.mark.parametrize("link", [symbolic, hard, dangling, pipe])
def test_what_a_link_leads_to_is_not_read_as_what_was_kept(tmp_path, link):
    """Its content could be told in a message; a pipe would be waited for."""
    target = tmp_path / "target"
    target.write_bytes(b"secret")
    link(tmp_path / "state", target)

    with pytest.raises(OSError, match="it is a link or no plain file"):
        kept_content(tmp_path / "state")


@pytest.mark.parametrize("given", ["", "relative/folder"])
def test_the_state_is_where_a_user_has_it(tmp_path, monkeypatch, given):
    """XDG Base Directory Specification: a path that is not absolute is not looked at."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", given)
    at_home = state_folder()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))

    assert at_home == tmp_path / ".local" / "state" / "itemtrail"
    assert state_folder() == tmp_path / "elsewhere" / "itemtrail"


def test_who_has_no_home_is_told_what_to_set(tmp_path, monkeypatch):
    """And other folders serve all the same."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", no_home)

    with pytest.raises(OSError, match="set XDG_STATE_HOME"):
        state_folder()
    with kept_file(tmp_path / "lock"):
        pass


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_the_folder_of_the_state_is_made_for_its_owner():
    """When something is first kept in it."""
    folder = state_folder()

    with kept_file(folder / "run.jsonl"):
        pass

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_is_a_file_is_told(tmp_path):
    """As the system says it."""
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="exists"):
        make_folder(tmp_path / "file")


def test_a_folder_that_another_process_made_meanwhile_is_taken(tmp_path, monkeypatch):
    """And its mode left as it is."""
    path, make = tmp_path / "folder", Path.mkdir

    def made_before(folder, _mode):
        make(folder)
        folder.chmod(0o755)
        raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", made_before)

    make_folder(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def with_a_link(folder, elsewhere):
    folder.symlink_to(elsewhere)


def with_write_for_others(folder, _elsewhere):
    folder.mkdir()
    folder.chmod(0o770)


@pytest.mark.parametrize("prepare", [with_a_link, with_write_for_others])
def test_nothing_is_kept_where_others_may_write(tmp_path, prepare):
    """They could read it, take it away, or put another in its place."""
    folder, elsewhere = state_folder(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.parent.mkdir()
    prepare(folder, elsewhere)

    with pytest.raises(OSError, match="others may write there"):
        kept_file(folder / "run.jsonl")

    assert not list(folder.iterdir())


def test_nothing_is_kept_in_a_folder_of_somebody_else(monkeypatch):
    """Who may let others in at any time."""
    make_folder(state_folder())
    monkeypatch.setattr(private_files, "_OWN_ID", lambda: os.geteuid() + 1)

    with pytest.raises(OSError, match="others may write there"):
        kept_file(state_folder() / "run.jsonl")


@pytest.mark.parametrize("name", ["../out", "in/../../out", "/etc/passwd", "link/out", "link"])
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    """By steps, from the root, or by a link."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)

    with pytest.raises(OSError, match="leads out of"):
        path_within(folder, name)


@pytest.mark.parametrize("name", ["in", "rows/month=2026-11/in", "within", "a/../in"])
def test_a_name_that_stays_within_is_a_path(tmp_path, name):
    """The folder may be a link itself, and a link may lead to another place within."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "in").touch()
    (folder / "within").symlink_to(folder / "in")
    (tmp_path / "link").symlink_to(folder)

    assert path_within(tmp_path / "link", name) == tmp_path / "link" / name
