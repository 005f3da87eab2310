"""Objects of the quarantine bucket that an acceptance run has put there, or has had put there."""

from operations.acceptance.trial import Trial
from reports.access.bounded import MOST_KEPT_BYTES, read_at_most


def bodies(trial: Trial, prefix: str) -> list[bytes]:
    """What the objects under a prefix hold."""
    bucket, s3 = trial.stack.quarantine_bucket, trial.client("s3")
    answers = (s3.get_object(Bucket=bucket, Key=key) for key in _keys(trial, prefix))
    return [read_at_most(answer["Body"], MOST_KEPT_BYTES) for answer in answers]


def take_away(trial: Trial, prefix: str) -> None:
    """Delete the objects under a prefix; the bucket keeps their versions."""
    for key in _keys(trial, prefix):
        trial.client("s3").delete_object(Bucket=trial.stack.quarantine_bucket, Key=key)
        trial.clean_up.stays.append(f"the deleted object's version in the quarantine bucket: {key}")


def _keys(trial: Trial, prefix: str) -> list[str]:
    pages = trial.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=trial.stack.quarantine_bucket, Prefix=prefix)
    return [entry["Key"] for page in listed for entry in page.get("Contents", [])]
