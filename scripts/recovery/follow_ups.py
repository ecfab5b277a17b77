"""What remains to be done about a booking once its items are rebuilt, by the same functions as everywhere else."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from scripts.recovery.booking_facts import Facts
from scripts.recovery.execution_runs import Executions, ListedExecution
from scripts.recovery.stripe_side import StripeSession
from shared.adapters import step_functions
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.ids import unapplied_refund_id
from shared.domain.models import FAILED, Payment
from shared.services import payment_restarts, refund_restarts
from shared.services.dispute_entries import CLOSED
from shared.services.ownership import Owner
from shared.services.reconciliation import Report
from shared.services.replacements import planned
from shared.services.stripe_event_registry import HANDLERS

type FollowUp = tuple[str, Callable[[], object]]


@dataclass
class Gathered:
    """What was found of one booking.

    `running` are its executions that run, and `died` says whether one of the payment's has died. `refund_executions`
    are those of each refund that run, or have ended since; `failed_later` are Stripe's refunds that failed late.
    """

    sessions: dict[str, StripeSession] = field(default_factory=dict)
    disputes: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: list[ListedExecution] = field(default_factory=list)
    died: bool = False
    refund_executions: dict[str, list[ListedExecution]] = field(default_factory=lambda: defaultdict(list))
    failed_later: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def follow_ups(payment: Payment, found: Gathered, facts: Facts, executions: Executions) -> Iterator[FollowUp]:
    """What is to be done, in words and as a call."""
    report = Report(budget=60)
    if payment.status != "pending":
        for pi, capture in payment.captures.items():
            if capture.role is None and unapplied_refund_id(pi) not in payment.refunds:
                yield f"refund the late payment {pi}", partial(refund_restarts.refund_late_payment, payment, pi, report)
    if facts.run is not None and facts.run.died:
        yield "replace the execution", partial(payment_restarts.check_execution, payment, report)
    for refund_id, run in facts.refunds.items():
        over = not run.runs and not set(found.running) & set(found.refund_executions[refund_id])
        # One that succeeded has settled the refund later than the restored moment, and its failure may have ended too.
        if over and (not run.succeeded or _waits(payment, refund_id)):
            again = partial(refund_restarts.check_refund, payment, refund_id, report, run.given)
            yield f"replace the execution of {refund_id}", again
    tokens = {payment.task_token, *(entry.task_token for entry in payment.refunds.values())}
    for execution in found.running:
        token = executions.waiting_token(execution)
        if token is not None and token not in tokens:
            yield f"refresh {execution.name}", partial(step_functions.signal, token, "refresh")
    yield from _refunds_by_others(payment, found, facts)
    yield from _disputes(payment, found)


def _waits(payment: Payment, refund_id: str) -> bool:
    """Whether a refund is not settled, and no replacement of its execution is planned."""
    entry = payment.refunds.get(refund_id)
    return entry is not None and entry.unsettled and planned(payment, refund_id) is None


def _refunds_by_others(payment: Payment, found: Gathered, facts: Facts) -> Iterator[FollowUp]:
    """Refunds that no execution of ours has made, on captures that are applied."""
    known = {*payment.refunds, *(entry.stripe_refund_id for entry in payment.refunds.values())}
    for session in found.sessions.values():
        intent = session.session.payment_intent
        capture = None if intent is None else payment.captures.get(intent.id)
        if intent is None or capture is None or capture.role is None:
            continue  # the workflow enters what was returned of money that it has not applied
        for refund in intent.refunds:
            ours = refund.metadata.get("refund_id", "") in {*facts.refunds, *payment.refunds}
            if refund.id not in known and not ours:
                event_type = "refund.failed" if refund.status in FAILED else "refund.updated"
                event = _event(event_type, "refund", refund.model_dump())
                yield f"enter {refund.id}, made outside", partial(_handle, event, payment, refund.payment_intent)


def _disputes(payment: Payment, found: Gathered) -> Iterator[FollowUp]:
    for dispute_id, dispute in found.disputes.items():
        known = payment.disputes.get(dispute_id)
        if known is None or known.status != dispute["status"]:
            event_type = f"charge.dispute.{'closed' if dispute['status'] in CLOSED else 'created'}"
            event = _event(event_type, "dispute", dispute)
            handle = partial(_handle, event, payment, dispute["payment_intent"])
            yield f"enter the dispute {dispute_id}, {dispute['status']}", handle


def _event(event_type: str, kind: str, fields: dict[str, Any]) -> StripeEvent:
    """An event as Stripe would send it about this object now."""
    event = {"id": f"evt_{fields['id']}", "type": event_type, "data": {"object": {**fields, "object": kind}}}
    return StripeEvent.model_validate(event)


def _handle(event: StripeEvent, payment: Payment, pi: str) -> None:
    capture = payment.captures.get(pi)
    attempt = None if capture is None else payment.attempt_of(capture.session)
    HANDLERS[event.type](event, Owner(payment, attempt))
