"""The emulated AWS at an address: `aws --endpoint-url http://127.0.0.1:8400/local/aws …`.

A request is answered by the same emulator, with the same patches, as the calls of the functions. It names its service
only in its signature, which nobody checks.
"""

import re
from collections.abc import Iterable

import moto.core.models as core_models
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.aws.aws_account import REGION

ADDRESS = "/local/aws"
_HOSTS = {"iam": "iam.amazonaws.com"}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_SIGNED = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")

type Answer = tuple[int, dict[str, str], bytes]


def answer(method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    """Status, headers and content of AWS's answer. Raises ValueError for a request without a signature."""
    sent = HTTPHeaders()
    for name, value in headers:
        if name.lower() != "host":
            sent[name] = value
    signed = _SIGNED.search(sent.get("Authorization", ""))
    if signed is None:
        raise ValueError("the request has no signature of AWS, so it names no service")
    host = _HOSTS.get(signed[1], f"{signed[1]}.{REGION}.amazonaws.com")
    request = AWSPreparedRequest(method, f"https://{host}{path}", sent, body, stream_output=False)
    # Only services with this header may be served by something else than moto, which does not need the name.
    operation = sent.get("X-Amz-Target", "Any").rpartition(".")[2]
    answered = core_models.botocore_stubber(f"before-send.{signed[1]}.{operation}", request)
    received = {name: str(value) for name, value in answered.headers.items() if name.lower() != "content-length"}
    return answered.status_code, received, answered.content


async def _endpoint(request: Request) -> Response:
    path = request.scope["raw_path"].decode().removeprefix(ADDRESS) or "/"
    query = f"?{request.url.query}" if request.url.query else ""
    body = await request.body()
    try:
        status, headers, content = await run_in_threadpool(
            answer, request.method, path + query, request.headers.items(), body
        )
    except ValueError as error:
        return PlainTextResponse(f"{error}\n", 400)
    return Response(content, status, headers)


# Below the address of the admin API, whose own routes come first.
ROUTES = [Route(path, _endpoint, methods=_METHODS) for path in ("/aws", "/aws/{path:path}")]
