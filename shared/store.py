"""DynamoDB, in our verbs: the only module that reads and writes items.

Reads are consistent and by key. Writes are conditional. What DynamoDB says about contention, throttling or a lost
answer becomes StoreBusy; a condition that did not hold becomes False or None, for the caller to read again.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from shared import domain
from shared.domain import AttemptKey, Finding, payment_id_of
from shared.errors import StoreBusy
from shared.models import Attempt, Booking, Capture, Dispute, Payment, PaymentStatus, Refund, Reservation, iso, plain
from shared.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Every other code is a defect of ours and is raised as it is.
BUSY: frozenset[str] = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)

EVENT_TTL = timedelta(days=90)
REFUNDING = "yes"  # the value of the attribute `refunding`, which is there only while a refund has not settled
LOOK_INTERVAL, MAX_LOOKS = timedelta(seconds=5), 20

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


@functools.cache
def _client() -> "DynamoDBClient":
    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )


# Reading.


def read_reservation(reservation_id: str) -> Reservation | None:
    """The reservation, or None."""
    return read_booking_items(reservation_id)[0]


def read_payment(payment_id: str) -> Payment | None:
    """The payment item, or None."""
    item = _ask(
        lambda: _client().get_item(
            TableName=settings().payments_table, Key={"payment_id": {"S": payment_id}}, ConsistentRead=True
        )
    ).get("Item")
    return None if item is None else Payment.model_validate(_python(item))


def read_booking_items(reservation_id: str) -> tuple[Reservation | None, Payment | None]:
    """Reservation and payment in one request, each None where there is none."""
    found = _batch_get(
        {
            settings().reservations_table: [{"reservation_id": reservation_id}],
            settings().payments_table: [{"payment_id": payment_id_of(reservation_id)}],
        }
    )
    reservations, payments = found[settings().reservations_table], found[settings().payments_table]
    return (
        Reservation.model_validate(reservations[0]) if reservations else None,
        Payment.model_validate(payments[0]) if payments else None,
    )


def read_booking(reservation_id: str) -> Booking:
    """Reservation, payment and which nights are still the reservation's: two requests.

    Raises LookupError where there is no such reservation.
    """
    reservation, payment = read_booking_items(reservation_id)
    if reservation is None:
        raise LookupError(f"no reservation {reservation_id}")
    table = settings().availability_table
    nights = _batch_get({table: [{"date": night} for night in reservation.nights]})[table]
    held = frozenset(
        night["date"]
        for night in nights
        if night.get("reservation_id") == reservation_id and night.get("status") == "booked"
    )
    return Booking(reservation=reservation, payment=payment, held=held)


# Writing: the payment item.


def request_cancel(payment: Payment, *, by: str, now: datetime) -> bool:
    """Mark that the booking shall be cancelled, creating the item where no execution has yet; False if already paid.

    `payment` is the item as a new one would be. A cancel request once made stays as it was.
    """
    fresh = {**plain(payment), "cancel_requested_at": iso(now), "cancel_requested_by": by}
    key = fresh.pop("payment_id")
    changes = _Changes()
    changes.set("updated_at", iso(now))
    for name, value in fresh.items():
        # Where the item exists, a wait may have ended since it was read: its token must not come back.
        if name not in {"task_token", "awaiting"}:
            changes.default(name, value)
    changes.require("attribute_not_exists({}) OR {} = {}", "payment_id", "status", value="pending")
    return _update(key, changes)


def open_attempt(
    payment: Payment, key: AttemptKey, attempt: Attempt, reservation: Reservation, *, abandon: bool, now: datetime
) -> bool:
    """Make `key` the current attempt, before Stripe hears of it; False when somebody else was faster.

    `abandon` marks the attempt that was current as one whose session may exist and still has to be expired.
    """
    changes = _Changes()
    changes.set(f"attempts.{key}", plain(attempt))
    changes.set("current_attempt", key)
    changes.set("amount", attempt.amount)
    changes.set("customer_id", reservation.customer_id)
    changes.set("updated_at", iso(now))
    if payment.current_attempt is None:
        changes.require("attribute_not_exists({})", "current_attempt")
    else:
        changes.require("{} = {}", "current_attempt", value=payment.current_attempt)
        if abandon:
            changes.set(f"attempts.{payment.current_attempt}.status", "abandoned")
            changes.require("{} = {}", f"attempts.{payment.current_attempt}.status", value="opening")
    changes.require("{} = {}", "status", value="pending")
    changes.require("attribute_not_exists({})", "cancel_requested_at")
    return _update(payment.payment_id, changes)


def record_findings(payment: Payment, findings: Mapping[AttemptKey, Finding], *, now: datetime) -> None:
    """Write what Stripe said: how attempts ended, what was captured. Captures already known stay as they are."""
    changes = _Changes()
    for key, finding in findings.items():
        before = payment.attempts[key]
        after = finding.attempt
        _differences(changes, f"attempts.{key}", before, after)
    for finding in findings.values():
        for pi, capture in finding.captures.items():
            if pi not in payment.captures:
                changes.default(f"captures.{pi}", plain(capture))
                changes.default("stripe_payment_intent_id", pi)
    if not changes.empty:
        changes.set("updated_at", iso(now))
        changes.require("attribute_exists({})", "payment_id")
        _update(payment.payment_id, changes)


def grant_attempt(payment_id: str, *, now: datetime) -> bool:
    """Allow one more attempt; False when the payment is no longer pending."""
    changes = _Changes()
    changes.increase("attempts_granted", 1)
    changes.set("updated_at", iso(now))
    changes.require("{} = {}", "status", value="pending")
    return _update(payment_id, changes)


def claim_look(payment: Payment, *, now: datetime) -> bool:
    """Whether a reader may make the workflow look now: every 5 s at most, 20 times per attempt."""
    key, attempt = payment.current_attempt, payment.current
    if key is None or attempt is None or attempt.looks >= MAX_LOOKS:
        return False
    if attempt.looked_at is not None and now < attempt.looked_at + LOOK_INTERVAL:
        return False
    changes = _Changes()
    changes.set(f"attempts.{key}.looks", attempt.looks + 1)
    changes.set(f"attempts.{key}.looked_at", iso(now))
    changes.require("{} = {}", f"attempts.{key}.looks", value=attempt.looks)
    return _update(payment.payment_id, changes)


def record_decline(payment_id: str, key: AttemptKey, charge: str, code: str, message: str) -> bool:
    """Note a card that was declined inside an attempt's session; the same charge twice is one decline."""
    changes = _Changes()
    changes.set(f"attempts.{key}.declines.{charge}", code)
    changes.set(f"attempts.{key}.failure_code", code)
    changes.set(f"attempts.{key}.failure_message", message)
    changes.require("attribute_exists({})", f"attempts.{key}.declines")
    return _update(payment_id, changes)


