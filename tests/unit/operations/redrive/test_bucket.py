"""A failure object that is finished with is put away, and no other one."""

from operations.redrive.bucket import FailureBucket, FailureObject


class Bucket:
    """A bucket that carries nothing out.

    Attributes:
        requests: what was asked of it, by operation.
    """

    def __init__(self):
        self.requests = {}

    def copy_object(self, **request):
        self.requests["copy"] = request

    def head_object(self, **_request):
        return {"ContentLength": 4}

    def delete_object(self, **request):
        self.requests["delete"] = request


def test_what_is_put_away_is_what_was_read():
    """Another object may have come under its name since: neither its copy nor its end is meant."""
    bucket = Bucket()

    FailureBucket(bucket, "kept").put_away(FailureObject("key", b"body", "etag", "version"))

    source = {"Bucket": "kept", "Key": "key", "VersionId": "version"}
    assert bucket.requests["copy"]["CopySource"] == source
    assert bucket.requests["copy"]["CopySourceIfMatch"] == "etag"
    assert bucket.requests["delete"]["IfMatch"] == "etag"
