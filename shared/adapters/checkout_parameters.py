"""What a Checkout Session shows and does, as parameters of Stripe."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from shared.domain.booking import Reservation
from shared.domain.refund_policy import RefundTier, terms
from shared.settings import settings


def checkout_parameters(
    reservation: Reservation,
    *,
    payment_id: str,
    attempt_key: str,
    expires_at: datetime,
    success_url: str,
    cancel_url: str,
    policy: Sequence[RefundTier],
    with_email: bool = True,
) -> str:
    """The parameters of a session as JSON, stored before they are sent so that a repeat sends exactly the same.

    Without an e-mail address Stripe asks the guest for one.
    """
    reservation_id = reservation.reservation_id
    metadata = {
        "stack": settings().stack,
        "reservation_id": reservation_id,
        "payment_id": payment_id,
        "attempt": attempt_key,
    }
    today = expires_at.astimezone(settings().time_zone).date()
    stay = f"{settings().property_name}: {stay_in_words(reservation.check_in, reservation.check_out)}"
    payment_intent_data: dict[str, Any] = {"metadata": metadata, "description": f"{stay} ({reservation_id})"}
    parameters: dict[str, Any] = {
        "mode": "payment",
        "submit_type": "book",
        # Limits what the dashboard enables; `payment_method_types` was removed in version 2026-09-30.
        "allowed_payment_method_types": ["card"],
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "eur",
                    "unit_amount": amount,
                    "product_data": {"name": label, "description": f"Reservation {reservation_id}"},
                },
            }
            for label, amount in _lines(reservation, stay)
        ],
        "client_reference_id": reservation_id,
        "metadata": metadata,
        "payment_intent_data": payment_intent_data,
        "expires_at": int(expires_at.timestamp()),
        "locale": "auto",
        "success_url": success_url,
        "cancel_url": cancel_url,
        "adaptive_pricing": {"enabled": False},
        "custom_text": {"submit": {"message": terms(policy, reservation.check_in, today)}},
    }
    if settings().statement_descriptor_suffix:
        payment_intent_data["statement_descriptor_suffix"] = settings().statement_descriptor_suffix
    email = (reservation.customer_email or "").strip()
    if email and with_email:
        parameters["customer_email"] = email
        if settings().send_receipts:
            payment_intent_data["receipt_email"] = email
    return json.dumps(parameters, ensure_ascii=False)


def stay_in_words(check_in: date, check_out: date) -> str:
    nights = (check_out - check_in).days
    return f"{nights} night{'s' if nights > 1 else ''}, {check_in:%-d %B %Y} to {check_out:%-d %B %Y}"


def _lines(reservation: Reservation, stay: str) -> list[tuple[str, int]]:
    """The platform's lines if they add up to the total, otherwise one."""
    lines = [(line.label, line.amount) for line in reservation.line_items or []]
    if sum(amount for _, amount in lines) != reservation.total_amount:
        return [(stay, reservation.total_amount)]
    return lines