def doubt_attempt(payment_id: str, key: AttemptKey, session_id: str | None) -> bool:
    """Take a closed attempt for one that may have brought money after all, so that the next look asks Stripe."""
    changes = _Changes()
    changes.set(f"attempts.{key}.status", "abandoned")
    if session_id is not None:
        changes.default(f"attempts.{key}.stripe_checkout_session_id", session_id)
    changes.require("{} = {}", f"attempts.{key}.status", value="closed")
    return _update(payment_id, changes)


# Writing: refunds and disputes. What the ledger adds up to is written with every change of it, under the condition
# that nobody else has changed it meanwhile.


def note_refund_reason(payment: Payment, refund_id: str, reason: str) -> bool:
    """Keep what a person wrote about a refund on the item, since an execution's input must not hold it."""
    changes = _Changes()
    changes.set(f"refund_reasons.{refund_id}", reason)
    changes.require("attribute_not_exists({})", f"refund_reasons.{refund_id}")
    return _update(payment.payment_id, changes)


def reserve_refund(
    booking: Booking, refund_id: str, refund: Refund, *, capture: Capture | None, cancel_stay: bool, now: datetime
) -> bool:
    """Enter a refund and set its amount aside, in one transaction; False when something changed meanwhile.

    `capture` is given for an unusable one: it is recorded if nobody has, and takes that role. `cancel_stay` ends the
    confirmed reservation and frees its nights with it, before money moves.
    """
    payment, reservation = _payment_of(booking), booking.reservation
    pi = refund.payment_intent
    changes = _Changes()
    if capture is None or pi in payment.captures:
        known = payment.captures[pi]
        changes.set(f"captures.{pi}.refundable", known.refundable - refund.amount)
        changes.require("{} = {}", f"captures.{pi}.refundable", value=known.refundable)
        if capture is not None and known.role is None:
            changes.set(f"captures.{pi}.role", "unusable")
            changes.require("attribute_not_exists({})", f"captures.{pi}.role")
    else:
        unusable = capture.model_copy(update={"role": "unusable", "refundable": capture.refundable - refund.amount})
        changes.set(f"captures.{pi}", plain(unusable))
        changes.default("stripe_payment_intent_id", pi)
        changes.require("attribute_not_exists({})", f"captures.{pi}")
    changes.require("attribute_not_exists({})", f"refunds.{refund_id}")
    _enter(changes, payment, refund_id, refund, now)
    operations = [_payment_update(payment, changes)]
    if cancel_stay:
        cancelled = _Changes()
        cancelled.set("status", "cancelled")
        cancelled.require("{} = {}", "status", value="confirmed")
        operations.append(_reservation_update(reservation, cancelled))
        operations += [_night_release(night, reservation) for night in sorted(booking.held)]
    return _transact(operations)


