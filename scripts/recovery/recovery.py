"""Bringing a stack's tables up to date after a restore: compare, rebuild, process the events again, resume.

Safe to run again at any time: what was rebuilt is found as it should be, and everything else is what the webhook and
the reconciler do.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError

from scripts.recovery.booking_facts import Facts, Terms
from scripts.recovery.checkpoint import Checkpoint
from scripts.recovery.execution_runs import DEAD, Executions
from scripts.recovery.follow_ups import Gathered, follow_ups
from scripts.recovery.rebuilding import rebuild
from scripts.recovery.stripe_side import StripeSession, StripeSide
from scripts.recovery.writing import write
from shared.adapters import bookings, payment_items, stripe_api
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.api_errors import ApiError
from shared.domain.booking import Booking
from shared.domain.errors import PaymentError, ReservationInvalid, StoreBusy
from shared.domain.ids import payment_id_of, reservation_id_of
from shared.domain.models import FAILED, PENDING, Payment
from shared.observability import act_as, describe, logger
from shared.services.due_lists import EVENTS_SINCE
from shared.services.stripe_events import process
from shared.settings import settings

ACTOR = "function:recover"
TRIES = 5
RECORDED_WITHIN = timedelta(hours=1)
SESSION_OUTLASTS = timedelta(hours=1)  # its checkout window: a 3-D Secure challenge may still go on

type Json = dict[str, Any]


@dataclass
class Result:
    """What a run did, or would do: `changes` by reservation, `events` processed again.

    `left`: the reservations, and the events of Stripe, that could not be brought up to date, with the reason why.
    """

    changes: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    bookings: int = 0
    events: int = 0


class Recovery:
    """Recovers one stack since a moment; with `plan` it says what it would do and changes nothing."""

    def __init__(
        self,
        stripe: StripeSide,
        executions: Executions,
        *,
        since: datetime,
        plan: bool = False,
        workers: int = 8,
        checkpoint: Checkpoint | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._stripe, self._executions = stripe, executions
        self._since, self._plan, self._workers, self._say = since, plan, workers, say
        self._checkpoint = checkpoint or Checkpoint(None)
        self._found: defaultdict[str, Gathered] = defaultdict(Gathered)
        self._owners: dict[str, str | None] = {}
        self._window = timedelta(seconds=settings().checkout_window_seconds)
        self._events_left = False
        self._terms = Terms(hold=timedelta(seconds=settings().hold_seconds), refund_policy=settings().refund_policy)
        self.result = Result()

    def run(self) -> Result:
        act_as(ACTOR)
        self._gather()
        self._for_each("bookings", sorted(self._found.keys() - self._checkpoint.bookings), self._recover_booking)
        self._process_events()
        if not self._plan:
            self._checkpoint.end()
        return self.result

    # What there is.

    def _gather(self) -> None:
        for session in self._stripe.sessions(self._since - self._window - SESSION_OUTLASTS):
            self._add_session(session)
        self._say(f"{sum(len(one.sessions) for one in self._found.values())} sessions read")
        # What happened before, an execution may have recorded after: this is lost, although the event is not.
        refunds = self._stripe.refunds(self._since - RECORDED_WITHIN)
        for refund in (*refunds, *self._stripe.failed_refunds(self._since - EVENTS_SINCE)):
            self._owner(refund.get("payment_intent"))
        for dispute in self._stripe.disputes(self._since):
            owner = self._owner(dispute.get("payment_intent"))
            if owner is not None:
                self._found[owner].disputes[dispute["id"]] = dispute
        for status in ("RUNNING", *DEAD):
            since = None if status == "RUNNING" else self._since - self._terms.hold
            for execution in self._executions.listed("payment", status, since):
                replaced = execution.name.startswith("PAY-")
                name = re.sub(r"-r\d+$", "", execution.name) if replaced else execution.name
                found = self._found[reservation_id_of(name)]
                found.running += [execution] if status == "RUNNING" else []
                found.died = found.died or status != "RUNNING"
            self._add_refunds(status, since)
        # A refund of nothing, one that found nothing left and one that was settled elsewhere are not at Stripe.
        self._add_refunds("SUCCEEDED", self._since - RECORDED_WITHIN)
        self._say(f"{len(self._found)} bookings to compare")

    def _add_refunds(self, status: str, since: datetime | None) -> None:
        for execution in self._executions.listed("refund", status, since):
            given = self._executions.input_of(execution)
            if "refund_id" in given:
                found = self._found[given["reservation_id"]]
                found.running += [execution] if status == "RUNNING" else []
                if "failed_stripe_refund_id" in given:
                    found.failed_later[given["refund_id"]].add(given["failed_stripe_refund_id"])
                found.refund_executions[given["refund_id"]].append(execution)

    def _add_session(self, session: StripeSession) -> str | None:
        metadata = session.session.metadata
        reservation_id = metadata.get("reservation_id")
        if not reservation_id or metadata.get("payment_id") != payment_id_of(reservation_id):
            return None
        self._found[reservation_id].sessions[session.session.id] = session
        if session.session.payment_intent is not None:
            self._owners[session.session.payment_intent.id] = reservation_id
        return reservation_id

    def _owner(self, pi: str | None) -> str | None:
        """The booking that a PaymentIntent belongs to, whose session is read if it is not known."""
        if pi is None or pi in self._owners:
            return None if pi is None else self._owners[pi]
        self._owners[pi] = None
        for session in self._stripe.sessions_of(pi):
            self._add_session(session)
        return self._owners[pi]

    # One booking.

    def _recover_booking(self, reservation_id: str) -> None:
        try:
            self._rebuild(reservation_id)
        except (LookupError, ReservationInvalid):
            # Once it can be read, the guest may be offered another session: nobody must be able to pay both.
            self._expire_sessions(reservation_id)
            raise

    def _expire_sessions(self, reservation_id: str) -> None:
        """Expire the sessions of a booking which cannot be read that its item lacks, and an execution has opened."""
        known = _sessions_of(payment_items.read_payment(payment_id_of(reservation_id)))
        sessions = self._found[reservation_id].sessions.items()
        payable = {id_ for id_, found in sessions if found.session.status == "open"} - known
        run = self._executions.payment(reservation_id, 0) if payable else None
        ours = {} if run is None else self._executions.opened(reservation_id, run.restart)
        for session_id in sorted(payable & ours.keys()):
            self.result.changes.setdefault(reservation_id, []).append(f"expire {session_id}")
            if not self._plan:
                stripe_api.expire_checkout_session(session_id)

    def _rebuild(self, reservation_id: str) -> None:
        found = self._found[reservation_id]
        for _ in range(TRIES):
            booking = bookings.read_booking(reservation_id)
            facts = self._facts(booking, found)
            now = datetime.now(UTC)
            rebuilt = rebuild(booking, facts, self._terms, now)
            if self._plan or not rebuilt.changes or write(booking, rebuilt, now=now):
                break
        else:
            raise StoreBusy("the booking kept changing")
        changes = [*rebuilt.changes]
        payment = rebuilt.payment if self._plan else payment_items.read_payment(rebuilt.payment.payment_id)
        for what, act in follow_ups(payment or rebuilt.payment, found, facts, self._executions):
            changes.append(what)
            if not self._plan:
                act()
        if changes:
            self.result.changes[reservation_id] = changes
        if not self._plan:
            self._checkpoint.booking_done(reservation_id)

    def _facts(self, booking: Booking, found: Gathered) -> Facts:
        """Ask Step Functions only about what the items leave open."""
        payment, reservation_id = booking.payment, booking.reservation.reservation_id
        run, restarts = None, 0 if payment is None else payment.restarts
        if payment is None or payment.status == "pending" or found.died:
            run = self._executions.payment(reservation_id, restarts)
        unknown = found.sessions.keys() - _sessions_of(payment)
        newest = restarts if run is None else run.restart
        opened = self._executions.opened(reservation_id, newest) if unknown else {}
        payment_id = payment_id_of(reservation_id)
        refunds = {}
        for refund_id in sorted({*found.refund_executions, *_refunds_to_check(booking, found)}):
            refund = self._executions.refund(refund_id)
            if refund is not None and refund.given.payment_id == payment_id:
                # The execution of a late failure is not named after the refund.
                listed = sorted(found.refund_executions[refund_id], key=lambda one: one.started_at)
                late = [one.name for one in listed if one.name.startswith("failed-")]
                refunds[refund_id] = replace(
                    refund,
                    newest=listed[-1].name if listed else refund.newest,
                    failed_later=frozenset(found.failed_later[refund_id]),
                    settled_elsewhere=refund.settled_elsewhere or self._executions.settled_elsewhere(late),
                )
        return Facts(sessions=[*found.sessions.values()], opened=opened, run=run, refunds=refunds)

    # The events.

    def _process_events(self) -> None:
        now = datetime.now(UTC)
        since = self._checkpoint.events_until or self._since - EVENTS_SINCE
        for end, events in self._stripe.events(since, now + timedelta(seconds=1)):
            if not self._plan:
                self._for_each("events", events, self._process_event)
                if not self._events_left:
                    self._checkpoint.events_done(end)
            self.result.events += len(events)

    def _process_event(self, fields: Json) -> None:
        try:
            event = StripeEvent.model_validate(fields)
            process(event, "restored", again=event.created >= self._since.timestamp() - 1)
        except PaymentError as error:
            # Stripe delivered it once and will not do so again.
            self._events_left = True
            self.result.left[fields["id"]] = f"{type(error).__name__}: {describe(error)}"
        except (ApiError, ValidationError) as error:
            logger.warning("not an event that the webhook accepts", error=describe(error))

    # All of a kind.

    def _for_each[Item](self, name: str, items: list[Item], action: Callable[[Item], None]) -> None:
        began = datetime.now(UTC)
        calls = (partial(self._attempt, action, item) for item in items)
        for number, _ in enumerate(self._in_parallel(calls), 1):
            if number % 100 == 0 and name == "bookings":
                left = (datetime.now(UTC) - began) / number * (len(items) - number)
                self._say(f"{number} of {len(items)} {name}, about {round(left.total_seconds() / 60)} minutes left")
        if name == "bookings":
            self.result.bookings += len(items)

    def _in_parallel(self, calls: Iterator[Callable[[], None]]) -> Iterator[None]:
        if self._workers == 1:
            yield from (call() for call in calls)
            return
        with ThreadPoolExecutor(self._workers) as pool:
            yield from pool.map(lambda call: call(), calls)

    def _attempt[Item](self, action: Callable[[Item], None], item: Item) -> None:
        """One that fails does not stop the others; whoever runs the program reads why."""
        act_as(ACTOR)
        try:
            action(item)
        except (LookupError, PaymentError) as error:
            self.result.left[str(item)] = describe(error)


def _sessions_of(payment: Payment | None) -> set[str | None]:
    return set() if payment is None else {one.stripe_checkout_session_id for one in payment.attempts.values()}


def _refunds_to_check(booking: Booking, found: Gathered) -> Iterator[str]:
    """Refunds that are not settled, and those at Stripe with our metadata that the ledger lacks or shows otherwise."""
    entries = {} if booking.payment is None else booking.payment.refunds
    yield from (refund_id for refund_id, one in entries.items() if one.unsettled and one.kind != "dashboard")
    for session in found.sessions.values():
        intent = session.session.payment_intent
        for refund in () if intent is None else intent.refunds:
            refund_id = refund.metadata.get("refund_id")
            if refund.metadata.get("stack") != settings().stack or not refund_id:
                continue
            entry = entries.get(refund_id)
            if entry is None or (entry.status in {"succeeded", *PENDING} and refund.status in FAILED):
                yield refund_id
