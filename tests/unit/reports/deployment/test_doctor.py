"""The doctor: nothing to find in a deployment as the template makes it, and each thing by name."""

from dataclasses import replace

import pytest

from reports.deployment.alarm_checks import alarms_of
from reports.deployment.doctor import examine
from reports.deployment.stack import Consumer, Stack
from stream_core.item_id import CONTROL_ID
from tests.fake_deployment import (
    FOURTH_MAPPING,
    HISTORY,
    OVERFLOW,
    QUARANTINE,
    REGION,
    REPLICA,
    REPLICA_REGION,
    SOURCE,
    STACK,
    STREAM,
    THIRD_MAPPING,
    TOPIC,
    WRITERS,
    FakeAws,
    a_stack,
    alarm,
    append_only,
    history_row,
    mapping,
    table,
)
from tests.iam import Decision, Request, decide
from tests.mapping_contract import Account, commands_in
from tests.templates import CASES, Evaluation, transformed

SEARCH = mapping(
    "replica_writer",
    UUID=THIRD_MAPPING,
    FunctionArn=f"arn:aws:lambda:{REGION}:123456789012:function:search-index",
)
SECOND_REPLICA = mapping("replica_writer", stack="second", UUID=THIRD_MAPPING)
OTHER_STREAM = STREAM.replace("2026-11-01", "2026-11-20")


def _unless(condition):
    policy = append_only()
    policy["Statement"][0]["Condition"] = condition
    return policy


def _only_for(role):
    policy = append_only()
    policy["Statement"][0]["Principal"] = {"AWS": role}
    return policy


def findings(aws, stack=None):
    """What is not as it must be, or could not be checked."""
    return [one for one in examine(aws.session, stack or a_stack()) if one.ok is not True]


def the_finding(aws, check):
    """The only finding, which must be of that check and tell what to do."""
    (found,) = findings(aws)
    assert found.check == check
    assert found.ok is False
    return found


def test_deployment_as_the_template_makes_it_has_no_finding(aws):
    """Everything is looked at, everything is as it must be, and nothing is to be done."""
    advice = examine(aws.session, a_stack())

    assert {one.ok for one in advice} == {True}
    assert {one.to_do for one in advice} == {None}
    assert len({(one.check, one.subject) for one in advice}) == len(advice) > 35
    # Reading is all it does.
    assert {operation[:3] for operation, _, _ in aws.requests} <= {"Des", "Get", "Lis", "Sca"}


@pytest.mark.parametrize(
    ("consumer", "subjects", "others"),
    [
        (Consumer.HISTORY_WRITER, {HISTORY, OVERFLOW}, {REPLICA, "replica_writer"}),
        (Consumer.REPLICA_WRITER, {REPLICA}, {HISTORY, OVERFLOW, "history_writer"}),
    ],
)
def test_what_a_stack_was_deployed_without_is_not_looked_at(aws, consumer, subjects, others):
    """One consumer with its table: all of it is looked at, all is fine, nothing else is asked."""
    advice = examine(aws.session, aws.deploy_only(consumer))

    assert {one.ok for one in advice} == {True}
    told = {one.subject for one in advice}
    assert told >= subjects | {SOURCE, consumer.value, f"records of {consumer}", "failed batches"}
    assert not told & (others | {f"records of {other}" for other in others})
    assert len({(one.check, one.subject) for one in advice}) == len(advice) > 20


@pytest.mark.parametrize("consumer", Consumer)
def test_the_parts_of_a_stack_are_told(aws, consumer):
    """Nobody has to wonder whether the other table was forgotten."""
    (whole,) = [one for one in examine(aws.session, a_stack()) if one.check == "readers"]
    stack = aws.deploy_only(consumer)
    (part,) = [one for one in examine(aws.session, stack) if one.check == "readers"]

    assert whole.observation.endswith("; this stack is for history and replica")
    assert part.observation == (
        f"1 event source mapping reads the stream: {STACK}-{consumer.replace('_', '-')} "
        f"({WRITERS[consumer]}); this stack is for {consumer.table} only "
        f"(Consumers={consumer.table})"
    )


# ---- The stream ----------------------------------------------------------------------------


def test_stream_without_both_images_is_found(aws):
    """A stream of another view type is told, with the commands that put it right."""
    aws.facts.tables[SOURCE]["StreamSpecification"]["StreamViewType"] = "NEW_IMAGE"

    found = the_finding(aws, "stream view")

    assert found.subject == SOURCE
    assert found.observation.startswith("NEW_IMAGE")
    assert "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES" in found.to_do


def test_disabled_stream_is_found(aws):
    """A stream that was turned off is told, though its ARN is still the table's latest."""
    del aws.facts.tables[SOURCE]["StreamSpecification"]

    assert "no change is followed" in the_finding(aws, "stream view").observation


def test_stream_made_anew_is_found(aws):
    """Whoever turned the stream off and on gave the table another one, which nobody follows."""
    aws.facts.tables[SOURCE]["LatestStreamArn"] = OTHER_STREAM

    found = findings(aws)

    assert [(one.check, one.subject, one.ok) for one in found] == [
        ("stream followed", f"stack {STACK}", False),
        ("stream followed", "history_writer", False),
        ("stream followed", "replica_writer", False),
    ]
    assert OTHER_STREAM in found[0].observation
    assert f"--parameter-overrides SourceStreamArn={OTHER_STREAM}" in found[0].to_do


