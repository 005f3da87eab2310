"""The two real handlers with their real boto3 clients, in a world that the simulation makes."""

import os
import warnings
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cache
from io import StringIO
from types import SimpleNamespace
from unittest import mock

import history_writer.app
import replica_writer.app
import replica_writer.second_look
from replica_writer.look import SecondLook
from replica_writer.tables import SourceTable
from replica_writer.writer import SeenChanges
from stream_core.answer_budget import AnswerBudget
from stream_core.retry import Patience
from tests.factories import NOON
from tests.simulation.scheduler import SECOND, Pool, Room
from tests.simulation.source import TABLE_ARN
from tests.simulation.wire import read_call

APPS = {"history": history_writer.app, "replica": replica_writer.app}
FUNCTIONS = APPS | {"look": replica_writer.second_look}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "BOTO_DISABLE_CRT": "true",
    "SOURCE_TABLE_ARN": TABLE_ARN,
    "HISTORY_TABLE": "history",
    "OVERFLOW_BUCKET": "overflow",
    "QUARANTINE_BUCKET": "quarantine",
    "SOURCE_TABLE": "source",
    "REPLICA_TABLE": "replica",
    "SECOND_LOOK_QUEUE": "https://sqs.eu-west-1.amazonaws.com/123456789012/looks",
    "LOG_LEVEL": "CRITICAL",
    "POWERTOOLS_SERVICE_NAME": "simulation",
}
_WORLD = SimpleNamespace(now=None)
"""The world that requests go to at present."""


@contextmanager
def in_world(world):
    """The handlers' clients, pools, pauses and dice are those of a world."""
    _WORLD.now = world
    dice = world.rng("backoff")

    def patience(remaining_ms):
        return Patience(
            remaining_ms,
            sleep=lambda seconds: world.scheduler.pause(int(seconds * SECOND)),
            jitter=dice.random,
        )

    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT))
        _prepare(world)
        for name, app in FUNCTIONS.items():
            parts = _second_look() if name == "look" else _parts(name)
            stack.enter_context(mock.patch.object(app, "_parts", lambda parts=parts: parts))
            stack.enter_context(mock.patch.object(app, "Patience", patience))
            stack.enter_context(mock.patch.object(app, "report", _counting(app.report)))
        yield
    _WORLD.now = None


def _prepare(world):
    """Every world begins with a new process, and with settings of its own."""
    writer = _parts("replica")[1]
    settler, settings = writer.settler, world.scenario.settings
    source, queue = _source(), _second_look().queue
    object.__setattr__(writer, "seen", SeenChanges())
    object.__setattr__(settler, "source", source if settings.settle else None)
    object.__setattr__(settler, "queue", queue if settings.second_look else None)
    object.__setattr__(settler, "budget", AnswerBudget(_room=Room(lambda: world.scheduler)))


@cache
def _source():
    return _parts("replica")[1].settler.source


@cache
def _second_look():
    """The function of the second look, which settles as the consumer does."""
    settler = _parts("replica")[1].settler
    object.__setattr__(settler.queue, "clock", lambda: NOON + _WORLD.now.scheduler.now / SECOND)
    settler.queue.sqs.meta.events.register("before-send.*.*", _send)
    replica = SourceTable(settler.replica.client, settler.replica.name)
    return SecondLook(settler, replica, settler.queue)


@cache
def _parts(name):
    """A handler's own parts, made once; only their threads and their network are replaced."""
    app = APPS[name]
    app._parts.cache_clear()
    table_arn, writer, quarantine = app._parts()
    app._parts.cache_clear()
    pool = Pool(lambda: _WORLD.now.scheduler)
    if name == "history":
        owner, clients = writer, [writer.dynamodb, writer.overflow.s3]
    else:
        owner = writer.settler
        object.__setattr__(writer, "clock", lambda: _WORLD.now.clock() if _WORLD.now else None)
        clients = [owner.replica.client, owner.source.client]
    for pooled in (owner, quarantine):
        pooled.pool.shutdown()
        object.__setattr__(pooled, "pool", pool)
    for client in {id(client): client for client in [*clients, quarantine.s3]}.values():
        client.meta.events.register("before-send.*.*", _send)
    return table_arn, writer, quarantine


def _send(request, event_name, **_):
    return _WORLD.now.wire.send(read_call(event_name, request))


def _counting(report):
    def count(lag_metric, summary):
        consumer = lag_metric.removesuffix("LagMs").lower() or "look"
        for name, number in summary.outcome.counts.items():
            _WORLD.now.stats[f"{consumer}: {name}"] += number
        with redirect_stdout(StringIO()) as metrics, warnings.catch_warnings(action="ignore"):
            report(lag_metric, summary)
        if "item|" in metrics.getvalue():
            _WORLD.now.problems.append(f"item data in the metrics of the {consumer} writer")

    return count