def mark_unusable(payment: Payment, pi: str, capture: Capture) -> bool:
    """Give a recorded capture its role though nothing of it is left to refund; False when it changed meanwhile."""
    changes = _Changes()
    changes.set(f"captures.{pi}.role", "unusable")
    changes.require("{} = {}", f"captures.{pi}.refundable", value=capture.refundable)
    changes.require("attribute_not_exists({}) OR {} = {}", *[f"captures.{pi}.role"] * 2, value="unusable")
    return _update(payment.payment_id, changes)


def change_refund(payment: Payment, refund_id: str, refund: Refund, *, now: datetime) -> bool:
    """Replace an entry of the ledger by what became of it; False when somebody else changed the ledger meanwhile."""
    changes = _Changes()
    _require_entry(changes, payment.refunds[refund_id], refund_id)
    _enter(changes, payment, refund_id, refund, now)
    return _update(payment.payment_id, changes)


def enter_dashboard_refund(payment: Payment, refund_id: str, refund: Refund, *, now: datetime) -> bool:
    """Enter, or bring up to date, a refund that was made at Stripe without us; False as above.

    What it took is not refundable any more, what it failed to take is again.
    """
    before = payment.refunds.get(refund_id)
    pi = refund.payment_intent
    known = payment.captures[pi]
    change = _taken(before) - _taken(refund)
    changes = _Changes()
    if before is None:
        changes.require("attribute_not_exists({})", f"refunds.{refund_id}")
    else:
        _require_entry(changes, before, refund_id)
    changes.set(f"captures.{pi}.refundable", known.refundable + change)
    changes.require("{} = {}", f"captures.{pi}.refundable", value=known.refundable)
    _enter(changes, payment, refund_id, refund, now)
    return _update(payment.payment_id, changes)


def _taken(refund: Refund | None) -> int:
    return 0 if refund is None or refund.status in {"failed", "canceled"} else refund.amount


def _require_entry(changes: "_Changes", refund: Refund, refund_id: str) -> None:
    changes.require("{} = {}", f"refunds.{refund_id}.status", value=refund.status)
    changes.require("{} = {}", f"refunds.{refund_id}.try", value=refund.attempt)


def _enter(changes: "_Changes", payment: Payment, refund_id: str, refund: Refund, now: datetime) -> None:
    """Write the entry, and what the ledger adds up to with it."""
    after = payment.model_copy(update={"refunds": {**payment.refunds, refund_id: refund}})
    status = _add_up(changes, payment, after)
    before = payment.refunds.get(refund_id)
    if before is None:
        changes.set(f"refunds.{refund_id}", plain(refund))
    else:
        _differences(changes, f"refunds.{refund_id}", before, refund)
    if refund.stripe_refund_id is not None:
        changes.set("stripe_refund_id", refund.stripe_refund_id)
    if any(entry.unsettled for entry in after.refunds.values()):
        changes.set("refunding", REFUNDING)
    else:
        # An unusable capture's refund shows in no sum: none may have been entered since the ledger was read.
        changes.require("size({}) = {}", "refunds", value=len(payment.refunds))
        changes.remove("refunding")
    if status == "refunded" and payment.status != "refunded":
        changes.set("refunded_at", iso(now))
    if status != "refunded":
        changes.remove("refunded_at")
    changes.set("updated_at", iso(now))


