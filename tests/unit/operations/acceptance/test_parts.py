"""Parts of an acceptance run that AWS would see: a signature, the temporary function's code."""

import io
import re
import zipfile
from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from operations.acceptance import probe_function
from operations.acceptance.probe import package
from operations.acceptance.services import DatedAuth
from tests.fakes import client_error

MOMENT = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "token"])
def test_dated_signature_is_botocores_own(monkeypatch, token):
    """For one moment both sign alike, so that nothing but the moment can be refused."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: MOMENT)
    credentials = ReadOnlyCredentials("key", "secret", token)
    ours, theirs = (
        AWSRequest(
            "POST", "https://dynamodb.eu-west-1.amazonaws.com/", {"X-Amz-Target": "a"}, b"{}"
        )
        for _ in range(2)
    )

    DatedAuth(credentials, "eu-west-1", MOMENT).add_auth(ours)
    botocore.auth.SigV4Auth(credentials, "dynamodb", "eu-west-1").add_auth(theirs)

    assert dict(ours.headers) == dict(theirs.headers)


class _Client:
    """DynamoDB with one answer, or one error."""

    def __init__(self, answer):
        self.answer = answer

    def get_item(self, **parameters):
        assert parameters == {"TableName": "t"}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer | {"ResponseMetadata": {"RequestId": "7"}}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({}, None),
        # BatchGetItem answers by table, BatchExecuteStatement by statement.
        ({"Responses": {"t": []}}, None),
        ({"Responses": [{}]}, None),
        ({"Responses": [{"Error": {"Code": "AccessDenied"}}]}, "AccessDenied"),
        (client_error("AccessDeniedException"), "AccessDeniedException"),
    ],
)
def test_temporary_function_tells_what_a_call_was_answered(monkeypatch, answer, code):
    """The error's code, of the call or of its statement, or none; never what was read."""
    monkeypatch.setattr(probe_function.boto3, "client", {"dynamodb": _Client(answer)}.get)
    event = {"service": "dynamodb", "operation": "get_item", "parameters": {"TableName": "t"}}

    told = probe_function.handler(event, None)

    assert told == {"code": code, "request": "unknown" if isinstance(answer, Exception) else "7"}


def test_temporary_function_fails_a_batch():
    """Whatever is in it."""
    with pytest.raises(RuntimeError, match="on purpose"):
        probe_function.handler({"Records": []}, None)


def test_package_of_the_temporary_function_runs_alone():
    """It holds its handler, which imports nothing of ours."""
    with zipfile.ZipFile(io.BytesIO(package())) as archive:
        (entry,) = archive.infolist()
        source = archive.read(entry).decode()

    assert (entry.filename, entry.external_attr >> 16) == ("probe_function.py", 0o644)
    assert "def handler(" in source
    imported = re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
    assert set(imported) == {"typing", "boto3", "botocore"}
