"""How refunds end: at once or later, well, or with a person."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from shared.adapters import refund_ledger, step_functions, stripe_api
from shared.domain.models import StripeRefund
from tests.workflows.refund.conftest import FAILS_LATER, PENDING, Booking, World

# Refunds that settle later: news of them may come at any moment, in any order, more than once.

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
    real = stripe_api.create_refund

    def create(**given: Any) -> StripeRefund:
        refund = real(**given)
        happens(refund)
        return refund

    monkeypatch.setattr(stripe_api, "create_refund", create)


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
    assert len(world.published("RefundCompleted", booking)) == 1


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
    real = refund_ledger.request_refund_check

    def note(*given: Any, **more: Any) -> bool:
        has_read.set()
        booking.wait_for("AwaitRefundSettlement")
        return real(*given, **more)

    def settled_and_read(refund: StripeRefund) -> None:
        world.stripe.settle_refund(refund.id, "succeeded")
        world.tell("refund.updated", refund.id)
        assert has_read.wait(10)

    monkeypatch.setattr(refund_ledger, "request_refund_check", note)
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
    world.stripe.webhooks.wait_until_idle()
    world.stripe.webhooks.set_mode("drop")
    click = world.meanwhile(booking.cancel)
    booking.wait_for("AwaitRefundSettlement")
    world.stripe.settle_refund(refund_at_stripe(world, booking), "succeeded")
    assert step_functions.signal(booking.entry()["task_token"], "refresh")
    assert click.result().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)


# Refunds that fail, at once or after they had succeeded: always a person's, and never shown as done.

FAILED = ["AlreadyFailed?", "ReserveRefund", "CreateRefund", "RefundStatus?"]
TO_A_PERSON = ["RecordRefundFailure", "NotifyOperators", "AwaitOperator"]
DONE = ["RefundStatus?", "RecordRefund", "AnnounceRefund", "RefundCompleted"]


def failing(world: World) -> Booking:
    """A cancellation that Stripe answers with `failed`."""
    booking = world.paid()
    world.stripe.refund_status = "failed"
    assert booking.cancel().body["status"] == "failed"
    world.stripe.refund_status = None
    booking.wait_for("AwaitOperator")
    return booking


def stripe_refund_of(booking: Booking) -> str:
    return str(booking.entry()["stripe_refund_id"])


def test_a_refund_that_fails_waits_for_a_person_with_its_amount_reserved(world: World) -> None:
    """P-07: the stay is cancelled all the same, and no other refund takes the amount meanwhile."""
    booking = failing(world)
    assert booking.refund().visited == FAILED + TO_A_PERSON
    assert booking.entry()["status"] == "failed"
    assert booking.entry()["failure_reason"] == "insufficient_funds"
    assert booking.ledger == ("completed", 0, 0, 0)
    assert (booking.reservation, booking.night) == ("cancelled", "available")
    assert [refund["status"] for refund in booking.status()["refunds"]] == ["failed"]
    assert booking.give_back(1).error == (409, "REFUND_IN_PROGRESS")
    status, body = booking.cancel()
    assert (status, body["status"]) == (202, "failed")
    (told,) = world.told_operators(booking.cancellation)
    assert told.startswith(f"RefundFailed: refund {booking.cancellation} of reservation {booking.id} has failed ")
    assert f"POST /payments/{booking.payment_id}/refunds/{booking.cancellation}/resolution" in told
    assert world.published("RefundFailed", booking) == [
        {
            "reservation_id": booking.id,
            "payment_id": booking.payment_id,
            "refund_id": booking.cancellation,
            "amount": 45_001,
        }
    ]
    assert world.published("RefundCompleted", booking) == []


def test_operators_let_it_be_tried_again(world: World) -> None:
    """P-07: with a key of its own; the amount that was reserved is the one that is tried."""
    booking = failing(world)
    answer = booking.resolve(booking.cancellation, "retry", note="the account is topped up")
    assert (answer.status, answer.body["status"]) == (200, "succeeded")
    assert booking.wait_for_end().visited == [*FAILED, *TO_A_PERSON, "OperatorAnswer?", "CreateRefund", *DONE]
    assert booking.refunds_at_stripe() == [("failed", 45_001), ("succeeded", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    entry = booking.entry()
    assert (entry["try"], entry["note"]) == (2, "the account is topped up")
    assert not {"failure_reason", "awaiting", "task_token"} & entry.keys()


def test_a_try_that_fails_too_comes_back_to_the_person(world: World) -> None:
    booking = failing(world)
    world.stripe.refund_status = "failed"
    assert booking.resolve(booking.cancellation, "retry").body["status"] == "failed"
    booking.wait_for("AwaitOperator")
    assert booking.refunds_at_stripe() == [("failed", 45_001)] * 2
    assert len(world.told_operators(booking.cancellation)) == 2
    world.stripe.refund_status = None
    assert booking.resolve(booking.cancellation, "retry").body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_operators_settle_it_by_another_way(world: World) -> None:
    """P-07: then it is done without Stripe, and says so."""
    booking = failing(world)
    answer = booking.resolve(booking.cancellation, "settled_elsewhere", note="bank transfer 4711")
    assert (answer.status, answer.body["status"]) == (200, "settled_elsewhere")
    assert booking.wait_for_end().visited == [
        *FAILED,
        *TO_A_PERSON,
        "OperatorAnswer?",
        "RecordSettledElsewhere",
        "AnnounceRefund",
        "RefundCompleted",
    ]
    assert booking.refunds_at_stripe() == [("failed", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert booking.entry()["note"] == "bank transfer 4711"
    assert booking.status()["refunds"][0]["status"] == "settled_elsewhere"


def test_a_refund_that_fails_after_it_had_succeeded_is_taken_back_everywhere(world: World) -> None:
    """D-31 P-07: the card 4000000000005126; no execution waits any more, so one is started."""
    booking = world.paid(card=FAILS_LATER)
    assert booking.cancel().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    refund = stripe_refund_of(booking)
    world.stripe.settle_refund(refund, "failed")

    booking.wait_for("AwaitOperator", f"failed-{refund}")
    assert booking.refund(f"failed-{refund}").visited == ["AlreadyFailed?", *TO_A_PERSON]
    assert booking.ledger == ("completed", 0, 0, 0)
    assert "refunded_at" not in booking.item
    entry = booking.entry()
    assert (entry["status"], entry["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert "settled_at" not in entry
    assert booking.status()["is_refunded"] is False
    assert booking.status()["has_completed_payment"] is True
    assert len(world.told_operators(booking.cancellation)) == 1
    assert len(world.published("RefundFailed", booking)) == 1


def test_its_failure_is_heard_once_however_often_stripe_says_so(world: World) -> None:
    """P-07 D-10: refund.updated and refund.failed, each of them doubled, the success again after them."""
    booking = world.paid(card=FAILS_LATER)
    world.stripe.webhooks.set_mode("duplicate")
    booking.cancel()
    world.stripe.webhooks.wait_until_idle()
    refund = stripe_refund_of(booking)
    world.stripe.settle_refund(refund, "failed")
    booking.wait_for("AwaitOperator", f"failed-{refund}")
    world.tell_and_wait("refund.created", refund)
    assert booking.ledger == ("completed", 0, 0, 0)
    assert len(world.told_operators(booking.cancellation)) == 1


def test_each_failure_after_a_success_needs_one_answer_only(world: World) -> None:
    """P-07: the second execution knows how often the first ones tried."""
    booking = failing(world)
    booking.resolve(booking.cancellation, "retry")
    booking.wait_for_end()
    second = stripe_refund_of(booking)
    world.stripe.settle_refund(second, "failed")
    booking.wait_for("AwaitOperator", f"failed-{second}")
    assert booking.resolve(booking.cancellation, "retry").body["status"] == "succeeded"
    assert booking.wait_for_end(f"failed-{second}").status == "SUCCEEDED"
    assert booking.refunds_at_stripe() == [("failed", 45_001), ("failed", 45_001), ("succeeded", 45_001)]
    assert booking.entry()["try"] == 3
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_a_refund_that_stripe_refuses_is_entered_and_told_once(world: World) -> None:
    """P-14: a dispute that no event has told us of."""
    booking = world.paid()
    world.stripe.webhooks.set_mode("drop")
    dispute = world.stripe.open_dispute(booking.pi)
    assert booking.cancel().body["status"] == "failed"
    booking.wait_for("AwaitOperator")
    assert booking.entry()["failure_reason"] == "charge_disputed"
    assert booking.refund().visited == FAILED + TO_A_PERSON
    assert len(world.told_operators(booking.cancellation)) == 1
    assert len(world.published("RefundFailed", booking)) == 1
    world.stripe.close_dispute(dispute["id"], "won")
    assert booking.resolve(booking.cancellation, "retry").body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_what_does_not_wait_for_a_person_cannot_be_answered(world: World) -> None:
    booking = world.paid()
    assert booking.resolve(booking.cancellation, "retry").error == (404, "NOT_FOUND")
    booking.cancel()
    before = booking.item
    assert booking.resolve(booking.cancellation, "retry").error == (409, "REFUND_IN_PROGRESS")
    assert booking.resolve(booking.cancellation, "settled_elsewhere").error == (409, "REFUND_IN_PROGRESS")
    assert booking.resolve("none", "retry").error == (404, "NOT_FOUND")
    assert booking.item == before


@pytest.mark.parametrize(
    "body", [{}, {"answer": "done"}, {"answer": "retry", "note": "n" * 501}, {"answer": "retry", "x": 1}]
)
def test_an_answer_is_one_of_two(world: World, body: dict[str, Any]) -> None:
    answer = world.call("POST", "RES-none/refunds/none/resolution", world.operator, body)
    assert answer.error == (400, "INVALID_REQUEST")


def test_two_operators_at_once_make_one_try(world: World) -> None:
    """D-13."""
    booking = failing(world)
    calls = [world.meanwhile(lambda: booking.resolve(booking.cancellation, "retry")) for _ in range(2)]
    answers = Counter(call.result().status for call in calls)
    assert answers.keys() <= {200, 409}
    assert answers[200] >= 1
    booking.wait_for_end()
    assert booking.refunds_at_stripe() == [("failed", 45_001), ("succeeded", 45_001)]
