"""A plan that was kept, as records."""

from collections.abc import Iterator

from itemtrail.records.items import difference_record
from itemtrail.records.kinds import PLAN, PLAN_ITEM, Record, record_of
from operations.execution.plan_file import Plan


def plan_record(plan: Plan) -> Record:
    """The whole plan."""
    table = plan.header.table
    return record_of(
        PLAN,
        plan.header,
        digest=plan.digest,
        table={"arn": table.arn, "id": table.table_id, "created": table.created_at},
        deletes=plan.deletes,
        items=list(plan_item_records(plan)),
    )


def plan_item_records(plan: Plan) -> Iterator[Record]:
    """What is done to each item."""
    for item in plan.items:
        yield record_of(
            PLAN_ITEM,
            item,
            key=item.keys,
            edits=list(map(difference_record, item.edits)),
            because=list(item.because),
            notes=list(item.notes),
        )
