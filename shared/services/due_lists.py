"""The lists that a run of the reconciler works off, oldest first, each until time is over.

Payments come from an index of what is due, in 16 shards. What fails is due again in some minutes, so that it takes no
time from the others. The other two lists go on in the next run where this one stops.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shared.adapters import bookings, due_index, stripe_api
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.api_errors import ApiError
from shared.domain.due import GRACE, SOON
from shared.domain.errors import TransientError
from shared.observability import bind, logger
from shared.services.due_payments import check_due_payment
from shared.services.payment_restarts import hold, release_unpaid_hold
from shared.services.reconciliation import Report
from shared.services.stripe_events import HANDLED, process

EVENTS_SINCE = timedelta(days=3)  # as long as Stripe tries to deliver
SECOND = timedelta(seconds=1)


def check_shard(shard: str, report: Report) -> None:
    """Check the payments of one shard that are due."""
    now = datetime.now(UTC)

    def check(item: tuple[str, str]) -> None:
        payment_id, due_at = item
        report.wait_for_turn()
        bind(payment_id=payment_id)
        if not report.attempt(lambda: check_due_payment(payment_id, report)):
            due_index.postpone(payment_id, due_at=due_at, until=now + SOON)

    left = report.work_off(due_index.due_payments(shard, now), check)
    if left is not None:
        report.leave(due_index.count_due(shard, now), datetime.fromisoformat(left[1]))


def release_unpaid_holds(report: Report) -> None:
    """Release the holds that are over and whose guests never started to pay."""
    position = due_index.read_position("holds")
    over = bookings.pending_reservations(since=position or "0", until=datetime.now(UTC) - hold() - GRACE)
    left = report.work_off(over, lambda item: release_unpaid_hold(item[0], report))
    _stop_at("holds", position, None if left is None else left[1], report)


def process_undelivered_events(report: Report) -> None:
    """Process the events that Stripe could not deliver, as the webhook does.

    Stripe lists the newest first. To begin with the oldest without holding all of them, they are read in slices of
    time that are halved until a slice fits on a page.
    """
    now = datetime.now(UTC) + SECOND
    position = due_index.read_position("events")
    start = now - EVENTS_SINCE
    if position is not None:
        start = max(start, datetime.fromisoformat(position))
    length = now - start
    while start < now:
        events, complete = stripe_api.undelivered_events(start, start + length, HANDLED)
        if not complete and length > SECOND:
            length = max(length / 2, SECOND)
            continue
        while not complete:
            older, complete = stripe_api.undelivered_events(start, start + length, HANDLED, older_than=events[0]["id"])
            events = older + events
        if report.work_off(events, lambda event: _process_event(event, report)) is not None:
            return _stop_at("events", position, start.isoformat(), report)
        start += length
        length *= 2
    return _stop_at("events", position, None, report)


def _stop_at(name: str, before: str | None, position: str | None, report: Report) -> None:
    """Record where the next run goes on: at the beginning again if nothing is left."""
    if position is not None:
        report.leave(1)
    if position != before:
        due_index.record_position(name, position)


def _process_event(fields: Mapping[str, Any], report: Report) -> None:
    try:
        event = StripeEvent.model_validate(fields)
    except ValidationError:
        logger.error("not an event", stripe_event_id=fields.get("id"))
        return
    try:
        answer = process(event, "undelivered")
    except TransientError as error:
        # Stripe goes on delivering it, and the next run tries it again.
        logger.warning("not processed", stripe_event_id=event.id, error=type(error).__name__)
        return
    except ApiError as error:
        # It can never be read; trying again would not help.
        logger.error("not an event", stripe_event_id=event.id, error=error.answer.code)
        return
    if answer.processing_result == "success":
        report.record("undelivered_event", stripe_event_id=event.id)
