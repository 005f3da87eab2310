"""The history writer's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from stream_core.environment import Environment

MAX_TIME_SHARDS = 100


@dataclass(frozen=True)
class HistorySettings:
    """What the function needs to know, from its environment.

    Attributes:
        source_table_arn: the followed table, whose records alone are taken.
        time_shards: partitions an hour has in the index `ByTime`.
    """

    source_table_arn: str
    history_table: str
    overflow_bucket: str
    quarantine_bucket: str
    time_shards: int

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "HistorySettings":
        """Read the settings.

        Raises:
            SettingsError: a setting is missing or wrong; the message names every one.
        """
        environment = Environment(variables)
        settings = cls(
            source_table_arn=environment.table_arn("SOURCE_TABLE_ARN"),
            history_table=environment.text("HISTORY_TABLE"),
            overflow_bucket=environment.text("OVERFLOW_BUCKET"),
            quarantine_bucket=environment.text("QUARANTINE_BUCKET"),
            time_shards=environment.integer("TIME_SHARDS", 4, least=1, most=MAX_TIME_SHARDS),
        )
        environment.check()
        return settings
