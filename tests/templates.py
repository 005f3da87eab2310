"""The two templates as CloudFormation sees them: transformed, and evaluated for some parameters.

A reference to a resource is shown as its name, `<Name>` or `<Name.Attribute>`; with `real=True` it
is what AWS would give, for those who have to do with true ARNs. A reference to a resource that does
not exist for the parameters is an error, as it is to CloudFormation.
"""

import json
import re
import sys
import uuid
from functools import cache
from pathlib import Path

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

REPOSITORY = Path(__file__).parents[1]
ACCOUNT, REGION, STACK = "111122223333", "eu-central-1", "trail"
OTHER, FAR = "444455556666", "eu-west-1"
STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Employee/stream/2026-01-01T00:00:00.000"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
OWN_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/5678"
REPLICA_KEY = f"arn:aws:kms:{FAR}:{ACCOUNT}:key/9abc"
ROLE = f"arn:aws:iam::{OTHER}:role/replica"
BREAK_GLASS = f"arn:aws:iam::{ACCOUNT}:role/break-glass"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"

PLAIN = {"SourceStreamArn": STREAM}
SAMPLE = {"SampleSourceTableName": "Employee"}
ELSEWHERE = PLAIN | {"ReplicaTableName": "Standby", "ReplicaRegion": FAR}
OTHER_ACCOUNT = ELSEWHERE | {"ReplicaRoleArn": ROLE, "SourceKmsKeyArn": KEY, "Settle": "false"}
EVERY_OPTION = PLAIN | {
    "SourceKmsKeyArn": KEY,
    "KmsKeyArn": OWN_KEY,
    "AlarmTopicArn": TOPIC,
    "BreakGlassRoleArn": BREAK_GLASS,
    "Dashboard": "false",
    "ReservedConcurrency": 5,
}
CASES = {
    "plain": PLAIN,
    "sample": SAMPLE,
    "elsewhere": ELSEWHERE,
    "replica key": ELSEWHERE | {"ReplicaKmsKeyArn": REPLICA_KEY},
    "other account": OTHER_ACCOUNT,
    "history": PLAIN | {"Consumers": "history"},
    "replica": PLAIN | {"Consumers": "replica"},
    "every option": EVERY_OPTION,
}

FUNCTIONS = ("HistoryWriterFunction", "ReplicaWriterFunction")

# What Ref and Fn::GetAtt give for a resource. All names, `name` among them, are made up as AWS
# makes them up unless a property says the name.
_NAMED_BY = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
}
_REF = {
    "AWS::KMS::Key": "{uuid}",
    "AWS::DynamoDB::Table": "{name}",
    "AWS::S3::Bucket": "{lower}",
    "AWS::Lambda::Function": "{name}",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:{place}:layer:{name}:1",
    "AWS::Lambda::EventSourceMapping": "{uuid}",
    "AWS::Logs::LogGroup": "{name}",
    "AWS::SQS::Queue": "https://sqs.{region}.amazonaws.com/{account}/{name}",
    "AWS::SNS::Topic": "arn:aws:sns:{place}:{name}",
    "AWS::CloudWatch::Dashboard": "{name}",
}
_ATTRIBUTES = {
    ("AWS::KMS::Key", "Arn"): "arn:aws:kms:{place}:key/{uuid}",
    ("AWS::DynamoDB::Table", "Arn"): "arn:aws:dynamodb:{place}:table/{name}",
    ("AWS::DynamoDB::Table", "StreamArn"): (
        "arn:aws:dynamodb:{place}:table/{name}/stream/2026-01-01T00:00:00.000"
    ),
    ("AWS::S3::Bucket", "Arn"): "arn:aws:s3:::{lower}",
    ("AWS::IAM::Role", "Arn"): "arn:aws:iam::{account}:role/{name}",
    ("AWS::Logs::LogGroup", "Arn"): "arn:aws:logs:{place}:log-group:{name}:*",
    ("AWS::SQS::Queue", "Arn"): "arn:aws:sqs:{place}:{name}",
    ("AWS::SQS::Queue", "QueueName"): "{name}",
    ("AWS::CloudWatch::Alarm", "Arn"): "arn:aws:cloudwatch:{place}:alarm:{name}",
}


@cache
def load(name):
    return json.loads(json.dumps(yaml_parse((REPOSITORY / name).read_text("utf-8"))))


@cache
def transformed():
    """The main template as CloudFormation sees it, after SAM has uploaded the packages."""
    template = json.loads(json.dumps(load("template.yaml")))
    for resource, field in (
        *((function, "CodeUri") for function in (*FUNCTIONS, "SecondLookFunction")),
        ("StreamCoreLayer", "ContentUri"),
    ):
        template["Resources"][resource]["Properties"][field] = "s3://packages/package"
    session = boto3.Session(region_name=REGION)
    return Translator({}, Parser(), boto_session=session).translate(template, {})


