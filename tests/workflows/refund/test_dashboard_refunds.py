"""What happens to a payment at Stripe without us: refunds from the dashboard, and disputes."""

import time
from typing import Any

import pytest

from shared.adapters import step_functions
from shared.contracts.states import RefundInput
from tests.workflows.refund.conftest import Booking, World, until

# Refunds made in Stripe's dashboard, past us: entered by their own ids, never by a cumulative amount.


def refunded_there(world: World, booking: Booking, amount: int | None = None) -> str:
    """The id of a refund made in the dashboard and entered by us."""
    refund = str(world.stripe.dashboard_refund(booking.pi, amount)["id"])
    until(lambda: refund in booking.item["refunds"], "the refund to be entered")
    world.stripe.webhooks.wait_until_idle()
    return refund


def test_it_is_in_the_ledger_and_in_the_status_once(world: World) -> None:
    """D-08 D-31: though Stripe tells of it in several events, all of them doubled; the booking stays."""
    booking = world.paid()
    world.stripe.webhooks.set_mode("duplicate")
    refund = refunded_there(world, booking, 10_000)
    assert booking.ledger == ("partially_refunded", 10_000, 0, 35_001)
    entry = booking.entry(refund)
    assert (entry["kind"], entry["amount"], entry["status"]) == ("dashboard", 10_000, "succeeded")
    shown: list[dict[str, Any]] = booking.status()["refunds"]
    assert [(one["refund_id"], one["kind"], one["amount"], one["status"]) for one in shown] == [
        (refund, "dashboard", 10_000, "succeeded")
    ]
    assert (booking.reservation, booking.night) == ("confirmed", "booked")


def test_a_later_cancellation_gives_back_what_is_left(world: World) -> None:
    """D-31."""
    booking = world.paid()
    refunded_there(world, booking, 10_000)
    status, body = booking.cancel()
    assert (status, body["amount"], body["refund_policy"]) == (200, 35_001, "full_refund")
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert sorted(booking.refunds_at_stripe()) == [("succeeded", 10_000), ("succeeded", 35_001)]


def test_two_of_them_are_added_up_by_their_own_amounts(world: World) -> None:
    """P-08: charge.refunded speaks of 10 000 and then of 25 000, which is not 35 000."""
    booking = world.paid()
    refunded_there(world, booking, 10_000)
    refunded_there(world, booking, 15_000)
    assert booking.ledger == ("partially_refunded", 25_000, 0, 20_001)
    assert sorted(entry["amount"] for entry in booking.item["refunds"].values()) == [10_000, 15_000]


def test_one_that_fails_later_is_taken_back_and_told(world: World) -> None:
    """D-31 P-07: what it had taken can be refunded again."""
    booking = world.paid()
    refund = refunded_there(world, booking)
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    world.stripe.settle_refund(refund, "failed")
    world.stripe.webhooks.wait_until_idle()
    until(lambda: booking.entry(refund)["status"] == "failed", "the failure to be entered")
    assert booking.ledger == ("completed", 0, 0, 45_001)
    (told,) = until(lambda: world.told_operators(refund), "the operators to be told")
    assert told.startswith(f"DashboardRefundFailed: {refund} of reservation {booking.id} has failed")
    assert booking.give_back(45_002).error == (400, "REFUND_NOT_ALLOWED")
    assert booking.cancel().body["amount"] == 45_001
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_a_failure_that_comes_before_its_success_is_not_undone_by_it(world: World) -> None:
    """D-38/39 P-07."""
    booking = world.paid()
    world.stripe.webhooks.set_mode("drop")
    refund = str(world.stripe.dashboard_refund(booking.pi, 10_000)["id"])
    world.stripe.settle_refund(refund, "failed")
    world.stripe.webhooks.set_mode("deliver")
    for event_type in ("refund.failed", "refund.created", "refund.updated"):
        assert world.tell_and_wait(event_type, refund) == 200
    assert booking.entry(refund)["status"] == "failed"
    assert booking.ledger == ("completed", 0, 0, 45_001)
    assert len(world.told_operators(refund)) == 1


def test_a_pending_one_counts_as_taken_and_not_as_given(world: World) -> None:
    """D-13."""
    booking = world.paid()
    world.stripe.refund_status = "pending"
    refund = refunded_there(world, booking, 10_000)
    assert booking.ledger == ("completed", 0, 10_000, 35_001)
    world.stripe.settle_refund(refund, "succeeded")
    until(lambda: booking.entry(refund)["status"] == "succeeded", "the success to be entered")
    assert booking.ledger == ("partially_refunded", 10_000, 0, 35_001)


def test_a_full_one_is_no_cancellation(world: World) -> None:
    """D-14: money that a person gives back says nothing about the stay."""
    booking = world.paid()
    refunded_there(world, booking)
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert (booking.reservation, booking.night) == ("confirmed", "booked")
    assert booking.give_back(1).error == (400, "REFUND_NOT_ALLOWED")


# Disputes: the bank decides about the money, and no refund is made beside that.


def disputed(world: World) -> tuple[Booking, str]:
    booking = world.paid()
    dispute = str(world.stripe.open_dispute(booking.pi)["id"])
    until(lambda: dispute in booking.item["disputes"], "the dispute to be entered")
    until(lambda: world.told_operators(dispute), "the operators to be told")
    return booking, dispute


