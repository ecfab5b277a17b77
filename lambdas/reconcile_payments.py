"""Reconciler: finds payments, refunds and events that are stuck. Runs on a schedule, and when an execution dies.

It never decides about money itself. It refreshes a waiting workflow, starts an execution, processes an undelivered
event, or notifies the operators. Each kind that it finds is a value of the metric `Reconciled`.
Changes: `restarts`, `checks_after_release` and `notified` on payment items; starts and resumes executions; processes
Stripe's undelivered events as the webhook does.
Safe to run twice, and beside itself and the webhook: an execution's name is used once, a conditional write counts each
restart, and a signal only makes the workflow read its state again.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shared.adapters import bookings, payment_items, refund_ledger, step_functions, stripe_api
from shared.adapters.notifications import has_subscribers
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.api_errors import ApiError
from shared.domain.errors import TransientError
from shared.domain.ids import cancellation_id, payment_id_of
from shared.observability import bind, count, entry_point, logger
from shared.services.payment_restarts import check_pending_payment, release_unpaid_hold, restart_dead_payment
from shared.services.reconciliation import Report, notify_once
from shared.services.refund_restarts import check_refunds, refund_late_payment, restart_dead_refund
from shared.services.stripe_events import HANDLED, process
from shared.settings import settings

QUIET = timedelta(seconds=60)  # an item that changed more recently is still being worked on
OLDEST_PENDING = timedelta(days=400)
EVENTS_SINCE = timedelta(days=3)  # as long as Stripe tries to deliver
CHECK_AGAIN_AFTER = (timedelta(minutes=15), timedelta(days=1))  # after a release
CHECK_AGAIN_UNTIL = timedelta(days=3)


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return how many items of each kind were found.

    Raises RuntimeError at the end of the run when an item could not be reconciled, so that the alarm goes off.
    """
    report = Report()
    if event.get("source") == "aws.states":
        _restart_dead_execution(event["detail"], report)
    else:
        _check_everything(report)
    count("ReconcilerRuns")
    if report.failures:
        raise RuntimeError(f"{report.failures} items could not be reconciled; found {report.kinds}")
    return report.kinds


def _restart_dead_execution(detail: dict[str, Any], report: Report) -> None:
    """Restart the execution at once.

    An event has no input if that is too large, or encrypted with the stack's own key; Step Functions is asked for it.
    """
    execution_input = json.loads(detail.get("input") or step_functions.input_of(detail["executionArn"]) or "{}")
    if isinstance(execution_input.get("payment_id"), str):
        restart = restart_dead_refund if "refund_id" in execution_input else restart_dead_payment
        report.for_each([execution_input], lambda given: restart(given, report))


def _check_everything(report: Report) -> None:
    report.for_each([settings().operator_topic_arn], _check_subscriptions)
    now = datetime.now(UTC)
    pending = payment_items.payments_between("pending", now - OLDEST_PENDING, now - QUIET)
    released = payment_items.payments_between("expired", now - CHECK_AGAIN_UNTIL, now - CHECK_AGAIN_AFTER[0])
    report.for_each(pending, lambda payment_id: check_pending_payment(payment_id, report))
    report.for_each(refund_ledger.payments_refunding(), lambda payment_id: check_refunds(payment_id, report))
    report.for_each(bookings.reservations_in("pending"), lambda res_id: release_unpaid_hold(res_id, report))
    report.for_each(released, lambda payment_id: _check_released_payment(payment_id, report))
    report.for_each([now - EVENTS_SINCE], lambda since: _process_undelivered_events(since, report))
    # Last, because this list grows for ever and must not take time from the others.
    report.for_each(bookings.reservations_in("cancelled"), lambda res_id: _report_kept_money(res_id, report))


def _check_subscriptions(topic_arn: str) -> None:
    if not has_subscribers(topic_arn):
        count("OperatorsUnreachable")


def _check_released_payment(payment_id: str, report: Report) -> None:
    """Check the sessions of a released booking again, twice: money that came late is refunded."""
    payment = payment_items.read_payment(payment_id)
    if payment is None or payment.status != "expired":
        return
    bind(payment_id=payment_id, reservation_id=payment.reservation_id)
    now = datetime.now(UTC)
    due = [number for number, after in enumerate(CHECK_AGAIN_AFTER, 1) if now >= payment.updated_at + after]
    if not due or payment.checks_after_release >= due[-1]:
        return
    for attempt in payment.attempts.values():
        if attempt.stripe_checkout_session_id is None:
            continue
        intent = stripe_api.retrieve_checkout_session(attempt.stripe_checkout_session_id).payment_intent
        if intent is not None and intent.status == "succeeded" and intent.id not in payment.captures:
            refund_late_payment(payment, intent.id, report)
            report.record("late_money", payment_id=payment_id, stripe_payment_intent_id=intent.id)
    payment_items.record_check_after_release(payment, due[-1])


def _report_kept_money(reservation_id: str, report: Report) -> None:
    """Notify the operators of a paid booking that was cancelled without a refund: the decision is theirs."""
    payment = payment_items.read_payment(payment_id_of(reservation_id))
    if payment is None or payment.status not in {"completed", "partially_refunded"}:
        return
    if cancellation_id(payment.payment_id) in payment.refunds:
        return
    bind(payment_id=payment.payment_id, reservation_id=reservation_id)
    what = "the reservation is cancelled, but nobody has asked for a refund"
    if notify_once("money_kept", "CancelledMoneyKept", payment, what):
        report.record("cancelled_money_kept", payment_id=payment.payment_id)


def _process_undelivered_events(since: datetime, report: Report) -> None:
    undelivered = stripe_api.undelivered_events(since, HANDLED)
    report.for_each(undelivered, lambda fields: _process_event(fields, report))


def _process_event(fields: Mapping[str, Any], report: Report) -> None:
    try:
        event = StripeEvent.model_validate(fields)
    except ValidationError:
        logger.error("not an event", stripe_event_id=fields.get("id"))
        return
    try:
        answer = process(event, "undelivered")
    except TransientError as error:
        # Stripe goes on delivering it, and the next run tries it again.
        logger.warning("not processed", stripe_event_id=event.id, error=type(error).__name__)
        return
    except ApiError as error:
        # It can never be read; trying again would not help.
        logger.error("not an event", stripe_event_id=event.id, error=error.answer.code)
        return
    if answer.processing_result == "success":
        report.record("undelivered_event", stripe_event_id=event.id)
