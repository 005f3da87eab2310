"""Which request fails, and how; the seed decides, and a fault can be left out."""

from dataclasses import dataclass

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tests.simulation.scenario import RATES

THROTTLING = {
    "dynamodb": (
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    ),
    "s3": ("SlowDown", "RequestTimeout"),
    "sqs": ("ThrottlingException", "RequestThrottled"),
}
SERVER_ERRORS = {
    "dynamodb": ((500, "InternalServerError"), (503, "ServiceUnavailable"), (500, "")),
    "s3": ((500, "InternalError"), (503, "ServiceUnavailable"), (503, "SlowDown")),
    "sqs": ((500, "InternalFailure"), (503, "ServiceUnavailable")),
}
ENTRY_ERRORS = (
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "InternalServerError",
    "RequestLimitExceeded",
    "TransactionConflict",
)
GARBLED = ("cut", "without results", "without remainder", "too few", "nameless")
"""Answers that are none: JSON that ends too soon or lacks a part, an error without a code."""
_URL = "https://service.example"


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    Attributes:
        kind: one of the scenario's rates, or an outage's code.
        status, code: the error that is answered.
        whole: the whole call fails, not some of its entries.
        after: the request is carried out, and only its answer is lost.
    """

    kind: str
    status: int = 400
    code: str = ""
    whole: bool = True
    after: bool = False


class Faults:
    """The faults of one run, in order."""

    def __init__(self, scenario, rng, stats):
        self._scenario = scenario
        self._rng = rng
        self._stats = stats
        self._fired = 0

    @property
    def fired(self):
        """How many there were, those left out included."""
        return self._fired

    def strike(self, call, now):
        """The fault that hits a request now, or None."""
        # Drawn for every request, so that leaving a fault out changes as little as can be.
        chance, choice = self._rng.random(), self._rng.random()
        fault = self._outage(call, now, choice) or self._accident(call, now, chance, choice)
        if fault is None:
            return None
        self._fired += 1
        if self._fired in self._scenario.muted:
            return None
        self._stats[f"fault: {fault.kind}"] += 1
        return fault

    def _outage(self, call, now, choice):
        for outage in self._scenario.outages:
            if outage.resource == call.resource and outage.start <= now < outage.end:
                if call.service == "s3":
                    code = outage.code.removesuffix("Exception")
                    status = 403 if code == "AccessDenied" else 503
                    return Fault(f"outage {outage.code}", status, code)
                status = 500 if outage.code == "InternalServerError" else 400
                return Fault(f"outage {outage.code}", status, outage.code, whole=choice < 0.7)
        return None

    def _accident(self, call, now, chance, choice):
        if now >= self._scenario.calm_from:
            return None
        for kind in RATES:
            rate = self._scenario.settings.rates.get(kind, 0)
            if chance < rate:
                return _accident(kind, call.service, choice)
            chance -= rate
        return None


def _accident(kind, service, choice):
    def pick(options):
        return options[int(choice * len(options))]

    if kind == "throttled":
        return Fault(kind, 503 if service == "s3" else 400, pick(THROTTLING[service]))
    if kind == "server_error":
        status, code = pick(SERVER_ERRORS[service])
        return Fault(kind, status, code, after=choice * 7 % 1 < 0.5)
    if kind == "garbled":
        return Fault(kind, code=pick(GARBLED))
    if kind == "entries":
        return Fault(kind, code=pick(ENTRY_ERRORS), whole=False)
    return Fault(kind, after=choice < 0.5)


def odd_error(choice):
    """What no service answers: a fault of the machine, or of a library."""
    return (
        KeyError("body"),
        OSError(5, "Input/output error"),
        MemoryError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    )[choice]


def no_connection(choice):
    """The request never got there."""
    return (
        EndpointConnectionError(endpoint_url=_URL),
        ConnectTimeoutError(endpoint_url=_URL),
    )[choice]


def lost_answer(choice):
    """The request got there, which its sender does not learn."""
    return (ReadTimeoutError(endpoint_url=_URL), ConnectionClosedError(endpoint_url=_URL))[choice]
