"""Spelling a question for an engine: sqlglot's translation, and what it does not know of.

Images are JSON of wire values (`{"State": {"S": "open"}}`), and every engine has its own functions
for JSON, with its own idea of how a name with a quote or a dot is written in a path. So questions
say what they mean by functions of no engine, which are put into its own words here:

    WIRE_VALUE(image, path)   the wire value at an attribute's path, as JSON; null: there is none
    WIRE_TYPE(value)          its type: S, N, BOOL, ...
    WIRE_TEXT(value)          its text; of a set, list or map the JSON within
    TEXT_FIELD(json, name)    the text of a field of a JSON object
    MICROSECONDS(time)        microseconds since 1970

JSON may escape half of a surrogate pair, which is no character and which engines refuse or bend:
it is read as the six characters that it is written with.
"""

import json
import re
from collections.abc import Callable
from typing import TypeAlias

from sqlglot import exp

DUCKDB, SPARK, ATHENA = "duckdb", "spark", "athena"

_HALF = re.compile("[\ud800-\udfff]")
# A backslash that is one, or a whole pair, stays; half of a pair gets another backslash.
_HALF_PAIRS = r"(\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|(\\)(ud[89a-f])"
_Rule: TypeAlias = Callable[[exp.Expr], exp.Expr]


def spelled(tree: exp.Expr, dialect: str) -> str:
    """A tree in DuckDB's dialect as SQL of an engine."""
    tree = tree.copy()
    rules = _RULES[dialect]
    # From the inside outwards: an argument may be such a function too.
    for node in reversed(list(tree.find_all(exp.Anonymous, exp.Cast))):
        name = "CAST" if isinstance(node, exp.Cast) else node.name.upper()
        if name in rules:
            node.replace(rules[name](node))
    return tree.sql(dialect=dialect, copy=False, comments=False)


def _call(name: str, *arguments: exp.Expr | str | int) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[_argument(argument) for argument in arguments])


def _argument(value: exp.Expr | str | int) -> exp.Expr:
    if isinstance(value, exp.Expr):
        return value.copy()
    return exp.Literal.number(value) if isinstance(value, int) else exp.Literal.string(value)


def _steps(path: exp.Expr) -> list[str | int]:
    """From an image to the wire value at a path, its type tags included."""
    steps: list[str | int] = []
    for step in json.loads(path.name):
        if steps:
            steps.append("L" if isinstance(step, int) else "M")
        steps.append(step if isinstance(step, int) else _HALF.sub(_six_characters, step))
    return steps


def _six_characters(half: re.Match[str]) -> str:
    return f"\\u{ord(half[0]):04x}"


def _whole(image: exp.Expr, has_any: exp.Expr, fixed: exp.Expr) -> exp.Expr:
    """An image without half pairs; most have none, and are not searched for them."""
    return exp.case().when(has_any, fixed).else_(image.copy())


def _wire_type(node: exp.Expr) -> exp.Expr:
    return _call("SPLIT_PART", node.expressions[0], '"', 2)


def _wire_text(text_of: Callable[[exp.Expr], exp.Expr]) -> _Rule:
    """The text of a wire value in JSON without spaces: `{"N":"1"}`, `{"BOOL":true}`."""

    def rule(node: exp.Expr) -> exp.Expr:
        value, tag, length = node.expressions[0], _wire_type(node), _length(node.expressions[0])
        number = _substring(value, exp.Literal.number(7), exp.Sub(this=length, expression=_n(8)))
        before = exp.Add(this=_length(tag), expression=_n(5))
        inner = exp.Sub(this=length.copy(), expression=exp.Paren(this=before.copy()))
        return (
            exp.case(tag)
            .when(_argument("S"), text_of(value))
            .when(_argument("N"), number)
            .when(_argument("B"), number)
            .when(_argument("NULL"), exp.null())
            .else_(_substring(value, before, inner))
        )

    return rule


def _n(number: int) -> exp.Expr:
    return exp.Literal.number(number)


def _length(text: exp.Expr) -> exp.Expr:
    return exp.Length(this=text.copy())


def _substring(text: exp.Expr, start: exp.Expr, size: exp.Expr) -> exp.Expr:
    return exp.Substring(this=text.copy(), start=start.copy(), length=size.copy())


