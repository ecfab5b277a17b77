"""Refunds without a running execution: start the next one, under a name that no execution has had.

Safe to run twice and beside itself: an execution's name is used once, and a conditional write plans each replacement.
"""

import json
from datetime import UTC, datetime

from shared.adapters import step_functions
from shared.contracts.states import RefundExecutionInput, RefundFailureInput, RefundInput
from shared.domain.due import ended_lately
from shared.domain.ids import unapplied_refund_id
from shared.domain.models import Payment, Refund
from shared.services.reconciliation import Report, notify
from shared.services.replacements import PAYMENT, mark_started, plan_next, planned
from shared.services.unapplied_refunds import start_unapplied_refund


def check_refunds(payment: Payment, report: Report) -> Payment:
    """Make sure that every refund of a payment has a running execution until it is settled, and that it ended well.

    Returns the payment as it is afterwards.
    """
    now = datetime.now(UTC)
    open_or_new = [
        name
        for name, entry in payment.refunds.items()
        if entry.kind != "dashboard" and (entry.unsettled or ended_lately(entry.settled_at, now))
    ]
    started = [key for key in payment.replacements if key != PAYMENT and planned(payment, key) is not None]
    for refund_id in dict.fromkeys([*open_or_new, *started]):
        payment = check_refund(payment, refund_id, report)
    return payment


def check_refund(payment: Payment, refund_id: str, report: Report, given: RefundInput | None = None) -> Payment:
    """Make sure that a refund has a running execution, or that the last one has succeeded.

    `given` is the input of an execution that died, or that cannot be started because one of its name has ended. The
    former may have died before it wrote the refund's entry, or after the refund was settled, while it published events.
    """
    now = datetime.now(UTC)
    replacement, entry = payment.replacements.get(refund_id), payment.refunds.get(refund_id)
    start_at = planned(payment, refund_id)
    if start_at is not None and now < start_at:
        return payment
    stored = None if replacement is None else replacement.execution_input
    known = given or (None if stored is None else RefundInput.parse(json.loads(stored)))
    newest = step_functions.execution_name(refund_id, 0 if replacement is None else replacement.number)
    execution = step_functions.refund_execution(newest)
    unsettled = entry is not None and entry.unsettled
    of_entry = step_functions.MISSING if entry is None or execution.runs else _execution_of(entry, newest)
    if execution.runs or of_entry.runs:
        return mark_started(payment, refund_id) if unsettled else payment
    died_since = of_entry.status != "SUCCEEDED" and of_entry.started_at > execution.started_at
    unrecorded = died_since or _taken_back(entry, known) or (entry is None and given is not None)
    if execution.status == "SUCCEEDED" and not unsettled and not unrecorded:
        return mark_started(payment, refund_id)
    if execution == step_functions.MISSING and start_at is None and given is None and not unsettled:
        return payment  # nothing of it has died
    if execution == step_functions.MISSING and start_at is not None:
        step_functions.start_refund(newest, _execution_input(payment, refund_id, known))
        report.record("refund_replacement_started", payment_id=payment.payment_id, refund_id=refund_id)
        return payment
    after = plan_next(
        payment,
        refund_id,
        progress="none" if entry is None else f"{entry.status} {entry.attempt} {entry.token_sequence}",
        notification="RefundRestartsExhausted",
        report=report,
        now=now,
        execution_input=None if known is None else known.to_json(),
    )
    return after if after == payment else check_refund(after, refund_id, report, given)


def _execution_of(entry: Refund, newest: str) -> step_functions.Execution:
    """The execution that the entry names, such as that of a late failure; MISSING if it is the newest replacement."""
    name = entry.execution or f"failed-{entry.stripe_refund_id}"
    return step_functions.MISSING if name == newest else step_functions.refund_execution(name)


def _taken_back(entry: Refund | None, given: RefundInput | None) -> bool:
    """Whether the entry does not say yet that Stripe has taken the refund back."""
    return (
        entry is not None
        and entry.status == "succeeded"
        and isinstance(given, RefundFailureInput)
        and given.failed_stripe_refund_id == entry.stripe_refund_id
    )


def _execution_input(payment: Payment, refund_id: str, given: RefundInput | None) -> RefundInput:
    """The refund as the ledger has it, or as an earlier execution was given it if the ledger does not have it yet."""
    entry = payment.refunds.get(refund_id)
    if given is not None and (entry is None or _taken_back(entry, given)):
        return given
    if entry is not None and entry.status == "failed":
        stripe_refund_id, reason = entry.stripe_refund_id, entry.failure_reason
        return RefundFailureInput.of(payment, refund_id, stripe_refund_id=stripe_refund_id, reason=reason)
    return RefundExecutionInput.of(payment, refund_id)


def refund_late_payment(payment: Payment, pi: str, report: Report) -> Payment:
    """Notify the operators of money that came after the release, and refund it.

    The notification comes first: once the refund has recorded the capture, no later run finds this money again. The
    refund starts even when the notification fails. Raises NotificationFailed.
    """
    refund_id = unapplied_refund_id(pi)
    refund = RefundExecutionInput.unapplied(payment, pi, refund_id, requested_by="workflow")
    what = f"{pi} was paid after the release; it is refunded in full by {refund_id}"
    if not start_unapplied_refund(refund, lambda: notify("LatePayment", payment, what)):
        return check_refund(payment, refund_id, report, refund)
    return payment
