"""An account as `itemtrail accept` believes it to be, answered by boto3's own clients.

Requests and answers are held against the services' models; rights are those of template.yaml, by
the rules of `tests/iam.py`. A test changes one thing of it, and sees which belief is refuted.
"""

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from types import SimpleNamespace

import boto3

from operations.acceptance.canary import Canary
from operations.acceptance.trial import Trial
from operations.acceptance.wait import TimeLimit
from operations.deployed_tables import DeployedTables
from reports.access.machine import Machine
from reports.deployment.stack import Consumer, Stack
from stream_core.history_row import HistoryRow
from stream_core.overflow_object import pack
from tests.deployed_policies import ADMINISTRATOR, EVERYTHING, DeployedPolicies
from tests.factories import change, text
from tests.fake_deployment import FakeAws, mapping, table
from tests.iam import Decision
from tests.left_behind import invocation
from tests.templates import ACCOUNT, REGION, SAMPLE, STACK, Evaluation, transformed

KEYS = {"Id": text("canary")}
RUN = "abc123"
DENIED = "AccessDeniedException"
_EXPLICIT = "not authorized, with an explicit deny in a resource-based policy"
_LARGE = 400_000
_CONTROL = {"Id": text("!itemtrail"), "ApproximateCreationDateTime": text("!life")}
_DAY = timedelta(days=1)
_MARKER = "marker"


@cache
def _loader():
    return boto3.Session()._session.get_component("data_loader")


@cache
def _deployed(**parameters):
    """The template for some parameters, and its policies: nobody changes them."""
    chosen = SAMPLE | {"PartitionKeyType": "S"} | parameters
    evaluation = Evaluation(transformed(), chosen, real=True)
    return evaluation, DeployedPolicies(evaluation)


