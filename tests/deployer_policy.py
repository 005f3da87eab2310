"""What whoever deploys the templates has to be allowed: `python -m tests.deployer_policy`.

From the registry's schemas, which say for each type of resource what CloudFormation calls to make,
read, change and delete it. What they name for properties that the templates do not set is left out,
with the reason. What an action may be done to is the stack's own, by name, where the service
authorization reference, which cfn-lint ships too, knows a resource for it that has a name.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.templates import load, transformed

POLICY = Path(__file__).parents[1] / "docs/deployer-policy.json"
# Found without being imported, which takes seconds.
_DATA = Path(find_spec("cfnlint").origin).parent / "data"
_SCHEMAS = _DATA / "schemas"
STACK = "employee-trail"
"""The name to be replaced by that of one's own stack."""
_SAM = "aws-sam-cli-managed-default"
# The resources that have a name which a deployer knows before, by their types in the reference.
_NAMED = {
    ("cloudformation", "stack"): [
        f"arn:*:cloudformation:*:*:stack/{STACK}/*",
        f"arn:*:cloudformation:*:*:stack/{_SAM}/*",
        "arn:*:cloudformation:*:aws:transform/Serverless-2016-10-31",
    ],
    ("cloudwatch", "alarm"): [f"arn:*:cloudwatch:*:*:alarm:{STACK}-*"],
    ("cloudwatch", "dashboard"): [f"arn:*:cloudwatch::*:dashboard/{STACK}-*"],
    # A sample's name may be the stack's.
    ("dynamodb", "table"): [f"arn:*:dynamodb:*:*:table/{STACK}*"],
    ("iam", "role"): [f"arn:*:iam::*:role/{STACK}-*"],
    ("lambda", "function"): [f"arn:*:lambda:*:*:function:{STACK}-*"],
    ("lambda", "layer"): [f"arn:*:lambda:*:*:layer:{STACK}-*"],
    ("lambda", "layerVersion"): [f"arn:*:lambda:*:*:layer:{STACK}-*"],
    ("logs", "log-group"): [f"arn:*:logs:*:*:log-group:/aws/lambda/{STACK}-*"],
    ("logs", "log-stream"): [f"arn:*:logs:*:*:log-group:/aws/lambda/{STACK}-*"],
    ("s3", "bucket"): [f"arn:*:s3:::{STACK}-*", f"arn:*:s3:::{_SAM}-*"],
    ("s3", "object"): [f"arn:*:s3:::{STACK}-*", f"arn:*:s3:::{_SAM}-*"],
    ("sns", "topic"): [f"arn:*:sns:*:*:{STACK}-*"],
    ("sqs", "queue"): [f"arn:*:sqs:*:*:{STACK}-*"],
}
# Asked for more than the resource that has the name.
_OF_MORE = {
    "cloudformation:GetTemplateSummary": "a template that is no stack's yet",
    "cloudwatch:DescribeAlarms": "lists of alarms",
    "lambda:ListTags": "mappings, which AWS names",
    "lambda:TagResource": "mappings, which AWS names",
    "lambda:UntagResource": "mappings, which AWS names",
}
PASSING = "iam:PassRole"
# What the reference calls otherwise.
_KNOWN_AS = {
    "s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
}
# Whole services, and actions, that are called for properties which the templates do not set.
_OTHER_SERVICES = {
    "ec2": "functions in a VPC",
    "elasticfilesystem": "functions with a file system",
    "s3files": "functions with a file system",
    "s3tables": "buckets with metadata tables",
    "firehose": "topics that log their deliveries",
    "kinesis": "tables with a stream of Kinesis",
}
_OTHER_ACTIONS = {
    **dict.fromkeys(
        (
            "dynamodb:AssociateTableReplica",
            "dynamodb:BatchWriteItem",
            "dynamodb:CreateTableReplica",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:UpdateItem",
            "iam:CreateServiceLinkedRole",
        ),
        "global tables",
    ),
    **dict.fromkeys(
        (
            "dynamodb:DescribeImport",
            "dynamodb:ImportTable",
            "s3:GetObjectMetadata",
        ),
        "tables imported from S3",
    ),
    **dict.fromkeys(
        (
            "dynamodb:DescribeKinesisStreamingDestination",
            "dynamodb:DisableKinesisStreamingDestination",
            "dynamodb:EnableKinesisStreamingDestination",
            "dynamodb:UpdateKinesisStreamingDestination",
        ),
        "tables with a stream of Kinesis",
    ),
}
# Parts of the names of actions that set what the templates do not.
_UNSET = {
    **dict.fromkeys(
        (
            *("Abac", "Accelerate", "Acl", "Analytics", "CORS", "Cors", "IntelligentTiering"),
            *("Inventory", "Lifecycle", "BucketLogging", "Metadata", "MetricsConfiguration"),
            *("Notification", "REST.PUT.OBJECT", "Replication", "Website", "ListTagsForResource"),
        ),
        "what buckets can have besides",
    ),
    **dict.fromkeys(
        (
            *("CapacityProvider", "CodeSigning", "Recursion", "FunctionScaling", "PublishVersion"),
            *("RuntimeManagement",),
        ),
        "what functions can have besides",
    ),
    **dict.fromkeys(
        (
            *("BearerToken", "DataProtection", "IndexPolic", "LogDelivery", "LogGroupDeletion"),
            *("logs:DeleteResourcePolicy", "logs:PutResourcePolicy", "PutLogEvents"),
        ),
        "what log groups and topics can have besides",
    ),
    "ContributorInsights": "tables with contributor insights",
    "PermissionsBoundary": "roles with a boundary",
    "AttachRolePolicy": "roles with managed policies",
    "DetachRolePolicy": "roles with managed policies",
}
_READING = ("Describe", "Get", "List")
# Of CloudFormation itself and of SAM, which uploads the packages into its own bucket.
_DEPLOYING = [
    "cloudformation:CreateChangeSet",
    "cloudformation:CreateStack",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResources",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:GetTemplateSummary",
    "cloudformation:ListStackResources",
    "cloudformation:UpdateStack",
    # Developer Guide of DynamoDB, "Authorizing use of a customer managed key": of whoever makes a
    # table under one.
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "s3:CreateBucket",
    "s3:GetBucketLocation",
    "s3:GetBucketPolicy",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutObject",
]


