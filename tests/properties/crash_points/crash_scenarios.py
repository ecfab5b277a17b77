"""What happens to a booking, in a fixed order: together the scenarios cover every outside call of every function."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

from tests.harness.booking_driver import DECLINED, REFUND_FAILS_LATER, REFUND_PENDING, VISA
from tests.harness.waiting import WaitTimeoutError, wait_until
from tests.properties.crash_points.crash_driver import CrashDriver
from tests.properties.crash_points.refused_sessions import (
    refused_for_good_then_cancelled,
    refused_to_close_a_session_then_cancelled,
    refused_to_read_a_session_then_paid,
)
from tests.properties.crash_points.returned_payments import RETURNED
from tests.properties.simulation.steps import PRICE

type Scenario = Callable[[CrashDriver], None]


def paid(driver: CrashDriver) -> None:
    driver.pay_new_session()
    driver.wait_for_status("completed")


def declined_then_paid(driver: CrashDriver) -> None:
    driver.pay_new_session(DECLINED)
    wait_until(lambda: any(attempt["declines"] for attempt in driver.payment["attempts"].values()), "the decline")
    driver.pay(VISA)
    driver.wait_for_status("completed")


def expired_then_retried_then_paid(driver: CrashDriver) -> None:
    driver.wait_for_session()
    driver.expire_at_stripe()
    driver.wait_until_awaiting("retry")
    driver.wait_for_session(driver.retry, number=2)
    driver.pay(VISA)
    driver.wait_for_status("completed")


def cancelled_unpaid(driver: CrashDriver) -> None:
    driver.wait_for_session()
    driver.cancel()
    driver.wait_for_status("expired")


def session_unanswered_then_cancelled(driver: CrashDriver) -> None:
    """Stripe creates the session and its answer is lost; it is found by its idempotency key, and closed."""
    driver.faults.fail_stripe("checkout.sessions.create", "timeout_after", 1_000)
    driver.pay_now()
    driver.wait_until_awaiting("retry")
    driver.faults.stripe.clear()
    driver.cancel()
    driver.wait_for_status("expired")


def idempotency_key_used_up_then_paid(driver: CrashDriver) -> None:
    driver.faults.fail_stripe("checkout.sessions.create", "server_error")
    driver.pay_new_session()
    driver.wait_for_status("completed")


def cancelled_before_the_payment_is_seen(driver: CrashDriver) -> None:
    driver.wait_for_session()
    driver.faults.webhooks = "drop"
    driver.pay(VISA)
    driver.cancel()
    driver.wait_for_status("expired")
    driver.wait_for_refund("succeeded")


def paid_after_the_release(driver: CrashDriver) -> None:
    driver.wait_for_session()
    driver.cancel()
    driver.wait_for_status("expired")
    driver.pay_in_old_tab(0)
    driver.wait_for_refund("succeeded")


def stay_cancelled(driver: CrashDriver) -> None:
    paid(driver)
    driver.refund()
    driver.wait_for_refund("succeeded")


def pending_refund(driver: CrashDriver) -> None:
    driver.stack.stripe.refund_delay_seconds = 10_000
    driver.pay_new_session(REFUND_PENDING)
    driver.wait_for_status("completed")
    driver.refund()
    driver.wait_for_refund_in("AwaitRefundSettlement", driver.cancellation_id)
    driver.settle_refunds("succeeded")
    driver.wait_for_refund("succeeded")


def refund_that_fails_later(driver: CrashDriver) -> None:
    driver.stack.stripe.refund_delay_seconds = 10_000
    driver.pay_new_session(REFUND_FAILS_LATER)
    driver.wait_for_status("completed")
    driver.refund()
    driver.wait_for_refund("succeeded")
    driver.wait_until_at_rest()
    driver.settle_refunds("failed")
    driver.wait_for_refund("failed")
    wait_until(lambda: driver.first_refund().get("awaiting") == "operator", "the wait for an operator")

    def settled() -> bool:
        # The execution that gets the answer may fail; its replacement asks again.
        if driver.first_refund().get("awaiting") == "operator":
            driver.resolve(driver.cancellation_id, "settled_elsewhere", note="after a call")
        return driver.first_refund().get("status") == "settled_elsewhere"

    wait_until(settled, "the refund to be settled elsewhere")


def goodwill_and_dashboard_refunds(driver: CrashDriver) -> None:
    paid(driver)
    driver.goodwill(1_000, 1)
    driver.wait_for_refund("succeeded")
    driver.refund_in_dashboard(2_000)
    wait_until(lambda: driver.payment["refund_amount"] == 3_000, "the dashboard refund")


def dashboard_refund_that_fails(driver: CrashDriver) -> None:
    paid(driver)
    driver.refund_in_dashboard(2_000)
    wait_until(lambda: driver.payment.get("refund_amount") == 2_000, "the dashboard refund")
    driver.wait_until_at_rest()
    with driver.stack.stripe.current():
        pi = driver.payment["stripe_payment_intent_id"]
        (refund,) = driver.stack.stripe.all("refund", lambda one: one["payment_intent"] == pi)
    driver.stack.stripe.settle_refund(refund["id"], "failed")
    driver.wait_for_refund("failed")


def disputed(driver: CrashDriver) -> None:
    paid(driver)
    dispute = driver.stack.stripe.open_dispute(driver.payment["stripe_payment_intent_id"])
    wait_until(lambda: dispute["id"] in driver.payment["disputes"], "the dispute")
    driver.wait_until_at_rest()
    driver.stack.stripe.close_dispute(dispute["id"], "won")
    wait_until(lambda: driver.payment["disputes"][dispute["id"]].get("closed_at"), "the end of the dispute")


def attempt_granted_then_repriced(driver: CrashDriver) -> None:
    """The price changes while a session is open: that is closed, and one at the new price opened."""
    driver.wait_for_session()
    driver.grant_attempt()
    driver.reprice(PRICE + 100)
    driver.wait_for_session(number=2)
    driver.pay(VISA)
    driver.wait_for_status("completed")


# Scenarios that the reconciler completes.


def execution_stopped(driver: CrashDriver) -> None:
    driver.wait_for_session()
    before = driver.payment["token_sequence"]
    driver.stop("payment", 0.0)
    # The guest pays before the session expires, whether or not a replacement waits for that by then.
    with contextlib.suppress(WaitTimeoutError):
        wait_until(lambda: driver.payment["token_sequence"] > before, "a replacement execution to wait", seconds=1200)
    driver.pay(VISA)
    driver.wait_for_status("completed")


def hold_without_payment(driver: CrashDriver) -> None:
    """Nobody ever presses "Pay now"."""
    driver.set_back("reservations", "created_at", timedelta(days=1))
    wait_until(lambda: driver.reservation_status == "expired", "the release")


def events_not_delivered(driver: CrashDriver) -> None:
    driver.faults.webhooks = "drop"
    paid(driver)


def dispute_not_delivered(driver: CrashDriver) -> None:
    paid(driver)
    driver.wait_until_at_rest()
    driver.faults.webhooks = "drop"
    driver.stack.stripe.open_dispute(driver.payment["stripe_payment_intent_id"])
    driver.wait_for_notification(f"PaymentDisputed: reservation {driver.id}")


def timer_that_is_late(driver: CrashDriver) -> None:
    """The hold ends while the workflow goes on waiting."""
    driver.wait_for_session()
    driver.set_back("payments", "hold_expires_at", timedelta(minutes=1))
    driver.make_due()
    driver.wait_for_status("expired")


def payment_found_after_the_release(driver: CrashDriver) -> None:
    """Nothing but the check of its sessions shows that the released booking was paid."""
    driver.wait_for_session()
    driver.faults.webhooks, driver.faults.events_lost = "drop", True
    driver.cancel()
    driver.wait_for_status("expired")
    driver.pay_in_old_tab(0)
    driver.set_back("payments", "updated_at", timedelta(hours=2))
    driver.make_due()
    driver.wait_for_refund("succeeded")


def cancelled_by_the_platform(driver: CrashDriver) -> None:
    paid(driver)
    driver.cancel_on_platform()
    driver.set_back("payments", "due_at", timedelta(minutes=1))
    driver.wait_for_notification(f"CancelledMoneyKept: reservation {driver.id}")
    driver.close_matter("cancelled_money_kept")


# In all other scenarios it is up to chance whether the reconciler comes across the booking.
RECONCILED: tuple[Scenario, ...] = (
    execution_stopped,
    hold_without_payment,
    events_not_delivered,
    dispute_not_delivered,
    timer_that_is_late,
    payment_found_after_the_release,
    cancelled_by_the_platform,
)

SCENARIOS: tuple[Scenario, ...] = (
    paid,
    declined_then_paid,
    expired_then_retried_then_paid,
    cancelled_unpaid,
    session_unanswered_then_cancelled,
    idempotency_key_used_up_then_paid,
    cancelled_before_the_payment_is_seen,
    paid_after_the_release,
    stay_cancelled,
    pending_refund,
    refund_that_fails_later,
    goodwill_and_dashboard_refunds,
    dashboard_refund_that_fails,
    disputed,
    attempt_granted_then_repriced,
    *RETURNED,
    refused_to_read_a_session_then_paid,
    refused_to_close_a_session_then_cancelled,
    refused_for_good_then_cancelled,
    *RECONCILED,
)
