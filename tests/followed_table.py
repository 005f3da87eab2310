"""A table on moto whose every change goes to its history, and a client that may die at any step.

Moto knows no idempotency tokens. The client keeps them as AWS documents it: a request whose token
was used succeeds again without being carried out.
"""

from collections import Counter
from datetime import timedelta
from threading import RLock

from stream_core.attribute_values import same_item
from tests.fakes import DENIED, parse_insert
from tests.recorded_table import SOURCE, RecordedTable
from tests.service_limits import check_expressions

WRITES = ("transact_write_items", "put_item", "delete_item", "update_item")


class Killed(BaseException):
    """The process was ended."""


class FollowedClient:
    """Passes calls on, one at a time, and has the changes of the source recorded.

    Attributes:
        steps: the names of the calls so far.
        dies_at: the place of the call at which it dies, as if the process had been ended.
        after: whether that call is carried out before.
        happens: what to do once before the next call of an operation.
        answers: what to do with the answer of the next call of an operation.
        refuses: the error that every write is answered with.
        denies, denial: an operation, and the error that it is answered with.
    """

    def __init__(self, client, table):
        self._client, self._table = client, table
        self._lock = RLock()
        self._tokens = {}
        self.steps, self.happens, self.answers = [], {}, {}
        self.dies_at, self.after = None, False
        self.is_dead = False
        self.refuses, self.denies, self.denial = None, None, DENIED
        self.meta = client.meta

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
        self.happens.pop(name, lambda: None)()
        if name == self.denies:
            raise self.denial
        if self.refuses is not None and name in WRITES:
            raise self.refuses
        answer = self._carry_out(name, real, request)
        # The time of the tests is another than that of moto.
        answer.pop("ResponseMetadata", None)
        if place == self.dies_at:
            self._die()
        return self.answers.pop(name, lambda answer: answer)(answer)

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

    def _carry_out(self, name, real, request):
        if name == "batch_execute_statement":
            return self._insert(**request)
        if name not in WRITES:
            return real(**request)
        action = request
        if name == "transact_write_items":
            ((action,),) = (one.values() for one in request["TransactItems"])
            check_expressions(action)
            if request["ClientRequestToken"] in self._tokens:
                assert self._tokens[request["ClientRequestToken"]] == action
                return {}
        if action["TableName"] != SOURCE:
            return real(**request)
        identifier = action.get("Key", action.get("Item"))["Id"]["S"]
        old = self._table.item(identifier)
        answer = real(**request)
        if name == "transact_write_items":
            self._tokens[request["ClientRequestToken"]] = action
        self._table.changed(identifier, old, self._table.item(identifier))
        return answer


class FollowedTable(RecordedTable):
    """Whose changes are recorded, at once or when told.

    Attributes:
        writes: how often this program has written each item.
        waiting: changes that are on their way to the history.
        is_late: whether changes wait.
    """

    def __init__(self, session):
        super().__init__(session)
        self.writes, self.waiting, self.is_late = Counter(), [], False
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

    def later(self, **span):
        """Let time pass."""
        self.now += timedelta(**span)

    def rows(self, identifier):
        """The rows of an item."""
        return list(self.deployment.reader.rows(identifier))

    def control_rows(self):
        """What the history says of itself."""
        return self.deployment.reader.control_rows("!", "~")
