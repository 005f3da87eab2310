"""How a new table is set up: as another one is, as far as that is known. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from reports.access.table_description import TableDescription
from reports.inputs.keys import KeySchema

_KINDS = ("HASH", "RANGE")
_ON_DEMAND = "PAY_PER_REQUEST"
_SOURCE_IS_GONE = (
    "the source is gone, and its settings with it: billed on demand, without indexes, stream and "
    "tags, whatever it had"
)
_SOURCE_IS_GONE_SINCE = (
    "the source is gone since this was begun: what else it had is not known any more"
)


@dataclass(frozen=True)
class TableSettings:
    """How a new table is set up.

    Attributes:
        request: what it is made with, as CreateTable names it.
        ttl_attribute: by which attribute items of the source expire; None: they do not.
        recovery_days: how many days back the source can be recovered, where it says so.
        left_out: what the source has and the new table does not get, in words.
    """

    request: Mapping[str, Any]
    ttl_attribute: str | None = None
    recovery_days: int | None = None
    left_out: tuple[str, ...] = ()

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "TableSettings":
        """The settings that `content` gave.

        Raises:
            TypeError: it gave others.
        """
        return cls(**{**content, "left_out": tuple(content["left_out"])})

    def content(self) -> dict[str, Any]:
        """They as JSON."""
        return asdict(self)


def unknown_settings(keys: KeySchema) -> TableSettings:
    """The settings of a table for items of one that is gone: its key is known, and no more."""
    request = {**_key_request(keys), "BillingMode": _ON_DEMAND}
    return TableSettings(request, left_out=(_SOURCE_IS_GONE,))


def gone_since(
    made: TableSettings, ttl_attribute: str | None, recovery_days: int | None
) -> TableSettings:
    """The settings of a table whose source is gone since it was made.

    Args:
        made: how it was set up.
        ttl_attribute: by which attribute items of the source expired.
        recovery_days: how many days back the source could be recovered, where it said so.
    """
    return replace(
        made,
        ttl_attribute=ttl_attribute,
        recovery_days=recovery_days,
        left_out=(_SOURCE_IS_GONE_SINCE,),
    )


def create_request(table: TableDescription) -> dict[str, Any]:
    """What makes a table with the key, the indexes and the modes of this one."""
    fields = table.fields
    is_on_demand = fields.get("BillingModeSummary", {}).get("BillingMode") == _ON_DEMAND
    local = [_index(index) for index in fields.get("LocalSecondaryIndexes") or ()]
    everywhere = [
        _index(index) | _throughput(index, is_on_demand=is_on_demand)
        for index in fields.get("GlobalSecondaryIndexes") or ()
        if not is_going(index)
    ]
    keys = _key_request(table.key_schema)
    request = keys | _throughput(fields, is_on_demand=is_on_demand)
    request["BillingMode"] = _ON_DEMAND if is_on_demand else "PROVISIONED"
    request["AttributeDefinitions"] = _definitions(fields, [keys, *local, *everywhere])
    optional = {
        "LocalSecondaryIndexes": local,
        "GlobalSecondaryIndexes": everywhere,
        "StreamSpecification": table.has_stream
        and {"StreamEnabled": True, "StreamViewType": table.view_type},
        "SSESpecification": encryption_of(table),
        "TableClass": fields.get("TableClassSummary", {}).get("TableClass"),
    }
    return request | {name: value for name, value in optional.items() if value}


def encryption_of(table: TableDescription) -> Mapping[str, Any] | None:
    """How to encrypt a new table as this one is; None for a key of DynamoDB's own."""
    encryption = table.fields.get("SSEDescription", {})
    if encryption.get("SSEType") != "KMS" or "KMSMasterKeyArn" not in encryption:
        return None
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": encryption["KMSMasterKeyArn"]}


def _key_request(keys: KeySchema) -> dict[str, Any]:
    return {
        "KeySchema": [
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(keys.types, _KINDS, strict=False)
        ],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": tag} for name, tag in keys.types.items()
        ],
    }


def _definitions(
    fields: Mapping[str, Any], keyed: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """The types of what is in a key, and of nothing else: else CreateTable refuses them."""
    names = {part["AttributeName"] for owner in keyed for part in owner["KeySchema"]}
    return [
        dict(definition)
        for definition in fields["AttributeDefinitions"]
        if definition["AttributeName"] in names
    ]


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    projection = index["Projection"]
    return {
        "IndexName": index["IndexName"],
        "KeySchema": [dict(part) for part in index["KeySchema"]],
        "Projection": {
            name: projection[name]
            for name in ("ProjectionType", "NonKeyAttributes")
            if projection.get(name)
        },
    }


def _throughput(fields: Mapping[str, Any], *, is_on_demand: bool) -> dict[str, Any]:
    """What a table, or an index, may take at most."""
    if is_on_demand:
        # Without a limit it is -1, or is not there.
        limits = {
            name: limit
            for name, limit in (fields.get("OnDemandThroughput") or {}).items()
            if limit > 0
        }
        return {"OnDemandThroughput": limits} if limits else {}
    units = fields["ProvisionedThroughput"]
    return {
        "ProvisionedThroughput": {
            name: units[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")
        }
    }


def is_going(index: Mapping[str, Any]) -> bool:
    """Whether an index is being deleted."""
    return index.get("IndexStatus") == "DELETING"
