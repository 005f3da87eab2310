"""What is asked of the disk, in order: a rename is durable only between two flushes."""

import os
from pathlib import Path


def recorded_steps(monkeypatch):
    """A list that every flush and every rename from now on is added to; both are carried out."""
    steps = []
    flush, rename = os.fsync, Path.replace

    def recorded_flush(descriptor):
        steps.append(("flush", os.fstat(descriptor).st_ino))
        flush(descriptor)

    def recorded_rename(source, target):
        steps.append(("rename", Path(target)))
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", recorded_flush)
    monkeypatch.setattr(Path, "replace", recorded_rename)
    return steps


def durable_steps(path):
    """The steps that brought a file to its place: its content, its name, and the folder's list."""
    content, folder = path.stat().st_ino, path.parent.stat().st_ino
    return [("flush", content), ("rename", path), ("flush", folder)]


def full_disk(monkeypatch):
    """From now on nothing more can be flushed."""

    def refuse(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
