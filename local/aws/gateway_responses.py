"""The responses that API Gateway gives by itself, rendered from the templates of the OpenAPI document."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.aws.api_messages import ApiRequest, ApiResponse


@dataclass(frozen=True)
class _Default:
    """Used where the document has no value of its own; `fallback` is the type whose template applies then."""

    status: int
    fallback: str
    message: str


_DEFAULTS = {
    "UNAUTHORIZED": _Default(401, "DEFAULT_4XX", "Unauthorized"),
    "EXPIRED_TOKEN": _Default(403, "DEFAULT_4XX", "The incoming token has expired"),
    "MISSING_AUTHENTICATION_TOKEN": _Default(403, "DEFAULT_4XX", "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": _Default(413, "DEFAULT_4XX", "Request Too Long"),
    "THROTTLED": _Default(429, "DEFAULT_4XX", "Too Many Requests"),
    "INTEGRATION_FAILURE": _Default(502, "DEFAULT_5XX", "Internal server error"),
    "INTEGRATION_TIMEOUT": _Default(504, "DEFAULT_5XX", "Endpoint request timed out"),
}


def gateway_response(responses: Mapping[str, Any], response_type: str, request: ApiRequest) -> ApiResponse:
    """`responses` is the document's `x-amazon-apigateway-gateway-responses`."""
    default = _DEFAULTS[response_type]
    response = responses.get(response_type) or responses.get(default.fallback, {})
    variables = {
        "context.requestId": request.id,
        "context.extendedRequestId": request.id,
        "context.error.message": default.message,
        "context.error.messageString": json.dumps(default.message),
        "context.error.responseType": response_type,
    }
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", response_type)]
    for target, source in response.get("responseParameters", {}).items():
        if source.startswith("'"):
            value: str | None = source[1:-1]
        elif source.startswith("method.request.header."):
            value = request.header(source.removeprefix("method.request.header."))
        else:
            value = variables[source]
        if value:
            headers.append((target.removeprefix("gatewayresponse.header."), value))
    templates = response.get("responseTemplates", {})
    template = templates.get("application/json", '{"message":$context.error.messageString}')
    body = re.sub(r"\$(context(?:\.\w+)+)", lambda match: variables[match[1]], template)
    return ApiResponse(int(response.get("statusCode", default.status)), headers, body.encode())
