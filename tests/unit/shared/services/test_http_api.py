"""shared.services.http_api: who may do what, and which requests are accepted."""

import base64
import json
from typing import Any

import pytest

from tests.harness.fake_aws_clients import FakeAws
from tests.harness.payments_api_calls import (
    BY_ROUTE,
    CHECKOUT,
    OPERATOR,
    OPERATORS_ONLY,
    ORDER,
    STRANGER,
    awaited,
    call,
    failed,
)
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table

pytestmark = pytest.mark.usefixtures("quick")

# The caller.


@BY_ROUTE
@pytest.mark.defect("D-17")
def test_a_caller_without_verified_claims_is_not_signed_in(
    workflow: FakeAws, method: str, path: str, body: Any
) -> None:
    """Headers do not make a caller either."""
    forged = {"Authorization": "Bearer x", "x-customer-id": "guest-1", "cognito:groups": "operators"}
    answer = call(method, path, body, claims=None, headers=forged)
    assert answer.error == (401, "UNAUTHENTICATED")
    assert workflow.idle


@pytest.mark.parametrize("path", ["/payments/RES-1/status", "/payments/RES-404/status", "/payments/!/status"])
@pytest.mark.defect("D-25")
def test_the_caller_is_checked_before_the_booking(workflow: FakeAws, path: str) -> None:
    """401 whether the booking exists or not, and even if its id is invalid."""
    assert call("GET", path, claims=None).error == (401, "UNAUTHENTICATED")


@BY_ROUTE
@pytest.mark.defect("D-19")
def test_somebody_elses_booking_gets_the_same_answer_as_one_that_does_not_exist(
    stored: Stored, workflow: FakeAws, method: str, path: str, body: Any
) -> None:
    stored.payment(awaited())
    claims = OPERATOR if (method, path, body) in OPERATORS_ONLY else STRANGER
    foreign = call(method, path, body, claims=STRANGER)
    unknown_body = body and {name: "RES-404" if name == "reservation_id" else value for name, value in body.items()}
    unknown = call(method, path.replace("RES-1", "RES-404"), unknown_body, claims=claims)
    assert unknown.error == (404, "NOT_FOUND")
    assert foreign.error == ((403, "FORBIDDEN") if claims is OPERATOR else (404, "NOT_FOUND"))
    assert claims is OPERATOR or foreign.body == unknown.body
    assert workflow.idle
    assert "cancel_requested_at" not in stored.get("payments", "PAY-RES-1")


@in_table()
@pytest.mark.defect("D-17", "D-20")
def test_only_the_configured_claim_makes_an_owner(workflow: FakeAws, claims: dict[str, str]) -> None:
    """Neither an e-mail address nor another claim does, nor a value that only resembles the right one."""
    assert call("GET", "/payments/RES-1/status", claims=claims).error == (404, "NOT_FOUND")


def test_a_reservation_without_a_customer_belongs_to_nobody(stored: Stored, workflow: FakeAws) -> None:
    stored.reservation(customer_id="")
    assert call("GET", "/payments/RES-1/status", claims={"sub": "x", "custom:customer_id": ""}).status == 404


@pytest.mark.parametrize("groups", ["operators", "staff,operators", "staff, operators ", "operators,operators"])
def test_operators_may_read_every_booking(workflow: FakeAws, groups: str) -> None:
    """Cognito sends all groups as one text."""
    answer = call("GET", "/payments/RES-1/status", claims={"sub": "x", "cognito:groups": groups})
    assert (answer.status, answer.body["reservation_id"]) == (200, "RES-1")


@pytest.mark.parametrize(("method", "path", "body"), OPERATORS_ONLY)
def test_guests_may_not_call_the_routes_of_operators(
    stored: Stored, workflow: FakeAws, method: str, path: str, body: Any
) -> None:
    stored.payment(failed())
    before = stored.get("payments", "PAY-RES-1")
    assert call(method, path, body).error == (403, "FORBIDDEN")
    assert stored.get("payments", "PAY-RES-1") == before


@BY_ROUTE
@pytest.mark.defect("R-13")
def test_a_reservation_that_cannot_be_read_is_refused_before_anything_changes(
    stored: Stored, workflow: FakeAws, method: str, path: str, body: Any
) -> None:
    stored.reservation(check_in="2026-12-19T23:00:00.000Z")
    before = [stored.get("reservations", "RES-1"), *stored.all("availability")]
    answer = call(method, path, body, claims=OPERATOR)
    assert answer.error == (409, "RESERVATION_INVALID")
    assert answer.body["details"] == {"check_in": "Must be a date, YYYY-MM-DD."}
    assert call("GET", "/payments/RES-1/status").error == (409, "RESERVATION_INVALID")
    assert call("GET", "/payments/RES-1/status", claims=STRANGER).error == (404, "NOT_FOUND")
    assert workflow.idle
    assert [stored.get("reservations", "RES-1"), *stored.all("availability")] == before


