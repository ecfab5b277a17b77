"""The drawer "What if…": things that go wrong, each for the booking that is on the page where that is possible."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.admin_api.local_admin import LocalAdmin
from local.fake_stripe.stripe_errors import StripeError

type Json = dict[str, Any]

FAILING_CALLS = 6


@dataclass(frozen=True)
class Scenario:
    """`will_happen` is read before the button is pressed; `run` returns what has happened, or raises ValueError."""

    name: str
    label: str
    will_happen: str
    run: Callable[[LocalAdmin, str], str]
    needs_booking: bool = True


def _lose_webhooks(admin: LocalAdmin, _: str) -> str:
    admin.fake_stripe.webhooks.set_mode("drop")
    return "Stripe's events are lost from now on. Pay, and watch: the page you return to asks Stripe itself."


def _deliver_webhooks(admin: LocalAdmin, _: str) -> str:
    admin.fake_stripe.webhooks.set_mode("deliver")
    admin.fake_stripe.faults.clear()
    admin.fake_stripe.refund_status = None
    return "Everything works again. The reconciler finds what was lost, at the latest within a minute."


def _stripe_down(admin: LocalAdmin, _: str) -> str:
    admin.fake_stripe.faults.add("*", "reset", FAILING_CALLS)
    return f"The next {FAILING_CALLS} calls to Stripe get no answer. The hold goes on, and the workflow asks again."


def _pay_twice(admin: LocalAdmin, reservation_id: str) -> str:
    payment = _payment(admin, reservation_id)
    sessions = [attempt.get("stripe_checkout_session_id") for attempt in payment["attempts"].values()]
    unpaid = [session for session in sessions if session and _session(admin, session)["payment_status"] != "paid"]
    if len(sessions) > 1 and unpaid:
        admin.fake_stripe.force_payment(unpaid[0])
        return "An earlier payment page was paid as well. The booking needs one payment only: the other goes back."
    if not unpaid:
        raise ValueError("This booking has one payment page, and it is paid: Stripe takes no second payment on it.")
    admin.fake_stripe.pay(unpaid[0])
    second = admin.fake_stripe.pay(unpaid[0])
    return f"The first tab has paid. In the second one Stripe said: {second.message}"


def _window_passes(admin: LocalAdmin, reservation_id: str) -> str:
    payment = _payment(admin, reservation_id)
    current = payment["attempts"].get(payment.get("current_attempt", ""), {})
    if current.get("status") != "open":
        raise ValueError("No payment page is open. Press Pay now first, and come back here.")
    admin.fake_stripe.expire_session(current["stripe_checkout_session_id"])
    return "The 30 minutes are over: the payment page is closed. The nights are still held, and you can try again."


def _hold_passes(admin: LocalAdmin, reservation_id: str) -> str:
    if admin.reservation(reservation_id)["status"] != "pending":
        raise ValueError("This booking is not waiting for its payment.")
    admin.end_hold(reservation_id)
    return "The day is over, and nobody has paid: the nights are being released."


def _refunds_fail(admin: LocalAdmin, _: str) -> str:
    admin.fake_stripe.refund_status = "failed"
    return "Refunds fail from now on. Cancel a paid stay: an operator is asked what to do."


def _dispute(admin: LocalAdmin, reservation_id: str) -> str:
    captures = _payment(admin, reservation_id).get("captures", {})
    if not captures:
        raise ValueError("Nothing has been paid yet, so nothing can be disputed.")
    admin.fake_stripe.open_dispute(next(iter(captures)))
    return "The bank disputes the payment. Refunds are blocked, and operators are notified."


def _warn_of_fraud(admin: LocalAdmin, reservation_id: str) -> str:
    captures = _payment(admin, reservation_id).get("captures", {})
    if not captures:
        raise ValueError("Nothing has been paid yet, so nobody can warn of fraud.")
    admin.fake_stripe.warn_of_fraud(next(iter(captures)))
    return "The card network warns of fraud. Operators are notified; they can refund and cancel before a dispute."


def _stop_execution(admin: LocalAdmin, reservation_id: str) -> str:
    replaced = admin.replacement(reservation_id)
    name = reservation_id if replaced is None else replaced[0]
    if admin.execution(name).status != "RUNNING":
        raise ValueError("The workflow of this booking has already ended.")
    admin.stop_execution(name)
    return f"The execution {name} was stopped. A new one takes over from what is stored."


def going_wrong(admin: LocalAdmin) -> list[str]:
    """What was let go wrong for all bookings, and still does."""
    stripe = admin.fake_stripe
    lasting = {
        "Stripe's events are lost.": stripe.webhooks.mode == "drop",
        "Stripe does not answer.": bool(stripe.faults.pending()),
        "Refunds fail.": stripe.refund_status == "failed",
    }
    return [what for what, lasts in lasting.items() if lasts]


SCENARIOS = (
    Scenario("webhook-lost", "Webhooks get lost", "Stripe's events no longer arrive.", _lose_webhooks, False),
    Scenario("stripe-down", "Stripe is down", "The next calls to Stripe get no answer.", _stripe_down, False),
    Scenario("pay-twice", "The guest pays twice", "The payment page is paid in two tabs.", _pay_twice),
    Scenario("window-passes", "30 minutes pass", "The payment page closes unpaid.", _window_passes),
    Scenario("hold-passes", "A day passes", "The hold ends, and the nights are released.", _hold_passes),
    Scenario("refunds-fail", "Refunds fail", "Stripe cannot return money to the card.", _refunds_fail, False),
    Scenario("dispute", "The guest disputes", "The bank takes the money back until it has decided.", _dispute),
    Scenario("fraud-warning", "A fraud warning comes", "The card network expects a dispute.", _warn_of_fraud),
    Scenario("execution-stopped", "The workflow is stopped", "Its execution ends in the middle.", _stop_execution),
    Scenario("all-well", "Everything works again", "Ends what the others began at Stripe.", _deliver_webhooks, False),
)


def run(admin: LocalAdmin, name: str, reservation_id: str) -> str:
    """What has happened. Raises ValueError where it cannot, with the reason, and LookupError for an unknown name."""
    scenario = next((known for known in SCENARIOS if known.name == name), None)
    if scenario is None:
        raise LookupError(f"no scenario {name}")
    if scenario.needs_booking and not reservation_id:
        raise ValueError("Open one of your bookings first.")
    try:
        return scenario.run(admin, reservation_id)
    except StripeError as error:
        raise ValueError(str(error.error["message"])) from error


def _payment(admin: LocalAdmin, reservation_id: str) -> Json:
    try:
        return admin.payment(reservation_id)
    except LookupError:
        raise ValueError("The payment of this booking has not started yet. Press Pay now first.") from None


def _session(admin: LocalAdmin, session_id: str) -> Json:
    return admin.fake_stripe.get("checkout.session", session_id)
