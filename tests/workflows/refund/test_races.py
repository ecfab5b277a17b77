"""Simultaneous refunds, and refunds whose answers are lost: no cent is refunded twice."""

import functools
from collections import Counter

import pytest

from local.aws.aws_faults import AwsFault
from shared.adapters import stripe_api
from tests.harness.fault_injection import call_before
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until
from tests.workflows.refund.conftest import COMPLETED


@pytest.mark.defect("D-13")
def test_20_simultaneous_refunds_never_exceed_the_payment(stack: RunningStack) -> None:
    """Each is for 40 %, so there is room for two."""
    booking = stack.reserve_paid(total_amount=45_000)
    calls = [stack.in_background(functools.partial(booking.refund_goodwill, 18_000, key=str(key))) for key in range(20)]
    answers = [call.result() for call in calls]

    refunded = [answer.body["refund_id"] for answer in answers if answer.status == 200]
    refused = Counter(answer.outcome for answer in answers if answer.status != 200)
    assert len(refunded) == len(set(refunded)) == 2
    assert refused.keys() <= {(409, "REFUND_IN_PROGRESS"), (400, "REFUND_NOT_ALLOWED")}
    assert refused.total() == 18
    assert booking.refunds_at_stripe() == [("succeeded", 18_000), ("succeeded", 18_000)]
    assert booking.ledger == ("partially_refunded", 36_000, 0, 9_000)
    assert set(booking.payment["refunds"]) == set(refunded)


@pytest.mark.defect("D-13")
def test_a_cancellation_and_a_full_dashboard_refund_pay_once(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dashboard is faster at the last moment, so the amount that we had reserved needs an operator."""
    booking = stack.reserve_paid()
    payment_intent = booking.payment_intent
    call_before(monkeypatch, stripe_api, "create_refund", lambda **_: stack.stripe.dashboard_refund(payment_intent))
    booking.faults.webhooks = "hold"
    assert booking.refund().body["status"] == "failed"
    booking.wait_refund_in("AwaitOperator")
    assert booking.entry()["failure_reason"] == "charge_already_refunded"
    booking.release_webhooks()
    wait_until(lambda: booking.ledger == ("refunded", 45_001, 0, 0), "the dashboard's refund to settle ours")
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]


@pytest.mark.defect("D-13")
@pytest.mark.parametrize("kind", ["conflict", "unanswered"])
def test_an_amount_is_reserved_once_whatever_dynamodb_answers(stack: RunningStack, kind: AwsFault) -> None:
    """After a transaction that was refused, or committed without an answer, the item is read again."""
    booking = stack.reserve_paid()
    booking.faults.fail_aws("dynamodb.TransactWriteItems", kind, 3, caller="reserve_refund")
    assert booking.refund().status == 200
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")


@pytest.mark.defect("D-13")
def test_a_crash_between_stripes_answer_and_our_write_refunds_once(stack: RunningStack) -> None:
    """The repeat finds the refund by its metadata."""
    booking = stack.reserve_paid()
    booking.faults.fail_aws("dynamodb.UpdateItem", "internal_error", 3, caller="create_refund")
    assert booking.refund().status == 200
    requested = [
        request.operation for request in stack.stripe.requests if booking.payment_intent in str(request.params)
    ]
    assert requested.count("refunds.create") == 1
    assert requested.count("refunds.list") == 2
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.wait_for_refund_end().visited == COMPLETED


@pytest.mark.defect("D-13")
def test_a_refund_without_an_answer_is_not_repeated_even_when_stripe_has_forgotten_its_key(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own retry gets no answer either, so the state runs again: here a day and an hour later."""
    booking = stack.reserve_paid()
    lists: list[str] = []

    def let_time_pass(_: str, refund_id: str) -> None:
        lists.append(refund_id)
        if len(lists) == 2:
            stack.stripe.clock.advance(25 * 3600)

    call_before(monkeypatch, stripe_api, "list_refunds", let_time_pass)
    booking.faults.fail_stripe("refunds.create", "timeout_after", 2)
    try:
        booking.refund()
        assert booking.wait_for_refund_end().status == "SUCCEEDED"
    finally:
        stack.stripe.clock.advance(-25 * 3600)
    assert lists == [booking.cancellation_id] * 2
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert booking.refund_execution().visited == COMPLETED
