"""Money that cannot be the booking's: given back in full, by itself, and the booking goes on by its next_step."""

import pytest

from tests.workflows.refund.conftest import HALF, TOTAL, Booking, Json, World, until

REFUNDED = [
    "AlreadyFailed?",
    "ReserveRefund",
    "CreateRefund",
    "RefundStatus?",
    "RecordRefund",
    "AnnounceRefund",
    "RefundCompleted",
]


def refund_of(booking: Booking, pi: str) -> Json:
    return booking.entry(f"REF-{pi}")


def two_sessions(world: World, days: range | None = None) -> tuple[Booking, str, str]:
    """A booking whose first session expired and whose second one is open; Stripe's events are held."""
    booking = world.held(days)
    first = booking.press_pay_now()["checkout_session_id"]
    world.stripe.expire_session(first)
    until(lambda: booking.execution().waiting_in == "AwaitRetry", "the first attempt to end")
    answer = world.call("POST", f"{booking.id}/retry", booking.token)
    assert answer.status == 201, answer
    world.stripe.webhooks.set_mode("hold")
    return booking, first, answer.body["checkout_session_id"]


def test_of_two_paid_sessions_the_earlier_capture_is_kept(world: World) -> None:
    """D-09 P-02: both found in one look; nobody is needed, and the policy applies to the one that was kept."""
    booking, first, second = two_sessions(world, HALF)
    world.stripe.pay(second)
    kept = str(world.stripe.get("checkout.session", second)["payment_intent"])
    world.stripe.clock.advance(2)
    other = str(world.stripe.force_payment(first)["id"])
    world.tell_and_wait("payment_intent.succeeded", other)

    until(lambda: booking.execution().status == "SUCCEEDED", "the booking to be confirmed")
    assert "RefundUnusablePayment" in booking.execution().visited
    assert booking.execution().visited[-1] == "PaymentConfirmed"
    assert booking.wait_for_end(f"REF-{other}").visited == REFUNDED
    assert booking.pi == kept
    assert booking.item["captures"][other]["role"] == "unapplied"
    assert booking.refunds_at_stripe(other) == [("succeeded", TOTAL)]
    assert refund_of(booking, other)["requested_by"] == "workflow"
    assert booking.ledger == ("completed", 0, 0, TOTAL)
    world.stripe.webhooks.set_mode("deliver")
    world.stripe.webhooks.release()
    world.stripe.webhooks.wait_until_idle()
    assert world.told_operators(booking.id) == []

    assert booking.cancel().body["amount"] == 22_500
    assert booking.ledger == ("partially_refunded", 22_500, 0, 22_501)
    assert booking.refunds_at_stripe(kept) == [("succeeded", 22_500)]


def test_a_second_session_that_is_paid_after_the_confirmation_is_refunded(world: World) -> None:
    """D-09: the webhook starts it, since no state waits any more; told twice, it is one refund."""
    booking, first, second = two_sessions(world)
    world.stripe.pay(second)
    world.stripe.webhooks.set_mode("deliver")
    world.stripe.webhooks.release()
    until(lambda: booking.execution().status == "SUCCEEDED", "the booking to be confirmed")
    world.stripe.webhooks.set_mode("duplicate")
    other = str(world.stripe.force_payment(first)["id"])
    assert booking.wait_for_end(f"REF-{other}").visited == REFUNDED
    world.stripe.webhooks.wait_until_idle()
    assert refund_of(booking, other)["requested_by"] == "webhook"
    assert booking.refunds_at_stripe(other) == [("succeeded", TOTAL)]
    assert booking.ledger == ("completed", 0, 0, TOTAL)
    assert booking.reservation == "confirmed"


def released(world: World) -> tuple[Booking, str]:
    """A booking that its guest gave up before paying, and its session."""
    booking = world.held()
    session = booking.press_pay_now()["checkout_session_id"]
    assert world.call("POST", f"{booking.id}/cancel", booking.token).status == 200
    return booking, session


def test_money_that_comes_after_the_release_goes_back(world: World) -> None:
    """D-04 P-01: the dates stay free, the booking stays over, operators hear of it."""
    booking, session = released(world)
    late = str(world.stripe.force_payment(session)["id"])
    assert booking.wait_for_end(f"REF-{late}").visited == REFUNDED
    assert booking.refunds_at_stripe(late) == [("succeeded", TOTAL)]
    item = booking.item
    assert (item["status"], item["refund_amount"], item["refund_pending_amount"]) == ("expired", TOTAL, 0)
    assert (booking.reservation, booking.night) == ("cancelled", "available")
    assert item["captures"][late]["refundable"] == 0
    assert item["captures"][late]["session"] == session
    world.stripe.webhooks.wait_until_idle()
    assert {told.partition(":")[0] for told in world.told_operators(booking.id)} == {"LatePayment"}
    shown = booking.status()
    assert (shown["status"], shown["is_refunded"], shown["refunds"][0]["kind"]) == ("expired", False, "unapplied")
    assert booking.cancel().error == (400, "REFUND_NOT_ALLOWED")