class Account(FakeAws):
    """The stack of the template with a sample table, and what accept makes beside it.

    Attributes:
        trial: an acceptance run in it.
        now: the time, which passes by sleeping only.
        lag_s: how long after a write its row can be read.
        allowed: actions that no policy denies, each with who may do it.
        gives_keys: whether a request carries its `dynamodb:LeadingKeys`.
        lets_insert: whether the function gets its rows into the history.
        logged: the lines that the function's batches have logged.
        condition: why Lambda gives up on a batch; None: it does not.
        met: the errors that the deployed function meets.
        undelivered: how often Lambda could not deliver what it gave up on.
        explains: what a denial says of the policy it is by.
        may_delete_versions: whether the caller has that right, whatever is locked.
        filled_state: the state of an alarm that FILL gives its points.
        filters_first: whether it looks at a mapping's filter before it looks at the age.
        was_tried: whether the function was given the batch before.
        has_s3_condition: whether KMS calls S3 as the template does.
        has_lock: whether a locked version cannot be deleted.
        refuses_old_with: the error code for a signature that is too old.
        items, rows, objects: of the source, of its history, and of all buckets.
        made: what accept has made and not taken away again.
    """

    def __init__(self, **parameters):
        super().__init__()
        # The models of a dozen services are read once for all tests.
        self.session._session.register_component("data_loader", _loader())
        self.evaluation, self.policies = _deployed(**parameters)
        chosen = self.evaluation.parameters
        outputs = {name: str(value) for name, value in self.evaluation.outputs.items()}
        self.stack = Stack(STACK, outputs, {name: str(value) for name, value in chosen.items()})
        self.now = self.began = datetime(2026, 11, 30, 12, tzinfo=UTC)
        self.lag_s, self.gives_keys, self.lets_insert = 2, True, True
        self.logged = []
        self.met, self.undelivered, self.explains = {}, 0, _EXPLICIT
        self.was_tried, self.may_delete_versions = False, True
        self.condition, self.filters_first, self.has_s3_condition = "RecordAgeExceeded", True, True
        self.allowed, self.filled_state = set(), "ALARM"
        self.has_lock, self.refuses_old_with = True, "InvalidSignatureException"
        self.items, self.rows, self.objects, self.made = {}, [], {}, set()
        self.control_rows, self.made_for_own_keys = [_CONTROL], set()
        self.tokens, self.messages, self.probe_is_throttled = set(), [], False
        self._describe()
        tables = DeployedTables(
            self.stack.source_table,
            self.session,
            history_table=self.stack.history_table,
            replica_table=self.stack.outputs.get("ReplicaTableName"),
        )
        machine = Machine(now=lambda: self.now, clock=self._clock, sleep=self._sleep)
        self.trial = Trial(self.stack, Canary(tables, KEYS, RUN, TimeLimit(machine)))

    def _describe(self):
        source, history = self.stack.source_table, self.stack.history_table
        self.facts.tables = {
            source: table(source, {"Id": "S"}, TableArn=self.table_arn(source)),
            history: table(history, {"Id": "S", "ApproximateCreationDateTime": "S"}),
        }
        self.facts.recovery = {history: "ENABLED"}
        uuid = self.stack.mapping_id(Consumer.HISTORY_WRITER)
        self.facts.mappings = [mapping("history_writer", UUID=uuid)]

    def _clock(self):
        return (self.now - self.began).total_seconds()

    def _sleep(self, seconds):
        self.now += timedelta(seconds=seconds)

    def table_arn(self, name):
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"

    def role(self, name):
        """The ARN of a role of the template."""
        return self.policies.arn(self.evaluation, name)

    # ---- Rights ----------------------------------------------------------------------------

    def decision(self, who, action, resource, context):
        """What the policies say, unless a test has it otherwise."""
        if (who, action) in self.allowed:
            return Decision.ALLOWED
        more = [EVERYTHING] if who == ADMINISTRATOR else []
        return self.policies.asks(who, action, resource, context, more)

    def _require(self, who, action, table_name, **context):
        named = {f"dynamodb:{key}": value for key, value in context.items()}
        if not self.gives_keys:
            named.pop("dynamodb:LeadingKeys", None)
        arn = self.table_arn(table_name)
        if self.decision(who, f"dynamodb:{action}", arn, named) is not Decision.ALLOWED:
            raise LookupError(DENIED, self.explains)

    def _as(self, who, operation, parameters):
        """What DynamoDB answers to a call on the history that could change nothing."""
        name = self.stack.history_table
        match operation:
            case "put_item" | "update_item" | "delete_item":
                action = operation.title().replace("_", "")
                self._require(who, action, name)
                raise LookupError("ConditionalCheckFailedException", "the condition does not hold")
            case "batch_get_item":
                asks_some = "ProjectionExpression" in parameters["RequestItems"][name]
                digest = ["Id", "ApproximateCreationDateTime", "Digest"]
                context = {"Select": "SPECIFIC_ATTRIBUTES", "Attributes": digest}
                self._require(who, "BatchGetItem", name, **(context if asks_some else {}))
            case "batch_execute_statement":
                (statement,) = parameters["Statements"]
                leading = [statement["Parameters"][0]["S"]]
                self._require(who, "PartiQLInsert", name, LeadingKeys=leading)
                raise LookupError("DuplicateItem", "there is such a row")

    # ---- The followed table and its history ------------------------------------------------

    def write(self, old, new):
        """A change of the canary, and its row some time later."""
        if new is None:
            self.items.clear()
        else:
            self.items["canary"] = new
        if not self.lets_insert:
            return
        number = 100_000_000_003_218_256_368 + len(self.rows)
        made = change(old, new, sequence=number, at=int(self.now.timestamp()))
        row = HistoryRow.from_change(replace(made, event_source_arn=self.stack.source_stream_arn))
        if len(str((old, new))) > _LARGE:
            pointer, body = pack(row.change, self.stack.overflow_bucket)
            self.objects[pointer.bucket, pointer.key] = body
            row = replace(row, overflow=replace(pointer, version_id="1"))
        self.rows.append((self.now + timedelta(seconds=self.lag_s), row))

    def TransactWriteItems(self, TransactItems, ClientRequestToken):  # noqa: N802, N803 - AWS's names
        item = TransactItems[0]["Put"]["Item"]
        if ClientRequestToken not in self.tokens:
            if self.items:
                raise LookupError("TransactionCanceledException", "ConditionalCheckFailed")
            self.tokens.add(ClientRequestToken)
            self.write(None, item)
        return {}

    def Query(self, TableName, ExpressionAttributeValues, **_):  # noqa: N802, N803
        assert TableName == self.stack.history_table
        if ExpressionAttributeValues[":id"] == _CONTROL["Id"]:
            return {"Items": self.control_rows}
        return {"Items": [row.to_item(4) for at, row in self.rows if at <= self.now]}

    def GetItem(self, TableName, **_):  # noqa: N802, N803
        assert TableName == self.stack.replica_table
        return {"Item": self.items["canary"]} if self.items else {}

    def PutItem(self, **request):  # noqa: N802
        self._as(ADMINISTRATOR, "put_item", request)

    def UpdateItem(self, TableName, **request):  # noqa: N802, N803
        if TableName == self.stack.history_table:
            self._as(ADMINISTRATOR, "update_item", request)
        old = self.items["canary"]
        self.write(old, old | {"filler": request["ExpressionAttributeValues"][":filler"]})
        return {}

    def DeleteItem(self, TableName, **request):  # noqa: N802, N803
        if TableName == self.stack.history_table:
            self._as(ADMINISTRATOR, "delete_item", request)
        if self.items:
            self.write(self.items["canary"], None)
        return {}

    def BatchWriteItem(self, RequestItems):  # noqa: N802, N803
        self._require(ADMINISTRATOR, "BatchWriteItem", *RequestItems)
        return {"UnprocessedItems": {}}

    def ExecuteStatement(self, Statement, Parameters):  # noqa: N802, N803
        verb, name = Statement.split()[0].title(), self.stack.history_table
        if f'"{name}"' in Statement:
            self._require(ADMINISTRATOR, f"PartiQL{verb}", name)
            if verb == "Update":
                raise LookupError("ConditionalCheckFailedException", "there is no such row")
            return {"Items": []}
        assert verb == "Insert"
        self.write(None, self.inserted(Statement, Parameters))
        return {"Items": []}

    @staticmethod
    def inserted(statement, parameters):
        """The item of an INSERT."""
        names = statement.partition("{")[2].split("'")[1::2]
        return dict(zip(names, parameters, strict=True))

    def UpdateTimeToLive(self, TableName, **_):  # noqa: N802, N803
        self._require(ADMINISTRATOR, "UpdateTimeToLive", TableName)
        raise LookupError("ValidationException", "TimeToLive is already disabled")

    def BatchExecuteStatement(self, **request):  # noqa: N802
        try:
            self._as(ADMINISTRATOR, "batch_execute_statement", request)
        except LookupError as error:
            code, message = error.args
        used = {"TableName": self.stack.history_table, "CapacityUnits": 1.0}
        problem = {"Error": {"Code": code, "Message": message}}
        return {"Responses": [problem], "ConsumedCapacity": [used]}

    # ---- Lambda ----------------------------------------------------------------------------

    def GetFunctionConfiguration(self, FunctionName):  # noqa: N802, N803
        return {
            "FunctionName": FunctionName,
            "Runtime": "python3.14",
            "Architectures": ["arm64"],
            "Role": self.role("HistoryWriterRole"),
            "State": "Active",
        }

    def CreateFunction(self, FunctionName, Role, **_):  # noqa: N802, N803
        assert Role == self.role("HistoryWriterRole")
        self.made.add(FunctionName)
        return {"FunctionName": FunctionName}

    def DeleteFunction(self, FunctionName):  # noqa: N802, N803
        if FunctionName not in self.made:
            raise LookupError("ResourceNotFoundException", "there is no such function")
        self.made.remove(FunctionName)
        return {}

    def PutFunctionConcurrency(self, FunctionName, ReservedConcurrentExecutions):  # noqa: N802, N803
        assert FunctionName in self.made
        self.probe_is_throttled = ReservedConcurrentExecutions == 0
        return {"ReservedConcurrentExecutions": ReservedConcurrentExecutions}

    def Invoke(self, FunctionName, Payload, LogType="None"):  # noqa: N802, N803
        event, answer = json.loads(Payload), {"StatusCode": 200}
        if FunctionName in self.made:
            if self.probe_is_throttled:
                raise LookupError("TooManyRequestsException", "Rate Exceeded.")
            return answer | {"Payload": BytesIO(json.dumps(self._probed(event)).encode())}
        assert (FunctionName, LogType) == (self.stack.function(Consumer.HISTORY_WRITER), "Tail")
        counts = self.consume(event["Records"])
        line = {"message": "batch", "counts": counts, "errors": self.met}
        lines = ['cut"}', '"START"', '{"_aws": {}}', json.dumps(line), "END"]
        log = "\n".join(lines).encode()
        response = {"batchItemFailures": []}
        return answer | {
            "Payload": BytesIO(json.dumps(response).encode()),
            "LogResult": base64.b64encode(log).decode(),
        }

    def _probed(self, event):
        if event["service"] == "s3":
            return self._probed_object(**event["parameters"])
        try:
            self._as(self.role("HistoryWriterRole"), event["operation"], event["parameters"])
        except LookupError as error:
            return {"code": error.args[0], "request": "1"}
        return {"code": None, "request": "1"}

    def _probed_object(self, Bucket, Key, Body):  # noqa: N803 - AWS's names
        if not self.has_s3_condition:
            return {"code": "AccessDenied", "request": "1"}
        self.objects[Bucket, Key] = Body
        return {"code": None, "request": "1"}

    def consume(self, records):
        """What the deployed function makes of records."""
        good, *poison = records
        first = self.rows[0][1].change
        assert good["dynamodb"]["SequenceNumber"] == first.sequence_number
        assert good["dynamodb"]["NewImage"] == first.new_image
        for record in poison:
            number = record["dynamodb"]["SequenceNumber"]
            key = f"quarantine/history_writer/{number}-1.json"
            self.objects[self.stack.quarantine_bucket, key] = json.dumps({"Record": record})
        return {"Duplicates": 1, "Quarantined": len(poison)}

    def CreateEventSourceMapping(self, **request):  # noqa: N802
        keys = {name: {"S": [key["S"]]} for name, key in self.trial.canary.keys.items()}
        pattern = json.dumps({"eventName": ["REMOVE"], "dynamodb": {"Keys": keys}})
        assert request["FilterCriteria"] == {"Filters": [{"Pattern": pattern}]}
        uuid = "1a6c762d-128b-4020-84fa-d86ae77f49d9"
        self.facts.mappings.append(mapping("history_writer", UUID=uuid))
        self.made.add(uuid)
        if self.condition is not None:
            numbers = [row.change.sequence_number for _, row in self.rows]
            let_through = numbers[-1:] if self.filters_first else numbers
            records = [{"dynamodb": {"SequenceNumber": number}} for number in let_through]
            document = invocation({"Records": records})
            document["requestContext"]["condition"] = self.condition
            if not self.was_tried:
                del document["responseContext"]
            key = self.stack.quarantine_bucket, f"aws/lambda/{uuid}/shard/1"
            self.objects[key] = json.dumps(document)
        return self.facts.mappings[-1]

    def DeleteEventSourceMapping(self, UUID):  # noqa: N802, N803
        self.made.remove(UUID)
        return self.facts.mappings.pop()

    # ---- S3 --------------------------------------------------------------------------------

    def ListObjectsV2(self, Bucket, Prefix, **_):  # noqa: N802, N803
        keys = [key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix)]
        return {"Contents": [{"Key": key} for key in keys]}

    def GetObject(self, Bucket, Key, **_):  # noqa: N802, N803
        if (Bucket, Key) not in self.objects:
            raise LookupError("NoSuchKey", "there is no such object")
        body = self.objects[Bucket, Key]
        return {"Body": BytesIO(body if isinstance(body, bytes) else body.encode())}

    def GetObjectRetention(self, **_):  # noqa: N802
        return {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": self.now + 365 * _DAY}}

    def DeleteObject(self, Bucket, Key, VersionId=None, BypassGovernanceRetention=False):  # noqa: FBT002, N802, N803
        if VersionId is None and Bucket != self.stack.quarantine_bucket:
            self.made.add(_MARKER)
            return {"DeleteMarker": True, "VersionId": _MARKER}
        if not self.may_delete_versions:
            raise LookupError("AccessDenied", "no right to do that")
        if VersionId == _MARKER:
            self.made.discard(_MARKER)
            return {}
        if VersionId is not None and not BypassGovernanceRetention and self.has_lock:
            raise LookupError("AccessDenied", "no")
        self.objects.pop((Bucket, Key), None)
        return {}

    def CreateBucket(self, Bucket, CreateBucketConfiguration, **_):  # noqa: N802, N803
        assert CreateBucketConfiguration == {"LocationConstraint": REGION}
        self.made.add(Bucket)
        return {}

    def PutBucketEncryption(self, Bucket, ServerSideEncryptionConfiguration, **_):  # noqa: N802, N803
        (rule,) = ServerSideEncryptionConfiguration["Rules"]
        assert rule == {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
        self.made_for_own_keys.add(Bucket)
        return {}

    def PutBucketPolicy(self, Bucket, Policy):  # noqa: N802, N803
        json.loads(Policy)
        assert Bucket in self.made
        return {}

    def PutObject(self, Bucket, Key, Body, IfNoneMatch=None, SSECustomerKey=None, **_):  # noqa: N802, N803
        if SSECustomerKey is not None and Bucket not in self.made_for_own_keys:
            raise LookupError("AccessDenied", "the bucket blocks such keys")
        if IfNoneMatch is None and SSECustomerKey is None:
            raise LookupError("AccessDenied", "explicit deny in a resource-based policy")
        self.objects[Bucket, Key] = Body
        return {}

    def ListObjectVersions(self, Bucket, **_):  # noqa: N802, N803
        if Bucket not in self.made:
            raise LookupError("NoSuchBucket", "there is no such bucket")
        keys = [key for bucket, key in self.objects if bucket == Bucket]
        return {"Versions": [{"Key": key, "VersionId": "1"} for key in keys]}

    def DeleteBucket(self, Bucket):  # noqa: N802, N803
        assert all(bucket != Bucket for bucket, _ in self.objects)
        self.made.remove(Bucket)
        return {}

    # ---- Everything else -------------------------------------------------------------------

    def ListStackResources(self, **_):  # noqa: N802
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": self.role(name).rpartition("/")[2],
                    "ResourceType": "AWS::IAM::Role",
                    "LastUpdatedTimestamp": self.began,
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for name in self.evaluation.of_type("AWS::IAM::Role")
            ]
        }

    def DescribeStacks(self, StackName):  # noqa: N802, N803
        return {
            "Stacks": [
                {"StackName": StackName, "CreationTime": self.began}
                | {"StackStatus": "CREATE_COMPLETE"}
            ]
        }

    def SimulatePrincipalPolicy(self, PolicySourceArn, ActionNames, ResourceArns, ContextEntries):  # noqa: N802, N803
        (action,), (resource,) = ActionNames, ResourceArns
        context = {
            entry["ContextKeyName"]: entry["ContextKeyValues"]
            if entry["ContextKeyType"] == "stringList"
            else entry["ContextKeyValues"][0]
            for entry in ContextEntries
        }
        # The caller's own policies alone, and not the table's.
        is_allowed = PolicySourceArn == ADMINISTRATOR or (
            self.decision(PolicySourceArn, action, resource, context) is Decision.ALLOWED
        )
        decision = "allowed" if is_allowed else "implicitDeny"
        return {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision}]}

    def GetRole(self, RoleName):  # noqa: N802, N803
        role = {"RoleName": RoleName, "RoleId": "A" * 16, "Path": "/", "CreateDate": self.began}
        return {"Role": role | {"Arn": f"arn:aws:iam::{ACCOUNT}:role/{RoleName}"}}

    def GetCallerIdentity(self):  # noqa: N802
        return {"Account": ACCOUNT, "Arn": ADMINISTRATOR}

    def AssumeRole(self, **_):  # noqa: N802
        credentials = {"AccessKeyId": "A" * 16, "SecretAccessKey": "s", "SessionToken": "t"}
        return {"Credentials": credentials | {"Expiration": self.now + _DAY}}

    def FilterLogEvents(self, filterPattern, **_):  # noqa: N802, N803
        codes = re.fullmatch(r"\{ (.*) \}", filterPattern)[1].split(" || ")
        counted = {re.fullmatch(r"\(\$\.errors\.(\w+) > 0\)", code)[1] for code in codes}
        denied = [line for line in self.logged if counted & line["errors"].keys()]
        return {"events": [{"message": json.dumps(line)} for line in denied]}

    def ListGrants(self, **_):  # noqa: N802
        subset = {"aws:dynamodb:tableName": self.stack.history_table}
        return {"Grants": [{"Constraints": {"EncryptionContextSubset": subset}}]}

    def PutMetricAlarm(self, AlarmName, Metrics, **_):  # noqa: N802, N803
        (returned,) = [metric for metric in Metrics if metric.get("ReturnData", True)]
        assert "FILL(" in returned["Expression"]
        self.made.add(AlarmName)
        return {}

    def DeleteAlarms(self, AlarmNames):  # noqa: N802, N803
        self.made.difference_update(AlarmNames)
        return {}

    def DescribeAlarms(self, AlarmNames=(), **_):  # noqa: N802, N803
        if AlarmNames:
            return {"MetricAlarms": [{"AlarmName": AlarmNames[0], "StateValue": self.filled_state}]}
        alarm = {"AlarmName": f"{STACK}-LagAlarm", "ActionsEnabled": True, "StateValue": "OK"}
        return {"MetricAlarms": [alarm | {"AlarmActions": [self.stack.outputs["AlarmTopicArn"]]}]}

    def SetAlarmState(self, AlarmName, StateValue, StateReason):  # noqa: N802, N803
        assert StateReason
        if StateValue == "ALARM" and "subscription" in self.made:
            self.messages.append(json.dumps({"Message": json.dumps({"AlarmName": AlarmName})}))
        return {}

    def CreateQueue(self, QueueName, Attributes):  # noqa: N802, N803
        json.loads(Attributes["Policy"])
        self.made.add(f"https://queue/{QueueName}")
        return {"QueueUrl": f"https://queue/{QueueName}"}

    def GetQueueAttributes(self, **_):  # noqa: N802
        return {"Attributes": {"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"}}

    def ReceiveMessage(self, QueueUrl, WaitTimeSeconds, **_):  # noqa: N802, N803
        assert QueueUrl in self.made
        self._sleep(WaitTimeSeconds)
        return {"Messages": [{"Body": body} for body in self.messages]}

    def DeleteQueue(self, QueueUrl):  # noqa: N802, N803
        self.made.remove(QueueUrl)
        return {}

    def Subscribe(self, **_):  # noqa: N802
        self.made.add("subscription")
        return {"SubscriptionArn": "subscription"}

    def Unsubscribe(self, SubscriptionArn):  # noqa: N802, N803
        self.made.remove(SubscriptionArn)
        return {}

    def GetMetricStatistics(self, **request):  # noqa: N802
        counts = {
            "Throttles": int(self.probe_is_throttled),
            "DestinationDeliveryFailures": self.undelivered,
        }
        count = counts[request["MetricName"]]
        return {"Datapoints": [{"Timestamp": self.now, "Sum": float(count)}] if count else []}

    def send(self, request):
        """What DynamoDB answers to a request that was signed by hand."""
        signed = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
        is_old = self.now - signed > timedelta(minutes=15)
        code = f"com.amazon.coral.service#{self.refuses_old_with}"
        expired = SimpleNamespace(status_code=400, text=json.dumps({"__type": code}))
        return expired if is_old else SimpleNamespace(status_code=200, text="{}")
