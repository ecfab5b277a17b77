"""Refunds without a running execution: start the next one, under a name that no execution has had.

Safe to run twice and beside itself: an execution's name is used once.
"""

from typing import Any

from shared.adapters import payment_items, step_functions
from shared.contracts.states import RefundExecutionInput, RefundFailureInput, RefundInput
from shared.domain.ids import unapplied_refund_id
from shared.domain.models import Payment, Refund
from shared.observability import bind
from shared.services.reconciliation import MAX_RESTARTS, Report, notify, notify_once
from shared.services.unapplied_refunds import start_unapplied_refund


def check_refunds(payment_id: str, report: Report) -> None:
    """Make sure that every unsettled refund of a payment has a running execution."""
    payment = payment_items.read_payment(payment_id)
    if payment is None:
        return
    bind(payment_id=payment_id, reservation_id=payment.reservation_id)
    for refund_id, entry in payment.refunds.items():
        if entry.unsettled and entry.kind != "dashboard":
            _check_refund(payment, refund_id, entry, report)


def restart_dead_refund(execution_input: dict[str, Any], report: Report) -> None:
    """Restart the execution that failed with this input.

    It may have failed before it wrote the refund's entry, or after the refund was settled, while it published events.
    """
    payment = payment_items.read_payment(execution_input["payment_id"])
    if payment is None:
        return
    bind(payment_id=payment.payment_id, reservation_id=payment.reservation_id)
    refund_id = execution_input["refund_id"]
    entry = payment.refunds.get(refund_id)
    taken_back = entry is not None and entry.status == "succeeded" and "failed_stripe_refund_id" in execution_input
    if entry is None or (taken_back and execution_input["failed_stripe_refund_id"] == entry.stripe_refund_id):
        _start_next(payment, RefundInput.parse(execution_input), report)
    else:
        _check_refund(payment, refund_id, entry, report)


def refund_late_payment(payment: Payment, pi: str, report: Report) -> None:
    """Notify the operators of money that came after the release, and refund it.

    The notification comes first: once the refund has recorded the capture, no later run finds this money again. The
    refund starts even when the notification fails. Raises NotificationFailed.
    """
    refund_id = unapplied_refund_id(pi)
    refund = RefundExecutionInput.unapplied(payment, pi, refund_id, requested_by="workflow")
    what = f"{pi} was paid after the release; it is refunded in full by {refund_id}"
    if not start_unapplied_refund(refund, lambda: notify("LatePayment", payment, what)):
        _start_next(payment, refund, report)


def _check_refund(payment: Payment, refund_id: str, entry: Refund, report: Report) -> None:
    if step_functions.refund_execution(entry.execution or f"failed-{entry.stripe_refund_id}").runs:
        return
    refund: RefundInput
    if entry.status == "failed":
        stripe_refund_id, reason = entry.stripe_refund_id, entry.failure_reason
        refund = RefundFailureInput.of(payment, refund_id, stripe_refund_id=stripe_refund_id, reason=reason)
    else:
        refund = RefundExecutionInput.of(payment, refund_id)
    _start_next(payment, refund, report)


def _start_next(payment: Payment, refund: RefundInput, report: Report) -> None:
    """Start the first execution whose name is free, unless one runs; notify the operators once when none is free."""
    for restart in range(MAX_RESTARTS + 1):
        name = step_functions.execution_name(refund.refund_id, restart)
        execution = step_functions.refund_execution(name)
        if execution.runs:
            return
        if execution == step_functions.MISSING:
            step_functions.start_refund(name, refund)
            report.record("refund_replacement_started", payment_id=payment.payment_id, refund_id=refund.refund_id)
            return
    what = f"every execution of refund {refund.refund_id} ended without settling it"
    if notify_once(f"refund_restarts_exhausted {refund.refund_id}", "RefundRestartsExhausted", payment, what):
        report.record("refund_restarts_exhausted", payment_id=payment.payment_id)
