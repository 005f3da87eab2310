"""The template deployed on fakecloud, an engine that holds every request against the policies.

    with enforcing(program) as engine:
        stack = engine.deploy("trail", {"SampleSourceTableName": "Employee"})
        stack.client("dynamodb", as_role=stack.role("HistoryWriterRole")).put_item(...)  # refused

fakecloud is a program of its own, under the AGPL: it is started, and nothing of it is imported.
It runs no function here, so the handlers run in processes of this machine, with what Lambda would
give them: the function's variables and credentials of its role.

Where version 0.51 differs from AWS, and what is done about it:
- a template's policy of a table is passed over: it is put by a request of its own;
- a request to S3 carries no `s3:ResourceAccount`: the condition is taken out of the template;
- DeleteTable is not held against a table's policy, and the protection from deletion refuses it;
- it speaks no TLS: the policies of buckets, which ask for it, are put only where they are tested.
"""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import boto3
from botocore.config import Config

from tests.templates import ACCOUNT, REGION, Evaluation, transformed

_HOST = "127.0.0.1"
_READY_WITHIN_S = 60
_POLL_S = 0.05
# Whose key begins so is the account's root user, whom no policy binds.
_ROOT_KEY = "test"
_BUCKET_POLICY = "AWS::S3::BucketPolicy"
_CODE = {"S3Bucket": "code", "S3Key": "code.zip"}
_TRUSTS_ACCOUNT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        }
    ],
}
_INVOKE = """
import importlib, json, sys
class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 30_000)
    function_name, memory_limit_in_mb, aws_request_id = "function", 512, "request"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:function"
json.dump(importlib.import_module(sys.argv[1]).handler(json.load(sys.stdin), Context), sys.stderr)
"""


