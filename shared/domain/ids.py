"""Ids that are derived from other ids, so that a repeat finds what the first try made."""

from hashlib import sha256


def payment_id_of(reservation_id: str) -> str:
    """The id of a reservation's payment."""
    return f"PAY-{reservation_id}"


def reservation_id_of(payment_id: str) -> str:
    return payment_id.removeprefix(payment_id_of(""))


def cancellation_id(payment_id: str) -> str:
    """The id of a payment's cancellation refund; there is one per payment, however often it is requested."""
    return f"{payment_id}-cancellation"


def unapplied_refund_id(of: str) -> str:
    """The refund of an unapplied payment; `of` is its PaymentIntent, or the dashboard refund that failed."""
    return f"REF-{of}"


def goodwill_id(payment_id: str, idempotency_key: str) -> str:
    """The id of a goodwill refund; the same idempotency key gives the same refund."""
    return f"{payment_id}-{sha256(idempotency_key.encode(errors='replace')).hexdigest()[:12]}"
