"""TODO."""

from collections.abc import Iterator

from itemtrail.records.kinds import STATUS_LINE, Record
from reports.deployment.advice import Advice
from reports.deployment.status import ConsumerStatus, KeptAside, Status, TableStatus


def advice(one: Advice) -> Record:
    """Something of a deployment that was looked at."""
    return {
        "check": one.check,
        "subject": one.subject,
        "ok": one.ok,
        "found": one.observation,
        "to_do": one.to_do,
    }


def status(of: Status) -> Record:
    """How a deployment is."""
    return {
        "stack": of.stack,
        "region": of.region,
        "at": of.at,
        "clean": of.clean,
        "horizon": of.horizon,
        "tables": list(map(table_status, of.tables)),
        "consumers": list(map(consumer_status, of.consumers)),
        "kept_aside": list(map(kept_aside, of.kept_aside)),
        "quarantine_bucket": of.quarantine_bucket,
    }


def table_status(one: TableStatus) -> Record:
    """One table of a deployment."""
    return {
        "role": one.role.value,
        "name": one.name,
        "region": one.region,
        "exists": one.exists,
        "status": one.status,
        "items": one.items,
        "size_bytes": one.size_bytes,
        "created_at": one.created_at,
        "problem": one.problem,
    }


def consumer_status(one: ConsumerStatus) -> Record:
    """One function of a deployment."""
    return {
        "consumer": one.consumer.value,
        "function": one.function,
        "mapping": one.mapping,
        "state": one.state,
        "last_result": one.last_result,
        "problem": one.problem,
        "lag_ms": None if one.lag_ms is None else round(one.lag_ms),
        "lag_problem": one.lag_problem,
    }


def kept_aside(one: KeptAside) -> Record:
    """What could not be written, of one kind."""
    return {
        "what": one.what,
        "prefix": one.prefix,
        "count": one.count,
        "at_least": one.at_least,
        "newest": one.newest,
        "problem": one.problem,
    }


def status_lines(of: Status) -> Iterator[Record]:
    """Every part of a deployment in one shape."""
    nothing = dict.fromkeys(STATUS_LINE.fields)
    for table in of.tables:
        yield nothing | {
            "part": "table",
            "name": table.role.value,
            "resource": table.name,
            "state": table.status,
            "clean": table.status == "ACTIVE",
            "count": table.items,
            "size_bytes": table.size_bytes,
            "problem": table.problem,
        }
    for one in of.consumers:
        yield nothing | {
            "part": "consumer",
            "name": one.consumer.value,
            "resource": one.function,
            "state": one.state,
            "clean": one.state == "Enabled",
            "lag_ms": None if one.lag_ms is None else round(one.lag_ms),
            "problem": one.problem or one.lag_problem,
        }
    for kept in of.kept_aside:
        yield nothing | {
            "part": "kept aside",
            "name": kept.what,
            "resource": f"{of.quarantine_bucket}/{kept.prefix}",
            "clean": kept.count == 0,
            "count": kept.count,
            "newest": kept.newest,
            "problem": kept.problem,
        }
