"""Handlers of the events about refunds, both our own and those made in Stripe's dashboard."""

from datetime import UTC, datetime

from shared.adapters import payment_items, refund_ledger, step_functions
from shared.contracts.states import RefundExecutionInput, RefundFailureInput
from shared.contracts.stripe_objects import StripeEvent, StripeRefundObject
from shared.domain.errors import NotWaiting, StoreBusy
from shared.domain.ids import unapplied_refund_id
from shared.domain.models import FAILED, PENDING, SETTLED, Matter, Payment, Refund
from shared.services.dashboard_refunds import end_waits_of_settled, notify_settled_twice, record_dashboard_refund
from shared.services.fraud_events import see_to_fraud_warning
from shared.services.money_events import request_capture
from shared.services.ownership import Owner
from shared.services.reconciliation import notify, notify_once
from shared.services.stripe_event_registry import Outcome, handles, read_object
from shared.services.unapplied_refunds import start_unapplied_refund


@handles("refund.created", "refund.updated", "refund.failed")
def process_refund(event: StripeEvent, owner: Owner) -> Outcome:
    """Signal the workflow of a refund of ours; enter any other as made in the dashboard, whatever its metadata."""
    refund, payment = read_object(StripeRefundObject, event), owner.payment
    refund_id = (refund.metadata or {}).get("refund_id", "")
    entry = payment.refunds.get(refund_id)
    if entry is not None and entry.kind != "dashboard" and entry.payment_intent == refund.payment_intent:
        return _process_own_refund(refund, refund_id, entry, payment)
    if refund.payment_intent not in payment.captures:
        request_capture(owner, refund.payment_intent)
        raise NotWaiting("the capture is not recorded yet")
    repeated = _find_repeated(refund, payment)
    if repeated is not None:
        return _settle_repeated(refund, repeated, payment)
    outcome = record_dashboard_refund(payment, refund.to_refund())
    if event.type == "refund.failed" or refund.status == "canceled":
        # Stripe has no event type for a canceled refund. Notify even if the failure was entered before: whoever
        # entered it may have stopped before notifying.
        _handle_dashboard_failure(refund, payment_items.read_payment(payment.payment_id) or payment)
    return outcome


@handles("charge.refunded")
def process_refunded_charge(event: StripeEvent, owner: Owner) -> Outcome:
    """Signal the workflows of pending refunds; the event's amount is cumulative and is not used."""
    payment = owner.payment
    pending = [
        refund_id
        for refund_id, entry in payment.refunds.items()
        if entry.status in PENDING and entry.payment_intent == event.payment_intent
    ]
    for refund_id in pending:
        _signal_settlement(payment, refund_id)
    return ("success", "the refund workflows were signalled") if pending else ("skipped", "known")


def _process_own_refund(refund: StripeRefundObject, refund_id: str, entry: Refund, payment: Payment) -> Outcome:
    failed = refund.status in FAILED
    if entry.status in PENDING:
        if not _signal_settlement(payment, refund_id) and failed:
            # Its success may be about to enter the ledger; this failure must come after it.
            raise NotWaiting("the refund is not settled yet")
        return "success", "the refund workflow was signalled"
    if not failed and entry.stripe_refund_id != refund.id and _lives(refund, refund_id):
        return _see_to_unrecorded(refund, refund_id, entry, payment)
    if failed and entry.status == "succeeded" and entry.stripe_refund_id == refund.id:
        failure = RefundFailureInput.of(
            payment, refund_id, stripe_refund_id=refund.id, reason=refund.failure_reason or refund.status
        )
        step_functions.start_refund(f"failed-{refund.id}", failure)
        return "success", "a refund that had succeeded has failed"
    return "skipped", "known"


def _lives(refund: StripeRefundObject, refund_id: str) -> bool:
    """Whether Stripe has not failed it since; the event may be an old one, about an earlier attempt of the refund."""
    from shared.adapters import stripe_api  # noqa: PLC0415 - Stripe waits for the webhook's cold start; few events ask

    listed = stripe_api.list_refunds(refund.payment_intent, refund_id)
    return any(one.id == refund.id and one.status not in FAILED for one in listed)


