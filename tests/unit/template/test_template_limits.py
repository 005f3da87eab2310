"""What the templates make of parameters at their limits, held against the services' own.

The longest and the shortest text that a parameter's pattern takes, the least and the most of its
numbers: what comes out of them is held against the schemas of CloudFormation's registry, which
cfn-lint ships, and against quotas that no schema has.
"""

import json
import re
import re._constants as kinds
import re._parser as parser

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.templates import REGION, Evaluation, load, transformed

LONGEST_STACK_NAME = "s" * 49
# What says what is to be there, and so is no limit.
_CHOICES = {"SourceStreamArn", "SampleSourceTableName", "ReplicaTableName"}


def _longest(pattern):
    """One of the longest texts that a pattern takes; all its repetitions have to be bounded."""
    return "".join(map(_of_node, parser.parse(pattern)))


def _of_node(node):
    kind, value = node
    if kind is kinds.LITERAL:
        return chr(value)
    if kind is kinds.ANY:
        return "x"
    if kind is kinds.IN:
        return _of_set(value)
    if kind is kinds.SUBPATTERN:
        return "".join(map(_of_node, value[3]))
    if kind is kinds.BRANCH:
        return max(("".join(map(_of_node, branch)) for branch in value[1]), key=len)
    if kind is kinds.MAX_REPEAT:
        _, most, inner = value
        assert most is not kinds.MAXREPEAT, "a repetition without an end"
        return "".join(map(_of_node, inner)) * most
    raise AssertionError(f"not known in a pattern: {kind}")


def _of_set(members):
    kind, value = members[0]
    if kind is kinds.LITERAL:
        return chr(value)
    if kind is kinds.RANGE:
        return chr(value[0])
    return "7" if value is kinds.CATEGORY_DIGIT else "w"


def _at_limit(name, parameter, *, most):
    """The value of a parameter at one of its two limits."""
    if name == "SortKeyName":
        return "y" * 255 if most else ""
    if "AllowedValues" in parameter:
        return max(map(str, parameter["AllowedValues"]), key=len)
    if parameter["Type"] == "Number":
        return parameter["MaxValue" if most else "MinValue"]
    pattern = parameter["AllowedPattern"]
    if most:
        return _longest(pattern)
    return "" if re.fullmatch(pattern, "") else _longest(pattern)[:1]


def _all_at_limit(template, *, most):
    return {
        name: _at_limit(name, parameter, most=most)
        for name, parameter in load(template)["Parameters"].items()
    }


def _main(parameters, **place):
    return Evaluation(transformed(), parameters, stack=LONGEST_STACK_NAME, real=True, **place)


def _worlds():
    most = _all_at_limit("template.yaml", most=True) | {"Emulator": "false"}
    least = _all_at_limit("template.yaml", most=False) | {"Emulator": "false"}
    source = {"SampleSourceTableName": "", "SourceStreamArn": most["SourceStreamArn"]}
    sample = {"SourceStreamArn": "", "SampleSourceTableName": "t" * 255}
    created = {"ReplicaTableName": "", "ReplicaRegion": "", "ReplicaRoleArn": ""}
    own = {"KmsKeyArn": "", "AlarmTopicArn": "", "BreakGlassRoleArn": most["BreakGlassRoleArn"]}
    both = {"Consumers": "both", "Settle": "true", "SecondLook": "true", "Dashboard": "true"}
    replica = _all_at_limit("replica.yaml", most=True)
    return {
        "all at most": _main(most | source | both),
        "all at most, replica created": _main(most | source | both | created | own),
        "all at most, a sample": _main(most | sample | both | created | own),
        "all at least": _main(least | {"SampleSourceTableName": "abc"} | both),
        "replica at most": Evaluation(
            load("replica.yaml"), replica, stack=LONGEST_STACK_NAME, real=True
        ),
        "replica created": Evaluation(
            load("replica.yaml"),
            replica | {"TableName": "", "KmsKeyArn": ""},
            stack=LONGEST_STACK_NAME,
            real=True,
        ),
    }


WORLDS = _worlds()


