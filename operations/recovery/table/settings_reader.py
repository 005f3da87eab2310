"""Reading how a table is set up, and what a new one does not get of it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.recovery.table.order import TAG
from operations.recovery.table.settings import TableSettings, create_request, is_going
from reports.access.table_description import TableDescription
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# API reference, TagResource: AWS's own tags begin so; a table has at most 50 others.
_AWS_TAGS, _MOST_TAGS = "aws:", 50
# What this program's own tags say is true of the source alone.
_NOT_COPIED = (_AWS_TAGS, f"{TAG.partition(':')[0]}:")
# Developer Guide, "Warm throughput": what a new table on demand has anyway.
_USUAL_READS, _USUAL_WRITES = 12_000, 4_000
_ON = frozenset({"ENABLED", "ENABLING"})
# What an engine answers that has nothing of the kind, or that has none on this table.
_HAS_NONE = frozenset({"UnknownOperationException", "PolicyNotFoundException"})
_NOT_LOOKED_FOR = (
    "what is not of the table itself is not looked for: auto scaling, alarms, backups, functions "
    "on its stream"
)


def settings_of(client: "DynamoDBClient", table: TableDescription) -> TableSettings:
    """The settings of a table; what may not be read is named among what is left out."""
    left_out: list[str] = []
    tags = _tags(client, table, left_out)
    ttl_attribute = _ttl_attribute(client, table, left_out)
    recovery_days = _recovery_days(client, table, left_out)
    left_out += _of_description(table)
    left_out += _beside_it(client, table)
    return TableSettings(
        {**create_request(table), **({"Tags": tags} if tags else {})},
        ttl_attribute,
        recovery_days,
        (*left_out, _NOT_LOOKED_FOR),
    )


def _tags(
    client: "DynamoDBClient", table: TableDescription, left_out: list[str]
) -> list[dict[str, str]]:
    try:
        tags = tags_of(client, table)
    except (ClientError, BotoCoreError) as error:
        left_out += _unread("tags", error)
        return []
    own = {name: tags[name] for name in tags if not name.startswith(_NOT_COPIED)}
    if taken := sorted(name for name in tags if name.startswith(_AWS_TAGS)):
        left_out.append(f"tags of AWS's own: {', '.join(taken)}")
    # One place is for the tag that says what was begun.
    names = list(own)
    if beyond := names[_MOST_TAGS - 1 :]:
        left_out.append(f"tags, of which a table has at most {_MOST_TAGS}: {', '.join(beyond)}")
    return [{"Key": name, "Value": own[name]} for name in names[: _MOST_TAGS - 1]]


def tags_of(client: "DynamoDBClient", table: TableDescription) -> dict[str, str]:
    """The tags of a table, those of AWS's own too.

    Raises:
        ClientError: they may not be read, or the engine keeps none.
    """
    tags: dict[str, str] = {}
    place: dict[str, Any] = {}
    while True:
        page = client.list_tags_of_resource(ResourceArn=table.arn, **place)
        tags |= {tag["Key"]: tag["Value"] for tag in page.get("Tags", [])}
        if not page.get("NextToken"):
            return tags
        place = {"NextToken": page["NextToken"]}


def time_to_live_of(client: "DynamoDBClient", table: str) -> str | None:
    """By which attribute the items of a table expire; None: they do not.

    Raises:
        ClientError: that may not be read.
    """
    answer = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return answer.get("AttributeName") if answer.get("TimeToLiveStatus") in _ON else None


def _ttl_attribute(
    client: "DynamoDBClient", table: TableDescription, left_out: list[str]
) -> str | None:
    try:
        return time_to_live_of(client, table.name)
    except (ClientError, BotoCoreError) as error:
        left_out += _unread("the time to live", error)
        return None


def _recovery_days(
    client: "DynamoDBClient", table: TableDescription, left_out: list[str]
) -> int | None:
    try:
        answer: Any = client.describe_continuous_backups(TableName=table.name)
    except (ClientError, BotoCoreError) as error:
        left_out += _unread("how far back it can be recovered", error)
        return None
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    days: int | None = recovery.get("RecoveryPeriodInDays")
    return days


def _of_description(table: TableDescription) -> Iterator[str]:
    """What its description shows that a new table does not get."""
    fields = table.fields
    if regions := [replica["RegionName"] for replica in fields.get("Replicas") or ()]:
        yield f"replicas of a global table: {', '.join(regions)}"
    warm = fields.get("WarmThroughput") or {}
    reads, writes = (warm.get(f"{kind}UnitsPerSecond") or 0 for kind in ("Read", "Write"))
    if reads > _USUAL_READS or writes > _USUAL_WRITES:
        yield f"warm throughput: {reads:,} reads and {writes:,} writes a second"
    for index in fields.get("GlobalSecondaryIndexes") or ():
        if is_going(index):
            yield f"the index {index['IndexName']}, which is being deleted"


def _beside_it(client: "DynamoDBClient", table: TableDescription) -> Iterator[str]:
    """What is kept beside a table, and a new one does not get."""
    looks: tuple[tuple[str, Callable[[], Any], Callable[[Any], str]], ...] = (
        (
            "a resource policy",
            lambda: client.get_resource_policy(ResourceArn=table.arn),
            lambda answer: "it has one" if answer.get("Policy") else "",
        ),
        (
            "Kinesis destinations",
            lambda: client.describe_kinesis_streaming_destination(TableName=table.name),
            lambda answer: ", ".join(
                destination["StreamArn"]
                for destination in answer.get("KinesisDataStreamDestinations", [])
                if destination.get("DestinationStatus") != "DISABLED"
            ),
        ),
        (
            "contributor insights",
            lambda: client.describe_contributor_insights(TableName=table.name),
            lambda answer: "on" if answer.get("ContributorInsightsStatus") in _ON else "",
        ),
    )
    for what, look, text in looks:
        try:
            value = text(look())
        except (ClientError, BotoCoreError) as error:
            yield from _unread(what, error)
            continue
        if value:
            yield f"{what}: {value}"


def _unread(what: str, error: Exception) -> list[str]:
    code = error_code(error)
    return [] if code in _HAS_NONE else [f"{what}: may not be read ({code})"]
