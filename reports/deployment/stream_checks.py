"""Checks of how a deployment reads the stream."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from reports.deployment.advice import Check, Verdict, fine, untold, wrong
from reports.deployment.stack import Consumer, TableRole, extent_of
from reports.deployment.stack_reader import Deployment, reason_of
from stream_core.retry import error_code

_VIEW_TYPE = "NEW_AND_OLD_IMAGES"
# Developer Guide, "Streams and Lambda triggers": no more than two readers of a shard at a time.
_MOST_READERS = 2
_STREAM_KEEPS_S = 24 * 60 * 60
_ALWAYS = -1
# template.yaml calls its functions so, in whichever stack.
_WRITERS = ("-history-writer", "-replica-writer")
_SETTLED = {"Enabled": True, "Disabled": False, "Disabling": False, "Deleting": False}


def stream_checks(deployment: Deployment) -> Iterator[Check]:
    """What the stream must be like."""
    table = deployment.stack.source_table
    yield Check("stream view", table, partial(_view, deployment))
    yield Check("stream followed", f"stack {deployment.stack.name}", partial(_followed, deployment))
    yield Check("readers", table, partial(_readers, deployment))


def mapping_checks(deployment: Deployment) -> Iterator[Check]:
    """What the event source mappings must be like."""
    looks: dict[str, Callable[[Deployment, Consumer], Verdict]] = {
        "mapping state": _state,
        "last result": _last_result,
        "stream followed": _mapping_follows,
        "partial failures": _partial_failures,
        "bisect": _bisect,
        "attempts": _attempts,
        "record age": _record_age,
        "filter": _filter,
        "start": _start,
        "failed batches": _failed_batches,
    }
    for consumer in deployment.stack.consumers:
        for name, look in looks.items():
            yield Check(name, consumer.value, partial(look, deployment, consumer))


def _view(deployment: Deployment) -> Verdict:
    stream: Any = deployment.table(TableRole.SOURCE).get("StreamSpecification", {})
    view = stream.get("StreamViewType")
    enable = _update_stream(deployment, f"StreamEnabled=true,StreamViewType={_VIEW_TYPE}")
    again = f"then deploy with the new stream: {_deploy(deployment, 'ARN')}"
    if not stream.get("StreamEnabled"):
        return wrong("the stream is off: no change is followed", f"Enable it: {enable}; {again}")
    if view == _VIEW_TYPE:
        return fine(view)
    return wrong(
        f"{view}: every consumer refuses it, no change is followed",
        f"Disable it: {_update_stream(deployment, 'StreamEnabled=false')}; "
        f"enable it with both images: {enable}; {again}",
    )


def _followed(deployment: Deployment) -> Verdict:
    return _latest(deployment, deployment.stack.source_stream_arn)


def _mapping_follows(deployment: Deployment, consumer: Consumer) -> Verdict:
    return _latest(deployment, deployment.mapping(consumer).get("EventSourceArn", ""))


def _latest(deployment: Deployment, followed: str) -> Verdict:
    latest = deployment.table(TableRole.SOURCE).get("LatestStreamArn")
    if followed == latest:
        return fine(followed)
    if latest is None:
        return wrong(
            f"follows {followed}, and the table has no stream",
            "Enable the stream: "
            + _update_stream(deployment, f"StreamEnabled=true,StreamViewType={_VIEW_TYPE}"),
        )
    # The old stream stays readable for a day and then falls silent, without any error.
    return wrong(
        f"follows {followed}, but the table's stream was made anew and is {latest}: "
        "what changes now is not followed",
        f"Deploy with the new stream: {_deploy(deployment, latest)}",
    )


def _readers(deployment: Deployment) -> Verdict:
    found = deployment.mappings(deployment.stack.source_stream_arn)
    reading = [one for one in found if _SETTLED.get(one["State"], True)]
    names = [f"{_function_name(one)} ({one['UUID']})" for one in reading]
    what = "event source mapping reads" if len(reading) == 1 else "event source mappings read"
    text = (
        f"{len(reading)} {what} the stream: {', '.join(names) or 'none'}; this stack is for "
        f"{extent_of(deployment.stack.consumers)}"
    )
    if len(reading) > _MOST_READERS:
        return wrong(
            f"{text}; more than {_MOST_READERS} readers of a shard are throttled",
            _leaving_two(deployment, reading),
        )
    if len(reading) > 1 and deployment.table(TableRole.SOURCE).get("Replicas"):
        text += "; the table is a global one, for which AWS recommends a single reader"
    return fine(text)


def _leaving_two(deployment: Deployment, reading: Sequence[Mapping[str, Any]]) -> str:
    consumers = deployment.stack.consumers
    ours = {deployment.mapping_id(consumer) for consumer in consumers}
    functions = {deployment.function(consumer) for consumer in consumers}
    # Whoever stops the writer of another stack makes a hole in that one's history.
    others = [
        one["UUID"]
        for one in reading
        if one["UUID"] not in ours
        and (_function_name(one) in functions or not _function_name(one).endswith(_WRITERS))
    ]
    if not others:
        return (
            f"All are writers of itemtrail, and {_MOST_READERS} have room: delete the stack that "
            "is needed least, or deploy it with Consumers=history or Consumers=replica"
        )
    return (
        "Give what only one of them needs to another way of reading, and stop it: "
        f"aws lambda update-event-source-mapping {_region(deployment)} "
        f"--uuid {others[0]} --no-enabled"
    )


def _state(deployment: Deployment, consumer: Consumer) -> Verdict:
    try:
        found = deployment.mapping(consumer)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return wrong(
            f"the mapping {deployment.mapping_id(consumer)} is gone: {reason_of(error)}",
            "CloudFormation does not know: take the mapping out of template.yaml, deploy, put it "
            f"back and deploy again (sam deploy {_region(deployment)} --stack-name "
            f"{deployment.stack.name}), then see what is missing: {_missed(deployment, consumer)}",
        )
    state = found["State"]
    enabled = _SETTLED.get(state)
    if enabled:
        return fine(state)
    if enabled is None:
        return untold(
            f"{state}: on its way", f"Ask again: itemtrail doctor --stack {deployment.stack.name}"
        )
    return wrong(
        f"{state} ({found.get('StateTransitionReason', 'no reason given')}): nothing is processed",
        f"Enable it before the stream forgets, within 24 hours: "
        f"{_update(deployment, consumer, '--enabled')}",
    )


def _last_result(deployment: Deployment, consumer: Consumer) -> Verdict:
    result = deployment.mapping(consumer).get("LastProcessingResult") or "none yet"
    # Lambda's own word is the first, an emulator's the second.
    if not result.startswith(("PROBLEM", "FAILED")):
        return fine(result)
    return wrong(
        result,
        f"Read the function's log: aws logs tail {_region(deployment)} "
        f"/aws/lambda/{deployment.function(consumer)} --since 1h",
    )


def _partial_failures(deployment: Deployment, consumer: Consumer) -> Verdict:
    wanted = "ReportBatchItemFailures"
    if wanted in deployment.mapping(consumer).get("FunctionResponseTypes", ()):
        return fine(wanted)
    return wrong(
        f"without {wanted} Lambda takes a batch for done of which records failed",
        f"Set it: {_update(deployment, consumer, f'--function-response-types {wanted}')}",
    )


def _bisect(deployment: Deployment, consumer: Consumer) -> Verdict:
    if deployment.mapping(consumer).get("BisectBatchOnFunctionError"):
        return fine("on")
    return wrong(
        "off: one record that fails keeps its whole batch back",
        f"Turn it on: {_update(deployment, consumer, '--bisect-batch-on-function-error')}",
    )


def _attempts(deployment: Deployment, consumer: Consumer) -> Verdict:
    attempts = deployment.mapping(consumer).get("MaximumRetryAttempts", _ALWAYS)
    if attempts == _ALWAYS:
        return fine("unlimited, until the record's age ends them")
    return wrong(
        f"{attempts}: a short outage is enough to give records up",
        f"Let age end them alone: {_update(deployment, consumer, '--maximum-retry-attempts -1')}",
    )


def _record_age(deployment: Deployment, consumer: Consumer) -> Verdict:
    age_s = deployment.mapping(consumer).get("MaximumRecordAgeInSeconds", _ALWAYS)
    if 0 < age_s < _STREAM_KEEPS_S:
        return fine(f"{age_s:,} s")
    found = "unlimited" if age_s == _ALWAYS else f"{age_s:,} s"
    return wrong(
        f"{found}: after 24 hours the stream forgets a record, and it is lost without a trace",
        "Let Lambda keep it aside before: "
        + _update(deployment, consumer, "--maximum-record-age-in-seconds 43200"),
    )


def _filter(deployment: Deployment, consumer: Consumer) -> Verdict:
    criteria: Any = deployment.mapping(consumer).get("FilterCriteria") or {}
    filters = criteria.get("Filters", [])
    if not filters:
        return fine("none")
    return wrong(
        f"{len(filters)}: what does not match is never delivered, and missing",
        f"Take it out: {_update(deployment, consumer, '--filter-criteria {}')}",
    )


def _start(deployment: Deployment, consumer: Consumer) -> Verdict:
    start = deployment.mapping(consumer).get("StartingPosition")
    if start == "TRIM_HORIZON":
        return fine(start)
    return wrong(
        f"{start}: what changed while the mapping was made may be missing",
        "It cannot be changed: deploy template.yaml as it is, which makes another mapping, and "
        f"see what is missing: {_missed(deployment, consumer)}",
    )


def _failed_batches(deployment: Deployment, consumer: Consumer) -> Verdict:
    destinations: Any = deployment.mapping(consumer).get("DestinationConfig") or {}
    destination = (destinations.get("OnFailure") or {}).get("Destination", "")
    bucket = deployment.stack.quarantine_bucket
    if destination.endswith(f":s3:::{bucket}"):
        return fine(f"kept in {bucket}")
    partition = deployment.stack.source_stream_arn.split(":")[1]
    wanted = f'\'{{"OnFailure":{{"Destination":"arn:{partition}:s3:::{bucket}"}}}}\''
    kept = f"go to {destination}" if destination else "are dropped"
    return wrong(
        f"batches that Lambda gives up on {kept}; only a bucket keeps the records themselves, "
        "and only the stack's is looked into",
        f"Set it: {_update(deployment, consumer, f'--destination-config {wanted}')}",
    )


def _function_name(mapping: Mapping[str, Any]) -> str:
    # arn:aws:lambda:eu-west-1:123456789012:function:NAME, sometimes with a version behind it.
    name = str(mapping.get("FunctionArn", "")).rpartition(":function:")[2]
    return name.partition(":")[0] or "unknown"


def _missed(deployment: Deployment, consumer: Consumer) -> str:
    """The command that finds what did not arrive."""
    command = "verify" if consumer is Consumer.HISTORY_WRITER else "compare"
    return f"itemtrail {command} --stack {deployment.stack.name}"


def _region(deployment: Deployment) -> str:
    return f"--region {deployment.region(TableRole.SOURCE)}"


def _update(deployment: Deployment, consumer: Consumer, options: str) -> str:
    return (
        f"aws lambda update-event-source-mapping {_region(deployment)} "
        f"--uuid {deployment.mapping_id(consumer)} {options}"
    )


def _update_stream(deployment: Deployment, specification: str) -> str:
    return (
        f"aws dynamodb update-table {_region(deployment)} "
        f"--table-name {deployment.stack.source_table} --stream-specification {specification}"
    )


def _deploy(deployment: Deployment, stream_arn: str) -> str:
    return (
        f"sam deploy {_region(deployment)} --stack-name {deployment.stack.name} "
        f"--parameter-overrides SourceStreamArn={stream_arn}"
    )
