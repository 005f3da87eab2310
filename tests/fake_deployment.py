"""A deployment as template.yaml leaves it, answered by boto3's own clients without a network.

Requests are validated by botocore as ever, and so are the answers, against the service's model;
in between, a request is answered from the facts below, which a test changes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.validate import validate_parameters

from reports.deployment.alarm_checks import alarms_of
from reports.deployment.stack import Consumer, Stack

STACK, REGION, REPLICA_REGION = "employee-trail", "eu-west-1", "eu-central-1"
SOURCE, HISTORY, REPLICA = "Employee", "employee-trail-history", "employee-trail-replica"
QUARANTINE, OVERFLOW = "quarantine-bucket", "overflow-bucket"
STREAM = f"arn:aws:dynamodb:{REGION}:123456789012:table/{SOURCE}/stream/2026-11-01T10:00:00.000"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:{STACK}-AlarmTopic-1A2B3C"
# UUIDs have 36 characters, and botocore minds.
WRITERS = {
    name: f"1a6c762d-128b-4020-84fa-d86ae77f49d{number}"
    for number, name in enumerate(("history_writer", "replica_writer"), start=1)
}
THIRD_MAPPING = "1a6c762d-128b-4020-84fa-d86ae77f49d3"
FOURTH_MAPPING = "1a6c762d-128b-4020-84fa-d86ae77f49d4"
BEGAN = datetime(2026, 11, 1, 10, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OUTPUTS = {
    "SourceTableName": SOURCE,
    "SourceStreamArn": STREAM,
    "HistoryTableName": HISTORY,
    "ReplicaTableName": REPLICA,
    "ReplicaRegion": REPLICA_REGION,
    "OverflowBucketName": OVERFLOW,
    "QuarantineBucketName": QUARANTINE,
    "TimeShards": "4",
    "HistoryWriterFunctionName": f"{STACK}-history-writer",
    "ReplicaWriterFunctionName": f"{STACK}-replica-writer",
    "HistoryWriterMappingId": WRITERS["history_writer"],
    "ReplicaWriterMappingId": WRITERS["replica_writer"],
    "AlarmTopicArn": TOPIC,
}
PARAMETERS = {"OverflowLockMode": "GOVERNANCE", "OverflowLockDays": "365"}


# What only a stack with the consumer has.
OUTPUTS_OF = {
    Consumer.HISTORY_WRITER: {
        "HistoryTableName",
        "OverflowBucketName",
        "TimeShards",
        "HistoryWriterFunctionName",
        "HistoryWriterMappingId",
    },
    Consumer.REPLICA_WRITER: {
        "ReplicaTableName",
        "ReplicaRegion",
        "ReplicaWriterFunctionName",
        "ReplicaWriterMappingId",
    },
}


def outputs_with_only(consumer):
    """The outputs of a stack that was deployed with one consumer."""
    (other,) = OUTPUTS_OF.keys() - {consumer}
    return {name: value for name, value in OUTPUTS.items() if name not in OUTPUTS_OF[other]}


def a_stack(**changes):
    """The stack itself, as read."""
    return Stack(STACK, OUTPUTS | changes, dict(PARAMETERS))


def table(name, key, **more):
    """A table's description."""
    return {
        "TableName": name,
        "TableArn": f"arn:aws:dynamodb:{REGION}:123456789012:table/{name}",
        "TableStatus": "ACTIVE",
        "CreationDateTime": BEGAN,
        "ItemCount": 1200,
        "TableSizeBytes": 345_678,
        "KeySchema": [
            {"AttributeName": attribute, "KeyType": kind}
            for attribute, kind in zip(key, ("HASH", "RANGE"), strict=False)
        ],
        # In an order of its own, as DynamoDB may give them.
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": tag}
            for attribute, tag in sorted(key.items())
        ],
        **more,
    }


def mapping(writer, stack=STACK, **changes):
    """An event source mapping as the template makes it."""
    return {
        "UUID": WRITERS[writer],
        "State": "Enabled",
        "LastModified": BEGAN,
        "StateTransitionReason": "USER_INITIATED",
        "LastProcessingResult": "OK",
        "StartingPosition": "TRIM_HORIZON",
        "EventSourceArn": STREAM,
        "FunctionArn": f"arn:aws:lambda:{REGION}:123456789012:function:{stack}-"
        f"{writer.replace('_', '-')}",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": 43_200,
        "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:s3:::{QUARANTINE}"}},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    } | changes