# The body.


@in_table()
@pytest.mark.defect("D-06")
def test_an_invalid_body_is_answered_with_its_fields(workflow: FakeAws, body: Any, invalid: dict[str, str]) -> None:
    """Among them an amount, which a client cannot send."""
    answer = call("POST", CHECKOUT, raw=json.dumps(body))
    assert answer.error == (400, "INVALID_REQUEST")
    assert answer.body["details"] == invalid
    assert workflow.idle


@pytest.mark.parametrize(
    "raw", ["{", "reservation_id=RES-1", '{"reservation_id": "RES-1"', "\ufeff{}", '{"reservation_id": "RES-1"}x']
)
@pytest.mark.defect("D-24")
def test_a_body_that_is_not_json_is_a_400(workflow: FakeAws, raw: str) -> None:
    answer = call("POST", CHECKOUT, raw=raw)
    assert answer.error == (400, "INVALID_REQUEST")
    assert answer.body["details"] == {"body": "The body is not valid JSON."}
    assert workflow.idle


def test_details_do_not_repeat_what_was_sent(workflow: FakeAws) -> None:
    answer = call("POST", CHECKOUT, ORDER | {"success_url": ["<script>"], "cancel_url": 7})
    assert "script" not in json.dumps(answer.body)


def test_a_body_in_base64_is_decoded(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(awaited())
    raw = base64.b64encode(json.dumps(ORDER).encode()).decode()
    assert call("POST", CHECKOUT, raw=raw, encoded=True).status == 200


@pytest.mark.parametrize("raw", ["no base64!", "YQ", base64.b64encode(b"\xff\xfe{").decode(), "é"])
def test_a_body_in_broken_base64_is_a_400(workflow: FakeAws, raw: str) -> None:
    assert call("POST", CHECKOUT, raw=raw, encoded=True).error == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "path", ["/payments/RES-1/retry", "/payments/RES-1/cancel", "/payments/RES-1/attempts", "/payments/RES-1/refund"]
)
def test_every_route_refuses_unknown_fields(stored: Stored, workflow: FakeAws, path: str) -> None:
    stored.payment(failed())
    answer = call("POST", path, {"surprise": 1}, claims=OPERATOR)
    assert answer.error == (400, "INVALID_REQUEST")
    assert set(answer.body["details"]) == {"surprise"}
    assert workflow.idle


@pytest.mark.parametrize("raw", [None, "", "{}"])
@pytest.mark.parametrize("path", ["/payments/RES-1/retry", "/payments/RES-1/cancel", "/payments/RES-1/attempts"])
@pytest.mark.defect("D-25")
def test_a_body_without_required_fields_is_optional(
    stored: Stored, workflow: FakeAws, path: str, raw: str | None
) -> None:
    stored.payment(awaited())
    assert call("POST", path, raw=raw, claims=OPERATOR).status in {200, 202}


# The id in the path.


@pytest.mark.parametrize("given", ["RES.1", "RES 1", "R" * 61, "PAY-", "~", "RES-1'", "PAY-R.1"])
@pytest.mark.parametrize("action", ["retry", "cancel", "refund"])
def test_an_invalid_id_in_the_path_is_a_400(workflow: FakeAws, given: str, action: str) -> None:
    answer = call("POST", f"/payments/{given}/{action}")
    assert answer.error == (400, "INVALID_REQUEST")
    assert answer.body["details"] == {"id": "Must be a reservation id or a payment id."}


@pytest.mark.parametrize("given", ["RES-1", "PAY-RES-1"])
def test_every_route_takes_a_reservation_id_or_a_payment_id(stored: Stored, workflow: FakeAws, given: str) -> None:
    stored.payment(awaited())
    assert call("GET", f"/payments/{given}/status").body["payment_id"] == "PAY-RES-1"
    assert call("POST", f"/payments/{given}/retry").body["payment_id"] == "PAY-RES-1"
    assert call("POST", f"/payments/{given}/attempts", claims=OPERATOR).body["payment_id"] == "PAY-RES-1"
