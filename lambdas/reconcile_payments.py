"""Reconciler: on a schedule, and at once when an execution dies, it finds what has been left lying and moves it on.

It never decides about money: it makes a workflow look, starts one anew, or tells the operators. Each kind of find is
a metric (`Reconciled`).
Changes: `restarts` and notes on payment items; starts and resumes executions; processes Stripe's
undelivered events as the webhook does.
Safe to run twice, beside itself and beside the webhook: executions have names, restarts are counted up by
conditional writes, a signal only causes a look.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shared.adapters import bookings, payment_items, refund_ledger, step_functions, stripe_api
from shared.adapters.notifications import notify_operators
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.attempts import new_payment
from shared.domain.errors import ApiError, NotificationFailed, TransientError
from shared.domain.ids import cancellation_id, payment_id_of, unapplied_refund_id
from shared.domain.models import Payment, Refund, Reservation
from shared.observability import bind, count, entry_point, logger
from shared.services.stripe_events import HANDLED, process
from shared.settings import settings

MAX_RESTARTS = 3
QUIET = timedelta(seconds=60)  # what changed a moment ago is left to those who are at it
GRACE = timedelta(seconds=30)  # a wait that ended this long ago should have been left
FOR_EVER = timedelta(days=400)
EVENTS_SINCE = timedelta(days=3)  # as long as Stripe tries to deliver
CHECK_AGAIN_AFTER = (timedelta(minutes=15), timedelta(days=1))  # after a release
CHECK_AGAIN_UNTIL = timedelta(days=3)


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with what was found, by kind. One item that cannot be reconciled does not keep the others from it.

    Raises RuntimeError at the end when there was such an item, so that the alarm for errors hears of it.
    """
    found = Found()
    if event.get("source") == "aws.states":
        _execution_died(event["detail"], found)
    else:
        _everything(found)
    count("ReconcilerRuns")
    if found.failures:
        raise RuntimeError(f"{found.failures} items could not be reconciled; found {found.kinds}")
    return found.kinds


class Found:
    """What a run has found, counted by kind."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}
        self.failures = 0

    def note(self, kind: str, **keys: str) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        count("Reconciled", kind=kind)
        logger.info("reconciled", extra={"kind": kind, **keys})

    def each[Of](self, items: Iterable[Of], act: Callable[[Of], None]) -> None:
        """Act on each item, whatever became of the one before; a list that cannot be read does not end the run."""
        try:
            for item in items:
                self._one(item, act)
        except Exception:  # noqa: BLE001 - the next kind must not pay for this one
            self.failures += 1
            logger.exception("not listed")

    def _one[Of](self, item: Of, act: Callable[[Of], None]) -> None:
        try:
            act(item)
        except Exception:  # noqa: BLE001 - the next item must not pay for this one
            self.failures += 1
            # An event or an execution's input stays out of the log; `process` has bound the ids.
            logger.exception("not reconciled", item=None if isinstance(item, Mapping) else str(item))


def _everything(found: Found) -> None:
    now = datetime.now(UTC)
    hold = timedelta(seconds=settings().hold_seconds)
    pending = payment_items.payments_between("pending", now - FOR_EVER, now - QUIET)
    found.each(pending, lambda payment_id: _pending(payment_id, found))
    found.each(refund_ledger.payments_refunding(), lambda payment_id: _refunding(payment_id, found))
    found.each(bookings.reservations_in("pending"), lambda reservation_id: _unstarted(reservation_id, hold, found))
    released = payment_items.payments_between("expired", now - CHECK_AGAIN_UNTIL, now - CHECK_AGAIN_AFTER[0])
    found.each(released, lambda payment_id: _released(payment_id, found))
    found.each([now - EVENTS_SINCE], lambda since: _undelivered(since, found))
    # The only list that grows for ever: it may take time from nothing else.
    found.each(bookings.reservations_in("cancelled"), lambda reservation_id: _money_kept(reservation_id, found))


def _execution_died(detail: dict[str, Any], found: Found) -> None:
    """Start the replacement at once. Without the input in the event (it was too large), the schedule does it."""
    given = json.loads(detail.get("input") or "{}")
    if isinstance(given.get("payment_id"), str):
        found.each([given], lambda of: (_refund_died if "refund_id" in of else _payment_died)(of, found))


# Payments.


def _payment_died(given: dict[str, Any], found: Found) -> None:
    """Also where nothing was written yet, or nothing was left but to announce how it ended."""
    reservation, payment = bookings.read_booking_items(given["reservation_id"])
    if payment is None:
        if reservation is not None:
            urls = {name: given[name] for name in ("success_url", "cancel_url")}
            hold = timedelta(seconds=settings().hold_seconds)
            _revive(new_payment(reservation, hold=hold, now=datetime.now(UTC), **urls), found)
    elif payment.status == "pending":
        _pending(payment.payment_id, found)
    else:
        bind(payment_id=payment.payment_id, reservation_id=payment.reservation_id)
        execution = _execution_of(payment)
        if execution == step_functions.MISSING:
            _start_missing(payment, found)
        elif not execution.runs and execution.status != "SUCCEEDED":
            _succeed(payment, execution.status, found)


def _execution_of(payment: Payment) -> step_functions.Execution:
    """The booking's newest execution."""
    return step_functions.payment_execution(step_functions.execution_name(payment.reservation_id, payment.restarts))


