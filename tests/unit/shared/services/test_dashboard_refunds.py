"""shared.services.dashboard_refunds: what Stripe has returned without us takes the place of what we reserved."""

from typing import Any

import pytest

from shared.adapters import payment_items
from shared.domain.errors import NotWaiting
from shared.domain.models import Payment, Refund
from shared.domain.stripe_values import StripeRefund
from shared.services.dashboard_refunds import record_dashboard_refund
from tests.harness.builders import TOTAL, capture, payment, refund
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.frozen_clock import Clock
from tests.harness.stored_tables import Stored

AWAITS_OPERATOR = {"status": "failed", "awaiting": "operator", "task_token": "token"}


@pytest.fixture(autouse=True)
def prepared(stored: Stored, clock: Clock, fake_aws: FakeAws) -> None:
    fake_aws.waiting.add("token")


def store(stored: Stored, *refunds: Refund) -> Payment:
    """A paid booking with these refunds, each of which has reserved its amount."""
    left = TOTAL - sum(entry.amount for entry in refunds)
    entries = {f"G{number}": entry for number, entry in enumerate(refunds, 1)}
    settled = sum(entry.amount for entry in refunds if entry.status == "settled_elsewhere")
    pending = sum(entry.amount for entry in refunds if entry.status == "pending")
    captures = {"pi_1": capture(role="booking", refundable=left)}
    status: Any = "refunded" if settled == TOTAL else "partially_refunded" if settled else "completed"
    amounts = {"refund_amount": settled, "refund_pending_amount": pending}
    before = payment(status=status, captures=captures, refunds=entries, **amounts)
    stored.payment(before)
    return before


def in_dashboard(before: Payment, amount: int, status: Any = "succeeded") -> Payment:
    given = StripeRefund(id="re_1", payment_intent="pi_1", status=status, amount=amount)
    record_dashboard_refund(before, given)
    after = payment_items.read_payment("PAY-RES-1")
    assert after is not None
    return after


@pytest.mark.defect("R-08")
@pytest.mark.parametrize(
    ("reserved", "amount", "left", "failed_left"),
    [(500, TOTAL - 500, 0, 500), (500, TOTAL - 400, 0, 400), (500, TOTAL, 0, 0), (TOTAL, 400, 0, TOTAL - 400)],
)
def test_a_dashboard_refund_takes_what_a_failed_refund_of_ours_has_reserved(
    stored: Stored, reserved: int, amount: int, left: int, failed_left: int
) -> None:
    """Stripe has returned it, so the failed one cannot return it any more: the capture never falls below zero."""
    after = in_dashboard(store(stored, refund(amount=reserved, **AWAITS_OPERATOR)), amount)
    assert (after.captures["pi_1"].refundable, after.refunds["G1"].amount) == (left, failed_left)
    assert after.refunds["G1"].status == ("failed" if failed_left else "settled_elsewhere")
    assert after.refund_amount == amount
    assert left + failed_left + amount == TOTAL


@pytest.mark.defect("R-08")
@pytest.mark.parametrize(("amount", "signalled"), [(400, []), (TOTAL, [("token", "retry")])])
def test_the_workflow_of_a_failed_refund_ends_when_nothing_of_it_is_left(
    stored: Stored, fake_aws: FakeAws, amount: int, signalled: Any
) -> None:
    in_dashboard(store(stored, refund(amount=TOTAL, **AWAITS_OPERATOR)), amount)
    assert fake_aws.signalled == signalled


@pytest.mark.defect("R-08", "R-09")
def test_what_was_settled_elsewhere_and_then_refunded_by_another_amount_is_counted_once(
    stored: Stored, fake_aws: FakeAws
) -> None:
    after = in_dashboard(store(stored, refund(status="settled_elsewhere", amount=TOTAL)), 400)
    assert (after.refund_amount, after.captures["pi_1"].refundable) == (TOTAL, 0)
    assert after.refunds["G1"].amount == TOTAL - 400
    assert fake_aws.notified == ["RefundSettledTwice"]


@pytest.mark.defect("R-08")
def test_an_amount_that_a_refund_of_ours_still_holds_is_entered_once_that_has_failed(stored: Stored) -> None:
    """Stripe will refuse ours, and the event is delivered again."""
    before = store(stored, refund(amount=TOTAL))
    with pytest.raises(NotWaiting):
        in_dashboard(before, 400)
    assert in_dashboard(store(stored, refund(amount=TOTAL, status="failed")), 400).refunds["G1"].amount == TOTAL - 400


@pytest.mark.defect("R-08")
def test_a_dashboard_refund_that_fails_returns_its_amount_to_the_capture(stored: Stored) -> None:
    after = in_dashboard(store(stored, refund(amount=TOTAL, status="failed")), 400)
    again = in_dashboard(after, 400, "failed")
    assert (again.captures["pi_1"].refundable, again.refunds["G1"].amount) == (400, TOTAL - 400)
