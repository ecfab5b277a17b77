"""The decisions, as pure functions: values in, values out; `now` is an argument, money is integer euro cents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Literal
from zoneinfo import ZoneInfo

from shared.models import (
    PENDING,
    SETTLED,
    UNCLOSED,
    Attempt,
    AttemptStatus,
    Booking,
    Capture,
    CheckoutSession,
    Payment,
    PaymentStatus,
    RefundPolicy,
    Reservation,
)

CURRENCY = "EUR"
MIN_AMOUNT, MAX_AMOUNT = 50, 99_999_999  # Stripe's bounds for a EUR charge, in cents

# Stripe wants 30 minutes at least by its own clock; exactly 30 would fail under clock skew
# (Stripe's API reference, "Create a Checkout Session", `expires_at`).
SESSION_MARGIN = timedelta(seconds=300)
SESSION_MINIMUM = timedelta(minutes=35)
# A create that got no answer is repeated as it was for this long; later it would be refused for its `expires_at`.
OPENING_REPEATABLE = timedelta(seconds=240)
# Stripe forgets an idempotency key after 24 hours at the earliest; past this a repeat could make a second session.
KEY_REMEMBERED = timedelta(hours=23)
# How long a 3-D Secure challenge may outlive its session before we take it for abandoned.
CHALLENGE_GRACE = timedelta(minutes=15)

AttemptKey = str
VerdictName = Literal["unusable", "paid", "unknown", "close", "release", "open", "create", "retry"]


def payment_id_of(reservation_id: str) -> str:
    return f"PAY-{reservation_id}"


def attempts_left(payment: Payment | None, max_attempts: int) -> int:
    """How many more sessions may be published: `max_attempts` and what operators granted, less the counted ones."""
    if payment is None:
        return max_attempts
    counted = sum(attempt.counted for attempt in payment.attempts.values())
    return max(0, max_attempts + payment.attempts_granted - counted)


def hold_ending(hold_expires_at: datetime, window: timedelta, now: datetime) -> bool:
    """Whether a checkout window opened now would outlast the hold."""
    return now + window > hold_expires_at


def amount_payable(reservation: Reservation) -> bool:
    return MIN_AMOUNT <= reservation.total_amount <= MAX_AMOUNT


def new_payment(
    reservation: Reservation, *, hold: timedelta, success_url: str, cancel_url: str, now: datetime
) -> Payment:
    """The payment item of a booking that has none yet; its hold began when the reservation was made."""
    return Payment(
        payment_id=payment_id_of(reservation.reservation_id),
        reservation_id=reservation.reservation_id,
        status="pending",
        customer_id=reservation.customer_id,
        hold_expires_at=reservation.created_at + hold,
        success_url=success_url,
        cancel_url=cancel_url,
        created_at=now,
        updated_at=now,
    )


def handed_out(payment: Payment, reservation: Reservation, *, margin: timedelta, now: datetime) -> bool:
    """Whether the current session may be given to the guest.

    Only while the payment awaits it, the reservation is pending at the session's price, and the window is not about
    to end (`margin`). A session that has ended with a payment under way is `open`, but for its `closed_at`.
    """
    attempt = payment.current
    return (
        payment.status == "pending"
        and payment.awaiting == "payment"
        and payment.cancel_requested_at is None
        and reservation.status == "pending"
        and attempt is not None
        and attempt.status == "open"
        and attempt.closed_at is None
        and attempt.checkout_url is not None
        and attempt.amount == reservation.total_amount
        and now + margin < attempt.deadline
    )


def booking_gone(booking: Booking) -> bool:
    """Whether the reservation can no longer be confirmed, or the guest has asked to cancel it."""
    payment = booking.payment
    return (
        booking.reservation.status != "pending"
        or not booking.nights_held
        or (payment is not None and payment.cancel_requested_at is not None)
    )


def session_expires_at(opened_at: datetime, window: timedelta) -> datetime:
    """When Stripe shall expire a session opened now: after our own deadline, and well inside Stripe's bounds."""
    return opened_at + max(window + SESSION_MARGIN, SESSION_MINIMUM)


def next_attempt_key(payment: Payment) -> AttemptKey:
    """The key number always rises, so that no idempotency key is ever used for two sets of parameters."""
    return str(max((int(key) for key in payment.attempts), default=0) + 1)


