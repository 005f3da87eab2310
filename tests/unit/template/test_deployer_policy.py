"""The rights of whoever deploys, as the registry's schemas have them."""

import json

from tests import deployer_policy
from tests.iam import Decision, Request, decide
from tests.templates import ACCOUNT, REGION

# IAM User Guide, "IAM and AWS STS quotas": a managed policy without its white space.
MOST_CHARACTERS = 6_144


def test_the_documented_policy_is_the_one_worked_out():
    """docs/deployer-policy.json is what `make docs` makes, and fits into a managed policy."""
    text = deployer_policy.POLICY.read_text("utf-8")

    assert text == deployer_policy.text()
    assert len("".join(text.split())) <= MOST_CHARACTERS


def test_a_deployer_may_make_and_change_what_the_templates_have():
    """For each type of resource what makes it is allowed, and no item is read or written."""
    policies = [json.loads(deployer_policy.text())]

    def asks(action):
        request = Request(
            f"arn:aws:iam::{ACCOUNT}:role/deployer",
            action,
            f"arn:aws:{action.partition(':')[0]}:{REGION}:{ACCOUNT}:anything/at-all",
        )
        return decide(request, policies)

    making = ["CreateTable", "UpdateContinuousBackups", "PutResourcePolicy", "TagResource"]
    for action in (
        *(f"dynamodb:{name}" for name in making),
        "lambda:CreateFunction",
        "lambda:CreateEventSourceMapping",
        "lambda:PublishLayerVersion",
        "iam:CreateRole",
        "iam:PassRole",
        "iam:PutRolePolicy",
        "kms:CreateKey",
        "kms:CreateAlias",
        "s3:CreateBucket",
        "s3:PutBucketObjectLockConfiguration",
        "sqs:CreateQueue",
        "sns:CreateTopic",
        "logs:CreateLogGroup",
        "logs:PutQueryDefinition",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:PutDashboard",
        "cloudformation:ExecuteChangeSet",
    ):
        assert asks(action) is Decision.ALLOWED, action
    for name in ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "Scan", "PartiQLInsert"):
        assert asks(f"dynamodb:{name}") is Decision.IMPLICIT_DENY, name
