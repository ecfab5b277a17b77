"""Calls of the payments API as API Gateway makes them, and the payments that its tests start from."""

import json
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from lambdas.payments_api import handler
from shared.domain.models import Payment
from tests.harness.builders import NOW, attempt, capture, closed, paying
from tests.harness.documented_answers import as_published
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.lambda_environment import CONTEXT, request_id
from tests.harness.stored_tables import Stored

GUEST = {"sub": "00000000-0000-4000-8000-000000000001", "custom:customer_id": "guest-1", "token_use": "id"}
STRANGER = GUEST | {"custom:customer_id": "guest-2"}
OPERATOR = {"sub": "00000000-0000-4000-8000-000000000002", "cognito:groups": "staff, operators"}
FRONT_END = "https://stay.example"

CHECKOUT = "/payments/checkout-session"
ORDER = {"reservation_id": "RES-1"}
ROUTES = [
    ("POST", CHECKOUT, ORDER),
    ("GET", "/payments/RES-1/status", None),
    ("POST", "/payments/RES-1/retry", None),
    ("POST", "/payments/RES-1/cancel", None),
    ("GET", "/payments/RES-1/refund-quote", None),
    ("POST", "/payments/RES-1/refund", None),
    ("POST", "/payments/RES-1/attempts", None),
    ("POST", "/payments/RES-1/refunds/REF-pi_1/resolution", {"answer": "retry"}),
]
BY_ROUTE = pytest.mark.parametrize(
    ("method", "path", "body"), ROUTES, ids=[f"{method} {path}" for method, path, _ in ROUTES]
)
OPERATORS_ONLY = ROUTES[6:]


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def error(self) -> tuple[int, str]:
        """The status and code of an error, whose shape is checked."""
        assert self.body["success"] is False
        assert {"success", "error_code", "message", "recovery"} <= self.body.keys()
        assert self.body.keys() <= {"success", "error_code", "message", "recovery", "details"}
        assert self.body["message"].endswith(".")
        assert self.body["recovery"].endswith(".")
        return self.status, self.body["error_code"]


def call(
    method: str,
    path: str,
    body: Any = None,
    *,
    claims: dict[str, str] | None = GUEST,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    raw: str | None = None,
    encoded: bool = False,
    function: ModuleType = handler,
) -> Answer:
    """Send a request to a function; the answer must carry its id, be as documented, and let the front end read it."""
    correlation_id = request_id()
    sent = {"Origin": FRONT_END, "Content-Type": "application/json"} | (headers or {})
    answer = function.handler(
        {
            "resource": path,
            "path": path,
            "httpMethod": method,
            "headers": sent,
            "multiValueHeaders": {name: [value] for name, value in sent.items()},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "requestId": correlation_id,
                "stage": "api",
                "path": f"/api{path}",
                "httpMethod": method,
                **({} if claims is None else {"authorizer": {"claims": claims}}),
            },
            "body": raw if raw is not None else None if body is None else json.dumps(body),
            "isBase64Encoded": encoded,
        },
        CONTEXT,
    )
    received = {name: ",".join(values) for name, values in answer["multiValueHeaders"].items()}
    assert received["x-correlation-id"] == correlation_id
    assert received["Access-Control-Allow-Origin"] == sent["Origin"]
    assert received["Content-Type"] == "application/json"
    as_published(method, path, answer["statusCode"], json.loads(answer["body"]))
    return Answer(answer["statusCode"], json.loads(answer["body"]), received)


class SleepingTime:
    """In place of the module `time`: time passes while somebody sleeps, and not otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def awaited(**changes: Any) -> Payment:
    """The first session is open, and its URL is published."""
    return paying(**({"awaiting": "payment", "task_token": "token-1", "token_sequence": 1} | changes))


def failed(count: int = 1, **changes: Any) -> Payment:
    """So many sessions have expired; the workflow waits for the next attempt."""
    fields = {
        "attempts": {str(key): closed() for key in range(1, count + 1)},
        "current_attempt": str(count),
        "awaiting": "retry",
        "task_token": "token-2",
        "token_sequence": 2,
    }
    return paying(**(fields | changes))


SECOND_SESSION = {
    "attempts": {"1": closed(), "2": attempt(stripe_checkout_session_id="cs_2", opened_at=NOW)},
    "current_attempt": "2",
    "token_sequence": 3,
    "task_token": "token-3",
}
OWN_CAPTURE = {"pi_1": capture(role="booking")}


def check_request(
    stored: Stored,
    workflow: FakeAws,
    *,
    path: str,
    status: int,
    of: Payment | None = None,
    reserved: Mapping[str, Any] | None = None,
    operator: bool = False,
    then: Payment | None = None,
    error: str | None = None,
    answer: Mapping[str, Any] | None = None,
    headers: Mapping[str, str | None] | None = None,
    payment: Mapping[str, Any] | None = None,
    started: Sequence[str] = (),
    signalled: Sequence[tuple[str, str]] = (),
) -> None:
    """Post a request about a booking in a situation, and compare all that follows.

    `then`: the payment that the workflow stores once it is started or signalled. `answer`, `headers` and `payment`:
    what those contain, where None means that it is missing. Without any of these effects the payment is unchanged.
    """
    stored.reservation(**(reserved or {}))
    if of is not None:
        stored.payment(of)
    if then is not None:
        workflow.on_start = workflow.on_signal = lambda: stored.payment(then)
    before = stored.all("payments")
    got = call("POST", path, ORDER if path == CHECKOUT else None, claims=OPERATOR if operator else GUEST)
    assert (got.status, got.body.get("error_code")) == (status, error)
    assert error is None or got.error == (status, error)
    assert {name: got.body.get(name) for name in answer or {}} == (answer or {})
    assert {name: got.headers.get(name) for name in headers or {}} == (headers or {})
    assert (workflow.started_names, workflow.signalled) == ([*started], [*signalled])
    item = stored.get("payments", "PAY-RES-1")
    assert {name: item.get(name) for name in payment or {}} == (payment or {})
    assert payment or then or stored.all("payments") == before
