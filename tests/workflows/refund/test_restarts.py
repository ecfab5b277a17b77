"""Executions that die are replaced, ever later, until the cause is fixed; nobody has to edit an item."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.aws import emulator
from tests.harness.booking_driver import REFUND_PENDING, BookingDriver
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until


def wait_for_failure(booking: BookingDriver, number: int) -> None:
    wait_until(lambda: booking.execution(number).status == "FAILED", f"the end of {number}")
    assert booking.execution(number).error == "ReservationInvalid"


@pytest.mark.defect("R-13")
def test_a_booking_goes_on_once_its_reservation_can_be_read_again(stack: RunningStack) -> None:
    """It becomes unreadable while its execution runs; the guest pays all the same."""
    booking = stack.reserve()
    assert booking.pay_now().outcome == (201, 1)
    booking.set_stored("reservations", "check_in", "tomorrow")
    assert booking.pay() == "paid"
    wait_for_failure(booking, 0)
    wait_until(lambda: len(booking.executions()) == 2, "the first replacement, at once")
    for number in range(2, 7):
        wait_for_failure(booking, number - 1)
        booking.start_replacement(number)
    assert booking.notified().count("PaymentRestartsExhausted") == 1
    wait_for_failure(booking, 6)
    booking.set_stored("reservations", "check_in", booking.check_in.isoformat())
    booking.start_replacement(7)
    assert booking.wait_for_end(restart=7).status == "SUCCEEDED"
    assert booking.reservation_status == "confirmed"


@contextmanager
def permission_missing(function: str, booking: BookingDriver, only: str = "") -> Iterator[None]:
    """AWS refuses every call of the function, or those of one operation, that are about this booking."""

    def refuse(caller: str, operation: str, request: Any) -> tuple[int, dict[str, str], str] | None:
        if caller != function or only not in {"", operation} or booking.id not in str(request.body):
            return None
        return 400, {}, json.dumps({"__type": "AccessDeniedException", "message": "not authorized"})

    emulator.access.append(refuse)
    yield
    emulator.access.remove(refuse)


@pytest.mark.defect("R-04")
def test_a_permission_that_is_missing_for_seconds_costs_a_payment_two_replacements(stack: RunningStack) -> None:
    booking = stack.reserve()
    assert booking.pay_now().outcome == (201, 1)
    with permission_missing("verify_payment", booking):
        assert booking.pay() == "paid"
        wait_until(lambda: booking.payment["replacements"].get("payment", {}).get("number") == 2, "the second plan")
    assert "replacement_started" not in stack.admin.reconcile()
    booking.start_replacement(2)
    assert booking.wait_for_end(restart=2).status == "SUCCEEDED"
    assert booking.reservation_status == "confirmed"


@pytest.mark.defect("R-04")
def test_a_permission_that_is_missing_for_seconds_costs_a_refund_two_replacements(stack: RunningStack) -> None:
    """Nothing was entered in the ledger meanwhile, so the replacement is started as the first execution was."""
    booking = stack.reserve_paid()
    refund_id = booking.cancellation_id
    with permission_missing("reserve_refund", booking):
        stack.in_background(booking.refund)
        wait_until(lambda: booking.payment["replacements"].get(refund_id, {}).get("number") == 2, "the second plan")
    booking.start_replacement(2, of=refund_id)
    assert booking.wait_for_refund_end(f"{refund_id}-r2").status == "SUCCEEDED"
    assert (booking.reservation_status, len(booking.refunds_at_stripe())) == ("cancelled", 1)


def test_a_refund_whose_executions_are_stopped_goes_on_under_other_names(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_PENDING)
    booking.refund()
    names = [booking.cancellation_id, f"{booking.cancellation_id}-r1", f"{booking.cancellation_id}-r2"]
    for name in names[:2]:
        booking.wait_refund_in("AwaitRefundSettlement", name)
        stack.admin.stop_execution(name, "refund")
    booking.wait_refund_in("AwaitRefundSettlement", names[2])
    assert booking.entry()["execution"] == names[2]
    booking.make_due()
    assert stack.admin.reconcile().keys().isdisjoint({"restarts_exhausted", "refund_replacement_started"})
    stack.stripe.settle_refund(booking.entry()["stripe_refund_id"], "succeeded")
    assert booking.wait_for_refund_end(names[2]).status == "SUCCEEDED"
    assert booking.entry()["status"] == "succeeded"
    assert len(booking.refunds_at_stripe()) == 1


@pytest.mark.defect("P-07")
def test_a_refund_whose_creation_ended_in_an_error_is_looked_up_and_not_called_a_failure(stack: RunningStack) -> None:
    """Stripe has made it, but the state could not record it: an operator would return the money a second time."""
    booking = stack.reserve_paid()
    refund_id = booking.cancellation_id
    with permission_missing("create_refund", booking, "dynamodb.UpdateItem"):
        stack.in_background(booking.refund)
        wait_until(lambda: booking.payment["replacements"].get(refund_id, {}).get("number") == 2, "the second plan")
        assert booking.entry()["status"] == "pending"
        assert [status for status, _ in booking.refunds_at_stripe()] == ["succeeded"]
    booking.start_replacement(2, of=refund_id)
    assert booking.wait_for_refund_end(f"{refund_id}-r2").status == "SUCCEEDED"
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert len(booking.refunds_at_stripe()) == 1
    assert "RefundFailed" not in booking.notified()
