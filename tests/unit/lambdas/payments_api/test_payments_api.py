"""lambdas.payments_api.handler: who may do what, and what each situation is answered (docs/integration.md)."""

import base64
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from lambdas.payments_api import handler as payments_api
from lambdas.payments_api import polling
from shared.adapters import bookings, payment_items, step_functions
from shared.domain.errors import StoreBusy, WorkflowUnavailable
from shared.domain.models import Payment, Refund
from tests.harness.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    WINDOW,
    attempt,
    capture,
    closed,
    opening,
    paying,
    payment,
    refund,
)
from tests.harness.documented_answers import as_published
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import CONTEXT, request_id
from tests.harness.stored_tables import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

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
    ("POST", "/payments/RES-1/refund", None),
    ("POST", "/payments/RES-1/attempts", None),
    ("POST", "/payments/RES-1/refunds/REF-pi_1/resolution", {"answer": "retry"}),
]
BY_ROUTE = pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=[f"{of[0]} {of[1]}" for of in ROUTES])
OPERATORS_ONLY = ROUTES[5:]


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of an answer in the one error shape, which is checked here for every one."""
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
) -> Answer:
    """As API Gateway calls; every answer must carry its request id, be JSON, and allow the front end to read it."""
    given = request_id()
    sent = {"Origin": FRONT_END, "Content-Type": "application/json"} | (headers or {})
    answer = payments_api.handler(
        {
            "resource": path,
            "path": path,
            "httpMethod": method,
            "headers": sent,
            "multiValueHeaders": {name: [value] for name, value in sent.items()},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": query and {name: [value] for name, value in query.items()},
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "requestId": given,
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
    told = {name: ",".join(values) for name, values in answer["multiValueHeaders"].items()}
    assert told["x-correlation-id"] == given
    assert told["Access-Control-Allow-Origin"] == sent["Origin"]
    assert told["Content-Type"] == "application/json"
    as_published(method, path, answer["statusCode"], json.loads(answer["body"]))
    return Answer(answer["statusCode"], json.loads(answer["body"]), told)


class Waiting:
    """Time for those who wait: it passes while they sleep, and however slow this machine is, not otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Flow:
    """In Step Functions' place: what was started and signalled, and what becomes of the item then."""

    def __init__(self) -> None:
        self.started: list[Payment] = []
        self.signalled: list[tuple[str, str]] = []
        self.waits = True
        self.failure: Exception | None = None
        self.then: Callable[[], None] = lambda: None
        self.refunds: list[str] = []
        self.first = True
        self.described: Callable[[], None] = lambda: None

    def start_payment(self, of: Payment) -> None:
        if self.failure is not None:
            raise self.failure
        self.started.append(of)
        self.then()

    def signal(self, token: str, what: str) -> bool:
        if self.failure is not None:
            raise self.failure
        self.signalled.append((token, what))
        if self.waits:
            self.then()
        return self.waits

    def start_refund(self, name: str, _: Any) -> bool:
        """Whether it is the first of that name."""
        self.refunds.append(name)
        return self.first

    def refund_execution(self, _: str) -> step_functions.Execution:
        """Just started, and not described yet."""
        self.described()
        return step_functions.MISSING

    @property
    def idle(self) -> bool:
        return not self.started and not self.signalled


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(polling, "PATIENCE", 0.1)
    monkeypatch.setattr(polling, "FIRST_PAUSE", 0.005)
    monkeypatch.setattr(polling, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(polling, "POLL_INTERVAL", 0.005)
    monkeypatch.setattr(polling, "time", Waiting())


@pytest.fixture
def flow(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> Flow:
    """A guest's reservation, made two hours ago; nobody has pressed Pay now yet."""
    flow = Flow()
    monkeypatch.setattr(step_functions, "start_payment", flow.start_payment)
    monkeypatch.setattr(step_functions, "signal", flow.signal)
    monkeypatch.setattr(step_functions, "start_refund", flow.start_refund)
    monkeypatch.setattr(step_functions, "refund_execution", flow.refund_execution)
    stored.reservation()
    return flow


def awaited(**changes: Any) -> Payment:
    """The first session is open and handed out."""
    return paying(**({"awaiting": "payment", "task_token": "token-1", "token_sequence": 1} | changes))


def failed(count: int = 1, **changes: Any) -> Payment:
    """So many sessions have expired; the workflow waits for the next attempt."""
    of = {
        "attempts": {str(key): closed() for key in range(1, count + 1)},
        "current_attempt": str(count),
        "awaiting": "retry",
        "task_token": "token-2",
        "token_sequence": 2,
    }
    return paying(**(of | changes))


SECOND_SESSION = {
    "attempts": {"1": closed(), "2": attempt(stripe_checkout_session_id="cs_2", opened_at=NOW)},
    "current_attempt": "2",
    "token_sequence": 3,
    "task_token": "token-3",
}


# Who is asking.


@BY_ROUTE
def test_without_verified_claims_nobody_is_anybody(flow: Flow, method: str, path: str, body: Any) -> None:
    """D-17: not by a header either."""
    forged = {"Authorization": "Bearer x", "x-customer-id": "guest-1", "cognito:groups": "operators"}
    answer = call(method, path, body, claims=None, headers=forged)
    assert answer.error == (401, "UNAUTHENTICATED")
    assert flow.idle


@pytest.mark.parametrize("path", ["/payments/RES-1/status", "/payments/RES-404/status", "/payments/!/status"])
def test_who_is_asking_comes_before_what_exists(flow: Flow, path: str) -> None:
    """D-25: 401 whether the booking exists or not, and whatever its id looks like."""
    assert call("GET", path, claims=None).error == (401, "UNAUTHENTICATED")


@BY_ROUTE
def test_somebody_elses_booking_is_answered_as_one_that_does_not_exist(
    stored: Stored, flow: Flow, method: str, path: str, body: Any
) -> None:
    """D-19: to the byte."""
    stored.payment(awaited())
    claims = OPERATOR if (method, path, body) in OPERATORS_ONLY else STRANGER
    foreign = call(method, path, body, claims=STRANGER)
    unknown_body = body and {name: "RES-404" if name == "reservation_id" else of for name, of in body.items()}
    unknown = call(method, path.replace("RES-1", "RES-404"), unknown_body, claims=claims)
    assert unknown.error == (404, "NOT_FOUND")
    assert foreign.error == ((403, "FORBIDDEN") if claims is OPERATOR else (404, "NOT_FOUND"))
    assert claims is OPERATOR or foreign.body == unknown.body
    assert flow.idle
    assert "cancel_requested_at" not in stored.get("payments", "PAY-RES-1")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "guest-1"},
        {"sub": "x", "custom:customer_id": ""},
        {"sub": "x", "customer_id": "guest-1"},
        {"sub": "x", "custom:customer_id": "GUEST-1"},
        {"sub": "x", "custom:customer_id": "guest-1 "},
        {"sub": "x", "email": "ada@guests.example"},
        {"sub": "x", "cognito:groups": "operators-in-training"},
        {"sub": "x", "cognito:groups": "Operators"},
        {"sub": "x", "cognito:username": "operators"},
    ],
)
def test_only_the_configured_claim_makes_an_owner(flow: Flow, claims: dict[str, str]) -> None:
    """D-17 D-20: no e-mail address, no other claim, nothing that only resembles it."""
    assert call("GET", "/payments/RES-1/status", claims=claims).error == (404, "NOT_FOUND")


