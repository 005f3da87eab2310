"""Wire values keep their types, their digits and their bytes; everything illegal is refused."""

import base64
import json

import pytest

from stream_core.attribute_values import (
    canonical_json,
    canonical_number,
    containers,
    digest,
    item_size,
    read_item,
    same_item,
    same_value,
    wire_json,
)
from stream_core.errors import MalformedRecordError
from tests.factories import lambda_form, nested, number, text

NINES = "9" * 38
SMALLEST = "0." + "0" * 129 + "1"
PRECISE_AND_SMALL = "0." + "0" * 129 + NINES


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        pytest.param({"B": "AAE="}, {"B": b"\x00\x01"}, id="FACTS 9.1"),
        pytest.param({"BS": ["", "AQ=="]}, {"BS": [b"", b"\x01"]}, id="FACTS 9.2"),
        pytest.param(
            {"L": [{"M": {"deep": {"B": "AAE="}}}]},
            {"L": [{"M": {"deep": {"B": b"\x00\x01"}}}]},
            id="FACTS 9.3",
        ),
        pytest.param({"B": ""}, {"B": b""}, id="FACTS 9.5"),
    ],
)
def test_base64_of_a_lambda_event_becomes_bytes(wire, read):
    """FACTS 9.1, 9.2, 9.3, 9.5: binary is decoded wherever it is, and stays binary."""
    assert read_item({"a": wire}) == {"a": read}


@pytest.mark.parametrize(
    "content",
    ["AAE", "AAE==", "AA E=", "AAE=\n", "AAF=", "A-_=", "====", "Ä===", None, 7, ["AAE="], True],
)
@pytest.mark.parametrize("tag", ["B", "BS"])
def test_what_is_not_strict_base64_is_refused(tag, content):
    """FACTS 9.4: binary that is not the one strict base64 spelling of its bytes is malformed."""
    wire = {"B": content} if tag == "B" else {"BS": [content]}

    with pytest.raises(MalformedRecordError, match="B is not strict base64"):
        read_item({"a": wire})


def test_bytes_of_the_streams_api_are_taken_as_they_are():
    """Bytes that look like base64 text are not decoded a second time."""
    assert read_item({"a": {"B": b"AAE="}}) == {"a": {"B": b"AAE="}}


@pytest.mark.parametrize(
    "digits",
    [
        pytest.param(NINES + "0", id="FACTS 9.6: 39 digits ending in 0"),
        pytest.param("1" + "0" * 125, id="FACTS 9.7: 1E+125 in 126 digits"),
        pytest.param(NINES + "0" * 88, id="the greatest number"),
        pytest.param("-" + NINES + "0" * 88, id="the least number"),
        pytest.param(PRECISE_AND_SMALL[:-37], id="the smallest magnitude"),
        pytest.param("0." + "0" * 92 + NINES, id="FACTS 9.8: 38 digits, the last of them at E-130"),
        pytest.param(PRECISE_AND_SMALL, id="FACTS 9.8: 38 digits, the first of them at E-130"),
        pytest.param("1.50", id="FACTS 9.9: a trailing zero"),
        pytest.param("-0", id="minus zero"),
        pytest.param("1E+40", id="an exponent, as DynamoDB Local's PartiQL keeps it"),
    ],
)
def test_legal_numbers_stay_verbatim(digits):
    """FACTS 9.6, 9.7, 9.8, 9.9: every legal number keeps the very text it came with."""
    wire = {"a": {"N": digits}, "b": {"NS": [digits]}, "c": {"L": [{"N": digits}]}}

    assert read_item(wire) == wire


