"""How a stack that was made to be tried is taken down, as docs/deployment.md says it."""

import re
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from tests.templates import REPOSITORY

pytestmark = [pytest.mark.functional, pytest.mark.bank]

NAME = "trail-try"
# The command lines are no part of the tests' environment.
_AWS = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.aws_commands import main
main(sys.argv[1:])
"""
_SAM = f"""#!{sys.executable}
import sys, boto3
assert sys.argv[1:] == ["delete", "--stack-name", {NAME!r}, "--no-prompts"], sys.argv
client = boto3.client("cloudformation")
client.delete_stack(StackName={NAME!r})
client.get_waiter("stack_delete_complete").wait(StackName={NAME!r}, WaiterConfig={{"Delay": 1}})
"""


@pytest.fixture
def block():
    """The commands of the page."""
    page = (REPOSITORY / "docs/deployment.md").read_text("utf-8")
    return re.search(r"\*\*Take it down\.\*\*.*?```sh\n(.*?)```", page, re.DOTALL)[1]


@pytest.fixture
def environment(local_stack, tmp_path):
    """What the commands run with."""
    for name, program in (("aws", _AWS), ("sam", _SAM)):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    given = local_stack.environment()
    return given | {"PATH": f"{tmp_path}:{given['PATH']}"}


def _is_there(call, **request):
    try:
        call(**request)
    except ClientError:
        return False
    return True


def test_nothing_of_a_try_is_left(deploy, block, environment):
    """Tables, buckets with all versions of their objects, and the key: names with spaces too."""
    stack = deploy(NAME, SampleSourceTableName=NAME, PartitionKeyType="S", OverflowLockDays=1)
    buckets = [stack.outputs[f"{which}BucketName"] for which in ("Overflow", "Quarantine")]
    # The emulator passes over what the template says of locks.
    lock = {"ObjectLockEnabled": "Enabled"}
    lock["Rule"] = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    stack.s3.put_object_lock_configuration(Bucket=buckets[0], ObjectLockConfiguration=lock)
    for bucket in buckets:
        for body in (b"first", b"second"):
            stack.s3.put_object(Bucket=bucket, Key="a name of words", Body=body)
    stack.s3.delete_object(Bucket=buckets[1], Key="a name of words")

    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    tables = [stack.outputs[f"{which}TableName"] for which in ("Source", "History", "Replica")]
    describe = stack.dynamodb.describe_table
    assert [table for table in tables if _is_there(describe, TableName=table)] == []
    assert [each for each in buckets if _is_there(stack.s3.head_bucket, Bucket=each)] == []
    key = stack.client("kms").describe_key(KeyId=stack.outputs["KmsKeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"
