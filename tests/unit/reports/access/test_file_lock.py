"""A lock between processes."""

import fcntl

import pytest

from reports.access.file_lock import locked


def test_a_lock_is_had_by_no_second_block(tmp_path):
    """Afterwards it is free again, and its file is gone."""
    path = tmp_path / "lock"

    with locked(path), pytest.raises(BlockingIOError), locked(path):
        pass
    with locked(path):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_was_deleted_meanwhile_locks_nothing(tmp_path, monkeypatch):
    """Another process may hold the new file of that name."""
    path = tmp_path / "lock"
    lock = fcntl.flock

    def late(file, how):
        path.unlink()
        path.touch()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)

    with pytest.raises(BlockingIOError), locked(path):
        pass
    assert path.exists()


def test_a_lock_that_was_deleted_meanwhile_is_none(tmp_path, monkeypatch):
    """Nor is one whose file has no successor yet."""
    path = tmp_path / "lock"
    monkeypatch.setattr(fcntl, "flock", lambda *_: path.unlink())

    with pytest.raises(BlockingIOError), locked(path):
        pass


def test_a_link_in_the_place_of_a_lock_empties_nothing(tmp_path):
    """Whoever may write into the folder could have had any file of the user emptied."""
    target, path = tmp_path / "target", tmp_path / "lock"
    target.write_bytes(b"precious")
    path.symlink_to(target)

    with pytest.raises(OSError, match="it is a link"), locked(path):
        pass

    assert target.read_bytes() == b"precious"