@pytest.mark.parametrize(
    "content",
    [
        *["", "NaN", "1_000", "Infinity", "-Infinity", "sNaN", " 1", "1 ", "1\n", "+", "-", "."],
        *[
            "e5",
            "1e",
            "1e+",
            "0x10",
            "1,5",
            "--1",
            "\u0661",
            "1" * 39,
            "1E126",
            "1E-131",
            "1E999999999",
        ],
        *[None, 1, 1.5, True, ["1"]],
    ],
)
def test_what_is_no_dynamodb_number_is_refused(content):
    """FACTS 9.10: other texts than numbers DynamoDB can hold are malformed, wherever they are."""
    for wire in ({"N": content}, {"NS": [content]}, {"M": {"n": {"N": content}}}):
        with pytest.raises(MalformedRecordError, match=r"^N "):
            read_item({"a": wire})


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("1.50", "1.5"),
        ("-0", "0"),
        ("0.000", "0"),
        ("0E+999", "0"),
        ("+7", "7"),
        ("007", "7"),
        ("1E2", "100"),
        ("-12.30e1", "-123"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1E-130", SMALLEST),
        ("1E+125", "1" + "0" * 125),
        ("120E-3", "0.12"),
        ("1200e-2", "12"),
    ],
)
def test_numbers_have_one_canonical_spelling(spelling, canonical):
    """A number's canonical form is plain notation, as a stream spells it."""
    assert canonical_number(spelling) == canonical


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"S": text("only")}, id="FACTS 9.11"),
        pytest.param({"S": text("key"), "Name": text("kept")}, id="FACTS 9.12"),
        pytest.param(
            {name: text(name) for name in ("M", "L", "NULL", "BOOL", "ss", "null", "B", "N", "BS")},
            id="FACTS 9.13",
        ),
        pytest.param({"a": {"M": {"S": text("v")}}}, id="FACTS 9.14"),
        pytest.param({"a": {"M": {"M": {"M": {"S": text("v")}}}}}, id="FACTS 9.14: deeper"),
    ],
)
def test_attributes_named_like_type_tags_are_attributes(item):
    """FACTS 9.11, 9.12, 9.13, 9.14: a name is a name, also when it is spelled like a type."""
    assert read_item(item) == item
    assert list(read_item(item)) == list(item)


@pytest.mark.parametrize(
    "wire",
    [
        *[{"S": "a", "N": "1"}, {"Q": "a", "S": "a"}, {}],
        *[None, "text", 7, [], [{"S": "a"}]],
    ],
)
def test_a_value_needs_exactly_one_tag(wire):
    """FACTS 9.15: two tags or none: malformed at any depth."""
    for item in ({"a": wire}, {"a": {"M": {"b": wire}}}, {"a": {"L": [text("x"), wire]}}):
        with pytest.raises(MalformedRecordError, match="type tag"):
            read_item(item)


@pytest.mark.parametrize(
    ("wire", "rule"),
    [
        ({"S": None}, "S is not a text"),
        ({"S": 7}, "S is not a text"),
        ({"S": b"a"}, "S is not a text"),
        ({"BOOL": 1}, "BOOL is not true or false"),
        ({"BOOL": "true"}, "BOOL is not true or false"),
        ({"BOOL": None}, "BOOL is not true or false"),
        ({"NULL": False}, "NULL is not true"),
        ({"NULL": 1}, "NULL is not true"),
        ({"L": {}}, "L is not a list"),
        ({"L": "ab"}, "L is not a list"),
        ({"M": []}, "M is not a map"),
        ({"M": {"": text("a")}}, "an attribute name is empty"),
        ({"SS": []}, "a set is empty or not a list"),
        ({"NS": {}}, "a set is empty or not a list"),
        ({"BS": "AAE="}, "a set is empty or not a list"),
        ({"SS": ["a", "a"]}, "a set repeats a member"),
        ({"NS": ["1", "1.0"]}, "a set repeats a member"),
        ({"BS": ["AQ==", "AQ=="]}, "a set repeats a member"),
        ({"SS": ["a", None]}, "S is not a text"),
    ],
)
def test_content_must_fit_its_tag(wire, rule):
    """Content that DynamoDB would not hold under its tag is malformed, and the rule is named."""
    with pytest.raises(MalformedRecordError, match=f"^{rule}$"):
        read_item({"a": wire})


