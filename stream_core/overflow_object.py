"""The overflow object: the images of a row that does not fit into a DynamoDB item.

Content-addressed, so that a redelivered record writes the same object again; compressed JSON in
wire form, numbers and sets spelled as the stream spelled them.
"""

import gzip
import hashlib
import io
import json
import zlib

from stream_core.attribute_values import Item, read_item, wire_json
from stream_core.change import Change
from stream_core.errors import IntegrityError, MalformedRecordError
from stream_core.history_row import OverflowPointer

_PREFIX = "overflow"
# More than two items of 400 KB take as JSON: a null in a list has 1 byte there, and 14 here.
_MOST_CONTENT_BYTES = 64 * 1024 * 1024
# Deflate makes nothing larger than by 5 bytes for each block of 16 KB, and gzip adds 18.
_OVERHEAD = 1024
_IMAGES = ("OldImage", "NewImage")


def pack(change: Change, bucket: str) -> tuple[OverflowPointer, bytes]:
    """The object that keeps a change's images: where it goes, and its bytes."""
    images = {"OldImage": change.old_image, "NewImage": change.new_image}
    content = wire_json({name: image for name, image in images.items() if image is not None})
    sha256 = hashlib.sha256(content).hexdigest()
    pointer = OverflowPointer(bucket, f"{_PREFIX}/{sha256}.json.gz", sha256, len(content))
    return pointer, gzip.compress(content, mtime=0)


def most_bytes(pointer: OverflowPointer) -> int:
    """How large the object of a pointer can be, as it is stored."""
    size = _most_content(pointer)
    return size + size // 1024 + _OVERHEAD


def unpack(pointer: OverflowPointer, body: bytes) -> tuple[Item | None, Item | None]:
    """The old and the new image kept in an overflow object.

    Raises:
        IntegrityError: the object is not the one that was written.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as compressed:
            # Few bytes can be made many: no more are wanted than were written.
            content = compressed.read(_most_content(pointer) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise IntegrityError(f"overflow object {pointer.key} cannot be decompressed") from error
    if len(content) != pointer.size or hashlib.sha256(content).hexdigest() != pointer.sha256:
        raise IntegrityError(f"overflow object {pointer.key} is not the one that was written")
    try:
        images = json.loads(content)
        old_image, new_image = (
            read_item(images[name]) if name in images else None for name in _IMAGES
        )
    except (ValueError, TypeError, MalformedRecordError) as error:
        raise IntegrityError(f"overflow object {pointer.key} holds no images") from error
    if old_image is None and new_image is None:
        raise IntegrityError(f"overflow object {pointer.key} holds no images")
    return old_image, new_image


def _most_content(pointer: OverflowPointer) -> int:
    # A size below zero would ask for all there is.
    return min(max(pointer.size, 0), _MOST_CONTENT_BYTES)
