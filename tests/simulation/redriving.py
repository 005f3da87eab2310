"""The operator of a simulated world: redrives what its faults left behind, and may be killed at it.

The redrive, the writer and the settler are the real ones, and so are the clients of the tables.
The bucket is the world's; what it cannot do at the moment is drawn for each request.
"""

import hashlib
import io
import json
import random
from functools import partial
from types import SimpleNamespace
from unittest import mock

from botocore.exceptions import ClientError

import operations.redrive.delivery
import operations.redrive.run
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from reports.access.machine import Machine
from reports.deployment.stack import Consumer
from tests.simulation.consumers import _parts, in_world
from tests.simulation.scheduler import HOUR, SECOND, KilledError
from tests.simulation.world import Invocation

CONSUMERS = {"history": Consumer.HISTORY_WRITER, "replica": Consumer.REPLICA_WRITER}
"""The names by which the simulation's Lambda knows its functions and mappings."""
_BUCKETS = ("quarantine", "failures")
_PATIENCE_S = 30


class Bucket:
    """What S3 does with requests for what failed; two buckets of the world, seen as one.

    A request fails, before or after its effect, or ends the operator with it.
    """

    def __init__(self, world, *, failing=0.0):
        self._world = world
        self._failing = failing
        self._asked = {}
        self.invocation = None

    def get_paginator(self, operation):
        assert operation == "list_objects_v2"
        return SimpleNamespace(paginate=self._pages)

    def get_object(self, *, Key, **_):  # noqa: N803 - names of the API
        return self._do("get", Key, partial(self._get, Key))

    def copy_object(self, *, Key, CopySource, CopySourceIfMatch, **_):  # noqa: N803
        return self._do("copy", Key, partial(self._copy, Key, CopySource["Key"], CopySourceIfMatch))

    def head_object(self, *, Key, **_):  # noqa: N803
        return self._do("head", Key, lambda: {"ContentLength": len(self._body(Key))})

    def delete_object(self, *, Key, IfMatch, **_):  # noqa: N803
        return self._do("delete", Key, partial(self._delete, Key, IfMatch))

    def keys(self):
        return sorted(key for name in _BUCKETS for key in self._world.store.buckets[name])

    def _pages(self, *, Prefix, **_):  # noqa: N803
        yield {"Contents": [{"Key": key} for key in self.keys() if key.startswith(Prefix)]}

    def _get(self, key):
        body = self._body(key)
        return {"Body": io.BytesIO(body), "ETag": _etag(body)}

    def _copy(self, key, source, etag):
        if _etag(self._body(source)) != etag:
            raise _error("PreconditionFailed", 412)
        self._world.store.put_object(self._bucket_of(source), key, self._body(source))

    def _delete(self, key, etag):
        if _etag(self._body(key)) != etag:
            raise _error("PreconditionFailed", 412)
        del self._world.store.buckets[self._bucket_of(key)][key]

    def _body(self, key):
        return self._world.store.buckets[self._bucket_of(key)][key][-1]

    def _bucket_of(self, key):
        for name in _BUCKETS:
            if key in self._world.store.buckets[name]:
                return name
        raise _error("NoSuchKey", 404)

    def _do(self, operation, key, carry_out):
        # Threads of the operation come here in any order, so each request has dice of its own.
        asked = self._asked[operation, key] = self._asked.get((operation, key), 0) + 1
        dice = random.Random(f"{self._world.scenario.seed} {operation} {key} {asked}")  # noqa: S311
        if dice.random() >= self._failing:
            return carry_out()
        if dice.random() < 0.5:
            carry_out()
        if dice.random() < 0.3:
            self._world.crash(self.invocation)
        raise _error("SlowDown", 503)


def _error(code, status):
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation"
    )


def _gone(**_):
    raise _error("ResourceNotFoundException", 400)


def _etag(body):
    return hashlib.sha256(body).hexdigest()


def redrive(world, *, names=None, failing=0.0):
    """Redrive what a world has kept aside; None if the operator was killed at it."""
    bucket = Bucket(world, failing=failing)
    writer, settler = _parts("history")[1], _parts("replica")[1].settler
    # It has lost everything by then, and is not there any more.
    streams = SimpleNamespace(describe_stream=_gone)
    session = SimpleNamespace(region_name="eu-west-1", client=lambda *_, **__: streams)
    deployment = DeployedTables("source", session, quarantine_bucket="kept-aside", time_shards=4)
    deployment.s3 = bucket
    deployment.caller = "operator"
    # What the history says of itself is no row of an item: nothing of the model depends on it.
    deployment.dynamodb = SimpleNamespace(batch_execute_statement=lambda **_: {"Responses": [{}]})
    deployment.history_writer = writer
    deployment.settler = settler
    order = partial(
        operations.redrive.run.redrive,
        deployment,
        apply=True,
        names=CONSUMERS if names is None else names,
        pace=Pace(patience_s=_PATIENCE_S, machine=_machine(world)),
    )
    world.stats["invocations"] += 1
    bucket.invocation = Invocation(
        world.stats["invocations"],
        "operator",
        world.scheduler.now,
        world.scheduler.now,
        lambda _outcome: None,
    )
    ended = []
    begin = partial(world.scheduler.spawn, order, bucket.invocation, ended.append)
    # The model has one table of the name, and no description of it.
    guard = mock.patch.object(operations.redrive.run, "require_followed")
    followed = {record.true["eventSourceARN"] for record in world.source.log}
    streams_of = mock.patch.object(operations.redrive.run, "_streams", return_value=followed)
    with guard, streams_of, in_world(world):
        # The stream has lost everything by then.
        world.scheduler.after(48 * HOUR, begin)
        world.scheduler.run()
    (task,) = ended
    if isinstance(task.error, KilledError):
        return None
    if task.error is not None:
        raise task.error
    return task.result


def _machine(world):
    """The operation's own pauses and deadlines are in the world's time."""
    return Machine(
        clock=lambda: world.scheduler.now / SECOND,
        sleep=lambda seconds: world.scheduler.pause(int(seconds * SECOND)),
        jitter=world.rng("operator").random,
    )


def mend(world):
    """Put the true record in the place of each malformed one, as somebody would by hand."""
    true = {record.text: record.true for record in world.source.log if not record.whole}
    texts = {json.dumps(json.loads(text), sort_keys=True): one for text, one in true.items()}

    def mended(value):
        if isinstance(value, dict):
            known = texts.get(json.dumps(value, sort_keys=True))
            return known or {name: mended(member) for name, member in value.items()}
        return [mended(member) for member in value] if isinstance(value, list) else value

    for name in _BUCKETS:
        for key, versions in world.store.buckets[name].items():
            if not key.startswith("done/"):
                versions.append(json.dumps(mended(json.loads(versions[-1]))).encode())
