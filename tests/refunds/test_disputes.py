"""Disputes: the bank decides about the money, and no refund is made beside that."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from shared import workflow
from tests.refunds.conftest import Booking, World, until


def disputed(world: World) -> tuple[Booking, str]:
    booking = world.paid()
    dispute = str(world.stripe.open_dispute(booking.pi)["id"])
    until(lambda: dispute in booking.item["disputes"], "the dispute to be entered")
    return booking, dispute


def close(world: World, booking: Booking, dispute: str, outcome: str) -> None:
    world.stripe.close_dispute(dispute, outcome)  # type: ignore[arg-type]
    until(lambda: booking.item["disputes"][dispute].get("closed_at"), "the outcome to be entered")


def test_it_is_recorded_and_operators_are_told_once(world: World) -> None:
    """D-31: Stripe tells of it in two events at the same time."""
    booking, dispute = disputed(world)
    world.stripe.webhooks.wait_until_idle()
    recorded = booking.item["disputes"][dispute]
    assert (recorded["status"], recorded["amount"], recorded["reason"]) == ("needs_response", 45_001, "fraudulent")
    assert len(world.told_operators(dispute)) == 1
    assert world.announced("PaymentDisputed", booking) == [
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
    world.tell_and_wait("charge.dispute.created", dispute)
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
        world.tell_and_wait(event_type, dispute)
    assert booking.item["disputes"][dispute]["status"] == "won"
    assert booking.cancel().body["status"] == "succeeded"


def test_one_that_opens_at_the_last_moment_refuses_the_refund_and_a_later_one_is_possible(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-14: after the API has looked, before the amount is reserved; the execution's name is used up then."""
    booking = world.paid()
    real = workflow.start_refund
    opened: list[str] = []

    def start(name: str, given: Mapping[str, Any]) -> bool:
        if not opened:
            opened.append(str(world.stripe.open_dispute(booking.pi)["id"]))
            until(lambda: opened[0] in booking.item["disputes"], "the dispute to be entered")
        return real(name, given)

    monkeypatch.setattr(workflow, "start_refund", start)
    assert booking.cancel().error == (409, "PAYMENT_DISPUTED")
    assert booking.refund().visited == ["AlreadyFailed?", "ReserveRefund", "RefundRefused"]
    assert booking.item["refunds"] == {}
    assert booking.reservation == "confirmed"
    close(world, booking, opened[0], "won")
    assert booking.cancel().body["status"] == "succeeded"
    assert booking.refund(f"{booking.cancellation}-r1").visited[-1] == "RefundCompleted"
