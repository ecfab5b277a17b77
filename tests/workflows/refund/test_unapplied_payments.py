"""Unapplied payments: money that settles no booking is refunded in full, without anybody's help."""

import pytest

from tests.harness.booking_driver import BookingDriver
from tests.harness.running_stack import RunningStack
from tests.workflows.refund.conftest import COMPLETED, HALF, TOTAL


def open_two_sessions(stack: RunningStack, days: range | None = None) -> tuple[BookingDriver, str]:
    """A booking whose second session is open, and its first session, which has expired; events are held."""
    booking = stack.reserve(days=days)
    assert booking.pay_now().outcome == (201, 1)
    first = booking.session
    booking.expire_at_stripe()
    booking.wait_in("AwaitRetry")
    assert booking.retry().outcome == (201, 2)
    booking.faults.webhooks = "hold"
    return booking, first


@pytest.mark.defect("D-09", "P-02")
def test_of_two_paid_sessions_the_earlier_capture_is_kept(stack: RunningStack) -> None:
    """One read finds both. No operator is needed, and the refund policy applies to the capture that was kept."""
    booking, first = open_two_sessions(stack, HALF)
    booking.pay()
    kept = booking.session_intent
    stack.stripe.clock.advance(2)
    other = booking.force_payment(first)
    stack.resend_event_and_wait("payment_intent.succeeded", other)

    assert booking.wait_for_end().status == "SUCCEEDED"
    assert "RefundUnusablePayment" in booking.execution().visited
    assert booking.execution().visited[-1] == "PaymentConfirmed"
    assert booking.wait_for_refund_end(f"REF-{other}").visited == COMPLETED
    assert booking.payment_intent == kept
    assert booking.payment["captures"][other]["role"] == "unapplied"
    assert booking.refunds_at_stripe(other) == [("succeeded", TOTAL)]
    assert booking.entry(f"REF-{other}")["requested_by"] == "workflow"
    assert booking.ledger == ("completed", 0, 0, TOTAL)
    booking.release_webhooks()
    stack.stripe.webhooks.wait_until_idle()
    assert booking.notified() == []

    assert booking.refund().body["amount"] == 22_500
    assert booking.ledger == ("partially_refunded", 22_500, 0, 22_501)
    assert booking.refunds_at_stripe(kept) == [("succeeded", 22_500)]


@pytest.mark.defect("D-09")
def test_a_second_session_paid_after_the_confirmation_is_refunded(stack: RunningStack) -> None:
    """The webhook starts the refund, since no execution waits any more; two events cause one refund."""
    booking, first = open_two_sessions(stack)
    booking.pay()
    booking.release_webhooks()
    assert booking.wait_for_end().status == "SUCCEEDED"
    booking.faults.webhooks = "duplicate"
    other = booking.force_payment(first)
    assert booking.wait_for_refund_end(f"REF-{other}").visited == COMPLETED
    stack.stripe.webhooks.wait_until_idle()
    assert booking.entry(f"REF-{other}")["requested_by"] == "webhook"
    assert booking.refunds_at_stripe(other) == [("succeeded", TOTAL)]
    assert booking.ledger == ("completed", 0, 0, TOTAL)
    assert booking.reservation_status == "confirmed"


def cancel_unpaid(stack: RunningStack) -> BookingDriver:
    """A booking that its guest has cancelled before paying."""
    booking = stack.reserve()
    assert booking.pay_now().outcome == (201, 1)
    assert booking.cancel().status == 200
    return booking


@pytest.mark.defect("D-04", "P-01")
def test_money_that_arrives_after_the_release_is_refunded(stack: RunningStack) -> None:
    """The dates stay available, the booking stays cancelled, and operators are notified."""
    booking = cancel_unpaid(stack)
    late = booking.force_payment()
    assert booking.wait_for_refund_end(f"REF-{late}").visited == COMPLETED
    assert booking.refunds_at_stripe(late) == [("succeeded", TOTAL)]
    item = booking.payment
    assert (item["status"], item["refund_amount"], item["refund_pending_amount"]) == ("expired", TOTAL, 0)
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")
    assert item["captures"][late]["refundable"] == 0
    assert item["captures"][late]["session"] == booking.session
    stack.stripe.webhooks.wait_until_idle()
    assert set(booking.notified()) == {"LatePayment"}
    shown = booking.status()
    assert (shown["status"], shown["is_refunded"], shown["refunds"][0]["kind"]) == ("expired", False, "unapplied")
    assert booking.refund().outcome == (400, "REFUND_NOT_ALLOWED")


