"""What CloudWatch counts of a function."""

from datetime import datetime, timedelta

from operations.acceptance.trial import Trial

METRICS_DELAY = timedelta(minutes=5)
"""CloudWatch has a minute's points some minutes later."""


def counted(trial: Trial, metric: str, function: str, since: datetime) -> float:
    """The sum of a metric of a function since a moment; 0 where there is no point of it."""
    answer = trial.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=since.replace(second=0, microsecond=0),
        EndTime=trial.machine.now() + METRICS_DELAY,
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))
