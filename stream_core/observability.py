"""One log line and one set of metrics a batch; never an item's data, not even its key.

The service's name, the namespace and the level are Powertools' own settings (`POWERTOOLS_*`,
`LOG_LEVEL`).
"""

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import botocore
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from stream_core.batch import Summary

_NAMESPACE = "POWERTOOLS_METRICS_NAMESPACE"


def report(lag_metric: str, summary: Summary) -> None:
    """Log a batch as one line and emit its metrics in embedded metric format.

    Never raises: a batch that is stored must not fail because it cannot be told.
    """
    try:
        _report(lag_metric, summary)
    except Exception as error:  # noqa: BLE001 - whatever a logging variable makes Powertools raise
        # Plain, because it is the logger that failed.
        print(f"itemtrail: a batch is not in log and metrics: {type(error).__name__}: {error}")  # noqa: T201


def _report(lag_metric: str, summary: Summary) -> None:
    logger = Logger()
    outcome = summary.outcome
    failures = summary.response["batchItemFailures"]
    lag_ms = _lag_ms(summary)
    fields = {
        "counts": dict(outcome.counts),
        "errors": dict(outcome.errors),
        "unstored": len(outcome.unstored),
        "first_unstored": failures[0]["itemIdentifier"] if failures else None,
        "lag_ms": lag_ms,
        "layer": _layer_versions(),
        "botocore": botocore.__version__,
    }
    if outcome.errors or outcome.unstored:
        logger.warning("batch", extra=fields)
    else:
        logger.info("batch", extra=fields)
    _emit(lag_metric, lag_ms, summary)


@cache
def _layer_versions() -> str:
    """The packages that were built into the layer, as the stack's output `LayerVersions` has them.

    From the folders that pip left beside this package: a third of a millisecond, once.
    """
    folders = sorted(path.stem for path in Path(__file__).parents[1].glob("*.dist-info"))
    return ", ".join(folder.replace("-", " ").replace("_", "-") for folder in folders)


def _emit(lag_metric: str, lag_ms: int | None, summary: Summary) -> None:
    if not summary.outcome.counts:
        return  # An empty batch: flushing nothing would warn.
    # A default, because a batch that is stored must not fail for want of a metric's name.
    metrics = Metrics(namespace=os.environ.get(_NAMESPACE, "itemtrail"))
    for name, count in summary.outcome.counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    if lag_ms is not None:
        metrics.add_metric(name=lag_metric, unit=MetricUnit.Milliseconds, value=lag_ms)
    metrics.flush_metrics()


def _lag_ms(summary: Summary) -> int | None:
    if summary.newest is None:
        return None
    return max(0, round((datetime.now(UTC) - summary.newest).total_seconds() * 1000))
