"""The payment item: consistent reads by key, and conditional writes that say whether their condition held."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from shared.adapters import dynamodb
from shared.adapters.dynamodb import UpdateBuilder, query_index, to_item
from shared.domain.attempts import AttemptKey
from shared.domain.booking import Reservation
from shared.domain.models import Attempt, Payment, iso
from shared.domain.refund_policy import RefundTier
from shared.domain.session_outcomes import SessionOutcome
from shared.settings import settings

REFRESH_INTERVAL, MAX_REFRESHES = timedelta(seconds=5), 20


def read_payment(payment_id: str) -> Payment | None:
    """The payment item; None if it does not exist."""
    item = dynamodb.get_item(settings().payments_table, {"payment_id": payment_id})
    return None if item is None else Payment.model_validate(item)


def update_payment(payment_id: str, update: UpdateBuilder) -> bool:
    """Update the payment item; False if the condition did not hold."""
    return dynamodb.update_item(settings().payments_table, {"payment_id": payment_id}, update)


def create_payment(payment: Payment) -> bool:
    """Write the item for an execution that failed before it could; False if the item exists."""
    item = to_item(payment)
    payment_id = item.pop("payment_id")
    return update_payment(payment_id, UpdateBuilder().set_all(**item).require_missing("payment_id"))


def request_cancel(payment: Payment, *, by: str, now: datetime) -> bool:
    """Record a request to cancel; False if the booking is already paid.

    `payment` is the item to create if there is none yet. The first request is kept.
    """
    item = {**to_item(payment), "cancel_requested_at": iso(now), "cancel_requested_by": by}
    payment_id = item.pop("payment_id")
    update = UpdateBuilder().set("updated_at", iso(now))
    for name, value in item.items():
        # The wait may have ended since the item was read: do not bring its token back.
        if name not in {"task_token", "awaiting"}:
            update.set_default(name, value)
    update.require_that("attribute_not_exists({}) OR {} = {}", "payment_id", "status", value="pending")
    return update_payment(payment_id, update)


def open_attempt(
    payment: Payment,
    key: AttemptKey,
    attempt: Attempt,
    reservation: Reservation,
    *,
    policy: Sequence[RefundTier],
    leave_unresolved: bool,
    now: datetime,
) -> bool:
    """Store a new current attempt before its session is requested; False if another call was faster.

    With `leave_unresolved` the former current attempt keeps a session that may exist and must still be expired. The
    first attempt also stores the refund policy, which is agreed from then on.
    """
    update = UpdateBuilder().set(f"attempts.{key}", to_item(attempt))
    update.set_all(current_attempt=key, amount=attempt.amount, customer_id=reservation.customer_id, updated_at=iso(now))
    if payment.current_attempt is None:
        update.require_missing("current_attempt")
        update.set("refund_policy", [tier.model_dump() for tier in policy])
    else:
        update.require("current_attempt", payment.current_attempt)
        if leave_unresolved:
            update.set(f"attempts.{payment.current_attempt}.status", "unresolved")
            update.require(f"attempts.{payment.current_attempt}.status", "opening")
    update.require("status", "pending").require_missing("cancel_requested_at")
    return update_payment(payment.payment_id, update)


def record_session_outcomes(payment: Payment, outcomes: Mapping[AttemptKey, SessionOutcome], *, now: datetime) -> None:
    """Write how attempts ended and what was captured; captures that are already known stay unchanged."""
    update = UpdateBuilder()
    for key, outcome in outcomes.items():
        update.set_changed(f"attempts.{key}", payment.attempts[key], outcome.attempt)
    for outcome in outcomes.values():
        for pi, capture in outcome.captures.items():
            if pi not in payment.captures:
                update.set_default(f"captures.{pi}", to_item(capture))
                update.set_default("stripe_payment_intent_id", pi)
    if not update.empty:
        update_payment(payment.payment_id, update.set("updated_at", iso(now)).require_exists("payment_id"))


def grant_attempt(payment_id: str, *, now: datetime) -> bool:
    """Allow one more attempt; False if the payment is no longer pending."""
    update = UpdateBuilder().increase("attempts_granted", 1).set("updated_at", iso(now))
    return update_payment(payment_id, update.require("status", "pending"))


def claim_refresh(payment: Payment, *, now: datetime) -> bool:
    """Claim the right to signal `refresh`: at most every 5 s, and 20 times per attempt."""
    key, attempt = payment.current_attempt, payment.current
    if key is None or attempt is None or attempt.refreshes >= MAX_REFRESHES:
        return False
    if attempt.refreshed_at is not None and now < attempt.refreshed_at + REFRESH_INTERVAL:
        return False
    update = UpdateBuilder().set(f"attempts.{key}.refreshes", attempt.refreshes + 1)
    update.set(f"attempts.{key}.refreshed_at", iso(now))
    update.require(f"attempts.{key}.refreshes", attempt.refreshes)
    return update_payment(payment.payment_id, update)


def claim_restart(payment: Payment, *, now: datetime) -> bool:
    """Claim the next restart of the execution; only one of several callers gets it."""
    update = UpdateBuilder().set_all(restarts=payment.restarts + 1, updated_at=iso(now))
    if payment.restarts:
        update.require("restarts", payment.restarts)
    else:
        update.require_missing_or("restarts", 0)
    return update_payment(payment.payment_id, update)


def record_decline(payment_id: str, key: AttemptKey, charge: str, code: str, message: str) -> bool:
    """Record a declined card; the same charge twice is one decline."""
    update = UpdateBuilder().set(f"attempts.{key}.declines.{charge}", code)
    update.set(f"attempts.{key}.failure_code", code)
    update.set(f"attempts.{key}.failure_message", message)
    update.require_exists(f"attempts.{key}.declines")
    return update_payment(payment_id, update)


def mark_unresolved(payment_id: str, key: AttemptKey, session_id: str | None) -> bool:
    """Reopen the question of a closed attempt that may have been paid, so that Stripe is asked again."""
    update = UpdateBuilder().set(f"attempts.{key}.status", "unresolved")
    if session_id is not None:
        update.set_default(f"attempts.{key}.stripe_checkout_session_id", session_id)
    return update_payment(payment_id, update.require(f"attempts.{key}.status", "closed"))


def record_check_after_release(payment: Payment, checks: int) -> bool:
    """Record how often a released booking was checked for late money; `updated_at` stays the moment of release."""
    update = UpdateBuilder().set("checks_after_release", checks).require("status", "expired")
    return update_payment(payment.payment_id, update)


def record_notified(payment: Payment, subject: str) -> bool:
    """Record that operators were notified of `subject`; False if that was recorded before."""
    update = UpdateBuilder().add("notified", subject).require_exists("payment_id")
    update.require_that("NOT contains({}, {})", "notified", value=subject)
    return update_payment(payment.payment_id, update)


def find_payment_id(pi: str) -> str | None:
    """The id of the payment that a PaymentIntent belongs to; it comes from an index, which may lag behind."""
    found = query_index(
        settings().payments_table,
        "stripe_payment_intent_id-index",
        key="payment_id",
        condition="stripe_payment_intent_id = :pi",
        values={":pi": pi},
    )
    return next(found, None)


def payments_between(status: str, after: datetime, before: datetime) -> Iterator[str]:
    """The ids of payments in this status that were last changed between two moments."""
    return query_index(
        settings().payments_table,
        "status-index",
        key="payment_id",
        condition="#status = :status AND updated_at BETWEEN :after AND :before",
        values={":status": status, ":after": iso(after), ":before": iso(before)},
    )
