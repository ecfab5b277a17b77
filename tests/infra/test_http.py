"""The REST API that is deployed: routes, authorization, answers of API Gateway itself, throttling and access log."""

import json
from typing import Any

import pytest

from infra.openapi import document
from infra.routes import OPERATIONS_ROUTES
from shared.domain.api_errors import ERROR_ANSWERS
from tests.harness.tables import in_table
from tests.infra.conftest import Deploy
from tests.infra.deployed import inputs
from tests.infra.worker import Seen

ROUTES = {
    ("post", "/payments/checkout-session"),
    ("get", "/payments/{id}/status"),
    ("post", "/payments/{id}/retry"),
    ("post", "/payments/{id}/cancel"),
    ("get", "/payments/{id}/refund-quote"),
    ("post", "/payments/{id}/refund"),
    ("post", "/payments/{id}/attempts"),
    ("post", "/payments/{id}/refunds/{refund_id}/resolution"),
    ("get", "/payments"),
    ("get", "/payments-by-day"),
    ("get", "/payments/{id}"),
    ("get", "/payments/{id}/executions/{name}"),
    ("post", "/payments/{id}/attention/{kind}/close"),
    ("get", "/payments-ledger"),
    ("get", "/payments-ledger/{day}"),
    ("get", "/payments-ledger/{day}/transactions"),
    ("post", "/webhooks/stripe"),
}
OPERATIONS_PATHS = {path for _, path in OPERATIONS_ROUTES}


def operations(openapi: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): of for path, methods in openapi["paths"].items() for method, of in methods.items()}


def test_routes(stack: Seen) -> None:
    found = operations(stack.deployment.openapi).keys()
    preflights = {("options", path) for _, path in ROUTES if path != "/webhooks/stripe"}
    assert found == ROUTES | preflights


@pytest.mark.defect("D-19")
def test_every_route_but_the_webhook_and_preflights_needs_a_users_token(stack: Seen) -> None:
    openapi = stack.deployment.openapi
    open_ = {key for key, operation in operations(openapi).items() if operation.get("security") != [{"cognito": []}]}
    assert {key for key in open_ if key[0] != "options"} == {("post", "/webhooks/stripe")}
    scheme = openapi["components"]["securitySchemes"]["cognito"]
    pool = stack.deployment.outputs["userPoolId"]
    assert scheme["x-amazon-apigateway-authtype"] == "cognito_user_pools"
    assert scheme["x-amazon-apigateway-authorizer"]["providerARNs"] == [
        f"arn:aws:cognito-idp:eu-west-1:123456789012:userpool/{pool}"
    ]


def test_each_route_invokes_its_function_which_api_gateway_may_do(stack: Seen) -> None:
    for (_, path), operation in operations(stack.deployment.openapi).items():
        function = "operations-api" if path in OPERATIONS_PATHS else "payments-api"
        function = "stripe-webhook" if path == "/webhooks/stripe" else function
        integration = operation["x-amazon-apigateway-integration"]
        assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
        assert f":function:booking-local-{function}:live/invocations" in integration["uri"]
    permissions = inputs(stack, "aws:lambda/permission:Permission")
    from_api = {name: of for name, of in permissions.items() if of["principal"] == "apigateway.amazonaws.com"}
    assert {of["qualifier"] for of in from_api.values()} == {"live"}
    assert {name: of["sourceArn"].partition("/")[2] for name, of in from_api.items()} == {
        "payments-api": "api/*/payments/*",
        "operations-api": "api/*/payments*",
        "stripe-webhook": "api/POST/webhooks/stripe",
    }


@in_table()
@pytest.mark.defect("D-24")
def test_answers_of_api_gateway_itself_have_the_one_error_shape(
    stack: Seen, kind: str, status: str | None, code: str
) -> None:
    response = stack.deployment.openapi["x-amazon-apigateway-gateway-responses"][kind]
    assert response.get("statusCode") == status
    body = json.loads(response["responseTemplates"]["application/json"])
    assert body.keys() == {"success", "error_code", "message", "recovery"}
    assert (body["success"], body["error_code"]) == (False, code)
    assert (code, body["message"], body["recovery"]) in {
        (error.code, error.message, error.recovery) for error in ERROR_ANSWERS
    }
    headers = response["responseParameters"]
    assert headers["gatewayresponse.header.x-correlation-id"] == "context.requestId"
    assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == "'http://localhost:8400'"


def test_with_several_front_ends_the_answers_of_api_gateway_repeat_the_origin_of_the_request() -> None:
    openapi = document(
        title="t",
        payments_uri="p",
        operations_uri="o",
        webhook_uri="w",
        user_pool_arn="u",
        origins=["https://a.example", "https://b.example"],
    )
    for response in openapi["x-amazon-apigateway-gateway-responses"].values():
        origin = response["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"]
        assert origin == "method.request.header.Origin"


@pytest.mark.defect("D-19")
def test_requests_are_throttled(deploy: Deploy, stack: Seen) -> None:
    assert stack.deployment.stage == {"name": "api", "throttling": {"rate": 1000, "burst": 2000}}
    assert deploy(throttleRate=5, throttleBurst=7).deployment.stage["throttling"] == {"rate": 5, "burst": 7}


def test_a_changed_document_is_deployed(deploy: Deploy, stack: Seen) -> None:
    def trigger(seen: Seen) -> str:
        (deployment,) = inputs(seen, "aws:apigateway/deployment:Deployment").values()
        return str(deployment["triggers"]["body"])

    assert trigger(stack) != trigger(deploy(frontendUrl="https://booking.example.com"))


def test_the_access_log_has_neither_the_query_nor_claims_except_the_users_id(stack: Seen) -> None:
    (stage,) = inputs(stack, "aws:apigateway/stage:Stage").values()
    log = json.loads(stage["accessLogSettings"]["format"])
    assert log["correlation_id"] == "$context.requestId"
    assert "querystring" not in str(log)
    assert [value for value in log.values() if "claims" in value] == ["$context.authorizer.claims.sub"]
    assert stage["accessLogSettings"]["destinationArn"].endswith(":log-group:/aws/apigateway/booking-local-payments")
    assert stage["xrayTracingEnabled"] is True
