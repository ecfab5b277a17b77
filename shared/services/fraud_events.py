"""The handler of early fraud warnings: a card network expects that the guest's bank will dispute a charge.

A refund in time avoids the dispute and its fee. It is made automatically only as far as `refundOnFraudWarning` says.
"""

from datetime import UTC, datetime

from shared.adapters import refund_ledger, step_functions
from shared.contracts.states import RefundExecutionInput
from shared.contracts.stripe_objects import StripeEvent, StripeFraudWarningObject
from shared.domain.errors import NotWaiting, StoreBusy
from shared.domain.ids import cancellation_id
from shared.domain.matters import matter_ended, matter_key
from shared.domain.models import Capture, FraudWarning, Matter, Payment
from shared.observability import count
from shared.services.money_events import request_capture
from shared.services.ownership import Owner
from shared.services.reconciliation import notify_once
from shared.services.stripe_event_registry import Outcome, handles, read_object
from shared.settings import settings


@handles("radar.early_fraud_warning.created")
def process_fraud_warning(event: StripeEvent, owner: Owner) -> Outcome:
    """Record the warning on its capture, refund and cancel if that is configured, and notify the operators once."""
    given, payment = read_object(StripeFraudWarningObject, event), owner.payment
    pi = given.payment_intent
    capture = payment.captures.get(pi)
    if capture is None:
        request_capture(owner, pi)
        raise NotWaiting("the capture is not recorded yet")
    if payment.status == "pending" and capture.role != "unapplied":
        # Whether anybody has to do something depends on what the money pays for.
        raise NotWaiting("the capture is not applied to the booking yet")
    now = datetime.now(UTC)
    news = capture.fraud_warning is None
    if news:
        warning = FraudWarning(id=given.id, fraud_type=given.fraud_type, warned_at=now)
        if not refund_ledger.record_fraud_warning(payment, pi, warning, now=now):
            raise StoreBusy("another event recorded the warning")
        count("FraudWarnings")
    see_to_fraud_warning(payment, pi, given.fraud_type, mark=f"fraud {pi}")
    return ("success" if news else "duplicate"), "the warning is recorded"


def see_to_fraud_warning(payment: Payment, pi: str, fraud_type: str, *, mark: str) -> None:
    """Notify the operators of what is left of a capture with a warning; refund it if that is configured.

    Nothing is done while they are asked to see to it.
    """
    capture = payment.captures[pi]
    suspected = f"the card network suspects fraud ({fraud_type}) in {pi} of {capture.amount} cents"
    if capture.refundable <= 0 and _notification_missing(payment, pi):
        notify_once(mark, "FraudWarning", payment, f"{suspected}; it is refunded, and the booking is cancelled")
        return
    matter = Matter(kind="fraud_warning", subject=pi, since=datetime.now(UTC), amount=capture.refundable)
    if capture.role != "booking" or capture.refundable <= 0 or matter_ended(payment, matter):
        return
    if matter_key(matter) in payment.attention:
        return
    refund_id = cancellation_id(payment.payment_id)
    what_next = "refund it and cancel the booking before the dispute"
    if refund_id in payment.refunds:
        what_next = "the booking is cancelled; refund what is left before the dispute"
    elif capture.refundable <= settings().refunds_fraud_up_to:
        what_next = _refund(payment, refund_id, pi, capture)
    notify_once(mark, "FraudWarning", payment, f"{suspected}; {what_next}", matter)


def _notification_missing(payment: Payment, pi: str) -> bool:
    """Whether the webhook has started the booking's cancellation, but operators have not been notified."""
    entry = payment.refunds.get(cancellation_id(payment.payment_id))
    notified = any(mark.startswith(f"fraud {pi}") for mark in payment.notified or ())
    return entry is not None and entry.requested_by == "webhook" and not notified


def _refund(payment: Payment, refund_id: str, pi: str, capture: Capture) -> str:
    """Start the booking's cancellation with all that is left; say what happens."""
    order = RefundExecutionInput.for_payment(
        payment,
        refund_id,
        kind="cancellation",
        payment_intent=pi,
        amount=capture.refundable,
        policy="manual_refund",
        requested_by="webhook",
    )
    if step_functions.start_refund(refund_id, order):
        return f"the execution {refund_id} refunds it and cancels the booking"
    return f"the execution {refund_id} was started before; refund what it leaves before the dispute"
