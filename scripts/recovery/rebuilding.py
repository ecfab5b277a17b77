"""What a restored booking lacks, as a pure comparison of its items with Stripe and its executions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from scripts.recovery.execution_runs import PaymentRun, RefundRun
from scripts.recovery.stripe_side import StripeSession
from shared.domain.attempts import CURRENCY, agreed_policy, attempts_left, new_payment, next_attempt_key
from shared.domain.booking import Booking
from shared.domain.ids import unapplied_refund_id
from shared.domain.ledger import ledger
from shared.domain.models import FAILED, SETTLED, Attempt, Capture, Payment, Refund, RefundStatus, Replacement
from shared.domain.refund_policy import RefundTier
from shared.domain.session_outcomes import assess_session
from shared.domain.stripe_values import StripeRefund


@dataclass(frozen=True)
class Facts:
    """What Stripe and Step Functions know of one booking; `refunds` are those that an execution of ours has made."""

    sessions: Sequence[StripeSession] = ()
    run: PaymentRun | None = None
    refunds: Mapping[str, RefundRun] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """The configuration of the stack, as far as an item depends on it."""

    hold: timedelta
    window: timedelta
    max_attempts: int
    refund_policy: list[RefundTier]


@dataclass(frozen=True)
class Rebuilt:
    """The payment as it is to be, and the reservation's new status, if any; `changes` says what that changes."""

    payment: Payment
    reservation_status: Literal["confirmed", "cancelled"] | None = None
    changes: tuple[str, ...] = ()

    def changed(self, what: str, **fields: object) -> "Rebuilt":
        return replace(self, payment=self.payment.model_copy(update=fields), changes=(*self.changes, what))


def rebuild(booking: Booking, facts: Facts, terms: Terms, now: datetime) -> Rebuilt:
    """The booking with every attempt, capture, confirmation and refund that its items lack.

    An attempt whose session is not known to have ended, and money that nothing has confirmed, are left for the workflow
    to decide about. `booking.payment` may be missing; then there is a session or an execution.
    """
    rebuilt = Rebuilt(booking.payment or _first_item(booking, facts, terms, now))
    if booking.payment is None:
        rebuilt = replace(rebuilt, changes=("create the payment",))
    for session in sorted(facts.sessions, key=lambda one: (one.created_at, one.session.id)):
        if not _forgotten(booking.payment, session):
            rebuilt = _with_session(rebuilt, session, terms, now)
    rebuilt = _with_agreement(rebuilt, booking, terms)
    rebuilt = _confirmed(rebuilt, booking, facts)
    for refund_id in sorted(facts.refunds):
        rebuilt = _with_refund(rebuilt, booking, facts.refunds[refund_id], _at_stripe(facts, refund_id), now)
    if rebuilt.changes:
        rebuilt = _with_numbers(rebuilt, facts)
        totals = ledger(rebuilt.payment)
        after = rebuilt.payment.model_copy(
            update={
                "status": totals.status,
                "refund_amount": totals.refund_amount,
                "refund_pending_amount": totals.refund_pending_amount,
                "refunded_at": (rebuilt.payment.refunded_at or now) if totals.status == "refunded" else None,
                "updated_at": now,
            }
        )
        rebuilt = replace(rebuilt, payment=after)
    return rebuilt


def _first_item(booking: Booking, facts: Facts, terms: Terms, now: datetime) -> Payment:
    """A new payment item. Raises LookupError where neither a session nor an execution knows the guest's addresses."""
    opened = sorted(facts.sessions, key=lambda one: one.created_at)
    known = facts.run.given if facts.run is not None else next(iter(opened), None)
    if known is None:
        raise LookupError("neither a session nor an execution of it is known")
    return new_payment(
        booking.reservation,
        hold=terms.hold,
        success_url=known.success_url,
        cancel_url=known.cancel_url,
        now=opened[0].created_at if opened else now,
    )