def _duckdb_json(text: exp.Expr) -> exp.Expr:
    fixed = _call("REGEXP_REPLACE", text, _HALF_PAIRS, r"\1\2\2\3", "g")
    return _whole(text, _call("CONTAINS", text, r"\ud"), fixed)


def _in_duckdb(node: exp.Expr) -> exp.Expr:
    image, path = node.expressions
    # A JSON pointer: any name can be written in it.
    pointer = "".join(
        f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in _steps(path)
    )
    value = _call("JSON_EXTRACT", _duckdb_json(image), pointer)
    return exp.cast(value, exp.DataType.Type.TEXT)


def _spark_json(text: exp.Expr) -> exp.Expr:
    fixed = _call("REGEXP_REPLACE", text, _HALF_PAIRS, "$1$2$2$3")
    return _whole(text, _call("CONTAINS", text, r"\ud"), fixed)


def _in_spark(node: exp.Expr) -> exp.Expr:
    image, path = node.expressions
    value = _spark_json(image)
    # Its JSON paths have no way to write a name with a quote.
    for step in _steps(path):
        value = (
            _call("GET", _call("FROM_JSON", value, "ARRAY<STRING>"), step)
            if isinstance(step, int)
            else _spark_field(value, step)
        )
    return value


def _spark_field(value: exp.Expr, name: str) -> exp.Expr:
    return _call("TRY_ELEMENT_AT", _call("FROM_JSON", value, "MAP<STRING, STRING>"), name)


def _athena_json(text: exp.Expr) -> exp.Expr:
    fixed = _call("REGEXP_REPLACE", text, _HALF_PAIRS, "$1$2$2$3")
    has_any = exp.GT(this=_call("STRPOS", text, r"\ud"), expression=_n(0))
    return _whole(text, has_any, fixed)


def _in_athena(node: exp.Expr) -> exp.Expr:
    image, path = node.expressions
    json_path = "$" + "".join(map(_athena_step, _steps(path)))
    return _call("JSON_FORMAT", _call("JSON_EXTRACT", _athena_json(image), json_path))


def _athena_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    quoted = step.replace("\\", "\\\\").replace('"', '\\"')
    return f'["{quoted}"]'


def _athena_time(node: exp.Expr) -> exp.Expr:
    """Its tables have no time zone: all that is stored is UTC."""
    if not node.is_type(exp.DataType.Type.TIMESTAMPTZ):
        return node
    moment = node.this
    if moment.is_string:
        moment = _argument(moment.name.replace("T", " ").removesuffix("Z"))
    return exp.cast(moment, exp.DataType.Type.TIMESTAMP)


_RULES: dict[str, dict[str, _Rule]] = {
    DUCKDB: {
        "WIRE_VALUE": _in_duckdb,
        "WIRE_TYPE": _wire_type,
        "WIRE_TEXT": _wire_text(lambda value: _call("JSON_EXTRACT_STRING", value, "/S")),
        "TEXT_FIELD": lambda node: _call(
            "JSON_EXTRACT_STRING", _duckdb_json(node.expressions[0]), f"/{node.expressions[1].name}"
        ),
        "MICROSECONDS": lambda node: _call("EPOCH_US", *node.expressions),
    },
    SPARK: {
        "WIRE_VALUE": _in_spark,
        "WIRE_TYPE": _wire_type,
        "WIRE_TEXT": _wire_text(lambda value: _spark_field(value, "S")),
        "TEXT_FIELD": lambda node: _spark_field(
            _spark_json(node.expressions[0]), node.expressions[1].name
        ),
        "MICROSECONDS": lambda node: _call("UNIX_MICROS", *node.expressions),
    },
    ATHENA: {
        "CAST": _athena_time,
        "WIRE_VALUE": _in_athena,
        "WIRE_TYPE": _wire_type,
        "WIRE_TEXT": _wire_text(lambda value: _call("JSON_EXTRACT_SCALAR", value, '$["S"]')),
        "TEXT_FIELD": lambda node: _call(
            "JSON_EXTRACT_SCALAR",
            _athena_json(node.expressions[0]),
            f'$["{node.expressions[1].name}"]',
        ),
        "MICROSECONDS": lambda node: exp.cast(
            exp.Mul(this=_call("TO_UNIXTIME", *node.expressions), expression=_n(1_000_000)),
            exp.DataType.Type.BIGINT,
        ),
    },
}
