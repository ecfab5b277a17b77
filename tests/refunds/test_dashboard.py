"""Refunds made in Stripe's dashboard, past us: entered by their own ids, never by a cumulative amount."""

from typing import Any

from tests.refunds.conftest import Booking, World, until


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
    (told,) = world.told_operators(refund)
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
        world.tell_and_wait(event_type, refund)
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