def _pending(payment_id: str, found: Found) -> None:
    payment = payment_items.read_payment(payment_id)
    if payment is None or payment.status != "pending":
        return
    bind(payment_id=payment_id, reservation_id=payment.reservation_id)
    execution = _execution_of(payment)
    if execution.runs:
        if _overdue(payment, datetime.now(UTC)) and payment.task_token:
            step_functions.signal(payment.task_token, "refresh")
            found.note("overdue_wait", payment_id=payment_id)
    elif execution == step_functions.MISSING:
        _start_missing(payment, found)
    else:
        _succeed(payment, execution.status, found)


def _start_missing(payment: Payment, found: Found) -> None:
    """Never started, or counted up and not started: the same name, whoever comes first."""
    step_functions.start_payment(payment)
    found.note("execution_missing", payment_id=payment.payment_id)


def _overdue(payment: Payment, now: datetime) -> bool:
    if payment.cancel_requested_at is not None:
        return now > payment.cancel_requested_at + GRACE
    if payment.awaiting == "payment" and payment.current is not None:
        return now > min(payment.current.deadline, payment.hold_expires_at) + GRACE
    return now > payment.hold_expires_at + GRACE


def _succeed(payment: Payment, status: str, found: Found) -> None:
    """Start the dead execution's replacement, three times at most; then it is a person's."""
    now = datetime.now(UTC)
    if payment.restarts >= MAX_RESTARTS:
        what = f"{MAX_RESTARTS} replacements of its execution died ({status})"
        if _notify_once("restarts_exhausted", "PaymentRestartsExhausted", payment, what):
            found.note("restarts_exhausted", payment_id=payment.payment_id)
    elif payment_items.claim_restart(payment, now=now):
        restart = payment.restarts + 1
        step_functions.start_payment(payment.model_copy(update={"restarts": restart}))
        found.note("replacement_started", payment_id=payment.payment_id, former=status)


def _unstarted(reservation_id: str, hold: timedelta, found: Found) -> None:
    """A hold that is over and whose guest never pressed "Pay now" is released by an execution of its own."""
    reservation, payment = bookings.read_booking_items(reservation_id)
    bind(reservation_id=reservation_id)
    now = datetime.now(UTC)
    if reservation is None or payment is not None or reservation.status != "pending":
        return
    if now < reservation.created_at + hold + GRACE:
        return
    fresh = _fresh(reservation, hold, now)
    if step_functions.payment_execution(reservation_id) == step_functions.MISSING:
        step_functions.start_payment(fresh)
        found.note("hold_without_payment", reservation_id=reservation_id)
    else:
        _revive(fresh, found)


def _revive(fresh: Payment, found: Found) -> None:
    """Its execution died before it wrote anything: with an item, it is a payment like any other."""
    payment_items.create_payment(fresh)
    _pending(fresh.payment_id, found)


def _fresh(reservation: Reservation, hold: timedelta, now: datetime) -> Payment:
    origin = settings().origins[0]
    return new_payment(reservation, hold=hold, success_url=origin, cancel_url=origin, now=now)


def _released(payment_id: str, found: Found) -> None:
    """Look at a released booking's sessions again, twice: money that came after all is given back."""
    payment = payment_items.read_payment(payment_id)
    if payment is None or payment.status != "expired":
        return
    bind(payment_id=payment_id, reservation_id=payment.reservation_id)
    now = datetime.now(UTC)
    due = [n for n, after in enumerate(CHECK_AGAIN_AFTER, 1) if now >= payment.updated_at + after]
    if not due or payment.checks_after_release >= due[-1]:
        return
    for attempt in payment.attempts.values():
        if attempt.stripe_checkout_session_id is None:
            continue
        intent = stripe_api.retrieve_checkout_session(attempt.stripe_checkout_session_id).payment_intent
        if intent is not None and intent.status == "succeeded" and intent.id not in payment.captures:
            _give_back(payment, intent.id, found)
            found.note("late_money", payment_id=payment_id, stripe_payment_intent_id=intent.id)
    payment_items.record_check_after_release(payment, due[-1])


def _give_back(payment: Payment, pi: str, found: Found) -> None:
    refund_id = unapplied_refund_id(pi)
    order = _order(payment, refund_id, "unapplied", pi, "workflow")
    # Told first: once the refund has entered the capture, no run comes here again.
    try:
        _notify("LatePayment", payment, f"{pi} was paid after the release; it is refunded in full by {refund_id}")
    except NotificationFailed:
        step_functions.start_refund(refund_id, order)
        raise
    if not step_functions.start_refund(refund_id, order):
        _next_execution(payment, refund_id, order, found)


