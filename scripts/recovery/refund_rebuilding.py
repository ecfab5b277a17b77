"""Which entries the ledger of a restored booking lacks, as a pure comparison with Stripe and the executions."""

from dataclasses import replace
from datetime import datetime

from scripts.recovery.booking_facts import Facts, Rebuilt
from scripts.recovery.execution_runs import RefundRun
from shared.domain.booking import Booking
from shared.domain.ledger import amount_taken
from shared.domain.models import FAILED, PENDING, SETTLED, Capture, Refund, RefundStatus
from shared.domain.stripe_values import StripeRefund


def _at_stripe(facts: Facts, run: RefundRun) -> list[StripeRefund]:
    """The refunds on PaymentIntents of the booking that this one made, or that settled it; newest first, as listed."""
    intents = [one.session.payment_intent for one in facts.sessions if one.session.payment_intent is not None]
    return [
        refund
        for intent in intents
        for refund in intent.refunds
        if refund.metadata.get("refund_id") == run.refund_id or refund.id in run.failed_later
    ]


def with_refund(rebuilt: Rebuilt, booking: Booking, facts: Facts, refund_id: str, now: datetime) -> Rebuilt:
    """Enter a refund of ours that the ledger lacks, or whose failure it has not seen."""
    run = facts.refunds[refund_id]
    at_stripe = _at_stripe(facts, run)
    payment, pi, entry = rebuilt.payment, run.given.payment_intent, rebuilt.payment.refunds.get(run.refund_id)
    capture = payment.captures.get(pi)
    alive = next((refund for refund in at_stripe if refund.status not in FAILED), None)
    newest = alive or next(iter(at_stripe), None)
    if capture is None or (run.given.kind != "unapplied" and capture.role != "booking"):
        return rebuilt  # the workflow enters what was returned of money that pays for nothing
    if entry is None:
        found = _entry(run, newest, capture, len(at_stripe), now)
        if found is None:
            return _with_unapplied(rebuilt, run, capture)
        return _with_entry(_without(rebuilt, at_stripe, capture), booking, run, found)
    sent = next((refund for refund in at_stripe if refund.id == entry.stripe_refund_id), None)
    ended = entry.status == "succeeded" or (entry.status in PENDING and not run.runs)
    taken_back = ended and sent is not None and sent.status in FAILED
    # It waits for operators, whatever Stripe has of it: the failure was recorded.
    refused = entry.status in PENDING and _waits(run) and alive is None
    answered = run.settled_elsewhere and alive is None and entry.status != "settled_elsewhere"
    if not (taken_back or refused or answered):
        return rebuilt
    status: RefundStatus
    if alive is not None:
        status, what = alive.status, f"enter {alive.id} in place of {entry.stripe_refund_id}"
    elif answered:
        status, what = "settled_elsewhere", f"enter that {run.refund_id} is settled elsewhere"
    else:
        status, what = "failed", f"enter the failure of {run.refund_id if newest is None else newest.id}"
    since = entry.model_copy(
        update={
            "status": status,
            "settled_at": (run.stopped_at or now) if status in SETTLED else None,
            "stripe_refund_id": entry.stripe_refund_id if newest is None else newest.id,
            "failure_reason": _failure(newest) if status == "failed" else None,
            "attempt": max(entry.attempt, len(at_stripe)),
            "execution": run.newest,
        }
    )
    return rebuilt.changed(what, refunds={**payment.refunds, run.refund_id: since})


def _with_unapplied(rebuilt: Rebuilt, run: RefundRun, capture: Capture) -> Rebuilt:
    """Enter that a capture pays for nothing, although a refund outside had left nothing of it to reserve.

    If that refund fails, the webhook has to return the money: the execution has ended, and its name is used once.
    """
    if run.given.kind != "unapplied" or run.refused != "NotEnoughLeft" or capture.role is not None:
        return rebuilt
    pi = run.given.payment_intent
    unapplied = capture.model_copy(update={"role": "unapplied"})
    return rebuilt.changed(f"enter that {pi} is unapplied", captures={**rebuilt.payment.captures, pi: unapplied})


def _waits(run: RefundRun) -> bool:
    return run.runs and run.state == "AwaitOperator"


def _failure(refund: StripeRefund | None) -> str:
    return "not created" if refund is None else refund.failure_reason or refund.status


def _entry(run: RefundRun, newest: StripeRefund | None, capture: Capture, tries: int, now: datetime) -> Refund | None:
    """The ledger's entry; None where nothing was reserved, or an execution will reserve it."""
    given = run.given
    nothing = given.kind == "cancellation" and given.amount == 0 and run.refused is None
    if newest is None and not (nothing and run.succeeded) and not _waits(run) and not run.settled_elsewhere:
        return None
    status: RefundStatus = "failed" if newest is None or newest.status in FAILED else newest.status
    if nothing:
        status = "succeeded"
    if run.settled_elsewhere and status == "failed":
        status = "settled_elsewhere"
    amount = given.amount if given.amount is not None else capture.refundable if newest is None else newest.amount
    return Refund(
        kind=given.kind,
        payment_intent=given.payment_intent,
        amount=amount,
        status=status,
        attempt=max(1, tries),
        stripe_refund_id=None if newest is None else newest.id,
        reason_public=given.reason_public,
        requested_by=given.requested_by,
        policy=given.policy,
        created_at=run.started_at,
        settled_at=(run.stopped_at or now) if status in SETTLED else None,
        failure_reason=_failure(newest) if newest is not None and status == "failed" else None,
        execution=run.newest,
    )


def _without(rebuilt: Rebuilt, at_stripe: list[StripeRefund], capture: Capture) -> Rebuilt:
    """Take out what was entered as made outside while the ledger lacked our refund: it would count twice."""
    payment = rebuilt.payment
    outside = {refund.id: payment.refunds[refund.id] for refund in at_stripe if refund.id in payment.refunds}
    if not outside:
        return rebuilt
    refundable = capture.refundable + sum(amount_taken(refund) for refund in outside.values())
    pi = next(iter(outside.values())).payment_intent
    return rebuilt.changed(
        f"take out {', '.join(sorted(outside))}",
        captures={**payment.captures, pi: capture.model_copy(update={"refundable": refundable})},
        refunds={name: entry for name, entry in payment.refunds.items() if name not in outside},
    )


def _with_entry(rebuilt: Rebuilt, booking: Booking, run: RefundRun, entry: Refund) -> Rebuilt:
    payment, pi = rebuilt.payment, entry.payment_intent
    capture = payment.captures[pi]
    role = "unapplied" if entry.kind == "unapplied" and capture.role is None else capture.role
    reserved = capture.model_copy(update={"refundable": capture.refundable - entry.amount, "role": role})
    rebuilt = rebuilt.changed(
        f"enter the refund {run.refund_id}, {entry.status}",
        captures={**payment.captures, pi: reserved},
        refunds={**payment.refunds, run.refund_id: entry},
    )
    status = rebuilt.reservation_status or booking.reservation.status
    if entry.kind == "cancellation" and status == "confirmed" and not booking.deleted:
        rebuilt = replace(rebuilt, reservation_status="cancelled", changes=(*rebuilt.changes, "cancel the reservation"))
    return rebuilt
