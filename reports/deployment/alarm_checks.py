"""Checks of what an alarm needs to be heard: its metrics, its actions, somebody who listens."""

from collections.abc import Iterator
from functools import partial

from reports.deployment.advice import DeploymentCheck, Judgement, failed, passed
from reports.deployment.stack import Consumer, TableRole
from reports.deployment.stack_reader import StackReader

_MAPPING_METRICS = "EventCount"


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


def _alarms(reader: StackReader) -> Judgement:
    alarms, topic = reader.alarms(), reader.stack.alarm_topic
    if not alarms:
        return failed(
            "there is none: nobody is told when changes are not processed",
            "See what became of them: aws cloudformation describe-stack-events --stack-name "
            f"{reader.stack.name}",
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
