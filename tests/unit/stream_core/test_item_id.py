"""An item's key becomes one text, and no two items of a table share it."""

import hashlib

import pytest

from stream_core.errors import MalformedRecordError
from stream_core.item_id import item_id, key_digest
from tests.factories import number, text


@pytest.mark.parametrize(
    ("keys", "identifier"),
    [
        ({"Id": text("item|42\\")}, "item|42\\"),
        ({"Id": number("101")}, "101"),
        ({"Id": number("1.0")}, "1"),
        ({"Id": number("1e0")}, "1"),
        ({"Id": {"B": b"\x00\x01"}}, "AAE="),
        ({"Id": text("a"), "Sort": number("7.50")}, "a|7.5"),
        ({"Id": text("a|b"), "Sort": text("c\\d")}, "a\\|b|c\\\\d"),
        ({"Id": {"B": b"\xff"}, "Sort": text("")}, "/w==|"),
    ],
)
def test_ids_are_the_documented_text(keys, identifier):
    """FACTS 9.42: text as it is, numbers in plain decimal, binary as base64, two keys joined."""
    assert item_id(keys) == identifier


def test_the_order_of_the_key_attributes_does_not_matter():
    """Lambda gives no order of Keys, so names decide."""
    one = {"Sort": number(2), "Id": text("a")}
    other = {"Id": text("a"), "Sort": number(2)}

    assert item_id(one) == item_id(other) == "a|2"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("b#c", "x"), ("b", "c#x")),
        (("a|b", "c"), ("a", "b|c")),
        (("a\\", "|b"), ("a\\|", "b")),
        (("a\\|", "b"), ("a", "\\|b")),
        (("", "a"), ("a", "")),
        (("|", ""), ("", "|")),
    ],
)
def test_composite_keys_never_collide(one, other):
    """FACTS 9.51: separators inside of values do not make two keys one."""
    ids = {item_id({"a": text(first), "b": text(second)}) for first, second in (one, other)}

    assert len(ids) == 2


def test_the_longest_key_still_has_an_id_that_fits():
    """FACTS 9.50: 2048 bytes and 1024 bytes of key are told apart by their digest."""
    longest = {"pk": text("p" * 2048), "sk": text("s" * 1024)}
    almost = {"pk": text("p" * 2048), "sk": text("s" * 1023 + "t")}

    identifier = item_id(longest)

    whole = ("p" * 2048 + "|" + "s" * 1024).encode()
    assert identifier == "sha256:" + hashlib.sha256(whole).hexdigest()
    assert item_id(almost) != identifier


def test_a_text_key_of_2048_bytes_stays_readable():
    """FACTS 9.50: a single text key always fits, so it is never replaced by a digest."""
    assert item_id({"Id": text("k" * 2048)}) == "k" * 2048
    assert item_id({"Id": text("é" * 1024)}) == "é" * 1024
    assert item_id({"Id": {"B": bytes(2048)}}).startswith("sha256:")


def test_the_length_of_an_id_is_counted_in_bytes():
    """FACTS 9.50: a short text of long characters is too long as well."""
    keys = {"pk": text("é" * 1000), "sk": text("é" * 24)}

    assert item_id(keys | {"sk": text("é" * 23)}).startswith("é")
    assert item_id(keys).startswith("sha256:")


@pytest.mark.parametrize("odd", ["\ud800", "a\u0000b", "😀"])
def test_odd_texts_have_ids_and_digests(odd):
    """FACTS 9.23: surrogates, U+0000 and emoji in a key do not stop anything."""
    assert item_id({"Id": text(odd)}) == odd
    assert len(key_digest(odd)) == 16
    assert key_digest(odd) != key_digest(odd + "x")


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"a": text("1"), "b": text("2"), "c": text("3")},
        {"a": {"BOOL": True}},
        {"a": {"M": {}}},
        {"a": {"SS": ["x"]}},
        {"a": text("1"), "b": {"NULL": True}},
        {"a": {"B": "AAE="}},
    ],
)
def test_what_is_no_key_is_malformed(keys):
    """Keys of other types, or more or fewer than a table has, are refused."""
    with pytest.raises(MalformedRecordError, match=r"^Keys|^a key attribute"):
        item_id(keys)


def test_a_key_digest_hides_the_key():
    """What is logged in place of a key does not contain it."""
    assert "canary" not in key_digest("canary")