def repeatable(attempt: Attempt, reservation: Reservation, now: datetime) -> bool:
    """Whether the stored create of an attempt that was never published may be sent again as it is."""
    return (
        attempt.status == "opening"
        and attempt.amount == reservation.total_amount
        and now <= attempt.opened_at + OPENING_REPEATABLE
    )


# Refunds.

FULL_REFUND_DAYS, HALF_REFUND_DAYS = 14, 7  # whole calendar days before check-in (docs/integration.md)


@dataclass(frozen=True)
class PolicyRefund:
    """What the cancellation policy gives back: `policy` is None where it gives nothing."""

    policy: RefundPolicy | None
    amount: int
    days_until_checkin: int


def policy_refund(check_in: date, amount: int, *, time_zone: ZoneInfo, now: datetime) -> PolicyRefund:
    """What a guest gets back who cancels now: 14 days before check-in all, 7 half of it, rounded down to the cent.

    Days are calendar days at the property, so that neither the guest's clock nor daylight saving moves a boundary.
    """
    days = (check_in - now.astimezone(time_zone).date()).days
    if days >= FULL_REFUND_DAYS:
        return PolicyRefund("full_refund", amount, days)
    if days >= HALF_REFUND_DAYS:
        return PolicyRefund("partial_refund_50", amount // 2, days)
    return PolicyRefund(None, 0, days)


def cancellation_id(payment_id: str) -> str:
    """One cancellation a payment: a second click finds the first, the next day too."""
    return f"{payment_id}-cancellation"


def unusable_refund_id(of: str) -> str:
    """`of`: the capture's PaymentIntent, or the refund from the dashboard that has failed to give it back."""
    return f"REF-{of}"


def goodwill_id(payment_id: str, idempotency_key: str) -> str:
    return f"{payment_id}-{sha256(idempotency_key.encode(errors='replace')).hexdigest()[:12]}"


@dataclass(frozen=True)
class Ledger:
    """What the refunds add up to. The payment's status follows the booking's own capture only."""

    status: PaymentStatus
    refund_amount: int
    refund_pending_amount: int


def ledger(payment: Payment) -> Ledger:
    """Sum up the refunds of the booking's capture; of all captures where none became the booking's."""
    own = payment.own_capture
    entries = [refund for refund in payment.refunds.values() if own is None or refund.payment_intent == own[0]]
    settled = sum(refund.amount for refund in entries if refund.status in SETTLED)
    pending = sum(refund.amount for refund in entries if refund.status in PENDING)
    status = payment.status
    if own is not None and status not in {"pending", "expired"}:
        status = "refunded" if settled >= own[1].amount else "partially_refunded" if settled else "completed"
    return Ledger(status=status, refund_amount=settled, refund_pending_amount=pending)


# How final a refund's status at Stripe is; events come in any order, and `succeeded` may still fail.
_FINALITY: Mapping[str, int] = {"pending": 0, "requires_action": 0, "succeeded": 1, "failed": 2, "canceled": 2}


def refund_moves_on(before: str, after: str) -> bool:
    """Whether a status that Stripe reports is news, and not an older event that comes late."""
    return _FINALITY[after] > _FINALITY.get(before, -1)


# Sessions.


@dataclass(frozen=True)
class Finding:
    """What one session taught us: its attempt as it is now, the money it took, and whether that may still change."""

    attempt: Attempt
    captures: Mapping[str, Capture] = field(default_factory=dict)
    payable: bool = False
    unsettled: bool = False


def learn(attempt: Attempt, session: CheckoutSession, now: datetime) -> Finding:
    """Read an attempt's session (its PaymentIntent expanded).

    Money counts wherever it is found, whatever the session's own status says. An expired session is closed only when
    its PaymentIntent cannot bring money any more: not `processing`, no 3-D Secure challenge younger than 15 minutes.
    """
    intent = session.payment_intent
    known = attempt.model_copy(update={"stripe_checkout_session_id": session.id})
    if intent is not None and intent.status == "succeeded":
        capture = Capture(
            amount=intent.amount_received,
            currency=intent.currency.upper(),
            session=session.id,
            charge=intent.charge,
            captured_at=intent.captured_at or now,
            refundable=intent.amount_received,
        )
        return Finding(attempt=_ended(known, "paid", "paid", now), captures={intent.id: capture})
    if session.status == "open":
        return Finding(attempt=known, payable=True, unsettled=intent is not None and intent.status == "processing")
    if intent is not None and intent.status in {"processing", "requires_action", "requires_capture"}:
        ended_at = attempt.closed_at or now
        waiting = known.model_copy(update={"closed_at": ended_at})
        if intent.status != "requires_action" or now < ended_at + CHALLENGE_GRACE:
            return Finding(attempt=waiting, unsettled=True)
    if intent is not None and intent.decline_code is not None:
        known = known.model_copy(
            update={"failure_code": intent.decline_code, "failure_message": intent.decline_message}
        )
    reason = "expired" if session.status == "expired" else "payment_failed"
    return Finding(attempt=_ended(known, "closed", reason, now))


def _ended(attempt: Attempt, status: AttemptStatus, reason: str, now: datetime) -> Attempt:
    return attempt.model_copy(
        update={
            "status": status,
            "close_reason": reason,
            "closed_at": attempt.closed_at or now,
            "checkout_url": None,
        }
    )


def never_opened(attempt: Attempt, reason: str, now: datetime) -> Finding:
    """Close an attempt whose session does not exist, or exists unpublished and can no longer be paid."""
    return Finding(attempt=_ended(attempt, "closed", reason, now))


def merged(payment: Payment, findings: Mapping[AttemptKey, Finding]) -> Payment:
    """The payment as it is with what was found: captures are added, never replaced."""
    attempts = {**payment.attempts, **{key: finding.attempt for key, finding in findings.items()}}
    captures = {pi: capture for finding in findings.values() for pi, capture in finding.captures.items()}
    return payment.model_copy(update={"attempts": attempts, "captures": {**captures, **payment.captures}})


@dataclass(frozen=True)
class Verdict:
    """What the workflow does next, and about which PaymentIntent where it is about one."""

    name: VerdictName
    payment_intent: str | None = None


def verdict(  # noqa: C901 - the rules, in their order
    booking: Booking,
    findings: Mapping[AttemptKey, Finding],
    *,
    handed_over: Iterable[str],
    asked: bool,
    closing: bool,
    window: timedelta,
    now: datetime,
) -> Verdict:
    """Decide what comes next, by the first rule that fits.

    unusable  a capture that is neither the booking's nor handed over, and: of another amount or currency, or a second
              one, or the payment not pending, or the booking gone
    paid      the payment was confirmed before
    unknown   Stripe could not be asked, or has not decided yet
    close     a session may be open, and: a good capture, the booking gone, the hold or its time over, another price
    paid      one good capture
    release   the hold is over, or the booking gone
    open      the current session can be paid in time
    create    no attempt yet or the current one still opening, and the reservation payable for a whole window
    retry     else

    `booking.payment` holds what was found already. `asked` is False when Stripe could not be asked. `closing` is True
    in ExpireCheckoutSessions, which leaves no session to close or to hand out. `handed_over` are the PaymentIntents
    that this execution has given to a refund workflow.
    """
    payment, reservation = booking.payment, booking.reservation
    if payment is None:
        raise ValueError(f"no payment item for reservation {reservation.reservation_id}")
    gone = booking_gone(booking)
    given = set(handed_over)
    good: str | None = None
    for pi, capture in sorted(payment.captures.items(), key=lambda entry: (entry[1].captured_at, entry[0])):
        if capture.role == "booking" or pi in given:
            continue
        fits = capture.amount == reservation.total_amount and capture.currency == CURRENCY and capture.role is None
        if payment.status == "pending" and fits and not gone and good is None:
            good = pi
        else:
            return Verdict("unusable", pi)
    if payment.status not in {"pending", "expired"}:
        return Verdict("paid", payment.stripe_payment_intent_id)
    if not asked or any(finding.unsettled for finding in findings.values()):
        return Verdict("unknown")

    hold_over = now >= payment.hold_expires_at
    unclosed = [attempt for attempt in payment.attempts.values() if attempt.status in UNCLOSED]
    # What was never published cannot be paid: it is closed before the end, but closes no other session by its age.
    stale = any(
        attempt.counted and (now >= attempt.deadline or attempt.amount != reservation.total_amount)
        for attempt in unclosed
    )
    if not closing and unclosed and (good is not None or gone or hold_over or stale):
        return Verdict("close")
    if good is not None:
        return Verdict("paid", good)
    if hold_over or gone:
        return Verdict("release")
    finding = findings.get(payment.current_attempt or "")
    if not closing and finding is not None and finding.payable:
        return Verdict("open")
    current = payment.current
    if (
        (current is None or current.status == "opening")
        and amount_payable(reservation)
        and not hold_ending(payment.hold_expires_at, window, now)
    ):
        return Verdict("create")
    return Verdict("retry")
