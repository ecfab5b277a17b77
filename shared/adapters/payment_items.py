"""The payment item: consistent reads by key, conditional writes."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from shared.adapters import dynamodb
from shared.adapters.dynamodb import (
    UpdateBuilder,
    call_dynamodb,
    from_item,
    query_index,
    serialize,
    set_differences,
    update_payment_item,
)
from shared.domain.attempts import AttemptKey
from shared.domain.models import Attempt, Payment, Reservation, iso, to_item
from shared.domain.session_outcomes import SessionOutcome
from shared.settings import settings

REFRESH_INTERVAL, MAX_REFRESHES = timedelta(seconds=5), 20


def read_payment(payment_id: str) -> Payment | None:
    """The payment item, or None."""
    item = call_dynamodb(
        lambda: dynamodb.client().get_item(
            TableName=settings().payments_table, Key={"payment_id": {"S": payment_id}}, ConsistentRead=True
        )
    ).get("Item")
    return None if item is None else Payment.model_validate(from_item(item))


def request_cancel(payment: Payment, *, by: str, now: datetime) -> bool:
    """Mark that the booking shall be cancelled, creating the item where no execution has yet; False if already paid.

    `payment` is the item as a new one would be. A cancel request once made stays as it was.
    """
    fresh = {**to_item(payment), "cancel_requested_at": iso(now), "cancel_requested_by": by}
    key = fresh.pop("payment_id")
    changes = UpdateBuilder()
    changes.set("updated_at", iso(now))
    for name, value in fresh.items():
        # Where the item exists, a wait may have ended since it was read: its token must not come back.
        if name not in {"task_token", "awaiting"}:
            changes.default(name, value)
    changes.require("attribute_not_exists({}) OR {} = {}", "payment_id", "status", value="pending")
    return update_payment_item(key, changes)


def open_attempt(
    payment: Payment,
    key: AttemptKey,
    attempt: Attempt,
    reservation: Reservation,
    *,
    leave_unresolved: bool,
    now: datetime,
) -> bool:
    """Make `key` the current attempt, before Stripe hears of it; False when somebody else was faster.

    `leave_unresolved` marks the attempt that was current as one whose session may exist and still has to be expired.
    """
    changes = UpdateBuilder()
    changes.set(f"attempts.{key}", to_item(attempt))
    changes.set("current_attempt", key)
    changes.set("amount", attempt.amount)
    changes.set("customer_id", reservation.customer_id)
    changes.set("updated_at", iso(now))
    if payment.current_attempt is None:
        changes.require("attribute_not_exists({})", "current_attempt")
    else:
        changes.require("{} = {}", "current_attempt", value=payment.current_attempt)
        if leave_unresolved:
            changes.set(f"attempts.{payment.current_attempt}.status", "unresolved")
            changes.require("{} = {}", f"attempts.{payment.current_attempt}.status", value="opening")
    changes.require("{} = {}", "status", value="pending")
    changes.require("attribute_not_exists({})", "cancel_requested_at")
    return update_payment_item(payment.payment_id, changes)


def record_session_outcomes(payment: Payment, outcomes: Mapping[AttemptKey, SessionOutcome], *, now: datetime) -> None:
    """Write what Stripe said: how attempts ended, what was captured. Captures already known stay as they are."""
    changes = UpdateBuilder()
    for key, outcome in outcomes.items():
        before = payment.attempts[key]
        after = outcome.attempt
        set_differences(changes, f"attempts.{key}", before, after)
    for outcome in outcomes.values():
        for pi, capture in outcome.captures.items():
            if pi not in payment.captures:
                changes.default(f"captures.{pi}", to_item(capture))
                changes.default("stripe_payment_intent_id", pi)
    if not changes.empty:
        changes.set("updated_at", iso(now))
        changes.require("attribute_exists({})", "payment_id")
        update_payment_item(payment.payment_id, changes)


def grant_attempt(payment_id: str, *, now: datetime) -> bool:
    """Allow one more attempt; False when the payment is no longer pending."""
    changes = UpdateBuilder()
    changes.increase("attempts_granted", 1)
    changes.set("updated_at", iso(now))
    changes.require("{} = {}", "status", value="pending")
    return update_payment_item(payment_id, changes)


def claim_refresh(payment: Payment, *, now: datetime) -> bool:
    """Whether a reader may make the workflow look now: every 5 s at most, 20 times per attempt."""
    key, attempt = payment.current_attempt, payment.current
    if key is None or attempt is None or attempt.refreshes >= MAX_REFRESHES:
        return False
    if attempt.refreshed_at is not None and now < attempt.refreshed_at + REFRESH_INTERVAL:
        return False
    changes = UpdateBuilder()
    changes.set(f"attempts.{key}.refreshes", attempt.refreshes + 1)
    changes.set(f"attempts.{key}.refreshed_at", iso(now))
    changes.require("{} = {}", f"attempts.{key}.refreshes", value=attempt.refreshes)
    return update_payment_item(payment.payment_id, changes)


def record_decline(payment_id: str, key: AttemptKey, charge: str, code: str, message: str) -> bool:
    """Note a card that was declined inside an attempt's session; the same charge twice is one decline."""
    changes = UpdateBuilder()
    changes.set(f"attempts.{key}.declines.{charge}", code)
    changes.set(f"attempts.{key}.failure_code", code)
    changes.set(f"attempts.{key}.failure_message", message)
    changes.require("attribute_exists({})", f"attempts.{key}.declines")
    return update_payment_item(payment_id, changes)