def test_mapping_of_another_stream_than_the_stacks_is_found(aws):
    """A mapping that follows another stream than its stack says is told on its own."""
    aws.facts.mappings[0]["EventSourceArn"] = OTHER_STREAM

    assert the_finding(aws, "stream followed").subject == "history_writer"


def test_table_without_any_stream_is_found(aws):
    """A table that has no stream at all is told, and how to give it one."""
    del aws.facts.tables[SOURCE]["StreamSpecification"]
    del aws.facts.tables[SOURCE]["LatestStreamArn"]

    found = {(one.check, one.subject): one for one in findings(aws)}

    assert "has no stream" in found["stream followed", "history_writer"].observation
    assert found["stream view", SOURCE].ok is False


def test_third_reader_is_found(aws):
    """A third enabled mapping, on whichever page, is told with the command that stops it."""
    aws.facts.mappings.append(SEARCH)

    found = the_finding(aws, "readers")

    assert found.observation.startswith("3 event source mappings")
    assert f"search-index ({THIRD_MAPPING})" in found.observation
    assert f"--uuid {THIRD_MAPPING} --no-enabled" in found.to_do


def test_disabled_mapping_reads_nothing(aws):
    """A third mapping that is turned off is no reader."""
    aws.facts.mappings.append(SEARCH | {"State": "Disabled"})

    assert findings(aws) == []


@pytest.mark.parametrize("consumer", Consumer)
@pytest.mark.parametrize("second", ["stranger", "stack of ours"])
def test_one_consumer_leaves_room_for_another_reader(aws, consumer, second):
    """Two in all are fine, whoever the second is."""
    stack = aws.deploy_only(consumer)
    aws.facts.mappings.append(SEARCH if second == "stranger" else SECOND_REPLICA)

    assert findings(aws, stack) == []


def test_the_writer_of_another_stack_is_not_the_one_to_stop(aws):
    """Of three readers the command stops the stranger, in whichever order they are listed."""
    stack = aws.deploy_only(Consumer.HISTORY_WRITER)
    aws.facts.mappings += [SECOND_REPLICA, SEARCH | {"UUID": FOURTH_MAPPING}]

    (found,) = findings(aws, stack)

    assert (found.check, found.ok) == ("readers", False)
    assert f"second-replica-writer ({THIRD_MAPPING})" in found.observation
    assert f"--uuid {FOURTH_MAPPING} --no-enabled" in found.to_do


def test_another_mapping_of_our_own_function_is_one_to_stop(aws):
    """Somebody made it by hand: the stack does not know it, and needs it not."""
    aws.facts.mappings.append(mapping("history_writer", UUID=THIRD_MAPPING))

    assert f"--uuid {THIRD_MAPPING} --no-enabled" in the_finding(aws, "readers").to_do


def test_too_many_stacks_of_ours_are_found(aws):
    """Nothing of them may simply be stopped: one has to be deployed with less."""
    aws.facts.mappings.append(SECOND_REPLICA)

    found = the_finding(aws, "readers")

    assert found.observation.startswith("3 event source mappings read the stream")
    assert found.to_do == (
        "All are writers of itemtrail, and 2 have room: delete the stack that is needed least, "
        "or deploy it with Consumers=history or Consumers=replica"
    )


def test_global_source_is_mentioned(aws):
    """Of a global table AWS recommends one reader: told of two, and no finding."""
    aws.facts.tables[SOURCE]["Replicas"] = [{"RegionName": "us-west-2"}]

    (two,) = [one for one in examine(aws.session, a_stack()) if one.check == "readers"]
    only = aws.deploy_only(Consumer.HISTORY_WRITER)
    (one,) = [one for one in examine(aws.session, only) if one.check == "readers"]

    assert two.ok
    assert one.ok
    assert "global" in two.observation
    assert "global" not in one.observation


