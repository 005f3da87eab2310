"""Whether an alarm reaches who subscribes to it: through topic, key and queue."""

import json
from typing import Any

from operations.acceptance.belief import AttemptResult, Belief, confirmed, not_tried, refuted
from operations.acceptance.trial import Trial

_ARRIVAL_WAIT_S = 120.0
_EVALUATION_WAIT_S = 300.0
_POLL_S = 2


def alarm_reaches_subscriber(trial: Trial) -> AttemptResult:
    """One alarm of the stack is set to ALARM, and heard by a temporary queue."""
    topic = trial.output("AlarmTopicArn")
    alarm = _alarm(trial, topic)
    if alarm is None:
        return refuted("no alarm of the stack tells its topic, with actions enabled")
    queue = _queue(trial, topic)
    _subscribe(trial, topic, queue)
    name, metrics = alarm["AlarmName"], trial.client("cloudwatch")

    def set_state(state: str) -> None:
        metrics.set_alarm_state(
            AlarmName=name, StateValue=state, StateReason=f"{trial.name}: tried by a person"
        )

    trial.clean_up.later(f"the state of {name}", lambda: set_state(alarm["StateValue"]))
    set_state("ALARM")
    heard = trial.wait_for(lambda: _heard(trial, queue, name) or None, _ARRIVAL_WAIT_S)
    short_name = name.removeprefix(f"{trial.stack.name}-")
    if heard is None:
        return refuted(f"{short_name} was not heard within {_ARRIVAL_WAIT_S:.0f} s")
    return confirmed(f"{short_name} was set to ALARM and heard by a queue")


def missing_points_are_filled(trial: Trial) -> AttemptResult:
    """A temporary alarm of a metric without any point, which `FILL` makes 0."""
    metrics, name = trial.client("cloudwatch"), trial.name
    metric = {"Metric": {"Namespace": "itemtrail", "MetricName": name}, "Period": 60, "Stat": "Sum"}
    trial.clean_up.later(f"the alarm {name}", lambda: metrics.delete_alarms(AlarmNames=[name]))
    metrics.put_metric_alarm(
        AlarmName=name,
        Metrics=[
            {"Id": "stalled", "Expression": "IF(FILL(read, 0) == 0, 1, 0)"},
            {"Id": "read", "MetricStat": metric, "ReturnData": False},
        ],
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )

    def look() -> str | None:
        (alarm,) = metrics.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        state: str = alarm["StateValue"]
        return None if state == "INSUFFICIENT_DATA" else state

    state = trial.wait_for(look, _EVALUATION_WAIT_S)
    if state is None:
        return not_tried(f"an alarm was not evaluated within {_EVALUATION_WAIT_S:.0f} s")
    text = f"an alarm of a metric without points is {state}"
    return confirmed(text) if state == "ALARM" else refuted(text)


def _alarm(trial: Trial, topic: str) -> Any:
    """An alarm that tells the topic, is not raised, and does not tell that it is over."""
    pages = trial.client("cloudwatch").get_paginator("describe_alarms")
    for page in pages.paginate(AlarmNamePrefix=f"{trial.stack.name}-", AlarmTypes=["MetricAlarm"]):
        for alarm in page["MetricAlarms"]:
            if (
                topic in alarm.get("AlarmActions", [])
                and alarm["ActionsEnabled"]
                and alarm["StateValue"] != "ALARM"
                and not alarm.get("OKActions")
            ):
                return alarm
    return None


def _queue(trial: Trial, topic: str) -> str:
    """The URL of a temporary queue that the topic may send to."""
    sqs = trial.client("sqs")
    resource = f"arn:{trial.partition}:sqs:{trial.region}:{trial.account}:{trial.name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queue: str = sqs.create_queue(
        QueueName=trial.name, Attributes={"Policy": policy, "MessageRetentionPeriod": "3600"}
    )["QueueUrl"]
    trial.clean_up.later(f"the queue {trial.name}", lambda: sqs.delete_queue(QueueUrl=queue))
    return queue


def _subscribe(trial: Trial, topic: str, queue: str) -> None:
    attributes = trial.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["QueueArn"]
    )
    sns = trial.client("sns")
    subscription = sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=attributes["Attributes"]["QueueArn"],
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    trial.clean_up.later(
        f"the subscription {subscription}", lambda: sns.unsubscribe(SubscriptionArn=subscription)
    )


def _heard(trial: Trial, queue: str, alarm: str) -> bool:
    """Whether a message about an alarm is among those that have come."""
    messages = (
        trial.client("sqs")
        .receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_S)
        .get("Messages", [])
    )
    notices = (json.loads(json.loads(message["Body"])["Message"]) for message in messages)
    return any(notice.get("AlarmName") == alarm for notice in notices)


BELIEFS = (
    Belief(
        "alarm-reaches-subscriber",
        "An alarm passes the topic's key and is heard by who subscribes to the topic.",
        "template.yaml",
        alarm_reaches_subscriber,
    ),
    Belief(
        "missing-points-are-filled",
        "In an alarm FILL(m, 0) is 0 where the metric m has no points at all.",
        "template.yaml",
        missing_points_are_filled,
        "the emulator has no alarms of expressions",
    ),
)