@pytest.mark.parametrize("raw", [None, [], "item", 7])
def test_an_item_is_a_map(raw):
    """Whatever is no map is no item."""
    with pytest.raises(MalformedRecordError, match="not a map"):
        read_item(raw)


@pytest.mark.parametrize("wire", [{"Q": "a"}, {"VEC": [1.5, 2]}, {"n": "1"}, {"J": {"a": None}}])
def test_a_type_of_tomorrow_passes_as_it_is(wire):
    """What is not known is not touched, at any depth: read, written, compared and measured."""
    item = {"a": wire, "b": {"M": {"c": {"L": [wire]}}}}

    assert read_item(item) == item
    assert json.loads(canonical_json(item)) == item
    assert same_item(item, json.loads(wire_json(item)))
    assert item_size(item) > 0
    assert containers(item) == 2


@pytest.mark.parametrize("value", ["ж" * 10, "\U0001f600", "\ud800", "a\udfffж", "\\ud800"])
def test_text_goes_out_as_utf_8(value):
    """Escapes would treble a Cyrillic item; a lone surrogate, which UTF-8 lacks, stays one."""
    body = wire_json({"a": text(value)})

    assert json.loads(body) == {"a": text(value)}
    assert b"\\u" not in wire_json({"a": text("ж\U0001f600")})


def test_the_refusal_of_a_value_does_not_repeat_it():
    """Messages of malformed values are logged, so they hold no data."""
    for wire in ({"N": "canary"}, {"B": "canary!"}, {"SS": ["canary", "canary"]}):
        with pytest.raises(MalformedRecordError) as caught:
            read_item({"canary": wire})

        assert "canary" not in str(caught.value)


def test_sets_of_numbers_and_binary_stay_sets():
    """FACTS 9.17: NS and BS keep their type and every member."""
    item = {"n": {"NS": ["3", "1.0", "2"]}, "b": {"BS": [b"\x02", b"", b"\x01"]}}

    assert read_item(lambda_form(item)) == item


@pytest.mark.parametrize("wire", [{"S": ""}, {"B": b""}, {"L": []}, {"M": {}}, {"NULL": True}])
def test_empty_values_are_values(wire):
    """FACTS 9.19: an empty text, binary, list or map is kept and differs from all the others."""
    kept = read_item({"a": lambda_form(wire)})

    assert kept == {"a": wire}
    assert not same_item(kept, {})
    assert containers(kept) == (1 if "L" in wire or "M" in wire else 0)


def test_thirty_one_containers_are_legal_and_one_more_is_not():
    """FACTS 9.21: the deepest legal item is read, the next deeper one refused."""
    deepest = {"a": nested(31)}

    assert read_item(deepest) == deepest
    assert containers(deepest) == 31
    for deeper in (nested(32), {"M": {"x": nested(31)}}, nested(5_000)):
        with pytest.raises(MalformedRecordError, match="nested deeper than 32 levels"):
            read_item({"a": deeper})


def test_odd_attribute_names_are_kept_apart():
    """FACTS 9.22: dots, spaces, signs, reserved words and NFC/NFD pairs are names like any."""
    names = ["a.b", "a b", "#x", ":y", "aws:rep:deleting", "SELECT", "\u00e9", "e\u0301", "[0]"]
    item = {name: number(n) for n, name in enumerate(names)}

    assert list(read_item(item)) == names
    assert not same_item({"\u00e9": text("v")}, {"e\u0301": text("v")})
    assert not same_item({"a.b": text("v")}, {"a": {"M": {"b": text("v")}}})


@pytest.mark.parametrize("odd", ["\ud800", "\udc00x", "a\u0000b", "😀", "\ufeff"])
def test_odd_text_is_kept(odd):
    """FACTS 9.23: lone surrogates, U+0000 and emoji are read, measured and digested."""
    item = {"Id": text(odd), odd: {"SS": [odd, "plain"]}}

    kept = read_item(item)

    assert kept == item
    assert item_size(kept) > 0
    assert digest(kept) != digest(read_item({"Id": text("?"), odd: {"SS": [odd, "plain"]}}))


