"""The REST API as OpenAPI 3.0: one document for API Gateway, one for clients (`make docs` writes docs/openapi.json).

Both are made from infra/routes.py. API Gateway gets no bodies: the functions check them against the same models and
answer in the one error shape, and its importer supports only a part of OpenAPI 3.0's schemas.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from infra.openapi_examples import EXAMPLES
from infra.routes import (
    COMMON_ERRORS,
    GATEWAY_ERRORS,
    OPERATIONS_ROUTES,
    PAYMENTS_ROUTES,
    WEBHOOK_ERRORS,
    WEBHOOK_NAME,
    WEBHOOK_ROUTE,
    WEBHOOK_SUMMARY,
)
from shared.contracts.http_bodies import ErrorResponse, RefundResponse, WebhookResponse
from shared.contracts.states import Contract
from shared.domain.api_errors import ERROR_ANSWERS, ApiError, ErrorAnswer, error_answer
from shared.domain.models import PaymentStatus

_ROUTES = {**PAYMENTS_ROUTES, **OPERATIONS_ROUTES}

type Json = dict[str, Any]

TARGET = Path(__file__).parent.parent / "docs" / "openapi.json"


# For API Gateway.


def document(
    *, title: str, payments_uri: str, operations_uri: str, webhook_uri: str, user_pool_arn: str, origins: Sequence[str]
) -> Json:
    """The document for API Gateway; `…_uri` are the functions' invocation URIs, `origins` the front ends."""
    paths: dict[str, Json] = {}
    for uri, routes in ((payments_uri, PAYMENTS_ROUTES), (operations_uri, OPERATIONS_ROUTES)):
        for (method, path), route in routes.items():
            secured = _operation(uri, path, route.summary) | {"security": [{"cognito": []}]}
            preflight = _operation(uri, path, "CORS preflight")  # a browser sends it without a token
            paths[path] = {method.lower(): secured, "options": preflight}
    method, path = WEBHOOK_ROUTE
    paths[path] = {method.lower(): _operation(webhook_uri, path, WEBHOOK_SUMMARY)}

    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "1", "description": "Payments for a booking platform"},
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
            kind: _gateway_response(kind, error, origins) for kind, error in GATEWAY_ERRORS.items()
        },
    }


