"""Time over HTTP: windows of 3 s and holds of 12 s, in place of half an hour and a day."""

import time

import pytest

from tests.e2e.conftest import Client


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    return {"checkoutWindowSeconds": 3, "holdSeconds": 12}


def test_an_unpaid_booking_goes_through_its_timeout_and_gives_its_dates_back_when_the_hold_is_over(
    client: Client,
) -> None:
    began = time.monotonic()
    booking = client.booking()
    session = booking.session()
    booking.wait_in("AwaitRetry")
    assert booking.reservation["status"] == "pending"
    assert booking.dates == {"booked"}
    execution = booking.ended()
    assert time.monotonic() - began >= 11
    assert execution["visited"] == [
        "RecordPayment",
        "CreateCheckoutSession",
        "AwaitPayment",
        "ExpireCheckoutSessions",
        "NextStep?",
        "RecordFailedAttempt",
        "AwaitRetry",
        "ExpireCheckoutSessions",
        "NextStep?",
        "ReleaseHold",
        "AnnounceRelease",
        "HoldReleased",
    ]
    assert booking.reservation["status"] == "expired"
    assert booking.payment["status"] == "expired"
    assert booking.dates == {"available"}
    fake_stripe = client.stack.fake_stripe
    with fake_stripe.current():
        assert fake_stripe.get("checkout.session", session["checkout_session_id"])["status"] == "expired"
    assert booking.pay(session) == 410


def test_a_payment_whose_webhook_never_comes_is_found_when_the_window_ends(client: Client) -> None:
    client.local("POST", "stripe/webhooks", mode="drop")
    booking = client.booking()
    assert booking.pay(booking.session()) == 303
    execution = booking.ended()
    assert execution["visited"] == [
        "RecordPayment",
        "CreateCheckoutSession",
        "AwaitPayment",
        "ExpireCheckoutSessions",
        "NextStep?",
        "ConfirmReservation",
        "AnnouncePayment",
        "PaymentConfirmed",
    ]
    assert booking.reservation["status"] == "confirmed"
    assert booking.dates == {"booked"}


def test_an_execution_that_is_stopped_is_aborted_at_once(client: Client) -> None:
    booking = client.booking()
    booking.session()
    assert client.local("POST", f"executions/{booking.id}/stop") == {"status": "ABORTED"}
    assert booking.execution["error"] == "Stopped"
