"""What each of Stripe's events does, whether the webhook brings it or the reconciler finds it undelivered.

An event never says what happened, only that the workflow shall look. Order of work: find the payment, act, record
the event; nothing is recorded as processed before its effect is durable.
Safe to run twice: a signal only causes a look; declines, refunds and disputes are kept by their ids, an execution by
its name; an event is recorded once.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ValidationError

from shared.adapters import payment_items, refund_ledger, step_functions, webhook_events
from shared.adapters.notifications import notify_operators, publish
from shared.contracts.http import WebhookResponse
from shared.contracts.stripe_objects import (
    StripeDecline,
    StripeDeclinedObject,
    StripeDisputeObject,
    StripeEvent,
    StripeRefundObject,
)
from shared.domain.errors import ApiError, NotificationFailed, NotWaiting, StoreBusy, TransientError
from shared.domain.ids import payment_id_of, unapplied_refund_id
from shared.domain.ledger import refund_moves_on
from shared.domain.models import PENDING, Attempt, Dispute, Payment, Refund, iso
from shared.observability import bind, count, logger

MONEY = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "payment_intent.succeeded",
    }
)
ENDED = frozenset({"checkout.session.expired", "checkout.session.async_payment_failed"})
DECLINED = "payment_intent.payment_failed"
REFUND = frozenset({"refund.created", "refund.updated", "refund.failed"})
REFUND_FAILED = "refund.failed"
REFUNDED = "charge.refunded"
DISPUTE = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
DISPUTE_CREATED, DISPUTE_CLOSED = "charge.dispute.created", "charge.dispute.closed"
WITHOUT_METADATA = ("refund.", "charge.refunded", "charge.dispute.")
# Every type that does something, and that the endpoint at Stripe is subscribed to.
HANDLED = MONEY | ENDED | {DECLINED} | REFUND | {REFUNDED} | DISPUTE

# How long a money event waits for the workflow to come to rest between two states.
PATIENCE, PAUSE = 3.0, 0.2  # seconds
TRIES = 5
# A dispute can follow its charge at once, and an index lags behind: so old an event is of nobody for certain.
RECORDED_BY_THEN = timedelta(minutes=10)

type Result = Literal["success", "duplicate", "skipped"]


def process(event: StripeEvent, payload_hash: str) -> WebhookResponse:
    """Act, then record. Raises TransientError, after recording the failure, when Stripe shall send the event again."""
    bind(stripe_event_id=event.id, stripe_event_type=event.type, stripe_id=event.object.get("id"))
    if event.type in HANDLED and webhook_events.event_processed(event.id):
        return _told(event, "duplicate", "processed before")
    payment = _payment(event) if event.type in HANDLED else None
    record: dict[str, str | None] = {
        "event_type": event.type,
        "payload_hash": payload_hash,
        "payment_id": None if payment is None else payment.payment_id,
        "reservation_id": None if payment is None else payment.reservation_id,
    }
    now = datetime.now(UTC)
    try:
        result, message = _act(event, payment) if payment else _of_nobody(event)
    except TransientError as error:
        failed = {**record, "processing_result": "error", "error_message": type(error).__name__}
        webhook_events.record_event(event.id, failed, now=now)
        raise
    done = {**record, "processing_result": result, "processed_at": iso(now)}
    if not webhook_events.record_event(event.id, done, now=now):
        return _told(event, "duplicate", "processed meanwhile")
    logger.info("webhook", result=result, outcome=message)
    return _told(event, result, message)


def _told(event: StripeEvent, result: Result, message: str) -> WebhookResponse:
    return WebhookResponse(event_id=event.id, event_type=event.type, processing_result=result, message=message)


def _payment(event: StripeEvent) -> Payment | None:
    """The payment that the event is about; None where it is not ours, or names one that does not exist.

    Metadata names it; what was made at Stripe without us has none of ours, and is found by its PaymentIntent.
    """
    reservation_id, payment_id = event.metadata.get("reservation_id"), event.metadata.get("payment_id")
    if payment_id is None and event.payment_intent is not None and event.type.startswith(WITHOUT_METADATA):
        payment_id = payment_items.find_payment_id(event.payment_intent)
    elif not reservation_id or payment_id != payment_id_of(reservation_id):
        return None
    if payment_id is None:
        return None
    payment = payment_items.read_payment(payment_id)
    bind(payment_id=payment_id, reservation_id=None if payment is None else payment.reservation_id)
    return payment


def _of_nobody(event: StripeEvent) -> tuple[Result, str]:
    """Not ours; but what only a PaymentIntent ties to us may have come before that was recorded."""
    tied = event.type in HANDLED and event.type.startswith(WITHOUT_METADATA) and "payment_id" not in event.metadata
    if tied and datetime.now(UTC) < datetime.fromtimestamp(event.created, UTC) + RECORDED_BY_THEN:
        raise NotWaiting("no payment knows this PaymentIntent yet")
    return "skipped", "no payment of ours"


def _act(event: StripeEvent, payment: Payment) -> tuple[Result, str]:
    key = event.metadata.get("attempt", "")
    attempt = payment.attempts.get(key)
    if event.type in MONEY:
        return _money(event, payment, key, attempt)
    if event.type in ENDED:
        return _ended(payment, attempt)
    if event.type == DECLINED and attempt is not None:
        return _declined(event, payment, key)
    if event.type in REFUND:
        return _refund(event, payment)
    if event.type == REFUNDED:
        return _refunded(event, payment)
    if event.type in DISPUTE:
        return _dispute(event, payment)
    return "skipped", "nothing to do for this type of event"


def _money(event: StripeEvent, payment: Payment, key: str, attempt: Attempt | None) -> tuple[Result, str]:
    """Make the workflow look at this money; wait while it is between two states."""
    pi = event.payment_intent
    until = time.monotonic() + PATIENCE
    while True:
        if attempt is not None and attempt.status == "closed" and pi not in payment.captures:
            # The next look shall ask about this session too.
            payment_items.mark_unresolved(payment.payment_id, key, event.checkout_session)
        if pi is not None and pi in payment.captures and not _late_not_notified(payment, pi):
            return "duplicate", "the capture is recorded"
        if pi is not None and payment.status != "pending" and event.type != "checkout.session.completed":
            return _late(payment, pi)
        if pi is not None and payment.status != "pending" and event.object.get("payment_status") == "paid":
            return _late(payment, pi)
        if payment.status != "pending":
            return "skipped", "no money has come"
        if payment.status == "pending" and payment.task_token and step_functions.signal(payment.task_token, "refresh"):
            return "success", "the workflow looks"
        if time.monotonic() > until:
            raise NotWaiting(payment.status)
        time.sleep(PAUSE)
        payment = payment_items.read_payment(payment.payment_id) or payment
        attempt = payment.attempts.get(key)


def _ended(payment: Payment, attempt: Attempt | None) -> tuple[Result, str]:
    """A session that ended without money: worth a look only while we take it for open."""
    if payment.status != "pending" or attempt is None or attempt.status in {"closed", "paid"}:
        return "skipped", "known"
    if payment.task_token and step_functions.signal(payment.task_token, "refresh"):
        return "success", "the workflow looks"
    return "skipped", "the workflow is looking already"


def _declined(event: StripeEvent, payment: Payment, key: str) -> tuple[Result, str]:
    """Note the declined charge; the session stays open and the guest may go on trying."""
    intent = _read(StripeDeclinedObject, event)
    error = intent.last_payment_error or StripeDecline()
    code = error.decline_code or error.code or "declined"
    message = error.message or "The card was declined."
    payment_items.record_decline(payment.payment_id, key, intent.latest_charge or intent.id, code, message)
    count("Declines")
    return "success", "the decline is recorded"


def _late(payment: Payment, pi: str) -> tuple[Result, str]:
    """Money for a booking that is over, or paid already: tell the operators, and give it back.

    Told first, and noted: once the refund has entered the capture, an event sent again has only that left to do.
    """
    count("LatePayments")
    refund_id = unapplied_refund_id(pi)

    def tell() -> None:
        notify_operators(
            "Late payment",
            f"LatePayment: reservation {payment.reservation_id} was paid though its payment is {payment.status}. "
            f"The money is refunded in full by the execution {refund_id}.",
        )
        payment_items.record_notified(payment, f"late {refund_id}")

    _give_back(refund_id, pi, payment, tell)
    return "success", "the money is refunded"


def _give_back(refund_id: str, pi: str, payment: Payment, tell: Callable[[], None]) -> None:
    """Tell the operators, and have all that is left of a capture refunded, also where they cannot be told now."""
    order: dict[str, str | int] = {
        "refund_id": refund_id,
        "reservation_id": payment.reservation_id,
        "payment_id": payment.payment_id,
        "kind": "unapplied",
        "payment_intent": pi,
        "requested_by": "webhook",
    }
    try:
        tell()
    except NotificationFailed:
        step_functions.start_refund(refund_id, order)
        raise
    step_functions.start_refund(refund_id, order)


def _late_not_notified(payment: Payment, pi: str) -> bool:
    """Whether the webhook gives this money back, and the operators have not been told."""
    refund_id = unapplied_refund_id(pi)
    entry = payment.refunds.get(refund_id)
    return entry is not None and entry.requested_by == "webhook" and f"late {refund_id}" not in (payment.notified or ())


def _read[Object: BaseModel](model: type[Object], event: StripeEvent) -> Object:
    """The event's object; what it holds stays out of the log. Raises ApiError where it is none of the kind."""
    try:
        return model.model_validate(event.object)
    except ValidationError as error:
        wrong = [".".join(map(str, entry["loc"])) for entry in error.errors(include_input=False)]
        logger.error("unreadable event", fields=wrong)
        raise unreadable() from None