@pytest.mark.parametrize(("amount", "currency"), [(1, None), (None, "usd")], ids=["one cent", "dollars"])
def test_a_wrong_amount_or_currency_goes_back_and_the_booking_can_still_be_paid(
    world: World, amount: int | None, currency: str | None
) -> None:
    """D-06: and the refund of the wrong money is not one of the booking's."""
    booking = world.held()
    session = booking.press_pay_now()["checkout_session_id"]
    wrong = str(world.stripe.force_payment(session, amount=amount, currency=currency)["id"])
    assert booking.wait_for_end(f"REF-{wrong}").visited == REFUNDED
    assert booking.refunds_at_stripe(wrong) == [("succeeded", amount or TOTAL)]
    until(lambda: booking.execution().waiting_in == "AwaitRetry", "the guest's next try")
    assert booking.reservation == "pending"
    retried = world.call("POST", f"{booking.id}/retry", booking.token).body
    world.stripe.pay(retried["checkout_session_id"])
    until(lambda: booking.execution().status == "SUCCEEDED", "the booking to be confirmed")
    assert booking.ledger == ("completed", 0, 0, TOTAL)
    assert (booking.status()["refund_amount"], booking.status()["is_refunded"]) == (0, False)


def test_a_cancel_beats_a_payment_that_is_not_confirmed_yet(world: World) -> None:
    """D-04 D-33/34: full refund, dates released."""
    booking = world.held()
    session = booking.press_pay_now()["checkout_session_id"]
    world.stripe.webhooks.set_mode("hold")
    world.stripe.pay(session)
    paid = str(world.stripe.get("checkout.session", session)["payment_intent"])
    assert world.call("POST", f"{booking.id}/cancel", booking.token).status == 200
    assert booking.wait_for_end(f"REF-{paid}").visited == REFUNDED
    assert booking.refunds_at_stripe(paid) == [("succeeded", TOTAL)]
    assert booking.item["status"] == "expired"
    assert (booking.reservation, booking.night) == ("cancelled", "available")


def test_a_disputed_one_is_entered_reserved_and_left_to_a_person(world: World) -> None:
    """P-14: the bank may give it back already."""
    booking, session = released(world)
    world.stripe.webhooks.set_mode("hold")
    late = str(world.stripe.force_payment(session)["id"])
    dispute = {"status": "needs_response", "payment_intent": late, "amount": TOTAL}
    booking.put("disputes", {"du_1": {**dispute, "opened_at": "2026-11-24T15:00:00.000Z"}})
    world.tell_and_wait("payment_intent.succeeded", late)

    booking.wait_for("AwaitOperator", f"REF-{late}")
    assert booking.refund(f"REF-{late}").visited == [
        "AlreadyFailed?",
        "ReserveRefund",
        "RecordRefundFailure",
        "NotifyOperators",
        "AwaitOperator",
    ]
    entry = refund_of(booking, late)
    assert (entry["status"], entry["failure_reason"], entry["amount"]) == ("failed", "CaptureDisputed", TOTAL)
    assert booking.item["captures"][late]["refundable"] == 0
    assert booking.refunds_at_stripe(late) == []
    answer = booking.resolve(f"REF-{late}", "settled_elsewhere", note="the bank gave it back")
    assert answer.body["status"] == "settled_elsewhere"
    assert booking.wait_for_end(f"REF-{late}").visited[-1] == "RefundCompleted"


def test_one_that_the_dashboard_has_given_back_in_part_is_a_persons(world: World) -> None:
    """D-31: we ask for all of it, Stripe refuses, and nothing goes back twice."""
    booking, session = released(world)
    world.stripe.webhooks.set_mode("hold")
    late = str(world.stripe.force_payment(session)["id"])
    world.stripe.dashboard_refund(late, 10_000)
    world.stripe.webhooks.set_mode("deliver")
    world.stripe.webhooks.release()
    booking.wait_for("AwaitOperator", f"REF-{late}")
    assert booking.refunds_at_stripe(late) == [("succeeded", 10_000)]
    assert refund_of(booking, late)["status"] == "failed"
