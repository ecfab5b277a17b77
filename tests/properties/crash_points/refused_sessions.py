"""Scenarios in which Stripe refuses to create, read or close a session: operators are notified."""

from tests.harness.booking_driver import VISA
from tests.harness.waiting import wait_until
from tests.properties.crash_points.crash_driver import CrashDriver


def refused_to_read_a_session_then_paid(driver: CrashDriver) -> None:
    """Operators are notified, even if the function crashes meanwhile."""
    driver.wait_for_session()
    driver.faults.fail_stripe("checkout.sessions.retrieve", "refuse", 1_000)
    driver.pay(VISA)
    driver.wait_for_notification(f"StripeRefused: reservation {driver.id}")
    driver.faults.stripe.clear()
    driver.wait_for_status("completed")


def refused_to_close_a_session_then_cancelled(driver: CrashDriver) -> None:
    def refuse() -> None:
        for operation in ("checkout.sessions.expire", "checkout.sessions.retrieve"):
            driver.faults.fail_stripe(operation, "refuse", 1_000)

    driver.wait_for_session()
    driver.faults.before("expire_checkout_sessions", refuse)
    driver.cancel()
    driver.wait_for_notification(f"StripeRefused: reservation {driver.id}")
    driver.faults.stripe.clear()
    wait_until(lambda: driver.reservation_status == "cancelled", "the release")


def refused_for_good_then_cancelled(driver: CrashDriver) -> None:
    """If the first notification is lost, the next refusal notifies the operators."""

    def wait_for_retry() -> None:
        wait_until(lambda: driver.payment_or_empty.get("awaiting") == "retry", "the wait for another attempt")

    driver.faults.fail_stripe("checkout.sessions.create", "refuse", times=20)
    driver.call("POST", "checkout-session", {"reservation_id": driver.id})
    wait_for_retry()
    driver.call("POST", f"{driver.id}/retry")
    driver.wait_for_notification(f"PaymentRefused: Stripe refuses the Checkout Session for reservation {driver.id}")
    wait_for_retry()
    driver.cancel()
    wait_until(lambda: driver.reservation_status == "cancelled", "the release")