def unreadable() -> ApiError:
    """What is answered to an event that is none, or whose object is not as Stripe describes it."""
    return ApiError(400, "INVALID_PAYLOAD", "The body is not a Stripe event.", "Send the event as Stripe made it.")


def _refund(event: StripeEvent, payment: Payment) -> tuple[Result, str]:
    """Ours: make its execution look. Made in the dashboard: enter it."""
    refund = _read(StripeRefundObject, event)
    refund_id = (refund.metadata or {}).get("refund_id")
    if refund_id is None:
        result = _dashboard_refund(refund, payment)
        if event.type == REFUND_FAILED or refund.status == "canceled":
            # Stripe has no event of its own for a refund that is canceled. Also where it was entered before: whoever
            # did may have died before anybody was told.
            _failed_from_dashboard(refund, payment_items.read_payment(payment.payment_id) or payment)
        return result
    entry = payment.refunds.get(refund_id)
    if entry is None:
        return "skipped", "no such refund"
    dead = refund.status in {"failed", "canceled"}
    if entry.status in PENDING:
        if not _request_check(payment, refund_id) and dead:
            # Its success may be on its way into the ledger: then this failure has to come after it.
            raise NotWaiting("the refund is not settled yet")
        return "success", "the refund workflow looks"
    if not dead and entry.status == "failed" and entry.stripe_refund_id is None:
        # Stripe's answer was lost and the refund taken for failed: another try finds it, before a person pays twice.
        if entry.awaiting == "operator" and entry.task_token and step_functions.signal(entry.task_token, "retry"):
            return "success", "the refund workflow looks"
        raise NotWaiting("the refund's failure does not wait for an answer yet")
    if dead and entry.status == "succeeded" and entry.stripe_refund_id == refund.id:
        step_functions.start_refund(
            f"failed-{refund.id}",
            {
                "refund_id": refund_id,
                "reservation_id": payment.reservation_id,
                "payment_id": payment.payment_id,
                "failed_stripe_refund_id": refund.id,
                "failure_reason": refund.failure_reason or refund.status,
            },
        )
        return "success", "a refund that had succeeded was taken back"
    return "skipped", "known"


