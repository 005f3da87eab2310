"""What whoever deploys the templates has to be allowed: `python -m tests.deployer_policy`.

From the registry's schemas, which say for each type of resource what CloudFormation calls to make,
read, change and delete it. What they name for properties that the templates do not set is left out,
with the reason.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.templates import load, transformed

POLICY = Path(__file__).parents[1] / "docs/deployer-policy.json"
# Found without being imported, which takes seconds.
_SCHEMAS = Path(find_spec("cfnlint").origin).parent / "data/schemas"
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


def text():
    """The policy as a document."""
    statement = {"Sid": "DeployItemtrail", "Effect": "Allow", "Action": actions(), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
