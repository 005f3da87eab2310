"""Both functions as `sam build` makes them, under Lambda's own runtime, on MiniStack's tables."""

import contextlib
import http.client
import json
import math
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from itemtrail.local import sam
from stream_core.history_row import HistoryRow
from tests.eventually import eventually
from tests.factories import TABLE_ARN, inserts, item, lambda_record, number, text
from tests.lambda_runtime import (
    NOT_HERE,
    REGION,
    RUNS_HERE,
    Package,
    lay_out_runtime,
    running,
)

pytestmark = [
    pytest.mark.functional,
    pytest.mark.bank,
    pytest.mark.skipif(not RUNS_HERE, reason=NOT_HERE),
]

HISTORY, REPLICA = "HistoryWriterFunction", "ReplicaWriterFunction"
BY_FUNCTION = pytest.mark.parametrize("name", [HISTORY, REPLICA])
NOTHING_FAILED = {"batchItemFailures": []}
# Below the 11 seconds that a writer leaves for its slowest request: it tries everything once.
TRIES_ONCE_S = 20
TRIES_AGAIN_S = 60

# What items are made of here, and what therefore no log may hold: as it is, or in base64.
KEY, TEXT, BYTES = "hidden-key", "hidden-text", b"hidden"
NUMBER = "3141592653589793238462643383279502884.2"
HIDDEN = ("hidden", NUMBER, "aGlkZGVu")
VALUES = {
    "text": text(TEXT),
    "number": number(NUMBER),
    "bytes": {"B": BYTES},
    "no bytes": {"B": b""},
    "binaries": {"BS": [b"", b"\x00\xff"]},
    "numbers": {"NS": ["-1", "2.5"]},
    "nested": {"M": {"B": {"L": [{"B": BYTES}, {"NULL": True}, {"BOOL": False}]}}},
}


# ---- What the functions talk to -------------------------------------------------------------


