"""What `status` and `doctor` answer, as records."""

from collections.abc import Iterator

from itemtrail.records.kinds import (
    ADVICE,
    CONSUMER_STATUS,
    KEPT_ASIDE,
    MISSING_RECORD,
    PROOF,
    STATUS,
    STATUS_LINE,
    TABLE_STATUS,
    WATERMARK,
    Record,
    record_of,
)
from operations.proof import Proof
from reports.deployment.advice import Advice
from reports.deployment.stack import Consumer
from reports.deployment.status import ConsumerStatus, Status
from reports.states.watermark import NoWatermark, Watermark


def advice_record(advice: Advice) -> Record:
    """Something of a deployment that was looked at."""
    return record_of(ADVICE, advice, **{"found": advice.observation})  # noqa: PIE804 - the field's name


def status_record(status: Status, proof: Proof | None) -> Record:
    """How a deployment is, and what holding its stream against its history came to."""
    return record_of(
        STATUS,
        status,
        watermark=status.watermark and watermark_record(status.watermark),
        proof=proof and _proof_record(proof),
        tables=[record_of(TABLE_STATUS, table) for table in status.tables],
        consumers=[
            record_of(CONSUMER_STATUS, consumer, lag_ms=_lag_ms(consumer))
            for consumer in status.consumers
        ],
        kept_aside=[record_of(KEPT_ASIDE, kept) for kept in status.kept_aside],
    )


def watermark_record(watermark: Watermark | NoWatermark) -> Record:
    """Up to when a history is complete."""
    if isinstance(watermark, NoWatermark):
        return {"at": None, "basis": None, "reason": watermark.reason}
    return record_of(WATERMARK, watermark)


def _proof_record(proof: Proof) -> Record:
    return record_of(
        PROOF,
        proof,
        watermark=watermark_record(proof.watermark),
        missing=[record_of(MISSING_RECORD, record, key=record.keys) for record in proof.missing],
    )


def status_line_records(status: Status, proof: Proof | None) -> Iterator[Record]:
    """Every part of a deployment in one shape."""
    blank = dict.fromkeys(STATUS_LINE.fields)
    if status.watermark is not None:
        yield blank | {"part": "watermark"} | _watermark_fields(status.watermark)
    if proof is not None:
        yield (
            blank
            | {"part": "proof", "count": len(proof.missing)}
            | _watermark_fields(proof.watermark)
            | {"clean": not proof.missing}
        )
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


def _watermark_fields(watermark: Watermark | NoWatermark) -> Record:
    record = watermark_record(watermark)
    is_known = isinstance(watermark, Watermark)
    return {
        "name": Consumer.HISTORY_WRITER.value,
        "state": record["basis"],
        "clean": is_known,
        "newest": record["at"],
        "problem": None if is_known else record["reason"],
    }


def _lag_ms(consumer: ConsumerStatus) -> int | None:
    return None if consumer.lag_ms is None else round(consumer.lag_ms)
