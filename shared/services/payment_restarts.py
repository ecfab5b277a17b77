"""Payments whose execution is missing, dead or overdue: start it, replace it, or refresh its wait.

Safe to run twice and beside itself: an execution's name is used once, and a conditional write plans each replacement.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters import bookings, payment_items, step_functions
from shared.domain.attempts import new_payment
from shared.domain.due import GRACE, wait_end
from shared.domain.ids import payment_id_of
from shared.domain.models import Payment
from shared.observability import bind
from shared.services.reconciliation import Report
from shared.services.replacements import PAYMENT, mark_started, plan_next, planned
from shared.settings import settings


def check_execution(payment: Payment, report: Report) -> Payment:
    """Make sure that the payment has an execution which does not wait longer than it should, or has ended well.

    Returns the payment as it is afterwards.
    """
    now = datetime.now(UTC)
    start_at = planned(payment, PAYMENT)
    if start_at is not None and now < start_at:
        return payment
    name = step_functions.payment_execution_name(payment.reservation_id, payment.restarts)
    execution = step_functions.payment_execution(name)
    pending = payment.status == "pending"
    if execution.runs:
        if pending and payment.task_token and now > wait_end(payment) + GRACE:
            step_functions.signal(payment.task_token, "refresh")
            report.record("overdue_wait", payment_id=payment.payment_id)
        return mark_started(payment, PAYMENT) if pending else payment
    if execution == step_functions.MISSING:
        if start_at is None and not pending:
            return payment  # nothing of it has died
        step_functions.start_payment(payment)
        report.record("execution_missing" if start_at is None else "replacement_started", payment_id=payment.payment_id)
        return payment
    if execution.status == "SUCCEEDED" and not pending:
        return mark_started(payment, PAYMENT)
    progress = f"{payment.status} {payment.token_sequence} {len(payment.captures)}"
    after = plan_next(
        payment, PAYMENT, progress=progress, notification="PaymentRestartsExhausted", report=report, now=now
    )
    return after if after == payment else check_execution(after, report)


def find_or_create_payment(execution_input: dict[str, Any]) -> Payment | None:
    """The payment of an execution, which may have failed before it wrote the item; None if there is no booking."""
    payment = payment_items.read_payment(execution_input["payment_id"])
    if payment is not None or "refund_id" in execution_input:
        return payment
    reservation, _ = bookings.read_booking_items(execution_input["reservation_id"])
    if reservation is None:
        return None
    urls = {name: execution_input[name] for name in ("success_url", "cancel_url")}
    payment_items.create_payment(new_payment(reservation, hold=hold(), now=datetime.now(UTC), **urls))
    return payment_items.read_payment(execution_input["payment_id"])


def release_unpaid_hold(reservation_id: str, report: Report) -> None:
    """Start an execution that releases the hold when it is over and the guest never started to pay."""
    bind(reservation_id=reservation_id)
    if payment_items.read_payment(payment_id_of(reservation_id)) is not None:
        return
    reservation, _ = bookings.read_booking_items(reservation_id)
    now = datetime.now(UTC)
    if reservation is None or reservation.status != "pending" or now < reservation.created_at + hold() + GRACE:
        return
    origin = settings().origins[0]
    fresh = new_payment(reservation, hold=hold(), success_url=origin, cancel_url=origin, now=now)
    if step_functions.payment_execution(reservation_id) == step_functions.MISSING:
        step_functions.start_payment(fresh)
        report.record("hold_without_payment", reservation_id=reservation_id)
    else:  # it failed before it wrote the payment item
        payment_items.create_payment(fresh)
        check_execution(fresh, report)


def hold() -> timedelta:
    return timedelta(seconds=settings().hold_seconds)
