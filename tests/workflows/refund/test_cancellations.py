"""Paid stays that are cancelled: what is refunded, and what happens to the dates."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.payments_api import refund_quotes
from tests.harness.booking_driver import REFUND_PENDING
from tests.harness.running_stack import RunningStack
from tests.workflows.refund.conftest import COMPLETED, HALF, NOTHING


def pick(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names}


@pytest.mark.defect("D-14")
def test_14_days_ahead_everything_is_refunded(stack: RunningStack) -> None:
    """The stay is cancelled with it, and its dates are released."""
    booking = stack.reserve_paid()
    status, body = booking.refund(reason="a cold")

    assert status == 200
    assert pick(body, "refund_id", "amount", "status", "refund_policy", "original_amount") == {
        "refund_id": f"PAY-{booking.id}-cancellation",
        "amount": 45_001,
        "status": "succeeded",
        "refund_policy": "full_refund",
        "original_amount": 45_001,
    }
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.refund_execution().visited == COMPLETED
    assert pick(booking.status(), "status", "has_completed_payment", "is_refunded", "refund_amount") == {
        "status": "refunded",
        "has_completed_payment": True,
        "is_refunded": True,
        "refund_amount": 45_001,
    }
    assert booking.status()["refunds"][0]["reason"] == "a cold"
    (cancelled,), (completed,) = booking.published("BookingCancelled"), booking.published("RefundCompleted")
    assert (cancelled["refund_amount"], cancelled["reason"]) == (45_001, "a cold")
    assert pick(completed, "refund_id", "amount", "payment_status") == {
        "refund_id": booking.cancellation_id,
        "amount": 45_001,
        "payment_status": "refunded",
    }


def test_a_guests_reason_is_never_in_an_executions_input(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    booking.refund(reason="call me at +34 600 000 000")
    arn = stack.execution_arn(booking.cancellation_id, "refund")
    described = stack.states.describe_execution(executionArn=arn)
    assert "+34" not in described["input"]
    assert booking.entry()["reason"] == "call me at +34 600 000 000"


def test_13_to_7_days_ahead_half_is_refunded_rounded_down(stack: RunningStack) -> None:
    booking = stack.reserve_paid(HALF)
    status, body = booking.refund()
    assert (status, body["amount"], body["refund_policy"]) == (200, 22_500, "partial_refund_50")
    assert booking.ledger == ("partially_refunded", 22_500, 0, 22_501)
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")
    assert booking.refunds_at_stripe() == [("succeeded", 22_500)]


def test_less_than_7_days_ahead_nothing_is_refunded_and_nothing_changes(stack: RunningStack) -> None:
    booking = stack.reserve_paid(NOTHING)
    answer = booking.refund()
    assert answer.outcome == (400, "REFUND_NOT_ALLOWED")
    days = answer.body["details"].pop("days_until_checkin")
    assert days in NOTHING
    assert answer.body["details"] == {"check_in_date": booking.nights[0], "policy": "no_refund"}
    assert booking.ledger == ("completed", 0, 0, 45_001)
    assert (booking.reservation_status, booking.nights_status) == ("confirmed", "booked")
    assert booking.refunds_at_stripe() == []


@pytest.mark.defect("D-13")
def test_a_double_click_is_one_cancellation(stack: RunningStack) -> None:
    """The second request may find the refund of the first still pending."""
    booking = stack.reserve_paid()
    clicks = [stack.in_background(booking.refund) for _ in range(2)]
    answers = [click.result() for click in clicks]
    assert {answer.status for answer in answers} <= {200, 202}
    assert {(answer.body["refund_id"], answer.body["amount"]) for answer in answers} == {
        (booking.cancellation_id, 45_001)
    }
    booking.wait_for_refund_end()
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert list(booking.payment["refunds"]) == [booking.cancellation_id]


def test_a_repeat_on_the_next_day_returns_the_first_refund_although_the_policy_allows_less(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = stack.reserve_paid()

    def today_is(days_before: int) -> None:
        noon = datetime.combine(booking.check_in - timedelta(days=days_before), datetime.min.time()) + timedelta(
            hours=12
        )
        clock = SimpleNamespace(now=lambda zone: noon.replace(tzinfo=zone))
        monkeypatch.setattr(refund_quotes, "datetime", clock)

    today_is(14)
    first = booking.refund()
    today_is(13)
    second = booking.refund()
    assert (first.status, first.body["amount"], first.body["refund_policy"]) == (200, 45_001, "full_refund")
    assert second == first
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]


def test_a_stay_cancelled_by_the_platform_is_refunded_and_its_night_left_alone(stack: RunningStack) -> None:
    """The night may belong to another booking by now."""
    booking = stack.reserve_paid()
    booking.change_reservation(status="cancelled")
    booking.lose_night()
    assert booking.refund().status == 200
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert stack.admin.night(booking.nights[0])["reservation_id"] == "RES-of-another"
    assert booking.published("BookingCancelled") == []


def test_a_night_that_no_longer_belongs_to_the_stay_is_left_alone(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    blocked = {"date": booking.nights[0], "status": "blocked", "reservation_id": "owner"}
    stack.table("availability").put_item(Item=blocked)
    assert booking.refund().status == 200
    assert booking.reservation_status == "cancelled"
    assert stack.admin.night(booking.nights[0]) == blocked


@pytest.mark.defect("D-14")
def test_an_unpaid_booking_has_no_refund(stack: RunningStack) -> None:
    """Neither before the first session, nor while one is open, nor after the release."""
    booking = stack.reserve()
    assert booking.refund().outcome == (400, "REFUND_NOT_ALLOWED")
    booking.pay_now()
    assert booking.refund().outcome == (400, "REFUND_NOT_ALLOWED")
    assert booking.cancel().status == 200
    assert booking.refund().outcome == (400, "REFUND_NOT_ALLOWED")
    assert booking.payment["refunds"] == {}
    assert booking.status()["is_refunded"] is False


@pytest.mark.defect("D-13")
def test_a_refund_that_stays_pending_is_answered_202_and_shown_as_pending(stack: RunningStack) -> None:
    """A pending refund is not a completed one."""
    booking = stack.reserve_paid(card=REFUND_PENDING)
    status, body = booking.refund()
    assert (status, body["status"], body["amount"]) == (202, "pending", 45_001)
    booking.wait_refund_in("AwaitRefundSettlement")
    assert booking.ledger == ("completed", 0, 45_001, 0)
    assert pick(booking.status(), "status", "is_refunded", "refund_amount", "refund_pending_amount") == {
        "status": "completed",
        "is_refunded": False,
        "refund_amount": 0,
        "refund_pending_amount": 45_001,
    }
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")


def test_a_guest_who_accepts_it_cancels_without_a_refund(stack: RunningStack) -> None:
    """The dates are released, Stripe is asked for nothing, and the ledger shows a refund of nothing."""
    booking = stack.reserve_paid(NOTHING)
    status, body = booking.refund(accept_no_refund=True)
    assert (status, body["amount"], body["status"], body["refund_policy"]) == (200, 0, "succeeded", "no_refund")
    assert booking.wait_for_refund_end().visited == COMPLETED
    assert booking.ledger == ("completed", 0, 0, 45_001)
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")
    assert booking.refunds_at_stripe() == []
    assert [event["refund_amount"] for event in booking.published("BookingCancelled")] == [0]
    assert booking.refund(accept_no_refund=True) == (status, body)
    assert booking.refund_goodwill(45_001).status == 200


def test_where_the_policy_gives_something_accepting_nothing_changes_nothing(stack: RunningStack) -> None:
    booking = stack.reserve_paid(HALF)
    status, body = booking.refund(accept_no_refund=True)
    assert (status, body["amount"], body["refund_policy"]) == (200, 22_500, "partial_refund_50")


@pytest.mark.parametrize("body", [{"kind": "goodwill"}, {"amount": 100}])
def test_only_a_cancellation_by_policy_can_be_without_a_refund(stack: RunningStack, body: dict[str, Any]) -> None:
    answer = stack.call("POST", "RES-none/refund", stack.operator, {"accept_no_refund": True} | body)
    assert answer.outcome == (400, "INVALID_REQUEST")
    assert list(answer.body["details"]) == ["accept_no_refund"]


def test_the_guest_gets_what_was_agreed_when_the_first_session_was_opened(stack: RunningStack) -> None:
    """A reservation's own policy counts, not what the platform writes into it later."""
    booking = stack.reserve(days=NOTHING)
    booking.set_stored("reservations", "refund_policy", [{"days": 1, "percent": 70}])
    assert booking.status()["refund_policy"] == [{"days": 1, "percent": 70}]
    booking.pay_now()
    session = stack.stripe.get("checkout.session", booking.session)
    assert session["custom_text"]["submit"]["message"].startswith("If you cancel: 70% refund until ")
    booking.pay_to_the_end()
    booking.set_stored("reservations", "refund_policy", [])
    quote = booking.call("GET", f"{booking.id}/refund-quote").body
    assert pick(quote, "amount", "policy", "next_amount", "original_amount", "refund_policy", "terms") == {
        "amount": 31_500,
        "policy": "partial_refund_70",
        "next_amount": 0,
        "original_amount": 45_001,
        "refund_policy": [{"days": 1, "percent": 70}],
        "terms": session["custom_text"]["submit"]["message"],
    }
    status, body = booking.refund()
    assert (status, body["amount"], body["refund_policy"]) == (200, 31_500, "partial_refund_70")
    assert booking.call("GET", f"{booking.id}/refund-quote").outcome == (400, "REFUND_NOT_ALLOWED")


def test_a_reservation_whose_policy_cannot_be_read_is_refused(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.set_stored("reservations", "refund_policy", [{"days": 7, "percent": 50}, {"days": 14, "percent": 100}])
    answer = booking.pay_now_once()
    assert answer.outcome == (409, "RESERVATION_INVALID")
    assert list(answer.body["details"]) == ["refund_policy"]
    assert booking.nights_status == "booked"
