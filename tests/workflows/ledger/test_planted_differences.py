"""Ten differences between the ledger and Stripe's balance are planted; each is found, and named."""

import time
from collections.abc import Callable

from local.fake_stripe import stripe_refunds
from tests.harness.booking_driver import BookingDriver
from tests.harness.reconciled_days import reconcile, rows_of, summary_of, today
from tests.harness.running_stack import RunningStack, run_stack
from tests.harness.waiting import wait_until

DAY = 86_400
FEE = 700  # of a charge of EUR 450


def refund_at_stripe(booking: BookingDriver, amount: int, **metadata: str) -> str:
    """Refund at Stripe as a program with its key can."""
    stripe = booking.stack.stripe
    with stripe.current():
        charge = stripe.get("charge", stripe.get("payment_intent", booking.payment_intent)["latest_charge"])
        return str(stripe_refunds.make(stripe, charge, amount, metadata=metadata, reason=None)["id"])


def goodwill(booking: BookingDriver) -> str:
    """A goodwill refund of EUR 10 that has succeeded; its refund id."""
    refund_id = str(booking.refund_goodwill(1000).body["refund_id"])
    wait_until(lambda: booking.payment["refunds"][refund_id]["status"] == "succeeded", "the refund")
    return refund_id


def entry_without_money(booking: BookingDriver) -> str:
    refund_id = goodwill(booking)
    booking.set_stored("payments", f"refunds.{refund_id}.stripe_refund_id", "re_ghost")
    paid = booking.stack.stripe.all("refund", lambda one: bool(one["metadata"].get("refund_id") == refund_id))
    for transaction in booking.stack.stripe.all(
        "balance_transaction", lambda one: bool(one["source"] == paid[0]["id"])
    ):
        booking.stack.stripe.remove(transaction["id"])
    return "money_missing"


def money_without_entry(booking: BookingDriver) -> str:
    captures = booking.payment["captures"]
    booking.set_stored("payments", "captures", {pi: one for pi, one in captures.items() if one["role"] != "booking"})
    return "entry_missing"


def wrong_amount(booking: BookingDriver) -> str:
    booking.set_stored("payments", f"captures.{booking.payment_intent}.amount", 44_999)
    return "wrong_amount"


def wrong_currency(booking: BookingDriver) -> str:
    booking.set_stored("payments", f"captures.{booking.payment_intent}.currency", "USD")
    return "wrong_currency"


def doubled_refund(booking: BookingDriver) -> str:
    refund_id = goodwill(booking)
    booking.faults.webhooks = "drop"
    refund_at_stripe(booking, 1000, stack="booking-local", refund_id=refund_id, payment_id=booking.payment_id)
    return "doubled_refund"


def refund_of_another_stack(booking: BookingDriver) -> str:
    refund_at_stripe(booking, 1000, stack="booking-other")
    wait_until(lambda: booking.payment["refund_amount"] == 1000, "the refund to be recorded")
    return "refund_of_another_stack"


def missing_dispute(booking: BookingDriver) -> str:
    booking.faults.webhooks = "drop"
    booking.stack.stripe.open_dispute(booking.payment_intent)
    return "dispute_missing"


def fee_counted_as_refund(booking: BookingDriver) -> str:
    booking.set_stored("payments", f"refunds.{goodwill(booking)}.amount", 1000 + FEE)
    return "fee_counted_as_refund"


def entry_on_the_wrong_day(booking: BookingDriver) -> str:
    booking.set_stored("payments", f"captures.{booking.payment_intent}.captured_at", "2027-01-08T09:00:00.000Z")
    return "wrong_day"


PLANTED: tuple[Callable[[BookingDriver], str], ...] = (
    *(entry_without_money, money_without_entry, wrong_amount, wrong_currency, doubled_refund),
    *(refund_of_another_stack, missing_dispute, fee_counted_as_refund, entry_on_the_wrong_day),
)


def test_ten_planted_differences_are_found_and_named() -> None:
    with run_stack(seed=18, take_short_cut=True) as stack:
        bookings = [stack.reserve_paid() for _ in PLANTED]
        paid_twice, day = stack.reserve_paid(), today()
        expected = {plant(booking): booking for plant, booking in zip(PLANTED, bookings, strict=True)}
        time.sleep(DAY)
        assert reconcile(stack)["differences"][day.isoformat()] == len(PLANTED)
        found = {one["kind"]: one["payment_id"] for one in summary_of(stack, day)["differences"]}
        assert found == {kind: booking.payment_id for kind, booking in expected.items()}
        for kind, booking in expected.items():
            (matter,) = [one for one in booking.payment["attention"].values() if one["kind"] == "ledger_mismatch"]
            assert matter["detail"].startswith(f"{kind} on {day}: Stripe has ")
        net = summary_of(stack, day)["net"]
        assert net == {"EUR": stack.stripe.balance()["eur"]}

        pay_out_twice(stack, paid_twice)
        time.sleep(DAY)
        reconcile(stack)
        (twice,) = [one for one in summary_of(stack, day)["differences"] if one["kind"] == "paid_out_twice"]
        assert twice["payment_id"] == paid_twice.payment_id
        assert "paid_out_twice" in str(paid_twice.payment["attention"])
        assert {len(row["payout"].split()) for row in rows_of(stack, day)} == {1, 2}


def pay_out_twice(stack: RunningStack, booking: BookingDriver) -> None:
    """Let two payouts contain the same charge."""
    charge = booking.payment["captures"][booking.payment_intent]["charge"]
    time.sleep(4 * DAY)
    stack.stripe.charge_elsewhere(amount=50_000)
    stack.stripe.pay_out()
    time.sleep(4 * DAY)
    (second,) = stack.stripe.pay_out()
    (transaction,) = stack.stripe.all("balance_transaction", lambda one: bool(one["source"] == charge))
    stack.stripe.paid_out[transaction["id"]].append(second["id"])
