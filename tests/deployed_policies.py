"""What was deployed, as a world of roles, resources and their policies that can be asked anything.

The rules are those of `tests/iam.py`; the requests are everything that the services' models know.
"""

from functools import cache

import botocore.session

from tests.iam import Decision, Request, decide
from tests.templates import ACCOUNT

# ---- What can be asked for -----------------------------------------------------------------

# The service models name operations; these are authorised as other actions, or on no resource.
OTHERWISE_AUTHORISED = {
    "dynamodb": {"BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"}
    | {"TransactGetItems", "TransactWriteItems"},
    "lambda": {"Invoke", "InvokeAsync", "InvokeWithResponseStream", "ListEventSourceMappings"},
    "kms": {"ReEncrypt"},
}
MORE_ACTIONS = {
    "dynamodb": {"ConditionCheckItem", "PartiQLDelete", "PartiQLInsert", "PartiQLSelect"}
    | {"PartiQLUpdate", "DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
    | {"CreateTableReplica", "DeleteTableReplica", "UpdateGlobalTableVersion", "StartAwsBackupJob"},
    "s3": {"BypassGovernanceRetention", "DeleteObjectVersion", "DeleteObjectVersionTagging"}
    | {
        "GetBucketObjectLockConfiguration",
        "GetLifecycleConfiguration",
        "GetObjectVersion",
        "GetObjectVersionTagging",
        "ListBucket",
    }
    | {"ListBucketMultipartUploads", "ListBucketVersions", "ListMultipartUploadParts"}
    | {"PutBucketObjectLockConfiguration", "PutBucketPublicAccessBlock"}
    | {"PutEncryptionConfiguration", "PutLifecycleConfiguration", "PutObjectVersionAcl"}
    | {"PutObjectVersionTagging", "PutReplicationConfiguration", "ReplicateDelete"}
    | {"ReplicateObject", "ReplicateTags"},
    "lambda": {"DisableReplication", "EnableReplication", "InvokeFunction", "InvokeFunctionUrl"},
    "kms": {"ReEncryptFrom", "ReEncryptTo"},
}
READING = ("BatchGet", "Describe", "Get", "Head", "List", "Query", "Scan")
# Beginning otherwise, and reading all the same.
READING += ("ConditionCheckItem", "Decrypt", "PartiQLSelect", "SearchVectors", "Verify")


@cache
def operations_of(service):
    """Every operation in the model of a service."""
    return frozenset(botocore.session.get_session().get_service_model(service).operation_names)


def actions_of(service):
    """Every action of a service."""
    return (operations_of(service) - OTHERWISE_AUTHORISED.get(service, set())) | MORE_ACTIONS.get(
        service, set()
    )


def writes_of(service):
    """Every action of a service but those known to read."""
    return {action for action in actions_of(service) if not action.startswith(READING)}


# ---- Who asks, and what is answered ---------------------------------------------------------


def _policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


EVERYTHING = _policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
ALL_OF_DYNAMODB = _policy({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"})
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/administrator"
TLS = {"aws:SecureTransport": "true"}


class DeployedPolicies:
    """What was deployed, and the policies of its roles and resources."""

    def __init__(self, *evaluations):
        self._identities = {}
        self._resources = {}
        for evaluation in evaluations:
            self._read(evaluation)

    def _read(self, evaluation):
        for name in evaluation.of_type("AWS::IAM::Role"):
            properties = evaluation.properties(name)
            policies = [policy["PolicyDocument"] for policy in properties["Policies"]]
            arn = self.arn(evaluation, name)
            self._identities[arn] = policies
            # A trust policy says what it is about by being where it is.
            trust = properties["AssumeRolePolicyDocument"]["Statement"]
            self._resources[arn] = _policy(*(statement | {"Resource": "*"} for statement in trust))
        for name in evaluation.of_type("AWS::KMS::Key"):
            policy = evaluation.properties(name)["KeyPolicy"]
            self._resources[self.arn(evaluation, name)] = policy
        for name in evaluation.of_type("AWS::DynamoDB::Table"):
            if "ResourcePolicy" in evaluation.properties(name):
                policy = evaluation.properties(name)["ResourcePolicy"]["PolicyDocument"]
                self._resources[self.arn(evaluation, name)] = policy
        for bucket_policy in evaluation.of_type("AWS::S3::BucketPolicy").values():
            bucket = f"arn:aws:s3:::{bucket_policy['Properties']['Bucket']}"
            self._resources[bucket] = bucket_policy["Properties"]["PolicyDocument"]

    def policies(self):
        """All of them, those of roles first."""
        return [policy for own in self._identities.values() for policy in own] + [
            *self._resources.values()
        ]

    @staticmethod
    def arn(evaluation, name):
        """The ARN of a resource, evaluated with `real=True`."""
        return evaluation.evaluate({"Fn::GetAtt": [name, "Arn"]})

    def asks(self, who, action, resource, context=None, more=()):
        """What AWS answers to a role that holds its own policies and maybe more."""
        request = Request(who, action, resource, TLS | (context or {}))
        owner = resource.split(":")[4] if resource != "*" else ""
        return decide(
            request,
            [*self._identities.get(who, []), *more],
            self._policies_of(resource),
            same_account=owner in ("", request.account),
        )

    def allowed(self, who, resource, context=None, more=()):
        """The actions, of all that the resource's service knows, that a role may do to it."""
        service = resource.split(":")[2]
        return {
            action
            for action in actions_of(service)
            if self.asks(who, f"{service}:{action}", resource, context, more) is Decision.ALLOWED
        }

    def _policies_of(self, resource):
        bucket = resource.partition("/")[0]
        if ":s3:::" in resource:
            return [self._resources[bucket]] if bucket in self._resources else []
        if resource in self._resources:
            return [self._resources[resource]]
        # A key from elsewhere has the policy that every key begins with.
        root = f"arn:aws:iam::{resource.split(':')[4]}:root" if resource != "*" else ""
        delegating = {"Effect": "Allow", "Principal": {"AWS": root}}
        delegating |= {"Action": "kms:*", "Resource": "*"}
        return [_policy(delegating)] if ":kms:" in resource else []
