"""Strategies for everything DynamoDB may hold, in wire form, as it may be spelled."""

import json
from decimal import Decimal

from hypothesis import strategies as st

from stream_core.attribute_values import MAX_CONTAINERS
from tests.factories import FIRST_SEQUENCE, NOON, STREAM_ARN, api_record, lambda_record

_ODD_NAMES = ["S", "N", "B", "M", "L", "NULL", "BOOL", "SS", "s", "null", "a.b", "#x", ":y", "é"]
_ODD_NAMES += ["e\u0301", "aws:rep:deleting", "Id", " ", "\ud800", "😀", "\u0000"]
MAX_DIGITS, MIN_MAGNITUDE, MAX_MAGNITUDE = 38, -130, 125


def _over_the_wire(text):
    """Two lone surrogates side by side are one character once they went through JSON."""
    return json.loads(json.dumps(text))


texts = st.text(st.characters(exclude_categories=()), max_size=6).map(_over_the_wire)
names = st.sampled_from(_ODD_NAMES) | texts.filter(bool)
binaries = st.binary(max_size=12)


@st.composite
def numbers(draw):
    """A legal number in any spelling: plain or with an exponent, with needless zeros or not."""
    digits = str(draw(st.integers(1, 10 ** draw(st.integers(1, MAX_DIGITS)) - 1)))
    magnitude = draw(
        st.integers(MIN_MAGNITUDE, MAX_MAGNITUDE) | st.sampled_from([-130, -129, -1, 0, 1, 37, 125])
    )
    # Built from its parts: arithmetic would round to 28 digits.
    sign, exponent = draw(st.integers(0, 1)), magnitude - len(digits) + 1
    number = Decimal((sign, tuple(map(int, digits)), exponent))
    return draw(spellings(draw(st.sampled_from([number] * 6 + [Decimal(0), Decimal("-0")]))))


@st.composite
def spellings(draw, number):
    """Texts that all mean the number."""
    sign, digits, exponent = number.as_tuple()
    prefix = "-" if sign else draw(st.sampled_from(["", "", "+"]))
    plain = format(number.copy_abs(), "f")
    more = "0" * draw(st.integers(0, 3))
    point = "" if "." in plain else "."
    mantissa = "".join(map(str, digits))
    body = draw(
        st.sampled_from(
            [
                plain,
                more + plain,
                f"{plain}{point}{more}" if more else plain,
                f"{mantissa}E{exponent:+d}",
                f"{more}{mantissa}{more}e{exponent - len(more)}",
                f"{mantissa}.{more}E{exponent}",
                f".{mantissa}E{exponent + len(mantissa)}",
            ]
        )
    )
    return prefix + body


def _set_of(members, identity=lambda member: member):
    return st.lists(members, min_size=1, max_size=4, unique_by=identity)


_scalars = st.one_of(
    st.builds(lambda text: {"S": text}, texts),
    st.builds(lambda number: {"N": number}, numbers()),
    st.builds(lambda data: {"B": data}, binaries),
    st.builds(lambda truth: {"BOOL": truth}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda members: {"SS": members}, _set_of(texts)),
    st.builds(lambda members: {"NS": members}, _set_of(numbers(), Decimal)),
    st.builds(lambda members: {"BS": members}, _set_of(binaries)),
)


def _containers(children):
    return st.builds(lambda members: {"L": members}, st.lists(children, max_size=3)) | st.builds(
        lambda members: {"M": members}, st.dictionaries(names, children, max_size=3)
    )


def _deep(value, depth):
    for level in range(depth):
        value = {"L": [value]} if level % 2 else {"M": {"S": value}}
    return value


values = st.recursive(_scalars, _containers, max_leaves=8) | st.builds(
    _deep, _scalars, st.integers(0, MAX_CONTAINERS)
)
items = st.dictionaries(names, values, max_size=5)

_FEW = [{"N": "1"}, {"N": "1.0"}, {"N": "10e-1"}, {"S": "1"}, {"S": ""}, {"B": b"1"}, {"B": b""}]
_FEW += [{"BOOL": True}, {"NULL": True}, {"SS": ["1"]}, {"NS": ["1"]}, {"NS": ["1", "2"]}]
_FEW += [{"NS": ["2.0", "1"]}, {"BS": [b"1"]}, {"L": []}, {"M": {}}, {"N": "0"}, {"N": "-0"}]
few_values = st.recursive(st.sampled_from(_FEW), _containers, max_leaves=3)
few_items = st.dictionaries(st.sampled_from(["a", "S"]), few_values, max_size=2)
"""Items so alike that two of them are often equal, though not spelled alike."""


@st.composite
def respelled(draw, value):
    """The same value with names and members in another order and numbers spelled anew."""
    ((tag, content),) = value.items()
    match tag:
        case "N":
            content = draw(spellings(Decimal(content)))
        case "SS" | "BS":
            content = draw(st.permutations(content))
        case "NS":
            content = [draw(spellings(Decimal(n))) for n in draw(st.permutations(content))]
        case "L":
            content = [draw(respelled(member)) for member in content]
        case "M":
            content = draw(respelled_items(content))
    return {tag: content}


@st.composite
def respelled_items(draw, item):
    """The same item, spelled otherwise."""
    names = draw(st.permutations(list(item)))
    return {name: draw(respelled(item[name])) for name in names}


_KEY_VALUES = {
    "S": st.builds(lambda text: {"S": text}, st.text("a\\|", min_size=1, max_size=4) | texts),
    "N": st.builds(lambda number: {"N": number}, st.sampled_from(["1", "1.0", "-1"]) | numbers()),
    "B": st.builds(lambda data: {"B": data}, binaries),
}
key_schemas = st.lists(st.sampled_from("SNB"), min_size=1, max_size=2)


def keys_of(schema):
    """Keys of a table with such key attributes."""
    names = ["pk", "sk"][: len(schema)]
    return st.fixed_dictionaries(
        {name: _KEY_VALUES[kind] for name, kind in zip(names, schema, strict=True)}
    )


def pairs_of_keys():
    """Two keys of one table."""
    return key_schemas.flatmap(lambda schema: st.tuples(keys_of(schema), keys_of(schema)))


sequences = st.integers(0, 10**40 - 1) | st.sampled_from([9, 10, FIRST_SEQUENCE, 10**39])


@st.composite
def record_pairs(draw):
    """One record in the shape of the streams API and in Lambda's."""
    keys = draw(key_schemas.flatmap(keys_of))
    kind = draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE"]))
    old = None if kind == "INSERT" else draw(items) | keys
    new = None if kind == "REMOVE" else draw(items) | keys
    options = {
        "keys": keys,
        "sequence": draw(sequences),
        "at": NOON + draw(st.integers(0, 10**6)) + draw(st.sampled_from([0, 0.5, 0.25])),
        "user_identity": draw(st.sampled_from([None, ("Service", "dynamodb.amazonaws.com")])),
    }
    return api_record(old, new, **options), lambda_record(old, new, **options)


def changes(read_record):
    """Changes, read by the given reader."""
    return record_pairs().map(lambda pair: read_record(pair[0], STREAM_ARN))
