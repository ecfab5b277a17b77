"""Processing a Stripe event, whether the webhook receives it or the reconciler finds it undelivered.

An event is never taken as proof of what happened: it only makes the workflow ask Stripe. The order is: find the
payment, act, record the event. Nothing is recorded as processed before its effect is durable.
Safe to run twice: a signal only makes a workflow ask Stripe again, declines, refunds and disputes are stored under
their ids, executions have names, and an event is recorded once.
"""

from datetime import UTC, datetime

from shared.adapters import webhook_events
from shared.contracts.http_bodies import WebhookResponse
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.errors import TransientError
from shared.domain.models import iso
from shared.observability import act_as, bind, logger
from shared.services import dispute_events, fraud_events, money_events, refund_events  # noqa: F401 - they register their handlers
from shared.services.money_events import report_unmatched
from shared.services.ownership import Owner, find_owner, named_payment
from shared.services.stripe_event_registry import HANDLERS, Outcome, Result

# Every type that has an effect; the endpoint at Stripe subscribes to exactly these.
HANDLED = frozenset(HANDLERS)


def process(event: StripeEvent, payload_hash: str, *, again: bool = False) -> WebhookResponse:
    """Act on an event, then record it; `again` although it was recorded before, as after a restore of the tables.

    Raises TransientError, after recording the failure, if Stripe must deliver the event again.
    """
    act_as(f"stripe:{event.id}")
    bind(stripe_event_id=event.id, stripe_event_type=event.type, stripe_id=event.object.get("id"))
    stored = None
    if event.type in HANDLED:
        named = named_payment(event.metadata)
        stored = webhook_events.read_for_event(event.id, pi=event.payment_intent, payment_id=named)
        if stored.processed and not again:
            return _response(event, "duplicate", "processed before")
    record: dict[str, str | None] = {"event_type": event.type, "payload_hash": payload_hash}
    now = datetime.now(UTC)
    try:
        owner = None if stored is None else find_owner(event, stored)
        if owner is not None:
            booking = {"payment_id": owner.payment.payment_id, "reservation_id": owner.payment.reservation_id}
            bind(**booking)
            record |= booking
        result, message = _act(event, owner)
    except TransientError as error:
        failed = {**record, "processing_result": "error", "error_message": type(error).__name__}
        webhook_events.record_event(event.id, failed, now=now)
        raise
    done = {**record, "processing_result": result, "processed_at": iso(now)}
    if not webhook_events.record_event(event.id, done, now=now):
        return _response(event, "duplicate", "processed meanwhile")
    logger.info("webhook", result=result, outcome=message)
    return _response(event, result, message)


def _act(event: StripeEvent, owner: Owner | None) -> Outcome:
    if owner is None:
        return "skipped", "no payment of ours"
    if owner.attempt is None:
        return report_unmatched(event, owner)
    return HANDLERS[event.type](event, owner)


def _response(event: StripeEvent, result: Result, message: str) -> WebhookResponse:
    return WebhookResponse(event_id=event.id, event_type=event.type, processing_result=result, message=message)
