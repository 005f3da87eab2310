"""The parameters of the two templates: what is explained, taken, refused and asked for by rules."""

import re

import pytest

from tests.templates import (
    BREAK_GLASS,
    CASES,
    ELSEWHERE,
    KEY,
    PLAIN,
    ROLE,
    SAMPLE,
    STREAM,
    TOPIC,
    Evaluation,
    load,
    transformed,
)


def _parameters(template="template.yaml"):
    return load(template)["Parameters"]


@pytest.mark.parametrize("name", ["template.yaml", "replica.yaml"])
def test_every_parameter_is_explained_and_grouped(name):
    """Every parameter has a description and one place in the console's form."""
    template = load(name)
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    listed = [one for group in groups for one in group["Parameters"]]

    assert sorted(listed) == sorted(template["Parameters"])
    for parameter in template["Parameters"].values():
        assert parameter["Description"].strip()


@pytest.mark.parametrize("name", ["template.yaml", "replica.yaml"])
def test_every_pattern_says_what_it_wants(name):
    """Whoever gives a text that its pattern refuses is told what the parameter takes."""
    for parameter in _parameters(name).values():
        length_only = parameter.get("AllowedPattern", ".") in (".", ".{1,255}", ".{0,255}")
        assert length_only or parameter["ConstraintDescription"].startswith("must be ")


def test_only_the_source_has_to_be_named():
    """Every parameter but the source table's name has a default, which it would itself accept."""
    required = set()

    for name, parameter in _parameters().items():
        if "Default" not in parameter:
            required.add(name)
            continue
        default = parameter["Default"]
        assert default in parameter.get("AllowedValues", [default])
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), str(default))
        low, high = (parameter.get(one, default) for one in ("MinValue", "MaxValue"))
        assert low <= default <= high

    assert required == set()


ALIAS = KEY.replace("key/", "alias/")
ROOT = "arn:aws:iam::111122223333:root"


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("SampleSourceTableName", ["", "Employee", "a.b-c_d"], ["x", STREAM]),
        ("SourceStreamArn", ["", STREAM], ["Employee", STREAM.rpartition("/stream/")[0]]),
        ("SourceKmsKeyArn", ["", KEY], [ALIAS, "1234"]),
        ("ReplicaTableName", ["", "Standby"], ["x", STREAM]),
        ("ReplicaRegion", ["", "eu-west-1", "us-gov-east-1"], ["Ireland", "eu-west"]),
        ("ReplicaRoleArn", ["", ROLE], ["replica", ROOT]),
        ("ReplicaKmsKeyArn", ["", KEY], [ALIAS, "1234"]),
        ("KmsKeyArn", ["", KEY, KEY.replace("arn:aws:", "arn:aws-us-gov:")], [ALIAS, "1234"]),
        (
            "BreakGlassRoleArn",
            ["", BREAK_GLASS, BREAK_GLASS.replace("/", "/of/the/law/")],
            ["break-glass", ROOT, "*", f"{BREAK_GLASS}*", BREAK_GLASS.replace("break-glass", "*")],
        ),
        ("AlarmTopicArn", ["", TOPIC], ["alarms", ROLE]),
        ("PartitionKeyName", ["Id", "an odd name"], ["", "x" * 256]),
        ("SortKeyName", ["", "At"], ["x" * 256]),
    ],
)
def test_parameter_patterns(parameter, good, bad):
    """A parameter takes what it is for and refuses what is easily mistaken for it."""
    pattern = re.compile(_parameters()[parameter]["AllowedPattern"])

    assert [one for one in good if not pattern.fullmatch(one)] == []
    assert [one for one in bad if pattern.fullmatch(one)] == []