def _faults(*evaluations):
    """What cfn-lint finds wrong with the resources, by the registry's schemas."""
    # It takes seconds, and every process that runs tests imports all of them.
    from cfnlint.api import lint  # noqa: PLC0415
    from cfnlint.config import ManualArgs  # noqa: PLC0415

    resources = {
        # Evaluated already: nothing of the template's own parts is left to refer to.
        f"{name}{world}": {key: resource[key] for key in ("Type", "Properties") if key in resource}
        for world, evaluation in enumerate(evaluations)
        for name, resource in evaluation.resources.items()
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    found = lint(json.dumps(template), config=ManualArgs(regions=[REGION]))
    return [
        f"{one.rule.id} {one.message} {getattr(one, 'path', '')}"
        for one in found
        # E3502 looks for a queue's own queue of failures by reference; E3019 is about resources of
        # one name, and these are several stacks.
        if one.rule.id[0] == "E" and one.rule.id not in ("E3502", "E3019")
    ]


def test_parameters_at_their_limits_make_resources_that_the_registry_takes():
    """Whatever the patterns take, no name, description or ARN is longer than its service allows.

    What a schema refuses, a description of 257 characters, is found among all of them.
    """
    refused = _main({"SampleSourceTableName": "Employee"})
    function = refused.resources["HistoryWriterFunction"]
    function["Properties"]["Description"] = "d" * 257
    refused.resources = {"Refused": function}

    (fault,) = _faults(*WORLDS.values(), refused)

    assert f"Refused{len(WORLDS)}" in fault
    assert "Description" in fault


def _drawn():
    """Any value of each parameter of the main template; of key names those that YAML can write.

    The name `false` is left out: cfn-lint takes it for a value that is not there.
    """
    letters = st.characters(categories=["L", "N"], max_codepoint=0xD7FF)
    names = st.text(letters, max_size=255).filter(lambda name: name != "false")
    return st.fixed_dictionaries(
        {
            name: st.sampled_from(parameter["AllowedValues"])
            if "AllowedValues" in parameter
            else st.integers(parameter["MinValue"], parameter["MaxValue"])
            if parameter["Type"] == "Number"
            else st.from_regex(re.compile(parameter["AllowedPattern"], re.ASCII), fullmatch=True)
            for name, parameter in load("template.yaml")["Parameters"].items()
            if name not in _CHOICES
        }
        | {
            "PartitionKeyName": names.filter(bool),
            "SortKeyName": names,
        }
    )


@pytest.mark.bank
# A template takes seconds: a counterexample is shown as it was found.
@settings(max_examples=15, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(_drawn(), st.from_regex(re.compile("[A-Za-z0-9_.-]{3,255}", re.ASCII), fullmatch=True))
def test_parameters_as_drawn_make_resources_that_the_registry_takes(parameters, table):
    """The same for any parameters at all."""
    same = parameters["SortKeyName"] == parameters["PartitionKeyName"]
    elsewhere = parameters["ReplicaRegion"] or parameters["ReplicaRoleArn"]
    named = {"SampleSourceTableName": table, "SourceStreamArn": ""}
    named |= {"SortKeyName": "" if same else parameters["SortKeyName"]}
    named |= {"ReplicaTableName": f"{table[:250]}-copy" if elsewhere else ""}

    assert _faults(_main(parameters | named)) == []


# ---- Quotas that no schema has -----------------------------------------------------------------


def _compact(value):
    return len(json.dumps(value, separators=(",", ":")))


def _of_environment(properties):
    variables = properties["Environment"]["Variables"]
    return sum(len(name) + len(str(value)) for name, value in variables.items())


def _of_policies(properties):
    return sum(_compact(policy["PolicyDocument"]) for policy in properties["Policies"])


def _of_resource_policy(properties):
    return _compact(properties.get("ResourcePolicy", {}).get("PolicyDocument"))


# What is measured, and the most that there may be of it, in characters.
QUOTAS = {
    "AWS::IAM::Role": [
        # IAM User Guide, "IAM and AWS STS quotas": all inline policies of a role together.
        (_of_policies, 10_240),
        (lambda role: _compact(role["AssumeRolePolicyDocument"]), 2_048),
        (lambda role: len(role["Description"]), 1_000),
    ],
    # Developer Guide of KMS, "Resource quotas".
    "AWS::KMS::Key": [(lambda key: _compact(key["KeyPolicy"]), 32_768)],
    # User Guide of S3, "Bucket policies".
    "AWS::S3::BucketPolicy": [(lambda policy: _compact(policy["PolicyDocument"]), 20_480)],
    # Developer Guide of DynamoDB, "Quotas": the policy of a table.
    "AWS::DynamoDB::Table": [(_of_resource_policy, 20_480)],
    # Developer Guide of Lambda, "Lambda quotas".
    "AWS::Lambda::Function": [
        (_of_environment, 4_096),
        (lambda function: len(function["FunctionName"]), 64),
    ],
    # API reference, PutMetricAlarm.
    "AWS::CloudWatch::Alarm": [(lambda alarm: len(alarm["AlarmDescription"]), 1_024)],
}


def _sizes(evaluation):
    """What is limited, as (resource, size, most)."""
    for name, resource in evaluation.resources.items():
        properties = resource.get("Properties", {})
        for measure, most in QUOTAS.get(resource["Type"], ()):
            yield name, measure(properties), most
        for tag in properties["Tags"] if isinstance(properties.get("Tags"), list) else ():
            # Of every service the value of a tag.
            yield name, len(tag["Value"]), 256


@pytest.mark.parametrize("world", WORLDS)
def test_parameters_at_their_limits_stay_within_the_quotas(world):
    """Policies, environments, descriptions and tags are no larger than their services take."""
    sizes = list(_sizes(WORLDS[world]))

    assert sizes
    assert [(name, size, most) for name, size, most in sizes if size > most] == []


def test_every_pattern_has_an_end():
    """No parameter takes a text of any length: its services do not either."""
    for template in ("template.yaml", "replica.yaml"):
        for name, parameter in load(template)["Parameters"].items():
            if "AllowedPattern" in parameter:
                longest = _longest(parameter["AllowedPattern"])
                assert re.fullmatch(parameter["AllowedPattern"], longest), name