def test_canonical_form_is_documented_bytes():
    """The canonical form sorts names and members, normalises numbers and encodes binary."""
    item = {
        "b": {"NS": ["10", "9.0"]},
        "a": {"M": {"z": {"B": b"\x00"}, "y": {"BS": [b"b", b"a"]}}},
        "é": {"L": [{"N": "1e1"}, {"SS": ["b", "a"]}, {"NULL": True}]},
    }

    assert canonical_json(item) == (
        b'{"a":{"M":{"y":{"BS":["YQ==","Yg=="]},"z":{"B":"AA=="}}},'
        b'"b":{"NS":["10","9"]},'
        b'"\\u00e9":{"L":[{"N":"10"},{"SS":["a","b"]},{"NULL":true}]}}'
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"N": "1"}, {"S": "1"}),
        ({"N": "1"}, {"BOOL": True}),
        ({"S": "AAE="}, {"B": b"\x00\x01"}),
        ({"SS": ["1"]}, {"NS": ["1"]}),
        ({"SS": ["a"]}, {"L": [{"S": "a"}]}),
        ({"NULL": True}, {"BOOL": True}),
        ({"L": [{"N": "1"}, {"N": "2"}]}, {"L": [{"N": "2"}, {"N": "1"}]}),
        ({"S": ""}, {"NULL": True}),
    ],
)
def test_values_of_different_type_or_order_differ(one, other):
    """Types and the order of lists are part of a value."""
    assert not same_item({"a": one}, {"a": other})
    assert digest({"a": one}) != digest({"a": other})


def test_an_absent_item_equals_only_an_absent_item():
    """No item is not an empty item."""
    assert same_item(None, None)
    assert not same_item(None, {})
    assert not same_item({"a": text("v")}, None)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"ab": {"S": "cde"}}, 5),
        ({"ab": {"S": "é€😀"}}, 2 + 2 + 3 + 4),
        ({"é": {"BOOL": True}}, 3),
        ({"a": {"NULL": True}}, 2),
        ({"a": {"B": bytes(10)}}, 11),
        ({"a": {"SS": ["ab", "c"]}}, 4),
        ({"a": {"BS": [b"ab", b""]}}, 3),
        ({"a": {"L": []}}, 4),
        ({"a": {"L": [{"S": "ab"}]}}, 1 + 3 + 1 + 2),
        ({"a": {"M": {"bc": {"S": "d"}}}}, 1 + 3 + 1 + 3),
    ],
)
def test_items_are_measured_as_dynamodb_does(item, size):
    """Sizes follow the Developer Guide: names, UTF-8, three bytes a container, one a member."""
    assert item_size(item) == size


def test_numbers_are_never_measured_too_small():
    """A number takes at most 21 bytes, and about one byte for two significant digits."""
    assert item_size({"a": number(NINES + "0")}) == 1 + 22
    assert item_size({"a": number("1" + "0" * 125)}) == item_size({"a": number("7")}) <= 5


def test_wire_json_keeps_spellings():
    """Outside the canonical form nothing is normalised: order and digits stay."""
    item = {"a": {"N": "1.50"}, "b": {"SS": ["z", "a"]}, "c": {"B": b"\x00\x01"}}

    encoded = base64.b64encode(b"\x00\x01").decode()
    assert wire_json(item) == (
        b'{"a":{"N":"1.50"},"b":{"SS":["z","a"]},"c":{"B":"' + encoded.encode() + b'"}}'
    )


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (number("1.50"), number("1.5"), True),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        (number(1), text("1"), False),
        ({"NULL": True}, None, False),
        (None, text(""), False),
        (None, None, True),
    ],
)
def test_values_compare_as_dynamodb_means_them(first, second, same):
    """By value and type; that there is none is no value."""
    assert same_value(first, second) is same
