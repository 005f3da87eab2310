"""Checks of what an alarm needs to be heard: its metrics, its actions, somebody who listens."""

from collections.abc import Iterator
from functools import partial

from reports.deployment.advice import DeploymentCheck, Judgement, failed, passed
from reports.deployment.stack import Consumer, Stack, TableRole
from reports.deployment.stack_reader import StackReader

_MAPPING_METRICS = "EventCount"
# The alarms of template.yaml by the names that they have there, without "Alarm".
_OF_CONSUMER = {
    Consumer.HISTORY_WRITER: frozenset(
        {
            "DigestConflict",
            "HistoryFailedBatches",
            "HistoryLostBatches",
            "HistoryQuarantine",
            "HistoryStalled",
            "HistoryUndeliveredBatches",
            "HistoryUnstored",
            "HistoryWriterErrors",
            "HistoryWriterLag",
            "HistoryWriterThrottles",
        }
    ),
    Consumer.REPLICA_WRITER: frozenset(
        {
            "ReplicaFailedBatches",
            "ReplicaLag",
            "ReplicaLostBatches",
            "ReplicaQuarantine",
            "ReplicaStalled",
            "ReplicaUndeliveredBatches",
            "ReplicaUnstored",
            "ReplicaWriterErrors",
            "ReplicaWriterLag",
            "ReplicaWriterThrottles",
        }
    ),
}
_OF_SECOND_LOOK = frozenset({"SecondLookFailed", "SecondLookLate"})
_OF_MAPPINGS = ("FailedBatches", "LostBatches", "Stalled")


def alarm_checks(reader: StackReader) -> Iterator[DeploymentCheck]:
    """What feeds the alarms, and whom they tell."""
    for consumer in reader.stack.consumers:
        yield DeploymentCheck(
            "mapping metrics", consumer.value, partial(_mapping_metrics, reader, consumer)
        )
    yield DeploymentCheck("alarms", f"stack {reader.stack.name}", partial(_alarms, reader))
    yield DeploymentCheck("alarm topic", reader.stack.alarm_topic, partial(_topic, reader))


def _mapping_metrics(reader: StackReader, consumer: Consumer) -> Judgement:
    metrics = (reader.mapping(consumer).get("MetricsConfig") or {}).get("Metrics", [])
    if _MAPPING_METRICS in metrics:
        return passed(_MAPPING_METRICS)
    return failed(
        "off: the alarms about failed, lost and stalled batches wait for metrics that nobody sends",
        f"Turn them on: aws lambda update-event-source-mapping --region {_region(reader)} "
        f"--uuid {reader.stack.mapping_id(consumer)} --metrics-config Metrics={_MAPPING_METRICS}",
    )


def alarms_of(stack: Stack) -> frozenset[str]:
    """The alarms that a stack is to have, by their names in template.yaml, without `Alarm`."""
    names = frozenset[str]().union(*(_OF_CONSUMER[consumer] for consumer in stack.consumers))
    if stack.second_look_queue is not None:
        names |= _OF_SECOND_LOOK
    if stack.is_emulated:
        names = frozenset(name for name in names if not name.endswith("Stalled"))
    if stack.parameters.get("FollowStream") == "false":
        names = frozenset(name for name in names if not name.endswith(_OF_MAPPINGS))
    return names


def _alarms(reader: StackReader) -> Judgement:
    stack = reader.stack
    alarms, topic = reader.alarms(), stack.alarm_topic
    # CloudFormation names them STACK-NAMEAlarm-XXX.
    names = {
        alarm["AlarmName"].removeprefix(f"{stack.name}-").partition("Alarm-")[0] for alarm in alarms
    }
    if missing := sorted(alarms_of(stack) - names):
        return failed(
            f"{len(missing)} of {len(alarms_of(stack))} are not there: {', '.join(missing)}",
            "See what became of them: aws cloudformation describe-stack-events --stack-name "
            f"{stack.name}; one that was deleted CloudFormation does not miss: have it made anew "
            "by aws cloudformation detect-stack-drift and a deployment without it, then with it",
        )
    silent = [
        alarm["AlarmName"]
        for alarm in alarms
        if not alarm.get("ActionsEnabled", True) or topic not in alarm.get("AlarmActions", [])
    ]
    if not silent:
        return passed(f"{len(alarms)}, all of which tell {topic}")
    return failed(
        f"{len(silent)} of {len(alarms)} tell nobody of {topic}: {', '.join(silent)}",
        f"Enable their actions: aws cloudwatch enable-alarm-actions --region {_region(reader)} "
        f"--alarm-names {' '.join(silent)}; where that is not it, deploy the stack again",
    )


def _topic(reader: StackReader) -> Judgement:
    topic = reader.stack.alarm_topic
    # API reference, PutMetricAlarm: an action is in the region of its alarm.
    region = topic.split(":")[3]
    if region != _region(reader):
        return failed(
            f"it is in {region}, and the alarms are in {_region(reader)}: none of them can tell it",
            f"Deploy with a topic of {_region(reader)}, or with none: in samconfig.toml, "
            "AlarmTopicArn",
        )
    subscriptions = reader.subscriptions(topic)
    confirmed = [arn for arn in subscriptions if arn.startswith("arn:")]
    if confirmed:
        return passed(f"{len(confirmed)} confirmed of {len(subscriptions)} subscriptions")
    waiting = (
        f"{len(subscriptions)} subscriptions, none of them confirmed"
        if subscriptions
        else "nobody has subscribed to it"
    )
    return failed(
        f"{waiting}: no alarm is heard",
        f"Subscribe, and follow the link in the message: aws sns subscribe --region {region} "
        f"--topic-arn {topic} --protocol email --notification-endpoint operations@example.com",
    )


def _region(reader: StackReader) -> str:
    return reader.region(TableRole.SOURCE)