class Door(BaseHTTPRequestHandler):
    """Passes a request on to the emulator, throttles it or leaves it without an answer."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet: the client would wait for the second.
    wbufsize = -1

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.silent:
            self.server.unanswered += 1
            # Until the client is gone.
            self.rfile.read(1)
            self.close_connection = True
            return
        status, content = self.server.throttle(body) or self._passed_on(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _passed_on(self, body):
        names = ("Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Target")
        headers = {name: self.headers[name] for name in names}
        address = urlsplit(self.server.endpoint_url).netloc
        with contextlib.closing(http.client.HTTPConnection(address)) as connection:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def log_message(self, *_):
        pass


class Backend(ThreadingHTTPServer):
    """The emulator's DynamoDB, which fails as it is told to.

    Attributes:
        throttled: requests that hold this are refused for going too fast, None for no such.
        times: how many of them; all that follow are passed on.
        silent: requests get no answer, and change nothing.
        unanswered: how many got none.
    """

    # Its clients are gone before it is: so can be its threads.
    daemon_threads = False

    def __init__(self, endpoint_url):
        super().__init__(("127.0.0.1", 0), Door)
        self.endpoint_url = endpoint_url
        self.own_url = f"http://127.0.0.1:{self.server_port}"
        self.throttled, self.times = None, math.inf
        self.silent, self.unanswered = False, 0
        self._counting = threading.Lock()

    def throttle(self, body):
        """The refusal of a request that is to be refused."""
        with self._counting:
            if self.throttled is None or self.throttled not in body or not self.times:
                return None
            self.times -= 1
        code = "com.amazonaws.dynamodb.v20120810#ThrottlingException"
        return 400, json.dumps({"__type": code, "message": "too fast"}).encode("ascii")


@pytest.fixture
def backend(local_stack):
    """The emulator behind a door that can be shut."""
    with Backend(local_stack.endpoint_url) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# ---- The functions --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """What Lambda's runtime brings along."""
    return lay_out_runtime(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def tables(make_tables):
    return make_tables()


@pytest.fixture
def variables(local_stack, backend, tables):
    """What the template gives a function, with the tables of this test, and the way to them."""
    common = {
        "SOURCE_TABLE_ARN": tables.source_arn,
        "QUARANTINE_BUCKET": tables.quarantine,
        "POWERTOOLS_METRICS_NAMESPACE": "itemtrail",
        "POWERTOOLS_SERVICE_NAME": "trail",
        "LOG_LEVEL": "DEBUG",
    }
    own = {
        HISTORY: {
            "HISTORY_TABLE": tables.history,
            "OVERFLOW_BUCKET": tables.overflow,
            "TIME_SHARDS": "4",
        },
        REPLICA: {
            "SOURCE_TABLE": tables.source,
            "REPLICA_TABLE": tables.replica,
            "REPLICA_REGION": REGION,
            "REPLICA_ROLE_ARN": "",
            "SETTLE": "true",
            "SECOND_LOOK_QUEUE": "",
        },
    }
    endpoints = {
        "AWS_ENDPOINT_URL": local_stack.endpoint_url,
        "AWS_ENDPOINT_URL_DYNAMODB": backend.own_url,
    }
    return {name: endpoints | common | own[name] for name in own}


@dataclass(frozen=True)
class Followed:
    """A running function, called with records as if they were of the table that it follows."""

    function: Any
    table_arn: str

    def __getattr__(self, name):
        return getattr(self.function, name)

    def invoke(self, event):
        """What the function answers."""
        return self.function.invoke(_of_table(event, self.table_arn))


@pytest.fixture
def start(built, runtime, variables, tables):
    """A factory of running functions; whatever they logged, no item is in it."""
    started = []
    with contextlib.ExitStack() as closing:

        def start(name, *, timeout_s=TRIES_ONCE_S, without=()):
            package = Package.built(built, name, runtime)
            given = variables[name]
            assert package.variables == {one for one in given if "ENDPOINT" not in one}
            given = {one: given[one] for one in given if one not in without}
            function = closing.enter_context(running(package, given, timeout_s))
            started.append(Followed(function, tables.source_arn))
            return started[-1]

        yield start
        for function in started:
            _assert_tells_no_item(function)


def _assert_tells_no_item(function):
    assert [part for part in HIDDEN if part in function.log] == []
    for line in function.own_lines:
        # An error that ends an invocation is logged by the runtime, in its own way.
        assert line.startswith("[ERROR] ") or isinstance(json.loads(line), dict)


@pytest.fixture
def stored(dynamodb, tables):
    """What the table that a function writes holds, by the items' `Id`."""

    def stored(name):
        table = {HISTORY: tables.history, REPLICA: tables.replica}[name]
        pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return {one["Id"]["S"]: one for page in pages for one in page["Items"]}

    return stored


@pytest.fixture
def changed(dynamodb, tables):
    """A factory of changes of the source: what it has them delivered as."""

    def changed(count, first):
        records = inserts(count, first=first, prefix=KEY)
        for record in records:
            dynamodb.put_item(TableName=tables.source, Item=record["dynamodb"]["NewImage"])
        return records

    return changed


def _event(records):
    return {"Records": records}


def _of_table(event, table_arn):
    return json.loads(json.dumps(event).replace(TABLE_ARN, table_arn))


def _ids(records):
    return {record["dynamodb"]["Keys"]["Id"]["S"] for record in records}


# ---- Cold start -----------------------------------------------------------------------------


@BY_FUNCTION
def test_cold_start_is_once(start, name):
    """A function starts from its package and takes an empty batch, and the next in one process."""
    function = start(name)

    answers = [function.invoke(_event([])) for _ in range(2)]

    assert answers == [NOTHING_FAILED] * 2
    assert len(function.processes) == 1


def test_first_batch_is_a_row_of_the_very_values(start, stored):
    """What a cold start finds as JSON, binary in base64, is in the history type by type."""
    old, new = item(KEY, **VALUES), item(KEY, **VALUES, more=text(TEXT))

    answer = start(HISTORY).invoke(_event([lambda_record(old, new)]))

    assert answer == NOTHING_FAILED
    row = HistoryRow.from_item(stored(HISTORY)[KEY])
    assert (row.change.old_image, row.change.new_image) == (old, new)
    row.check()


def test_first_batch_makes_the_replica_equal(start, stored, dynamodb, tables):
    """What a cold start finds as JSON, binary in base64, is the source's item in the replica."""
    new = item(KEY, **VALUES)
    dynamodb.put_item(TableName=tables.source, Item=new)

    answer = start(REPLICA).invoke(_event([lambda_record(new=new)]))

    assert answer == NOTHING_FAILED
    assert stored(REPLICA) == {KEY: new}


# ---- Failures -------------------------------------------------------------------------------


@BY_FUNCTION
def test_throttling_is_waited_out_while_time_remains(start, backend, changed, stored, name):
    """The time that the runtime says remains is used: what is refused once is tried again."""
    records = changed(3, first=1)
    backend.throttled, backend.times = KEY.encode(), 1

    answer = start(name, timeout_s=TRIES_AGAIN_S).invoke(_event(records))

    assert answer == NOTHING_FAILED
    assert backend.times == 0
    assert stored(name).keys() == _ids(records)


@BY_FUNCTION
def test_partial_failure_names_the_lowest_record(start, backend, changed, stored, name):
    """What is refused is told by its lowest number; delivered again from there, all is stored."""
    # Three calls of 25, 25 and 5 records; numbers grow by a digit within the second.
    records = changed(55, first=10**21 - 30)
    backend.throttled = f"{KEY}-040".encode()
    function = start(name)

    first = function.invoke(_event(records))
    between = stored(name).keys()
    backend.throttled = None
    second = function.invoke(_event(records[25:]))

    lowest = records[25]["dynamodb"]["SequenceNumber"]
    assert first == {"batchItemFailures": [{"itemIdentifier": lowest}]}
    assert between == _ids(records[:25] + records[50:])
    assert second == NOTHING_FAILED
    assert stored(name).keys() == _ids(records)
    assert len(function.processes) == 1


@BY_FUNCTION
def test_hanging_requests_are_given_up_before_the_limit(start, backend, changed, stored, name):
    """An invocation left hanging says in time that nothing is stored; the next one works anew."""
    records = changed(3, first=1)
    function = start(name)
    backend.silent = True

    answer = function.invoke(_event(records))
    between = stored(name)
    backend.silent = False

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert backend.unanswered >= 1
    assert between == {}
    assert function.invoke(_event(records)) == NOTHING_FAILED
    assert stored(name).keys() == _ids(records)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        (HISTORY, ("SOURCE_TABLE_ARN", "HISTORY_TABLE", "OVERFLOW_BUCKET", "QUARANTINE_BUCKET")),
        (REPLICA, ("SOURCE_TABLE_ARN", "SOURCE_TABLE", "REPLICA_TABLE", "QUARANTINE_BUCKET")),
    ],
)
def test_missing_settings_are_told_at_cold_start(start, built, name, missing):
    """Whoever calls a function that lacks settings is told each by name, and so is the log."""
    function = start(name, without=missing)

    answer = function.invoke(_event([]))

    told = "wrong settings: " + "; ".join(f"{one} is not set" for one in missing)
    assert (answer["errorType"], answer["errorMessage"]) == ("SettingsError", told)
    assert f"[ERROR] SettingsError: {told}" in function.log
    # From the package, not from the sources.
    assert f'File "{built.parent / name}' in answer["stackTrace"][0]