# ---- The mappings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "setting", "told", "to_do"),
    [
        ("mapping state", {"State": "Disabled"}, "USER_INITIATED", "--enabled"),
        ("last result", {"LastProcessingResult": "PROBLEM: no"}, "PROBLEM", "aws logs tail"),
        ("last result", {"LastProcessingResult": "FAILED"}, "FAILED", "aws logs tail"),
        (
            "partial failures",
            {"FunctionResponseTypes": []},
            "ReportBatchItemFailures",
            "--function-response-types ReportBatchItemFailures",
        ),
        ("bisect", {"BisectBatchOnFunctionError": False}, "off", "--bisect-batch-on"),
        ("attempts", {"MaximumRetryAttempts": 3}, "3", "--maximum-retry-attempts -1"),
        ("attempts", {"MaximumRetryAttempts": 0}, "0", "--maximum-retry-attempts -1"),
        ("record age", {"MaximumRecordAgeInSeconds": -1}, "unlimited", "in-seconds 43200"),
        ("record age", {"MaximumRecordAgeInSeconds": 86_400}, "86,400 s", "in-seconds 43200"),
        (
            "filter",
            {"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}},
            "never delivered",
            "--filter-criteria {}",
        ),
        ("start", {"StartingPosition": "LATEST"}, "LATEST", f"itemtrail compare --stack {STACK}"),
        ("start", {"StartingPosition": "LATEST"}, "LATEST", "FollowStream=true"),
        ("failed batches", {"DestinationConfig": {}}, "dropped", f"arn:aws:s3:::{QUARANTINE}"),
        (
            "failed batches",
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-west-1:1:dlq"}}},
            "arn:aws:sqs",
            f"arn:aws:s3:::{QUARANTINE}",
        ),
        (
            "failed batches",
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::another-bucket"}}},
            "another-bucket",
            f"arn:aws:s3:::{QUARANTINE}",
        ),
        (
            "failed batches",
            {"DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:s3:::{QUARANTINE}-2"}}},
            f"{QUARANTINE}-2",
            f"arn:aws:s3:::{QUARANTINE}",
        ),
    ],
)
def test_setting_of_a_mapping_that_loses_records_is_found(aws, check, setting, told, to_do):
    """Each setting that differs from the template's is told by itself, of the right consumer."""
    aws.facts.mappings[1] |= setting

    found = the_finding(aws, check)

    assert found.subject == "replica_writer"
    assert told in found.observation
    assert to_do in found.to_do


def test_longest_age_that_the_template_allows_is_fine(aws):
    """Twenty-three hours are within the stream's day."""
    aws.facts.mappings[0]["MaximumRecordAgeInSeconds"] = 82_800

    assert findings(aws) == []


def test_mapping_on_its_way_cannot_be_told(aws):
    """A mapping that is being enabled is neither on nor off."""
    aws.facts.mappings[0]["State"] = "Enabling"

    (found,) = findings(aws)

    assert (found.check, found.ok) == ("mapping state", None)
    assert "itemtrail doctor" in found.to_do


def test_mapping_that_is_gone_is_found(aws):
    """A deleted mapping is a finding; of its settings nothing can be told."""
    aws.facts.mappings.pop(0)

    found = findings(aws)

    assert {one.subject for one in found} == {"history_writer"}
    (gone,) = [one for one in found if one.ok is False]
    assert gone.check == "mapping state"
    assert gone.to_do.endswith(f"itemtrail verify --stack {STACK}")
    _has_mappings_made_anew(gone.to_do)
    assert {one.ok for one in found} == {False, None}
    assert all(one.to_do for one in found)


def test_mapping_that_began_with_the_latest_is_made_anew(aws):
    """It can neither be changed nor replaced: first it goes, then another one comes."""
    aws.facts.mappings[0]["StartingPosition"] = "LATEST"

    _has_mappings_made_anew(the_finding(aws, "start").to_do)


def _has_mappings_made_anew(advice):
    account = Account()
    account.deploy(STACK)
    wanted = sorted(account.live)
    account.live.pop(0)
    for command in commands_in(advice):
        account.run(command)
    assert sorted(account.live) == wanted
    assert f"itemtrail redrive --stack {STACK} --apply" in advice


def test_a_stack_whose_mappings_were_taken_away_is_found(aws):
    """The second of the two deployments was forgotten: nothing else can be told of them."""
    stack = a_stack()
    gone = ("HistoryWriterMappingId", "ReplicaWriterMappingId")
    outputs = {name: value for name, value in stack.outputs.items() if name not in gone}
    stack = replace(stack, outputs=outputs, parameters={"FollowStream": "false"})

    failed = [
        one for one in findings(aws, stack) if one.ok is False and one.check == "mapping state"
    ]

    assert [one.subject for one in failed] == ["history_writer", "replica_writer"]
    assert all("FollowStream=true" in one.to_do for one in failed)


# ---- Tables and buckets --------------------------------------------------------------------


def test_missing_table_is_found(aws):
    """A table that is gone is a finding, and what depends on it could not be checked."""
    del aws.facts.tables[REPLICA]

    found = findings(aws)

    assert {one.subject for one in found} == {REPLICA}
    assert REPLICA_REGION in next(one.observation for one in found if one.check == "table")
    assert {one.check for one in found if one.ok is None} == {
        "key",
        "deletion protection",
        "point-in-time recovery",
        "time to live",
    }


def test_table_that_is_not_active_is_found(aws):
    """A table whose encryption key is out of reach is told in DynamoDB's word."""
    aws.facts.tables[SOURCE]["TableStatus"] = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"

    assert "INACCESSIBLE" in the_finding(aws, "table").observation


@pytest.mark.parametrize(
    "key", [{"Id": "S"}, {"Identifier": "N"}, {"Id": "N", "Version": "N"}], ids=str
)
def test_replica_with_another_key_is_found(aws, key):
    """A replica whose key differs by name, type or number of attributes takes nothing in."""
    aws.facts.tables[REPLICA] = table(REPLICA, key, DeletionProtectionEnabled=True)

    found = the_finding(aws, "key")

    assert found.subject == REPLICA
    assert "the source's is Id (N)" in found.observation
    assert "PartitionKeyName=Id PartitionKeyType=N" in found.to_do