def test_every_pattern_has_its_examples():
    """No parameter with a pattern is left out of the examples above."""
    (mark,) = test_parameter_patterns.pytestmark
    tried = {parameter for parameter, _, _ in mark.args[1]}

    assert tried == {name for name, one in _parameters().items() if "AllowedPattern" in one}


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("Consumers", ["both", "history", "replica"]),
        ("Settle", ["true", "false"]),
        ("FollowStream", ["true", "false"]),
        ("PartitionKeyType", ["S", "N", "B"]),
        ("SortKeyType", ["S", "N", "B"]),
        ("LogLevel", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("OverflowLockMode", ["GOVERNANCE", "COMPLIANCE"]),
        ("Dashboard", ["true", "false"]),
    ],
)
def test_parameter_choices(parameter, values):
    """A parameter with few values takes exactly these."""
    assert _parameters()[parameter]["AllowedValues"] == values


@pytest.mark.parametrize(
    ("parameter", "least", "default", "most"),
    [
        # The mapping's and the function's own limits, or narrower.
        ("BatchSize", 1, 100, 10_000),
        ("MaximumBatchingWindowInSeconds", 0, 0, 120),
        ("ParallelizationFactor", 1, 1, 10),
        ("MaximumRecordAgeInSeconds", 7_200, 12 * 3600, 23 * 3600),
        ("MemorySize", 128, 256, 10_240),
        ("Timeout", 20, 60, 900),
        ("ReservedConcurrency", 0, 0, 1_000),
        ("TimeShards", 1, 4, 100),
        ("OverflowLockDays", 1, 365, 36_500),
    ],
)
def test_parameter_limits(parameter, least, default, most):
    """A number lies between limits that the service accepts."""
    declared = _parameters()[parameter]

    found = declared["MinValue"], declared["Default"], declared["MaxValue"]
    assert found == (least, default, most)


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("ReservedConcurrency", ["stream's open shards", "100 unreserved", "limited to 10"]),
        ("ParallelizationFactor", ["open shards, times this", "no more than 10 of all"]),
    ],
)
def test_what_a_new_account_takes_is_said_where_the_parameter_is(parameter, said):
    """An account may run 10 functions at once at first, and its first deployment fits in that."""
    description = _parameters()[parameter]["Description"]

    assert [part for part in said if part not in description] == []


def test_logs_are_kept_as_long_as_cloudwatch_can():
    """The retention is one of the numbers of days that CloudWatch Logs takes."""
    retention = _parameters()["LogRetentionInDays"]

    known = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827]
    known += [2192, 2557, 2922, 3288, 3653]
    assert set(retention["AllowedValues"]) <= set(known)
    assert retention["Default"] == 90


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "Give SourceStreamArn"),
        (SAMPLE | {"SourceStreamArn": STREAM}, "Leave SourceStreamArn empty"),
        (PLAIN | {"ReplicaRegion": "eu-west-1"}, "Name the replica"),
        (PLAIN | {"ReplicaRoleArn": ROLE}, "Name the replica"),
        (SAMPLE | {"ReplicaTableName": "Employee"}, "is the source table itself"),
        (PLAIN | {"PartitionKeyName": "Id", "SortKeyName": "Id"}, "SortKeyName is Partition"),
    ],
)
def test_impossible_parameters_are_refused(given, told):
    """Parameters that could not work are refused before anything is created, with what to do."""
    refused = Evaluation(transformed(), given).refused_by()

    assert len(refused) == 1
    assert told in refused[0]


@pytest.mark.parametrize(
    "given",
    [*CASES.values(), ELSEWHERE | {"ReplicaTableName": "Employee"}],
    ids=[*CASES, "same name elsewhere"],
)
def test_possible_parameters_are_not_refused(given):
    """Every way to deploy passes the rules, a replica of the same name in another region too."""
    assert Evaluation(transformed(), given).refused_by() == []


def test_both_templates_take_the_same_key():
    """The key parameters and their defaults are the same in both templates."""
    names = ("PartitionKeyName", "PartitionKeyType", "SortKeyName", "SortKeyType", "KmsKeyArn")
    main, replica = _parameters(), _parameters("replica.yaml")

    for name in names:
        same = ("Type", "Default", "AllowedPattern", "AllowedValues")
        assert {one: main[name].get(one) for one in same} == {
            one: replica[name].get(one) for one in same
        }
