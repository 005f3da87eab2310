"""Answers of items larger than expected are turned away unread and asked for in portions."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from replica_writer.tables import Problems, SourceTable
from stream_core.answer_budget import AnswerBudget
from stream_core.clients import dynamodb_client
from tests.factories import item, one_attempt, text


class Server(ThreadingHTTPServer):
    """A table of items of one size, over HTTP; knows how many bytes it sent to whom."""

    daemon_threads = True

    def __init__(self, size):
        super().__init__(("127.0.0.1", 0), Handler)
        self.size = size
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        keys = body["RequestItems"]["source"]["Keys"]
        self.server.asked.append(len(keys))
        items = [key | {"Text": text("x" * self.server.size)} for key in keys]
        answer = json.dumps({"Responses": {"source": items}, "UnprocessedKeys": {}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        try:
            self.wfile.write(answer)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def source():
    servers = []

    def make(size):
        servers.append(Server(size))
        url = f"http://127.0.0.1:{servers[-1].server_port}"
        session = boto3.Session("key", "secret", region_name="eu-west-1")
        client = dynamodb_client(session, endpoint_url=url)
        return SourceTable(client, "source"), servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


KEYS = {f"{number:02d}": item(f"{number:02d}") for number in range(25)}


def read_all(table, budget):
    """Read all keys as a slice does; returns the ids that were read and the problems."""
    read, problems, calls = [], Problems(), [list(KEYS)]
    while calls:
        call = calls.pop()
        with budget.allowance(len(call)) as allowance:
            answer = table.read(call, KEYS, one_attempt(), problems, allowance)
        read += answer.states
        calls += [part for portion in answer.portions for part in budget.calls(portion)]
    return sorted(read), problems


@pytest.mark.parametrize(("size", "most"), [(100, 25), (10_000, 5), (40_000, 1), (400_000, 1)])
def test_items_are_read_in_portions_that_fit(source, size, most):
    """One answer is turned away unread, then the size of an item is known."""
    table, server = source(size)
    budget = AnswerBudget(total=100_000)

    read, problems = read_all(table, budget)

    assert read == list(KEYS)
    assert problems == Problems()
    assert server.asked[0] == 25
    assert max(server.asked[1:], default=25) <= most
    assert sum(server.asked) <= 50


def test_an_answer_cut_short_is_no_answer(source, monkeypatch):
    """What is read after its size was looked at fails as botocore's own reading does."""
    table, _server = source(100)

    def do_post(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b'{"Responses":')
        self.close_connection = True

    monkeypatch.setattr(Handler, "do_POST", do_post)
    problems = Problems()
    budget = AnswerBudget()

    with budget.allowance(25) as allowance:
        read = table.read(list(KEYS), KEYS, one_attempt(), problems, allowance)

    assert (read.states, read.unread) == ({}, list(KEYS))
    assert problems.errors == {"ConnectionClosedError": 1}