@BY_FUNCTION
def test_stream_without_images_fails_loudly(start, changed, stored, name):
    """One record of another view type fails the invocation as a whole: nothing is written."""
    records = changed(3, first=1)
    records[2]["dynamodb"]["StreamViewType"] = "KEYS_ONLY"

    answer = start(name).invoke(_event(records))

    assert answer["errorType"] == "ViewTypeError"
    assert "batchItemFailures" not in answer
    assert stored(name) == {}


# ---- Logs -----------------------------------------------------------------------------------


@BY_FUNCTION
def test_log_is_a_summary_and_metrics(start, changed, s3, tables, name):
    """A batch is one line and its metrics, in JSON; a record kept aside is in its bucket alone."""
    records = [*changed(2, first=1), *inserts(1, first=3, prefix=KEY)]
    records[2]["dynamodb"]["Keys"]["Id"] = {"N": TEXT}
    function = start(name)

    answer = function.invoke(_event(records))

    assert answer == NOTHING_FAILED
    summary, metrics = map(json.loads, function.own_lines)
    assert (summary["message"], summary["service"]) == ("batch", "trail")
    assert summary["counts"]["RecordsRead"] == metrics["RecordsRead"][0] == 3
    assert summary["counts"]["Quarantined"] == metrics["Quarantined"][0] == 1
    (kept,) = s3.list_objects_v2(Bucket=tables.quarantine)["Contents"]
    with s3.get_object(Bucket=tables.quarantine, Key=kept["Key"])["Body"] as body:
        assert json.load(body)["Record"] == _of_table(records[2], tables.source_arn)


# ---- Nothing is left ------------------------------------------------------------------------

PROGRAM = """
import json, sys
from pathlib import Path
from tests.lambda_runtime import Package, running
template, runtime, variables, event = map(json.loads, sys.argv[1:])
package = Package.built(Path(template), "HistoryWriterFunction", Path(runtime))
with running(package, variables, 60) as function:
    print(function.keeper, flush=True)
    function.invoke(event)
"""


def test_nothing_outlives_a_killed_program(built, runtime, variables, backend, tmp_path):
    """A program that is killed leaves no emulator and no function, not even one that is busy."""
    backend.silent = True
    event = _of_table(
        _event([lambda_record(new=item(KEY))]), variables[HISTORY]["SOURCE_TABLE_ARN"]
    )
    arguments = (str(built), str(runtime), variables[HISTORY], event)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(json.dumps, arguments)],
        cwd=sam.REPOSITORY,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            session = int(program.stdout.readline())
            eventually(lambda: backend.unanswered)
            before = _processes_of(session)
        finally:
            program.kill()

    # Keeper, emulator and function.
    assert len(before) == 3
    eventually(lambda: not _processes_of(session))
    assert list(tmp_path.iterdir()) == []


def _processes_of(session):
    """The processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name of the program, in brackets, may hold anything.
            state, _, _, its_session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(its_session) == session and state != "Z":
                found.append(int(folder.name))
    return found