@dataclass(frozen=True)
class Engine:
    """A running fakecloud.

    Attributes:
        log: where it writes what it does.
    """

    url: str
    log: Path

    def client(self, service, credentials=(_ROOT_KEY, _ROOT_KEY, None)):
        """A client of a service, by default with the rights of the account's root user."""
        key, secret, token = credentials
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def deploy(self, name, parameters: Mapping[str, object]):
        """Create a stack of template.yaml as SAM transforms it; its functions have no code."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", "")
        s3 = self.client("s3")
        s3.create_bucket(
            Bucket=_CODE["S3Bucket"], CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        s3.put_object(Bucket=_CODE["S3Bucket"], Key=_CODE["S3Key"], Body=code.getvalue())
        template = _without_resource_account(transformed())
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                resource["Properties"]["Code"] = _CODE
            if resource["Type"] == "AWS::Lambda::LayerVersion":
                resource["Properties"]["Content"] = _CODE
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": str(value)}
                for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        formation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        stack = EnforcedStack(self, name, Evaluation(transformed(), parameters, real=True))
        stack.put_table_policies()
        for bucket in stack.evaluation.of_type("AWS::S3::Bucket"):
            stack.client("s3").delete_bucket_policy(Bucket=stack.resources[bucket])
        return stack


@dataclass(frozen=True)
class EnforcedStack:
    """A stack on an engine that enforces.

    Attributes:
        evaluation: the template as AWS would see it with the stack's parameters.
    """

    engine: Engine
    name: str
    evaluation: Evaluation
    _credentials: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    @cached_property
    def outputs(self):
        """What the stack says of itself."""
        formation = self.engine.client("cloudformation")
        (stack,) = formation.describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @cached_property
    def resources(self):
        """The physical id of each resource, by its name in the template."""
        formation = self.engine.client("cloudformation")
        described = formation.describe_stack_resources(StackName=self.name)["StackResources"]
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in described
        }

    def put_table_policies(self):
        """Give the tables the policies that the template has for them."""
        for name in self.evaluation.of_type("AWS::DynamoDB::Table"):
            if policy := self.evaluation.properties(name).get("ResourcePolicy"):
                self.client("dynamodb").put_resource_policy(
                    ResourceArn=self.evaluation.evaluate({"Fn::GetAtt": [name, "Arn"]}),
                    Policy=json.dumps(policy["PolicyDocument"]),
                )

    def bucket_policy(self, bucket):
        """The policy that the template has for a bucket, by the bucket's name in the template."""
        (document,) = (
            policy["PolicyDocument"]
            for policy in map(self.evaluation.properties, self.evaluation.of_type(_BUCKET_POLICY))
            if policy["Bucket"] == self.evaluation.evaluate({"Ref": bucket})
        )
        arn = self.evaluation.evaluate({"Fn::GetAtt": [bucket, "Arn"]})
        return json.dumps(document).replace(arn, f"arn:aws:s3:::{self.resources[bucket]}")

    def role(self, name):
        """The ARN of one of the template's roles."""
        return self.resources[name]

    def make_administrator(self, name):
        """Make a role that is allowed everything; returns its ARN."""
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [everything]}
        iam = self.engine.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUSTS_ACCOUNT))
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(document))
        return made["Role"]["Arn"]

    def credentials(self, role):
        """Credentials of a session of a role: key, secret and token.

        Only Lambda may assume a function's role, and there is no Lambda here: the role is made to
        trust the account. What it may do is as the template says.
        """
        if role not in self._credentials:
            self.engine.client("iam").update_assume_role_policy(
                RoleName=role.rpartition("/")[2], PolicyDocument=json.dumps(_TRUSTS_ACCOUNT)
            )
            answer = self.engine.client("sts").assume_role(RoleArn=role, RoleSessionName="session")
            made = answer["Credentials"]
            self._credentials[role] = (
                *(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]),
            )
        return self._credentials[role]

    def client(self, service, *, as_role=None):
        """A client with the rights of a role, or of the root user."""
        credentials = [] if as_role is None else [self.credentials(as_role)]
        return self.engine.client(service, *credentials)

    def environment(self, role):
        """The variables that point a program's AWS tools at the engine, with a role's rights."""
        key, secret, token = self.credentials(role)
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.engine.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": _HOST,
        }

    def invoke(self, name, records):
        """Have the handler of a function of the template work on stream records.

        Returns:
            Its answer, and what it logged.
        """
        function = self.resources[name]
        described = self.engine.client("lambda").get_function_configuration(FunctionName=function)
        module, _, _ = described["Handler"].rpartition(".")
        process = subprocess.run(
            [sys.executable, "-c", _INVOKE, module],
            input=json.dumps({"Records": records}),
            env=described["Environment"]["Variables"] | self.environment(described["Role"]),
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise AssertionError(process.stderr)
        return json.loads(process.stderr), process.stdout


def _without_resource_account(template):
    """A template without the conditions on the account of a bucket."""
    for resource in template["Resources"].values():
        for policy in resource.get("Properties", {}).get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                equal = statement.get("Condition", {}).get("StringEquals", {})
                if equal.pop("s3:ResourceAccount", None) and statement["Condition"] == {
                    "StringEquals": {}
                }:
                    del statement["Condition"]
    return template


@contextlib.contextmanager
def enforcing(program):
    """A fakecloud on a free port for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="itemtrail-") as folder:
        log = Path(folder) / "engine.log"
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port = probe.getsockname()[1]
        arguments = ["--addr", f"{_HOST}:{port}", "--account-id", ACCOUNT, "--region", REGION]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(program), *arguments, "--iam", "strict", "--verify-sigv4"],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": folder},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            engine = Engine(f"http://{_HOST}:{port}", log)
            _await(engine, process)
            yield engine
        finally:
            process.kill()
            process.wait()


def _await(engine, process):
    """Poll the engine's health until it answers."""
    deadline = time.monotonic() + _READY_WITHIN_S
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            direct.open(f"{engine.url}/_fakecloud/health", timeout=1).close()
            return
        time.sleep(_POLL_S)
    raise AssertionError(f"fakecloud does not start: {engine.log.read_text(errors='replace')}")
