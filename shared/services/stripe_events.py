"""Processing a Stripe event, whether the webhook receives it or the reconciler finds it undelivered.

An event is never taken as proof of what happened: it only makes the workflow ask Stripe. The order is: find the
payment, act, record the event. Nothing is recorded as processed before its effect is durable.
Safe to run twice: a signal only makes a workflow ask Stripe again, declines, refunds and disputes are stored under
their ids, executions have names, and an event is recorded once.
"""

from datetime import UTC, datetime, timedelta

from shared.adapters import payment_items, webhook_events
from shared.contracts.http_bodies import WebhookResponse
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.errors import NotWaiting, TransientError
from shared.domain.ids import payment_id_of
from shared.domain.models import Payment, iso
from shared.observability import bind, logger
from shared.services import dispute_events, money_events, refund_events  # noqa: F401 - they register their handlers
from shared.services.stripe_event_registry import HANDLERS, Outcome, Result
from shared.settings import settings

# Every type that has an effect; the endpoint at Stripe subscribes to exactly these.
HANDLED = frozenset(HANDLERS)

# Objects whose metadata is chosen by whoever makes them, in Stripe's dashboard or with another tool.
CHOSEN_METADATA = ("refund.", "charge.dispute.")
WITHOUT_METADATA = (*CHOSEN_METADATA, "charge.refunded")
OUR_PAYMENTS = payment_id_of("")  # what the ids of our payments begin with

# A dispute may follow its charge at once, and the index lags behind. After this long the payment is not ours.
INDEXED_WITHIN = timedelta(minutes=10)


def process(event: StripeEvent, payload_hash: str) -> WebhookResponse:
    """Act on an event, then record it.

    Raises TransientError, after recording the failure, if Stripe must deliver the event again.
    """
    bind(stripe_event_id=event.id, stripe_event_type=event.type, stripe_id=event.object.get("id"))
    if event.type in HANDLED and webhook_events.event_processed(event.id):
        return _response(event, "duplicate", "processed before")
    payment = _find_payment(event) if event.type in HANDLED else None
    record: dict[str, str | None] = {
        "event_type": event.type,
        "payload_hash": payload_hash,
        "payment_id": None if payment is None else payment.payment_id,
        "reservation_id": None if payment is None else payment.reservation_id,
    }
    now = datetime.now(UTC)
    try:
        result, message = HANDLERS[event.type](event, payment) if payment else _skip(event)
    except TransientError as error:
        failed = {**record, "processing_result": "error", "error_message": type(error).__name__}
        webhook_events.record_event(event.id, failed, now=now)
        raise
    done = {**record, "processing_result": result, "processed_at": iso(now)}
    if not webhook_events.record_event(event.id, done, now=now):
        return _response(event, "duplicate", "processed meanwhile")
    logger.info("webhook", result=result, outcome=message)
    return _response(event, result, message)


def _response(event: StripeEvent, result: Result, message: str) -> WebhookResponse:
    return WebhookResponse(event_id=event.id, event_type=event.type, processing_result=result, message=message)


def _find_payment(event: StripeEvent) -> Payment | None:
    """The payment that the event is about; None if it is not ours.

    Metadata finds it. Whoever makes a refund or a dispute chooses its metadata, so there the PaymentIntent decides.
    """
    reservation_id, payment_id = event.metadata.get("reservation_id"), event.metadata.get("payment_id")
    named = bool(reservation_id) and payment_id == payment_id_of(reservation_id or "")
    named = named and event.metadata.get("stack") == settings().stack
    payment = payment_items.read_payment(payment_id) if named and payment_id else None
    pi = event.payment_intent
    if event.type.startswith(WITHOUT_METADATA) and (payment is None or pi not in payment.captures):
        owner = None if pi is None else payment_items.find_payment_id(pi)
        if pi is None or owner is not None:
            payment = None if owner is None else payment_items.read_payment(owner)
    if payment is not None:
        bind(payment_id=payment.payment_id, reservation_id=payment.reservation_id)
    return payment


def _skip(event: StripeEvent) -> Outcome:
    """Skip an event that is not ours, unless its PaymentIntent may not be recorded yet.

    It never is where there is no PaymentIntent, where a charge lacks our metadata, which it has from its PaymentIntent,
    or where the metadata names a payment of another system.
    """
    may_be_ours = event.type in HANDLED and event.type.startswith(CHOSEN_METADATA) and event.payment_intent is not None
    may_be_ours = may_be_ours and event.metadata.get("payment_id", OUR_PAYMENTS).startswith(OUR_PAYMENTS)
    may_be_ours = may_be_ours and event.metadata.get("stack") in {None, settings().stack}
    if may_be_ours and datetime.now(UTC) < datetime.fromtimestamp(event.created, UTC) + INDEXED_WITHIN:
        raise NotWaiting("no payment has this PaymentIntent yet")
    return "skipped", "no payment of ours"