def schema_of(kind):
    """What the registry says of a type of resource."""
    names = json.loads((_SCHEMAS / "providers/us-east-1.json").read_text("utf-8"))
    return json.loads((_SCHEMAS / f"resources/{names[kind]}.json").read_text("utf-8"))


def resource_types():
    """The types of all resources of both templates."""
    resources = [*transformed()["Resources"].values(), *load("replica.yaml")["Resources"].values()]
    return sorted({resource["Type"] for resource in resources})


def actions():
    """Every action that a deployment, an update or a deletion may take."""
    named = set(_DEPLOYING)
    for kind in resource_types():
        for operation, handler in schema_of(kind).get("handlers", {}).items():
            named |= set(handler["permissions"]) if operation != "list" else set()
    return sorted(filter(_is_needed, named))


def _is_needed(action):
    service, _, name = action.partition(":")
    if service in _OTHER_SERVICES or action in _OTHER_ACTIONS or service != service.lower():
        return False
    # What reads a resource asks for everything that there could be.
    return name.startswith(_READING) or not any(part in action for part in _UNSET)


def resources_of(action, reference):
    """What an action may be done to, as patterns: the stack's own by name, or anything."""
    service, _, name = _KNOWN_AS.get(action, action).partition(":")
    kinds = reference[service]["Actions"].get(name.lower(), {}).get("Resources", [])
    patterns = [pattern for kind in kinds for pattern in _NAMED.get((service, kind), ())]
    return patterns if patterns and action not in _OF_MORE else ["*"]


def statements():
    """The policy: what has a name, what has none, and to whom a role may be given."""
    reference = json.loads((_DATA / "AdditionalSpecs/Policies.json").read_text("utf-8"))
    patterns = {action: resources_of(action, reference) for action in actions()}
    of_anything = [action for action in patterns if patterns[action] == ["*"]]
    of_stack = sorted(patterns.keys() - {*of_anything, PASSING})
    # An action is done to resources of its own service alone.
    named = sorted({pattern for action in of_stack for pattern in patterns[action]})
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    return [
        {"Sid": "OfTheStack", "Effect": "Allow", "Action": of_stack, "Resource": named},
        {"Sid": "WithoutAName", "Effect": "Allow", "Action": of_anything, "Resource": "*"},
        {"Sid": "RolesOfFunctions", "Effect": "Allow", "Action": PASSING}
        | {"Resource": patterns[PASSING], "Condition": to_lambda},
    ]


def text():
    """The policy as a document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements()}, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
