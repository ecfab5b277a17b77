"""lambdas.reserve_refund: what it records in the ledger before money moves."""

from typing import Any

import pytest

from lambdas import reserve_refund
from shared.adapters.dynamodb import to_item
from shared.domain.errors import NotEnoughLeft
from shared.domain.models import Dispute
from tests.harness.booking_states import BookingStates, Json
from tests.harness.builders import NOW, TOTAL, capture, payment, refund
from tests.harness.transaction_faults import overtaken_by

ORDER: Json = {"payment_intent": "pi_1", "amount": 500, "requested_by": "operator"}


@pytest.fixture
def paid(booking: BookingStates) -> BookingStates:
    booking.replace(payment(status="completed", captures={"pi_1": capture(role="booking")}))
    booking.stored.reservation(status="confirmed")
    return booking


def test_a_second_run_returns_the_entry_and_reserves_nothing_more(reserved: BookingStates) -> None:
    before = reserved.item
    pi = before["stripe_payment_intent_id"]
    order = {"kind": "goodwill", "payment_intent": pi, "amount": 500, "requested_by": "operator"}
    assert reserved.run_refund(reserve_refund, **order) == {"status": "pending", "amount": 500}
    assert reserved.item == before


def test_a_refund_that_is_reserved_is_returned_although_its_capture_is_disputed_since(reserved: BookingStates) -> None:
    """Only money that paid for nothing waits for an operator then."""
    pi = reserved.item["stripe_payment_intent_id"]
    dispute = Dispute(status="needs_response", payment_intent=pi, amount=TOTAL, opened_at=NOW)
    reserved.change(disputes={"du_1": to_item(dispute)})
    order = ORDER | {"payment_intent": pi}
    assert reserved.run_refund(reserve_refund, kind="goodwill", **order) == {"status": "pending", "amount": 500}


def test_a_settled_refund_is_returned_although_its_capture_is_disputed_since(booking: BookingStates) -> None:
    """The execution that replaces one which died while it published the refund ends."""
    done = refund(kind="unapplied", amount=TOTAL, status="succeeded", stripe_refund_id="re_1")
    dispute = Dispute(status="needs_response", payment_intent="pi_1", amount=TOTAL, opened_at=NOW)
    captures = {"pi_1": capture(role="unapplied", refundable=0)}
    booking.replace(payment(captures=captures, refunds={"G1": done}, disputes={"du_1": dispute}, refund_amount=TOTAL))
    order = {"kind": "unapplied", "payment_intent": "pi_1", "requested_by": "workflow"}
    assert booking.run_refund(reserve_refund, **order)["status"] == "succeeded"


@pytest.mark.defect("D-13")
@pytest.mark.parametrize(
    ("kind", "amount", "left"),
    [("goodwill", TOTAL + 1, TOTAL), ("cancellation", 500, 499), ("cancellation", 1, -1), ("goodwill", 0, TOTAL)],
)
def test_no_more_is_reserved_than_is_left_and_nothing_only_for_a_cancellation(
    paid: BookingStates, kind: str, amount: int, left: int
) -> None:
    paid.change(captures={"pi_1": to_item(capture(role="booking", refundable=left))})
    with paid.fails_unchanged(NotEnoughLeft):
        paid.run_refund(reserve_refund, kind=kind, **ORDER | {"amount": amount})


@pytest.mark.defect("D-31")
def test_unapplied_money_that_the_dashboard_refunded_is_marked_although_nothing_is_left(booking: BookingStates) -> None:
    """The dashboard's refund may still fail, and then the webhook must refund the money."""
    booking.replace(payment(captures={"pi_1": capture(refundable=0)}))
    with pytest.raises(NotEnoughLeft):
        booking.run_refund(reserve_refund, kind="unapplied", payment_intent="pi_1", requested_by="workflow")
    assert booking.item["captures"]["pi_1"]["role"] == "unapplied"
    assert booking.item.get("refunds", {}) == {}


@pytest.mark.defect("D-13")
def test_a_refund_that_lost_a_race_is_reserved_from_what_is_left_then(
    paid: BookingStates, break_transaction: Any
) -> None:
    left = {"pi_1": to_item(capture(role="booking", refundable=TOTAL - 100))}
    break_transaction(overtaken_by(lambda: paid.change(captures=left)))
    assert paid.run_refund(reserve_refund, kind="goodwill", **ORDER) == {"status": "pending", "amount": 500}
    assert paid.entry["amount"] == 500
    assert paid.item["captures"]["pi_1"]["refundable"] == TOTAL - 600


def test_a_stay_that_began_meanwhile_is_refunded_and_not_cancelled(paid: BookingStates, break_transaction: Any) -> None:
    break_transaction(overtaken_by(lambda: paid.stored.reservation(status="checked_in")))
    paid.run_refund(reserve_refund, kind="cancellation", **ORDER)
    assert paid.entry["amount"] == 500
    assert (paid.reservation["status"], paid.night("2026-12-20")["status"]) == ("checked_in", "booked")


def test_a_cancellation_cancels_the_stay_and_frees_its_nights_and_no_others(
    paid: BookingStates, break_transaction: Any
) -> None:
    break_transaction(overtaken_by(lambda: paid.stored.night("2026-12-21", "RES-2")))
    paid.run_refund(reserve_refund, kind="cancellation", **ORDER)
    assert (paid.reservation["status"], paid.night("2026-12-20")["status"]) == ("cancelled", "available")
    assert paid.night("2026-12-21")["reservation_id"] == "RES-2"


def test_a_capture_gets_the_role_unapplied_with_the_refund_of_an_unapplied_payment_alone(
    booking: BookingStates,
) -> None:
    booking.replace(payment(captures={"pi_1": capture()}))
    booking.run_refund(reserve_refund, kind="unapplied", payment_intent="pi_1", requested_by="workflow")
    assert booking.entry["amount"] == TOTAL
    assert booking.item["captures"]["pi_1"]["role"] == "unapplied"
