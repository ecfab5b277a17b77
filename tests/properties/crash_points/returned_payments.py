"""Scenarios about money that was returned before anybody decided, and about operators who read."""

from tests.harness.booking_driver import VISA
from tests.harness.waiting import wait_until
from tests.properties.crash_points.crash_driver import CrashDriver


def returned_before_the_confirmation(driver: CrashDriver) -> None:
    """The event of the payment never comes: VerifyPayment finds the money, and what was returned and disputed of it."""
    driver.wait_for_session()
    _pay_and_return(driver)
    driver.return_from_stripe()
    driver.wait_until_awaiting("retry")
    driver.wait_for_notification(f"PaymentDisputed: reservation {driver.id}")  # of an event that the reconciler found
    driver.cancel()
    driver.wait_for_status("expired")


def returned_before_the_cancellation(driver: CrashDriver) -> None:
    """ExpireCheckoutSessions finds the money."""
    driver.wait_for_session()
    driver.faults.before("expire_checkout_sessions", lambda: _pay_and_return(driver))
    driver.cancel()
    driver.wait_for_status("expired")


def _pay_and_return(driver: CrashDriver) -> None:
    driver.faults.webhooks = "drop"
    driver.pay(VISA)
    driver.withdrawn = True
    (intent,) = driver.intents()
    driver.stack.stripe.dashboard_refund(intent["id"], 100)
    driver.stack.stripe.open_dispute(intent["id"])


def read_by_operators(driver: CrashDriver) -> None:
    driver.pay_new_session()
    driver.wait_for_status("completed")
    driver.refund()
    driver.wait_for_refund("succeeded")
    pi = driver.payment["stripe_payment_intent_id"]
    executions = (f"/{driver.id}/executions/{name}" for name in (driver.id, driver.cancellation_id))
    for path in (f"?q={pi}", f"/{driver.id}", *executions):
        wait_until(lambda: _answered(driver, path), f"an answer to {path}")  # noqa: B023 - called at once


def _answered(driver: CrashDriver, path: str) -> bool:
    return driver.stack.request("GET", f"payments{path}", driver.stack.operator).ok


RETURNED = (returned_before_the_confirmation, returned_before_the_cancellation, read_by_operators)
