"""Several stacks of the real template in one account, and what an update leaves in place."""

import contextlib
import shutil

import pytest

from itemtrail.local.local_stack import EMULATED, LocalStack
from tests.eventually import eventually

pytestmark = pytest.mark.functional

SAMPLE = EMULATED | {"CreateSampleSourceTable": "true"}


class Trail:
    """One deployed stack, as somebody outside sees it."""

    def __init__(self, local_stack: LocalStack, name, built, **parameters):
        self._stack, self._name, self.built = local_stack, name, built
        self.parameters = SAMPLE | {"SourceTableName": f"{name}-source"} | parameters
        self.outputs = {}

    def deploy(self, **changed):
        """Create the stack, or update it."""
        self.parameters |= changed
        self.outputs = self._stack.deploy(self._name, self.parameters, template=self.built)
        return self

    def client(self, service):
        return contextlib.closing(self._stack.client(service))

    def put(self, *identifiers):
        with self.client("dynamodb") as dynamodb:
            for one in identifiers:
                dynamodb.put_item(
                    TableName=self.outputs["SourceTableName"], Item={"Id": {"N": str(one)}}
                )

    def items(self, output, attribute):
        with self.client("dynamodb") as dynamodb:
            pages = dynamodb.get_paginator("scan").paginate(
                TableName=self.outputs[output], ConsistentRead=True
            )
            return sorted(
                int(next(iter(item[attribute].values())))
                for page in pages
                for item in page["Items"]
            )

    def recorded(self):
        """Ids of the items of all history rows, one for each row."""
        return self.items("HistoryTableName", "Id")

    def replicated(self):
        """Ids of the replica's items."""
        return self.items("ReplicaTableName", "Id")


def _becomes(read, wanted):
    eventually(lambda: read() == wanted)


def _resources(local_stack, name):
    with contextlib.closing(local_stack.client("cloudformation")) as formation:
        pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
        }


def test_two_stacks_share_nothing(local_stack, built):
    """Two stacks side by side have no resource in common, and each follows its own table alone."""
    one = Trail(local_stack, "side-by-side", built).deploy()
    other = Trail(local_stack, "other-side", built).deploy()

    one.put(1, 2)
    other.put(3)

    _becomes(one.recorded, [1, 2])
    _becomes(one.replicated, [1, 2])
    _becomes(other.recorded, [3])
    _becomes(other.replicated, [3])
    resources = [_resources(local_stack, name) for name in ("side-by-side", "other-side")]
    assert resources[0].keys() == resources[1].keys()
    assert set(resources[0].values()).isdisjoint(resources[1].values())


def test_update_in_place_loses_nothing(local_stack, built, tmp_path):
    """A stack with a history alone is updated while a replica's stack follows the same table.

    Code and settings of its function are others afterwards; tables, buckets and mappings, and what
    they hold, are the same, and no change is left out. (A mapping's own numbers are left alone: of
    an updated mapping the emulator makes texts of them, and reads no more.)
    """
    history = Trail(local_stack, "updated", built).deploy(Consumers="history")
    replica = Trail(
        local_stack,
        "updated-replica",
        built,
        Consumers="replica",
        CreateSampleSourceTable="false",
        SourceTableName=history.outputs["SourceTableName"],
        SourceStreamArn=history.outputs["SourceStreamArn"],
    ).deploy()
    assert not {one for one in history.outputs if "Replica" in one}
    assert not {one for one in replica.outputs if "History" in one or "Overflow" in one}
    history.put(*range(10))
    _becomes(history.recorded, list(range(10)))
    outputs, resources = history.outputs, _resources(local_stack, "updated")

    history.built = _newer(built, tmp_path)
    history.deploy(MemorySize="512", Timeout="30", LogLevel="WARNING")
    history.put(*range(10, 20))

    _becomes(history.recorded, list(range(20)))
    _becomes(replica.replicated, list(range(20)))
    assert history.outputs == outputs
    assert _resources(local_stack, "updated") == resources
    with history.client("lambda") as functions:
        function = functions.get_function(FunctionName=outputs["HistoryWriterFunctionName"])
    now = function["Configuration"]
    assert (now["MemorySize"], now["Timeout"]) == (512, 30)
    assert now["Environment"]["Variables"]["LOG_LEVEL"] == "WARNING"


def _newer(built, folder):
    """The packages with other code that does the same."""
    template = shutil.copytree(built.parent, folder / "newer") / built.name
    with (template.parent / "HistoryWriterFunction/history_writer/app.py").open("a") as code:
        code.write("\n# newer\n")
    return template