def _add_up(changes: "_Changes", before: Payment, after: Payment) -> PaymentStatus:
    """Write what the ledger adds up to afterwards, under the condition that it is as it was read; its status."""
    ledger = domain.ledger(after)
    for name, value in (
        ("refund_amount", before.refund_amount),
        ("refund_pending_amount", before.refund_pending_amount),
    ):
        if value:
            changes.require("{} = {}", name, value=value)
        else:
            changes.require("attribute_not_exists({}) OR {} = {}", name, name, value=0)
    changes.require("{} = {}", "status", value=before.status)
    changes.set("refund_amount", ledger.refund_amount)
    changes.set("refund_pending_amount", ledger.refund_pending_amount)
    changes.set("status", ledger.status)
    return ledger.status


def note_look(payment_id: str, refund_id: str, *, now: datetime) -> bool:
    """Note on a pending refund that Stripe has news of it, so that a wait not yet stored is not begun either."""
    changes = _Changes()
    changes.set(f"refunds.{refund_id}.looked", iso(now))
    changes.require("attribute_exists({})", f"refunds.{refund_id}")
    return _update(payment_id, changes)


def clear_look(payment_id: str, refund_id: str) -> bool:
    """Take the note off again, before Stripe is asked: news that comes later is noted anew."""
    changes = _Changes()
    changes.remove(f"refunds.{refund_id}.looked")
    changes.require("attribute_exists({})", f"refunds.{refund_id}")
    return _update(payment_id, changes)


def note_answer(payment_id: str, refund_id: str, *, token: str, note: str) -> bool:
    """Keep what the operator wrote about a failed refund; False when it does not wait with this token any more."""
    changes = _Changes()
    changes.set(f"refunds.{refund_id}.note", note)
    changes.require("{} = {}", f"refunds.{refund_id}.task_token", value=token)
    return _update(payment_id, changes)


def find_payment(pi: str) -> str | None:
    """The id of the payment that a PaymentIntent belongs to: from an index, so only a candidate to be read."""
    items = _ask(
        lambda: _client().query(
            TableName=settings().payments_table,
            IndexName="stripe_payment_intent_id-index",
            KeyConditionExpression="stripe_payment_intent_id = :pi",
            ExpressionAttributeValues=_dynamo({":pi": pi}),
            Limit=1,
        )
    )["Items"]
    return _python(items[0])["payment_id"] if items else None


def record_dispute(payment: Payment, dispute_id: str, dispute: Dispute, *, now: datetime) -> bool:
    """Enter a dispute, or what became of it; one that is closed is never opened again by an older event."""
    before = payment.disputes.get(dispute_id)
    changes = _Changes()
    changes.set(f"disputes.{dispute_id}", plain(dispute))
    changes.set("updated_at", iso(now))
    if before is None:
        changes.require("attribute_not_exists({})", f"disputes.{dispute_id}")
    else:
        changes.require("{} = {}", f"disputes.{dispute_id}.status", value=before.status)
        changes.require("attribute_not_exists({})", f"disputes.{dispute_id}.closed_at")
    return _update(payment.payment_id, changes)


# The reconciler's questions. Indexes only find candidates; whoever acts reads the item by its key first.


def payments_between(status: str, after: datetime, before: datetime) -> Iterator[str]:
    """The ids of payments in this status that were last changed between two moments."""
    return _query(
        settings().payments_table,
        "status-index",
        key="payment_id",
        condition="#status = :status AND updated_at BETWEEN :after AND :before",
        values={":status": status, ":after": iso(after), ":before": iso(before)},
    )


def payments_refunding() -> Iterator[str]:
    """The ids of payments with a refund that has not settled: a sparse index, so old bookings cost nothing."""
    return _query(
        settings().payments_table,
        "refunding-index",
        key="payment_id",
        condition="refunding = :yes",
        values={":yes": REFUNDING},
    )


def reservations_in(status: str) -> Iterator[str]:
    """The ids of reservations in this status."""
    return _query(
        settings().reservations_table,
        "status-index",
        key="reservation_id",
        condition="#status = :status",
        values={":status": status},
    )


