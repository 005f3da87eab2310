"""The replica writer's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from stream_core.environment import Environment


@dataclass(frozen=True)
class ReplicaSettings:
    """What the function needs to know, from its environment.

    Attributes:
        source_table_arn: the followed table, whose records alone are taken.
        source_table: the same table's name, or its ARN.
        replica_region: empty for the function's own region.
        replica_role_arn: a role to assume for the replica's account; empty for the own account.
        settle: whether the source may be read to make sure of what was written.
        second_look_queue: URL of the queue of items to look at once more; empty for no such look.
    """

    source_table_arn: str
    source_table: str
    replica_table: str
    replica_region: str
    replica_role_arn: str
    settle: bool
    quarantine_bucket: str
    second_look_queue: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "ReplicaSettings":
        """Read the settings.

        Raises:
            SettingsError: a setting is missing or wrong; the message names every one.
        """
        environment = Environment(variables)
        settings = cls(
            source_table_arn=environment.table_arn("SOURCE_TABLE_ARN"),
            source_table=environment.text("SOURCE_TABLE"),
            replica_table=environment.text("REPLICA_TABLE"),
            replica_region=environment.text("REPLICA_REGION", ""),
            replica_role_arn=environment.text("REPLICA_ROLE_ARN", ""),
            settle=environment.flag("SETTLE", default=True),
            quarantine_bucket=environment.text("QUARANTINE_BUCKET"),
            second_look_queue=environment.text("SECOND_LOOK_QUEUE", ""),
        )
        named = (settings.source_table_arn, settings.source_table_arn.rpartition("/")[2])
        if all(named) and settings.source_table and settings.source_table not in named:
            environment.refuse("SOURCE_TABLE is another table than SOURCE_TABLE_ARN")
        # It would feed its own stream for ever, and put old images over newer items.
        if settings.writes_to_its_source(environment.text("AWS_REGION", "")):
            environment.refuse("REPLICA_TABLE is the source table itself")
        if settings.second_look_queue and not settings.settle:
            environment.refuse("SECOND_LOOK_QUEUE needs SETTLE=true: the look reads the source")
        environment.check()
        return settings

    def writes_to_its_source(self, own_region: str) -> bool:
        """Whether source and replica are one table, as far as names can tell."""
        same_place = not self.replica_role_arn and self.replica_region in ("", own_region)
        return same_place and self.replica_table == self.source_table != ""
