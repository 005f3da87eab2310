"""The key schema of the source table, and reading the keys people give."""

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from reports.errors import KeyShapeError, shown
from stream_core.attribute_values import Item, canonical_number, read_item
from stream_core.errors import MalformedRecordError

Key: TypeAlias = Mapping[str, Any] | str | int | Decimal | bytes
"""An item's key by attribute name, as Python or wire values; as text as on the command line; or the
value alone where the key is one attribute. A value of numpy is what it stands for."""
_EXAMPLES = {"S": "text", "N": "1", "B": "AAE="}
_KINDS = {"S": "a text", "N": "a number", "B": "base64"}


@dataclass(frozen=True)
class KeySchema:
    """Names and types (`S`, `N` or `B`) of a table's one or two key attributes."""

    types: Mapping[str, str]

    @classmethod
    def of_keys(cls, keys: Item) -> "KeySchema":
        """The schema that an item's key shows."""
        return cls({name: tag for name, value in keys.items() for tag in value})

    def __str__(self) -> str:
        return ", ".join(f"{name} ({tag})" for name, tag in self.types.items())

    def key_of(self, key: Any) -> Item:
        """A key as Python gives it: by attribute name, or the value alone of a simple one.

        Args:
            key: Python or wire values by name, also numpy's; text as on the command line; or, where
                the key is one attribute, its number or bytes.

        Raises:
            KeyShapeError: names or types are not those of the table's key.
        """
        if isinstance(key, str):
            return self.key_of_line(key)
        if not isinstance(key, Mapping):
            if len(self.types) != 1:
                raise self._refusal(f"{shown(key)} does not name its attributes")
            key = dict.fromkeys(self.types, key)
        if key.keys() != self.types.keys():
            raise self._refusal(f"it has {', '.join(map(str, key)) or 'no attributes'}")
        return {name: self._value(name, key[name]) for name in self.types}

    def key_of_text(self, words: Sequence[str]) -> Item:
        """A key from a command line: a plain value, `name=value` pairs, or JSON.

        Raises:
            KeyShapeError: the words do not make a key of the table.
        """
        if len(words) == 1 and (key := self._json(words[0])) is not None:
            return self.key_of(key)
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        if len(pairs) == len(words) and pairs.keys() <= self.types.keys():
            return self._key_of_texts(pairs)
        if len(words) == len(self.types) == 1:
            (name,) = self.types
            return self._key_of_word(name, words[0])
        raise self._refusal(f"'{' '.join(words)}' does not make one")

    def key_of_line(self, line: str) -> Item:
        """A key in one text, as on the command line; two words are told apart as a shell does.

        Raises:
            KeyShapeError: the text does not make a key of the table.
        """
        # A single value is the text as it stands, whatever it has of spaces and quotes.
        if len(self.types) == 1 or line.startswith("{"):
            return self.key_of_text([line])
        try:
            return self.key_of_text(shlex.split(line))
        except ValueError:
            raise self._refusal(f"the quotes of '{line}' do not close") from None

    def _key_of_word(self, name: str, word: str) -> Item:
        try:
            return self._key_of_texts({name: word})
        except KeyShapeError:
            # What is not the key's value may have been meant for another form of it.
            if word.startswith("{"):
                raise self._refusal(f"'{word}' is no JSON that names {name}") from None
            other, is_pair, _ = word.partition("=")
            if is_pair:
                raise self._refusal(f"it has no attribute {other}") from None
            raise

    def _key_of_texts(self, texts: Mapping[str, str]) -> Item:
        return self.key_of({name: {self.types[name]: text} for name, text in texts.items()})

    def _json(self, word: str) -> dict[str, Any] | None:
        if not word.startswith("{"):
            return None
        try:
            key = json.loads(word, parse_int=Decimal, parse_float=Decimal)
        except ValueError:
            return None
        # A text key may look like JSON; it is one only if it names the key's attributes.
        return key if key.keys() & self.types.keys() else None

    def _value(self, name: str, value: Any) -> Item:
        tag = self.types[name]
        try:
            return _wire(tag, value)
        except (MalformedRecordError, ValueError, TypeError):
            raise self._refusal(f"{name} {_trouble(tag, value)}") from None

    def _refusal(self, why: str) -> KeyShapeError:
        example = " ".join(f"{name}={_EXAMPLES[tag]}" for name, tag in self.types.items())
        return KeyShapeError(
            f"not a key of the table: {why}; its key is {self}: give e.g. {example}"
        )


def _trouble(tag: str, value: Any) -> str:
    if tag == "N" and isinstance(value, float):
        return f"is the float {value!r}, from which the number meant cannot be told: use Decimal"
    return f"is not {_KINDS[tag]}"


def _wire(tag: str, value: Any) -> Item:
    if type(value).__module__ == "numpy":
        # What a frame's cell holds is the Python value that it stands for.
        value = value.item()
    if isinstance(value, Mapping):
        wire = read_item({tag: dict(value)})[tag]
    else:
        wire = {_tag_of(value): value if isinstance(value, bytes) else str(value)}
    if wire.keys() != {tag} or not wire[tag]:
        raise TypeError
    return {"N": canonical_number(wire["N"])} if tag == "N" else wire


def _tag_of(value: Any) -> str:
    if isinstance(value, bool):
        raise TypeError
    for kind, tag in ((int, "N"), (Decimal, "N"), (bytes, "B"), (str, "S")):
        if isinstance(value, kind):
            return tag
    raise TypeError


def key_text(keys: Item) -> str:
    """A key for a person to read: `Id=1`."""
    parts = []
    for name, value in keys.items():
        ((tag, content),) = value.items()
        text = base64.b64encode(content).decode("ascii") if tag == "B" else str(content)
        parts.append(f"{name}={text}")
    return " ".join(parts)