def _query(table: str, index: str, *, key: str, condition: str, values: dict[str, str]) -> Iterator[str]:
    """The `key` of every item that the index lists; `#status` in the condition is the attribute `status`."""
    request: dict[str, Any] = {
        "TableName": table,
        "IndexName": index,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": _dynamo(values),
    }
    if "#status" in condition:
        request["ExpressionAttributeNames"] = {"#status": "status"}
    while True:
        answer = _ask(lambda: _client().query(**request))
        for item in answer["Items"]:
            yield _python(item)[key]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def create_payment(payment: Payment) -> bool:
    """Write the item of a booking whose execution died before it could; False where there is one."""
    changes = _Changes()
    for name, value in plain(payment).items():
        if name != "payment_id":
            changes.set(name, value)
    changes.require("attribute_not_exists({})", "payment_id")
    return _update(payment.payment_id, changes)


def next_generation(payment: Payment, *, now: datetime) -> bool:
    """Count up the execution's generation, once, however many reconcilers ask."""
    changes = _Changes()
    changes.set("execution_generation", payment.execution_generation + 1)
    changes.set("updated_at", iso(now))
    if payment.execution_generation:
        changes.require("{} = {}", "execution_generation", value=payment.execution_generation)
    else:
        changes.require("attribute_not_exists({}) OR {} = {}", "execution_generation", "execution_generation", value=0)
    return _update(payment.payment_id, changes)


def count_looks_after_release(payment: Payment, looks: int) -> bool:
    """Note how often a released booking was looked at again; `updated_at` stays the moment of its release."""
    changes = _Changes()
    changes.set("looks_after_release", looks)
    changes.require("{} = {}", "status", value="expired")
    return _update(payment.payment_id, changes)


def note_told(payment: Payment, what: str) -> bool:
    """Note that operators were told; whether this is the first note of it."""
    changes = _Changes()
    changes.add("told", what)
    changes.require("NOT contains({}, {})", "told", value=what)
    changes.require("attribute_exists({})", "payment_id")
    return _update(payment.payment_id, changes)


# Writing: webhook events.


def event_processed(event_id: str) -> bool:
    """Whether the event was recorded with its effect done."""
    item = _ask(
        lambda: _client().get_item(
            TableName=settings().webhook_events_table, Key=_dynamo({"event_id": event_id}), ConsistentRead=True
        )
    ).get("Item")
    return item is not None and _python(item)["processing_result"] != "error"


def record_event(event_id: str, fields: Mapping[str, str | None], *, now: datetime) -> bool:
    """Record an event once its effect is durable, or as an `error`, which a later success replaces.

    False when it was recorded as processed before.
    """
    item = {name: value for name, value in fields.items() if value is not None}
    record = {**item, "event_id": event_id, "ttl": int((now + EVENT_TTL).timestamp())}
    try:
        _ask(
            lambda: _client().put_item(
                TableName=settings().webhook_events_table,
                Item=_dynamo(record),
                ConditionExpression="attribute_not_exists(event_id) OR processing_result = :error",
                ExpressionAttributeValues=_dynamo({":error": "error"}),
            )
        )
    except ClientError as error:
        if _code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


# Writing: whole bookings.


def confirm_reservation(booking: Booking, pi: str, capture: Capture, *, now: datetime) -> bool:
    """Give the capture and the booking to each other, in one transaction; False when its conditions did not hold.

    Raises StoreBusy when it was in conflict, throttled, or not answered: then it may have happened.
    """
    reservation, payment = booking.reservation, _payment_of(booking)
    confirmed = _Changes()
    confirmed.set("status", "confirmed")
    confirmed.set("payment_status", "completed")
    confirmed.set("payment_id", payment.payment_id)
    confirmed.require("{} = {}", "status", value="pending")
    confirmed.require("{} = {}", "total_amount", value=capture.amount)

    # Refunds of other captures do not count any more, now that the booking has its own.
    own = capture.model_copy(update={"role": "booking"})
    after = payment.model_copy(update={"status": "completed", "captures": {**payment.captures, pi: own}})
    completed = _Changes()
    _add_up(completed, payment, after)
    completed.set(f"captures.{pi}.role", "booking")
    completed.set("amount", capture.amount)
    completed.set("currency", capture.currency)
    completed.set("stripe_payment_intent_id", pi)
    completed.set("provider", "stripe")
    completed.set("provider_transaction_id", pi)
    completed.set("payment_method", "card")
    if capture.charge is not None:
        completed.set("stripe_charge_id", capture.charge)
    completed.set("completed_at", iso(now))
    completed.set("updated_at", iso(now))
    for name in ("task_token", "awaiting", "error_message"):
        completed.remove(name)
    completed.require("attribute_not_exists({})", "cancel_requested_at")
    completed.require("attribute_exists({})", f"captures.{pi}")
    completed.require("attribute_not_exists({})", f"captures.{pi}.role")
    completed.require("{} = {}", f"captures.{pi}.amount", value=capture.amount)

    return _transact(
        [
            _reservation_update(reservation, confirmed),
            _payment_update(payment, completed),
            *[{"ConditionCheck": _night_check(night, reservation)} for night in reservation.nights],
        ]
    )


