"""The replica writer's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from stream_core.settings import Environment


@dataclass(frozen=True)
class ReplicaSettings:
    """What the function needs to know, from its environment.

    Attributes:
        replica_region: empty for the function's own region.
        replica_role_arn: a role to assume for the replica's account; empty for the own account.
        settle: whether the source may be read to make sure of what was written.
    """

    source_table: str
    replica_table: str
    replica_region: str
    replica_role_arn: str
    settle: bool
    quarantine_bucket: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "ReplicaSettings":
        """Read the settings.

        Raises:
            SettingsError: a setting is missing or wrong; the message names every one.
        """
        environment = Environment(variables)
        settings = cls(
            source_table=environment.text("SOURCE_TABLE"),
            replica_table=environment.text("REPLICA_TABLE"),
            replica_region=environment.text("REPLICA_REGION", ""),
            replica_role_arn=environment.text("REPLICA_ROLE_ARN", ""),
            settle=environment.flag("SETTLE", default=True),
            quarantine_bucket=environment.text("QUARANTINE_BUCKET"),
        )
        environment.check()
        return settings