class Evaluation:
    """A template's conditions, rules and intrinsic functions for some parameters."""

    _NOTHING = object()

    def __init__(  # noqa: PLR0913 - where a stack is, and how to show it, is in no parameter
        self,
        template,
        parameters,
        *,
        stack=STACK,
        region=REGION,
        account=ACCOUNT,
        partition="aws",
        real=False,
    ):
        self._template = template
        self.parameters = _parameters(template["Parameters"], parameters)
        self._values = self.parameters | {
            "AWS::AccountId": account,
            "AWS::Region": region,
            "AWS::StackName": stack,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{account}:stack/{stack}/1c2fa620",
            "AWS::Partition": partition,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": self._NOTHING,
        }
        self._real = real
        # Before any of it is evaluated: the rest may not refer to what is not there.
        self._there = {
            name: resource["Type"]
            for name, resource in template["Resources"].items()
            if self._is_there(resource)
        }
        self.resources = {name: self.evaluate(template["Resources"][name]) for name in self._there}
        self.outputs = {
            name: self.evaluate(output["Value"])
            for name, output in template["Outputs"].items()
            if self._is_there(output)
        }

    def evaluate(self, node):
        """A node with its intrinsic functions evaluated."""
        if isinstance(node, list):
            return [value for value in map(self.evaluate, node) if value is not self._NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return getattr(self, f"_{name.removeprefix('Fn::').lower()}")(argument)
            if name == "Condition" and isinstance(argument, str):
                return self._holds(argument)
        values = {name: self.evaluate(value) for name, value in node.items()}
        return {name: value for name, value in values.items() if value is not self._NOTHING}

    def of_type(self, kind):
        """The resources of a type, such as `AWS::S3::Bucket`, by name."""
        return {
            name: resource for name, resource in self.resources.items() if resource["Type"] == kind
        }

    def properties(self, resource):
        """The properties of a resource."""
        return self.resources[resource]["Properties"]

    def refused_by(self):
        """The texts of the rules that the parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in self._template["Rules"].values()
            if self.evaluate(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.evaluate(assertion["Assert"])
        ]

    def _is_there(self, node):
        return "Condition" not in node or self._holds(node["Condition"])

    def _holds(self, condition):
        return self.evaluate(self._template["Conditions"][condition])

    def _ref(self, name):
        return self._values[name] if name in self._values else self._show(name, None)

    def _getatt(self, path):
        return self._show(*path)

    def _show(self, name, attribute):
        assert name in self._there, f"{name} is referred to, and does not exist in this case"
        kind = self._there[name]
        form = _REF[kind] if attribute is None else _ATTRIBUTES[kind, attribute]
        if not self._real:
            return f"<{name}.{attribute}>" if attribute else f"<{name}>"
        properties = self._template["Resources"][name]["Properties"]
        made_up = f"{self._values['AWS::StackName']}-{name}-1A2B3C"
        return form.format(
            name=self.evaluate(properties.get(_NAMED_BY.get(kind), made_up)),
            lower=made_up.lower(),
            uuid=uuid.uuid5(uuid.NAMESPACE_DNS, made_up),
            place=f"{self._values['AWS::Region']}:{self._values['AWS::AccountId']}",
            account=self._values["AWS::AccountId"],
            region=self._values["AWS::Region"],
        )

    def _if(self, argument):
        condition, then, otherwise = argument
        return self.evaluate(then if self._holds(condition) else otherwise)

    def _equals(self, argument):
        first, second = self.evaluate(argument)
        # To CloudFormation a number is its text.
        return str(first) == str(second)

    def _not(self, argument):
        return not self.evaluate(argument)[0]

    def _or(self, argument):
        return any(self.evaluate(argument))

    def _and(self, argument):
        return all(self.evaluate(argument))

    def _split(self, argument):
        delimiter, text = argument
        return self.evaluate(text).split(delimiter)

    def _select(self, argument):
        index, parts = argument
        return self.evaluate(parts)[index]

    def _findinmap(self, argument):
        name, first, second = self.evaluate(argument)
        return self._template["Mappings"][name][first][second]

    def _join(self, argument):
        delimiter, parts = argument
        return delimiter.join(self.evaluate(parts))

    def _sub(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})

        def value(match):
            name, _, attribute = match[1].partition(".")
            if match[1] in own:
                return str(self.evaluate(own[match[1]]))
            return str(self._getatt([name, attribute]) if attribute else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)


def _parameters(declared, parameters):
    """The values of all parameters, the chosen ones held against what is allowed."""
    for name, value in parameters.items():
        assert str(value) in map(str, declared[name].get("AllowedValues", [value])), name
        assert re.fullmatch(declared[name].get("AllowedPattern", ".*"), str(value)), name
    return {
        name: parameter["Default"] for name, parameter in declared.items() if "Default" in parameter
    } | parameters


@cache
def deployed(case, *, real=False):
    return Evaluation(transformed(), CASES[case], real=real)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(transformed()))
