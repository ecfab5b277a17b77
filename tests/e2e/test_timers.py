"""Timers over HTTP: windows of 3 s and holds of 12 s, in place of half an hour and a day."""

import time

import pytest

from tests.e2e.conftest import StackOverHttp


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    return {"checkoutWindowSeconds": 3, "holdSeconds": 12}


def test_an_unpaid_booking_times_out_and_its_dates_are_released_when_the_hold_ends(stack: StackOverHttp) -> None:
    began = time.monotonic()
    booking = stack.reserve()
    booking.pay_now()
    booking.wait_in("AwaitRetry")
    assert booking.reservation_status == "pending"
    assert booking.nights_status == "booked"
    execution = booking.wait_for_end()
    assert time.monotonic() - began >= 11
    assert execution.visited == [
        "RecordPayment",
        "CreateCheckoutSession",
        "AwaitPayment",
        "ExpireCheckoutSessions",
        "NextStep?",
        "RecordFailedAttempt",
        "AwaitRetry",
        "HoldEnding?",
        "ExpireCheckoutSessions",
        "NextStep?",
        "ReleaseHold",
        "AnnounceRelease",
        "HoldReleased",
    ]
    assert booking.reservation_status == "expired"
    assert booking.payment["status"] == "expired"
    assert booking.nights_status == "available"
    assert [session["status"] for session in booking.sessions()] == ["expired"]
    assert booking.pay_on_page() == 410


def test_a_payment_whose_webhook_never_arrives_is_found_when_the_window_ends(stack: StackOverHttp) -> None:
    stack.admin.call("POST", "stripe/webhooks", mode="drop")
    booking = stack.reserve()
    booking.pay_now()
    assert booking.pay_on_page() == 303
    assert booking.wait_for_end().visited == [
        "RecordPayment",
        "CreateCheckoutSession",
        "AwaitPayment",
        "ExpireCheckoutSessions",
        "NextStep?",
        "ConfirmReservation",
        "AnnouncePayment",
        "PaymentConfirmed",
    ]
    assert booking.reservation_status == "confirmed"
    assert booking.nights_status == "booked"


def test_a_stopped_execution_is_aborted_at_once(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    booking.pay_now()
    assert stack.admin.call("POST", f"executions/{booking.id}/stop") == {"status": "ABORTED"}
    assert booking.execution().error == "Stopped"