def append_only(*, spared=None, without=()):
    """The history table's policy as the template makes it, or lacking something."""
    actions = [
        f"dynamodb:{operation}"
        for operation in (
            "BatchWriteItem",
            "DeleteItem",
            "DeleteTable",
            "PartiQLDelete",
            "PartiQLUpdate",
            "PutItem",
            "UpdateItem",
            "UpdateTimeToLive",
        )
        if operation not in without
    ]
    arn = table(HISTORY, {})["TableArn"]
    statement = {"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": arn}
    if spared:
        statement["Condition"] = {"ArnNotEquals": {"aws:PrincipalArn": spared}}
    return {"Version": "2012-10-17", "Statement": [statement, no_control_rows()]}


def no_control_rows():
    """The statement of that policy about what the history says of itself."""
    writer = f"arn:aws:iam::123456789012:role/{STACK}-HistoryWriterRole-*"
    condition = {
        "ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": ["!itemtrail"]},
        "ArnLike": {"aws:PrincipalArn": writer},
    }
    statement = {"Effect": "Deny", "Principal": "*", "Action": "dynamodb:PartiQLInsert"}
    return statement | {"Resource": table(HISTORY, {})["TableArn"], "Condition": condition}


def history_row(arn, identifier='{"Id":{"N":"1"}}'):
    """What a scan for the provenance of rows gives of one."""
    return {"Id": {"S": identifier}, "EventSourceARN": {"S": arn}}


def alarm(name, stack=STACK, **changes):
    """An alarm as the template makes it."""
    full = {"AlarmName": f"{stack}-{name}Alarm-1A2B3C", "ActionsEnabled": True}
    return full | {"AlarmActions": [TOPIC]} | changes


@dataclass
class Facts:
    """What is deployed, in the services' own words."""

    tables: dict[str, dict] = field(
        default_factory=lambda: {
            SOURCE: table(
                SOURCE,
                {"Id": "N"},
                LatestStreamArn=STREAM,
                StreamSpecification={
                    "StreamEnabled": True,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            ),
            HISTORY: table(
                HISTORY,
                {"Id": "S", "ApproximateCreationDateTime": "S"},
                DeletionProtectionEnabled=True,
                GlobalSecondaryIndexes=[
                    {
                        "IndexName": "ByTime",
                        "IndexStatus": "ACTIVE",
                        "KeySchema": [
                            {"AttributeName": "TimeBucket", "KeyType": "HASH"},
                            {"AttributeName": "ApproximateCreationDateTime", "KeyType": "RANGE"},
                        ],
                        "Projection": {
                            "ProjectionType": "INCLUDE",
                            "NonKeyAttributes": ["EventName"],
                        },
                    }
                ],
            ),
            REPLICA: table(REPLICA, {"Id": "N"}, DeletionProtectionEnabled=True),
        }
    )
    rows: list[dict] = field(default_factory=lambda: [history_row(STREAM), history_row(STREAM)])
    stack_outputs: dict[str, str] = field(default_factory=lambda: dict(OUTPUTS))
    stack_parameters: dict[str, str] = field(default_factory=lambda: dict(PARAMETERS))
    recovery: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys((SOURCE, HISTORY, REPLICA), "ENABLED")
    )
    recovery_period: dict[str, int] = field(default_factory=lambda: {"RecoveryPeriodInDays": 35})
    time_to_live: dict[str, dict] = field(default_factory=dict)
    mappings: list[dict] = field(
        default_factory=lambda: [mapping(consumer) for consumer in WRITERS]
    )
    lag_ms: dict[str, list[float]] = field(default_factory=dict)
    objects: list[str] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[float]] = field(default_factory=lambda: {"PolledEventCount": [0.0]})
    metrics_status: str = "Complete"
    metrics_absent: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=lambda: {"aws:cloudformation:stack-name": STACK})
    policies: dict[str, dict] = field(default_factory=lambda: {HISTORY: append_only()})
    retention: dict | None = field(default_factory=lambda: {"Mode": "GOVERNANCE", "Days": 365})
    versioning: dict = field(default_factory=lambda: {"Status": "Enabled"})
    lifecycle: list[dict] = field(default_factory=list)
    alarms: list[dict] = field(
        default_factory=lambda: [alarm(name) for name in sorted(alarms_of(a_stack()))]
    )
    subscriptions: list[str] = field(
        default_factory=lambda: [f"{TOPIC}:9abc", "PendingConfirmation"]
    )


