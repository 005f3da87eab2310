"""Names, keys and values that something once stumbled over, drawn from a generator of numbers."""

from stream_core.item_id import item_id

SCHEMAS = (
    {"Id": "S"},
    {"Id": "S"},
    {"Id": "N"},
    {"Id": "B"},
    {"pk": "S", "sk": "N"},
    {"Zk": "S", "ak": "S"},
    {"Zk": "N", "ak": "B"},
)
_KEYS = {
    "S": ["a", "a|", "|a", "a\\", "\\|", "1", "1.0", "é", "x y", '{"Id":1}', "a=b", "!itemtrail"],
    "N": ["1", "0", "100", "0.5", "-1", "99999999999999999999999999999999999999", "-0.25"],
    "B": [b"\x00", b"\xff\xfe", b"a", b"a|"],
}
_NAMES = ["v", "v", "a.b", "b[0]", 'q"x', "é.ü", "valid_from", "certainty", "S", "M", "NULL", "x y"]
_NAMES += ["a\\b", "0", "😀", "'", "%", "#", ":v", "\x00n", "at", "key"]
_TEXTS = ["", "x", "1", "=cmd()", "\n", 'a,b"c', "\u2028", "NaN", "true", " ", "😀"]
_NUMBERS = ["1", "0", "10", "99999999999999999999999999999999999999", "0.1", "-7"]


def distinct_keys(random, schema, count):
    """So many keys of a table."""
    keys = {}
    while len(keys) < count:
        key = {name: {tag: random.choice(_KEYS[tag])} for name, tag in schema.items()}
        keys[item_id(key)] = key
    return list(keys.values())


def attributes(random):
    """The attributes of an item beside its key; most have few and simple ones."""
    if random.random() < 0.5:
        return {"v": {"N": str(random.randrange(3))}, "by": {"S": random.choice(["ann", "ben"])}}
    return {random.choice(_NAMES): value(random) for _ in range(random.randrange(5))}


def value(random, depth=0):
    """A value of any type."""
    chance = random.random()
    if depth < 3 and chance < 0.15:
        names = random.sample(_NAMES, random.randrange(3))
        return {"M": {name: value(random, depth + 1) for name in names}}
    if depth < 3 and chance < 0.3:
        return {"L": [value(random, depth + 1) for _ in range(random.randrange(4))]}
    return random.choice(
        [
            {"N": random.choice(_NUMBERS)},
            {"S": random.choice(_TEXTS)},
            {"BOOL": random.random() < 0.5},
            {"NULL": True},
            {"B": random.choice([b"", b"\x00\xff", b"abc"])},
            {"SS": random.sample(["a", "b", "é", "1"], random.randrange(1, 4))},
            {"NS": random.choice([["1", "2"], ["2", "1"], ["3"]])},
            {"BS": random.choice([[b"a", b"b"], [b"b", b"a"], [b"\xff"]])},
        ]
    )


def mutated(random, old):
    """The attributes with one or two of them changed, added or taken away."""
    new = dict(old)
    for _ in range(random.randrange(1, 3)):
        chance = random.random()
        if chance < 0.5 or not new:
            new[random.choice(_NAMES)] = value(random)
        elif chance < 0.8:
            del new[random.choice(sorted(new))]
        else:
            name = random.choice(sorted(new))
            new[name] = _inner(random, new[name])
    return new


def _inner(random, container):
    """The value with one member changed, if it has any."""
    match container:
        case {"L": [*members]} if members:
            members[random.randrange(len(members))] = value(random, 2)
            return {"L": members}
        case {"M": dict(members)} if members:
            return {"M": {**members, random.choice(sorted(members)): value(random, 2)}}
    return value(random)
