"""The watermark of a deployed stack: what is read for it, and what if it cannot be read."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from reports.deployment.watermark import WatermarkFinder
from reports.states.stream_order import MOST_BACK
from reports.states.watermark import Basis, NoWatermark, Watermark
from tests.fake_deployment import HISTORY, NOW, SOURCE, STACK, WRITERS

QUARANTINED = "quarantine/history_writer/1-abc.json"
GIVEN_UP = "aws/lambda/old-mapping/shard/2026/11/25/batch"
ARRIVED = datetime(2026, 11, 20, 7, 30, tzinfo=UTC)


def found(aws, stack=STACK, **options):
    return WatermarkFinder(aws.session, None, HISTORY, stack, **options).find()


def batch(first, last):
    return {
        "DDBStreamBatchInfo": {
            "approximateArrivalOfFirstRecord": f"2026-11-20T{first}Z",
            "approximateArrivalOfLastRecord": f"2026-11-20T{last}Z",
        }
    }


def keep(aws, key, body):
    aws.facts.objects.append(key)
    aws.facts.bodies[key] = body if isinstance(body, str) else json.dumps(body)


def test_a_sound_stack_is_measured_by_the_services_clock(aws):
    """12:00 by Lambda's answer, whatever this machine's clock says."""
    aws.facts.stack_parameters["Timeout"] = "60"

    watermark = found(aws)

    assert (watermark.at, watermark.basis) == (NOW - timedelta(minutes=37), Basis.MEASURED)
    (request,) = [params for name, _, params in aws.requests if name == "GetMetricData"]
    assert request["StartTime"] == NOW - timedelta(minutes=35)
    assert request["EndTime"] == NOW - timedelta(minutes=4)
    order = [name for name, _, _ in aws.requests]
    assert order.index("GetMetricData") < order.index("ListObjectsV2")


def test_a_stack_that_is_not_named_is_found_by_the_tables_tag(aws):
    """One call more; a table that no stack made has no watermark."""
    assert found(aws, stack=None) == found(aws)

    aws.facts.tags = {}

    assert found(aws, stack=None) == NoWatermark()


def test_nothing_is_asked_where_it_is_declared(aws):
    """Who asks knows."""
    declared = Watermark(NOW, Basis.DECLARED, "so")

    assert found(aws, declared=declared) is declared
    assert aws.requests == []


def test_the_stack_of_another_history_tells_nothing(aws):
    """Its metrics are of other changes."""
    aws.facts.stack_outputs["HistoryTableName"] = "another"

    assert "writes another history table" in found(aws).reason


@pytest.mark.parametrize(
    ("operation", "basis"),
    [
        ("DescribeStacks", None),
        ("GetEventSourceMapping", None),
        ("DescribeTable", None),
        ("GetMetricData", Basis.AGED),
        ("ListObjectsV2", None),
        ("GetObject", None),
    ],
)
def test_what_cannot_be_read_is_said_and_never_raised(aws, operation, basis):
    """Without the metrics there is the age of records; without the rest there is nothing."""
    keep(aws, QUARANTINED, {})
    aws.refused = {operation: "AccessDenied"}
    if basis:
        aws.facts.objects.clear()

    answer = found(aws)

    assert getattr(answer, "basis", None) is basis
    assert "AccessDenied" in answer.reason


def test_a_part_of_the_metrics_is_not_all_of_them(aws):
    """CloudWatch says when it has not looked everything up."""
    aws.facts.metrics_status = "PartialData"

    assert found(aws).basis is Basis.AGED


@pytest.mark.parametrize("name", ["Errors", "PolledEventCount", "IteratorAge"])
def test_a_metric_that_is_not_answered_is_not_zero(aws, name):
    """An answer without points is another thing than no answer."""
    aws.facts.metrics_absent.add(name)

    assert found(aws).basis is Basis.AGED


def test_records_that_were_polled_have_an_age(aws):
    """Without it they may be of any age; where nothing was polled there is none."""
    aws.facts.metrics["PolledEventCount"] = [0.0, 3.0]

    assert "whose age is not known" in found(aws).reason

    aws.facts.metrics["IteratorAge"] = [1000.0]

    assert found(aws).basis is Basis.MEASURED


def test_a_record_beyond_the_maximum_age_leaves_no_watermark(aws):
    """The limit does not hold, or not yet; also where the mapping counts nothing."""
    aws.facts.metrics = {"IteratorAge": [13 * 3600 * 1000.0]}

    answer = found(aws)

    assert isinstance(answer, NoWatermark)
    assert "13:00:00 was sent" in answer.reason


def test_a_stream_that_is_off_is_not_followed(aws):
    """What is written now is recorded nowhere."""
    aws.facts.tables[SOURCE]["StreamSpecification"] = {"StreamEnabled": False}

    assert isinstance(found(aws), NoWatermark)


@pytest.mark.parametrize(
    ("key", "body", "earliest"),
    [
        (
            QUARANTINED,
            {"Record": {"dynamodb": {"ApproximateCreationDateTime": ARRIVED.timestamp()}}},
            ARRIVED,
        ),
        (GIVEN_UP, batch("07:30:00", "07:30:03"), ARRIVED - MOST_BACK),
        (GIVEN_UP, batch("07:30:03", "07:30:00"), ARRIVED - MOST_BACK),
    ],
)
def test_the_watermark_lies_before_what_is_kept_aside(aws, key, body, earliest):
    """A record says of when it is; times may go back within a batch, which names its ends."""
    keep(aws, key, body)

    assert found(aws).at == earliest - timedelta(seconds=1)


def test_a_batch_that_is_but_named_leaves_no_watermark(aws):
    """`redrive` waits for what lies there as well, and none of it is read here."""
    keep(aws, "pointers/2026/11/25/record", batch("07:30:00", "07:30:00"))

    assert "does not say of when it is" in found(aws).reason


@pytest.mark.parametrize("body", ["no JSON", {}, {"Record": {"dynamodb": {}}}, '{"Record": 1'])
def test_what_does_not_say_of_when_it_is_leaves_no_watermark(aws, body):
    """It may be of any time."""
    keep(aws, QUARANTINED, body)

    assert "does not say of when it is" in found(aws).reason


def test_what_is_larger_than_any_batch_leaves_no_watermark(aws, monkeypatch):
    """It is not read to its end."""
    monkeypatch.setattr("reports.deployment.stack_reader.MOST_KEPT_BYTES", 1000)
    keep(aws, QUARANTINED, " " * 1001)

    assert "does not say of when it is" in found(aws).reason


def test_what_only_the_replica_lacks_is_in_the_history(aws):
    """Batches of its mapping, and folders that a console made."""
    keep(aws, f"aws/lambda/{WRITERS['replica_writer']}/shard/batch", {})
    keep(aws, "aws/lambda/", "")

    assert found(aws).basis is Basis.MEASURED


def test_very_much_kept_aside_is_not_read(aws):
    """Somebody has to see to it first."""
    for number in range(201):
        keep(aws, f"aws/lambda/{number}", {})

    assert "201 objects are kept aside" in found(aws).reason
