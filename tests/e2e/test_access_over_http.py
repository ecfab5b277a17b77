"""Who may call the API, what may be sent, and that every error has the same shape."""

from typing import Any

import pytest
import requests
from moto.cognitoidp.models import cognitoidp_backends

from local.aws import emulator
from tests.e2e.conftest import StackOverHttp
from tests.harness.tables import in_table

CHECKOUT = "payments/checkout-session"


def error_of(answer: requests.Response) -> tuple[int, str]:
    """Status and error code, after a check of the fields that every error has."""
    body = answer.json()
    required = {"success", "error_code", "message", "recovery"}
    assert required <= set(body) <= required | {"details"}
    assert body["success"] is False
    assert answer.headers["x-correlation-id"]
    return answer.status_code, body["error_code"]


def test_somebody_elses_booking_is_not_found_like_one_that_does_not_exist(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    theirs = stack.request("POST", CHECKOUT, stack.stranger, {"reservation_id": booking.id})
    none = stack.request("POST", CHECKOUT, stack.stranger, {"reservation_id": "RES-none"})
    assert error_of(theirs) == error_of(none) == (404, "NOT_FOUND")
    assert theirs.json() == none.json()
    status = stack.request("GET", f"payments/{booking.id}/status", stack.stranger)
    assert error_of(status) == (404, "NOT_FOUND")
    with pytest.raises(LookupError):
        booking.execution()


def user_pool(stack: StackOverHttp) -> Any:
    return cognitoidp_backends[emulator.ACCOUNT][emulator.REGION].user_pools[stack.outputs["userPoolId"]]


def expired_token(stack: StackOverHttp) -> str:
    pool = user_pool(stack)
    user = next(iter(pool.users))
    return str(pool.create_jwt(stack.outputs["userPoolClientId"], user, "id", expires_in=-10)[0])


@pytest.mark.parametrize("kind", ["none", "access", "nonsense", "tampered", "expired"])
def test_a_valid_id_token_is_required(stack: StackOverHttp, kind: str) -> None:
    booking = stack.reserve()
    header, payload, signature = booking.token.split(".")
    token = {
        "none": None,
        "access": stack.admin.token(booking.customer_id)["access_token"],
        "nonsense": "nonsense",
        "tampered": f"{header}.{payload[:-4]}AAAA.{signature}",
        "expired": expired_token(stack),
    }[kind]
    answer = stack.request("POST", CHECKOUT, token, {"reservation_id": booking.id})
    assert error_of(answer) == (401, "UNAUTHENTICATED")


def test_a_token_of_another_client_application_is_refused(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    pool = user_pool(stack)
    token, _ = pool.create_jwt("some-other-application", next(iter(pool.users)), "id")
    answer = stack.request("GET", f"payments/{booking.id}/status", token)
    assert error_of(answer) == (401, "UNAUTHENTICATED")


@in_table()
def test_unknown_fields_and_invalid_values_are_refused(stack: StackOverHttp, extra: dict[str, Any]) -> None:
    booking = stack.reserve()
    answer = stack.request("POST", CHECKOUT, booking.token, {"reservation_id": booking.id} | extra)
    assert error_of(answer) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "nothing"), ("DELETE", CHECKOUT), ("GET", "payments//status"), ("POST", "webhooks")]
)
def test_an_undeclared_route_is_not_found(stack: StackOverHttp, method: str, path: str) -> None:
    assert error_of(stack.request(method, path, stack.reserve().token)) == (404, "NOT_FOUND")


def test_a_body_that_is_not_json_or_too_large_is_refused_in_the_same_shape(stack: StackOverHttp) -> None:
    token = stack.reserve().token
    broken = stack.request("POST", CHECKOUT, token, data=b"{", headers={"Content-Type": "application/json"})
    assert error_of(broken) == (400, "INVALID_REQUEST")
    large = stack.request("POST", CHECKOUT, token, data=b" " * (10 * 1024 * 1024 + 1))
    assert error_of(large) == (413, "REQUEST_TOO_LARGE")


def test_a_browser_may_send_a_preflight_request(stack: StackOverHttp) -> None:
    origin = stack.local.deployment.environment["FRONTEND_URLS"].split(",")[0]
    answer = requests.options(
        f"{stack.url}/api/payments/checkout-session",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
        timeout=10,
    )
    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(("host", "allowed"), [("http://localhost", True), ("https://other.example", False)])
def test_only_the_browser_of_a_configured_front_end_may_call_the_admin_api(
    stack: StackOverHttp, host: str, *, allowed: bool
) -> None:
    origin = f"{host}:{stack.url.rpartition(':')[2]}"
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    asked = requests.options(f"{stack.url}/local/reservations", headers=preflight, timeout=10)
    answer = requests.get(f"{stack.url}/local/", headers={"Origin": origin}, timeout=10)
    assert (asked.status_code == 200) is allowed
    assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (200, origin if allowed else None)