def _request_check(payment: Payment, refund_id: str) -> bool:
    """Whether a wait for the refund's settlement has ended with this news.

    It is noted before the token is read, so that a wait which begins in between finds either the note or its end.
    """
    refund_ledger.request_refund_check(payment.payment_id, refund_id, now=datetime.now(UTC))
    entry = (payment_items.read_payment(payment.payment_id) or payment).refunds[refund_id]
    token = entry.task_token if entry.awaiting == "settlement" else None
    return token is not None and step_functions.signal(token, "refresh")


def _dashboard_refund(refund: StripeRefundObject, payment: Payment) -> tuple[Result, str]:
    for _ in range(TRIES):
        before = payment.refunds.get(refund.id)
        if before is not None and not refund_moves_on(before.status, refund.status):
            return "duplicate", "the refund is entered"
        if refund.payment_intent not in payment.captures:
            raise NotWaiting("the capture is not recorded yet")
        now = datetime.now(UTC)
        entry = Refund(
            kind="dashboard",
            payment_intent=refund.payment_intent,
            amount=refund.amount,
            status=refund.status,
            stripe_refund_id=refund.id,
            requested_by="dashboard",
            created_at=now if before is None else before.created_at,
            settled_at=now if refund.status == "succeeded" else None,
            failure_reason=refund.failure_reason,
        )
        if refund_ledger.record_dashboard_refund(payment, refund.id, entry, now=now):
            count("Refunds", outcome=f"dashboard_{refund.status}")
            return "success", "the refund is entered"
        payment = payment_items.read_payment(payment.payment_id) or payment
    raise StoreBusy("the ledger kept changing")