def _forgotten(stored: Payment | None, found: StripeSession) -> bool:
    """Whether a later attempt has taken the place of this one, which nobody could pay."""
    intent = found.session.payment_intent
    if stored is None or stored.current_attempt is None or not found.attempt.isdecimal():
        return False
    later = int(stored.current_attempt) > int(found.attempt) and found.attempt not in stored.attempts
    return later and found.session.status == "expired" and (intent is None or intent.status != "succeeded")


def _with_session(rebuilt: Rebuilt, found: StripeSession, terms: Terms, now: datetime) -> Rebuilt:
    """Enter a session that the item lacks as an attempt, and the money of any session."""
    payment, session = rebuilt.payment, found.session
    key = payment.attempt_of(session.id)
    if key is None:
        key = _free_key(payment, found)
        rebuilt = rebuilt.changed(
            f"enter attempt {key} of {session.id}", **_attempt_fields(payment, key, found, terms, now)
        )
    outcome = assess_session(rebuilt.payment.attempts[key], session, now)
    for pi, capture in outcome.captures.items():
        if pi not in payment.captures:
            rebuilt = rebuilt.changed(
                f"enter the capture {pi}",
                captures={**rebuilt.payment.captures, pi: capture},
                attempts={**rebuilt.payment.attempts, key: outcome.attempt},
            )
    return rebuilt


def _free_key(payment: Payment, found: StripeSession) -> str:
    """The key under which the session was opened, unless another session has it since the restore."""
    known = payment.attempts.get(found.attempt)
    taken = known is not None and known.stripe_checkout_session_id is not None
    return found.attempt if found.attempt.isdecimal() and not taken else next_attempt_key(payment)


def _attempt_fields(payment: Payment, key: str, found: StripeSession, terms: Terms, now: datetime) -> dict[str, object]:
    session = found.session
    opening = payment.attempts.get(key) or Attempt(
        status="opening",
        amount=found.amount,
        parameters="",  # they were sent
        opened_at=found.created_at,
        deadline=found.created_at + terms.window,
    )
    opened = opening.model_copy(
        update={
            "status": "open" if session.status == "open" and payment.status == "pending" else "unresolved",
            # Whether the guest was offered it is not known; an attempt more than allowed was none.
            "counted": 1 if opening.counted or attempts_left(payment, terms.max_attempts) else 0,
            "stripe_checkout_session_id": session.id,
            "checkout_url": session.url,
            "checkout_expires_at": session.expires_at,
        }
    )
    outcome = assess_session(opened, session, now)
    attempts = {**payment.attempts, key: opened if outcome.unsettled else outcome.attempt}
    newest = max(attempts, key=int)
    return {"attempts": attempts, "current_attempt": newest, "amount": attempts[newest].amount}


def _with_agreement(rebuilt: Rebuilt, booking: Booking, terms: Terms) -> Rebuilt:
    """Store with the first attempt what its guest has agreed to, as far as it is known today."""
    payment, reservation = rebuilt.payment, booking.reservation
    if not rebuilt.changes or not payment.attempts or booking.deleted or payment.check_in is not None:
        return rebuilt
    agreed = {
        "customer_id": reservation.customer_id,
        "check_in": reservation.check_in.isoformat(),
        "check_out": reservation.check_out.isoformat(),
        "refund_policy": agreed_policy(reservation, payment, terms.refund_policy),
    }
    return replace(rebuilt, payment=payment.model_copy(update=agreed))


