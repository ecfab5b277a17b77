"""What API Gateway does by itself, with a small document."""

import asyncio
import base64
import json
import sys
import time
import types
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from moto.cognitoidp.models import cognitoidp_backends

from local.aws import archives, emulator, gateway
from local.aws.gateway import Gateway
from local.aws.jwt_authorizer import flatten
from local.aws.throttling import TokenBucket

type Handler = Callable[[Any, Any], Any]


class Stage:
    """A deployed API with an exchangeable handler, called without a server."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.handler: Handler = lambda *_: {"statusCode": 200, "body": "{}"}
        module = types.ModuleType("lambdas.gateway_test")
        module.handler = self._handle  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        boto3.client("iam").create_role(RoleName="test", AssumeRolePolicyDocument="{}")
        arn = boto3.client("lambda").create_function(
            FunctionName="gateway-test",
            Role="arn:aws:iam::123456789012:role/test",
            Handler="lambdas.gateway_test.handler",
            Runtime="python3.13",
            Code={"ZipFile": archives.WORKING_TREE},
        )["FunctionArn"]
        cognito = boto3.client("cognito-idp")
        pool_id = cognito.create_user_pool(PoolName="guests")["UserPool"]["Id"]
        self.client_id = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="site")["UserPoolClient"][
            "ClientId"
        ]
        cognito.admin_create_user(UserPoolId=pool_id, Username="guest")
        self.pool = cognitoidp_backends[emulator.ACCOUNT][emulator.REGION].user_pools[pool_id]
        self._gateway = Gateway(
            document(arn, self.pool.arn), stage="api", limits={"*/*": (1000, 1000), "slow/GET": (1, 2)}
        )

    def _handle(self, event: Any, context: Any) -> Any:
        self.events.append(event)
        return self.handler(event, context)

    def token(self, use: str = "id", *, expires_in: int = 3600, claims: dict[str, Any] | None = None) -> str:
        return str(self.pool.create_jwt(self.client_id, "guest", use, expires_in=expires_in, extra_data=claims)[0])

    def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, list[str]], str]:
        """Status, headers in lower case, body."""
        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": f"/api{unquote(route)}",
            "raw_path": f"/api{route}".encode(),
            "root_path": "/api",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("192.0.2.1", 1),
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self._gateway(scope, receive, send))
        answered: dict[str, list[str]] = {}
        for name, value in sent[0]["headers"]:
            answered.setdefault(name.decode().lower(), []).append(value.decode())
        return sent[0]["status"], answered, sent[1]["body"].decode()


def document(function_arn: str, pool_arn: str) -> dict[str, Any]:
    uri = f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{function_arn}/invocations"
    operation = {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": uri}}
    secured: dict[str, Any] = operation | {"security": [{"guests": []}]}
    return {
        "paths": {
            "/open": {"get": operation, "post": operation},
            "/slow": {"get": operation},
            "/payments/{id}/status": {"get": secured},
            "/payments/mine/status": {"get": operation},
        },
        "components": {"securitySchemes": {"guests": {"x-amazon-apigateway-authorizer": {"providerARNs": [pool_arn]}}}},
        "x-amazon-apigateway-gateway-responses": {
            "MISSING_AUTHENTICATION_TOKEN": {
                "statusCode": "404",
                "responseParameters": {
                    "gatewayresponse.header.x-correlation-id": "context.requestId",
                    "gatewayresponse.header.Access-Control-Allow-Origin": "method.request.header.Origin",
                    "gatewayresponse.header.Vary": "'Origin'",
                },
                "responseTemplates": {
                    "application/json": '{"code":"NOT_FOUND","id":"$context.requestId",'
                    '"message":$context.error.messageString}'
                },
            },
            "DEFAULT_5XX": {"responseTemplates": {"application/json": '{"code":"$context.error.responseType"}'}},
        },
    }


@pytest.fixture
def stage(aws: None) -> Stage:
    return Stage()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_function_receives_the_proxy_event(stage: Stage) -> None:
    token = stage.token(claims={"custom:customer_id": "CUST-1", "cognito:groups": ["operators", "hosts"]})
    headers = bearer(token) | {"Host": "example.com", "User-Agent": "test"}
    status, answered, _ = stage.call("GET", "/payments/RES%2D1/status?a=1&a=2&b=", headers=headers)
    (event,) = stage.events
    assert status == 200
    assert event["resource"] == "/payments/{id}/status"
    assert event["path"] == "/payments/RES%2D1/status"
    assert event["pathParameters"] == {"id": "RES-1"}
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert event["headers"]["User-Agent"] == "test"
    assert event["multiValueHeaders"]["Host"] == ["example.com"]
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    context = event["requestContext"]
    assert (context["stage"], context["path"], context["resourcePath"], context["httpMethod"]) == (
        "api",
        "/api/payments/RES%2D1/status",
        "/payments/{id}/status",
        "GET",
    )
    assert context["identity"] == {"sourceIp": "192.0.2.1", "userAgent": "test"}
    assert [context["requestId"]] == answered["x-amzn-requestid"]
    claims = context["authorizer"]["claims"]
    assert (claims["custom:customer_id"], claims["cognito:groups"]) == ("CUST-1", "operators,hosts")
    assert set(map(type, claims.values())) == {str}


def test_claims_are_all_text() -> None:
    claims = flatten({"exp": 1700000000, "auth_time": 1700000000, "email_verified": True, "groups": ["a", "b"]})
    assert claims == {
        "exp": "Tue Nov 14 22:13:20 UTC 2023",
        "auth_time": "1700000000",
        "email_verified": "true",
        "groups": "a,b",
    }


def test_a_path_without_variables_takes_precedence(stage: Stage) -> None:
    stage.call("GET", "/payments/mine/status")
    assert stage.events[0]["resource"] == "/payments/mine/status"


def test_text_stays_text_and_bytes_become_base64(stage: Stage) -> None:
    stage.call("POST", "/open", body='{"ü": 1}'.encode())
    stage.call("POST", "/open", body=b"\xff\xfe")
    assert [(event["body"], event["isBase64Encoded"]) for event in stage.events] == [
        ('{"ü": 1}', False),
        (base64.b64encode(b"\xff\xfe").decode(), True),
    ]


def test_the_result_of_the_function_becomes_the_response(stage: Stage) -> None:
    stage.handler = lambda *_: {
        "statusCode": 201,
        "headers": {"Location": "/somewhere", "Set-Cookie": "lost"},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": base64.b64encode(b"bytes").decode(),
        "isBase64Encoded": True,
    }
    status, headers, body = stage.call("GET", "/open")
    assert (status, headers["location"], headers["set-cookie"], body) == (201, ["/somewhere"], ["a=1", "b=2"], "bytes")


def test_an_undeclared_route_gets_the_gateway_response_of_the_document(stage: Stage) -> None:
    status, headers, body = stage.call("DELETE", "/open", headers={"Origin": "https://booking.example"})
    answer = json.loads(body)
    assert (status, answer["code"], answer["message"]) == (404, "NOT_FOUND", "Missing Authentication Token")
    assert headers["x-correlation-id"] == headers["x-amzn-requestid"] == [answer["id"]]
    assert (headers["access-control-allow-origin"], headers["vary"]) == (["https://booking.example"], ["Origin"])


@pytest.mark.parametrize("kind", ["missing", "nonsense", "access", "other application", "other pool", "unsigned"])
def test_only_id_tokens_of_the_pool_are_accepted(stage: Stage, kind: str) -> None:
    header, payload, _ = stage.token().split(".")
    stage.client_id, own = "other", stage.client_id
    other_application = stage.token()
    stage.client_id = own
    headers = {
        "missing": {},
        "nonsense": bearer("a.b.c"),
        "access": bearer(stage.token("access")),
        "other application": bearer(other_application),
        "other pool": bearer(
            stage.token(claims={"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_other"})
        ),
        "unsigned": bearer(f"{header}.{payload}."),
    }[kind]
    status, answered, _ = stage.call("GET", "/payments/RES-1/status", headers=headers)
    assert (status, answered["x-amzn-errortype"]) == (401, ["UNAUTHORIZED"])
    assert stage.events == []


def test_an_expired_token_has_its_own_response(stage: Stage) -> None:
    headers = bearer(stage.token(expires_in=-1))
    _, answered, _ = stage.call("GET", "/payments/RES-1/status", headers=headers)
    assert answered["x-amzn-errortype"] == ["EXPIRED_TOKEN"]


def test_a_token_without_bearer_is_accepted_as_on_aws(stage: Stage) -> None:
    status, _, _ = stage.call("GET", "/payments/RES-1/status", headers={"Authorization": stage.token()})
    assert status == 200


def test_more_than_ten_megabytes_are_refused(stage: Stage) -> None:
    size = 10 * 1024 * 1024
    assert stage.call("POST", "/open", body=b" " * size)[0] == 200
    assert stage.call("POST", "/open", body=b" " * (size + 1))[0] == 413


def test_a_method_is_throttled_by_its_own_limit(stage: Stage) -> None:
    assert [stage.call("GET", "/slow")[0] for _ in range(4)] == [200, 200, 429, 429]
    assert stage.call("GET", "/open")[0] == 200


def test_a_token_bucket_refills() -> None:
    bucket = TokenBucket(rate=50, burst=1)
    assert [bucket.take(), bucket.take()] == [True, False]
    time.sleep(0.03)
    assert bucket.take()


@pytest.mark.parametrize(
    "handler", [lambda *_: 1 / 0, lambda *_: "not a proxy response", lambda *_: {"statusCode": "200"}, lambda *_: None]
)
def test_a_function_that_fails_is_a_502_without_details(stage: Stage, handler: Handler) -> None:
    stage.handler = handler
    status, _, body = stage.call("GET", "/open")
    assert (status, body) == (502, '{"code":"INTEGRATION_FAILURE"}')


def test_a_function_that_takes_too_long_is_a_504(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TIMEOUT_SECONDS", 0.1)
    stage.handler = lambda *_: time.sleep(0.3)
    assert stage.call("GET", "/open")[0] == 504
