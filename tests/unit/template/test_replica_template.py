"""What `replica.yaml` deploys in another region or account."""

import pytest
import yaml

from tests.templates import (
    ACCOUNT,
    ELSEWHERE,
    FAR,
    OTHER,
    REPLICA_KEY,
    REPOSITORY,
    Evaluation,
    deployed,
    load,
    transformed,
)

COMPOSITE = {
    "PartitionKeyName": "Artist",
    "PartitionKeyType": "S",
    "SortKeyName": "Year",
    "SortKeyType": "N",
}


def _replica(account=ACCOUNT, *, stack="standby", real=False, **given):
    template = load("replica.yaml")
    return Evaluation(template, given, stack=stack, region=FAR, account=account, real=real)


@pytest.mark.parametrize(
    ("given", "resources"),
    [
        ({}, {"ReplicaTable", "ReplicaKey"}),
        ({"KmsKeyArn": REPLICA_KEY}, {"ReplicaTable"}),
        ({"SourceAccountId": OTHER}, {"ReplicaTable", "ReplicaKey", "ReplicaRole"}),
    ],
)
def test_it_creates_a_table_and_what_that_needs(given, resources):
    """There is one table, a key unless one is given, and a role for a source elsewhere."""
    assert _replica(**given).resources.keys() == resources


@pytest.mark.parametrize("given", [{}, COMPOSITE])
def test_its_table_is_the_one_that_the_main_template_would_create(given):
    """The table has the same key, backups and protection as a replica in the source's region."""
    here = Evaluation(transformed(), {**ELSEWHERE, "ReplicaTableName": "", **given})
    expected = dict(here.properties("ReplicaTable"))

    table = dict(_replica(stack="trail", **given).properties("ReplicaTable"))

    for one in ("SSESpecification", "Tags"):
        del table[one], expected[one]
    assert table.pop("DeletionProtectionEnabled") == "true"
    assert expected.pop("DeletionProtectionEnabled") is True
    assert table == expected


@pytest.mark.parametrize("kept", ["ReplicaTable", "ReplicaKey"])
def test_its_table_and_key_outlive_the_stack(kept):
    """Deleting the stack leaves the standby copy, and the key without which it is noise."""
    resource = _replica().resources[kept]

    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_protection_can_be_turned_off_to_delete_the_table():
    """The parameter of the protection is what the table gets."""
    table = _replica(DeletionProtection="false").properties("ReplicaTable")

    assert table["DeletionProtectionEnabled"] == "false"


@pytest.mark.parametrize(
    ("given", "key"), [({}, "<ReplicaKey.Arn>"), ({"KmsKeyArn": REPLICA_KEY}, REPLICA_KEY)]
)
def test_its_table_is_encrypted_with_a_key_of_its_region(given, key):
    """The table uses the created key, which is renewed yearly, or the given one, and tells it."""
    replica = _replica(**given)

    assert replica.properties("ReplicaTable")["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": key,
    }
    assert replica.outputs["ReplicaKmsKeyArn"] == key
    for created in replica.of_type("AWS::KMS::Key").values():
        assert created["Properties"]["EnableKeyRotation"] is True
        assert created["Properties"]["PendingWindowInDays"] == 30


def test_it_takes_a_name_and_a_composite_key():
    """The table in another region can have its own name and the source's composite key."""
    named = _replica(TableName="Standby", **COMPOSITE).properties("ReplicaTable")

    assert named["TableName"] == "Standby"
    assert named["KeySchema"] == [
        {"AttributeName": "Artist", "KeyType": "HASH"},
        {"AttributeName": "Year", "KeyType": "RANGE"},
    ]
    assert named["AttributeDefinitions"] == [
        {"AttributeName": "Artist", "AttributeType": "S"},
        {"AttributeName": "Year", "AttributeType": "N"},
    ]
    assert _replica().properties("ReplicaTable")["TableName"] == "standby-replica"


def test_all_its_resources_are_tagged():
    """What the template creates can be found by its tag."""
    for resource in _replica(SourceAccountId=OTHER).resources.values():
        tags = resource["Properties"]["Tags"]
        assert tags == [{"Key": "application", "Value": "itemtrail"}]


def test_its_outputs_are_parameters_of_the_main_template():
    """Whatever the main template asks about a replica elsewhere is an output of this one."""
    asked = {name for name in load("template.yaml")["Parameters"] if name.startswith("Replica")}

    told = _replica(SourceAccountId=OTHER).outputs

    assert asked <= told.keys()


def test_its_outputs_are_accepted_by_the_main_template():
    """The outputs, given as parameters as they are, pass patterns and rules in both accounts."""
    names = load("template.yaml")["Parameters"]
    for account, given in ((ACCOUNT, {}), (OTHER, {"SourceAccountId": ACCOUNT})):
        outputs = _replica(account, real=True, **given).outputs
        parameters = {name: value for name, value in outputs.items() if name in names}

        main = Evaluation(transformed(), ELSEWHERE | parameters, real=True)

        assert main.refused_by() == []
        variables = main.properties("ReplicaWriterFunction")["Environment"]["Variables"]
        assert variables["REPLICA_TABLE"] == "standby-replica"
        assert variables["REPLICA_ROLE_ARN"] == outputs.get("ReplicaRoleArn", "")


def test_it_holds_no_yaml_aliases():
    """CloudFormation takes the file as it is, and knows no anchors without SAM before it."""
    tokens = list(yaml.scan((REPOSITORY / "replica.yaml").read_text("utf-8")))
    main = yaml.scan((REPOSITORY / "template.yaml").read_text("utf-8"))

    aliases = yaml.AnchorToken, yaml.AliasToken
    assert [one for one in tokens if isinstance(one, aliases)] == []
    assert any(isinstance(one, aliases) for one in main)
    assert "Transform" not in load("replica.yaml")


def test_both_replicas_may_have_one_name():
    """A replica elsewhere is named by the stack, as one in the source's region is."""
    here = deployed("plain").properties("ReplicaTable")["TableName"]

    assert _replica(stack="trail").properties("ReplicaTable")["TableName"] == here


def test_a_key_of_one_name_twice_is_refused():
    """Partition and sort key of the same name make no table."""
    assert "SortKeyName is PartitionKeyName" in _replica(SortKeyName="Id").refused_by()[0]
    assert _replica(SortKeyName="At").refused_by() == []
