"""What a DynamoDB has to refuse, or to answer in parts: the same for doubles, moto and MiniStack.

A probe is a function of a client and of the names of two tables: one of items whose key is the
text `Id`, and a history with its index. It gives what came of it; a refusal is `REFUSED`.
"""

from botocore.exceptions import ClientError, ParamValidationError

from tests.factories import item, nested, number, text

REFUSED = "refused"


def outcome(probe, client, items, history):
    """What came of a probe."""
    try:
        return probe(client, items, history)
    except ParamValidationError:
        # The client knows so much itself.
        return REFUSED
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return REFUSED if code == "ValidationException" else code


def _write(*news):
    def probe(client, items, _history):
        puts = [{"PutRequest": {"Item": new}} for new in news]
        client.batch_write_item(RequestItems={items: puts})
        return "accepted"

    return probe


def _write_nothing(client, _items, _history):
    client.batch_write_item(RequestItems={})
    return "accepted"


def _insert(new):
    def probe(client, items, _history):
        fields = ", ".join(f"'{name}': ?" for name in new)
        statement = {
            "Statement": f'INSERT INTO "{items}" VALUE {{{fields}}}',
            "Parameters": [*new.values()],
        }
        (answer,) = client.batch_execute_statement(Statements=[statement])["Responses"]
        return answer.get("Error", {}).get("Code", "accepted")

    return probe


WRITES = {
    "a batch of nothing": (_write(), REFUSED),
    "a batch of no table": (_write_nothing, REFUSED),
    "26 writes": (_write(*(item(str(n)) for n in range(26))), REFUSED),
    "a key twice": (_write(item("1"), item("1", Name=text("x"))), REFUSED),
    "an empty text as key": (_write(item("")), REFUSED),
    "38 digits": (_write(item(N=number("1" * 38))), "accepted"),
    "39 digits": (_write(item(N=number("1" * 39))), REFUSED),
    "32 levels": (_write(item(N=nested(31))), "accepted"),
    "33 levels": (_write(item(N=nested(32))), REFUSED),
    "400 KB": (_write(item(N=text("x" * (409_600 - 4)))), "accepted"),
    "401 KB": (_write(item(N=text("x" * 410_624))), REFUSED),
    "an empty set": (_write(item(N={"SS": []})), REFUSED),
    "a member twice": (_write(item(N={"NS": ["1", "1.0"]})), REFUSED),
    "10 MB in one batch": (
        _write(*(item(f"w{n:02d}", N=text("x" * 400_000)) for n in range(25))),
        "accepted",
    ),
    "an insert of 33 levels": (_insert(item("i1", N=nested(32))), "ValidationError"),
    "an insert of 39 digits": (_insert(item("i2", N=number("1" * 39))), "ValidationError"),
    "an insert of 401 KB": (_insert(item("i3", N=text("x" * 410_624))), "ValidationError"),
}


def _get(*identifiers):
    def probe(client, items, _history):
        keys = [item(identifier) for identifier in identifiers]
        answer = client.batch_get_item(RequestItems={items: {"Keys": keys, "ConsistentRead": True}})
        unread = answer["UnprocessedKeys"].get(items, {"Keys": []})["Keys"]
        return len(answer["Responses"][items]), len(unread)

    return probe


def _query(condition="#i = :i AND #s BETWEEN :a AND :b", low="a", high="b", names=(), **options):
    def probe(client, _items, history):
        answer = client.query(
            TableName=history,
            KeyConditionExpression=condition,
            ExpressionAttributeNames={
                "#i": "TimeBucket" if "IndexName" in options else "Id",
                "#s": "ApproximateCreationDateTime",
                **dict.fromkeys(names, "Unused"),
            },
            ExpressionAttributeValues={":i": text("1"), ":a": text(low), ":b": text(high)},
            **{"ConsistentRead": "IndexName" not in options} | options,
        )
        return len(answer["Items"])

    return probe


MANY = [item(f"big-{n:02d}", Data=text("x" * 390_000)) for n in range(60)]
"""Items that have to be there for the probes that read."""

READS = {
    "keys of nothing": (_get(), REFUSED),
    "101 keys": (_get(*map(str, range(101))), REFUSED),
    "a key read twice": (_get("1", "1"), REFUSED),
    "23 MB of items": (_get(*(big["Id"]["S"] for big in MANY)), (43, 17)),
}
QUERIES = {
    "bounds in order": (_query(), 0),
    "bounds that are one": (_query(low="b"), 0),
    "bounds the wrong way round": (_query(low="c"), REFUSED),
    "a name that is not used": (_query(names=["#unused"]), REFUSED),
    "an index": (_query(IndexName="ByTime"), 0),
    "a consistent read of an index": (_query(IndexName="ByTime", ConsistentRead=True), REFUSED),
}


def _put_if(condition, names, values):
    def probe(client, items, _history):
        client.put_item(
            TableName=items,
            Item=item("condition"),
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )
        return "accepted"

    return probe


_LONG = {f"#{n}": f"name-{n}" for n in range(400)}
CONDITIONS = {
    "a condition of 4,096 bytes and more": (
        _put_if(
            " AND ".join(f"attribute_not_exists({name}) " + " " * 20 for name in list(_LONG)[:90])
            + " AND NOT #0 = :v",
            dict(list(_LONG.items())[:90]),
            {":v": text("x")},
        ),
        REFUSED,
    ),
    "a condition of more than 300 operators": (
        _put_if("NOT #0 = :v" + " AND NOT #0=:v" * 150, {"#0": "name"}, {":v": text("x")}),
        REFUSED,
    ),
    "a condition of 299 operators": (
        _put_if("NOT #0=:v" + " AND NOT #0=:v" * 99, {"#0": "name"}, {":v": text("x")}),
        "accepted",
    ),
}

ALL = WRITES | READS | QUERIES | CONDITIONS
# What emulators are known to do otherwise; the doubles do as AWS documents.
OTHERWISE = {
    "moto": {
        "a batch of no table": "accepted",
        "26 writes": "accepted",
        "a key twice": "accepted",
        "39 digits": "accepted",
        "33 levels": "accepted",
        "400 KB": REFUSED,
        "an empty set": "accepted",
        "a member twice": "accepted",
        "bounds the wrong way round": 0,
        "a condition of 4,096 bytes and more": "accepted",
        "a condition of more than 300 operators": "accepted",
    },
    "ministack": {
        "an insert of 39 digits": "accepted",
        "23 MB of items": (60, 0),
        "a condition of more than 300 operators": "accepted",
    },
}


def check(name, client, items, history, *, engine=None):
    """Hold a probe's outcome against what AWS documents, or what is known of an emulator."""
    probe, documented = ALL[name]
    assert outcome(probe, client, items, history) == OTHERWISE.get(engine, {}).get(name, documented)
