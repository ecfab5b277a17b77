"""Scenarios that lead through the states that no scenario of the crash table enters."""

from datetime import timedelta

from tests.harness.booking_driver import VISA
from tests.harness.waiting import wait_until
from tests.properties.crash_points.crash_driver import CrashDriver
from tests.properties.crash_points.crash_scenarios import Scenario, paid
from tests.properties.simulation.simulation_faults import Crash


def stripe_unavailable_then_paid(driver: CrashDriver) -> None:
    driver.wait_for_session()
    driver.faults.fail_stripe("checkout.sessions.retrieve", "rate_limit", 1_000)
    driver.pay(VISA)
    wait_until(lambda: ("payment", "AwaitStripe") in driver.visited(), "the wait for Stripe")
    driver.faults.stripe.clear()
    driver.wait_for_status("completed")


def reminded_then_cancelled(driver: CrashDriver) -> None:
    """The only one whose hold ends soon."""
    driver.set_back("reservations", "created_at", timedelta(hours=20))
    driver.wait_for_session()
    driver.expire_at_stripe()
    wait_until(lambda: ("payment", "PublishHoldEnding") in driver.visited(), "the reminder that the hold ends")
    driver.wait_until_awaiting("retry")
    driver.cancel()
    driver.wait_for_status("expired")


def confirmed_by_the_platform(driver: CrashDriver) -> None:
    """The payment ends, and operators are notified."""
    driver.wait_for_session()
    driver.change_reservation(status="confirmed")
    driver.expire_at_stripe()
    driver.wait_for_notification(f"BookedElsewhere: reservation {driver.id}")


def reservation_that_cannot_be_read(driver: CrashDriver) -> None:
    """Every replacement fails in the same way until the reservation can be read again."""
    driver.wait_for_session()
    driver.set_stored("reservations", "check_in", "tomorrow")
    driver.expire_at_stripe()
    driver.wait_for_notification(f"PaymentRestartsExhausted: reservation {driver.id}")
    driver.set_stored("reservations", "check_in", driver.check_in.isoformat())
    wait_until(lambda: driver.payment.get("awaiting") == "retry", "the next replacement")
    driver.cancel()
    wait_until(lambda: driver.reservation_status == "cancelled", "the release")


def refund_whose_function_keeps_crashing(driver: CrashDriver) -> None:
    """It crashes more often than the state retries it, so that a replacement execution has to finish the refund."""
    paid(driver)
    driver.faults.crashes += [Crash("record_refund", 0, "before", run=run) for run in range(6)]
    driver.refund()
    driver.wait_for_refund("succeeded")


FOR_REMAINING_STATES: tuple[Scenario, ...] = (
    stripe_unavailable_then_paid,
    reminded_then_cancelled,
    confirmed_by_the_platform,
    reservation_that_cannot_be_read,
    refund_whose_function_keeps_crashing,
)
