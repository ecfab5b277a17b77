"""How ids are derived from other ids."""

from hashlib import sha256


def payment_id_of(reservation_id: str) -> str:
    return f"PAY-{reservation_id}"


def cancellation_id(payment_id: str) -> str:
    """One cancellation a payment: a second click finds the first, the next day too."""
    return f"{payment_id}-cancellation"


def unapplied_refund_id(of: str) -> str:
    """`of`: the capture's PaymentIntent, or the refund from the dashboard that has failed to give it back."""
    return f"REF-{of}"


def goodwill_id(payment_id: str, idempotency_key: str) -> str:
    return f"{payment_id}-{sha256(idempotency_key.encode(errors='replace')).hexdigest()[:12]}"
