"""A table made for a restore: its tag says so, until everything is in it and it is protected."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import RefusedError, RunEndedError
from operations.execution.pace import Pace
from operations.recovery.table.order import TAG, OrderTag
from operations.recovery.table.settings import TableSettings
from operations.recovery.table.settings_reader import tags_of, time_to_live_of
from reports.access.table_description import TableDescription, describe
from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema
from stream_core.retry import Retry, classify, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ANOTHER_NAME = "name a table that does not exist"
# Developer Guide, "Tagging": a tag may show only some seconds after it was set.
TAG_SHOWS_WITHIN_S = 10.0
_IN_USE = "ResourceInUseException"
# A table that was just made, or is changed at the moment, answers so.
_BUSY = frozenset({_IN_USE, "ContinuousBackupsUnavailableException"})
_Step: TypeAlias = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Standing:
    """How far the new table is before a run.

    Attributes:
        is_there: there is such a table, with nothing in it or with what an earlier run wrote.
        tag: the tag that it has of this order; None: it was not begun.
    """

    is_there: bool = False
    tag: OrderTag | None = None

    @property
    def is_begun(self) -> bool:
        """Whether an earlier run of the same order may have written to it."""
        return self.tag is not None

    @property
    def is_made_for_it(self) -> bool:
        """Whether its settings are this order's to choose."""
        return not self.is_there or (self.tag is not None and self.tag.was_made)