def test_key_attributes_in_another_order_are_another_key(aws):
    """The same two attributes as partition and sort key the other way round are told apart."""
    aws.facts.tables[SOURCE] |= table(SOURCE, {"Artist": "S", "Title": "S"})
    aws.facts.tables[REPLICA] |= table(REPLICA, {"Title": "S", "Artist": "S"})

    found = the_finding(aws, "key")

    assert "PartitionKeyName=Artist PartitionKeyType=S SortKeyName=Title" in found.to_do


def test_history_table_with_another_key_is_found(aws):
    """A table that is no history table is told by its key."""
    aws.facts.tables[HISTORY] |= table(HISTORY, {"Id": "N", "ApproximateCreationDateTime": "S"})

    assert the_finding(aws, "key").subject == HISTORY


@pytest.mark.parametrize(
    ("index", "ok", "told"),
    [
        (None, False, "there is none"),
        ({"IndexStatus": "CREATING"}, False, "CREATING"),
        ({"KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}]}, False, "its key is Id"),
        ({"Projection": {"ProjectionType": "KEYS_ONLY"}}, False, "does not hold EventName"),
        ({"Projection": {"ProjectionType": "ALL"}}, True, ""),
    ],
)
def test_index_by_time_must_be_whole(aws, index, ok, told):
    """The index has its key and its event names and is ACTIVE, or it is a finding."""
    indexes = aws.facts.tables[HISTORY]["GlobalSecondaryIndexes"]
    if index is None:
        aws.facts.tables[HISTORY]["GlobalSecondaryIndexes"] = []
    else:
        indexes[0] |= index

    found = findings(aws)

    assert [(one.check, one.ok) for one in found] == ([] if ok else [("index ByTime", False)])
    assert all(told in one.observation and HISTORY in one.to_do for one in found)


def test_index_whose_state_is_not_given_cannot_be_told(aws):
    """An endpoint that does not say whether the index is ACTIVE is not believed to have said so."""
    del aws.facts.tables[HISTORY]["GlobalSecondaryIndexes"][0]["IndexStatus"]

    (found,) = findings(aws)

    assert (found.check, found.ok) == ("index ByTime", None)


@pytest.mark.parametrize(("name", "region"), [(HISTORY, REGION), (REPLICA, REPLICA_REGION)])
def test_missing_deletion_protection_is_found(aws, name, region):
    """A table of ours that one call can delete is told, with the command for its region."""
    aws.facts.tables[name]["DeletionProtectionEnabled"] = False

    found = the_finding(aws, "deletion protection")

    assert found.to_do == (
        f"Turn it on: aws dynamodb update-table --region {region} --table-name {name} "
        "--deletion-protection-enabled"
    )


@pytest.mark.parametrize("name", [SOURCE, HISTORY, REPLICA])
def test_missing_point_in_time_recovery_is_found(aws, name):
    """Each of the three tables without point-in-time recovery is told."""
    aws.facts.recovery[name] = "DISABLED"

    found = the_finding(aws, "point-in-time recovery")

    assert found.subject == name
    assert "PointInTimeRecoveryEnabled=true" in found.to_do


def test_recovery_of_a_few_days_is_found(aws):
    """What the stack made goes back 35 days; how far the source does is its owner's to say."""
    aws.facts.recovery_period = {"RecoveryPeriodInDays": 1}

    found = findings(aws)

    assert [(one.check, one.subject) for one in found] == [
        ("point-in-time recovery", HISTORY),
        ("point-in-time recovery", REPLICA),
    ]
    assert found[0].observation.startswith("1 days back instead of 35")
    assert "RecoveryPeriodInDays=35" in found[0].to_do


def test_recovery_whose_days_are_not_told_is_on(aws):
    """An emulator knows of no period."""
    aws.facts.recovery_period = {}

    assert findings(aws) == []


OTHER_TABLE = STREAM.replace(f"/{SOURCE}/", f"/{SOURCE}Test/")


@pytest.mark.parametrize(
    "arn",
    [
        OTHER_TABLE,
        STREAM.replace("123456789012", "210987654321"),
        STREAM.replace(REGION, REPLICA_REGION),
        "",
    ],
)
def test_rows_of_another_table_are_found(aws, arn):
    """Another account, region or name: told with how many rows were looked at, and no more."""
    aws.facts.rows += [history_row(arn)] * 2

    found = the_finding(aws, "provenance")

    assert found.subject == HISTORY
    assert found.observation.startswith("2 of the 4 rows that a scan meets first are not of arn:")
    assert found.observation.endswith(f", but of {arn or 'no table'} (2)")
    assert f"as FOREIGN: itemtrail verify --stack {STACK};" in found.to_do
    assert f"--region {REGION} --function-name {STACK}-history-writer" in found.to_do


def test_provenance_is_said_of_the_rows_looked_at_alone(aws):
    """A hundred of them, whatever lies behind; baselines and control rows are the table's own."""
    table_arn = STREAM.partition("/stream/")[0]
    aws.facts.rows = [
        history_row(table_arn),
        history_row(OTHER_STREAM),
        *[history_row(OTHER_TABLE, CONTROL_ID)] * 150,
        *[history_row(STREAM)] * 98,
        history_row(OTHER_TABLE),
    ]

    (told,) = [one for one in examine(aws.session, a_stack()) if one.check == "provenance"]

    assert (told.ok, told.observation) == (
        True,
        "none of the 100 rows that a scan meets first is of another table; verify reads all",
    )


@pytest.mark.parametrize(
    ("policy", "missing"),
    [
        (None, "BatchWriteItem"),
        (append_only(without=("DeleteItem", "PutItem")), "does not refuse DeleteItem, PutItem:"),
        (_only_for("arn:aws:iam::123456789012:role/intern"), "PutItem"),
        (_unless({"StringEquals": {"aws:SourceVpc": "vpc-1"}}), "PutItem"),
        (_unless({"ArnNotEquals": {"aws:SourceArn": "arn:aws:sns:::x"}}), "PutItem"),
    ],
    ids=["none", "two actions short", "for one role", "in one network", "by another key"],
)
def test_history_that_can_be_rewritten_is_found(aws, policy, missing):
    """Whatever of the policy is gone or weakened is told, with who to look for."""
    aws.facts.policies = {} if policy is None else {HISTORY: policy}

    (found,) = [one for one in findings(aws) if one.check == "append-only"]

    assert missing in found.observation
    assert "CloudTrail" in found.to_do


def test_policy_of_the_template_is_as_it_has_to_be(aws):
    """What template.yaml gives this stack's history, to the letter."""
    template = Evaluation(
        transformed(),
        {"SourceStreamArn": STREAM},
        stack=STACK,
        region=REGION,
        account="123456789012",
    )
    given = template.properties("HistoryTable")["ResourcePolicy"]["PolicyDocument"]
    aws.facts.policies[HISTORY] = given

    assert findings(aws) == []


GLASS = "arn:aws:iam::123456789012:role/glass"


def _given(**parameters):
    stack = a_stack()
    stack.parameters.update(parameters)
    return stack


def test_break_glass_role_is_no_finding(aws):
    """The one role that is spared on purpose is what the template provides for."""
    aws.facts.policies[HISTORY] = append_only(spared=GLASS)

    assert findings(aws, _given(BreakGlassRoleArn=GLASS)) == []


@pytest.mark.parametrize("given", ["", GLASS])
@pytest.mark.parametrize(
    "spared", ["*", "arn:aws:iam::123456789012:role/*", f"{GLASS}s", ["*"], [GLASS, "*"]]
)
def test_a_policy_that_spares_others_is_found(aws, given, spared):
    """A condition that spares more than the role which the stack was given denies too few."""
    aws.facts.policies[HISTORY] = append_only(spared=spared)

    (found,) = findings(aws, _given(BreakGlassRoleArn=given))

    assert (found.check, found.ok) == ("append-only", False)


def _on_its_index(statement):
    return statement | {"Resource": f"{statement['Resource']}/index/*"}


MUTATIONS = {
    "as it is": lambda one: one,
    "listed resource": lambda one: one | {"Resource": [one["Resource"], "arn:aws:s3:::x"]},
    "listed principal": lambda one: one | {"Principal": {"AWS": ["*"]}},
    "on its index": _on_its_index,
    "on another table": lambda one: one | {"Resource": one["Resource"] + "-2"},
    "on a shorter name": lambda one: one | {"Resource": one["Resource"][:-1]},
    "allows": lambda one: one | {"Effect": "Allow"},
    "for one role": lambda one: one | {"Principal": {"AWS": GLASS}},
    "for an account": lambda one: one | {"Principal": {"AWS": "123456789012"}},
    "actions short": lambda one: one | {"Action": one["Action"][1:]},
    "one action": lambda one: one | {"Action": one["Action"][0]},
    "all other actions": lambda one: _without(one, "Action") | {"NotAction": one["Action"]},
    "all other resources": lambda one: _without(one, "Resource") | {"NotResource": one["Resource"]},
    "spares all": lambda one: one | _sparing("arn:*:*:*:*:*"),
    "spares any role": lambda one: one | _sparing("arn:aws:iam::123456789012:role/*"),
    "spares another": lambda one: one | _sparing("arn:aws:iam::123456789012:role/alice"),
    "spares glass": lambda one: one | _sparing(GLASS),
    "spares glass and another": lambda one: one | _sparing([GLASS, "arn:aws:iam::1:role/alice"]),
    "only glass": lambda one: one | {"Condition": {"ArnEquals": {"aws:PrincipalArn": GLASS}}},
    "glass by another operator": lambda one: (
        one | {"Condition": {"StringNotLike": {"aws:PrincipalArn": "*"}}}
    ),
    "if it is from a network": lambda one: (
        one | {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
    ),
    "unless it is from a network": lambda one: (
        one | {"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}
    ),
    "if and unless": lambda one: (
        one
        | {
            "Condition": {
                "ArnNotEquals": {"aws:PrincipalArn": GLASS},
                "StringEquals": {"aws:SourceVpc": "vpc-1"},
            }
        }
    ),
}


def _without(statement, name):
    return {key: value for key, value in statement.items() if key != name}


def _sparing(who):
    return {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": who}}}


def _rewriters(policy, spared):
    """Whom of some a policy lets rewrite the history, by the rules of IAM alone."""
    arn = table(HISTORY, {})["TableArn"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    administrator = [{"Version": "2012-10-17", "Statement": [everything]}]
    roles = [f"arn:aws:iam::123456789012:role/{name}" for name in ("administrator", "alice")]
    return {
        (who, action)
        for who in {*roles, GLASS} - {spared}
        for action in append_only()["Statement"][0]["Action"]
        if decide(Request(who, action, arn), administrator, [policy]) is not Decision.EXPLICIT_DENY
    }


@pytest.mark.parametrize("given", ["", GLASS])
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_policy_passes_only_if_iam_lets_nobody_rewrite(aws, mutation, given):
    """However a policy was changed: the doctor is content only where IAM's rules refuse all."""
    policy = append_only()
    policy["Statement"][0] = MUTATIONS[mutation](policy["Statement"][0])
    aws.facts.policies[HISTORY] = policy

    is_content = findings(aws, _given(BreakGlassRoleArn=given)) == []

    if is_content:
        assert _rewriters(policy, given) == set()
    elif not given:
        # By the letter of the template: what else comes to the same is looked at by a person.
        refuses_more = {"unless it is from a network", "for an account"}
        assert mutation in refuses_more or _rewriters(policy, given)
    assert is_content or mutation not in ("as it is", "listed resource", "listed principal")


CONTROL_MUTATIONS = {name: MUTATIONS[name] for name in MUTATIONS if "action" not in name} | {
    "another action": lambda one: one | {"Action": "dynamodb:PartiQLSelect"},
    "as text": lambda one: one | _of_keys("!itemtrail"),
    "of more keys": lambda one: one | _of_keys(["!itemtrail", "!x"]),
    "of another key": lambda one: one | _of_keys(["itemtrail"]),
    "if all are": lambda one: one | _of_keys(["!itemtrail"], "ForAllValues:StringEquals"),
    "of another role": lambda one: (
        one | _of_keys(["!itemtrail"], role="employee-HistoryWriterRole-*")
    ),
    "of its name alone": lambda one: (
        one | _of_keys(["!itemtrail"], role="employee-trail-HistoryWriterRole")
    ),
    "of every role": lambda one: one | _of_keys(["!itemtrail"], role="*"),
    "of any key": lambda one: one | {"Condition": {"ArnLike": one["Condition"]["ArnLike"]}},
    "of no role": lambda one: (
        one | {"Condition": {key: one["Condition"][key] for key in ["ForAnyValue:StringEquals"]}}
    ),
    "never": lambda one: (
        one | {"Condition": one["Condition"] | {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
    ),
}


def _of_keys(keys, operator="ForAnyValue:StringEquals", role="employee-trail-HistoryWriterRole-*"):
    arn = f"arn:aws:iam::123456789012:role/{role}"
    return {
        "Condition": {
            operator: {"dynamodb:LeadingKeys": keys},
            "ArnLike": {"aws:PrincipalArn": arn},
        }
    }


def _inserters(policy):
    """Which roles a policy lets insert which rows, by the rules of IAM alone."""
    arn, insert = table(HISTORY, {})["TableArn"], "dynamodb:PartiQLInsert"
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    allowing = [{"Version": "2012-10-17", "Statement": [everything]}]
    return {
        (role, key)
        for role in ("employee-trail-HistoryWriterRole-1A2B3C", "alice")
        for key in ("!itemtrail", "42")
        if decide(
            Request(
                f"arn:aws:iam::123456789012:role/{role}",
                insert,
                arn,
                {"dynamodb:LeadingKeys": [key]},
            ),
            allowing,
            [policy],
        )
        is not Decision.EXPLICIT_DENY
    }


@pytest.mark.parametrize("mutation", CONTROL_MUTATIONS)
def test_a_policy_passes_only_if_iam_lets_the_writer_insert_no_control_row(aws, mutation):
    """However the statement was changed: nobody else, and no other row, may be refused either."""
    policy = append_only()
    policy["Statement"][1] = CONTROL_MUTATIONS[mutation](policy["Statement"][1])
    aws.facts.policies[HISTORY] = policy

    found = [one.check for one in findings(aws)]

    intended = {("alice", "!itemtrail"), ("alice", "42")}
    intended.add(("employee-trail-HistoryWriterRole-1A2B3C", "42"))
    assert found in ([], ["control rows"])
    if not found:
        assert _inserters(policy) == intended
    else:
        # By the letter of the template, as above.
        refuses_alike = {"for an account", "of more keys", "if all are"}
        assert mutation in refuses_alike or _inserters(policy) != intended
    assert not found or mutation not in (
        "as it is",
        "listed resource",
        "listed principal",
        "as text",
    )


@pytest.mark.parametrize(
    ("retention", "seen"),
    [
        (None, "off"),
        ({"Mode": "GOVERNANCE", "Days": 364}, "GOVERNANCE, 364 days, and the stack"),
        ({"Mode": "COMPLIANCE", "Days": 1}, "COMPLIANCE, 1 days, and the stack"),
        ({"Mode": "COMPLIANCE", "Days": 365}, "COMPLIANCE, 365 days, and the stack"),
        ({}, "off"),
    ],
)
def test_overflow_that_is_not_locked_as_the_stack_says_is_found(aws, retention, seen):
    """Large images that can be deleted sooner, or by others, than the stack was told are told."""
    aws.facts.retention = retention

    found = the_finding(aws, "object lock")

    assert found.observation.startswith(seen)
    assert OVERFLOW in found.to_do
    assert "Mode=GOVERNANCE,Days=365" in found.to_do


def test_a_lock_for_years_is_a_lock_for_days(aws):
    """A rule may give years."""
    aws.facts.retention = {"Mode": "GOVERNANCE", "Years": 1}

    assert findings(aws) == []


# ---- Alarms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", Consumer)
@pytest.mark.parametrize("metrics", [{}, {"MetricsConfig": {"Metrics": []}}])
def test_mapping_without_metrics_is_found(aws, consumer, metrics):
    """Alarms about batches are made of metrics that are off by default."""
    number = list(WRITERS).index(consumer)
    del aws.facts.mappings[number]["MetricsConfig"]
    aws.facts.mappings[number] |= metrics

    found = the_finding(aws, "mapping metrics")

    assert found.subject == consumer
    assert f"--uuid {WRITERS[consumer]} --metrics-config Metrics=EventCount" in found.to_do


@pytest.mark.parametrize(
    "changes", [{"ActionsEnabled": False}, {"AlarmActions": []}, {"AlarmActions": [f"{TOPIC}2"]}]
)
def test_an_alarm_that_tells_nobody_is_found(aws, changes):
    """Actions disabled for a night and forgotten, or another topic."""
    place = [one["AlarmName"] for one in aws.facts.alarms].index(
        f"{STACK}-HistoryStalledAlarm-1A2B3C"
    )
    aws.facts.alarms[place] |= changes

    found = the_finding(aws, "alarms")

    name = f"{STACK}-HistoryStalledAlarm-1A2B3C"
    assert found.observation == f"1 of 20 tell nobody of {TOPIC}: {name}"
    assert f"enable-alarm-actions --region {REGION} --alarm-names {name};" in found.to_do


def test_an_alarm_that_is_gone_is_found(aws):
    """One that somebody deleted, CloudFormation does not miss; another stack's is no substitute."""
    name = f"{STACK}-ReplicaLagAlarm-1A2B3C"
    aws.facts.alarms = [
        *(one for one in aws.facts.alarms if one["AlarmName"] != name),
        alarm("ReplicaLag", stack=f"{STACK}-two", ActionsEnabled=False),
    ]

    assert the_finding(aws, "alarms").observation == "1 of 20 are not there: ReplicaLag"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "parameters", [{}, {"FollowStream": "false"}, {"Emulator": "true"}], ids=str
)
def test_the_alarms_looked_for_are_the_templates(case, parameters):
    """The names that the doctor knows are those of template.yaml, for every way to deploy it."""
    evaluation = Evaluation(transformed(), CASES[case] | parameters, real=True)
    outputs = {name: str(value) for name, value in evaluation.outputs.items()}

    names = alarms_of(Stack("trail", outputs, parameters))

    assert {f"{name}Alarm" for name in names} == set(evaluation.of_type("AWS::CloudWatch::Alarm"))


@pytest.mark.parametrize("consumer", Consumer)
def test_a_record_age_that_the_stack_was_not_given_is_found(aws, consumer):
    """An age that was set by hand gives records up before an alarm about lag can sound."""
    aws.facts.mappings[list(WRITERS).index(consumer)]["MaximumRecordAgeInSeconds"] = 60

    (found,) = findings(aws, _given(MaximumRecordAgeInSeconds="43200"))

    assert (found.check, found.subject) == ("record age", consumer)
    assert "--maximum-record-age-in-seconds 43200" in found.to_do


@pytest.mark.parametrize(
    ("subscriptions", "seen"),
    [
        ([], "nobody has subscribed to it"),
        (["PendingConfirmation"] * 2, "2 subscriptions, none of them confirmed"),
        (["Deleted"], "1 subscriptions, none of them confirmed"),
    ],
)
def test_a_topic_that_nobody_hears_is_found(aws, subscriptions, seen):
    """An alarm without a confirmed subscription is heard by nobody."""
    aws.facts.subscriptions = subscriptions

    found = the_finding(aws, "alarm topic")

    assert found.observation == f"{seen}: no alarm is heard"
    assert f"--topic-arn {TOPIC}" in found.to_do


def test_a_topic_of_another_region_is_found(aws):
    """CloudWatch tells topics of its own region only."""
    far = TOPIC.replace(REGION, REPLICA_REGION)
    for one in aws.facts.alarms:
        one["AlarmActions"] = [far]

    (found,) = findings(aws, a_stack(AlarmTopicArn=far))

    assert found.check == "alarm topic"
    assert f"it is in {REPLICA_REGION}, and the alarms are in {REGION}" in found.observation


# ---- Emulators -------------------------------------------------------------------------------


def test_a_stack_for_an_emulator_on_aws_is_found(aws):
    """It lacks alarms there that it should have."""
    (found,) = findings(aws, _given(Emulator="true"))

    assert (found.check, found.ok) == ("emulator", False)


def test_what_an_emulator_does_not_keep_cannot_be_told(aws):
    """No policy, no lock: that is the emulator's, and no finding about the deployment."""
    aws.facts.policies, aws.facts.retention = {}, None
    stack = _given(Emulator="true")

    told = [one for one in examine(aws.session, stack, "http://127.0.0.1:4566") if not one.ok]

    assert {one.check: one.ok for one in told} == {
        "emulator": None,
        "append-only": None,
        "control rows": None,
        "object lock": None,
    }


@pytest.mark.parametrize("name", [HISTORY, REPLICA])
@pytest.mark.parametrize("status", ["ENABLED", "ENABLING"])
def test_time_to_live_on_what_must_stay_is_found(aws, name, status):
    """A history that deletes its rows, or a replica that deletes by itself, is told."""
    aws.facts.time_to_live[name] = {"TimeToLiveStatus": status, "AttributeName": "expires"}

    found = the_finding(aws, "time to live")

    assert "expires" in found.observation
    assert "Enabled=false,AttributeName=expires" in found.to_do


@pytest.mark.parametrize("versioning", [{}, {"Status": "Suspended"}])
def test_overflow_bucket_without_versions_is_found(aws, versioning):
    """A bucket that never had versions, or has them suspended, is told."""
    aws.facts.versioning = versioning

    assert f"--bucket {OVERFLOW}" in the_finding(aws, "versioning").to_do


def test_overflow_objects_that_expire_are_found(aws):
    """A lifecycle rule that removes objects is told by its name; one that is off is not."""
    aws.facts.lifecycle = [
        {"ID": "thrift", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 90}},
        {"ID": "off", "Status": "Disabled", "Prefix": "", "Expiration": {"Days": 90}},
        {
            "ID": "parts",
            "Status": "Enabled",
            "Prefix": "",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    ]

    assert the_finding(aws, "expiry").observation == (
        "objects expire by thrift: rows of the history lose their images"
    )


def test_what_is_kept_aside_is_found(aws):
    """Records and batches that wait are findings that say how many and where."""
    aws.facts.objects = ["quarantine/replica_writer/1-a.json", "aws/lambda/mapping-1/s/x"]

    found = findings(aws)

    assert [(one.check, one.subject) for one in found] == [
        ("kept aside", "records of replica_writer"),
        ("kept aside", "failed batches"),
    ]
    assert found[0].observation == "1 waiting, the newest of 2026-11-25T11:59:00Z"
    assert f"s3://{QUARANTINE}/quarantine/replica_writer/" in found[0].to_do


# ---- What cannot be read -------------------------------------------------------------------


def test_refused_permission_is_neither_fine_nor_a_finding(aws):
    """What may not be read is told as such, with the reason, and the rest is still told."""
    aws.refused["DescribeContinuousBackups"] = "AccessDeniedException"

    found = findings(aws)

    assert {(one.check, one.ok) for one in found} == {("point-in-time recovery", None)}
    assert len(found) == 3
    assert "not authorized to perform: DescribeContinuousBackups" in found[0].observation
    assert "aws sts get-caller-identity" in found[0].to_do


def test_refusal_is_asked_for_once(aws):
    """A description that many checks need is asked for once, though it was refused."""
    aws.refused["DescribeTable"] = "AccessDeniedException"

    findings(aws)

    described = [params for operation, _, params in aws.requests if operation == "DescribeTable"]
    assert sorted(one["TableName"] for one in described) == [SOURCE, HISTORY, REPLICA]


def test_replica_of_another_account_cannot_be_told(aws):
    """A replica that another account holds is not mistaken for a table of this one."""
    stack = a_stack()
    stack.parameters["ReplicaRoleArn"] = "arn:aws:iam::210987654321:role/replica"

    found = findings(aws, stack)

    assert {(one.subject, one.ok) for one in found} == {(REPLICA, None)}
    assert all("another account" in one.observation for one in found)


def test_a_policy_that_allows_is_not_one_that_refuses():
    """The same statement with the other effect protects nothing."""
    aws = FakeAws()
    aws.facts.policies[HISTORY]["Statement"][0]["Effect"] = "Allow"

    checks = {check.check: check.ok for check in examine(aws.session, a_stack())}

    assert checks["append-only"] is False


@pytest.mark.parametrize("state", ["Creating", "Enabling", "Updating"])
def test_a_reader_on_its_way_is_a_reader(aws, state):
    """It reads already, or will in a moment."""
    aws.facts.mappings.append(SEARCH | {"State": state})

    assert the_finding(aws, "readers").observation.startswith("3 event source mappings")


@pytest.mark.parametrize("action", append_only()["Statement"][0]["Action"])
def test_every_way_to_rewrite_the_history_has_to_be_refused(aws, action):
    """Time to live deletes rows too."""
    name = action.removeprefix("dynamodb:")
    aws.facts.policies = {HISTORY: append_only(without=(name,))}

    assert f"does not refuse {name}:" in the_finding(aws, "append-only").observation
