"""What a restored booking lacks, as a pure comparison of its items with Stripe and its executions."""

from dataclasses import replace
from datetime import datetime

from scripts.recovery.booking_facts import Facts, Rebuilt, Terms
from scripts.recovery.execution_runs import Opened
from scripts.recovery.refund_rebuilding import with_refund
from scripts.recovery.stripe_side import StripeSession
from shared.domain.attempts import CURRENCY, agreed_policy, new_payment, next_attempt_key
from shared.domain.booking import Booking
from shared.domain.ids import unapplied_refund_id
from shared.domain.ledger import ledger
from shared.domain.models import Attempt, Capture, Payment, Replacement
from shared.domain.session_outcomes import assess_session


def rebuild(booking: Booking, facts: Facts, terms: Terms, now: datetime) -> Rebuilt:
    """The booking with every attempt, capture, confirmation and refund that its items lack.

    An attempt whose session is not known to have ended, and money that nothing has confirmed, are left for the workflow
    to decide about. `booking.payment` may be missing; then there is a session or an execution.
    """
    rebuilt = Rebuilt(booking.payment or _first_item(booking, facts, terms, now))
    if booking.payment is None:
        rebuilt = replace(rebuilt, changes=("create the payment",))
    for session in sorted(facts.sessions, key=lambda one: (one.created_at, one.session.id)):
        if _ours(rebuilt.payment, booking.payment, facts, session):
            rebuilt = _with_session(rebuilt, session, facts.opened.get(session.session.id), now)
    rebuilt = _with_agreement(rebuilt, booking, terms)
    rebuilt = _confirmed(rebuilt, booking, facts)
    for refund_id in sorted(facts.refunds):
        rebuilt = with_refund(rebuilt, booking, facts, refund_id, now)
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


def _ours(payment: Payment, stored: Payment | None, facts: Facts, found: StripeSession) -> bool:
    """Whether the session is one of the payment's: the item knows it, or an execution has opened it.

    One that nobody could pay, and whose place a later attempt has taken, was forgotten on purpose.
    """
    if payment.attempt_of(found.session.id) is not None:
        return True
    opened = facts.opened.get(found.session.id)
    if opened is None or stored is None or stored.current_attempt is None:
        return opened is not None
    later = int(stored.current_attempt) > int(opened.attempt.key)
    return opened.published or not later or found.session.status != "expired"


def _with_session(rebuilt: Rebuilt, found: StripeSession, opened: Opened | None, now: datetime) -> Rebuilt:
    """Enter a session that the item lacks as an attempt, and the money of any session."""
    payment, session = rebuilt.payment, found.session
    key = payment.attempt_of(session.id)
    if key is None and opened is not None:
        key = _free_key(payment, opened)
        fields = _attempt_fields(payment, key, found, opened, now)
        rebuilt = rebuilt.changed(f"enter attempt {key} of {session.id}", **fields)
    if key is None:
        return rebuilt
    outcome = assess_session(rebuilt.payment.attempts[key], session, now)
    for pi, capture in outcome.captures.items():
        if pi not in payment.captures:
            rebuilt = rebuilt.changed(
                f"enter the capture {pi}",
                captures={**rebuilt.payment.captures, pi: capture},
                attempts={**rebuilt.payment.attempts, key: outcome.attempt},
            )
    return rebuilt


def _free_key(payment: Payment, opened: Opened) -> str:
    """The key under which the session was opened, unless another session has it since the restore."""
    known = payment.attempts.get(opened.attempt.key)
    taken = known is not None and known.stripe_checkout_session_id is not None
    return next_attempt_key(payment) if taken else opened.attempt.key


def _attempt_fields(
    payment: Payment, key: str, found: StripeSession, opened: Opened, now: datetime
) -> dict[str, object]:
    session = found.session
    opening = payment.attempts.get(key) or Attempt(
        status="opening",
        amount=found.amount,
        parameters="",  # they were sent
        opened_at=found.created_at,
        deadline=datetime.fromisoformat(opened.attempt.deadline),
    )
    attempt = opening.model_copy(
        update={
            "status": "open" if session.status == "open" and payment.status == "pending" else "unresolved",
            "counted": int(opened.published or opening.counted),
            "stripe_checkout_session_id": session.id,
            "checkout_url": session.url,
            "checkout_expires_at": session.expires_at,
        }
    )
    outcome = assess_session(attempt, session, now)
    attempts = {**payment.attempts, key: attempt if outcome.unsettled else outcome.attempt}
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
    by_workflow = run is not None and run.confirmed
    by_us = reservation.status != "pending" and reservation.payment_id == payment.payment_id
    if payment.status != "pending" or not (by_workflow or by_us):
        return rebuilt
    if reservation.status == "pending" and not booking.nights_held:
        return rebuilt  # the workflow returns the money
    fitting = sorted(
        (capture.amount != reservation.total_amount, capture.captured_at, pi)
        for pi, capture in payment.captures.items()
        if capture.role is None
        and (capture.amount, capture.currency) == (_price(payment, booking, capture, known=by_us), CURRENCY)
        and not _unapplied(facts, pi)
    )
    if not fitting:
        return rebuilt
    _, confirmed_at, pi = fitting[0]
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


def _unapplied(facts: Facts, pi: str) -> bool:
    """Whether the money was to be returned: its refund was not refused because it pays for the booking."""
    refund = facts.refunds.get(unapplied_refund_id(pi))
    return refund is not None and refund.refused != "NotRefundable"


def _price(payment: Payment, booking: Booking, capture: Capture, *, known: bool) -> int | None:
    """What the stay cost: what the session asked for, if the reservation is deleted or `known` to be confirmed by us.

    The platform may have changed its total since.
    """
    if not (booking.deleted or known):
        return booking.reservation.total_amount
    key = payment.attempt_of(capture.session)
    return None if key is None else payment.attempts[key].amount


def _with_numbers(rebuilt: Rebuilt, facts: Facts) -> Rebuilt:
    """Remember which replacements there have been: an execution's name is used once."""
    known = dict(rebuilt.payment.replacements)
    numbers = {refund_id: run.restart for refund_id, run in facts.refunds.items()}
    numbers["payment"] = 0 if facts.run is None else facts.run.restart
    for key, number in numbers.items():
        if number > (known[key].number if key in known else 0):
            known[key] = Replacement(number=number, step=0, progress="restored")
    return replace(rebuilt, payment=rebuilt.payment.model_copy(update={"replacements": known}))