def test_a_reservation_of_nobody_belongs_to_nobody(stored: Stored, flow: Flow) -> None:
    stored.reservation(customer_id="")
    assert call("GET", "/payments/RES-1/status", claims={"sub": "x", "custom:customer_id": ""}).status == 404


@pytest.mark.parametrize("groups", ["operators", "staff,operators", "staff, operators ", "operators,operators"])
def test_operators_may_read_every_booking(flow: Flow, groups: str) -> None:
    """Cognito's groups arrive as one text."""
    answer = call("GET", "/payments/RES-1/status", claims={"sub": "x", "cognito:groups": groups})
    assert (answer.status, answer.body["reservation_id"]) == (200, "RES-1")


@pytest.mark.parametrize(("method", "path", "body"), OPERATORS_ONLY)
def test_what_only_operators_may(stored: Stored, flow: Flow, method: str, path: str, body: Any) -> None:
    stored.payment(failed())
    before = stored.get("payments", "PAY-RES-1")
    assert call(method, path, body).error == (403, "FORBIDDEN")
    assert stored.get("payments", "PAY-RES-1") == before


# What is asked for.


@pytest.mark.parametrize(
    "path", ["/", "/payments", "/payments/RES-1", "/payments/RES-1/confirm", "/payments/RES-1/status/x", "/admin"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_no_other_route_exists(flow: Flow, method: str, path: str) -> None:
    """D-15 D-24."""
    assert call(method, path).error == (404, "NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), [("GET", CHECKOUT), ("POST", "/payments/RES-1/status")])
def test_a_routes_other_methods_do_not_exist(flow: Flow, method: str, path: str) -> None:
    assert call(method, path).error == (404, "NOT_FOUND")


WRONG_BODIES = [
    ("no reservation", {}, {"reservation_id"}),
    ("an amount", ORDER | {"amount": 1}, {"amount"}),
    ("a currency", ORDER | {"currency": "USD"}, {"currency"}),
    ("somebody's customer id", ORDER | {"customer_id": "guest-2"}, {"customer_id"}),
    ("a number for an id", {"reservation_id": 1}, {"reservation_id"}),
    ("an id that is none", {"reservation_id": "RES 1"}, {"reservation_id"}),
    ("an id with a line feed", {"reservation_id": "RES-1\n"}, {"reservation_id"}),
    ("an empty id", {"reservation_id": ""}, {"reservation_id"}),
    ("an id too long", {"reservation_id": "R" * 61}, {"reservation_id"}),
    ("an empty address", ORDER | {"success_url": ""}, {"success_url"}),
    ("an address too long", ORDER | {"cancel_url": f"{FRONT_END}/{'x' * 2000}"}, {"cancel_url"}),
    ("a list for an address", ORDER | {"success_url": [FRONT_END]}, {"success_url"}),
    ("a list", [], {"body"}),
    ("a text", "RES-1", {"body"}),
    ("null", None, {"body"}),
]


@pytest.mark.parametrize(("body", "wrong"), [pytest.param(*row[1:], id=row[0]) for row in WRONG_BODIES])
def test_a_body_that_is_wrong_names_its_fields(flow: Flow, body: Any, wrong: set[str]) -> None:
    """D-06: a client cannot send an amount."""
    answer = call("POST", CHECKOUT, raw=json.dumps(body))
    assert answer.error == (400, "INVALID_REQUEST")
    assert set(answer.body["details"]) == wrong
    assert flow.idle


@pytest.mark.parametrize(
    "raw", ["{", "reservation_id=RES-1", '{"reservation_id": "RES-1"', "\ufeff{}", '{"reservation_id": "RES-1"}x']
)
def test_a_body_that_is_no_json_is_a_400(flow: Flow, raw: str) -> None:
    """D-24."""
    assert call("POST", CHECKOUT, raw=raw).error == (400, "INVALID_REQUEST")
    assert flow.idle


def test_details_do_not_repeat_what_was_sent(flow: Flow) -> None:
    answer = call("POST", CHECKOUT, ORDER | {"success_url": ["<script>"], "cancel_url": 7})
    assert "script" not in json.dumps(answer.body)


def test_a_body_in_base64(stored: Stored, flow: Flow) -> None:
    stored.payment(awaited())
    raw = base64.b64encode(json.dumps(ORDER).encode()).decode()
    assert call("POST", CHECKOUT, raw=raw, encoded=True).status == 200


@pytest.mark.parametrize("raw", ["no base64!", "YQ", base64.b64encode(b"\xff\xfe{").decode(), "é"])
def test_a_body_in_broken_base64_is_a_400(flow: Flow, raw: str) -> None:
    assert call("POST", CHECKOUT, raw=raw, encoded=True).error == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "path", ["/payments/RES-1/retry", "/payments/RES-1/cancel", "/payments/RES-1/attempts", "/payments/RES-1/refund"]
)
def test_unknown_fields_are_refused_everywhere(stored: Stored, flow: Flow, path: str) -> None:
    stored.payment(failed())
    answer = call("POST", path, {"surprise": 1}, claims=OPERATOR)
    assert answer.error == (400, "INVALID_REQUEST")
    assert set(answer.body["details"]) == {"surprise"}
    assert flow.idle


@pytest.mark.parametrize("raw", [None, "", "{}"])
@pytest.mark.parametrize("path", ["/payments/RES-1/retry", "/payments/RES-1/cancel", "/payments/RES-1/attempts"])
def test_every_other_body_is_optional(stored: Stored, flow: Flow, path: str, raw: str | None) -> None:
    """D-25."""
    stored.payment(awaited())
    assert call("POST", path, raw=raw, claims=OPERATOR).status in {200, 202}


@pytest.mark.parametrize("given", ["RES.1", "RES 1", "R" * 61, "PAY-", "~", "RES-1'", "PAY-R.1"])
@pytest.mark.parametrize("action", ["retry", "cancel", "refund"])
def test_an_id_in_the_path_that_is_none_is_a_400(flow: Flow, given: str, action: str) -> None:
    answer = call("POST", f"/payments/{given}/{action}")
    assert answer.error == (400, "INVALID_REQUEST")
    assert set(answer.body["details"]) == {"id"}


@pytest.mark.parametrize("given", ["RES-1", "PAY-RES-1"])
def test_every_route_takes_a_reservation_id_or_a_payment_id(stored: Stored, flow: Flow, given: str) -> None:
    stored.payment(awaited())
    assert call("GET", f"/payments/{given}/status").body["payment_id"] == "PAY-RES-1"
    assert call("POST", f"/payments/{given}/retry").body["payment_id"] == "PAY-RES-1"
    assert call("POST", f"/payments/{given}/attempts", claims=OPERATOR).body["payment_id"] == "PAY-RES-1"


# Where Stripe sends the guest afterwards.

OURS = [
    "https://stay.example",
    "https://stay.example/",
    "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}",
    "https://stay.example/a?b=https://evil.example#c",
    "https://stay.example?@evil.example",
    "https://stay.example#@evil.example",
    "HTTPS://STAY.EXAMPLE/a",
    "http://localhost:3000/a",
]
NOT_OURS = [
    "http://stay.example/a",
    "https://evil.example/a",
    "https://evil.example/https://stay.example",
    "https://evil.example?https://stay.example",
    "https://stay.example.evil.example",
    "https://evilstay.example",
    "https://www.stay.example",
    "https://stay.exampl",
    "https://stay.example@evil.example",
    "https://stay.example:x@evil.example",
    "https://guest@stay.example",
    "https://@stay.example",
    "https://:@stay.example",
    "https://stay.example\\@evil.example",
    "https://stay.example\\.evil.example",
    "https:\\\\stay.example",
    "https://evil.example\\stay.example",
    "https://stay.example:8443",
    "https://stay.example:443",
    "https://stay.example:0",
    "https://stay.example:99999",
    "https://stay.example:port",
    "https://stay.example./",
    "https://stay.example%2eevil.example",
    "https://stay.example%00.evil.example",
    "https://stay%2eexample",
    "https://\u0455tay.example",
    "https://stay。example",
    "https://stay.example/é",
    "https://xn--tay-5ed.example",
    "//stay.example/a",
    "/booking/success",
    "stay.example",
    "https:stay.example",
    "https:/stay.example",
    "https:///stay.example",
    "https://",
    "javascript:alert(1)",
    "javascript://stay.example/%0aalert(1)",
    "data:text/html,stay.example",
    "ftp://stay.example",
    "file://stay.example",
    "http://localhost",
    "http://localhost:3001",
    "https://localhost:3000",
    "http://127.0.0.1:3000",
    "http://localhost:3000@evil.example",
    "https://[::1]",
    "https://[stay.example]",
    "https://[stay.example",
    " https://stay.example",
    "https://stay.example/a b",
    "https://stay.example\n",
    "https://stay.example\t.evil.example",
    "ht\ntps://stay.example",
    "https://stay.example/\x00",
    "https://stay.example/\u2028",
    "https://stay.example/\x7f",
]


@pytest.mark.parametrize("url", OURS)
def test_an_address_on_a_configured_origin_is_taken(stored: Stored, flow: Flow, url: str) -> None:
    call("POST", CHECKOUT, ORDER | {"success_url": url, "cancel_url": url})
    assert [(of.success_url, of.cancel_url) for of in flow.started] == [(url, url)]


@pytest.mark.parametrize("url", NOT_OURS)
def test_an_address_anywhere_else_is_refused(flow: Flow, url: str) -> None:
    """D-18: no phishing from a real Stripe page."""
    answer = call("POST", CHECKOUT, ORDER | {"success_url": url, "cancel_url": url})
    assert answer.error == (400, "INVALID_REQUEST")
    assert set(answer.body["details"]) == {"success_url", "cancel_url"}
    assert flow.idle


@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
def test_one_address_anywhere_else_is_enough(flow: Flow, field: str) -> None:
    answer = call("POST", CHECKOUT, ORDER | {field: "https://evil.example"})
    assert set(answer.body["details"]) == {field}
    assert flow.idle


def test_without_addresses_the_first_origins_are_taken(flow: Flow) -> None:
    call("POST", CHECKOUT, ORDER)
    [started] = flow.started
    assert started.success_url == "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}"
    assert started.cancel_url == "https://stay.example/booking/cancel?reservation_id=RES-1"


# Pay now.


def test_pay_now_starts_the_workflow_and_answers_with_its_session(stored: Stored, flow: Flow) -> None:
    flow.then = lambda: stored.payment(awaited())
    answer = call("POST", CHECKOUT, ORDER)
    assert (answer.status, answer.body) == (
        201,
        {
            "payment_id": "PAY-RES-1",
            "reservation_id": "RES-1",
            "checkout_session_id": "cs_1",
            "checkout_url": "https://checkout.stripe.com/c/pay/cs_1",
            "expires_at": "2026-11-24T15:20:00.000Z",
            "amount": 112_500,
            "currency": "EUR",
            "attempt_number": 1,
            "attempts_left": 2,
            "hold_expires_at": "2026-11-25T13:00:00.000Z",
        },
    )
    [started] = flow.started
    assert (started.payment_id, started.reservation_id) == ("PAY-RES-1", "RES-1")
    assert started.hold_expires_at == NOW + 22 * HOUR
    assert flow.signalled == []


def test_pay_now_again_hands_back_the_open_session(stored: Stored, flow: Flow) -> None:
    stored.payment(awaited())
    answer = call("POST", CHECKOUT, ORDER)
    assert (answer.status, answer.body["checkout_session_id"]) == (200, "cs_1")
    assert flow.idle


def test_pay_now_after_a_failed_attempt_opens_the_next(stored: Stored, flow: Flow) -> None:
    """Whichever route it comes by."""
    for path, body in ((CHECKOUT, ORDER), ("/payments/RES-1/retry", None)):
        stored.payment(failed())
        flow.then = lambda: stored.payment(awaited(**SECOND_SESSION))
        answer = call("POST", path, body)
        assert (answer.status, answer.body["checkout_session_id"]) == (201, "cs_2")
        assert (answer.body["attempt_number"], answer.body["attempts_left"]) == (2, 1)
    assert flow.signalled == [("token-2", "retry"), ("token-2", "retry")]
    assert flow.started == []


def test_pay_now_that_is_not_ready_in_time_is_told_where_to_look(flow: Flow) -> None:
    answer = call("POST", CHECKOUT, ORDER)
    assert answer.status == 202
    assert answer.headers["Location"] == "/api/payments/RES-1/status"
    assert answer.headers["Retry-After"] == "2"
    assert (answer.body["status"], answer.body["payment_id"]) == ("pending", "PAY-RES-1")
    assert "checkout_url" not in answer.body


def test_one_call_acts_once(stored: Stored, flow: Flow) -> None:
    """However often it reads meanwhile: one start, or one signal."""
    call("POST", CHECKOUT, ORDER)
    assert len(flow.started) == 1
    stored.payment(failed())
    call("POST", "/payments/RES-1/retry")
    assert flow.signalled == [("token-2", "retry")]


def test_a_token_that_another_call_used_is_not_used_again(
    stored: Stored, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clicks at once: the slower one finds the other's session."""
    flow.waits = False
    stored.payment(failed())
    told = flow.signal

    def overtaken(token: str, what: str) -> bool:
        stored.payment(awaited(**SECOND_SESSION))
        return told(token, what)

    monkeypatch.setattr(step_functions, "signal", overtaken)
    assert call("POST", "/payments/RES-1/retry").body["checkout_session_id"] == "cs_2"
    assert flow.signalled == [("token-2", "retry")]


def test_retry_of_what_was_never_started_does_not_exist(flow: Flow) -> None:
    assert call("POST", "/payments/RES-1/retry").error == (404, "NOT_FOUND")
    assert flow.idle


def test_an_attempt_that_fails_at_stripe_is_said_so(stored: Stored, flow: Flow) -> None:
    """D-24: an outage is 503, and the hold is kept."""
    stored.payment(failed())
    flow.then = lambda: stored.payment(failed(2, token_sequence=3, task_token="token-3"))
    answer = call("POST", "/payments/RES-1/retry")
    assert answer.error == (503, "STRIPE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "10"
    assert flow.signalled == [("token-2", "retry")]


def test_the_first_attempt_that_fails_at_stripe_is_said_so(stored: Stored, flow: Flow) -> None:
    flow.then = lambda: stored.payment(failed(1, attempts={"1": opening()}))
    assert call("POST", CHECKOUT, ORDER).error == (503, "STRIPE_UNAVAILABLE")
    assert len(flow.started) == 1


@pytest.mark.parametrize("path", [CHECKOUT, "/payments/RES-1/retry"])
def test_no_attempt_is_left(stored: Stored, flow: Flow, path: str) -> None:
    """D-12: by neither route."""
    stored.payment(failed(3))
    answer = call("POST", path, ORDER if path == CHECKOUT else None)
    assert answer.error == (409, "ATTEMPTS_EXHAUSTED")
    assert "another way to pay" in answer.body["recovery"]
    assert answer.body["details"] == {"hold_expires_at": "2026-11-25T13:00:00.000Z"}
    assert flow.signalled == []


def test_an_attempt_that_operators_granted_may_be_used(stored: Stored, flow: Flow) -> None:
    stored.payment(failed(3, attempts_granted=1))
    call("POST", "/payments/RES-1/retry")
    assert flow.signalled == [("token-2", "retry")]


@pytest.mark.parametrize(("left", "ending"), [(WINDOW, False), (WINDOW - SECOND, True), (-HOUR, True)])
def test_less_than_a_window_of_hold_is_left(stored: Stored, flow: Flow, left: timedelta, *, ending: bool) -> None:
    """D-07: neither a first attempt nor another."""
    stored.reservation(created_at=(NOW + left - 24 * HOUR).isoformat())
    first = call("POST", CHECKOUT, ORDER)
    stored.payment(failed(hold_expires_at=NOW + left))
    again = call("POST", "/payments/RES-1/retry")
    assert (first.status, again.status) == ((409, 409) if ending else (202, 202))
    assert flow.idle is ending
    if ending:
        assert (first.error[1], again.error[1]) == ("HOLD_ENDING", "HOLD_ENDING")


NOT_PAYABLE: list[tuple[str, dict[str, Any], Payment | None]] = [
    ("cancelled", {"status": "cancelled"}, None),
    ("expired", {"status": "expired"}, None),
    ("confirmed elsewhere", {"status": "confirmed"}, None),
    ("over", {"status": "completed"}, None),
    ("free of charge", {"total_amount": 0}, None),
    ("below Stripe's minimum", {"total_amount": 49}, None),
    ("above Stripe's maximum", {"total_amount": 100_000_000}, None),
    ("paid", {}, awaited(status="completed")),
    ("released", {}, awaited(status="expired")),
    ("refunded", {}, awaited(status="refunded")),
    ("being cancelled", {}, awaited(cancel_requested_at=NOW)),
    ("cancelled by the platform meanwhile", {"status": "cancelled"}, awaited()),
]


@pytest.mark.parametrize(("reserved", "of"), [pytest.param(*row[1:], id=row[0]) for row in NOT_PAYABLE])
def test_what_cannot_be_paid(stored: Stored, flow: Flow, reserved: dict[str, Any], of: Payment | None) -> None:
    """D-04 D-07 D-12 D-41: and its execution's name is not used up."""
    stored.reservation(**reserved)
    if of is not None:
        stored.payment(of)
    assert call("POST", CHECKOUT, ORDER).error == (400, "RESERVATION_NOT_PAYABLE")
    assert flow.idle


@pytest.mark.parametrize(
    "changes",
    [
        {"awaiting": None, "task_token": None},
        {"attempts": {"1": attempt(deadline=NOW + MINUTE)}},
        {"attempts": {"1": attempt(deadline=NOW - MINUTE)}},
    ],
    ids=["between two states", "about to end", "ended"],
)
def test_a_session_that_is_not_to_be_handed_out(stored: Stored, flow: Flow, changes: dict[str, Any]) -> None:
    stored.payment(awaited(**changes))
    assert call("POST", CHECKOUT, ORDER).status == 202
    assert flow.idle


def test_a_session_at_the_old_price_is_closed_and_never_handed_out(stored: Stored, flow: Flow) -> None:
    """D-06: the workflow looks, and closes it."""
    stored.payment(awaited())
    stored.reservation(total_amount=90_000)
    assert "checkout_url" not in call("POST", CHECKOUT, ORDER).body
    assert flow.signalled == [("token-1", "refresh")]


# Status.


def test_status_of_a_booking_whose_payment_was_never_started(flow: Flow) -> None:
    answer = call("GET", "/payments/RES-1/status")
    assert (answer.status, answer.body) == (
        200,
        {
            "reservation_id": "RES-1",
            "payment_id": "PAY-RES-1",
            "status": "pending",
            "amount": 112_500,
            "currency": "EUR",
            "has_completed_payment": False,
            "is_refunded": False,
            "refund_amount": 0,
            "refund_pending_amount": 0,
            "payment_attempts": 0,
            "attempts_left": 3,
            "hold_expires_at": "2026-11-25T13:00:00.000Z",
            "can_retry": True,
            "attempts": [],
            "refunds": [],
        },
    )
    assert flow.idle


def test_status_with_attempts_and_declines(stored: Stored, flow: Flow) -> None:
    one = closed(declines={"ch_1": "lost_card", "ch_2": "lost_card"}, failure_code="lost_card", failure_message="Lost.")
    stored.payment(awaited(attempts={"1": one, "10": attempt(), "2": closed()}, current_attempt="10"))
    body = call("GET", "/payments/RES-1/status").body
    assert [of["number"] for of in body["attempts"]] == [1, 2, 10]
    assert body["attempts"][0] == {
        "number": 1,
        "status": "closed",
        "opened_at": "2026-11-24T14:50:00.000Z",
        "closed_at": "2026-11-24T14:59:00.000Z",
        "declines": 2,
        "failure_code": "lost_card",
        "failure_message": "Lost.",
    }
    assert body["checkout_url"] == "https://checkout.stripe.com/c/pay/cs_1"
    assert (body["payment_attempts"], body["attempts_left"], body["can_retry"]) == (3, 0, False)


@pytest.mark.parametrize(
    ("status", "completed", "refunded"),
    [
        ("pending", False, False),
        ("expired", False, False),
        ("completed", True, False),
        ("partially_refunded", True, False),
        ("refunded", True, True),
    ],
)
def test_a_refunded_payment_was_completed(
    stored: Stored, flow: Flow, status: str, *, completed: bool, refunded: bool
) -> None:
    """D-14."""
    stored.payment(awaited(status=status))
    body = call("GET", "/payments/RES-1/status").body
    assert (body["status"], body["has_completed_payment"], body["is_refunded"]) == (status, completed, refunded)


def test_status_with_refunds(stored: Stored, flow: Flow) -> None:
    """D-13: what is pending is not refunded."""
    entry = Refund.model_validate(
        {
            "kind": "goodwill",
            "payment_intent": "pi_1",
            "amount": 500,
            "status": "pending",
            "try": 1,
            "reason": "noise",
            "created_at": NOW,
        }
    )
    stored.payment(
        awaited(status="completed", captures={"pi_1": capture(role="booking")}, refunds={"G1": entry}).model_copy(
            update={"refund_pending_amount": 500}
        )
    )
    body = call("GET", "/payments/RES-1/status").body
    assert (body["refund_amount"], body["refund_pending_amount"], body["is_refunded"]) == (0, 500, False)
    assert body["refunds"] == [
        {
            "refund_id": "G1",
            "kind": "goodwill",
            "status": "pending",
            "amount": 500,
            "reason": "noise",
            "created_at": "2026-11-24T15:00:00.000Z",
        }
    ]


@pytest.mark.parametrize(
    ("of", "can"),
    [
        (failed(), True),
        (awaited(), False),
        (failed(3), False),
        (failed(hold_expires_at=NOW + WINDOW - SECOND), False),
        (failed(cancel_requested_at=NOW), False),
        (failed(status="expired"), False),
    ],
    ids=["failed once", "a session is open", "no attempt left", "hold ending", "being cancelled", "released"],
)
def test_whether_another_attempt_is_possible(stored: Stored, flow: Flow, of: Payment, *, can: bool) -> None:
    stored.payment(of)
    assert call("GET", "/payments/RES-1/status").body["can_retry"] is can


def test_status_tells_no_secret(stored: Stored, flow: Flow) -> None:
    stored.payment(awaited())
    told = json.dumps(call("GET", "/payments/RES-1/status").body)
    assert "token" not in told
    assert "ada@guests.example" not in told


DUE: list[tuple[str, Payment, dict[str, str], bool]] = [
    ("in time", awaited(), {}, False),
    ("past the session's deadline", awaited(attempts={"1": attempt(deadline=NOW)}), {}, True),
    ("past the hold", failed(hold_expires_at=NOW), {}, True),
    ("the guest comes back from Stripe", awaited(), {"session_id": "cs_1"}, True),
    ("somebody else's session", awaited(), {"session_id": "cs_2"}, False),
    ("paid", awaited(status="completed", attempts={"1": attempt(deadline=NOW)}), {"session_id": "cs_1"}, False),
    ("looked 4 s ago", awaited(attempts={"1": attempt(deadline=NOW, refreshed_at=NOW - 4 * SECOND)}), {}, False),
    ("looked 5 s ago", awaited(attempts={"1": attempt(deadline=NOW, refreshed_at=NOW - 5 * SECOND)}), {}, True),
    ("looked 20 times", awaited(attempts={"1": attempt(deadline=NOW, refreshes=20)}), {}, False),
    ("nobody waits", awaited(attempts={"1": attempt(deadline=NOW)}, task_token=None, awaiting=None), {}, False),
]


@pytest.mark.parametrize(("of", "query", "refreshes"), [pytest.param(*row[1:], id=row[0]) for row in DUE])
def test_reading_makes_the_workflow_look_when_something_is_due(
    stored: Stored, flow: Flow, of: Payment, query: dict[str, str], *, refreshes: bool
) -> None:
    """D-32: at most every 5 s, 20 times per attempt."""
    stored.payment(of)
    assert call("GET", "/payments/RES-1/status", query=query).status == 200
    assert [what for _, what in flow.signalled] == (["refresh"] if refreshes else [])


def test_two_readers_at_once_make_it_look_once(stored: Stored, flow: Flow) -> None:
    of = awaited(attempts={"1": attempt(deadline=NOW)})
    stored.payment(of)
    assert payment_items.claim_refresh(of, now=NOW)
    assert not payment_items.claim_refresh(of, now=NOW)


# Cancel.


def released(stored: Stored) -> None:
    stored.change("PAY-RES-1", status="expired")


def test_cancel_marks_the_request_and_answers_once_the_dates_are_free(stored: Stored, flow: Flow) -> None:
    stored.payment(awaited())
    flow.then = lambda: released(stored)
    answer = call("POST", "/payments/RES-1/cancel")
    assert (answer.status, answer.body["status"]) == (200, "expired")
    assert flow.signalled == [("token-1", "cancel")]
    after = stored.get("payments", "PAY-RES-1")
    assert (after["cancel_requested_at"], after["cancel_requested_by"]) == ("2026-11-24T15:00:00.000Z", "guest-1")
    assert after["attempts"]["1"]["status"] == "open"


def test_cancel_where_nothing_was_started_starts_the_execution(stored: Stored, flow: Flow) -> None:
    """D-33: it alone gives dates back."""
    flow.then = lambda: released(stored)
    answer = call("POST", "/payments/RES-1/cancel")
    assert answer.status == 200
    assert [of.payment_id for of in flow.started] == ["PAY-RES-1"]
    made = stored.get("payments", "PAY-RES-1")
    assert (made["cancel_requested_by"], made["reservation_id"]) == ("guest-1", "RES-1")
    assert made["attempts"] == made["captures"] == {}


def test_cancel_under_way_is_told_where_to_look(stored: Stored, flow: Flow) -> None:
    stored.payment(awaited())
    answer = call("POST", "/payments/RES-1/cancel")
    assert (answer.status, answer.headers["Location"]) == (202, "/api/payments/RES-1/status")
    assert flow.signalled == [("token-1", "cancel")]


def test_cancel_twice_changes_nothing_more(stored: Stored, flow: Flow, clock: Clock) -> None:
    stored.payment(awaited())
    flow.then = lambda: released(stored)
    call("POST", "/payments/RES-1/cancel")
    after = stored.get("payments", "PAY-RES-1")
    clock.advance(HOUR)
    assert call("POST", "/payments/RES-1/cancel").status == 200
    assert stored.get("payments", "PAY-RES-1") == after
    assert len(flow.signalled) == 1


def test_a_cancel_request_stays_as_it_was_first_made(stored: Stored, flow: Flow, clock: Clock) -> None:
    stored.payment(awaited())
    call("POST", "/payments/RES-1/cancel")
    clock.advance(MINUTE)
    call("POST", "/payments/RES-1/cancel", claims=OPERATOR)
    after = stored.get("payments", "PAY-RES-1")
    assert (after["cancel_requested_at"], after["cancel_requested_by"]) == ("2026-11-24T15:00:00.000Z", "guest-1")


def test_operators_may_cancel_for_a_guest(stored: Stored, flow: Flow) -> None:
    stored.payment(awaited())
    call("POST", "/payments/RES-1/cancel", claims=OPERATOR)
    assert stored.get("payments", "PAY-RES-1")["cancel_requested_by"] == "operator"


@pytest.mark.parametrize("status", ["completed", "partially_refunded", "refunded"])
def test_what_is_paid_is_not_cancelled_here(stored: Stored, flow: Flow, status: str) -> None:
    """D-14: that is a refund."""
    of = awaited(status=status, awaiting=None, task_token=None)
    stored.payment(of)
    before = stored.get("payments", "PAY-RES-1")
    assert call("POST", "/payments/RES-1/cancel").error == (409, "ALREADY_PAID")
    assert stored.get("payments", "PAY-RES-1") == before
    assert flow.idle


def test_what_is_paid_in_the_same_moment_is_not_cancelled(stored: Stored, flow: Flow) -> None:
    """The mark's own condition decides, not what was read before."""
    of = awaited()
    stored.payment(of.model_copy(update={"status": "completed"}))
    assert not payment_items.request_cancel(of, by="guest-1", now=NOW)
    assert "cancel_requested_at" not in stored.get("payments", "PAY-RES-1")


@pytest.mark.parametrize(
    ("status", "answered"), [("confirmed", 409), ("completed", 409), ("cancelled", 200), ("expired", 200)]
)
def test_cancel_of_a_reservation_that_ended_without_us(stored: Stored, flow: Flow, status: str, answered: int) -> None:
    stored.reservation(status=status)
    assert call("POST", "/payments/RES-1/cancel").status == answered
    assert stored.all("payments") == []
    assert flow.idle


def test_a_stale_read_brings_no_token_back(stored: Stored, flow: Flow) -> None:
    """The mark writes itself and nothing that was read before."""
    read = awaited()
    stored.payment(failed(task_token=None, awaiting=None))
    assert payment_items.request_cancel(read, by="guest-1", now=NOW)
    after = stored.get("payments", "PAY-RES-1")
    assert not {"task_token", "awaiting"} & after.keys()


# Operators' attempts.


def test_an_operator_grants_one_more_attempt(stored: Stored, flow: Flow) -> None:
    stored.payment(failed(3))
    answer = call("POST", "/payments/RES-1/attempts", claims=OPERATOR)
    assert (answer.status, answer.body["attempts_left"], answer.body["can_retry"]) == (200, 1, True)
    assert stored.get("payments", "PAY-RES-1")["attempts_granted"] == 1
    assert call("POST", "/payments/RES-1/attempts", claims=OPERATOR).body["attempts_left"] == 2


@pytest.mark.parametrize("status", ["completed", "expired", "refunded"])
def test_no_attempt_is_granted_to_a_payment_that_is_over(stored: Stored, flow: Flow, status: str) -> None:
    stored.payment(failed(3, status=status))
    assert call("POST", "/payments/RES-1/attempts", claims=OPERATOR).error == (400, "RESERVATION_NOT_PAYABLE")
    assert not payment_items.grant_attempt("PAY-RES-1", now=NOW)
    assert stored.get("payments", "PAY-RES-1")["attempts_granted"] == 0


def test_no_attempt_is_granted_to_a_payment_never_started(flow: Flow) -> None:
    assert call("POST", "/payments/RES-1/attempts", claims=OPERATOR).error == (404, "NOT_FOUND")


# Refunds, as far as they are refused before any workflow is asked.

OWN = {"pi_1": capture(role="booking")}


@pytest.mark.parametrize("of", [None, awaited(), awaited(status="expired")], ids=["none", "unpaid", "released"])
def test_what_was_never_paid_is_not_refunded(stored: Stored, flow: Flow, of: Payment | None) -> None:
    """D-14: and never reports a refund."""
    if of is not None:
        stored.payment(of)
    assert call("POST", "/payments/RES-1/refund").error == (400, "REFUND_NOT_ALLOWED")


@pytest.mark.parametrize("body", [{"amount": 500}, {"kind": "goodwill"}, {"amount": 500, "kind": "cancellation"}])
def test_a_guest_refunds_by_policy_only(stored: Stored, flow: Flow, body: dict[str, Any]) -> None:
    stored.payment(payment(status="completed", captures=OWN))
    assert call("POST", "/payments/RES-1/refund", body).error == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    "body", [{"amount": 0}, {"amount": -1}, {"amount": 1.5}, {"amount": "500"}, {"reason": "x" * 501}, {"kind": "gift"}]
)
def test_a_refund_is_whole_cents_of_at_least_one(stored: Stored, flow: Flow, body: dict[str, Any]) -> None:
    """D-35."""
    stored.payment(payment(status="completed", captures=OWN))
    assert call("POST", "/payments/RES-1/refund", body, claims=OPERATOR).error == (400, "INVALID_REQUEST")


def test_goodwill_needs_a_key_against_double_clicks(stored: Stored, flow: Flow) -> None:
    stored.payment(payment(status="completed", captures=OWN))
    answer = call("POST", "/payments/RES-1/refund", {"kind": "goodwill", "amount": 1}, claims=OPERATOR)
    assert answer.error == (400, "INVALID_REQUEST")
    assert set(answer.body["details"]) == {"Idempotency-Key"}


def test_it_is_too_late_for_a_refund_by_policy(stored: Stored, flow: Flow) -> None:
    stored.reservation(status="confirmed", check_in="2026-11-30", check_out="2026-12-02")
    stored.payment(payment(status="completed", captures=OWN))
    answer = call("POST", "/payments/RES-1/refund")
    assert answer.error == (400, "REFUND_NOT_ALLOWED")
    assert answer.body["details"] == {
        "check_in_date": "2026-11-30",
        "days_until_checkin": 6,
        "policy": "no_refund",
    }


def test_more_than_is_left_is_not_refunded(stored: Stored, flow: Flow) -> None:
    """D-13."""
    stored.payment(payment(status="completed", captures={"pi_1": capture(role="booking", refundable=499)}))
    answer = call("POST", "/payments/RES-1/refund", {"amount": 500}, claims=OPERATOR)
    assert answer.error == (400, "REFUND_NOT_ALLOWED")
    assert answer.body["details"] == {"refundable_amount": 499}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("entries", "answered"),
    [({}, (409, "REFUND_IN_PROGRESS")), ({"PAY-RES-1-cancellation": refund(status="succeeded")}, (200, None))],
    ids=["never", "in time"],
)
def test_a_refund_that_is_not_described_yet_is_waited_for_and_not_started_again(
    stored: Stored, flow: Flow, entries: dict[str, Refund], answered: tuple[int, str | None], *, first: bool
) -> None:
    """D-13: what was just started may be read before it can be."""
    stored.payment(payment(status="completed", captures=OWN))
    flow.first = first
    flow.described = lambda: stored.payment(payment(status="completed", captures=OWN, refunds=entries))
    answer = call("POST", "/payments/RES-1/refund")
    assert (answer.status, answer.body.get("error_code")) == answered
    assert flow.refunds == ["PAY-RES-1-cancellation"]


def test_a_refund_that_waits_for_nobody_takes_no_answer(stored: Stored, flow: Flow) -> None:
    stored.payment(payment(status="completed", captures=OWN, refunds={"G1": refund()}))
    path = "/payments/RES-1/refunds/G1/resolution"
    assert call("POST", path, {"answer": "retry"}, claims=OPERATOR).error == (409, "REFUND_IN_PROGRESS")
    assert call("POST", path, {"answer": "maybe"}, claims=OPERATOR).error == (400, "INVALID_REQUEST")
    assert call("POST", path.replace("G1", "G2"), {"answer": "retry"}, claims=OPERATOR).error == (404, "NOT_FOUND")


# What goes wrong on our side.


@pytest.mark.parametrize(
    "failure",
    [WorkflowUnavailable("ThrottlingException"), StoreBusy("ThrottlingException"), RuntimeError("whsec_4f1d2c7a")],
)
def test_our_own_failures_are_500_and_tell_nothing(flow: Flow, failure: Exception) -> None:
    """D-24: the one shape, a correlation id, and no word of what it was."""
    flow.failure = failure
    answer = call("POST", CHECKOUT, ORDER)
    assert answer.error == (500, "INTERNAL_ERROR")
    assert str(failure) not in json.dumps(answer.body)
    assert answer.headers["Retry-After"] == "5"


def test_a_booking_that_cannot_be_read_is_not_one_that_does_not_exist(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: str) -> Any:
        raise StoreBusy("keys left unprocessed")

    monkeypatch.setattr(bookings, "read_booking_items", busy)
    assert call("GET", "/payments/RES-1/status").error == (500, "INTERNAL_ERROR")


def test_every_log_line_carries_the_correlation_id_and_nothing_secret(
    stored: Stored, flow: Flow, log: io.StringIO
) -> None:
    """D-29."""
    stored.payment(awaited())
    call("POST", CHECKOUT, ORDER | {"success_url": "https://evil.example/?card=4242424242424242"})
    call("POST", "/payments/RES-1/cancel", claims=STRANGER)
    flow.failure = RuntimeError("boom")
    call("POST", "/payments/RES-1/cancel")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len(lines) >= 3
    assert all(line["correlation_id"] for line in lines)
    for secret in ("token-1", "ada@guests.example", "4242424242424242", GUEST["sub"]):
        assert secret not in log.getvalue()


def test_the_log_ties_a_request_to_the_execution_that_it_started(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    class StepFunctions:
        def start_execution(self, **_: str) -> None:
            pass

    monkeypatch.setattr(step_functions, "_client", StepFunctions)
    stored.reservation()
    answer = call("POST", CHECKOUT, ORDER)
    (line,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == "started"]
    assert (line["execution"], line["reservation_id"]) == ("RES-1", "RES-1")
    assert line["correlation_id"] == answer.headers["x-correlation-id"]


# CORS.


@pytest.mark.parametrize("origin", ["https://stay.example", "http://localhost:3000"])
def test_the_configured_front_ends_may_read_answers(flow: Flow, origin: str) -> None:
    headers = call("GET", "/payments/RES-1/status", headers={"Origin": origin}).headers
    assert headers["Access-Control-Allow-Origin"] == origin
    exposed = {name.strip() for name in headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed == {"x-correlation-id", "Location", "Retry-After"}


@pytest.mark.parametrize("origin", ["https://evil.example", "https://stay.example.evil.example", "null", ""])
def test_no_other_page_may(flow: Flow, origin: str) -> None:
    answer = payments_api.handler(
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


@pytest.mark.parametrize("path", [of[1] for of in ROUTES])
def test_a_preflight_needs_no_token(flow: Flow, path: str) -> None:
    answer = payments_api.handler(
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
    assert flow.idle