def _operation(uri: str, path: str, summary: str) -> Json:
    return {
        "summary": summary,
        "parameters": _variables(path),
        "responses": {"default": {"description": "JSON; every error has the same shape"}},
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


def _gateway_response(kind: str, error: ErrorAnswer, origins: Sequence[str]) -> Json:
    # API Gateway can name one origin or repeat the caller's, but not choose from a list. Repeating is safe here:
    # these answers are constant and sent without credentials.
    origin = f"'{origins[0]}'" if len(origins) == 1 else "method.request.header.Origin"
    body = {"success": False, "error_code": error.code, "message": error.message, "recovery": error.recovery}
    response: Json = {
        "responseParameters": {
            "gatewayresponse.header.x-correlation-id": "context.requestId",
            "gatewayresponse.header.Access-Control-Allow-Origin": origin,
            "gatewayresponse.header.Access-Control-Expose-Headers": "'x-correlation-id'",
            "gatewayresponse.header.Vary": "'Origin'",
        },
        "responseTemplates": {"application/json": json.dumps(body)},
    }
    return response if kind.startswith("DEFAULT_") else response | {"statusCode": str(error.status)}


# For clients.


def published() -> Json:
    """The document for clients, with every body."""
    paths: dict[str, Json] = {}
    for (method, path), route in _ROUTES.items():
        parameters = [
            *_variables(path),
            *[
                {"name": name, "in": place, "description": description, "schema": _PARAMETERS.get(name, _TEXT)}
                for place, descriptions in (("query", route.query), ("header", route.headers))
                for name, description in (descriptions or {}).items()
            ],
        ]
        operation: Json = {
            "operationId": route.name,
            "summary": route.summary,
            "security": [{"cognito": []}],
            "parameters": parameters,
            "responses": _responses(route.answers, [error_answer(code) for code in (*COMMON_ERRORS, *route.errors)]),
        }
        if route.body is not None:
            required = any(field.is_required() for field in route.body.model_fields.values())
            operation["requestBody"] = {"required": required, **_content(route.body)}
        paths[path] = {method.lower(): operation}
    method, path = WEBHOOK_ROUTE
    paths[path] = {
        method.lower(): {
            "operationId": WEBHOOK_NAME,
            "summary": WEBHOOK_SUMMARY,
            "parameters": [
                {"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": _responses({200: WebhookResponse}, WEBHOOK_ERRORS),
        }
    }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Payments for a booking platform",
            "version": "1",
            "description": "Amounts are integers in euro cents, times are ISO 8601 in UTC. Generated by `make docs`.",
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
                    "description": "The id of the request, which is in every log line about it",
                    "schema": {"type": "string"},
                },
                "Location": {"description": "Where the status is read", "schema": {"type": "string"}},
                "Retry-After": {"description": "Seconds until it is worth trying again", "schema": {"type": "integer"}},
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


_ACCEPTED, _POLLED = 202, ("Location", "Retry-After")
_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_PARAMETERS: Mapping[str, Json] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
    "days": {"type": "integer", "minimum": 1, "maximum": 31, "default": 14},
    "attention": {"type": "string", "enum": ["true"]},
    "status": {"type": "string", "enum": list(get_args(PaymentStatus))},
    "created_from": _TIME,
    "created_to": _TIME,
}
_TIMES = {"at", "since", "deadline", "due_by"}
_DATES = {"check_in", "check_out", "day"}


def _content(model: type[Contract]) -> Json:
    media: Json = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if model.__name__ in EXAMPLES:
        media["example"] = EXAMPLES[model.__name__]
    return {"content": {"application/json": media}}


def _responses(answers: Mapping[int, type[Contract]], errors: Sequence[ErrorAnswer]) -> Json:
    descriptions = {200: "Done", 201: "Created", 202: "In progress: check the status"}
    responses = {
        str(status): {
            "description": descriptions[status],
            "headers": _headers(
                *(() if status != _ACCEPTED or model is RefundResponse else ("Location", "Retry-After"))
            ),
            **_content(model),
        }
        for status, model in answers.items()
    }
    for status in sorted({error.status for error in errors}):
        of_status = [error for error in errors if error.status == status]
        content = _content(ErrorResponse)
        content["content"]["application/json"]["examples"] = {
            error.code: {"value": ErrorResponse.of(ApiError(error.code, error.reason)).model_dump(exclude_none=True)}
            for error in of_status
        }
        responses[str(status)] = {
            "description": "\n".join(f"`{error.code}`: {error.message}" for error in of_status),
            "headers": _headers(*(["Retry-After"] if any(error.retry_after for error in of_status) else [])),
            **content,
        }
    return responses


def _headers(*more: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("x-correlation-id", *more)}


class _OpenApi30(GenerateJsonSchema):
    """JSON Schema in the dialect of OpenAPI 3.0: `nullable` for null, `enum` for a constant."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"]) | {"nullable": True}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        literal = super().literal_schema(schema)
        return literal | {"enum": [literal.pop("const")]} if "const" in literal else literal

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def _schemas() -> Json:
    requests: list[type[Contract]] = [route.body for route in _ROUTES.values() if route.body is not None]
    answers = [answer for route in _ROUTES.values() for answer in route.answers.values()]
    models: list[type[Contract]] = [*requests, *answers, WebhookResponse, ErrorResponse]
    _, generated = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_OpenApi30,
    )
    schemas: Json = generated["$defs"]
    for name, schema in schemas.items():
        del schema["title"]
        for field, value in schema["properties"].items():
            if value.get("type") == "string" and (field.endswith("_at") or field in _TIMES | _DATES):
                value["format"] = "date" if field in _DATES else "date-time"
            default = value.pop("default", None)
            if name not in {model.__name__ for model in requests}:
                # Answers leave out fields that are None, and always include constants.
                value.pop("nullable", None)
                if default is not None:
                    schema.setdefault("required", []).append(field)
            elif default is not None:
                value["default"] = default
    schemas["ErrorResponse"]["properties"]["error_code"]["enum"] = sorted({error.code for error in ERROR_ANSWERS})
    return dict(sorted(schemas.items()))


def text() -> str:
    return json.dumps(published(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
