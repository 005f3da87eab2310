"""For every legal value: nothing is lost in reading, and equal means equal."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_core.attribute_values import (
    canonical_json,
    canonical_number,
    containers,
    digest,
    item_size,
    read_item,
    same_item,
)
from stream_core.errors import MalformedRecordError
from stream_core.item_id import item_id
from tests.factories import lambda_form
from tests.strategies import (
    MAX_DIGITS,
    MAX_MAGNITUDE,
    MIN_MAGNITUDE,
    few_items,
    items,
    numbers,
    pairs_of_keys,
    respelled_items,
    spellings,
)


def meaning(value):
    """What a value means, by Python's own decimals and sets, every part with its type."""
    ((tag, content),) = value.items()
    if tag == "N":
        return tag, Decimal(content)
    if tag == "NS":
        return tag, frozenset(map(Decimal, content))
    if tag in ("SS", "BS"):
        return tag, frozenset(content)
    if tag == "L":
        return tag, tuple(map(meaning, content))
    if tag == "M":
        return tag, item_meaning(content)
    return tag, type(content), content


def item_meaning(item):
    return frozenset((name, meaning(value)) for name, value in item.items())


@given(items)
def test_reading_keeps_every_value_verbatim(item):
    """FACTS 9.1-9.23: types, digits, bytes, members and names come out as they went in."""
    from_lambda = read_item(lambda_form(item))
    from_api = read_item(item)

    assert from_lambda == from_api == item
    assert list(from_lambda) == list(item)


@given(items)
def test_equality_does_not_depend_on_spelling_or_shape(item):
    """An item equals itself, whichever shape it came in."""
    assert canonical_json(read_item(lambda_form(item))) == canonical_json(item)


@given(st.data(), items)
def test_an_item_equals_its_respelling(data, item):
    """Order of names and members and the spelling of numbers are no difference."""
    other = data.draw(respelled_items(item))

    assert item_meaning(other) == item_meaning(item)
    assert canonical_json(other) == canonical_json(item)
    assert digest(other) == digest(item)
    assert same_item(other, item)


@given(few_items, few_items)
def test_items_are_equal_when_they_mean_the_same_and_only_then(one, other):
    """The canonical form agrees with Python's decimals and sets about what is equal."""
    equal = item_meaning(one) == item_meaning(other)

    assert (canonical_json(one) == canonical_json(other)) is equal
    assert (digest(one) == digest(other)) is equal
    assert same_item(one, other) is equal


@given(items, items)
def test_different_items_have_different_canonical_forms(one, other):
    """What means something else is spelled otherwise."""
    equal = item_meaning(one) == item_meaning(other)

    assert (canonical_json(one) == canonical_json(other)) is equal


@given(numbers())
@example("1" * MAX_DIGITS + "0" * 88)
@example("-0")
@example("0E-200")
def test_canonical_numbers_keep_their_value(text):
    """The canonical spelling is exact, plain, minimal and its own canonical spelling."""
    canonical = canonical_number(text)

    assert Decimal(canonical) == Decimal(text)
    assert canonical_number(canonical) == canonical
    digits = canonical.removeprefix("-")
    assert set(digits) <= set("0123456789.")
    assert digits == "0" or not digits.startswith("0") or digits.startswith("0.")
    assert not ("." in digits and digits.endswith(("0", ".")))
    assert canonical != "-0"


@given(st.data(), numbers())
def test_all_spellings_of_a_number_have_one_canonical_form(data, text):
    """However a number is spelled, it is the same number."""
    assert canonical_number(data.draw(spellings(Decimal(text)))) == canonical_number(text)


@given(numbers(), numbers())
def test_different_numbers_have_different_canonical_forms(one, other):
    """Canonical texts are equal when the numbers are, and only then."""
    assert (canonical_number(one) == canonical_number(other)) is (Decimal(one) == Decimal(other))


@given(st.text("0123456789+-.eE_ nNaAiI\n\u0661", max_size=8))
def test_what_is_accepted_is_a_number_and_what_is_refused_is_none(text):
    """FACTS 9.10: the reader takes exactly the plain and exponent spellings of finite numbers."""
    try:
        value = (
            Decimal(text) if text.isascii() and "_" not in text and text.strip() == text else None
        )
    except ArithmeticError:
        value = None

    if value is None or not value.is_finite():
        with pytest.raises(MalformedRecordError):
            canonical_number(text)
    elif not value or MIN_MAGNITUDE <= value.adjusted() <= MAX_MAGNITUDE:
        assert Decimal(canonical_number(text)) == value
    else:
        with pytest.raises(MalformedRecordError, match="out of range"):
            canonical_number(text)


@given(st.integers(10**MAX_DIGITS, 10**80).filter(lambda n: n % 10), st.integers(-200, 200))
def test_more_digits_than_dynamodb_has_are_refused(digits, exponent):
    """FACTS 9.10: 39 significant digits are no number of DynamoDB, whatever the exponent."""
    with pytest.raises(MalformedRecordError, match="38 significant digits"):
        canonical_number(f"{digits}e{exponent}")


@given(items)
def test_every_legal_item_can_be_measured(item):
    """Size and depth are known for everything that can be read."""
    assert item_size(item) >= sum(len(name) for name in item)
    assert 0 <= containers(item) <= 31


@given(pairs_of_keys())
@example(
    ({"pk": {"S": "a" * 2048 + "b"}, "sk": {"S": "c"}}, {"pk": {"S": "a" * 2049}, "sk": {"S": "c"}})
)
def test_ids_tell_all_keys_of_a_table_apart(pair):
    """FACTS 9.51: two keys share an id when they are the same key, and only then."""
    one, other = pair

    assert (item_id(one) == item_id(other)) is (item_meaning(one) == item_meaning(other))
    assert len(item_id(one).encode("utf-8", "surrogatepass")) <= 2048


@given(st.data(), pairs_of_keys())
def test_ids_do_not_depend_on_the_spelling_of_a_key(data, pair):
    """FACTS 9.42: a key has one id, however its numbers are spelled and its names ordered."""
    key, _ = pair

    assert item_id(data.draw(respelled_items(key))) == item_id(key)
