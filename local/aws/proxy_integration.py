"""The Lambda proxy integration of a REST API: the event made of a request, and the response made of its result."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from local.aws.api_messages import ApiRequest, ApiResponse, RequestRefusedError
from local.aws.aws_account import ACCOUNT


def proxy_event(
    request: ApiRequest,
    *,
    stage: str,
    template: str,
    variables: Mapping[str, str],
    claims: Mapping[str, str] | None,
    binary_media_types: Sequence[str],
) -> dict[str, Any]:
    """The event in payload version 1; `template` is the path as the document has it, with `variables`."""
    media_type = (request.header("Content-Type") or "").partition(";")[0].strip()
    try:
        binary = media_type in binary_media_types or "*/*" in binary_media_types
        text = None if binary else request.body.decode()
    except UnicodeDecodeError:
        text = None
    query = parse_qsl(request.query, keep_blank_values=True)
    context: dict[str, Any] = {
        "resourceId": "local",
        "resourcePath": template,
        "httpMethod": request.method,
        "extendedRequestId": request.id,
        "requestTime": datetime.fromtimestamp(request.at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(request.at * 1000),
        "path": f"/{stage}{request.path}",
        "accountId": ACCOUNT,
        "protocol": "HTTP/1.1",
        "stage": stage,
        "domainPrefix": "local",
        "domainName": request.header("Host"),
        "requestId": request.id,
        "apiId": "local",
        "identity": {"sourceIp": request.client, "userAgent": request.header("User-Agent")},
    }
    if claims is not None:
        context["authorizer"] = {"claims": claims}
    return {
        "resource": template,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers) or None,
        "multiValueHeaders": _grouped(request.headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _grouped(query),
        "pathParameters": variables or None,
        "stageVariables": None,
        "requestContext": context,
        # Text, or base64 where text cannot carry the bytes.
        "body": (base64.b64encode(request.body).decode() if text is None else text) if request.body else None,
        "isBase64Encoded": bool(request.body) and text is None,
    }


def proxy_response(result: Any) -> ApiResponse:
    """The function's result as a response. Raises RequestRefusedError if it is not a proxy response."""
    if not isinstance(result, dict) or not isinstance(result.get("statusCode"), int):
        raise RequestRefusedError("INTEGRATION_FAILURE")
    many = {name: list(map(str, values)) for name, values in (result.get("multiValueHeaders") or {}).items()}
    one = {name: [str(value)] for name, value in (result.get("headers") or {}).items() if name not in many}
    headers = [(name, value) for name, values in {**one, **many}.items() for value in values]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    return ApiResponse(result["statusCode"], headers, content)


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]] | None:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped or None