def release_hold(booking: Booking, *, status: str, now: datetime) -> bool:
    """Give up the booking in one transaction; False when something changed meanwhile.

    The reservation goes from `pending` to `status` (another one stays as it is), the nights held are available again,
    the payment is `expired`.
    """
    reservation, payment = booking.reservation, _payment_of(booking)
    expired = _Changes()
    expired.set("status", "expired")
    expired.set("updated_at", iso(now))
    for name in ("task_token", "awaiting"):
        expired.remove(name)
    expired.require("{} = {}", "status", value="pending")
    operations = [_payment_update(payment, expired)]
    if reservation.status == "pending":
        given_up = _Changes()
        given_up.set("status", status)
        given_up.require("{} = {}", "status", value="pending")
        operations.append(_reservation_update(reservation, given_up))
    else:
        operations.append({"ConditionCheck": _still(reservation)})
    return _transact(operations + [_night_release(night, reservation) for night in sorted(booking.held)])


def _payment_of(booking: Booking) -> Payment:
    if booking.payment is None:
        raise LookupError(f"no payment item for reservation {booking.reservation.reservation_id}")
    return booking.payment


def _night_check(night: str, reservation: Reservation) -> dict[str, Any]:
    check = _Changes()
    check.require("{} = {}", "reservation_id", value=reservation.reservation_id)
    check.require("{} = {}", "status", value="booked")
    return {"TableName": settings().availability_table, "Key": _dynamo({"date": night}), **check.condition()}


def _night_release(night: str, reservation: Reservation) -> dict[str, Any]:
    free = _Changes()
    free.set("status", "available")
    free.remove("reservation_id")
    free.require("{} = {}", "reservation_id", value=reservation.reservation_id)
    return {
        "Update": {"TableName": settings().availability_table, "Key": _dynamo({"date": night}), **free.expression()}
    }


def _still(reservation: Reservation) -> dict[str, Any]:
    check = _Changes()
    check.require("{} = {}", "status", value=reservation.status)
    return {
        "TableName": settings().reservations_table,
        "Key": _dynamo({"reservation_id": reservation.reservation_id}),
        **check.condition(),
    }


def _reservation_update(reservation: Reservation, changes: "_Changes") -> dict[str, Any]:
    return {
        "Update": {
            "TableName": settings().reservations_table,
            "Key": _dynamo({"reservation_id": reservation.reservation_id}),
            **changes.expression(),
        }
    }


def _payment_update(payment: Payment, changes: "_Changes") -> dict[str, Any]:
    return {
        "Update": {
            "TableName": settings().payments_table,
            "Key": _dynamo({"payment_id": payment.payment_id}),
            **changes.expression(),
        }
    }


# How DynamoDB is spoken to.


