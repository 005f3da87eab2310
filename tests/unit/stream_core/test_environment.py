"""Settings are read once, and everything wrong with them is named in one message."""

import pytest

from history_writer.settings import HistorySettings
from replica_writer.settings import ReplicaSettings
from stream_core.errors import SettingsError

SOURCE = "arn:aws:dynamodb:eu-west-1:123456789012:table/Employee"
HISTORY = {
    "SOURCE_TABLE_ARN": SOURCE,
    "HISTORY_TABLE": "trail",
    "OVERFLOW_BUCKET": "large",
    "QUARANTINE_BUCKET": "bad",
}
REPLICA = {
    "SOURCE_TABLE_ARN": SOURCE,
    "SOURCE_TABLE": "Employee",
    "REPLICA_TABLE": "Standby",
    "QUARANTINE_BUCKET": "bad",
}


def test_history_settings_are_read():
    """Every documented variable arrives in its setting; surrounding blanks do not."""
    settings = HistorySettings.read(HISTORY | {"TIME_SHARDS": "16", "OVERFLOW_BUCKET": " large "})

    assert settings == HistorySettings(SOURCE, "trail", "large", "bad", 16)
    assert HistorySettings.read(HISTORY).time_shards == 4


def test_replica_settings_are_read():
    """Every documented variable arrives in its setting."""
    role = "arn:aws:iam::111122223333:role/standby"

    settings = ReplicaSettings.read(
        REPLICA | {"REPLICA_REGION": "eu-west-1", "REPLICA_ROLE_ARN": role, "SETTLE": "False"}
    )

    assert settings == ReplicaSettings(
        source_table_arn=SOURCE,
        source_table="Employee",
        replica_table="Standby",
        replica_region="eu-west-1",
        replica_role_arn=role,
        settle=False,
        quarantine_bucket="bad",
        second_look_queue="",
    )


def test_a_replica_settles_in_its_own_account_and_region_by_default():
    """What is optional is off: an empty variable is an absent one."""
    for variables in (REPLICA, REPLICA | dict.fromkeys(["REPLICA_REGION", "SETTLE"], "")):
        settings = ReplicaSettings.read(variables)

        assert (settings.replica_region, settings.replica_role_arn) == ("", "")
        assert settings.settle is True


def test_all_missing_history_settings_are_named_at_once():
    """One message names everything that is missing or wrong."""
    with pytest.raises(SettingsError) as caught:
        HistorySettings.read({"TIME_SHARDS": "many", "HISTORY_TABLE": "  "})

    assert str(caught.value) == (
        "wrong settings: SOURCE_TABLE_ARN is not set; HISTORY_TABLE is not set; "
        "OVERFLOW_BUCKET is not set; "
        "QUARANTINE_BUCKET is not set; TIME_SHARDS is 'many', not a whole number from 1 to 100"
    )


def test_all_missing_replica_settings_are_named_at_once():
    """One message names everything that is missing or wrong."""
    with pytest.raises(SettingsError) as caught:
        ReplicaSettings.read({"SETTLE": "yes"})

    assert str(caught.value) == (
        "wrong settings: SOURCE_TABLE_ARN is not set; SOURCE_TABLE is not set; "
        "REPLICA_TABLE is not set; "
        "SETTLE is 'yes', not true or false; QUARANTINE_BUCKET is not set"
    )


@pytest.mark.parametrize("region", ["", "us-east-1"])
def test_a_replica_that_is_its_own_source_is_refused(region):
    """It would feed its own stream, and put old images over newer items."""
    itself = REPLICA | {"REPLICA_TABLE": REPLICA["SOURCE_TABLE"], "AWS_REGION": "us-east-1"}

    with pytest.raises(SettingsError, match="REPLICA_TABLE is the source table itself"):
        ReplicaSettings.read(itself | {"REPLICA_REGION": region})

    elsewhere = ({"REPLICA_REGION": "eu-west-1"}, {"REPLICA_ROLE_ARN": "arn:aws:iam::1:role/r"})
    for other in elsewhere:
        assert ReplicaSettings.read(itself | other).replica_table == REPLICA["SOURCE_TABLE"]


@pytest.mark.parametrize("shards", ["0", "101", "-1", "1.5", "4 4", "\u0664"])
def test_the_shard_count_has_bounds(shards):
    """A shard count that the index cannot have is refused."""
    with pytest.raises(SettingsError, match=r"TIME_SHARDS is '.*', not a whole number"):
        HistorySettings.read(HISTORY | {"TIME_SHARDS": shards})


@pytest.mark.parametrize("shards", ["1", "100"])
def test_the_bounds_of_the_shard_count_are_allowed(shards):
    """The least and the greatest count are legal."""
    assert HistorySettings.read(HISTORY | {"TIME_SHARDS": shards}).time_shards == int(shards)


@pytest.mark.parametrize("settings", [HistorySettings, ReplicaSettings])
@pytest.mark.parametrize(
    "arn", ["Employee", f"{SOURCE}/stream/2018-03-01T10:00:00.000", SOURCE.replace("123", "")]
)
def test_the_followed_table_is_named_by_its_arn(settings, arn):
    """A name alone would take the records of another account's table of that name."""
    with pytest.raises(SettingsError, match=r"SOURCE_TABLE_ARN is '.*', not the ARN of a table"):
        settings.read(HISTORY | REPLICA | {"SOURCE_TABLE_ARN": arn})


def test_a_source_table_that_is_not_followed_is_refused():
    """The replica would be made equal to a table of which it gets no records."""
    with pytest.raises(SettingsError, match="SOURCE_TABLE is another table than SOURCE_TABLE_ARN"):
        ReplicaSettings.read(REPLICA | {"SOURCE_TABLE": "Customer"})

    assert ReplicaSettings.read(REPLICA | {"SOURCE_TABLE": SOURCE}).source_table == SOURCE