@dataclass(frozen=True)
class NewTable:
    """A table that is not there yet, is empty, or is one that the same order has begun."""

    client: "DynamoDBClient"
    name: str
    pace: Pace

    def standing(self, keys: KeySchema, tag: OrderTag) -> Standing:
        """How far it is.

        Args:
            keys: the key that it has to have.
            tag: of the order.

        Raises:
            RefusedError: something would be overwritten or would not fit, it was begun by another
                order, or it is finished.
        """
        try:
            table = describe(self.client, self.name)
        except TableNotFoundError:
            return Standing()
        if table.status == "DELETING":
            raise RefusedError(f"table '{self.name}' is being deleted: wait, or {_ANOTHER_NAME}")
        if table.key != tuple(keys.types.items()):
            raise RefusedError(
                f"table '{self.name}' has the key {table.key_schema}, not {keys}: {_ANOTHER_NAME}"
            )
        begun, problem = self._tag(table)
        if begun is not None:
            self._require_same(begun, tag)
            self._wait()
            return Standing(is_there=True, tag=begun)
        self._wait()
        if self.client.scan(TableName=self.name, Limit=1, ConsistentRead=True)["Items"]:
            raise RefusedError(f"table '{self.name}' is not empty, and {problem}: {_ANOTHER_NAME}")
        return Standing(is_there=True)

    def _tag(self, table: TableDescription) -> tuple[OrderTag | None, str]:
        """The tag of the order that was begun, and why there is none, in words."""
        try:
            text = tags_of(self.client, table).get(TAG)
        except (ClientError, BotoCoreError) as error:
            return None, f"whether a restore began it is not known ({error_code(error)})"
        return (
            None if text is None else OrderTag.read(text),
            f"no restore has begun it (it has no tag {TAG})",
        )

    def _require_same(self, begun: OrderTag, tag: OrderTag) -> None:
        differences = ", ".join(begun.differences(tag))
        if begun.is_finished:
            is_this = "by another order" if differences else "by this very order"
            raise RefusedError(
                f"table '{self.name}' was restored as of {begun.at} {is_this} and is finished, so "
                f"nothing is left to do: to restore once more, {_ANOTHER_NAME}"
            )
        if differences:
            raise RefusedError(
                f"table '{self.name}' was begun by another restore; what differs is {differences}: "
                f"give that order to go on with it, or {_ANOTHER_NAME}"
            )

    def begun(self) -> tuple[TableDescription, OrderTag] | None:
        """It and its tag, if a restore has begun it."""
        try:
            table = describe(self.client, self.name)
        except TableNotFoundError:
            return None
        tag, _ = self._tag(table)
        return None if tag is None else (table, tag)

    def create(self, settings: TableSettings, tag: OrderTag) -> Iterator[str]:
        """Make it with its tag, and wait until it can be written; gives what else to know.

        Raises:
            RefusedError: it cannot be made now.
        """
        request = dict(settings.request)
        request["Tags"] = [*request.get("Tags", ()), {"Key": TAG, "Value": str(tag)}]
        try:
            self.client.create_table(TableName=self.name, **request)
        except ClientError as error:
            # The answer to an earlier try may have been lost.
            if error_code(error) != _IN_USE or not self._is_ours(tag):
                raise RefusedError(self._not_made(error)) from error
        self._wait()
        yield from self._untagged(tag)

    def begin(self, tag: OrderTag) -> Iterator[str]:
        """Give one that is there and empty its tag; gives what else to know."""
        if problem := self.set_tag(tag):
            yield self._without_tag(problem)
        else:
            yield from self._untagged(tag)

    def set_tag(self, tag: OrderTag) -> str:
        """Have its tag say how far it is; why that cannot be, if so."""

        def request() -> None:
            arn = describe(self.client, self.name).arn
            self.client.tag_resource(ResourceArn=arn, Tags=[{"Key": TAG, "Value": str(tag)}])

        return self._problem(request)

    def await_tag(self, tag: OrderTag) -> None:
        """Give a tag that was set the seconds that it may take to show."""
        self._shown(tag)

    def current_tag(self) -> OrderTag | None:
        """The tag of the order that has it now; None: it has none.

        Raises:
            RunEndedError: that cannot be told.
        """
        texts: list[str] = []

        try:
            problem = self._problem(lambda: texts.append(self._tag_text()))
        except TableNotFoundError:
            return None
        if problem:
            raise RunEndedError(
                f"which run has '{self.name}' cannot be told ({problem}): nothing more is written"
            )
        return OrderTag.read(texts[-1])

    def protect(self, settings: TableSettings, *, with_ttl: bool) -> Iterator[str]:
        """Turn on what it has once everything is in it; gives what could not be, and why."""
        recovery: dict[str, Any] = {"PointInTimeRecoveryEnabled": True}
        if settings.recovery_days is not None:
            recovery["RecoveryPeriodInDays"] = settings.recovery_days
        steps: list[_Step] = [
            (
                "point-in-time recovery",
                "update_continuous_backups",
                {"PointInTimeRecoverySpecification": recovery},
            ),
            ("deletion protection", "update_table", {"DeletionProtectionEnabled": True}),
        ]
        if with_ttl and settings.ttl_attribute is not None and not self._expires():
            ttl = {"Enabled": True, "AttributeName": settings.ttl_attribute}
            steps.append(
                ("the time to live", "update_time_to_live", {"TimeToLiveSpecification": ttl})
            )
        for what, operation, request in steps:
            change = partial(getattr(self.client, operation), TableName=self.name, **request)
            if problem := self._problem(change):
                yield f"{what} of '{self.name}' is not on ({problem}): turn it on"

    def _expires(self) -> bool:
        """Whether an earlier run got so far: what is on already is refused."""
        try:
            return time_to_live_of(self.client, self.name) is not None
        except (ClientError, BotoCoreError):
            return False

    def _problem(self, request: Callable[..., object]) -> str:
        """Why a request fails, if so; while the table is busy it is waited for."""
        problems: list[str] = []

        def attempt(pending: list[None]) -> list[None]:
            problems.clear()
            try:
                request()
            except (ClientError, BotoCoreError) as error:
                problems.append(error_code(error))
                is_passing = problems[0] in _BUSY or classify(error) is Retry.TRANSIENT
                return pending if is_passing else []
            return []

        self.pace.patience().work_off([None], attempt)
        return "".join(problems)

    def _untagged(self, tag: OrderTag) -> Iterator[str]:
        """Why it has no tag after one was set, if so; it may be another run's by now."""
        text, problem = self._shown(tag)
        if problem or not text:
            yield self._without_tag(problem or "tags are not kept")

    def _shown(self, tag: OrderTag) -> tuple[str, str]:
        """What its tag is once it shows or should; why that cannot be told, if so."""
        texts, problems = [""], [""]

        def look(pending: list[None]) -> list[None]:
            try:
                texts.append(self._tag_text())
            except (ClientError, BotoCoreError) as error:
                problems.append(error_code(error))
                return []
            return [] if texts[-1] == str(tag) else pending

        self.pace.machine.patience(TAG_SHOWS_WITHIN_S).work_off([None], look)
        return texts[-1], problems[-1]

    def _without_tag(self, why: str) -> str:
        return (
            f"'{self.name}' has no tag that says what it is restored from ({why}): an interrupted "
            "restore cannot be gone on with"
        )

    def _is_ours(self, tag: OrderTag) -> bool:
        return self._tag_text() == str(tag)

    def _tag_text(self) -> str:
        return tags_of(self.client, describe(self.client, self.name)).get(TAG, "")

    def _not_made(self, error: ClientError) -> str:
        code = error_code(error)
        match code:
            case "ResourceInUseException":
                return f"table '{self.name}' is just being made by somebody else: {_ANOTHER_NAME}"
            case "LimitExceededException":
                why = "the account has as many tables, or makes as many at once, as it may"
                return f"table '{self.name}' cannot be made now, for {why}: try again later"
        message = error.response.get("Error", {}).get("Message", "")
        return f"table '{self.name}' cannot be made ({code}): {message}"

    def _wait(self) -> None:
        self.client.get_waiter("table_exists").wait(TableName=self.name)
