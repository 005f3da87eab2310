"""What AWS says of the parts of a stack, each part asked once; no judgement."""

import contextlib
import json
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from reports.access.bounded import MOST_KEPT_BYTES, read_at_most
from reports.access.clients import CLIENT_CONFIG
from reports.access.table_description import TableDescription
from reports.deployment.stack import Consumer, Stack, TableRole
from reports.errors import ReportError
from stream_core.history_row import ID
from stream_core.item_id import CONTROL_ID
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TimeToLiveDescriptionTypeDef
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import (
        EventSourceMappingConfigurationResponseTypeDef,
        EventSourceMappingConfigurationTypeDef,
    )
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DefaultRetentionTypeDef, LifecycleRuleOutputTypeDef

    from stream_core.attribute_values import Item

Value = TypeVar("Value")

UNREADABLE = (ClientError, BotoCoreError, ResponseParserError, ReportError)
"""What it may raise when something cannot be read: to be shown with its reason."""
POINTERS = "pointers/"
"""Where invocation records of an older set-up, which name a batch and do not hold it, are put."""
LAG_WINDOW = timedelta(minutes=15)
FAILED_BATCHES = "aws/lambda/"
"""Where Lambda keeps the batches that it gave up on."""
FULL_RECOVERY_DAYS = 35
"""How far back point-in-time recovery goes unless it was told to keep less."""
_SOME_ROWS = 100
# A thousand objects, or a hundred rows, a page: to know that it is very many is enough.
_MOST_PAGES = 10


@dataclass(frozen=True)
class Objects:
    """The objects under a prefix, counted.

    Attributes:
        at_least: counting stopped: there are more, and one of those may be newer.
    """

    count: int
    newest: datetime | None
    at_least: bool = False


