"""The payment item: consistent reads by key, and conditional writes that say whether their condition held."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.adapters import dynamodb
from shared.adapters.attention import write_attention, write_matters
from shared.adapters.audit import audit_operation
from shared.adapters.dynamodb import UpdateBuilder, to_item, transact
from shared.adapters.ledger_days import ledger_day_operations
from shared.adapters.pointers import Pointer, record_pointer
from shared.domain.attempts import AttemptKey, forgettable
from shared.domain.booking import Reservation
from shared.domain.due import GRACE, due_shard, next_due
from shared.domain.errors import StoreBusy
from shared.domain.matters import matter_key, open_matters
from shared.domain.models import Attempt, Capture, Matter, Payment, iso
from shared.domain.refund_policy import RefundTier
from shared.domain.session_outcomes import SessionOutcome, merge_outcomes
from shared.settings import settings

TRIES = 5
REFRESH_INTERVAL, MAX_REFRESHES = timedelta(seconds=5), 20


def read_payment(payment_id: str) -> Payment | None:
    """The payment item; None if it does not exist."""
    item = dynamodb.get_item(settings().payments_table, {"payment_id": payment_id})
    return None if item is None else Payment.model_validate(item)


def update_payment(payment_id: str, update: UpdateBuilder, *operations: dict[str, Any]) -> bool:
    """Update the payment item, in one transaction with the operations if there are any.

    False if a condition did not hold.
    """
    if operations:
        return transact([payment_operation(payment_id, update), *operations])
    return dynamodb.update_item(settings().payments_table, {"payment_id": payment_id}, update)


def payment_operation(payment_id: str, update: UpdateBuilder) -> dict[str, Any]:
    """An update of the payment item as one operation of a transaction."""
    return dynamodb.update_operation(settings().payments_table, {"payment_id": payment_id}, update)


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
    update = UpdateBuilder().set_all(updated_at=iso(now), due_at=iso(now + GRACE))
    for name, value in item.items():
        # The wait may have ended since the item was read: do not bring its token back.
        if name not in {"task_token", "awaiting"}:
            update.set_default(name, value)
    update.require_that("attribute_not_exists({}) OR {} = {}", "payment_id", "status", value="pending")
    if payment.cancel_requested_at is not None:
        return update_payment(payment_id, update)
    return update_payment(payment_id, update, audit_operation(payment_id, "cancel_requested", now=now))


def open_attempt(
    payment: Payment,
    key: AttemptKey,
    attempt: Attempt,
    reservation: Reservation,
    *,
    policy: Sequence[RefundTier],
    now: datetime,
) -> bool:
    """Store a new current attempt before its session is requested; False if another call was faster.

    It takes the place of attempts that came to nothing. The first one also stores the refund policy, which is agreed
    from then on. By the dates it is known which nights to free if the platform deletes the reservation.
    """
    update = UpdateBuilder().set(f"attempts.{key}", to_item(attempt))
    update.remove(*[f"attempts.{former}" for former in forgettable(payment)])
    update.set_all(current_attempt=key, amount=attempt.amount, customer_id=reservation.customer_id, updated_at=iso(now))
    update.set_all(check_in=reservation.check_in.isoformat(), check_out=reservation.check_out.isoformat())
    if payment.current_attempt is None:
        update.require_missing("current_attempt")
        update.set("refund_policy", [tier.model_dump() for tier in policy])
    else:
        update.require("current_attempt", payment.current_attempt)
    update.require("status", "pending").require_missing("cancel_requested_at")
    opened = {"attempts": {**payment.attempts, key: attempt}, "current_attempt": key}
    write_attention(update, payment, payment.model_copy(update=opened), now=now)
    return update_payment(payment.payment_id, update)


def record_session_outcomes(payment: Payment, outcomes: Mapping[AttemptKey, SessionOutcome], *, now: datetime) -> None:
    """Write how attempts ended and what was captured; captures that are already known stay unchanged.

    Raises StoreBusy.
    """
    update, entered = UpdateBuilder(), {}
    for key, outcome in outcomes.items():
        update.set_changed(f"attempts.{key}", payment.attempts[key], outcome.attempt)
        for pi, capture in outcome.captures.items():
            if pi not in payment.captures:
                entered[pi] = capture, key
    if not update.empty or entered:
        write_attention(update, payment, merge_outcomes(payment, outcomes), now=now)
        _write_captures(payment, update, entered, now, [*_closed_attempts(payment, outcomes, now)])


def _closed_attempts(
    payment: Payment, outcomes: Mapping[AttemptKey, SessionOutcome], now: datetime
) -> Iterator[dict[str, Any]]:
    """An entry of the audit trail for each attempt that ends without money."""
    for key, outcome in outcomes.items():
        after = outcome.attempt
        if after.status == "closed" and payment.attempts[key].status != "closed":
            reason = after.failure_code or after.close_reason
            yield audit_operation(payment.payment_id, "attempt_closed", now=now, subject=key, reason=reason)


def record_capture(payment: Payment, pi: str, capture: Capture, key: AttemptKey, *, now: datetime) -> None:
    """Write a capture, unless it is known meanwhile, of the attempt `key`."""
    _write_captures(payment, UpdateBuilder(), {pi: (capture, key)}, now)


def _write_captures(
    payment: Payment,
    update: UpdateBuilder,
    captures: Mapping[str, tuple[Capture, AttemptKey]],
    now: datetime,
    entries: Sequence[Any] = (),
) -> None:
    """Write pointers to the payment first, as events do, then captures, their days and audit entries at once."""
    for pi, (capture, key) in captures.items():
        if not record_pointer(pi, Pointer(payment.payment_id, key)):
            raise StoreBusy(f"{pi} belongs to another payment")
        update.set_default(f"captures.{pi}", to_item(capture))
        update.set_default("stripe_payment_intent_id", pi)
    update.set("updated_at", iso(now)).require_exists("payment_id")
    days = ledger_day_operations(payment.payment_id, [capture.captured_at for capture, _ in captures.values()], now=now)
    if not update_payment(payment.payment_id, update, *days, *entries):
        raise StoreBusy("a matter was opened or closed meanwhile")


def grant_attempt(payment_id: str, *, now: datetime) -> bool:
    """Allow one more attempt; False if the payment is no longer pending."""
    update = UpdateBuilder().increase("attempts_granted", 1).set("updated_at", iso(now)).require("status", "pending")
    return update_payment(payment_id, update, audit_operation(payment_id, "attempt_granted", now=now))


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


def plan_replacement(payment: Payment, key: str, after: Payment, *, now: datetime) -> bool:
    """Plan the next replacement of an execution, which `after` has; False if another call planned one.

    The payment is due when the replacement is to be started, or before.
    """
    replacement = after.replacements[key]
    update = UpdateBuilder().set(f"replacements.{key}", to_item(replacement))
    if replacement.start_at and (payment.due_at is None or replacement.start_at < payment.due_at):
        _set_due(update, payment.payment_id, replacement.start_at)
    if key in payment.replacements:
        update.require(f"replacements.{key}.number", payment.replacements[key].number)
    else:
        update.require_exists("payment_id").require_missing(f"replacements.{key}")
    write_attention(update, payment, after, now=now)
    return update_payment(payment.payment_id, update)


def record_decline(payment_id: str, key: AttemptKey, charge: str, code: str, message: str) -> bool:
    """Record a declined card; the same charge twice is one decline."""
    update = UpdateBuilder().set(f"attempts.{key}.declines.{charge}", code)
    update.set(f"attempts.{key}.failure_code", code)
    update.set(f"attempts.{key}.failure_message", message)
    update.require_exists(f"attempts.{key}.declines")
    return update_payment(payment_id, update)


def mark_unresolved(payment_id: str, key: AttemptKey) -> bool:
    """Reopen the question of a closed attempt that may have been paid, so that Stripe is asked again."""
    update = UpdateBuilder().set(f"attempts.{key}.status", "unresolved")
    return update_payment(payment_id, update.require(f"attempts.{key}.status", "closed"))


def record_notified(payment: Payment, subject: str, matter: Matter | None = None) -> bool:
    """Record that operators were notified of `subject`, and open its matter; False if that was recorded before.

    Raises StoreBusy.
    """
    for _ in range(TRIES):
        update = UpdateBuilder().add("notified", subject).require_exists("payment_id")
        update.require_that("NOT contains({}, {})", "notified", value=subject)
        if matter is not None:
            _write_opened(update, payment, matter)
        if update_payment(payment.payment_id, update):
            return True
        payment = read_payment(payment.payment_id) or payment
        if subject in (payment.notified or ()):
            return False
    raise StoreBusy("matters kept being opened and closed")


def open_matter(payment_id: str, matter: Matter) -> None:
    """Open a matter, unless it is open. Raises StoreBusy."""
    for _ in range(TRIES):
        payment, update = read_payment(payment_id), UpdateBuilder()
        if payment is None:
            return
        _write_opened(update, payment, matter)
        if update.empty or update_payment(payment_id, update):
            return
    raise StoreBusy("matters kept being opened and closed")


def _write_opened(update: UpdateBuilder, payment: Payment, matter: Matter) -> None:
    """Open a matter, unless it is open or its cause is over by now."""
    opened = payment.model_copy(update={"attention": {matter_key(matter): matter, **payment.attention}})
    write_attention(update, payment, opened, now=matter.since)


def close_matters(payment: Payment, keys: Collection[str], *, note: str, now: datetime) -> Payment:
    """Close open matters, and return the payment as it is then. Raises StoreBusy."""
    for _ in range(TRIES):
        closed = sorted(payment.attention.keys() & keys)
        left = {key: matter for key, matter in payment.attention.items() if key not in closed}
        update = UpdateBuilder().set("updated_at", iso(now))
        write_matters(update, payment.attention, left)
        entries = [
            audit_operation(payment.payment_id, "matter_closed", now=now, subject=key, reason=note) for key in closed
        ]
        with contextlib.suppress(StoreBusy):  # an event may be writing the payment
            if not closed or update_payment(payment.payment_id, update, *entries):
                return payment.model_copy(update={"attention": left, "updated_at": now})
        payment = read_payment(payment.payment_id) or payment
    raise StoreBusy("the payment kept changing while its matters were closed")


def write_due(update: UpdateBuilder, after: Payment, *, now: datetime) -> None:
    """Add to an update when the payment is due after it."""
    _set_due(update, after.payment_id, next_due(after, now))


def _set_due(update: UpdateBuilder, payment_id: str, due_at: datetime | None) -> None:
    if due_at is None:
        update.remove("due_at")
    else:
        update.set_all(due_at=iso(due_at), due_shard=due_shard(payment_id))


def mark_due(payment: Payment, *, now: datetime) -> bool:
    """Make the payment due now, since a signal found nobody waiting; False if it was due already."""
    if payment.due_at is not None and payment.due_at <= now:
        return False
    update = UpdateBuilder()
    _set_due(update, payment.payment_id, now)
    update.require_exists("payment_id").require_that(
        "attribute_not_exists({}) OR {} > {}", "due_at", "due_at", value=iso(now)
    )
    return update_payment(payment.payment_id, update)


def reschedule(before: Payment, after: Payment, due_at: datetime | None, *, now: datetime) -> bool:
    """Record what the reconciler found, and when the payment is due next; False if it was rescheduled meanwhile."""
    update = UpdateBuilder()
    # A matter that the run has opened is written already.
    found = open_matters(after.model_copy(update={"attention": before.attention}), now)
    left = {key: matter for key, matter in found.items() if key in before.attention}
    write_matters(update, before.attention, left)
    _set_due(update, before.payment_id, due_at)
    if after.checks_after_release != before.checks_after_release:
        update.set("checks_after_release", after.checks_after_release)
    for key, replacement in after.replacements.items():
        if key in before.replacements:
            update.set_changed(f"replacements.{key}", before.replacements[key], replacement)
            update.require(f"replacements.{key}.number", replacement.number)
    if before.due_at is None:
        update.require_missing("due_at").require_exists("payment_id")
    else:
        update.require("due_at", iso(before.due_at))
    return update_payment(before.payment_id, update)