def mark_unresolved(payment_id: str, key: AttemptKey, session_id: str | None) -> bool:
    """Take a closed attempt for one that may have brought money after all, so that the next look asks Stripe."""
    changes = UpdateBuilder()
    changes.set(f"attempts.{key}.status", "unresolved")
    if session_id is not None:
        changes.default(f"attempts.{key}.stripe_checkout_session_id", session_id)
    changes.require("{} = {}", f"attempts.{key}.status", value="closed")
    return update_payment_item(payment_id, changes)


def find_payment_id(pi: str) -> str | None:
    """The id of the payment that a PaymentIntent belongs to: from an index, so only a candidate to be read."""
    items = call_dynamodb(
        lambda: dynamodb.client().query(
            TableName=settings().payments_table,
            IndexName="stripe_payment_intent_id-index",
            KeyConditionExpression="stripe_payment_intent_id = :pi",
            ExpressionAttributeValues=serialize({":pi": pi}),
            Limit=1,
        )
    )["Items"]
    return from_item(items[0])["payment_id"] if items else None


def payments_between(status: str, after: datetime, before: datetime) -> Iterator[str]:
    """The ids of payments in this status that were last changed between two moments."""
    return query_index(
        settings().payments_table,
        "status-index",
        key="payment_id",
        condition="#status = :status AND updated_at BETWEEN :after AND :before",
        values={":status": status, ":after": iso(after), ":before": iso(before)},
    )


def create_payment(payment: Payment) -> bool:
    """Write the item of a booking whose execution died before it could; False where there is one."""
    changes = UpdateBuilder()
    for name, value in to_item(payment).items():
        if name != "payment_id":
            changes.set(name, value)
    changes.require("attribute_not_exists({})", "payment_id")
    return update_payment_item(payment.payment_id, changes)


def claim_restart(payment: Payment, *, now: datetime) -> bool:
    """Count up the execution's restart, once, however many reconcilers ask."""
    changes = UpdateBuilder()
    changes.set("restarts", payment.restarts + 1)
    changes.set("updated_at", iso(now))
    if payment.restarts:
        changes.require("{} = {}", "restarts", value=payment.restarts)
    else:
        changes.require("attribute_not_exists({}) OR {} = {}", "restarts", "restarts", value=0)
    return update_payment_item(payment.payment_id, changes)


def record_check_after_release(payment: Payment, looks: int) -> bool:
    """Note how often a released booking was looked at again; `updated_at` stays the moment of its release."""
    changes = UpdateBuilder()
    changes.set("checks_after_release", looks)
    changes.require("{} = {}", "status", value="expired")
    return update_payment_item(payment.payment_id, changes)


def record_notified(payment: Payment, what: str) -> bool:
    """Note that operators were told; whether this is the first note of it."""
    changes = UpdateBuilder()
    changes.add("notified", what)
    changes.require("NOT contains({}, {})", "notified", value=what)
    changes.require("attribute_exists({})", "payment_id")
    return update_payment_item(payment.payment_id, changes)
