"""Ids that are derived from other ids, so that a repeat finds what the first try made."""

from hashlib import sha256


def payment_id_of(reservation_id: str) -> str:
    """The id of a reservation's payment."""
    return f"PAY-{reservation_id}"


def reservation_id_of(payment_id: str) -> str:
    """The reservation of a payment id; a reservation id stays as it is."""
    return payment_id.removeprefix(payment_id_of(""))


def checkout_key(payment_id: str, attempt_key: str) -> str:
    """The idempotency key of an attempt's Checkout Session: under it Stripe finds the session of a lost answer."""
    return f"{payment_id}:checkout:{attempt_key}"


def cancellation_id(payment_id: str) -> str:
    """The id of a payment's cancellation refund; there is one per payment, however often it is requested."""
    return f"{payment_id}-cancellation"


def unapplied_refund_id(of: str) -> str:
    """The refund of an unapplied payment; `of` is its PaymentIntent, or the dashboard refund that failed."""
    return f"REF-{of}"


def goodwill_id(payment_id: str, idempotency_key: str) -> str:
    """The id of a goodwill refund; the same idempotency key gives the same refund."""
    return f"{payment_id}-{sha256(idempotency_key.encode(errors='replace')).hexdigest()[:12]}"