def close(world: World, booking: Booking, dispute: str, outcome: str) -> None:
    world.stripe.close_dispute(dispute, outcome)  # type: ignore[arg-type]
    until(lambda: booking.item["disputes"][dispute].get("closed_at"), "the outcome to be entered")
    until(lambda: len(world.told_operators(dispute)) > 1, "the operators to be told of it")


def test_it_is_recorded_and_operators_are_told_once(world: World) -> None:
    """D-31: Stripe tells of it in two events at the same time."""
    booking, dispute = disputed(world)
    world.stripe.webhooks.wait_until_idle()
    recorded = booking.item["disputes"][dispute]
    assert (recorded["status"], recorded["amount"], recorded["reason"]) == ("needs_response", 45_001, "fraudulent")
    assert len(world.told_operators(dispute)) == 1
    assert world.published("PaymentDisputed", booking) == [
        {
            "reservation_id": booking.id,
            "payment_id": booking.payment_id,
            "dispute_id": dispute,
            "status": "needs_response",
            "amount": 45_001,
        }
    ]


def test_no_refund_beside_an_open_dispute_and_again_after_it_is_won(world: World) -> None:
    """P-14: neither the guest's nor the operators'; nothing reaches Stripe, the stay stays."""
    booking, dispute = disputed(world)
    assert booking.cancel().error == (409, "PAYMENT_DISPUTED")
    assert booking.give_back(1).error == (409, "PAYMENT_DISPUTED")
    assert booking.refunds_at_stripe() == []
    assert booking.ledger == ("completed", 0, 0, 45_001)
    assert booking.reservation == "confirmed"
    close(world, booking, dispute, "won")
    assert booking.item["disputes"][dispute]["status"] == "won"
    assert booking.cancel().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_a_lost_one_goes_on_blocking(world: World) -> None:
    """P-14: the bank has given the guest the money already."""
    booking, dispute = disputed(world)
    close(world, booking, dispute, "lost")
    assert booking.item["disputes"][dispute]["status"] == "lost"
    assert booking.cancel().error == (409, "PAYMENT_DISPUTED")
    assert [sent.split(" is ")[1].split(".")[0] for sent in world.told_operators(dispute)] == ["needs_response", "lost"]


def test_one_that_comes_before_its_payment_is_recorded_is_not_lost(world: World) -> None:
    """D-31: the card 4000000000000259; Stripe has to tell of it again until somebody knows the PaymentIntent."""
    booking = world.held()
    session = booking.press_pay_now()["checkout_session_id"]
    world.stripe.webhooks.set_mode("hold")
    world.stripe.pay(session)
    pi = str(world.stripe.get("checkout.session", session)["payment_intent"])
    dispute = str(world.stripe.open_dispute(pi)["id"])
    assert world.tell_and_wait("charge.dispute.created", dispute) == 503
    assert booking.item["disputes"] == {}
    world.tell("payment_intent.succeeded", pi)
    until(lambda: dispute in booking.item["disputes"], "Stripe to tell of the dispute again")


@pytest.mark.parametrize(("age", "status"), [(60, 503), (700, 200)], ids=["it may be ours yet", "it is not"])
def test_a_dispute_of_nobody_is_heard_again_for_ten_minutes_only(world: World, age: int, status: int) -> None:
    """D-05 D-31: an account may take other money besides ours."""
    dispute = {"id": "du_other", "object": "dispute", "payment_intent": "pi_other", "metadata": {}}
    created = int(time.time()) - age
    event = {"type": "charge.dispute.created", "created": created, "data": {"object": dispute}}
    assert world.stripe.deliver(event)[0] == status


def test_an_outcome_that_comes_first_is_not_undone(world: World) -> None:
    """D-31 D-38/39."""
    booking = world.paid()
    world.stripe.webhooks.set_mode("drop")
    dispute = str(world.stripe.open_dispute(booking.pi)["id"])
    world.stripe.close_dispute(dispute, "won")
    world.stripe.webhooks.set_mode("deliver")
    for event_type in ("charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_withdrawn"):
        assert world.tell_and_wait(event_type, dispute) == 200
    assert booking.item["disputes"][dispute]["status"] == "won"
    assert booking.cancel().body["status"] == "succeeded"


def test_one_that_opens_at_the_last_moment_refuses_the_refund_and_a_later_one_is_possible(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-14: after the API has looked, before the amount is reserved; the execution's name is used up then."""
    booking = world.paid()
    real = step_functions.start_refund
    opened: list[str] = []

    def start(name: str, refund: RefundInput) -> bool:
        if not opened:
            opened.append(str(world.stripe.open_dispute(booking.pi)["id"]))
            until(lambda: opened[0] in booking.item["disputes"], "the dispute to be entered")
        return real(name, refund)

    monkeypatch.setattr(step_functions, "start_refund", start)
    assert booking.cancel().error == (409, "PAYMENT_DISPUTED")
    assert booking.refund().visited == ["AlreadyFailed?", "ReserveRefund", "RefundRefused"]
    assert booking.item["refunds"] == {}
    assert booking.reservation == "confirmed"
    close(world, booking, opened[0], "won")
    assert booking.cancel().body["status"] == "succeeded"
    assert booking.refund(f"{booking.cancellation}-r1").visited[-1] == "RefundCompleted"
