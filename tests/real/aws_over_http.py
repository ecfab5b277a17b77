"""Serves the in-process AWS on an address of loopback, so that another process can use it."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import moto.core.models as core_models
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

from local.aws.aws_account import REGION

_HOSTS = {"iam": "iam.amazonaws.com"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", self.headers["Authorization"])
        assert signed is not None
        host = _HOSTS.get(signed[1], f"{signed[1]}.{REGION}.amazonaws.com")
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            if name != "Host":
                headers[name] = value
        request = AWSPreparedRequest(self.command, f"https://{host}{self.path}", headers, body, stream_output=False)
        answered = core_models.botocore_stubber(f"before-send.{signed[1]}.Any", request)
        content = answered.content
        self.send_response_only(answered.status_code)
        for name, value in answered.headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, str(value))
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def served() -> Iterator[str]:
    """The address of the in-process AWS, while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
