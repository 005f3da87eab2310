"""What does not fit into a row is kept whole in an object, or reading it is an error."""

import gzip
import hashlib
import json
import os
import tracemalloc
from dataclasses import replace

import pytest

from stream_core import overflow_object
from stream_core.errors import IntegrityError
from stream_core.history_row import OverflowPointer
from stream_core.overflow_object import most_bytes, pack, unpack
from tests.factories import change, item, nested, text

OLD = item(a={"N": "1.50"}, b={"B": b"\x00\x01"})
NEW = item(a={"SS": ["z", "a"]}, b={"BS": [b""]}, c=nested(31))


def object_with(content):
    """An object of some content whose pointer fits it."""
    pointer = OverflowPointer("bucket", "key", hashlib.sha256(content).hexdigest(), len(content))
    return pointer, gzip.compress(content)


@pytest.mark.parametrize(("old", "new"), [(None, NEW), (OLD, NEW), (OLD, None)])
def test_images_come_back_as_they_were(old, new):
    """FACTS 9.47: both images, or the one there is, down to the spelling of a number."""
    pointer, body = pack(change(old, new), "bucket")

    assert unpack(pointer, body) == (old, new)


def test_objects_are_addressed_by_their_content():
    """FACTS 9.48: a redelivered change writes the very same object, another change another."""
    first, second = pack(change(OLD, NEW), "bucket"), pack(change(OLD, NEW, sequence=7), "bucket")
    other, _ = pack(change(OLD, item(c=text("x"))), "bucket")

    assert first == second
    assert first[0].key == f"overflow/{first[0].sha256}.json.gz"
    assert first[0].sha256 == hashlib.sha256(gzip.decompress(first[1])).hexdigest()
    assert first[0].size == len(gzip.decompress(first[1]))
    assert other.key != first[0].key


def test_objects_hold_plain_json():
    """The object can be read without this program."""
    _, body = pack(change(None, item(a={"B": b"\x00\x01"})), "bucket")

    assert json.loads(gzip.decompress(body)) == {"NewImage": {"Id": {"S": "1"}, "a": {"B": "AAE="}}}


def test_another_object_in_its_place_is_noticed():
    """FACTS 9.49: a whole object that is not the one that was written is an error."""
    pointer, _ = pack(change(OLD, NEW), "bucket")
    _, other = pack(change(OLD, item(c=text("x"))), "bucket")

    for body in (other, b""):
        with pytest.raises(IntegrityError, match="is not the one that was written"):
            unpack(pointer, body)
    with pytest.raises(IntegrityError, match="is not the one that was written"):
        unpack(replace(pointer, size=pointer.size + 1), pack(change(OLD, NEW), "bucket")[1])


def test_no_more_is_decompressed_than_was_written(monkeypatch):
    """300 KB can be made 300 MB, and the pointer be made to say so: memory is not filled."""
    monkeypatch.setattr(overflow_object, "_MOST_CONTENT_BYTES", 1000)
    pointer, _ = pack(change(OLD, NEW), "bucket")
    body = gzip.compress(bytes(10**7))
    tracemalloc.start()
    try:
        for size in (pointer.size, 10**7, -2):
            with pytest.raises(IntegrityError, match="is not the one that was written"):
                unpack(replace(pointer, size=size), body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 10**6


@pytest.mark.parametrize("size", [0, 100, 100_000])
def test_no_object_is_larger_than_its_pointer_lets_it_be(size):
    """As it is stored; bytes at random cannot be compressed."""
    pointer, body = object_with(os.urandom(size))

    assert len(body) <= most_bytes(pointer) <= 1.01 * size + 1024


@pytest.mark.parametrize("body", [b"no gzip", b"\x1f\x8b", gzip.compress(b"x" * 99, mtime=0)[:-1]])
def test_a_damaged_object_is_noticed(body):
    """FACTS 9.49: what cannot be decompressed is an error, never an empty image."""
    pointer, _ = pack(change(OLD, NEW), "bucket")

    with pytest.raises(IntegrityError, match="cannot be decompressed"):
        unpack(pointer, body)


@pytest.mark.parametrize(
    "content", [b"no json", b"[]", b'{"NewImage":7}', b'"text"', b"{}", b"\xff"]
)
def test_an_object_without_images_is_noticed(content):
    """FACTS 9.49: an object that was written by something else is an error."""
    with pytest.raises(IntegrityError, match="holds no images"):
        unpack(*object_with(content))
