"""A table made for a restore: with the key of another, filled before it is protected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import RefusedError
from reports.access.table_description import TableDescription, describe
from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KINDS = ("HASH", "RANGE")


@dataclass(frozen=True)
class NewTable:
    """A table that is not there yet, or is there and empty."""

    client: "DynamoDBClient"
    name: str

    def is_there(self, keys: KeySchema) -> bool:
        """Whether it is there already, empty and with the right key.

        Raises:
            RefusedError: it is there, and something would be overwritten or would not fit.
        """
        try:
            table = describe(self.client, self.name)
        except TableNotFoundError:
            return False
        if table.key != tuple(keys.types.items()):
            raise RefusedError(
                f"table '{self.name}' has the key {table.key_schema}, not {keys}: name a table "
                "that does not exist"
            )
        if self.client.scan(TableName=self.name, Limit=1, ConsistentRead=True)["Items"]:
            raise RefusedError(
                f"table '{self.name}' is not empty: name a table that does not exist; one that an "
                "interrupted restore left has neither deletion protection nor recovery, and may "
                "be deleted"
            )
        return True

    def create(self, keys: KeySchema, encryption: Mapping[str, Any] | None) -> None:
        """Make it, billed on demand, and wait until it can be written."""
        request: dict[str, Any] = {
            "KeySchema": [
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(keys.types, _KINDS, strict=False)
            ],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": tag} for name, tag in keys.types.items()
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if encryption:
            request["SSESpecification"] = encryption
        self.client.create_table(TableName=self.name, **request)
        self.client.get_waiter("table_exists").wait(TableName=self.name)

    def protect(self) -> list[str]:
        """Turn on recovery and deletion protection; returns what could not be, and why."""
        steps: Sequence[tuple[str, str, dict[str, Any]]] = (
            (
                "point-in-time recovery",
                "update_continuous_backups",
                {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
            ),
            ("deletion protection", "update_table", {"DeletionProtectionEnabled": True}),
        )
        problems = []
        for what, operation, request in steps:
            try:
                getattr(self.client, operation)(TableName=self.name, **request)
            except (ClientError, BotoCoreError) as error:
                problems.append(
                    f"{what} of '{self.name}' is not on ({error_code(error)}): turn it on"
                )
        return problems


def encryption_of(table: TableDescription) -> Mapping[str, Any] | None:
    """How to encrypt a new table as this one is; None for a key of DynamoDB's own."""
    encryption = table.fields.get("SSEDescription", {})
    if encryption.get("SSEType") != "KMS" or "KMSMasterKeyArn" not in encryption:
        return None
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": encryption["KMSMasterKeyArn"]}
