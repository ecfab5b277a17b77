"""Reconciler: finds payments, refunds and events that are stuck. Runs every minute, and when an execution dies.

It never decides about money itself. It refreshes a waiting workflow, starts an execution, processes an undelivered
event, or notifies the operators. Each kind that it finds is a value of the metric `Reconciled`.
Changes: `replacements`, `checks_after_release`, `notified` and `due_at` on payment items; starts and resumes
executions; processes Stripe's undelivered events as the webhook does.
Safe to run twice, and beside itself and the webhook: an execution's name is used once, a conditional write plans each
replacement, and a signal only makes the workflow read its state again.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from shared.adapters import step_functions
from shared.adapters.notifications import has_subscribers
from shared.contracts.states import RefundInput
from shared.domain.due import SHARDS
from shared.domain.errors import TransientError
from shared.observability import count, entry_point, logger
from shared.services.due_lists import check_shard, process_undelivered_events, release_unpaid_holds
from shared.services.due_payments import check_dead_execution
from shared.services.payment_restarts import find_or_create_payment
from shared.services.reconciliation import Report
from shared.settings import settings

BUDGET = 45.0  # seconds; what is begun by then is finished, and what is left comes first in the next run
# Lambda passes an event on three times, within minutes. If all three fail, the payment is not due for up to a day.
PAUSES = (1, 2, 4, 8, 16)  # seconds


def _check_subscriptions(_report: Report) -> None:
    """Count a run that finds nobody subscribed to the notifications of operators."""
    if not has_subscribers(settings().operator_topic_arn):
        count("OperatorsUnreachable")


LISTS: list[Callable[[Report], None]] = [
    _check_subscriptions,
    *(partial(check_shard, shard) for shard in SHARDS),
    release_unpaid_holds,
    process_undelivered_events,
]


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return how many items of each kind were found.

    Raises RuntimeError at the end of the run when an item could not be reconciled, so that the alarm goes off.
    """
    report = Report(BUDGET)
    if event.get("source") == "aws.states":
        _replace_patiently(event["detail"], report)
    else:
        _work_off_lists(report)
    if report.failures:
        raise RuntimeError(f"{report.failures} items could not be reconciled; found {report.kinds}")
    return report.kinds


def _replace_patiently(detail: dict[str, Any], report: Report) -> None:
    """Replace the execution, and try again while AWS is busy, as it may be when executions die."""
    for pause in PAUSES:
        try:
            return _replace_dead_execution(detail, report)
        except TransientError as error:
            logger.warning("not replaced yet", execution=detail["executionArn"], error=type(error).__name__)
        time.sleep(pause)
    return _replace_dead_execution(detail, report)


def _replace_dead_execution(detail: dict[str, Any], report: Report) -> None:
    """Replace the execution at once.

    An event has no input if that is too large, or encrypted with the stack's own key; Step Functions is asked for it.
    """
    execution_input = json.loads(detail.get("input") or step_functions.input_of(detail["executionArn"]) or "{}")
    if not isinstance(execution_input.get("payment_id"), str):
        return
    payment = find_or_create_payment(execution_input)
    if payment is not None:
        refund = RefundInput.parse(execution_input) if "refund_id" in execution_input else None
        check_dead_execution(payment, report, refund)


def _work_off_lists(report: Report) -> None:
    """Work off all lists at once, so that none takes time from another."""
    with ThreadPoolExecutor(len(LISTS)) as pool:
        running = [pool.submit(copy_context().run, report.attempt, partial(work_off, report)) for work_off in LISTS]
    for one in running:
        one.result()  # whatever ends a function, such as a lack of memory
    age = 0.0 if report.oldest_left is None else (datetime.now(UTC) - report.oldest_left).total_seconds()
    count("ReconcilerRuns")
    count("ItemsLeft", report.left)
    count("OldestDue", age, MetricUnit.Seconds)
    if report.left:
        logger.warning("time is over", left=report.left, oldest_due_seconds=round(age))
