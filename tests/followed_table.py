"""A table on moto whose every change goes to its history, and a client that may die at any step.

Moto knows no idempotency tokens. The client keeps them as AWS documents it: a request whose token
was used succeeds again without being carried out.
"""

from collections import Counter, defaultdict
from datetime import timedelta
from threading import RLock

from operations.execution.pace import Pace
from reports.access.machine import Machine
from stream_core.attribute_values import same_item
from tests.factories import Clock, text
from tests.fakes import DENIED, parse_insert, parse_select
from tests.recorded_table import SOURCE, RecordedTable
from tests.service_limits import check_expressions

ROWS_A_PAGE = 10
TOKEN_LASTS = timedelta(minutes=10)
WRITES = ("transact_write_items", "put_item", "delete_item", "update_item")


class Killed(BaseException):
    """The process was ended."""


class LostAnswer:
    """The request is carried out, and its sender does not learn of it; then something happens."""

    def __init__(self, error, then=lambda: None):
        self.error, self.then = error, then


class FollowedClient:
    """Passes calls on, one at a time, and has the changes of the source recorded.

    The next entry of an operation's script is what happens to its next call: a function that is
    called first, an error to be raised instead, or a `LostAnswer`.

    Attributes:
        steps: the names of the calls so far.
        written: the writes that the source was asked for: of what kind, and with what.
        dies_at: the place of the call at which it dies, as if the process had been ended.
        after: whether that call is carried out before.
        refuses: the error that every write is answered with.
        denies, denial: an operation, and the error that it is answered with.
    """

    def __init__(self, client, table):
        self._client, self._table = client, table
        self._lock = RLock()
        self.steps, self.written = [], []
        self._scripts = defaultdict(list)
        self.dies_at, self.after = None, False
        self.is_dead = False
        self.refuses, self.denies, self.denial = None, None, DENIED
        self.meta = client.meta

    def script(self, operation, *entries):
        """Add to what happens to the next calls of an operation."""
        self._scripts[operation] += entries

    def __getattr__(self, name):
        real = getattr(self._client, name)
        if not callable(real) or name in {"get_paginator", "can_paginate"}:
            return real

        def call(**request):
            with self._lock:
                return self._call(name, real, request)

        return call

    def _call(self, name, real, request):
        if self.is_dead:
            raise Killed
        place = len(self.steps)
        self.steps.append(name)
        if place == self.dies_at and not self.after:
            self._die()
        entry = self._scripts[name].pop(0) if self._scripts[name] else None
        if callable(entry):
            entry()
        error = entry if isinstance(entry, Exception) else self._refusal(name)
        if error is not None:
            raise error
        answer = self._carry_out(name, real, request)
        # The time of the tests is another than that of moto.
        answer.pop("ResponseMetadata", None)
        if place == self.dies_at:
            self._die()
        if isinstance(entry, LostAnswer):
            entry.then()
            raise entry.error
        return answer

    def _refusal(self, name):
        if name == self.denies:
            return self.denial
        return self.refuses if name in WRITES else None

    def _die(self):
        self.is_dead = True
        raise Killed

    def _insert(self, Statements):  # noqa: N803 - the name of the API
        """Moto comes without a parser of PartiQL."""
        responses = []
        for statement in Statements:
            table, row = parse_insert(statement)
            try:
                self._client.put_item(
                    TableName=table, Item=row, ConditionExpression="attribute_not_exists(Id)"
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                responses.append({"Error": {"Code": "DuplicateItem", "Message": "there"}})
            else:
                responses.append({"TableName": table})
        return {"Responses": responses}

    def _select(self, request):
        """What IN finds comes in pages of ten: Developer Guide, PartiQL operators."""
        assert request["ConsistentRead"]
        table, identifiers, first, start = parse_select(request)
        condition = "Id = :id AND ApproximateCreationDateTime >= :first"
        rows = [
            {name: row[name] for name in ("Id", "ApproximateCreationDateTime")}
            for identifier in identifiers
            for row in self._client.query(
                TableName=table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues={":id": text(identifier), ":first": text(first)},
            )["Items"]
        ]
        end = start + ROWS_A_PAGE
        more = {"NextToken": str(end)} if end <= len(rows) else {}
        return {"Items": rows[start:end]} | more

    def _carry_out(self, name, real, request):
        if name == "batch_execute_statement":
            return self._insert(**request)
        if name == "execute_statement":
            return self._select(request)
        if name not in WRITES:
            return real(**request)
        actions, token = [(name, request)], request.get("ClientRequestToken")
        if name == "transact_write_items":
            actions = [pair for one in request["TransactItems"] for pair in one.items()]
        for _, action in actions:
            # Moto takes conditions of any size.
            check_expressions(action)
        if any(action["TableName"] != SOURCE for _, action in actions):
            return real(**request)
        return self._write(real, request, actions, token)

    def _write(self, real, request, actions, token):
        """Carry writes of the source out, each transaction once, and have them recorded."""
        self.written += actions
        known, at = self._table.tokens.get(token, (None, self._table.now))
        if known is not None and self._table.now - at < TOKEN_LASTS:
            assert known == actions
            return {}
        keys = [action.get("Key", action.get("Item"))["Id"]["S"] for _, action in actions]
        old = {identifier: self._table.item(identifier) for identifier in keys}
        answer = real(**request)
        if token is not None:
            self._table.tokens[token] = actions, self._table.now
        for identifier in keys:
            self._table.changed(identifier, old[identifier], self._table.item(identifier))
        return answer


class FollowedTable(RecordedTable):
    """Whose changes are recorded, at once or when told.

    Attributes:
        writes: how often this program has written each item.
        waiting: changes that are on their way to the history.
        is_late: whether changes wait.
        tokens: the requests that were carried out, and when; no end of a process forgets them.
    """

    def __init__(self, session):
        super().__init__(session)
        self.writes, self.waiting, self.is_late = Counter(), [], False
        self.tokens = {}
        self.now = self.at(30)
        self.revive()

    def revive(self):
        """A new process."""
        self.racing = self.deployment.dynamodb = FollowedClient(self.client, self)
        self.deployment.reader.dynamodb = self.racing
        return self.racing

    def changed(self, identifier, old, new, *, by_us=True):
        """Note a change of the source."""
        if same_item(old, new):
            return
        self.writes[identifier] += by_us
        self.sequence += 1
        self.waiting.append((old, new, identifier, self.now, self.sequence))
        if not self.is_late:
            self.deliver()

    def deliver(self):
        """Have what is on its way in the history."""
        for change in self.waiting:
            self.record(*change)
        self.waiting = []

    def other_writer(self, identifier, image):
        """Another writer puts or deletes an item, and that is recorded as well."""
        old = self.item(identifier)
        self.store(image, identifier)
        self.changed(identifier, old, image, by_us=False)

    def pace(self, **options):
        """A pace on a machine on which time passes by pauses alone."""
        clock = Clock()
        machine = Machine(
            now=lambda: self.now,
            clock=lambda: -clock.left_ms / 1000,
            sleep=clock.sleep,
            jitter=lambda: 1.0,
        )
        return Pace(**{"machine": machine} | options)

    def later(self, **span):
        """Let time pass."""
        self.now += timedelta(**span)

    def rows(self, identifier):
        """The rows of an item."""
        return list(self.deployment.reader.rows(identifier))

    def control_rows(self):
        """What the history says of itself."""
        return self.deployment.reader.control_rows("!", "~")
