"""Checks of how a deployment reads the stream."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from reports.deployment.advice import DeploymentCheck, Judgement, failed, passed, unclear
from reports.deployment.stack import Consumer, TableRole, extent_of
from reports.deployment.stack_reader import StackReader, reason_of
from stream_core.change import VIEW_TYPE
from stream_core.retry import error_code

# Developer Guide, "Streams and Lambda triggers": no more than two readers of a shard at a time.
_MOST_READERS = 2
_STREAM_KEEPS_S = 24 * 60 * 60
_ALWAYS = -1
# template.yaml calls its functions so, in whichever stack.
_WRITERS = ("-history-writer", "-replica-writer")
_SETTLED = {"Enabled": True, "Disabled": False, "Disabling": False, "Deleting": False}


def stream_checks(reader: StackReader) -> Iterator[DeploymentCheck]:
    """What the stream must be like."""
    table = reader.stack.source_table
    yield DeploymentCheck("stream view", table, partial(_view, reader))
    yield DeploymentCheck(
        "stream followed", f"stack {reader.stack.name}", partial(_followed, reader)
    )
    yield DeploymentCheck("readers", table, partial(_readers, reader))


def mapping_checks(reader: StackReader) -> Iterator[DeploymentCheck]:
    """What the event source mappings must be like."""
    checks: dict[str, Callable[[StackReader, Consumer], Judgement]] = {
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
    for consumer in reader.stack.consumers:
        for name, judge in checks.items():
            yield DeploymentCheck(name, consumer.value, partial(judge, reader, consumer))


def _view(reader: StackReader) -> Judgement:
    table = reader.table(TableRole.SOURCE)
    view = table.view_type
    enable = _update_stream(reader, f"StreamEnabled=true,StreamViewType={VIEW_TYPE}")
    redeploy = f"then deploy with the new stream: {_deploy(reader, 'SourceStreamArn=ARN')}"
    if not table.has_stream:
        return failed(
            "the stream is off: no change is followed", f"Enable it: {enable}; {redeploy}"
        )
    if view == VIEW_TYPE:
        return passed(VIEW_TYPE)
    return failed(
        f"{view}: every consumer refuses it, no change is followed",
        f"Disable it: {_update_stream(reader, 'StreamEnabled=false')}; "
        f"enable it with both images: {enable}; {redeploy}",
    )


def _followed(reader: StackReader) -> Judgement:
    return _latest(reader, reader.stack.source_stream_arn)


def _mapping_follows(reader: StackReader, consumer: Consumer) -> Judgement:
    return _latest(reader, reader.mapping(consumer).get("EventSourceArn", ""))


def _latest(reader: StackReader, followed: str) -> Judgement:
    latest = reader.table(TableRole.SOURCE).stream_arn
    if followed == latest:
        return passed(followed)
    if latest is None:
        return failed(
            f"follows {followed}, and the table has no stream",
            "Enable the stream: "
            + _update_stream(reader, f"StreamEnabled=true,StreamViewType={VIEW_TYPE}"),
        )
    # The old stream stays readable for a day and then falls silent, without any error.
    return failed(
        f"follows {followed}, but the table's stream was made anew and is {latest}: "
        "what changes now is not followed",
        f"Deploy with the new stream: {_deploy(reader, f'SourceStreamArn={latest}')}",
    )


def _readers(reader: StackReader) -> Judgement:
    mappings = reader.mappings(reader.stack.source_stream_arn)
    active = [mapping for mapping in mappings if _SETTLED.get(mapping["State"], True)]
    names = [f"{_function_name(mapping)} ({mapping['UUID']})" for mapping in active]
    what = "event source mapping reads" if len(active) == 1 else "event source mappings read"
    text = (
        f"{len(active)} {what} the stream: {', '.join(names) or 'none'}; this stack is for "
        f"{extent_of(reader.stack.consumers)}"
    )
    if len(active) > _MOST_READERS:
        return failed(
            f"{text}; more than {_MOST_READERS} readers of a shard are throttled",
            _how_to_leave_two(reader, active),
        )
    if len(active) > 1 and reader.table(TableRole.SOURCE).fields.get("Replicas"):
        text += "; the table is a global one, for which AWS recommends a single reader"
    return passed(text)


def _how_to_leave_two(reader: StackReader, active: Sequence[Mapping[str, Any]]) -> str:
    consumers = reader.stack.consumers
    own_mappings = {reader.stack.mapping_id(consumer) for consumer in consumers}
    own_functions = {reader.stack.function(consumer) for consumer in consumers}
    # To stop the writer of another stack makes a hole in that one's history.
    removable = [
        mapping["UUID"]
        for mapping in active
        if mapping["UUID"] not in own_mappings
        and (
            _function_name(mapping) in own_functions
            or not _function_name(mapping).endswith(_WRITERS)
        )
    ]
    if not removable:
        return (
            f"All are writers of itemtrail, and {_MOST_READERS} have room: delete the stack that "
            "is needed least, or deploy it with Consumers=history or Consumers=replica"
        )
    return (
        "Move one of these readers to another way of reading, and stop its mapping: "
        f"aws lambda update-event-source-mapping {_region(reader)} "
        f"--uuid {removable[0]} --no-enabled"
    )


def _state(reader: StackReader, consumer: Consumer) -> Judgement:
    if reader.stack.parameters.get("FollowStream") == "false":
        return failed(
            "the stack has no mappings (FollowStream=false): nothing is processed",
            f"Have them made: {_deploy(reader, 'FollowStream=true')}; {_bring_back(reader)}",
        )
    try:
        mapping = reader.mapping(consumer)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return failed(
            f"the mapping {reader.stack.mapping_id(consumer)} is gone: {reason_of(error)}",
            f"CloudFormation does not notice it: {_have_made_anew(reader)}; then see what is "
            f"missing: {_missed(reader, consumer)}",
        )
    state = mapping["State"]
    enabled = _SETTLED.get(state)
    if enabled:
        return passed(state)
    if enabled is None:
        return unclear(
            f"{state}: on its way", f"Ask again: itemtrail doctor --stack {reader.stack.name}"
        )
    reason = mapping.get("StateTransitionReason", "no reason given")
    return failed(
        f"{state} ({reason}): nothing is processed",
        f"Enable it before the stream forgets, within 24 hours: "
        f"{_update(reader, consumer, '--enabled')}",
    )


def _last_result(reader: StackReader, consumer: Consumer) -> Judgement:
    result = reader.mapping(consumer).get("LastProcessingResult") or "none yet"
    # Lambda's own word is the first, an emulator's the second.
    if not result.startswith(("PROBLEM", "FAILED")):
        return passed(result)
    return failed(
        result,
        f"Read the function's log: aws logs tail {_region(reader)} "
        f"/aws/lambda/{reader.stack.function(consumer)} --since 1h",
    )


def _partial_failures(reader: StackReader, consumer: Consumer) -> Judgement:
    wanted = "ReportBatchItemFailures"
    if wanted in reader.mapping(consumer).get("FunctionResponseTypes", ()):
        return passed(wanted)
    return failed(
        f"without {wanted} Lambda treats a batch as done even if some of its records failed",
        f"Set it: {_update(reader, consumer, f'--function-response-types {wanted}')}",
    )


def _bisect(reader: StackReader, consumer: Consumer) -> Judgement:
    if reader.mapping(consumer).get("BisectBatchOnFunctionError"):
        return passed("on")
    return failed(
        "off: one record that fails keeps its whole batch back",
        f"Turn it on: {_update(reader, consumer, '--bisect-batch-on-function-error')}",
    )


def _attempts(reader: StackReader, consumer: Consumer) -> Judgement:
    attempts = reader.mapping(consumer).get("MaximumRetryAttempts", _ALWAYS)
    if attempts == _ALWAYS:
        return passed("unlimited, until the record's age ends them")
    return failed(
        f"{attempts}: a short outage is enough to give records up",
        f"Let age end them alone: {_update(reader, consumer, '--maximum-retry-attempts -1')}",
    )


def _record_age(reader: StackReader, consumer: Consumer) -> Judgement:
    age_s = reader.mapping(consumer).get("MaximumRecordAgeInSeconds", _ALWAYS)
    wanted_s = int(reader.stack.parameters.get("MaximumRecordAgeInSeconds", age_s))
    if 0 < age_s < _STREAM_KEEPS_S and age_s == wanted_s:
        return passed(f"{age_s:,} s")
    if 0 < age_s < _STREAM_KEEPS_S:
        return failed(
            f"{age_s:,} s, and the stack was given {wanted_s:,}: records are given up at another "
            "age than the alarms were made for",
            f"Set it: {_update(reader, consumer, f'--maximum-record-age-in-seconds {wanted_s}')}",
        )
    limit = "unlimited" if age_s == _ALWAYS else f"{age_s:,} s"
    return failed(
        f"{limit}: after 24 hours the stream forgets a record, and it is lost without a trace",
        "Let Lambda keep it aside before: "
        + _update(reader, consumer, "--maximum-record-age-in-seconds 43200"),
    )


def _filter(reader: StackReader, consumer: Consumer) -> Judgement:
    criteria: Any = reader.mapping(consumer).get("FilterCriteria") or {}
    filters = criteria.get("Filters", [])
    if not filters:
        return passed("none")
    return failed(
        f"{len(filters)}: what does not match is never delivered, and missing",
        f"Take it out: {_update(reader, consumer, '--filter-criteria {}')}",
    )


def _start(reader: StackReader, consumer: Consumer) -> Judgement:
    start = reader.mapping(consumer).get("StartingPosition")
    if start == "TRIM_HORIZON":
        return passed(start)
    return failed(
        f"{start}: what changed while the mapping was made may be missing",
        "It cannot be changed, nor the mapping replaced, since a function has one for a stream: "
        f"{_have_made_anew(reader)}; then see what is missing: {_missed(reader, consumer)}",
    )


def _failed_batches(reader: StackReader, consumer: Consumer) -> Judgement:
    destinations: Any = reader.mapping(consumer).get("DestinationConfig") or {}
    destination = (destinations.get("OnFailure") or {}).get("Destination", "")
    bucket = reader.stack.quarantine_bucket
    if destination.endswith(f":s3:::{bucket}"):
        return passed(f"kept in {bucket}")
    partition = reader.stack.source_stream_arn.split(":")[1]
    wanted = f'\'{{"OnFailure":{{"Destination":"arn:{partition}:s3:::{bucket}"}}}}\''
    kept = f"go to {destination}" if destination else "are dropped"
    return failed(
        f"batches that Lambda gives up on {kept}; only a bucket keeps the records themselves, "
        "and only the stack's bucket is read",
        f"Set it: {_update(reader, consumer, f'--destination-config {wanted}')}",
    )


def _function_name(mapping: Mapping[str, Any]) -> str:
    # arn:aws:lambda:eu-west-1:123456789012:function:NAME, sometimes with a version behind it.
    name = str(mapping.get("FunctionArn", "")).rpartition(":function:")[2]
    return name.partition(":")[0] or "unknown"


def _missed(reader: StackReader, consumer: Consumer) -> str:
    """The command that finds what did not arrive."""
    command = "verify" if consumer is Consumer.HISTORY_WRITER else "compare"
    return f"itemtrail {command} --stack {reader.stack.name}"


def _have_made_anew(reader: StackReader) -> str:
    """What takes the mappings away, and then makes them: never two of them at a time."""
    off, on = (_deploy(reader, f"FollowStream={value}") for value in ("false", "true"))
    return (
        f"have the mappings taken away ({off}), then made anew, to begin with the oldest record "
        f"that the stream has ({on}), within 24 hours; {_bring_back(reader)}"
    )


def _bring_back(reader: StackReader) -> str:
    """What fetches the records that are too old to be given to a function."""
    return (
        "what is too old for them goes to the bucket: itemtrail redrive --stack "
        f"{reader.stack.name} --apply"
    )


def _region(reader: StackReader) -> str:
    return f"--region {reader.region(TableRole.SOURCE)}"


def _update(reader: StackReader, consumer: Consumer, options: str) -> str:
    return (
        f"aws lambda update-event-source-mapping {_region(reader)} "
        f"--uuid {reader.stack.mapping_id(consumer)} {options}"
    )


def _update_stream(reader: StackReader, specification: str) -> str:
    return (
        f"aws dynamodb update-table {_region(reader)} "
        f"--table-name {reader.stack.source_table} --stream-specification {specification}"
    )


def _deploy(reader: StackReader, changed: str) -> str:
    return (
        f"sam deploy {_region(reader)} --stack-name {reader.stack.name} "
        f"--save-params --parameter-overrides {changed}"
    )
