"""Stopped executions, unpaid holds and missing webhooks: the reconciler over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.conftest import StackOverHttp
from tests.harness.booking_driver import BookingDriver
from tests.harness.waiting import wait_until


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    return {"checkoutWindowSeconds": 6, "holdSeconds": 14}


def test_a_stopped_execution_is_replaced_and_the_same_session_is_paid(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    session = booking.pay_now().body
    stack.admin.stop_execution(booking.id)
    booking.wait_in("AwaitPayment", restart=1)
    again = booking.pay_now_once()
    assert (again.status, again.body["checkout_url"]) == (200, session["checkout_url"])
    assert booking.pay_on_page() == 303
    wait_until(lambda: booking.reservation_status == "confirmed", "the confirmation")
    shown = stack.admin.call("GET", f"executions/{booking.id}")
    assert shown["status"] == "ABORTED"
    assert shown["replacement"]["name"] == f"{booking.payment_id}-r1"
    assert shown["replacement"]["visited"][:2] == ["RecordPayment", "VerifyPayment"]
    (message,) = stack.notifications(booking.id)
    assert message.startswith(f"ExecutionDied: {booking.id} of arn:aws:states:")
    assert "is ABORTED" in message
    arn = f"arn:aws:states:eu-west-1:123456789012:execution:booking-local-payment:{booking.id}"
    assert message.endswith(f"details/{arn}")


@pytest.mark.defect("R-15")
def test_reservations_whose_ids_look_like_restarts_do_not_block_each_other(stack: StackOverHttp) -> None:
    """X and X-r1 are two reservations; the execution of X is replaced while that of X-r1 runs."""
    booking = stack.reserve()
    revision = BookingDriver(stack, stack.admin.call("POST", "reservations", reservation_id=f"{booking.id}-r1"))
    assert [booking.pay_now().status, revision.pay_now().status] == [201, 201]
    stack.admin.stop_execution(booking.id)
    booking.wait_in("AwaitPayment", restart=1)
    assert [booking.pay_on_page(), revision.pay_on_page()] == [303, 303]
    wait_until(lambda: booking.reservation_status == "confirmed", "the confirmation")
    wait_until(lambda: revision.reservation_status == "confirmed", "the confirmation of the other")


def test_a_hold_without_a_payment_is_released_by_the_reconciler(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    booking.set_stored("reservations", "created_at", (datetime.now(UTC) - timedelta(minutes=1)).isoformat())
    assert stack.admin.reconcile()["hold_without_payment"] == 1
    wait_until(lambda: booking.reservation_status == "expired", "the release")
    assert booking.nights_status == "available"
    assert stack.admin.reconcile().get("hold_without_payment", 0) == 0


def test_a_paid_booking_is_confirmed_without_any_webhook(stack: StackOverHttp) -> None:
    stack.admin.call("POST", "stripe/webhooks", mode="drop")
    booking = stack.reserve()
    booking.pay_now()
    assert booking.pay_on_page() == 303
    wait_until(lambda: booking.reservation_status == "confirmed", "the confirmation")


@pytest.mark.defect("R-13")
def test_a_booking_with_attributes_and_a_status_of_the_platform_is_paid_and_read(stack: StackOverHttp) -> None:
    held = stack.admin.call("POST", "reservations", customer_email="ada@guests.example", extra={"tax_rate": 0.1})
    assert (held["tax_rate"], held["customer_email"]) == (0.1, "ada@guests.example")
    booking = BookingDriver(stack, held)
    booking.pay_now()
    assert booking.pay_on_page() == 303
    wait_until(lambda: booking.reservation_status == "confirmed", "the confirmation")
    stack.admin.change_reservation(booking.id, status="checked_in", total_amount=None)
    assert booking.call("GET", f"{booking.id}/status").body["has_completed_payment"]
    goodwill = {"kind": "goodwill", "amount": 500}
    headers = {"Idempotency-Key": "one"}
    answer = booking.call("POST", f"{booking.id}/refund", goodwill, token=stack.operator, headers=headers)
    assert (answer.status, answer.body["amount"]) == (200, 500)
    assert booking.reservation_status == "checked_in"


@pytest.mark.defect("R-13")
def test_a_deleted_reservation_gives_the_money_and_the_nights_back(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    booking.pay_now()
    stack.table("reservations").delete_item(Key={"reservation_id": booking.id})
    assert booking.pay_on_page() == 303
    wait_until(lambda: booking.payment["status"] == "expired", "the end of the payment")
    assert booking.nights_status == "available"
    wait_until(lambda: [r["status"] for r in booking.payment["refunds"].values()] == ["succeeded"], "the refund")


@pytest.mark.defect("R-13")
def test_a_check_in_with_a_time_is_refused_and_the_hold_untouched(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    check_in = booking.nights[0]
    booking.set_stored("reservations", "check_in", f"{check_in}T00:00:00.000Z")
    answer = booking.pay_now()
    assert answer.outcome == (409, "RESERVATION_INVALID")
    assert answer.body["details"] == {"check_in": "Must be a date, YYYY-MM-DD."}
    assert (booking.reservation_status, booking.nights_status) == ("pending", "booked")
    booking.set_stored("reservations", "check_in", check_in)
    assert booking.pay_now().status == 201


@pytest.mark.defect("R-10")
def test_the_reconciler_leaves_a_booking_that_the_platform_confirmed(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    booking.pay_now()
    booking.change_reservation(status="confirmed")
    booking.return_from_stripe()
    assert booking.wait_for_end().visited[-1] == "BookedElsewhere"
    assert stack.admin.reconcile().keys().isdisjoint({"replacement_started", "execution_missing"})
    assert booking.notified().count("BookedElsewhere") == 1
    assert (booking.reservation_status, booking.nights_status) == ("confirmed", "booked")
