"""The REST API as OpenAPI 3.0: what API Gateway is given, and what clients read (`make docs`: docs/openapi.json).

Both are made of the same routes. API Gateway gets no bodies: the functions check them against the same models and
answer in the one error shape, and its importer knows only a part of OpenAPI 3.0's schemas.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from shared.contracts.http import (
    CheckoutSessionRequest,
    CheckoutSessionResponse,
    EmptyRequest,
    ErrorResponse,
    PaymentStatusResponse,
    RefundRequest,
    RefundResponse,
    ResolutionRequest,
    WebhookResponse,
)
from shared.contracts.states import Contract

type Json = dict[str, Any]

TARGET = Path(__file__).parent.parent / "docs" / "openapi.json"


@dataclass(frozen=True, kw_only=True)
class Route:
    """`answers` maps each status of success to its body; `refusals` are error codes beside those of every route."""

    summary: str
    answers: Mapping[int, type[Contract]]
    body: type[Contract] | None = None
    refusals: Sequence[str] = ()
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None


# Routes by function; `{id}` is a reservation id or a payment id. Powertools in the function knows the same routes.
_SESSION: Mapping[int, type[Contract]] = {
    200: CheckoutSessionResponse,
    201: CheckoutSessionResponse,
    202: PaymentStatusResponse,
}
_NO_SESSION = ("RESERVATION_NOT_PAYABLE", "ATTEMPTS_EXHAUSTED", "HOLD_ENDING", "STRIPE_UNAVAILABLE")
PAYMENTS_ROUTES = {
    ("POST", "/payments/checkout-session"): Route(
        summary="Start or continue paying for a booking",
        body=CheckoutSessionRequest,
        answers=_SESSION,
        refusals=_NO_SESSION,
    ),
    ("GET", "/payments/{id}/status"): Route(
        summary="Status with attempts and refunds",
        answers={200: PaymentStatusResponse},
        query={"session_id": "the Checkout session that the guest has just come back from"},
    ),
    ("POST", "/payments/{id}/retry"): Route(
        summary="Open the next attempt", body=EmptyRequest, answers=_SESSION, refusals=_NO_SESSION
    ),
    ("POST", "/payments/{id}/cancel"): Route(
        summary="Give the dates of an unpaid booking back",
        body=EmptyRequest,
        answers={200: PaymentStatusResponse, 202: PaymentStatusResponse},
        refusals=("ALREADY_PAID",),
    ),
    ("POST", "/payments/{id}/refund"): Route(
        summary="Cancel a paid booking and refund it by policy",
        body=RefundRequest,
        answers={200: RefundResponse, 202: RefundResponse},
        refusals=("REFUND_NOT_ALLOWED", "REFUND_IN_PROGRESS", "PAYMENT_DISPUTED"),
        headers={"Idempotency-Key": "needed for a goodwill refund; the same key finds the same refund"},
    ),
    ("POST", "/payments/{id}/attempts"): Route(
        summary="Operators: grant one more attempt",
        body=EmptyRequest,
        answers={200: PaymentStatusResponse},
        refusals=("RESERVATION_NOT_PAYABLE",),
    ),
    ("POST", "/payments/{id}/refunds/{refund_id}/resolution"): Route(
        summary="Operators: decide about a refund that failed",
        body=ResolutionRequest,
        answers={200: RefundResponse},
        refusals=("REFUND_IN_PROGRESS",),
    ),
}
WEBHOOK_ROUTE = ("POST", "/webhooks/stripe")
WEBHOOK_SUMMARY = "Events from Stripe, proven by their signature"

# Status by error code; those of every route, and of the webhook.
STATUSES = {
    "INVALID_REQUEST": 400,
    "RESERVATION_NOT_PAYABLE": 400,
    "REFUND_NOT_ALLOWED": 400,
    "INVALID_SIGNATURE": 400,
    "INVALID_PAYLOAD": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "ATTEMPTS_EXHAUSTED": 409,
    "HOLD_ENDING": 409,
    "REFUND_IN_PROGRESS": 409,
    "PAYMENT_DISPUTED": 409,
    "ALREADY_PAID": 409,
    "REQUEST_TOO_LARGE": 413,
    "TOO_MANY_REQUESTS": 429,
    "INTERNAL_ERROR": 500,
    "STRIPE_UNAVAILABLE": 503,
}
_EVERYWHERE = ("INVALID_REQUEST", "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "REQUEST_TOO_LARGE",
               "TOO_MANY_REQUESTS", "INTERNAL_ERROR")  # fmt: skip
_OF_THE_WEBHOOK = ("INVALID_SIGNATURE", "INVALID_PAYLOAD", "REQUEST_TOO_LARGE", "TOO_MANY_REQUESTS", "INTERNAL_ERROR")

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


# For API Gateway.


def document(*, title: str, payments_uri: str, webhook_uri: str, user_pool_arn: str, origins: Sequence[str]) -> Json:
    """The document; `…_uri` are the functions' invocation addresses, `origins` the booking site's."""
    paths: dict[str, Json] = {}
    for (method, path), route in PAYMENTS_ROUTES.items():
        secured = _operation(payments_uri, path, route.summary) | {"security": [{"cognito": []}]}
        preflight = _operation(payments_uri, path, "CORS preflight")  # a browser sends it without a token
        paths[path] = {method.lower(): secured, "options": preflight}
    method, path = WEBHOOK_ROUTE
    paths[path] = {method.lower(): _operation(webhook_uri, path, WEBHOOK_SUMMARY)}

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
    return {
        "summary": summary,
        "parameters": _variables(path),
        "responses": {"default": {"description": "JSON; errors in one shape"}},
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": uri,
            "passthroughBehavior": "when_no_match",
        },
    }


def _variables(path: str) -> list[Json]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


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


# For clients.


def published() -> Json:
    """The document for who calls the API, with every body."""
    paths: dict[str, Json] = {}
    for (method, path), route in PAYMENTS_ROUTES.items():
        parameters = [
            *_variables(path),
            *[
                {"name": name, "in": where, "description": told, "schema": {"type": "string"}}
                for where, named in (("query", route.query), ("header", route.headers))
                for name, told in (named or {}).items()
            ],
        ]
        operation: Json = {
            "summary": route.summary,
            "security": [{"cognito": []}],
            "parameters": parameters,
            "responses": _responses(route.answers, (*_EVERYWHERE, *route.refusals)),
        }
        if route.body is not None:
            required = any(field.is_required() for field in route.body.model_fields.values())
            operation["requestBody"] = {"required": required, **_content(route.body)}
        paths[path] = {method.lower(): operation}
    method, path = WEBHOOK_ROUTE
    responses = _responses({200: WebhookResponse}, _OF_THE_WEBHOOK)
    responses["503"] = responses["500"] | {"description": "`INTERNAL_ERROR`: not now, send it again"}
    paths[path] = {
        method.lower(): {
            "summary": WEBHOOK_SUMMARY,
            "parameters": [
                {"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": responses,
        }
    }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Payments of a booking platform",
            "version": "1",
            "description": "Amounts are integer euro cents, times ISO-8601 UTC. Made by `make docs`.",
        },
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/api",
                "variables": {"api": {"default": "abc123"}, "region": {"default": "eu-west-1"}},
            },
            {"url": "http://127.0.0.1:8400/api"},
        ],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "headers": {
                "x-correlation-id": {
                    "description": "is in every log line of the request",
                    "schema": {"type": "string"},
                }
            },
            "securitySchemes": {
                "cognito": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A Cognito ID token",
                }
            },
        },
    }


def _content(model: type[Contract]) -> Json:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}}


def _responses(answers: Mapping[int, type[Contract]], codes: Sequence[str]) -> Json:
    headers = {"x-correlation-id": {"$ref": "#/components/headers/x-correlation-id"}}
    said = {200: "Done", 201: "Made", 202: "Under way: look at the status"}
    responses = {
        str(status): {"description": said[status], "headers": headers, **_content(model)}
        for status, model in answers.items()
    }
    for status in sorted({STATUSES[code] for code in codes}):
        told = ", ".join(f"`{code}`" for code in codes if STATUSES[code] == status)
        responses[str(status)] = {"description": told, "headers": headers, **_content(ErrorResponse)}
    return responses


class _OpenApi30(GenerateJsonSchema):
    """JSON Schema as OpenAPI 3.0 has it: `nullable` for null, `enum` for a constant."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"]) | {"nullable": True}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        told = super().literal_schema(schema)
        return told | {"enum": [told.pop("const")]} if "const" in told else told

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def _schemas() -> Json:
    requests: list[type[Contract]] = [route.body for route in PAYMENTS_ROUTES.values() if route.body is not None]
    answers = [answer for route in PAYMENTS_ROUTES.values() for answer in route.answers.values()]
    models: list[type[Contract]] = [*requests, *answers, WebhookResponse, ErrorResponse]
    _, told = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_OpenApi30,
    )
    schemas: Json = told["$defs"]
    for name, schema in schemas.items():
        del schema["title"]
        for field, value in schema["properties"].items():
            default = value.pop("default", None)
            if name not in {model.__name__ for model in requests}:
                # Answers leave out what is None, and always have what is constant.
                value.pop("nullable", None)
                if default is not None:
                    schema.setdefault("required", []).append(field)
            elif default is not None:
                value["default"] = default
    return dict(sorted(schemas.items()))


def text() -> str:
    return json.dumps(published(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
