"""The REST API as one OpenAPI 3.0 document with API Gateway's extensions."""

import json
from collections.abc import Sequence
from typing import Any

type Json = dict[str, Any]

# Routes by function; `{id}` is a reservation id or a payment id. Powertools in the function knows the same routes.
PAYMENTS_ROUTES = {
    ("POST", "/payments/checkout-session"): "Start or continue paying for a booking",
    ("GET", "/payments/{id}/status"): "Status with attempts and refunds",
    ("POST", "/payments/{id}/retry"): "Open the next attempt",
    ("POST", "/payments/{id}/cancel"): "Give the dates of an unpaid booking back",
    ("POST", "/payments/{id}/refund"): "Cancel a paid booking and refund it by policy",
    ("POST", "/payments/{id}/attempts"): "Operators: grant one more attempt",
    ("POST", "/payments/{id}/refunds/{refund_id}/resolution"): "Operators: decide about a refund that failed",
}
WEBHOOK_ROUTE = ("POST", "/webhooks/stripe")

# What API Gateway answers by itself: type → (status or None to keep its own, error_code, message, recovery).
# Signatures are AWS's own, which no route here uses: they are missed only by calls to routes that do not exist.
_NOT_FOUND = (404, "NOT_FOUND", "There is nothing at this address.", "Check the address and the method.")
_SIGN_IN = (401, "UNAUTHENTICATED", "You are not signed in, or your sign-in has expired.", "Sign in and try again.")
_FORBIDDEN = (403, "FORBIDDEN", "You may not do this.", "Sign in as somebody who may.")
GATEWAY_ERRORS: dict[str, tuple[int | None, str, str, str]] = {
    "UNAUTHORIZED": _SIGN_IN,
    "EXPIRED_TOKEN": _SIGN_IN,
    "ACCESS_DENIED": _FORBIDDEN,
    "WAF_FILTERED": _FORBIDDEN,
    "MISSING_AUTHENTICATION_TOKEN": _NOT_FOUND,
    "INVALID_SIGNATURE": _NOT_FOUND,
    "THROTTLED": (429, "TOO_MANY_REQUESTS", "There are too many requests.", "Wait a few seconds and try again."),
    "REQUEST_TOO_LARGE": (413, "REQUEST_TOO_LARGE", "The request is too large.", "Send a smaller one."),
    "DEFAULT_4XX": (
        None,
        "INVALID_REQUEST",
        "The request cannot be understood.",
        "Check it against the documentation.",
    ),
    "DEFAULT_5XX": (None, "INTERNAL_ERROR", "Something went wrong on our side.", "Try again in a minute."),
}


def document(*, title: str, payments_uri: str, webhook_uri: str, user_pool_arn: str, origins: Sequence[str]) -> Json:
    """The document; `…_uri` are the functions' invocation addresses, `origins` the booking site's."""
    paths: dict[str, Json] = {}
    for (method, path), summary in PAYMENTS_ROUTES.items():
        secured = _operation(payments_uri, path, summary) | {"security": [{"cognito": []}]}
        preflight = _operation(payments_uri, path, "CORS preflight")  # a browser sends it without a token
        paths[path] = {method.lower(): secured, "options": preflight}
    method, path = WEBHOOK_ROUTE
    paths[path] = {method.lower(): _operation(webhook_uri, path, "Events from Stripe, proven by their signature")}

    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "1", "description": "Payments of a booking platform"},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "cognito": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "cognito_user_pools",
                    "x-amazon-apigateway-authorizer": {"type": "cognito_user_pools", "providerARNs": [user_pool_arn]},
                }
            }
        },
        "x-amazon-apigateway-gateway-responses": {
            kind: _gateway_response(*error, origins=origins) for kind, error in GATEWAY_ERRORS.items()
        },
    }


def _operation(uri: str, path: str, summary: str) -> Json:
    variables = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in variables
        ],
        "responses": {"default": {"description": "JSON; errors in one shape"}},
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": uri,
            "passthroughBehavior": "when_no_match",
        },
    }


def _gateway_response(status: int | None, code: str, message: str, recovery: str, *, origins: Sequence[str]) -> Json:
    # API Gateway can name one origin or repeat the caller's, but not choose from a list. Repeating is safe here:
    # these answers are constant and sent without credentials.
    origin = f"'{origins[0]}'" if len(origins) == 1 else "method.request.header.Origin"
    body = {"success": False, "error_code": code, "message": message, "recovery": recovery}
    response: Json = {
        "responseParameters": {
            "gatewayresponse.header.x-correlation-id": "context.requestId",
            "gatewayresponse.header.Access-Control-Allow-Origin": origin,
            "gatewayresponse.header.Access-Control-Expose-Headers": "'x-correlation-id'",
            "gatewayresponse.header.Vary": "'Origin'",
        },
        "responseTemplates": {"application/json": json.dumps(body)},
    }
    return response if status is None else response | {"statusCode": str(status)}
