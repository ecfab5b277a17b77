"""Domain values for tests; each test states only the fields that its situation is about.

The booking is two nights for EUR 1,125.00. It was reserved 2 hours ago with a hold of 24 hours, and its only session
was opened 10 minutes ago.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.domain.booking import Booking, Reservation
from shared.domain.due import due_shard
from shared.domain.models import Attempt, Capture, Payment, Refund
from shared.domain.session_outcomes import SessionOutcome
from shared.domain.stripe_values import CheckoutSession, PaymentIntent

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
MINUTE, SECOND, HOUR = timedelta(minutes=1), timedelta(seconds=1), timedelta(hours=1)
WINDOW = timedelta(minutes=30)
TOTAL = 112_500


def reservation(**changes: Any) -> Reservation:
    fields: dict[str, Any] = {
        "reservation_id": "RES-1",
        "customer_id": "guest-1",
        "customer_email": "ada@guests.example",
        "check_in": date(2026, 12, 20),
        "check_out": date(2026, 12, 22),
        "status": "pending",
        "total_amount": TOTAL,
        "created_at": NOW - 2 * HOUR,
    }
    return Reservation(**(fields | changes))


def attempt(**changes: Any) -> Attempt:
    """An attempt that AwaitPayment has published."""
    fields: dict[str, Any] = {
        "status": "open",
        "counted": 1,
        "amount": TOTAL,
        "parameters": "{}",
        "opened_at": NOW - 10 * MINUTE,
        "deadline": NOW + 20 * MINUTE,
        "stripe_checkout_session_id": "cs_1",
        "checkout_url": "https://checkout.stripe.com/c/pay/cs_1",
        "checkout_expires_at": NOW + 25 * MINUTE,
    }
    return Attempt(**(fields | changes))


def opening(**changes: Any) -> Attempt:
    """An attempt that is stored, before Stripe has answered."""
    fields: dict[str, Any] = {
        "status": "opening",
        "amount": TOTAL,
        "parameters": "{}",
        "opened_at": NOW - MINUTE,
        "deadline": NOW + 29 * MINUTE,
    }
    return Attempt(**(fields | changes))


def closed(**changes: Any) -> Attempt:
    return attempt(
        **(
            {
                "status": "closed",
                "closed_at": NOW - MINUTE,
                "close_reason": "expired",
                "checkout_url": None,
                "deadline": NOW - 5 * MINUTE,
            }
            | changes
        )
    )


def capture(**changes: Any) -> Capture:
    fields: dict[str, Any] = {
        "amount": TOTAL,
        "currency": "EUR",
        "session": "cs_1",
        "charge": "ch_1",
        "captured_at": NOW - MINUTE,
    }
    fields |= changes
    return Capture(**({"refundable": fields["amount"]} | fields))


def refund(**changes: Any) -> Refund:
    """A refund of EUR 5.00 that Stripe has not received yet."""
    fields: dict[str, Any] = {
        "kind": "goodwill",
        "payment_intent": "pi_1",
        "amount": 500,
        "status": "pending",
        "created_at": NOW - MINUTE,
    }
    return Refund(**(fields | changes))


def payment(**changes: Any) -> Payment:
    """A payment that is due now."""
    fields: dict[str, Any] = {
        "payment_id": "PAY-RES-1",
        "reservation_id": "RES-1",
        "status": "pending",
        "hold_expires_at": NOW + 22 * HOUR,
        "success_url": "https://stay.example/booking/success",
        "cancel_url": "https://stay.example/booking/cancel",
        "created_at": NOW - HOUR,
        "updated_at": NOW - 10 * MINUTE,
        "due_at": NOW,
    }
    fields |= changes
    return Payment(**({"due_shard": due_shard(fields["payment_id"])} | fields))


def paying(**changes: Any) -> Payment:
    """A payment whose first session is open."""
    return payment(**({"attempts": {"1": attempt()}, "current_attempt": "1", "amount": TOTAL} | changes))


def paid(**changes: Any) -> Payment:
    """A payment whose only session took money."""
    fields: dict[str, Any] = {
        "attempts": {"1": attempt(status="paid", closed_at=NOW - MINUTE, close_reason="paid", checkout_url=None)},
        "captures": {"pi_1": capture()},
    }
    return paying(**(fields | changes))


def outcome(**changes: Any) -> SessionOutcome:
    """What is known of the session of an attempt, by default of an open one."""
    return SessionOutcome(**({"attempt": attempt()} | changes))


def booking(
    of: Payment | None = None, *, reserved: Reservation | None = None, held: Collection[str] | None = None
) -> Booking:
    """A booking that holds all of its nights, or those in `held`."""
    reserved = reserved or reservation()
    return Booking(reservation=reserved, payment=of, held=frozenset(reserved.nights if held is None else held))


def intent(status: str, **changes: Any) -> PaymentIntent:
    fields: dict[str, Any] = {"id": "pi_1", "status": status, "amount_received": 0, "currency": "eur"}
    if status == "succeeded":
        fields |= {"amount_received": TOTAL, "charge": "ch_1", "captured_at": NOW - MINUTE}
    return PaymentIntent(**(fields | changes))


def session(status: str, payment_status: str = "unpaid", of: PaymentIntent | None = None) -> CheckoutSession:
    return CheckoutSession(
        id="cs_1",
        status=status,  # type: ignore[arg-type]
        payment_status=payment_status,
        url="https://checkout.stripe.com/c/pay/cs_1" if status == "open" else None,
        expires_at=NOW + 25 * MINUTE,
        payment_intent=of,
    )
