"""When an execution that died is replaced: at once, then ever later, and for ever.

Safe to run twice and beside itself: an execution's name is used once, and a conditional write plans each replacement.
"""

from datetime import datetime, timedelta

from shared.adapters import payment_items
from shared.domain.models import RESTARTS, Payment, Replacement
from shared.services.reconciliation import Report, notify_once

PAYMENT = "payment"  # the key of the payment's own execution; a refund's is its id
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# The series begins anew with every step of progress; its last pause repeats.
PAUSES = (timedelta(0), MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR)


def plan_next(
    payment: Payment,
    key: str,
    *,
    progress: str,
    notification: str,
    report: Report,
    now: datetime,
    execution_input: str | None = None,
) -> Payment:
    """Plan the next replacement of a dead execution, and return the payment with it.

    `progress` is what the execution has reached. Operators are notified, under the name `notification`, when the
    replacements have not led further five times. The payment is returned unchanged if another call was faster.
    """
    last = payment.replacements.get(key)
    number = 1 if last is None else last.number + 1
    step = 0 if last is None or last.progress != progress else last.step + 1
    if step == RESTARTS:
        what = f"{step} replacements of the execution of {payment.payment_id if key == PAYMENT else key} died"
        if notify_once(f"restarts {key} {number}", notification, payment, f"{what}; the next one starts in 6 hours"):
            report.record("restarts_exhausted", payment_id=payment.payment_id)
    planned = Replacement(
        number=number,
        step=step,
        progress=progress,
        start_at=now + PAUSES[min(step, len(PAUSES) - 1)],
        execution_input=execution_input,
    )
    after = payment.model_copy(update={"replacements": {**payment.replacements, key: planned}})
    return after if payment_items.plan_replacement(payment, key, after, now=now) else payment


def mark_started(payment: Payment, key: str) -> Payment:
    """The payment without a plan for this execution, which runs or has succeeded."""
    replacement = payment.replacements.get(key)
    if replacement is None or replacement.start_at is None:
        return payment
    started = replacement.model_copy(update={"start_at": None, "execution_input": None})
    return payment.model_copy(update={"replacements": {**payment.replacements, key: started}})


def planned(payment: Payment, key: str) -> datetime | None:
    """When the next replacement of this execution is to be started; None if none is planned."""
    replacement = payment.replacements.get(key)
    return None if replacement is None else replacement.start_at