def _order(payment: Payment, refund_id: str, kind: str, pi: str, requested_by: str) -> dict[str, str | int]:
    return {
        "refund_id": refund_id,
        "reservation_id": payment.reservation_id,
        "payment_id": payment.payment_id,
        "kind": kind,
        "payment_intent": pi,
        "requested_by": requested_by,
    }


def _money_kept(reservation_id: str, found: Found) -> None:
    """A booking that was cancelled outside the refund route, with its money kept, is for the operators to decide."""
    payment = payment_items.read_payment(payment_id_of(reservation_id))
    if payment is None or payment.status not in {"completed", "partially_refunded"}:
        return
    if cancellation_id(payment.payment_id) in payment.refunds:
        return
    bind(payment_id=payment.payment_id, reservation_id=reservation_id)
    what = "the reservation is cancelled, but nobody has asked for a refund"
    if _notify_once("money_kept", "CancelledMoneyKept", payment, what):
        found.note("cancelled_money_kept", payment_id=payment.payment_id)


# Refunds.


def _refunding(payment_id: str, found: Found) -> None:
    payment = payment_items.read_payment(payment_id)
    if payment is None:
        return
    bind(payment_id=payment_id, reservation_id=payment.reservation_id)
    for refund_id, entry in payment.refunds.items():
        if entry.unsettled and entry.kind != "dashboard":
            _unsettled(payment, refund_id, entry, found)


def _refund_died(given: dict[str, Any], found: Found) -> None:
    """Also where nothing was entered yet, or nothing was left but to announce that the money is back."""
    payment = payment_items.read_payment(given["payment_id"])
    if payment is None:
        return
    bind(payment_id=payment.payment_id, reservation_id=payment.reservation_id)
    refund_id = given["refund_id"]
    entry = payment.refunds.get(refund_id)
    taken_back = entry is not None and entry.status == "succeeded" and "failed_stripe_refund_id" in given
    if entry is None or (taken_back and given["failed_stripe_refund_id"] == entry.stripe_refund_id):
        _next_execution(payment, refund_id, given, found)
    else:
        _unsettled(payment, refund_id, entry, found)


def _unsettled(payment: Payment, refund_id: str, entry: Refund, found: Found) -> None:
    """A refund that has not settled has an execution that runs; else it gets the next one."""
    if step_functions.refund_execution(entry.execution or f"failed-{entry.stripe_refund_id}").runs:
        return
    order: dict[str, str | int]
    if entry.status == "failed":
        order = {
            "refund_id": refund_id,
            "reservation_id": payment.reservation_id,
            "payment_id": payment.payment_id,
            "failed_stripe_refund_id": entry.stripe_refund_id or "",
            "failure_reason": entry.failure_reason or "unknown",
        }
    else:
        order = _order(payment, refund_id, entry.kind, entry.payment_intent, entry.requested_by or "workflow")
        order |= {"amount": entry.amount} | ({} if entry.policy is None else {"policy": entry.policy})
    _next_execution(payment, refund_id, order, found)


def _next_execution(payment: Payment, refund_id: str, order: Mapping[str, str | int], found: Found) -> None:
    for restart in range(MAX_RESTARTS + 1):
        name = step_functions.execution_name(refund_id, restart)
        execution = step_functions.refund_execution(name)
        if execution.runs:
            return
        if execution == step_functions.MISSING:
            step_functions.start_refund(name, order)
            found.note("refund_replacement_started", payment_id=payment.payment_id, refund_id=refund_id)
            return
    what = f"every execution of refund {refund_id} died"
    if _notify_once(f"refund_restarts_exhausted {refund_id}", "RefundRestartsExhausted", payment, what):
        found.note("refund_restarts_exhausted", payment_id=payment.payment_id)


# Stripe.


def _undelivered(since: datetime, found: Found) -> None:
    found.each(stripe_api.undelivered_events(since, HANDLED), lambda fields: _event(fields, found))


def _event(fields: Mapping[str, Any], found: Found) -> None:
    try:
        event = StripeEvent.model_validate(fields)
    except ValidationError:
        logger.error("not an event", stripe_event_id=fields.get("id"))
        return
    try:
        answer = process(event, "undelivered")
    except TransientError as error:
        # Stripe goes on delivering it, and the next run comes across it again.
        logger.warning("not processed", stripe_event_id=event.id, error=type(error).__name__)
        return
    except ApiError as error:
        # No repeat makes it readable.
        logger.error("not an event", stripe_event_id=event.id, error=error.error_code)
        return
    if answer.processing_result == "success":
        found.note("undelivered_event", stripe_event_id=event.id)


def _notify_once(mark: str, name: str, payment: Payment, what: str) -> bool:
    """Whether it was told now. Noted after it is told: who dies in between has it told twice rather than never."""
    if mark in (payment.notified or ()):
        return False
    _notify(name, payment, what)
    return payment_items.record_notified(payment, mark)


def _notify(name: str, payment: Payment, what: str) -> None:
    notify_operators(
        f"{name}: {payment.reservation_id}"[:100],
        f"{name}: reservation {payment.reservation_id}, payment {payment.payment_id}: {what}.",
    )
