"""The acceptance run on the deployed system: to its end, with what cannot be tried there named."""

import json

import pytest

from itemtrail.cli import main
from operations.acceptance.belief import BeliefOutcome
from operations.acceptance.beliefs import BELIEFS

pytestmark = pytest.mark.functional

CANARY = "987654321"


@pytest.fixture(scope="module")
def accepted(deployed, local_stack, tmp_path_factory):
    """The record of a run, and its exit status."""
    deployed.empty()
    file = tmp_path_factory.mktemp("accepted") / "record.json"
    words = ["accept", "--stack", deployed.name, "--canary", CANARY, "--apply", "--yes"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in local_stack.environment().items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main([*words, "--file", str(file)])
    return ended.value.code, json.loads(file.read_text())


def test_it_runs_to_its_end_on_the_emulator(accepted):
    """What the emulator can show is confirmed, and for all else there is a reason."""
    status, record = accepted

    outcomes = {belief["belief"]: belief["outcome"] for belief in record["beliefs"]}
    untried = {
        belief.id: BeliefOutcome.NOT_TRIED.value
        for belief in BELIEFS
        if belief.attempt is None or belief.untried
    }
    confirmed = dict.fromkeys(outcomes.keys() - untried, BeliefOutcome.CONFIRMED.value)
    assert outcomes == untried | confirmed
    assert {"put-becomes-row", "replica-is-equal", "alarm-reaches-subscriber"} <= confirmed.keys()
    assert all(belief["evidence"] for belief in record["beliefs"])
    assert (status, record["emulator"], record["clean"]) == (0, True, True)


def test_it_leaves_rows_and_nothing_else(accepted, deployed):
    """The canary is gone from source and replica; its rows are there, and read as any others."""
    _, record = accepted

    assert deployed.source_item(CANARY) is None
    events = [row["EventName"]["S"] for row in deployed.rows(CANARY)]
    assert events[0] == "INSERT"
    assert any("rows in" in what for what in record["stays"])
    names = [
        *(
            function["FunctionName"]
            for function in deployed.functions.list_functions()["Functions"]
        ),
        *(bucket["Name"] for bucket in deployed.s3.list_buckets()["Buckets"]),
        *deployed.client("sqs").list_queues().get("QueueUrls", []),
    ]
    assert [name for name in names if "itemtrail-accept" in name] == []
    kept = deployed.s3.list_objects_v2(Bucket=deployed.outputs["QuarantineBucketName"])
    assert kept.get("Contents", []) == []