def _confirmed(rebuilt: Rebuilt, booking: Booking, facts: Facts) -> Rebuilt:
    """Confirm a booking that had been confirmed: its execution or its reservation says so."""
    payment, reservation, run = rebuilt.payment, booking.reservation, facts.run
    by_workflow = run is not None and run.outcome == "confirmed"
    by_us = reservation.status != "pending" and reservation.payment_id == payment.payment_id
    if payment.status != "pending" or booking.deleted or not (by_workflow or by_us):
        return rebuilt
    if reservation.status == "pending" and not booking.nights_held:
        return rebuilt  # the workflow returns the money
    fitting = sorted(
        (capture.captured_at, pi)
        for pi, capture in payment.captures.items()
        if capture.role is None
        and (capture.amount, capture.currency) == (reservation.total_amount, CURRENCY)
        and unapplied_refund_id(pi) not in facts.refunds
    )
    if not fitting:
        return rebuilt
    confirmed_at, pi = fitting[0]
    capture = payment.captures[pi]
    rebuilt = rebuilt.changed(
        f"confirm the booking with {pi}",
        captures={**payment.captures, pi: capture.model_copy(update={"role": "booking"})},
        status="completed",
        amount=capture.amount,
        currency=capture.currency,
        stripe_payment_intent_id=pi,
        completed_at=confirmed_at if run is None or run.stopped_at is None else run.stopped_at,
        task_token=None,
        awaiting=None,
        error_message=None,
    )
    return replace(rebuilt, reservation_status="confirmed" if reservation.status == "pending" else None)


def _at_stripe(facts: Facts, refund_id: str) -> list[StripeRefund]:
    """The refunds that carry this refund id, on a PaymentIntent of the booking; newest first, as Stripe lists them."""
    intents = [one.session.payment_intent for one in facts.sessions if one.session.payment_intent is not None]
    return [refund for intent in intents for refund in intent.refunds if refund.metadata.get("refund_id") == refund_id]


def _with_refund(
    rebuilt: Rebuilt, booking: Booking, run: RefundRun, at_stripe: Sequence[StripeRefund], now: datetime
) -> Rebuilt:
    """Enter a refund of ours that the ledger lacks, or that has failed since the ledger saw it succeed."""
    payment, pi, entry = rebuilt.payment, run.given.payment_intent, rebuilt.payment.refunds.get(run.refund_id)
    capture = payment.captures.get(pi)
    alive = next((refund for refund in at_stripe if refund.status not in FAILED), None)
    newest = alive or next(iter(at_stripe), None)
    if capture is None:
        return rebuilt
    if entry is None:
        found = _entry(run, newest, capture, len(at_stripe), now)
        return rebuilt if found is None else _with_entry(rebuilt, booking, run, found)
    taken_back = entry.status == "succeeded" and newest is not None and alive is None
    if not taken_back or newest is None:
        return rebuilt
    failed = entry.model_copy(
        update={
            "status": "failed",
            "settled_at": None,
            "stripe_refund_id": newest.id,
            "failure_reason": newest.failure_reason or newest.status,
            "attempt": max(entry.attempt, len(at_stripe)),
        }
    )
    return rebuilt.changed(f"enter the failure of {newest.id}", refunds={**payment.refunds, run.refund_id: failed})


def _entry(run: RefundRun, newest: StripeRefund | None, capture: Capture, tries: int, now: datetime) -> Refund | None:
    """The ledger's entry; None where nothing was reserved, or an execution will reserve it."""
    given = run.given
    nothing = given.kind == "cancellation" and given.amount == 0
    waits = run.runs and run.state == "AwaitOperator"
    if newest is None and not (nothing and run.succeeded) and not waits and not run.settled_elsewhere:
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
        failure_reason=(newest.failure_reason or newest.status) if newest is not None and status == "failed" else None,
        execution=run.newest,
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


def _with_numbers(rebuilt: Rebuilt, facts: Facts) -> Rebuilt:
    """Remember which replacements there have been: an execution's name is used once."""
    known = dict(rebuilt.payment.replacements)
    numbers = {refund_id: run.restart for refund_id, run in facts.refunds.items()}
    numbers["payment"] = 0 if facts.run is None else facts.run.restart
    for key, number in numbers.items():
        if number > (known[key].number if key in known else 0):
            known[key] = Replacement(number=number, step=0, progress="restored")
    return replace(rebuilt, payment=rebuilt.payment.model_copy(update={"replacements": known}))
