"""What DynamoDB refuses and how much it answers at once, for the doubles that stand in for it.

As AWS documents it, whatever an emulator makes of it:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

import re
from decimal import Context, Decimal
from itertools import accumulate, takewhile

from botocore.exceptions import ClientError

from stream_core.attribute_values import MAX_CONTAINERS, containers, item_size

MAX_STATEMENTS, MAX_WRITES, MAX_READS = 25, 25, 100
MAX_ITEM_BYTES = 400 * 1024
MAX_PAGE_BYTES, MAX_BATCH_BYTES = 1024 * 1024, 16 * 1024 * 1024
MAX_EXPRESSION_BYTES, MAX_OPERATORS = 4096, 300
MAX_DIGITS = 38
_EXACT = Context(prec=300)
_OPERATOR = re.compile(r"[=<>]+|\b(?:AND|OR|NOT|IN|BETWEEN|\w+(?=\())")
_PLACEHOLDER = re.compile(r"[#:]\w+")
_BETWEEN = re.compile(r"BETWEEN (:\w+) AND (:\w+)")


def invalid(message):
    """The error of a request that the service does not take."""
    return ClientError(
        {
            "Error": {"Code": "ValidationException", "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        },
        "Operation",
    )


def check_item(item, key_names):
    """Refuse an item that no table takes."""
    if any(not _key_content(item, name) for name in key_names):
        raise invalid("One or more parameter values are not valid: an empty key")
    check_values(item)
    if containers(item) > MAX_CONTAINERS:
        raise invalid("Nesting Levels have exceeded supported limits")
    if item_size(item) > MAX_ITEM_BYTES:
        raise invalid("Item size has exceeded the maximum allowed size")


def check_values(item):
    """Refuse numbers of too many digits and sets that are none, in wire form or in JSON."""
    for value in item.values():
        _check_value(value)


def check_batch(entries, keys, most):
    """Refuse a batch of nothing, of too much, or with a key twice."""
    if not entries:
        raise invalid("Member must have length greater than or equal to 1")
    if len(entries) > most:
        raise invalid("Too many items requested for the call")
    if len(set(keys)) < len(keys):
        raise invalid("Provided list of item keys contains duplicates")


def check_expressions(request):
    """Refuse expressions that are too long, bounds the wrong way round, and unused placeholders."""
    expressions = [text for name, text in request.items() if name.endswith("Expression")]
    for expression in expressions:
        if len(expression.encode()) > MAX_EXPRESSION_BYTES:
            raise invalid("Expression size has exceeded the maximum allowed size")
        if len(_OPERATOR.findall(expression)) > MAX_OPERATORS:
            raise invalid("The expression contains too many operators")
    used = {name for expression in expressions for name in _PLACEHOLDER.findall(expression)}
    values = request.get("ExpressionAttributeValues", {})
    if not {*request.get("ExpressionAttributeNames", {}), *values} <= used:
        raise invalid("Value provided in expression attributes unused in expressions")
    for low, high in _BETWEEN.findall(request.get("KeyConditionExpression", "")):
        if next(iter(values[low].values())) > next(iter(values[high].values())):
            raise invalid("The BETWEEN operator requires upper bound to be greater than lower")
    if request.get("IndexName") and request.get("ConsistentRead"):
        raise invalid("Consistent reads are not supported on global secondary indexes")


def within(items, most_bytes):
    """How many of the first items an answer of so many bytes holds; one at the least."""
    sizes = accumulate(map(item_size, items))
    return max(
        min(1, len(items)), sum(1 for _ in takewhile(lambda size: size <= most_bytes, sizes))
    )


def _key_content(item, name):
    return next(iter(item.get(name, {"S": ""}).values()))


def _check_value(value):
    ((tag, content),) = value.items()
    if tag == "N" and len(Decimal(content).normalize(_EXACT).as_tuple().digits) > MAX_DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    if tag in ("L", "M"):
        for member in content if tag == "L" else content.values():
            _check_value(member)
    if tag == "NS":
        for number in content:
            _check_value({"N": number})
    if tag in ("SS", "NS", "BS"):
        _check_members([Decimal(number) for number in content] if tag == "NS" else content)


def _check_members(members):
    if not members or len(set(members)) < len(members):
        raise invalid("Input collection is empty or contains duplicates")
