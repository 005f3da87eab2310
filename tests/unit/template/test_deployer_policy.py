"""The rights of whoever deploys, as the registry's schemas have them."""

import json
from functools import cache

import pytest

from tests import deployer_policy
from tests.iam import Decision, Request, decide
from tests.templates import ACCOUNT, OTHER, PLAIN, REGION, Evaluation, load, transformed

# IAM User Guide, "IAM and AWS STS quotas": a managed policy without its white space.
MOST_CHARACTERS = 6_144


def test_the_documented_policy_is_the_one_worked_out():
    """docs/deployer-policy.json is what `make docs` makes, and fits into a managed policy."""
    text = deployer_policy.POLICY.read_text("utf-8")

    assert text == deployer_policy.text()
    assert len("".join(text.split())) <= MOST_CHARACTERS


OURS, THEIRS = deployer_policy.STACK, "payroll"
# What makes a resource of a type that has the stack's name.
MAKING = {
    "AWS::CloudWatch::Alarm": "cloudwatch:PutMetricAlarm",
    "AWS::CloudWatch::Dashboard": "cloudwatch:PutDashboard",
    "AWS::DynamoDB::Table": "dynamodb:CreateTable",
    "AWS::IAM::Role": "iam:CreateRole",
    "AWS::Lambda::Function": "lambda:CreateFunction",
    "AWS::Lambda::LayerVersion": "lambda:PublishLayerVersion",
    "AWS::Logs::LogGroup": "logs:CreateLogGroup",
    "AWS::S3::Bucket": "s3:CreateBucket",
    "AWS::SNS::Topic": "sns:CreateTopic",
    "AWS::SQS::Queue": "sqs:CreateQueue",
}
# And of one that AWS names, or that has no name in a policy.
MAKING_ANY = {
    "AWS::KMS::Alias": "kms:CreateAlias",
    "AWS::KMS::Key": "kms:CreateKey",
    "AWS::Lambda::EventSourceMapping": "lambda:CreateEventSourceMapping",
    "AWS::Logs::QueryDefinition": "logs:PutQueryDefinition",
}
# The policy of a bucket is the bucket's.
OF_OTHERS = {"AWS::S3::BucketPolicy"}
_ANY = f"arn:aws:{{}}:{REGION}:{ACCOUNT}:anything/at-all"


@cache
def _policy():
    return json.loads(deployer_policy.POLICY.read_text("utf-8"))


def _asks(action, resource, **context):
    request = Request(f"arn:aws:iam::{ACCOUNT}:role/deployer", action, resource, context)
    return decide(request, [_policy()])


def _arn(evaluation, name, kind):
    """What a resource of a stack is called in a policy."""
    lambdas = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
    match kind:
        case "AWS::Lambda::Function":
            return f"{lambdas}:function:{evaluation.properties(name)['FunctionName']}"
        case "AWS::Lambda::LayerVersion":
            return f"{lambdas}:layer:{evaluation.properties(name)['LayerName']}"
        case "AWS::CloudWatch::Dashboard":
            dashboard = evaluation.properties(name)["DashboardName"]
            return f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{dashboard}"
        case "AWS::SNS::Topic":
            return evaluation.evaluate({"Ref": name})
        case "AWS::Logs::LogGroup":
            return evaluation.evaluate({"Fn::GetAtt": [name, "Arn"]}).removesuffix(":*")
    return evaluation.evaluate({"Fn::GetAtt": [name, "Arn"]})


@pytest.mark.parametrize(
    ("template", "parameters"),
    [
        (transformed(), PLAIN),
        (transformed(), {"SampleSourceTableName": f"{OURS}-source"}),
        (load("replica.yaml"), {"SourceAccountId": OTHER}),
    ],
    ids=["plain", "sample", "replica"],
)
def test_a_deployer_makes_the_own_stack_and_no_other(template, parameters):
    """Each resource of both templates, by the name that it gets; of another stack none."""
    ours, theirs = (
        Evaluation(template, parameters, stack=stack, real=True) for stack in (OURS, THEIRS)
    )
    assert {one["Type"] for one in ours.resources.values()} <= {*MAKING, *MAKING_ANY, *OF_OTHERS}

    for name, resource in ours.resources.items():
        kind = resource["Type"]
        if kind in MAKING:
            arn = _arn(ours, name, kind)
            assert _asks(MAKING[kind], arn) is Decision.ALLOWED, arn
            of_another = _arn(theirs, name, kind)
            if OURS not in of_another:
                assert _asks(MAKING[kind], of_another) is Decision.IMPLICIT_DENY, of_another
        elif kind in MAKING_ANY:
            action = MAKING_ANY[kind]
            assert _asks(action, _ANY.format(action.partition(":")[0])) is Decision.ALLOWED


def test_a_deployer_gives_roles_of_the_stack_to_functions_alone():
    """A right to pass any role to anything is a right to everything."""
    own, other = (f"arn:aws:iam::{ACCOUNT}:role/{stack}-HistoryWriterRole" for stack in (OURS, "x"))

    def passes(role, service):
        return _asks("iam:PassRole", role, **{"iam:PassedToService": f"{service}.amazonaws.com"})

    assert passes(own, "lambda") is Decision.ALLOWED
    assert passes(own, "ec2") is Decision.IMPLICIT_DENY
    assert passes(other, "lambda") is Decision.IMPLICIT_DENY


def test_a_deployer_changes_no_role_and_no_table_of_others():
    """And reads and writes no item, of whatever table."""
    role, table = f"arn:aws:iam::{ACCOUNT}:role/administrator", _ANY.format("dynamodb")
    for name in ("PutRolePolicy", "UpdateAssumeRolePolicy", "DeleteRole", "DeleteRolePolicy"):
        assert _asks(f"iam:{name}", role) is Decision.IMPLICIT_DENY, name
    for name in ("PutResourcePolicy", "DeleteTable", "UpdateTable"):
        assert _asks(f"dynamodb:{name}", table) is Decision.IMPLICIT_DENY, name
    history = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{OURS}-history"
    for name in ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "Scan", "PartiQLInsert"):
        assert _asks(f"dynamodb:{name}", history) is Decision.IMPLICIT_DENY, name


def test_sam_keeps_packages_in_its_own_bucket():
    """Made by a stack of its own, the first time."""
    managed = "aws-sam-cli-managed-default"
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{managed}/1c2fa620"
    for name in ("CreateChangeSet", "ExecuteChangeSet", "DescribeStacks"):
        assert _asks(f"cloudformation:{name}", stack) is Decision.ALLOWED, name
    package = f"arn:aws:s3:::{managed}-samclisourcebucket-1a2b/package"
    assert _asks("s3:PutObject", package) is Decision.ALLOWED


def test_every_action_is_in_one_statement():
    """None is lost between what has a name and what has none."""
    listed = [
        action
        for statement in _policy()["Statement"]
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    ]

    assert sorted(listed) == deployer_policy.actions()