class FakeAws:
    """Answers requests from facts, and refuses what it is told to refuse.

    Attributes:
        refused: error codes by operation, e.g. `{"ListObjectsV2": "AccessDenied"}`.
        asked: every request, as operation, region and parameters.
    """

    def __init__(self):
        self.session = boto3.Session("test", "test", region_name=REGION)
        self.session.events.register("before-parameter-build", self._keep)
        self.session.events.register("before-call", self._answer)
        self.start_anew()

    def start_anew(self):
        self.facts = Facts()
        self.refused: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict]] = []

    def deploy_only(self, consumer):
        """Leave out the other consumer, and all that only it needs; gives the stack."""
        (other,) = OUTPUTS_OF.keys() - {consumer}
        facts = self.facts
        facts.stack_outputs = outputs_with_only(consumer)
        facts.stack_parameters |= {"Consumers": consumer.table.value}
        del facts.tables[{"history": HISTORY, "replica": REPLICA}[other.table]]
        facts.mappings = [entry for entry in facts.mappings if entry["UUID"] == WRITERS[consumer]]
        return Stack(STACK, facts.stack_outputs, facts.stack_parameters)

    @staticmethod
    def _keep(params, context, **_):
        context["asked"] = params

    def _answer(self, model, context, **_):
        operation, region = model.name, context["client_region"]
        params = context["asked"]
        self.requests.append((operation, region, params))
        if operation in self.refused:
            return _error(self.refused[operation], f"not authorized to perform: {operation}")
        answer: Callable[..., Any] = getattr(self, operation)
        try:
            result = answer(**params)
        except LookupError as error:
            return _error(*error.args)
        # Some operations answer nothing.
        if model.output_shape is not None:
            validate_parameters(result, model.output_shape)
        headers = {"date": format_datetime(NOW, usegmt=True)}
        result = result | {"ResponseMetadata": {"HTTPHeaders": headers}}
        return SimpleNamespace(status_code=200, headers={}), result

    def DescribeStacks(self, StackName):  # noqa: N802, N803 - the service's names, here and below
        if StackName != STACK:
            raise LookupError("ValidationError", f"Stack with id {StackName} does not exist")
        facts = self.facts
        return {
            "Stacks": [
                {
                    "StackName": STACK,
                    "CreationTime": BEGAN,
                    "StackStatus": "CREATE_COMPLETE",
                    "Outputs": [
                        {"OutputKey": key, "OutputValue": value}
                        for key, value in facts.stack_outputs.items()
                    ],
                    "Parameters": [
                        {"ParameterKey": key, "ParameterValue": value}
                        for key, value in facts.stack_parameters.items()
                    ],
                }
            ]
        }

    def DescribeTable(self, TableName):  # noqa: N802, N803
        return {"Table": self._table(TableName)}

    def Scan(self, TableName, ProjectionExpression, Limit, ExclusiveStartKey=None):  # noqa: N802, N803
        assert (TableName, ProjectionExpression) == (HISTORY, "Id, EventSourceARN")
        self._table(TableName)
        start = int(ExclusiveStartKey["Id"]["S"]) if ExclusiveStartKey else 0
        end = start + Limit
        more = end < len(self.facts.rows)
        last = {"LastEvaluatedKey": {"Id": {"S": str(end)}}} if more else {}
        return {"Items": self.facts.rows[start:end]} | last

    def DescribeContinuousBackups(self, TableName):  # noqa: N802, N803
        self._table(TableName)
        status = self.facts.recovery[TableName]
        return {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status}
                | self.facts.recovery_period,
            }
        }

    def DescribeTimeToLive(self, TableName):  # noqa: N802, N803
        self._table(TableName)
        off = {"TimeToLiveStatus": "DISABLED"}
        return {"TimeToLiveDescription": self.facts.time_to_live.get(TableName, off)}

    def _table(self, name):
        if name not in self.facts.tables:
            raise LookupError("ResourceNotFoundException", f"Table: {name} not found")
        return self.facts.tables[name]

    def GetEventSourceMapping(self, UUID):  # noqa: N802, N803
        for entry in self.facts.mappings:
            if entry["UUID"] == UUID:
                return entry
        raise LookupError("ResourceNotFoundException", "The resource does not exist.")

    def ListEventSourceMappings(self, EventSourceArn, Marker="0"):  # noqa: N802, N803
        # Two a page, so that a third is on another.
        entries = [
            entry for entry in self.facts.mappings if entry["EventSourceArn"] == EventSourceArn
        ]
        start = int(Marker)
        page = {"EventSourceMappings": entries[start : start + 2]}
        return page if start + 2 >= len(entries) else page | {"NextMarker": str(start + 2)}

    def GetMetricStatistics(self, **request):  # noqa: N802
        assert (request["Namespace"], request["MetricName"]) == ("AWS/Lambda", "IteratorAge")
        (dimension,) = request["Dimensions"]
        return {
            "Datapoints": [
                {"Timestamp": request["EndTime"] - timedelta(minutes=n), "Maximum": age}
                for n, age in enumerate(self.facts.lag_ms.get(dimension["Value"], []))
            ]
        }

    def GetMetricData(self, MetricDataQueries, **_):  # noqa: N802, N803
        facts = self.facts
        return {
            "MetricDataResults": [
                {
                    "Id": query["Id"],
                    "Values": facts.metrics.get(query["MetricStat"]["Metric"]["MetricName"], []),
                    "StatusCode": facts.metrics_status,
                }
                for query in MetricDataQueries
                if query["MetricStat"]["Metric"]["MetricName"] not in facts.metrics_absent
            ]
        }

    def DescribeAlarms(self, AlarmNamePrefix):  # noqa: N802, N803
        names = [one["AlarmName"] for one in self.facts.alarms]
        assert all(name.startswith(AlarmNamePrefix) for name in names)
        return {"MetricAlarms": self.facts.alarms}

    def ListSubscriptionsByTopic(self, TopicArn):  # noqa: N802, N803
        assert TopicArn == TOPIC
        found = [{"SubscriptionArn": arn, "TopicArn": TOPIC} for arn in self.facts.subscriptions]
        return {"Subscriptions": found}

    def ListTagsOfResource(self, ResourceArn):  # noqa: N802, N803
        assert ResourceArn.endswith(f"table/{HISTORY}")
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.facts.tags.items()]}

    def GetObject(self, Bucket, Key, **_):  # noqa: N802, N803
        assert Bucket == QUARANTINE
        return {"Body": BytesIO(self.facts.bodies.get(Key, "{}").encode())}

    def ListObjectsV2(self, Bucket, Prefix, ContinuationToken="0", **_):  # noqa: N802, N803
        assert Bucket == QUARANTINE
        keys = [key for key in self.facts.objects if key.startswith(Prefix)]
        start = int(ContinuationToken)
        contents = [
            {"Key": key, "LastModified": NOW - timedelta(minutes=len(keys) - n)}
            for n, key in enumerate(keys[start : start + 1000], start=start)
        ]
        page = {"Contents": contents, "IsTruncated": start + 1000 < len(keys)}
        return page | ({"NextContinuationToken": str(start + 1000)} if page["IsTruncated"] else {})

    def GetResourcePolicy(self, ResourceArn):  # noqa: N802, N803
        name = ResourceArn.rpartition("/")[2]
        if name not in self.facts.policies:
            raise LookupError("PolicyNotFoundException", f"no policy of {ResourceArn}")
        return {"Policy": json.dumps(self.facts.policies[name]), "RevisionId": "1"}

    def GetObjectLockConfiguration(self, Bucket):  # noqa: N802, N803
        assert Bucket == OVERFLOW
        if self.facts.retention is None:
            raise LookupError("ObjectLockConfigurationNotFoundError", f"no lock on {Bucket}")
        rule = {"DefaultRetention": self.facts.retention}
        return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": rule}}

    def GetBucketVersioning(self, Bucket):  # noqa: N802, N803
        assert Bucket == OVERFLOW
        return self.facts.versioning

    def GetBucketLifecycleConfiguration(self, Bucket):  # noqa: N802, N803
        assert Bucket == OVERFLOW
        if not self.facts.lifecycle:
            raise LookupError("NoSuchLifecycleConfiguration", "there is none")
        return {"Rules": self.facts.lifecycle}


def _error(code, message):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}
    return SimpleNamespace(status_code=400, headers={}), answer
