"""Refunds at the same time, and refunds whose answers were lost: never a cent twice."""

import functools
from collections import Counter
from typing import Any

import pytest

from local.aws import emulator
from shared.adapters import stripe_api
from shared.domain.models import StripeRefund
from tests.workflows.refund.conftest import World

CRASHED_ONCE = [
    "AlreadyFailed?",
    "ReserveRefund",
    "CreateRefund",
    "RefundStatus?",
    "RecordRefund",
    "AnnounceRefund",
    "RefundCompleted",
]


def test_20_simultaneous_refunds_never_give_back_more_than_was_paid(world: World) -> None:
    """D-13: each wants 40 %, so two of them fit."""
    booking = world.paid(total=45_000)
    calls = [world.meanwhile(functools.partial(booking.give_back, 18_000, key=str(key))) for key in range(20)]
    answers = [call.result() for call in calls]

    given = [answer.body["refund_id"] for answer in answers if answer.status == 200]
    refused = Counter(answer.error for answer in answers if answer.status != 200)
    assert len(given) == len(set(given)) == 2
    assert refused.keys() <= {(409, "REFUND_IN_PROGRESS"), (400, "REFUND_NOT_ALLOWED")}
    assert refused.total() == 18
    assert booking.refunds_at_stripe() == [("succeeded", 18_000), ("succeeded", 18_000)]
    assert booking.ledger == ("partially_refunded", 36_000, 0, 9_000)
    assert set(booking.item["refunds"]) == set(given)


def test_a_cancellation_and_a_dashboard_refund_of_everything_give_it_back_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-13: the dashboard is faster at the last moment; what we had reserved then reaches a person."""
    booking = world.paid()
    real = stripe_api.create_refund

    def too_late(**given: Any) -> StripeRefund:
        world.stripe.dashboard_refund(booking.pi)
        return real(**given)

    monkeypatch.setattr(stripe_api, "create_refund", too_late)
    assert booking.cancel().body["status"] == "failed"
    booking.wait_for("AwaitOperator")
    assert booking.entry()["failure_reason"] == "charge_already_refunded"
    world.stripe.webhooks.wait_until_idle()
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.ledger[:3] == ("refunded", 45_001, 0)


@pytest.mark.parametrize("kind", ["conflict", "unanswered"])
def test_an_amount_is_reserved_once_whatever_dynamodb_says(world: World, kind: str) -> None:
    """D-13: after a transaction that was refused, or done without an answer, the item is read again."""
    booking = world.paid()
    emulator.aws_faults.add("dynamodb.TransactWriteItems", kind, 3, "reserve_refund")
    assert booking.cancel().status == 200
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert (booking.reservation, booking.night) == ("cancelled", "available")


def test_a_crash_between_stripes_answer_and_our_write_refunds_once(world: World) -> None:
    """D-13: the repeat finds the refund by its metadata."""
    booking = world.paid()
    emulator.aws_faults.add("dynamodb.UpdateItem", "internal_error", 3, "create_refund")
    assert booking.cancel().status == 200
    asked = [request.operation for request in world.stripe.requests if booking.pi in str(request.params)]
    assert asked.count("refunds.create") == 1
    assert asked.count("refunds.list") == 2
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.refund().visited == CRASHED_ONCE


def test_a_refund_whose_answer_was_lost_is_not_made_again_not_even_after_stripe_forgot_its_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-13: the SDK's own repeat gets no answer either, so that the state is run again, a day and an hour later."""
    booking = world.paid()
    real = stripe_api.list_refunds
    looked = 0

    def later(pi: str, refund_id: str) -> list[StripeRefund]:
        nonlocal looked
        looked += 1
        if looked == 2:
            world.stripe.clock.advance(25 * 3600)
        return real(pi, refund_id)

    monkeypatch.setattr(stripe_api, "list_refunds", later)
    world.stripe.faults.add("refunds.create", "timeout_after", 2)
    try:
        booking.cancel()
        assert booking.wait_for_end().status == "SUCCEEDED"
    finally:
        world.stripe.clock.advance(-25 * 3600)
    assert looked == 2
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert booking.refund().visited == CRASHED_ONCE
