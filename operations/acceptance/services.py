"""How the services behave where the product counts on it: old signatures, metrics, throttles."""

import json
from datetime import datetime, timedelta
from typing import Any

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    UntriedError,
    confirmed,
    not_tried,
    refuted,
)
from operations.acceptance.canary import ROW_WAIT_S
from operations.acceptance.function_metrics import METRICS_DELAY, counted
from operations.acceptance.probe import probe_name
from operations.acceptance.trial import Trial
from reports.deployment.stack import Consumer
from reports.deployment.stack_reader import StackReader
from stream_core.retry import error_code

_SIGNATURE_AGE = timedelta(minutes=16)
_IDLE_WINDOW = timedelta(hours=1)
_METRICS_WAIT_S = 600.0
_HTTP_OK = 200
_THROTTLED = "TooManyRequestsException"
# Of one that was signed well, as of now, and is refused for nothing but its time.
_OF_SIGNATURE = frozenset(
    {
        "InvalidSignatureException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)


def old_signature_is_refused(trial: Trial) -> AttemptResult:
    """A read of the canary that was signed 16 minutes ago is refused, and one of now is not."""
    now = trial.machine.now()
    fresh, _ = _signed_read(trial, now)
    old, code = _signed_read(trial, now - _SIGNATURE_AGE)
    if fresh != _HTTP_OK:
        return not_tried(f"the same request, signed now, was answered with HTTP {fresh}")
    evidence = f"signed {_SIGNATURE_AGE.seconds // 60} minutes ago: HTTP {old} {code}".rstrip()
    if old == _HTTP_OK:
        return refuted(evidence)
    return confirmed(evidence) if code in _OF_SIGNATURE else not_tried(evidence)


class DatedAuth(SigV4Auth):
    """Signs as of a moment that is given."""

    def __init__(self, credentials: ReadOnlyCredentials, region: str, moment: datetime) -> None:
        """Sign with credentials, for DynamoDB in a region."""
        super().__init__(credentials, "dynamodb", region)
        self._moment = moment

    def add_auth(self, request: Any) -> None:
        """Sign a request."""
        stamp = self._moment.strftime(SIGV4_TIMESTAMP)
        request.context["timestamp"] = request.headers["X-Amz-Date"] = stamp
        if self.credentials.token:
            request.headers["X-Amz-Security-Token"] = self.credentials.token
        canonical = self.canonical_request(request)
        signature = self.signature(self.string_to_sign(request, canonical), request)
        signed = self.signed_headers(self.headers_to_sign(request))
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.scope(request)}, SignedHeaders={signed}, "
            f"Signature={signature}"
        )


def _signed_read(trial: Trial, moment: datetime) -> tuple[int, str]:
    """The status of an answer to a request that was signed at a moment, and its error's code."""
    client = trial.client("dynamodb")
    request = AWSRequest(
        method="POST",
        url=client.meta.endpoint_url,
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.DescribeTable",
        },
        data=f'{{"TableName": "{trial.stack.source_table}"}}'.encode(),
    )
    credentials = trial.canary.tables.session.get_credentials()
    if credentials is None:
        raise UntriedError("there are no credentials to sign with")
    DatedAuth(credentials.get_frozen_credentials(), trial.region, moment).add_auth(request)
    answer: Any = URLLib3Session().send(request.prepare())
    code = {} if answer.status_code == _HTTP_OK else json.loads(answer.text)
    return answer.status_code, str(code.get("__type", "")).rpartition("#")[2]


def idle_mapping_is_counted(trial: Trial) -> AttemptResult:
    """The history writer's mapping has points of 0 in the last hour's PolledEventCount."""
    end = trial.machine.now() - METRICS_DELAY
    with StackReader(
        trial.canary.tables.session, trial.stack, trial.canary.tables.endpoint_url
    ) as reader:
        if reader.mapping(Consumer.HISTORY_WRITER)["LastModified"] > end - _IDLE_WINDOW:
            return not_tried("the mapping is younger than the hour that is looked at: run it later")
        mapping = {"EventSourceMappingUUID": trial.stack.mapping_id(Consumer.HISTORY_WRITER)}
        points = reader.metrics({"PolledEventCount": mapping}, end - _IDLE_WINDOW, end)
    counts = points["PolledEventCount"]
    text = f"{len(counts)} points of PolledEventCount in an hour, {counts.count(0.0)} of them 0"
    if counts and 0.0 not in counts:
        return not_tried(f"{text}: the table was not idle, run it later")
    return confirmed(text) if counts else refuted(text)


def throttle_is_counted(trial: Trial) -> AttemptResult:
    """The temporary function, allowed no concurrency, is throttled, and Throttles says so."""
    client, name = trial.client("lambda"), probe_name(trial)
    began = trial.machine.now()
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        client.invoke(FunctionName=name, Payload=b"{}")
    except ClientError as error:
        if error_code(error) != _THROTTLED:
            raise
    else:
        return not_tried("a function that is allowed no concurrency was invoked")

    throttles = trial.wait_for(
        lambda: counted(trial, "Throttles", name, began) or None, _METRICS_WAIT_S
    )
    if throttles is None:
        return refuted(f"Throttles counts nothing after {_METRICS_WAIT_S:.0f} s")
    return confirmed(f"Throttles counts {throttles:g}")


def partiql_insert_streams(trial: Trial) -> AttemptResult:
    """The canary, deleted and written anew by a PartiQL INSERT, gets its row."""
    # Without one, no row to come would say anything.
    row = trial.row
    anew = trial.canary.insert_anew()
    if anew is None:
        text = f"no row of a PartiQL INSERT within {ROW_WAIT_S:.0f} s"
        # A stream that stands still says nothing of the INSERT.
        if trial.canary.end() is None:
            return not_tried(f"{text}, nor of the deletion after it: itemtrail doctor says more")
        return refuted(f"{text}, and one of the deletion after it")
    return confirmed(f"the row {anew.sort_key} followed {row.sort_key}")


_NO_METRICS = "the emulator has no metrics of Lambda"


BELIEFS = (
    Belief(
        "old-signature-is-refused",
        "DynamoDB refuses a request that was signed 16 minutes ago.",
        "docs/consumers.md",
        old_signature_is_refused,
        "the emulator looks at no signature",
    ),
    Belief(
        "idle-mapping-is-counted",
        "A mapping that has nothing to do has points of PolledEventCount, of 0.",
        "docs/reports.md",
        idle_mapping_is_counted,
        _NO_METRICS,
    ),
    Belief(
        "throttle-is-counted",
        "A throttled call is counted in its function's Throttles within ten minutes.",
        "docs/reports.md",
        throttle_is_counted,
        _NO_METRICS,
    ),
    Belief(
        "partiql-insert-streams",
        "A PartiQL INSERT writes a stream record.",
        "docs/consumers.md",
        partiql_insert_streams,
        "the emulator writes no stream record of a PartiQL INSERT",
    ),
)
