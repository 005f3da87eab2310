"""What `status` and `doctor` answer, as records."""

from collections.abc import Iterator

from itemtrail.records.kinds import (
    ADVICE,
    CONSUMER_STATUS,
    KEPT_ASIDE,
    STATUS,
    STATUS_LINE,
    TABLE_STATUS,
    Record,
    record_of,
)
from reports.deployment.advice import Advice
from reports.deployment.status import ConsumerStatus, Status


def advice_record(advice: Advice) -> Record:
    """Something of a deployment that was looked at."""
    return record_of(ADVICE, advice, **{"found": advice.observation})  # noqa: PIE804 - the field's name


def status_record(status: Status) -> Record:
    """How a deployment is."""
    return record_of(
        STATUS,
        status,
        tables=[record_of(TABLE_STATUS, table) for table in status.tables],
        consumers=[
            record_of(CONSUMER_STATUS, consumer, lag_ms=_lag_ms(consumer))
            for consumer in status.consumers
        ],
        kept_aside=[record_of(KEPT_ASIDE, kept) for kept in status.kept_aside],
    )


def status_line_records(status: Status) -> Iterator[Record]:
    """Every part of a deployment in one shape."""
    blank = dict.fromkeys(STATUS_LINE.fields)
    for table in status.tables:
        yield blank | {
            "part": "table",
            "name": table.role.value,
            "resource": table.name,
            "state": table.status,
            "clean": table.status == "ACTIVE",
            "count": table.items,
            "size_bytes": table.size_bytes,
            "problem": table.problem,
        }
    for consumer in status.consumers:
        yield blank | {
            "part": "consumer",
            "name": consumer.consumer.value,
            "resource": consumer.function,
            "state": consumer.state,
            "clean": consumer.state == "Enabled",
            "lag_ms": _lag_ms(consumer),
            "problem": consumer.problem or consumer.lag_problem,
        }
    for kept in status.kept_aside:
        yield blank | {
            "part": "kept aside",
            "name": kept.what,
            "resource": f"{status.quarantine_bucket}/{kept.prefix}",
            "clean": kept.count == 0,
            "count": kept.count,
            "newest": kept.newest,
            "problem": kept.problem,
        }


def _lag_ms(consumer: ConsumerStatus) -> int | None:
    return None if consumer.lag_ms is None else round(consumer.lag_ms)
