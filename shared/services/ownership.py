"""Whose money it is: metadata finds a payment, and a Checkout Session that is stored on the payment proves it.

Whoever has access to the Stripe account can put our metadata on a charge. Only a PaymentIntent of a stored session is
adopted, confirmed or refunded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.adapters import payment_items, pointers
from shared.adapters.pointers import Pointer
from shared.adapters.webhook_events import StoredForEvent
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.attempts import AttemptKey
from shared.domain.ids import payment_id_of
from shared.domain.models import Payment
from shared.settings import settings

# Objects whose metadata is chosen by whoever makes them, in Stripe's dashboard or with another tool.
# A fraud warning has no metadata at all.
CHOSEN_METADATA = ("refund.", "charge.dispute.", "radar.")


@dataclass(frozen=True)
class Owner:
    """The payment that an event is about, and the attempt whose session proves it; None if nothing does."""

    payment: Payment
    attempt: AttemptKey | None


def find_owner(event: StripeEvent, stored: StoredForEvent) -> Owner | None:
    """The payment that the event is about; None if it is not ours and cannot become ours.

    A pointer to the payment is written with the first proof. Raises StripeUnavailable, StoreBusy.
    """
    pi, session = event.payment_intent, event.checkout_session
    pointer, named = stored.pointer, stored.named
    if pointer is not None:
        same = named is not None and named.payment_id == pointer.payment_id
        payment = named if same else payment_items.read_payment(pointer.payment_id)
        return None if payment is None else Owner(payment, pointer.attempt)
    if session is not None:
        attempt = None if named is None else named.attempt_of(session)
        if named is not None and attempt is not None and pi is not None:
            pointers.record_pointer(pi, Pointer(named.payment_id, attempt))
        return None if named is None else Owner(named, attempt)
    if pi is None or not (named or _metadata_undecided(event)):
        return None
    return _find_by_sessions(pi) or (None if named is None else Owner(named, None))


def prove_attempt(payment: Payment, pi: str) -> AttemptKey | None:
    """The attempt of this payment that the PaymentIntent belongs to, by its session; None if it belongs to none.

    Raises StripeUnavailable, StoreBusy.
    """
    pointer = pointers.read_pointer(pi)
    owner = None if pointer is not None else _find_by_sessions(pi)
    if owner is not None:
        return owner.attempt if owner.payment.payment_id == payment.payment_id else None
    return pointer.attempt if pointer is not None and pointer.payment_id == payment.payment_id else None


def _find_by_sessions(pi: str) -> Owner | None:
    """Ask Stripe to which Checkout Session the PaymentIntent belongs, and look for it on our payments."""
    from shared.adapters import stripe_api  # noqa: PLC0415 - Stripe waits for the webhook's cold start; few events ask

    for session in stripe_api.list_checkout_sessions(pi):
        payment = _find_named(session.metadata)
        attempt = None if payment is None else payment.attempt_of(session.id)
        if payment is not None and attempt is not None:
            pointers.record_pointer(pi, Pointer(payment.payment_id, attempt))
            return Owner(payment, attempt)
    return None


def named_payment(metadata: Mapping[str, str]) -> str | None:
    """The id of the payment that metadata of ours names, which need not exist."""
    reservation_id, payment_id = metadata.get("reservation_id"), metadata.get("payment_id")
    ours = metadata.get("stack") == settings().stack
    return payment_id if ours and reservation_id and payment_id == payment_id_of(reservation_id) else None


def _find_named(metadata: Mapping[str, str]) -> Payment | None:
    payment_id = named_payment(metadata)
    return None if payment_id is None else payment_items.read_payment(payment_id)


def _metadata_undecided(event: StripeEvent) -> bool:
    """Whether the event may be ours although its metadata names no payment: only Stripe knows."""
    return event.type.startswith(CHOSEN_METADATA) and event.metadata.get("stack") in {None, settings().stack}