def _failed_from_dashboard(refund: StripeRefundObject, payment: Payment) -> None:
    """Tell the operators; what the refund was to take of money that is not the booking's, we give back."""
    subject = "Refund needs attention"
    failed = (
        f"DashboardRefundFailed: {refund.id} of reservation {payment.reservation_id} has failed "
        f"({refund.failure_reason or refund.status})."
    )
    if payment.captures[refund.payment_intent].role == "unapplied":
        refund_id = unapplied_refund_id(refund.id)
        told = f"{failed} The money is refunded by the execution {refund_id}."
        _give_back(refund_id, refund.payment_intent, payment, lambda: notify_operators(subject, told))
    else:
        notify_operators(subject, f"{failed} Repeat it in Stripe's dashboard or by another way.")


def _refunded(event: StripeEvent, payment: Payment) -> tuple[Result, str]:
    """Cumulative, so no amount is taken from it: it only makes refunds under way look."""
    waiting = [
        refund_id
        for refund_id, entry in payment.refunds.items()
        if entry.status in PENDING and entry.payment_intent == event.payment_intent
    ]
    for refund_id in waiting:
        _request_check(payment, refund_id)
    return ("success", "the refund workflows look") if waiting else ("skipped", "known")


def _dispute(event: StripeEvent, payment: Payment) -> tuple[Result, str]:
    """Enter a dispute or its outcome; the events of its opening and its closing tell the operators.

    They do so also where the entry is there already: whoever made it may have died before anybody was told.
    """
    dispute = _read(StripeDisputeObject, event)
    now = datetime.now(UTC)
    before = payment.disputes.get(dispute.id)
    closes = event.type == DISPUTE_CLOSED
    over = before is not None and before.closed_at is not None
    known = before is not None and (over or (before.status == dispute.status and not closes))
    if not known:
        entry = Dispute(
            status=dispute.status,
            payment_intent=dispute.payment_intent,
            amount=dispute.amount,
            reason=dispute.reason,
            opened_at=now if before is None else before.opened_at,
            closed_at=now if closes else None,
        )
        if not refund_ledger.record_dispute(payment, dispute.id, entry, now=now):
            raise StoreBusy("another event changed the dispute")
    if closes or (event.type == DISPUTE_CREATED and not over):
        _notify_of_dispute(dispute, payment)
    return ("duplicate" if known else "success"), "the dispute is entered"


def _notify_of_dispute(dispute: StripeDisputeObject, payment: Payment) -> None:
    count("Disputes", status=dispute.status)
    detail: dict[str, str | int] = {
        "reservation_id": payment.reservation_id,
        "payment_id": payment.payment_id,
        "dispute_id": dispute.id,
        "status": dispute.status,
        "amount": dispute.amount,
    }
    notify_operators(
        "Payment disputed",
        f"PaymentDisputed: dispute {dispute.id} on reservation {payment.reservation_id} is {dispute.status}. "
        "Refunds are blocked while it is open. Answer it in Stripe's dashboard.",
    )
    publish("PaymentDisputed", detail)
