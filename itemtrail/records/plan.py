"""A plan that was kept, as records."""

from collections.abc import Iterator

from itemtrail.records.items import difference_record
from itemtrail.records.kinds import PLAN, PLAN_ITEM, Record, record_of
from itemtrail.records.restore import conflict_record
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
    """What is done to each item, then what is left out, and why."""
    for item in plan.items:
        yield record_of(
            PLAN_ITEM,
            item,
            key=item.keys,
            outcome="planned",
            edits=list(map(difference_record, item.edits)),
            because=list(item.because),
            notes=list(item.notes),
            reason=None,
            conflicts=[],
        )
    for left_out in plan.left_out:
        yield record_of(
            PLAN_ITEM,
            left_out,
            number=None,
            key=left_out.keys,
            action=None,
            edits=[],
            before=None,
            after=None,
            because=list(left_out.because),
            notes=[],
            certainty=None,
            reason=left_out.reason or None,
            conflicts=list(map(conflict_record, left_out.conflicts)),
        )
