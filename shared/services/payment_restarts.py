"""Payments whose execution is missing, dead or overdue: start it, restart it, or refresh its wait.

Safe to run twice and beside itself: an execution's name is used once, and a conditional write counts each restart.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters import bookings, payment_items, step_functions
from shared.domain.attempts import new_payment
from shared.domain.models import Payment
from shared.observability import bind
from shared.services.reconciliation import MAX_RESTARTS, Report, notify_once
from shared.settings import settings

GRACE = timedelta(seconds=30)  # how long after its end a wait or a hold counts as overdue


def check_pending_payment(payment_id: str, report: Report) -> None:
    """Make sure that a pending payment has a running execution which does not wait longer than it should."""
    payment = payment_items.read_payment(payment_id)
    if payment is None or payment.status != "pending":
        return
    bind(payment_id=payment_id, reservation_id=payment.reservation_id)
    execution = _newest_execution(payment)
    if execution.runs:
        if payment.task_token and _overdue(payment, datetime.now(UTC)):
            step_functions.signal(payment.task_token, "refresh")
            report.record("overdue_wait", payment_id=payment_id)
    elif execution == step_functions.MISSING:
        _start_missing(payment, report)
    else:
        _restart(payment, execution.status, report)


def restart_dead_payment(execution_input: dict[str, Any], report: Report) -> None:
    """Restart the execution that failed with this input.

    It may have failed before it wrote the payment item, or after the payment was settled, while it published events.
    """
    reservation, payment = bookings.read_booking_items(execution_input["reservation_id"])
    if payment is None:
        if reservation is not None:
            urls = {name: execution_input[name] for name in ("success_url", "cancel_url")}
            _create_and_check(new_payment(reservation, hold=_hold(), now=datetime.now(UTC), **urls), report)
    elif payment.status == "pending":
        check_pending_payment(payment.payment_id, report)
    else:
        bind(payment_id=payment.payment_id, reservation_id=payment.reservation_id)
        execution = _newest_execution(payment)
        if execution == step_functions.MISSING:
            _start_missing(payment, report)
        elif not execution.runs and execution.status != "SUCCEEDED":
            _restart(payment, execution.status, report)


def release_unpaid_hold(reservation_id: str, report: Report) -> None:
    """Start an execution that releases the hold when it is over and the guest never started to pay."""
    reservation, payment = bookings.read_booking_items(reservation_id)
    bind(reservation_id=reservation_id)
    now = datetime.now(UTC)
    if reservation is None or payment is not None or reservation.status != "pending":
        return
    if now < reservation.created_at + _hold() + GRACE:
        return
    origin = settings().origins[0]
    fresh = new_payment(reservation, hold=_hold(), success_url=origin, cancel_url=origin, now=now)
    if step_functions.payment_execution(reservation_id) == step_functions.MISSING:
        step_functions.start_payment(fresh)
        report.record("hold_without_payment", reservation_id=reservation_id)
    else:
        _create_and_check(fresh, report)


def _create_and_check(fresh: Payment, report: Report) -> None:
    """Create the payment item that the execution did not get to write, and treat it like any other pending payment."""
    payment_items.create_payment(fresh)
    check_pending_payment(fresh.payment_id, report)


def _newest_execution(payment: Payment) -> step_functions.Execution:
    return step_functions.payment_execution(
        step_functions.payment_execution_name(payment.reservation_id, payment.restarts)
    )


def _start_missing(payment: Payment, report: Report) -> None:
    """Start an execution that was never started, or whose restart was counted and not started."""
    step_functions.start_payment(payment)
    report.record("execution_missing", payment_id=payment.payment_id)


def _restart(payment: Payment, status: str, report: Report) -> None:
    """Start a replacement execution, or notify the operators once when the restarts are exhausted."""
    if payment.restarts >= MAX_RESTARTS:
        what = f"{MAX_RESTARTS} replacement executions ended without settling it, the last one as {status}"
        if notify_once("restarts_exhausted", "PaymentRestartsExhausted", payment, what):
            report.record("restarts_exhausted", payment_id=payment.payment_id)
    elif payment_items.claim_restart(payment, now=datetime.now(UTC)):
        step_functions.start_payment(payment.model_copy(update={"restarts": payment.restarts + 1}))
        report.record("replacement_started", payment_id=payment.payment_id, former=status)


def _overdue(payment: Payment, now: datetime) -> bool:
    if payment.cancel_requested_at is not None:
        return now > payment.cancel_requested_at + GRACE
    if payment.awaiting == "payment" and payment.current is not None:
        return now > min(payment.current.deadline, payment.hold_expires_at) + GRACE
    return now > payment.hold_expires_at + GRACE


def _hold() -> timedelta:
    return timedelta(seconds=settings().hold_seconds)