def _see_to_unrecorded(refund: StripeRefundObject, refund_id: str, entry: Refund, payment: Payment) -> Outcome:
    """See to a refund of ours that lives at Stripe beside an entry that has ended without it."""
    if entry.status in SETTLED:
        notify_settled_twice(payment, refund.to_refund(), refund_id)
        return "success", "the operators are notified"
    # It is recorded as failed. A retry finds the refund before somebody refunds the guest a second time.
    if entry.awaiting == "operator" and entry.task_token and step_functions.signal(entry.task_token, "retry"):
        return "success", "the refund workflow was signalled"
    raise NotWaiting("the failed refund does not wait for an operator yet")


def _find_repeated(refund: StripeRefundObject, payment: Payment) -> str | None:
    """The id of the refund of ours that a dashboard refund has settled, or whose failure or answer it repeats."""
    ours = {
        refund_id: entry
        for refund_id, entry in payment.refunds.items()
        if entry.kind != "dashboard" and entry.payment_intent == refund.payment_intent
    }
    settled = [refund_id for refund_id, entry in ours.items() if entry.stripe_refund_id == refund.id]
    capture = payment.captures.get(refund.payment_intent)
    if settled or capture is None or refund.id in payment.refunds or refund.status in FAILED:
        return settled[0] if settled else None
    for refund_id, entry in ours.items():
        answered = entry.status == "settled_elsewhere" and refund.amount > capture.refundable
        if entry.amount == refund.amount and (entry.status == "failed" or answered):
            return refund_id
    return None


def _settle_repeated(refund: StripeRefundObject, refund_id: str, payment: Payment) -> Outcome:
    """Record a dashboard refund as the success of our refund, whose reserved amount it has used."""
    entry = payment.refunds[refund_id]
    if entry.stripe_refund_id == refund.id:
        if refund.status == "succeeded":
            end_waits_of_settled(payment, refund.payment_intent)
        return _process_own_refund(refund, refund_id, entry, payment)
    if refund.status != "succeeded":
        return "success", "our failed refund reserves its amount until it settles"
    if entry.status == "settled_elsewhere":
        notify_settled_twice(payment, refund.to_refund(), refund_id)
    now = datetime.now(UTC)
    settled = entry.model_copy(
        update={"status": "succeeded", "stripe_refund_id": refund.id, "settled_at": now, "failure_reason": None}
    )
    if not refund_ledger.update_refund(payment, refund_id, settled, now=now):
        raise StoreBusy("the ledger was changed in between")
    # The wait may have begun after the entry was read, but not since it was settled.
    end_waits_of_settled(payment_items.read_payment(payment.payment_id) or payment, refund.payment_intent)
    return "success", "it settles our failed refund"


def _signal_settlement(payment: Payment, refund_id: str) -> bool:
    """Signal the state that waits for the refund to settle; False if none waits.

    The request is recorded before the token is read: a wait that starts in between finds one or the other.
    """
    now = datetime.now(UTC)
    refund_ledger.request_refund_check(payment.payment_id, refund_id, now=now)
    entry = (payment_items.read_payment(payment.payment_id) or payment).refunds[refund_id]
    token = entry.task_token if entry.awaiting == "settlement" else None
    signalled = token is not None and step_functions.signal(token, "refresh")
    if token is not None and not signalled:
        payment_items.mark_due(payment, now=now)
    return signalled


def _handle_dashboard_failure(refund: StripeRefundObject, payment: Payment) -> None:
    """Notify the operators; if the refund was of an unapplied payment, refund that ourselves."""
    failed = f"{refund.id} has failed ({refund.failure_reason or refund.status})"
    capture = payment.captures[refund.payment_intent]
    if capture.role != "unapplied":
        pi, warning, now = refund.payment_intent, capture.fraud_warning, datetime.now(UTC)
        if warning is not None:
            # Nobody was asked, or the matter ended, if the refund held all that was left.
            see_to_fraud_warning(payment, pi, warning.fraud_type, mark=f"fraud {pi} {refund.id}")
        matter = Matter(kind="dashboard_refund_failed", subject=refund.id, since=now, amount=refund.amount)
        what = f"{failed}; repeat it in Stripe's dashboard, or refund the guest in another way"
        notify_once(f"dashboard_failed {refund.id}", "DashboardRefundFailed", payment, what, matter)
        return
    refund_id = unapplied_refund_id(refund.id)
    start_unapplied_refund(
        RefundExecutionInput.unapplied(payment, refund.payment_intent, refund_id, requested_by="webhook"),
        lambda: notify("DashboardRefundFailed", payment, f"{failed}; the execution {refund_id} refunds the money"),
    )
