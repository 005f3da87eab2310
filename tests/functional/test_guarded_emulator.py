"""What a web page, or another machine, gets from the emulator that the local stack starts."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.functional

FORM = {"Content-Type": "text/plain;charset=UTF-8"}


def asked(local_stack, method, path, headers):
    """The status of the answer to a request, and whether a page could read it."""
    own = urlsplit(local_stack.endpoint_url)
    connection = http.client.HTTPConnection(own.hostname, own.port)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Access-Control-Allow-Origin")
    finally:
        connection.close()


def makes_a_queue(name):
    """The path of a request that changes something, as any page may send it."""
    return f"/?Action=CreateQueue&QueueName={name}&Version=2012-11-05"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", FORM | {"Origin": "http://evil.example"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        ("GET", {"Host": "evil.example"}),
        ("OPTIONS", {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}),
    ],
    ids=["form", "image", "rebound name", "preflight"],
)
def test_a_page_changes_nothing(local_stack, method, headers):
    """It could have made a function and had it run as the user."""
    assert asked(local_stack, method, makes_a_queue("of-a-page"), headers) == (403, None)

    listed = local_stack.client("sqs").list_queues(QueueNamePrefix="of-a-page")
    assert not listed.get("QueueUrls")


def test_the_same_of_a_program_is_carried_out(local_stack):
    """Otherwise the test above shows nothing."""
    status, _ = asked(local_stack, "GET", makes_a_queue("of-a-program"), {})

    assert status == 200
    assert local_stack.client("sqs").list_queues(QueueNamePrefix="of-a-program")["QueueUrls"]


def test_no_other_address_of_the_machine_is_listened_on(local_stack):
    """All interfaces would answer at this one too."""
    port = urlsplit(local_stack.endpoint_url).port

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))
