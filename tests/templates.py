"""The two templates as CloudFormation sees them: transformed, and evaluated for some parameters.

A reference to a resource is shown as its name, `<Name>` or `<Name.Attribute>`.
"""

import json
import re
from functools import cache
from pathlib import Path

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

REPOSITORY = Path(__file__).parents[1]
ACCOUNT, REGION, STACK = "111122223333", "eu-central-1", "trail"
STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Employee/stream/2026-01-01T00:00:00.000"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
ROLE = "arn:aws:iam::444455556666:role/replica"

PLAIN = {"SourceTableName": "Employee", "SourceStreamArn": STREAM}
SAMPLE = {"SourceTableName": "Employee", "CreateSampleSourceTable": "true"}
ELSEWHERE = PLAIN | {"ReplicaTableName": "Standby", "ReplicaRegion": "eu-west-1"}
OTHER_ACCOUNT = ELSEWHERE | {"ReplicaRoleArn": ROLE, "SourceKmsKeyArn": KEY, "Settle": "false"}
CASES = {
    "plain": PLAIN,
    "sample": SAMPLE,
    "elsewhere": ELSEWHERE,
    "other account": OTHER_ACCOUNT,
}

FUNCTIONS = ("HistoryWriterFunction", "ReplicaWriterFunction")


@cache
def load(name):
    return json.loads(json.dumps(yaml_parse((REPOSITORY / name).read_text("utf-8"))))


@cache
def transformed():
    """The main template as CloudFormation sees it, after SAM has uploaded the packages."""
    template = json.loads(json.dumps(load("template.yaml")))
    for resource, field in (
        *((one, "CodeUri") for one in FUNCTIONS),
        ("StreamCoreLayer", "ContentUri"),
    ):
        template["Resources"][resource]["Properties"][field] = "s3://packages/package"
    session = boto3.Session(region_name=REGION)
    return Translator({}, Parser(), boto_session=session).translate(template, {})


class Evaluation:
    """A template's conditions, rules and intrinsic functions for some parameters."""

    _NOTHING = object()

    def __init__(self, template, given):
        parameters = template["Parameters"]
        assert given.keys() <= parameters.keys()
        self._template = template
        self._values = {
            name: one["Default"] for name, one in parameters.items() if "Default" in one
        }
        self._values |= given
        self._values |= {
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": REGION,
            "AWS::StackName": STACK,
            "AWS::Partition": "aws",
            "AWS::NoValue": self._NOTHING,
        }
        self.resources = {
            name: self.of(resource)
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }
        self.outputs = {name: self.of(one["Value"]) for name, one in template["Outputs"].items()}

    def of(self, node):
        """A node with its intrinsic functions evaluated."""
        if isinstance(node, list):
            return [one for one in map(self.of, node) if one is not self._NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return getattr(self, f"_{name.removeprefix('Fn::').lower()}")(argument)
        values = {name: self.of(one) for name, one in node.items()}
        return {name: one for name, one in values.items() if one is not self._NOTHING}

    def refused_by(self):
        """The texts of the rules that the parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in self._template["Rules"].values()
            if self.of(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.of(assertion["Assert"])
        ]

    def _holds(self, condition):
        return self.of(self._template["Conditions"][condition])

    def _ref(self, name):
        if name in self._values:
            return self._values[name]
        assert name.partition(".")[0] in self._template["Resources"]
        return f"<{name}>"

    def _getatt(self, path):
        return self._ref(".".join(path))

    def _if(self, argument):
        condition, then, otherwise = argument
        return self.of(then if self._holds(condition) else otherwise)

    def _equals(self, argument):
        one, other = self.of(argument)
        return one == other

    def _not(self, argument):
        return not self.of(argument)[0]

    def _or(self, argument):
        return any(self.of(argument))

    def _and(self, argument):
        return all(self.of(argument))

    def _sub(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})

        def value(match):
            name = match[1]
            return str(self.of(own[name]) if name in own else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)


@cache
def deployed(case):
    return Evaluation(transformed(), CASES[case])