@pytest.mark.defect("D-06")
@pytest.mark.parametrize(("amount", "currency"), [(1, None), (None, "usd")], ids=["one cent", "dollars"])
def test_a_wrong_amount_or_currency_is_refunded_and_the_booking_can_still_be_paid(
    stack: RunningStack, amount: int | None, currency: str | None
) -> None:
    """This refund is not one of the booking's own."""
    booking = stack.reserve()
    assert booking.pay_now().outcome == (201, 1)
    wrong = booking.force_payment(amount=amount, currency=currency)
    assert booking.wait_for_refund_end(f"REF-{wrong}").visited == COMPLETED
    assert booking.refunds_at_stripe(wrong) == [("succeeded", amount or TOTAL)]
    booking.wait_in("AwaitRetry")
    assert booking.reservation_status == "pending"
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()
    assert booking.ledger == ("completed", 0, 0, TOTAL)
    assert (booking.status()["refund_amount"], booking.status()["is_refunded"]) == (0, False)


@pytest.mark.defect("D-04", "D-33", "D-34")
def test_a_cancellation_beats_a_payment_that_is_not_confirmed_yet(stack: RunningStack) -> None:
    """Everything is refunded, and the dates are released."""
    booking = stack.reserve()
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.webhooks = "hold"
    booking.pay()
    paid = booking.session_intent
    assert booking.cancel().status == 200
    assert booking.wait_for_refund_end(f"REF-{paid}").visited == COMPLETED
    assert booking.refunds_at_stripe(paid) == [("succeeded", TOTAL)]
    assert booking.payment["status"] == "expired"
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")


@pytest.mark.defect("P-14")
def test_a_disputed_unapplied_payment_is_reserved_and_left_to_an_operator(stack: RunningStack) -> None:
    """The bank may already be returning the money."""
    booking = cancel_unpaid(stack)
    booking.faults.webhooks = "hold"
    late = booking.force_payment()
    dispute = {"status": "needs_response", "payment_intent": late, "amount": TOTAL}
    booking.set_stored("payments", "disputes", {"du_1": {**dispute, "opened_at": "2026-11-24T15:00:00.000Z"}})
    stack.resend_event_and_wait("payment_intent.succeeded", late)

    booking.wait_refund_in("AwaitOperator", f"REF-{late}")
    assert booking.refund_execution(f"REF-{late}").visited == [
        "AlreadyFailed?",
        "ReserveRefund",
        "RecordRefundFailure",
        "NotifyOperators",
        "AwaitOperator",
    ]
    entry = booking.entry(f"REF-{late}")
    assert (entry["status"], entry["failure_reason"], entry["amount"]) == ("failed", "CaptureDisputed", TOTAL)
    assert booking.payment["captures"][late]["refundable"] == 0
    assert booking.refunds_at_stripe(late) == []
    answer = booking.resolve(f"REF-{late}", "settled_elsewhere", note="the bank gave it back")
    assert answer.body["status"] == "settled_elsewhere"
    assert booking.wait_for_refund_end(f"REF-{late}").visited[-1] == "RefundCompleted"


@pytest.mark.defect("D-31", "R-02")
def test_of_an_unapplied_payment_that_the_dashboard_refunded_in_part_the_rest_is_refunded(stack: RunningStack) -> None:
    """What Stripe has returned is entered with the capture, before anything is reserved."""
    booking = cancel_unpaid(stack)
    booking.faults.webhooks = "hold"
    late = booking.force_payment()
    stack.stripe.dashboard_refund(late, 10_000)
    booking.release_webhooks()
    assert booking.wait_for_refund_end(f"REF-{late}").visited == COMPLETED
    assert sorted(booking.refunds_at_stripe(late)) == [("succeeded", 10_000), ("succeeded", TOTAL - 10_000)]
    assert booking.payment["captures"][late]["refundable"] == 0


@pytest.mark.defect("R-02")
@pytest.mark.parametrize("amount", [TOTAL, 10_000], ids=["all", "a part"])
def test_money_returned_before_the_confirmation_leaves_the_booking_unpaid(stack: RunningStack, amount: int) -> None:
    """The webhooks were down; an operator refunded in the dashboard, and that event comes back first, an hour old."""
    booking = stack.reserve()
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.webhooks = "hold"
    booking.pay()
    pi = booking.session_intent
    refund = str(stack.stripe.dashboard_refund(pi, amount)["id"])
    event = stack.stripe.all("event", lambda one: one["type"] == "refund.created" and refund in str(one["data"]))[0]
    event["created"] -= 3_600
    stack.stripe.resend(event["id"])

    booking.wait_in("AwaitRetry")
    booking.wait_for_refund_end(f"REF-{pi}")
    assert (booking.reservation_status, booking.nights_status) == ("pending", "booked")
    item = booking.payment
    assert (item["status"], item["captures"][pi]["role"], item["captures"][pi]["refundable"]) == (
        "pending",
        "unapplied",
        0,
    )
    assert sum(cents for _, cents in booking.refunds_at_stripe(pi)) == TOTAL
    assert booking.notified() == ["PaymentReturned"]
    booking.release_webhooks()
    stack.stripe.webhooks.wait_until_idle()
    assert item["refunds"].keys() <= booking.payment["refunds"].keys()
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()
    assert booking.ledger == ("completed", 0, 0, TOTAL)
