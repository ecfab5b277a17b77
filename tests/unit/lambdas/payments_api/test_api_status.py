"""lambdas.payments_api.status: what the status of a payment says, and when reading it refreshes the payment."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters import payment_items
from shared.domain.models import Payment, Refund
from tests.harness.builders import HOUR, NOW, attempt, closed, payment, refund
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.payments_api_calls import OWN_CAPTURE, awaited, call, failed
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table

STATUS = "/payments/RES-1/status"


def test_status_of_a_booking_whose_payment_was_never_started(workflow: FakeAws) -> None:
    answer = call("GET", STATUS)
    assert (answer.status, answer.body) == (
        200,
        {
            "reservation_id": "RES-1",
            "payment_id": "PAY-RES-1",
            "status": "pending",
            "reservation_status": "pending",
            "amount": 112_500,
            "currency": "EUR",
            "has_completed_payment": False,
            "is_refunded": False,
            "refund_amount": 0,
            "refund_pending_amount": 0,
            "refund_state": "none",
            "payment_attempts": 0,
            "attempts_left": 3,
            "hold_expires_at": "2026-11-25T13:00:00.000Z",
            "can_retry": True,
            "refund_policy": [{"days": 14, "percent": 100}, {"days": 7, "percent": 50}],
            "attempts": [],
            "refunds": [],
        },
    )
    assert workflow.idle


def test_status_with_attempts_and_declines(stored: Stored, workflow: FakeAws) -> None:
    one = closed(declines={"ch_1": "lost_card", "ch_2": "lost_card"}, failure_code="lost_card", failure_message="Lost.")
    stored.payment(awaited(attempts={"1": one, "10": attempt(), "2": closed()}, current_attempt="10"))
    body = call("GET", STATUS).body
    assert [entry["number"] for entry in body["attempts"]] == [1, 2, 10]
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


@in_table()
def test_the_status_says_when_to_ask_again(stored: Stored, workflow: FakeAws, of: Payment, seconds: int | None) -> None:
    stored.payment(of)
    assert call("GET", STATUS).body.get("poll_after_seconds") == seconds


def test_the_open_session_comes_with_its_end(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(awaited())
    body = call("GET", STATUS).body
    assert (body["checkout_url"], body["expires_at"]) == (attempt().checkout_url, "2026-11-24T15:20:00.000Z")
    stored.payment(failed())
    assert not {"checkout_url", "expires_at"} & call("GET", STATUS).body.keys()


@in_table()
@pytest.mark.defect("D-14")
def test_a_refunded_payment_was_completed(
    stored: Stored, workflow: FakeAws, status: str, *, completed: bool, refunded: bool
) -> None:
    stored.payment(awaited(status=status))
    body = call("GET", STATUS).body
    assert (body["status"], body["has_completed_payment"], body["is_refunded"]) == (status, completed, refunded)


@pytest.mark.defect("D-06")
def test_the_status_has_the_amount_that_was_paid_and_not_todays_price(stored: Stored, workflow: FakeAws) -> None:
    stored.reservation(status="confirmed", total_amount=90_000)
    stored.payment(awaited(status="completed", captures=OWN_CAPTURE))
    assert call("GET", STATUS).body["amount"] == 112_500


@pytest.mark.defect("D-13")
def test_a_pending_refund_is_not_counted_as_refunded(stored: Stored, workflow: FakeAws) -> None:
    pending = refund(reason="noise", created_at=NOW)
    stored.payment(
        awaited(status="completed", captures=OWN_CAPTURE, refunds={"G1": pending}).model_copy(
            update={"refund_pending_amount": 500}
        )
    )
    body = call("GET", STATUS).body
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


@in_table()
def test_can_retry_says_whether_another_attempt_is_possible(
    stored: Stored, workflow: FakeAws, of: Payment, *, can_retry: bool
) -> None:
    stored.payment(of)
    assert call("GET", STATUS).body["can_retry"] is can_retry


@in_table()
@pytest.mark.defect("R-17")
def test_can_retry_is_true_exactly_when_a_retry_is_accepted(
    stored: Stored, workflow: FakeAws, of: Payment | None, reserved: dict[str, Any], hold: timedelta
) -> None:
    stored.reservation(created_at=(NOW + hold - 24 * HOUR - 2 * HOUR).isoformat(), **reserved)
    if of is not None:
        stored.payment(of)
    can_retry = call("GET", STATUS).body["can_retry"]
    assert (call("POST", "/payments/RES-1/retry").status < 300) is can_retry
    assert workflow.idle is not can_retry


@in_table()
@pytest.mark.defect("R-17")
def test_a_cancelled_stay_whose_refund_failed_does_not_look_paid(
    stored: Stored, workflow: FakeAws, refunds: dict[str, Refund], state: str
) -> None:
    stored.reservation(status="cancelled")
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, refunds=refunds))
    body = call("GET", STATUS).body
    assert (body["reservation_status"], body["refund_state"]) == ("cancelled", state)


def test_status_reveals_no_secret(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(awaited())
    text = json.dumps(call("GET", STATUS).body)
    assert "token" not in text
    assert "ada@guests.example" not in text


@in_table()
@pytest.mark.defect("D-32")
def test_reading_the_status_refreshes_a_payment_that_is_due(
    stored: Stored, workflow: FakeAws, of: Payment, query: dict[str, str], *, refreshes: bool
) -> None:
    """At most every 5 s, and 20 times per attempt."""
    stored.payment(of)
    assert call("GET", STATUS, query=query).status == 200
    assert [signal for _, signal in workflow.signalled] == (["refresh"] if refreshes else [])


def test_two_readers_at_once_refresh_a_payment_once(stored: Stored, workflow: FakeAws) -> None:
    of = awaited(attempts={"1": attempt(deadline=NOW)})
    stored.payment(of)
    assert payment_items.claim_refresh(of, now=NOW)
    assert not payment_items.claim_refresh(of, now=NOW)


@pytest.mark.parametrize(
    ("requested_by", "public", "seen"),
    [
        ("guest:guest-1", None, "noise"),
        ("operator:1", None, None),
        ("operator:1", True, "noise"),
        (None, None, "noise"),
    ],
)
def test_a_guest_reads_the_reason_of_an_operator_only_if_it_is_marked_public(
    stored: Stored, workflow: FakeAws, requested_by: str | None, public: Any, seen: str | None
) -> None:
    entry = refund(reason="noise", requested_by=requested_by, reason_public=public)
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={"G1": entry}))
    assert call("GET", "/payments/RES-1/status").body["refunds"][0].get("reason") == seen