class _Changes:
    """An update expression in the making. Every name is aliased, so that none can be a reserved word."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._set: list[str] = []
        self._remove: list[str] = []
        self._add: list[str] = []
        self._conditions: list[str] = []

    @property
    def empty(self) -> bool:
        return not (self._set or self._remove or self._add)

    def set(self, path: str, value: Any) -> None:
        self._set.append(f"{self._path(path)} = {self._value(value)}")

    def default(self, path: str, value: Any) -> None:
        """Set what is not there yet."""
        alias = self._path(path)
        if not any(known.startswith(f"{alias} = ") for known in self._set):
            self._set.append(f"{alias} = if_not_exists({alias}, {self._value(value)})")

    def increase(self, path: str, by: int) -> None:
        alias = self._path(path)
        self._set.append(f"{alias} = if_not_exists({alias}, {self._value(0)}) + {self._value(by)}")

    def add(self, path: str, member: str) -> None:
        """Into a set of strings."""
        self._add.append(f"{self._path(path)} {self._value({member})}")

    def remove(self, path: str) -> None:
        self._remove.append(self._path(path))

    def require(self, template: str, *paths: str, value: Any = None) -> None:
        """Add a condition; each `{}` is a path in turn, the last one the value where there is one."""
        parts = [self._path(path) for path in paths]
        if value is not None:
            parts.append(self._value(value))
        self._conditions.append(f"({template.format(*parts)})")

    def condition(self) -> dict[str, Any]:
        expression = {"ConditionExpression": " AND ".join(self._conditions), "ExpressionAttributeNames": self._names}
        return {**expression, "ExpressionAttributeValues": _dynamo(self._values)} if self._values else expression

    def expression(self) -> dict[str, Any]:
        update = "SET " + ", ".join(self._set) if self._set else ""
        if self._remove:
            update += " REMOVE " + ", ".join(self._remove)
        if self._add:
            update += " ADD " + ", ".join(self._add)
        return {"UpdateExpression": update.strip(), **self.condition()}

    def _path(self, path: str) -> str:
        aliases = []
        for name in path.split("."):
            alias = next((known for known, of in self._names.items() if of == name), f"#n{len(self._names)}")
            self._names[alias] = name
            aliases.append(alias)
        return ".".join(aliases)

    def _value(self, value: Any) -> str:
        alias = f":v{len(self._values)}"
        self._values[alias] = value
        return alias


def _update(payment_id: str, changes: _Changes) -> bool:
    """Write, and say whether the condition held."""
    try:
        _ask(
            lambda: _client().update_item(
                TableName=settings().payments_table, Key=_dynamo({"payment_id": payment_id}), **changes.expression()
            )
        )
    except ClientError as error:
        if _code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _differences(changes: _Changes, path: str, before: BaseModel, after: BaseModel) -> None:
    """Write what has changed only: others write their own fields of the same entry at the same time."""
    old, new = plain(before), plain(after)
    for name, value in new.items():
        if value != old.get(name):
            changes.set(f"{path}.{name}", value)
    for name in old.keys() - new.keys():
        changes.remove(f"{path}.{name}")


def _transact(operations: Sequence[Any]) -> bool:
    """Write all or nothing, and say whether the conditions held.

    Only reasons that are all about conditions say no for certain; anything else is StoreBusy.
    """
    try:
        _ask(lambda: _client().transact_write_items(TransactItems=operations))
    except ClientError as error:
        if _code(error) != "TransactionCanceledException":
            raise
        reasons = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])}
        if reasons - {"None", "ConditionalCheckFailed"} or "ConditionalCheckFailed" not in reasons:
            raise StoreBusy(f"transaction cancelled: {sorted(reasons)}") from error
        return False
    return True


def _batch_get(keys: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    wanted: Any = {table: {"Keys": [_dynamo(key) for key in of], "ConsistentRead": True} for table, of in keys.items()}
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in keys}
    for _ in range(3):
        request = wanted
        answer = _ask(lambda request=request: _client().batch_get_item(RequestItems=request))
        for table, items in answer["Responses"].items():
            found[table] += [_python(item) for item in items]
        wanted = answer.get("UnprocessedKeys")
        if not wanted:
            return found
    raise StoreBusy("keys left unprocessed")


def _ask(call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        if _code(error) in BUSY:
            raise StoreBusy(_code(error)) from error
        raise
    except BotoCoreError as error:
        raise StoreBusy(type(error).__name__) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _dynamo(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in values.items()}


def _python(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _integers(_deserialize(value)) for name, value in item.items()}


def _integers(value: Any) -> Any:
    if isinstance(value, Decimal):
        if value != value.to_integral_value():
            raise ValueError(f"{value} is not a whole number")
        return int(value)
    if isinstance(value, dict):
        return {name: _integers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_integers(inner) for inner in value]
    return value