class StackReader:
    """Reads a stack's tables, mappings and buckets; its methods raise what is in `UNREADABLE`.

    Ask only about what the stack has: its `table_roles` and its `consumers`. A refusal is
    remembered like an answer, and methods may be called side by side.
    """

    def __init__(self, session: boto3.Session, stack: Stack, endpoint_url: str | None) -> None:
        """Prepare to ask; nothing is sent yet."""
        self.stack = stack

        def client(service: Any, region: str | None = None) -> Any:
            return session.client(
                service, region_name=region, endpoint_url=endpoint_url, config=CLIENT_CONFIG
            )

        self._dynamodb: dict[TableRole, DynamoDBClient] = dict.fromkeys(
            stack.table_roles, client("dynamodb")
        )
        if TableRole.REPLICA in self._dynamodb:
            self._dynamodb[TableRole.REPLICA] = client("dynamodb", stack.replica_region)
        self._lambda: LambdaClient = client("lambda")
        self._s3: S3Client = client("s3")
        self._metrics = client("cloudwatch")
        self._topics = client("sns")
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Future[Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.ExitStack() as clients:
            no_tables = (self._lambda, self._s3, self._metrics, self._topics)
            for client in {*self._dynamodb.values(), *no_tables}:
                clients.callback(client.close)

    def table_name(self, role: TableRole) -> str:
        """The name of a table."""
        match role:
            case TableRole.SOURCE:
                return self.stack.source_table
            case TableRole.HISTORY:
                return self.stack.history_table
            case TableRole.REPLICA:
                return self.stack.replica_table

    def region(self, role: TableRole) -> str:
        """The region of a table."""
        return self._dynamodb[role].meta.region_name

    def table(self, role: TableRole) -> TableDescription:
        """A table's description; that there is none is DynamoDB's own refusal."""
        client, name = self._client(role), self.table_name(role)
        answer = self._once(("table", role), lambda: client.describe_table(TableName=name))
        return TableDescription(answer["Table"])

    def some_history_rows(self) -> "list[Item]":
        """`Id` and `EventSourceARN` of the rows that a scan of the history meets first."""
        rows: list[Item] = []
        place: Any = {}
        # There may be many control rows, next to each other.
        for _ in range(_MOST_PAGES):
            answer = self._client(TableRole.HISTORY).scan(
                TableName=self.stack.history_table,
                ProjectionExpression="Id, EventSourceARN",
                Limit=_SOME_ROWS,
                **place,
            )
            rows += [row for row in answer["Items"] if row.get(ID) != {"S": CONTROL_ID}]
            if len(rows) >= _SOME_ROWS or "LastEvaluatedKey" not in answer:
                break
            place = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return rows[:_SOME_ROWS]

    def recovery_days(self, role: TableRole) -> int:
        """How many days back a table can be restored to any second; 0: not at all."""
        client, name = self._client(role), self.table_name(role)
        backups = client.describe_continuous_backups(TableName=name)
        recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            return 0
        # An emulator may not say it.
        return recovery.get("RecoveryPeriodInDays", FULL_RECOVERY_DAYS)

    def time_to_live(self, role: TableRole) -> "TimeToLiveDescriptionTypeDef":
        """What a table does about items that expire."""
        client, name = self._client(role), self.table_name(role)
        return client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]

    def resource_policy(self, role: TableRole) -> Any:
        """A table's own policy as a JSON document, None where it has none."""
        arn = self.table(role).arn
        try:
            policy = self._client(role).get_resource_policy(ResourceArn=arn)["Policy"]
        except ClientError as error:
            if error_code(error) != "PolicyNotFoundException":
                raise
            return None
        return json.loads(policy)

    def mapping(self, consumer: Consumer) -> "EventSourceMappingConfigurationResponseTypeDef":
        """A consumer's event source mapping."""
        identifier = self.stack.mapping_id(consumer)
        return self._once(
            ("mapping", consumer), lambda: self._lambda.get_event_source_mapping(UUID=identifier)
        )

    def mappings(self, stream_arn: str) -> "list[EventSourceMappingConfigurationTypeDef]":
        """Every event source mapping of a stream, also of other stacks."""
        pages = self._lambda.get_paginator("list_event_source_mappings").paginate(
            EventSourceArn=stream_arn
        )
        return [mapping for page in pages for mapping in page["EventSourceMappings"]]

    def lag_ms(self, consumer: Consumer, now: datetime) -> float | None:
        """The greatest age of a record that a consumer was given lately, None if it got none."""
        points = self._metrics.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="IteratorAge",
            Dimensions=[{"Name": "FunctionName", "Value": self.stack.function(consumer)}],
            StartTime=now - LAG_WINDOW,
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return max((point["Maximum"] for point in points), default=None)

    def metrics(
        self, dimensions: Mapping[str, Mapping[str, str]], start: datetime, end: datetime
    ) -> dict[str, list[float]]:
        """The points of Lambda's metrics, a minute each: ages as their maximum, counts as sums.

        Args:
            dimensions: what each metric is of, by its name.
            start: the first minute.
            end: the minute after the last.

        Raises:
            ReportError: the answer is not complete.
        """
        queries = [
            {
                "Id": f"m{number}",
                "Label": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Lambda",
                        "MetricName": name,
                        "Dimensions": [
                            {"Name": key, "Value": value} for key, value in of_what.items()
                        ],
                    },
                    "Period": 60,
                    "Stat": "Maximum" if name.endswith("Age") else "Sum",
                },
            }
            for number, (name, of_what) in enumerate(dimensions.items())
        ]
        pages = self._metrics.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end
        )
        points: dict[str, list[float]] = {name: [] for name in dimensions}
        names, last = list(dimensions), dict.fromkeys(dimensions, "absent")
        for result in (result for page in pages for result in page["MetricDataResults"]):
            name = names[int(result["Id"].removeprefix("m"))]
            points[name] += result["Values"]
            last[name] = result.get("StatusCode", "Complete")
        if set(last.values()) != {"Complete"}:
            raise ReportError("CloudWatch's answer is not complete")
        return points

    def object_keys(self, prefix: str) -> list[str]:
        """The keys of the objects of the quarantine bucket under a prefix, all of them."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.stack.quarantine_bucket, Prefix=prefix
        )
        # Consoles make folders as empty objects.
        keys = (entry["Key"] for page in pages for entry in page.get("Contents", []))
        return [key for key in keys if not key.endswith("/")]

    def kept_object(self, key: str) -> bytes:
        """An object of the quarantine bucket.

        Raises:
            OversizeError: it is larger than what is kept aside.
        """
        answer = self._s3.get_object(Bucket=self.stack.quarantine_bucket, Key=key)
        with answer["Body"] as body:
            return read_at_most(body, MOST_KEPT_BYTES)

    def alarms(self) -> "list[MetricAlarmTypeDef]":
        """The alarms of the stack."""
        start = f"{self.stack.name}-"
        pages = self._metrics.get_paginator("describe_alarms").paginate(AlarmNamePrefix=start)
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
        # CloudFormation names them STACK-NAME-XXX; another stack's name may begin as this one's.
        return [
            alarm
            for alarm in alarms
            if alarm["AlarmName"].removeprefix(start).partition("-")[0].endswith("Alarm")
        ]

    def subscriptions(self, topic_arn: str) -> list[str]:
        """The ARNs of a topic's subscriptions; of one that waits to be confirmed another word."""
        pages = self._topics.get_paginator("list_subscriptions_by_topic").paginate(
            TopicArn=topic_arn
        )
        return [entry["SubscriptionArn"] for page in pages for entry in page["Subscriptions"]]

    def is_on_aws(self) -> bool:
        """Whether AWS itself is asked, and not another endpoint."""
        host = urlsplit(self._lambda.meta.endpoint_url).hostname or ""
        # The partitions' own: amazonaws.com, amazonaws.com.cn, amazonaws.eu.
        return ".amazonaws." in host

    def kept_aside(self, prefix: str) -> Objects:
        """How many objects of the quarantine bucket there are under a prefix."""
        bucket = self.stack.quarantine_bucket
        return self._once(("objects", prefix), lambda: self._count(bucket, prefix))

    def is_versioned(self, bucket: str) -> bool:
        """Whether a bucket keeps what is overwritten or deleted."""
        return self._s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"

    def retention(self, bucket: str) -> "DefaultRetentionTypeDef | None":
        """How long a bucket's objects are locked by default, None where they are not."""
        try:
            lock = self._s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        except ClientError as error:
            if error_code(error) != "ObjectLockConfigurationNotFoundError":
                raise
            return None
        return lock.get("Rule", {}).get("DefaultRetention")

    def lifecycle(self, bucket: str) -> "list[LifecycleRuleOutputTypeDef]":
        """The rules by which a bucket's objects move or expire."""
        try:
            rules = self._s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        except ClientError as error:
            if error_code(error) != "NoSuchLifecycleConfiguration":
                raise
            return []
        return list(rules)

    def _client(self, role: TableRole) -> "DynamoDBClient":
        if role is TableRole.REPLICA and self.stack.replica_role_arn is not None:
            # A table of that name in this account would be another one.
            raise ReportError(
                f"the replica is in another account, where {self.stack.replica_role_arn} may "
                "write it and nothing else"
            )
        return self._dynamodb[role]

    def _count(self, bucket: str, prefix: str) -> Objects:
        counted = Objects(0, None)
        token: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            page = self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
            counted = _plus(counted, page.get("Contents", []))
            if not page.get("IsTruncated"):
                return counted
            token = {"ContinuationToken": page["NextContinuationToken"]}
        return Objects(counted.count, counted.newest, at_least=True)

    def _once(self, question: Hashable, ask: Callable[[], Value]) -> Value:
        with self._lock:
            first = question not in self._answers
            answer: Future[Value] = self._answers.setdefault(question, Future())
        if first:
            try:
                answer.set_result(ask())
            except BaseException as error:  # noqa: BLE001 - raised below, for everybody who waits
                answer.set_exception(error)
        return answer.result()


def reason_of(error: Exception) -> str:
    """Why something could not be read, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        text = f"{error.operation_name}: {error_code(error)} {' '.join(message.split())}".rstrip()
    return text or type(error).__name__


def _plus(counted: Objects, entries: Iterable[Any]) -> Objects:
    # Consoles make folders as empty objects.
    more = [entry["LastModified"].astimezone(UTC) for entry in entries if entry["Key"][-1:] != "/"]
    times = [*more, counted.newest] if counted.newest else more
    return Objects(counted.count + len(more), max(times, default=None))
