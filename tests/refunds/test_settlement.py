"""Refunds that settle later: news of them may come at any moment, in any order, more than once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from shared import payments, store, workflow
from shared.models import StripeRefund
from tests.refunds.conftest import PENDING, Booking, World

NEVER_WAITED = [
    "AlreadyFailed?",
    "ReserveRefund",
    "CreateRefund",
    "RefundStatus?",
    "AwaitRefundSettlement",
    "CheckRefund",
    "RefundStatus?",
    "RecordRefund",
    "AnnounceRefund",
    "RefundCompleted",
]


def refund_at_stripe(world: World, booking: Booking) -> str:
    return str(world.stripe.all("refund", lambda refund: refund["payment_intent"] == booking.pi)[-1]["id"])


def before_its_answer(monkeypatch: pytest.MonkeyPatch, happens: Callable[[StripeRefund], None]) -> None:
    """Let something happen after Stripe made a refund and before CreateRefund hears of it."""
    real = payments.create_refund

    def create(**given: Any) -> StripeRefund:
        refund = real(**given)
        happens(refund)
        return refund

    monkeypatch.setattr(payments, "create_refund", create)


def test_a_pending_refund_ends_with_stripes_word(world: World) -> None:
    """D-13: and not a moment before."""
    booking = world.paid(card=PENDING)
    click = world.meanwhile(booking.cancel)
    booking.wait_for("AwaitRefundSettlement")
    assert booking.ledger == ("completed", 0, 45_001, 0)
    world.stripe.settle_refund(refund_at_stripe(world, booking), "succeeded")
    assert click.result().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert booking.wait_for_end().visited[-5:] == NEVER_WAITED[-5:]


def test_a_pending_refund_that_fails_reaches_a_person(world: World) -> None:
    """D-13 P-07."""
    booking = world.paid(card=PENDING)
    click = world.meanwhile(booking.cancel)
    booking.wait_for("AwaitRefundSettlement")
    world.stripe.settle_refund(refund_at_stripe(world, booking), "failed")
    booking.wait_for("AwaitOperator")
    assert click.result().body["status"] == "failed"
    assert booking.ledger == ("completed", 0, 0, 0)
    assert booking.entry()["failure_reason"] == "expired_or_canceled_card"


def test_a_refund_that_needs_the_guest_is_waited_for_as_well(world: World) -> None:
    world.stripe.refund_status = "requires_action"
    booking = world.paid()
    click = world.meanwhile(booking.cancel)
    booking.wait_for("AwaitRefundSettlement")
    assert booking.entry()["status"] == "requires_action"
    assert booking.ledger == ("completed", 0, 45_001, 0)
    world.stripe.settle_refund(refund_at_stripe(world, booking), "canceled")
    booking.wait_for("AwaitOperator")
    assert click.result().body["status"] == "failed"
    assert booking.entry()["failure_reason"] == "canceled"


@pytest.mark.parametrize("mode", ["duplicate", "reverse"])
def test_news_that_comes_twice_or_backwards_ends_the_same(world: World, mode: str) -> None:
    """P-07: an older `pending` undoes nothing."""
    booking = world.paid(card=PENDING)
    click = world.meanwhile(booking.cancel)
    booking.wait_for("AwaitRefundSettlement")
    world.stripe.webhooks.set_mode(mode)  # type: ignore[arg-type]
    refund = refund_at_stripe(world, booking)
    world.stripe.settle_refund(refund, "succeeded")
    assert click.result().body["status"] == "succeeded"
    world.tell("refund.created", refund)
    world.stripe.webhooks.wait_until_idle()
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert list(booking.item["refunds"]) == [booking.cancellation]
    assert len(world.announced("RefundCompleted", booking)) == 1


def test_news_before_the_token_is_stored_ends_the_wait_before_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-12 D-31: and our own refund, heard of before we have written its id, is not taken for the dashboard's."""
    booking = world.paid(card=PENDING)

    def settled_and_told(refund: StripeRefund) -> None:
        world.stripe.settle_refund(refund.id, "succeeded")
        world.stripe.webhooks.wait_until_idle()

    before_its_answer(monkeypatch, settled_and_told)
    assert booking.cancel().body["status"] == "succeeded"
    assert booking.wait_for_end().visited == NEVER_WAITED
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert list(booking.item["refunds"]) == [booking.cancellation]


def test_news_while_the_token_is_being_stored_ends_the_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """P-12: the event is about to note its news when the wait begins; then it has to see the token."""
    booking = world.paid(card=PENDING)
    world.stripe.webhooks.set_mode("hold")
    has_read = threading.Event()
    real = store.note_look

    def note(*given: Any, **more: Any) -> bool:
        has_read.set()
        booking.wait_for("AwaitRefundSettlement")
        return real(*given, **more)

    def settled_and_read(refund: StripeRefund) -> None:
        world.stripe.settle_refund(refund.id, "succeeded")
        world.tell("refund.updated", refund.id)
        assert has_read.wait(10)

    monkeypatch.setattr(store, "note_look", note)
    before_its_answer(monkeypatch, settled_and_read)
    click = world.meanwhile(booking.cancel)
    assert booking.wait_for_end().visited == NEVER_WAITED
    assert click.result().body["status"] == "succeeded"


def test_a_failure_that_overtakes_the_success_it_takes_back_is_heard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-07: Stripe says `failed` while we are entering its `succeeded`."""
    booking = world.paid()
    refunds: list[str] = []

    def taken_back(refund: StripeRefund) -> None:
        refunds.append(refund.id)
        world.stripe.settle_refund(refund.id, "failed")
        world.stripe.webhooks.wait_until_idle()

    before_its_answer(monkeypatch, taken_back)
    booking.cancel()
    (refund,) = refunds
    booking.wait_for("AwaitOperator", f"failed-{refund}")
    assert booking.entry()["status"] == "failed"
    assert booking.ledger == ("completed", 0, 0, 0)


def test_a_refund_of_which_no_event_ever_comes_is_found_by_asking(world: World) -> None:
    """D-32: what ends the wait, a day's end or a look, makes us ask Stripe; no event has to come."""
    booking = world.paid(card=PENDING)
    click = world.meanwhile(booking.cancel)
    booking.wait_for("AwaitRefundSettlement")
    world.stripe.webhooks.set_mode("drop")
    world.stripe.settle_refund(refund_at_stripe(world, booking), "succeeded")
    assert workflow.signal(booking.entry()["task_token"], "look")
    assert click.result().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)
