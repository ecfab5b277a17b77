"""lambdas.payments_api.handler: which routes exist, what failures of ours are answered, and CORS."""

import io
import json
from typing import Any

import pytest

from lambdas.payments_api import handler
from shared.adapters import bookings
from shared.domain.errors import StoreBusy, WorkflowUnavailable
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.lambda_environment import CONTEXT
from tests.harness.payments_api_calls import CHECKOUT, FRONT_END, GUEST, ORDER, ROUTES, STRANGER, awaited, call
from tests.harness.stored_tables import Stored


@pytest.mark.parametrize(
    "path", ["/", "/payments", "/payments/RES-1", "/payments/RES-1/confirm", "/payments/RES-1/status/x", "/admin"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.defect("D-15", "D-24")
def test_no_other_route_exists(workflow: FakeAws, method: str, path: str) -> None:
    assert call(method, path).error == (404, "NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), [("GET", CHECKOUT), ("POST", "/payments/RES-1/status")])
def test_a_route_has_no_other_methods(workflow: FakeAws, method: str, path: str) -> None:
    assert call(method, path).error == (404, "NOT_FOUND")


# Failures of ours.


@pytest.mark.parametrize(
    "failure",
    [WorkflowUnavailable("ThrottlingException"), StoreBusy("ThrottlingException"), RuntimeError("whsec_4f1d2c7a")],
)
@pytest.mark.defect("D-24")
def test_our_own_failures_are_500_and_reveal_nothing(workflow: FakeAws, failure: Exception) -> None:
    workflow.failures = [failure]
    answer = call("POST", CHECKOUT, ORDER)
    assert answer.error == (500, "INTERNAL_ERROR")
    assert str(failure) not in json.dumps(answer.body)
    assert answer.headers["Retry-After"] == "5"


def test_a_booking_that_cannot_be_read_is_not_answered_as_one_that_does_not_exist(
    workflow: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: str) -> Any:
        raise StoreBusy("keys left unprocessed")

    monkeypatch.setattr(bookings, "read_booking_items", busy)
    assert call("GET", "/payments/RES-1/status").error == (500, "INTERNAL_ERROR")


# The log.


@pytest.mark.defect("D-29")
def test_every_log_line_has_the_correlation_id_and_no_secret(
    stored: Stored, workflow: FakeAws, log: io.StringIO
) -> None:
    stored.payment(awaited())
    call("POST", CHECKOUT, ORDER | {"success_url": "https://evil.example/?card=4242424242424242"})
    call("POST", "/payments/RES-1/cancel", claims=STRANGER)
    workflow.failures = [RuntimeError("boom")]
    call("POST", "/payments/RES-1/cancel")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len(lines) >= 3
    assert all(line["correlation_id"] for line in lines)
    for secret in ("token-1", "ada@guests.example", "4242424242424242", GUEST["sub"]):
        assert secret not in log.getvalue()


def test_the_log_connects_a_request_with_the_execution_that_it_started(workflow: FakeAws, log: io.StringIO) -> None:
    answer = call("POST", CHECKOUT, ORDER)
    (line,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == "started"]
    assert (line["execution"], line["reservation_id"]) == ("RES-1", "RES-1")
    assert line["correlation_id"] == answer.headers["x-correlation-id"]


# CORS.


@pytest.mark.parametrize("origin", ["https://stay.example", "http://localhost:3000"])
def test_the_configured_front_ends_may_read_answers(workflow: FakeAws, origin: str) -> None:
    headers = call("GET", "/payments/RES-1/status", headers={"Origin": origin}).headers
    assert headers["Access-Control-Allow-Origin"] == origin
    exposed = {name.strip() for name in headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed == {"x-correlation-id", "Location", "Retry-After"}


@pytest.mark.parametrize("origin", ["https://evil.example", "https://stay.example.evil.example", "null", ""])
def test_no_other_page_may_read_answers(workflow: FakeAws, origin: str) -> None:
    answer = handler.handler(
        {
            "path": "/payments/RES-1/status",
            "httpMethod": "GET",
            "headers": {"Origin": origin},
            "multiValueHeaders": {"Origin": [origin]},
            "requestContext": {"requestId": "1", "authorizer": {"claims": GUEST}},
            "body": None,
            "isBase64Encoded": False,
        },
        CONTEXT,
    )
    assert answer["statusCode"] == 200
    assert "Access-Control-Allow-Origin" not in answer["multiValueHeaders"]


@pytest.mark.parametrize("path", [path for _, path, _ in ROUTES])
def test_a_preflight_needs_no_token(workflow: FakeAws, path: str) -> None:
    answer = handler.handler(
        {
            "path": path,
            "httpMethod": "OPTIONS",
            "headers": {"Origin": FRONT_END, "Access-Control-Request-Method": "POST"},
            "multiValueHeaders": {"Origin": [FRONT_END], "Access-Control-Request-Method": ["POST"]},
            "requestContext": {"requestId": "1"},
            "body": None,
            "isBase64Encoded": False,
        },
        CONTEXT,
    )
    assert answer["statusCode"] == 204
    headers = {name: ",".join(values) for name, values in answer["multiValueHeaders"].items()}
    assert headers["Access-Control-Allow-Origin"] == FRONT_END
    assert {"POST", "GET"} & set(headers["Access-Control-Allow-Methods"].split(","))
    allowed = {name.strip() for name in headers["Access-Control-Allow-Headers"].split(",")}
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= allowed
    assert headers["Access-Control-Max-Age"] == "600"  # seconds, so that a front end does not ask before each request
    assert workflow.idle
