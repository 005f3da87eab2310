"""An endpoint in front of another one that loses answers, and refuses what it is told to refuse.

What a cut connection leaves its client in doubt about is what matters here: the request was carried
out, and nobody says so.
"""

import http.client
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import urlsplit


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that was killed has cut its connection: nobody has to be told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FaultProxy:
    """Passes requests on, and some answers not; a context manager.

    Attributes:
        url: of the endpoint.
        requests: the operations asked for, in order.
    """

    def __init__(self, upstream):
        self._upstream = urlsplit(upstream)
        self._lock = Lock()
        self._faults = []
        self._refused = {}
        self.requests = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def lose_answer(self, operation, then=lambda: None, *, after=0):
        """Carry an operation out, call something, and cut the connection instead of answering.

        Args:
            operation: the name of the service's operation.
            then: called before the connection is cut.
            after: so many calls of it pass undisturbed.
        """
        self._faults.append([operation, after, then])

    def refuse(self, operation, code="ThrottlingException", *, after=0, times=None):
        """Answer an operation with an error instead of passing it on.

        Args:
            operation: the name of the service's operation.
            code: of the error.
            after: so many calls of it pass undisturbed.
            times: so many calls of it; None: until it is accepted again.
        """
        self._refused[operation] = [code, after, times]

    def accept(self, operation):
        """Pass an operation on again."""
        del self._refused[operation]

    def _refusal(self, operation):
        with self._lock:
            refused = self._refused.get(operation)
            if refused is None or refused[2] == 0:
                return None
            if refused[1]:
                refused[1] -= 1
                return None
            if refused[2] is not None:
                refused[2] -= 1
            self.requests.append(operation)
            return refused[0]

    def _fault(self, operation):
        with self._lock:
            self.requests.append(operation)
            for fault in self._faults:
                if fault[0] == operation:
                    if fault[1] == 0:
                        self._faults.remove(fault)
                        return fault[2]
                    fault[1] -= 1
        return None

    def _handler(self):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                """Nobody reads it."""

            def _pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                operation = (self.headers.get("X-Amz-Target") or self.command).rpartition(".")[2]
                code = proxy._refusal(operation)
                if code is not None:
                    self._answer(400, [], json.dumps({"__type": code}).encode())
                    return
                then = proxy._fault(operation)
                upstream = proxy._upstream
                connection = http.client.HTTPConnection(
                    upstream.hostname, upstream.port, timeout=60
                )
                try:
                    headers = {n: v for n, v in self.headers.items() if n.lower() != "host"}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    content = answer.read()
                finally:
                    connection.close()
                if then is not None:
                    then()
                    self.close_connection = True
                    self.connection.close()
                    return
                self._answer(answer.status, answer.getheaders(), content)

            def _answer(self, status, headers, content):
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815

        return Handler
