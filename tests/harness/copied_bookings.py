"""Many bookings, copied from a few as they are stored: the only way to have thousands of them at once."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched, cycle
from typing import Any

from shared.domain.models import iso
from tests.harness.booking_driver import REFUND_FAILS_LATER, BookingDriver
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until

BATCH = 25  # the most that BatchWriteItem takes

type Request = tuple[str, dict[str, Any]]


def copy_bookings(
    stack: RunningStack, bookings: Sequence[BookingDriver], numbers: range, *, apart: timedelta = timedelta(minutes=10)
) -> list[str]:
    """Store copies of the bookings in turn, with these numbers, each older than the one before; their ids in turn.

    A copy has ids of its own, its PaymentIntents too, but nothing at Stripe and no execution.
    """
    stored = {booking.id: list(_stored(stack, booking)) for booking in bookings}
    now, made, requests = datetime.now(UTC), list[str](), list[Request]()
    for copy, booking in zip(numbers, cycle(bookings), strict=False):
        made.append(f"RES-copy{copy:05}")
        created = {"S": iso(now - copy * apart)}
        for table, item in stored[booking.id]:
            text = json.dumps(item).replace(booking.id, made[-1]).replace("pi_", f"pi_{copy:05}")
            fresh = json.loads(text) | ({"created_at": created} if "created_at" in item else {})
            requests.append((table, {"PutRequest": {"Item": fresh}}))
    for batch in batched(requests, BATCH, strict=False):
        of_tables: dict[str, list[dict[str, Any]]] = {}
        for table, request in batch:
            of_tables.setdefault(table, []).append(request)
        stack.dynamodb.batch_write_item(RequestItems=of_tables)
    return made


def _stored(stack: RunningStack, booking: BookingDriver) -> Iterator[Request]:
    """Each item of a booking in DynamoDB's own form, with its table: payment, pointers, reservation."""
    payments, reservations = stack.outputs["paymentsTable"], stack.outputs["reservationsTable"]
    keys = [
        (payments, {"payment_id": {"S": id_}}) for id_ in (booking.payment_id, *booking.payment.get("captures", {}))
    ]
    for table, key in [*keys, (reservations, {"reservation_id": {"S": booking.id}})]:
        yield table, dict(stack.dynamodb.get_item(TableName=table, Key=key)["Item"])


def book_in_every_state(stack: RunningStack) -> list[BookingDriver]:
    """Real bookings, one for each way in which a payment can stand, and what may need a person."""
    waits, released, cancelled, restarted = (stack.reserve() for _ in range(4))
    for booking in (waits, released, cancelled, restarted):
        booking.pay_now()
    cancelled.cancel()
    stack.local.admin.end_hold(released.id)
    stack.admin.stop_execution(restarted.id)
    paid, partly, returned, disputed, suspicious = (stack.reserve_paid() for _ in range(5))
    failed = stack.reserve_paid(card=REFUND_FAILS_LATER)
    partly.refund_goodwill(500)
    for booking in (returned, failed):
        booking.refund()
    stack.stripe.open_dispute(disputed.session_intent)
    stack.stripe.warn_of_fraud(suspicious.session_intent)
    at_stripe = wait_until(lambda: failed.payment["refunds"][failed.cancellation_id]["stripe_refund_id"], "the refund")
    stack.stripe.settle_refund(at_stripe, "failed")
    for needy in (disputed, suspicious, failed):
        wait_until(partial(_has, needy, "attention_since"), f"the open matter of {needy.id}")
    for ended in (released, cancelled, returned):
        wait_until(partial(_is_over, ended), f"the end of {ended.id}")
    return [waits, released, cancelled, restarted, paid, partly, returned, disputed, suspicious, failed]


def _has(booking: BookingDriver, attribute: str) -> bool:
    return attribute in booking.payment


def _is_over(booking: BookingDriver) -> bool:
    return booking.payment["status"] in {"expired", "refunded"}
