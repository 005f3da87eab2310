"""Frames whose values go into a Parquet file and come back as they were.

In memory a value is what it is in Python: a `Decimal`, bytes, a set, a dict. Parquet has no column
for all of them, so a column of such values is one of text, each in DynamoDB's own form
(`{"N": "1.50"}`), under a type of its own that says so. pandas reads it back as it was wherever
this module was imported, as it is by every frame; any other reader sees the text. An absent
attribute is null there, `NULL` is `{"NULL": true}`.
"""

import base64
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.states.values import value_to_python
from stream_core.attribute_values import AttributeValue

try:
    import pyarrow as pa
except ImportError:  # pragma: no cover - pandas then says what `to_parquet` needs
    pa = None


class ExactFrame(pd.DataFrame):
    """A `pandas.DataFrame` whose `to_parquet` takes exact values."""

    @property
    def _constructor(self) -> type["ExactFrame"]:
        return ExactFrame

    def to_parquet(self, path: Any = None, **options: Any) -> Any:
        """Write a Parquet file, as `pandas.DataFrame.to_parquet` does, and with its options.

        Columns of values are text of a type of this module; times, numbers, flags and texts are
        what they are.
        """
        if pa is None:  # pragma: no cover
            return super().to_parquet(path, **options)
        frame = pd.DataFrame(self)
        frame.attrs = self.attrs
        encodings: dict[int, _Encoding] = {}
        for place in range(len(frame.columns)):
            column = frame.iloc[:, place]
            encoding = _encoding_of(column) if column.dtype == object else None
            if encoding is not None:
                encodings[place] = encoding
                texts = [encoding.write(value) for value in column]
                frame.isetitem(place, np.array(texts, dtype=object))
        if isinstance(frame.index, pd.RangeIndex) and frame.index.start:
            # Beside a schema, one that does not begin at 0 would be forgotten.
            frame.index = pd.Index(frame.index.to_numpy())
        with warnings.catch_warnings():
            # pyarrow 25 asks for what pandas 3.1 warns of; so does `pandas.DataFrame.to_parquet`.
            warnings.simplefilter("ignore", DeprecationWarning)
            schema = pa.Schema.from_pandas(frame, preserve_index=options.get("index"))
        for place, encoding in encodings.items():
            schema = schema.set(place, schema.field(place).with_type(_ArrowText(encoding.name)))
        return frame.to_parquet(path, schema=schema, **options)


class _Encoding(NamedTuple):
    """How objects are kept as text, by its name in the file."""

    name: str
    write: Callable[[Any], str | None]
    read: Callable[[str | None], Any]


def _encoding_of(column: Iterable[Any]) -> _Encoding | None:
    """The plainest encoding that brings the values of a column back; None: pandas' own."""
    types = {part for value in column for part in _parts(value)}
    return next((_ENCODINGS[name] for name, takes in _TAKES.items() if types <= takes), None)


def _parts(value: Any) -> Iterator[Any]:
    """The types of a value and of all within it; of a text that is none in UTF-8 the error's."""
    match value:
        case str():
            yield str if value.isascii() or _is_unicode(value) else UnicodeError
        case dict():
            yield dict
            for name, member in value.items():
                yield from _parts(name)
                yield from _parts(member)
        case list() | set():
            yield type(value)
            for member in value:
                yield from _parts(member)
        case _:
            yield type(value)


def _is_unicode(text: str) -> bool:
    # A lone surrogate, which streams can carry, is no text to Arrow; JSON escapes it.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _wire(value: Any) -> AttributeValue:
    """The attribute value that a Python value is of, as JSON has it; see `values.to_python`."""
    match value:
        case list():
            return {"L": [_wire(member) for member in value]}
        case dict():
            return {"M": {name: _wire(member) for name, member in value.items()}}
        case set():
            ((tag, *_),) = {tuple(_wire(member)) for member in value}
            return {f"{tag}S": sorted(_wire(member)[tag] for member in value)}
    tag, write = _SCALARS[type(value)]
    return {tag: write(value)}


_SCALARS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    type(None): ("NULL", lambda _: True),
    bool: ("BOOL", bool),
    str: ("S", str),
    Decimal: ("N", str),
    bytes: ("B", lambda content: base64.b64encode(content).decode("ascii")),
}


def _python(value: AttributeValue) -> Any:
    """The Python value of an attribute value whose binary parts are base64 text."""
    match value:
        case {"B": text}:
            return base64.b64decode(text)
        case {"BS": texts}:
            return set(map(base64.b64decode, texts))
        case {"L": members}:
            return list(map(_python, members))
        case {"M": members}:
            return {name: _python(member) for name, member in members.items()}
    return value_to_python(value)


def _unless_absent(write: Callable[[Any], str]) -> Callable[[Any], str | None]:
    return lambda value: None if value is pd.NA else write(value)


def _or_absent(read: Callable[[str], Any]) -> Callable[[str | None], Any]:
    return lambda text: pd.NA if text is None else read(text)


_json = json.JSONEncoder(separators=(",", ":")).encode
_MISSING = {type(None), type(pd.NA)}
_NESTED = {str, UnicodeError, bool, list, dict, *_MISSING}
# What each encoding brings back, the plainest first.
_TAKES: dict[str, set[Any]] = {
    "text": {str, type(None)},
    "text_or_absent": {str, type(pd.NA)},
    "value": {Decimal, bytes, set, *_NESTED},
    "coerced": {float, int, *_NESTED},
}
_ENCODINGS = {
    encoding.name: encoding
    for encoding in (
        _Encoding("text", lambda value: value, lambda text: text),
        _Encoding("text_or_absent", _unless_absent(str), _or_absent(str)),
        _Encoding(
            "value",
            _unless_absent(lambda value: _json(_wire(value))),
            _or_absent(lambda text: _python(json.loads(text))),
        ),
        _Encoding("coerced", _unless_absent(_json), _or_absent(json.loads)),
    )
}


class _Objects:
    """What pandas takes an `_ArrowText` for: columns of Python objects."""

    def __init__(self, encoding: _Encoding) -> None:
        self._read = encoding.read

    def __from_arrow__(self, column: Any) -> Any:
        texts = column.cast(pa.string()).to_pylist()
        objects = np.empty((1, len(texts)), dtype=object)
        for place, text in enumerate(texts):
            objects[0, place] = self._read(text)
        # pandas.api.internals.create_dataframe_from_blocks: a plain column is a block of one row.
        return objects


if pa is not None:

    class _ArrowText(pa.ExtensionType):  # type: ignore[misc]
        """Text that stands for objects; what knows no such type reads the text."""

        def __init__(self, encoding: str) -> None:
            self.encoding = encoding
            super().__init__(pa.string(), "itemtrail.objects")

        def __arrow_ext_serialize__(self) -> bytes:
            return self.encoding.encode()

        @classmethod
        def __arrow_ext_deserialize__(cls, _storage: Any, parameters: bytes) -> "_ArrowText":
            return cls(parameters.decode())

        def to_pandas_dtype(self) -> _Objects:
            return _Objects(_ENCODINGS[self.encoding])

    pa.register_extension_type(_ArrowText("text"))
