"""What must always hold, checked on one booking once nothing moves any more.

 1  A reservation is confirmed only with a paid Stripe session for exactly its amount in EUR.
 2  No booking keeps more than its price: a second or unapplied capture is refunded in full by itself, a good one never.
 3  A hold is not released while any session of the booking can still be paid.
 4  An unpaid hold is released soon after its end, unless 3 forbids it.
 5  For every capture: settled and pending refunds are never more than was captured.
 6  At most one open session is published; at most 3 attempts count, unless an operator grants more.
 7  Events lost, repeated, in another order or days late lead to the same end.
 8  A webhook answered 2xx has had its effect.
 9  Every execution ends in a named state or waits in one with a deadline; a dead one is revived or reaches a person.
10  A refund that fails reaches a person, also after it had succeeded; it is never shown as done.
11  No key, secret, card or e-mail address is in logs or in executions' data; task tokens only where AWS writes them.
12  Nobody reads, pays, retries, cancels or refunds a booking that is not theirs, unless they are an operator.

These numbers stand in front of what is reported. 7 and 9 are in all of it: whatever became of the events, the end is
one of those allowed here, and nothing is left running or waiting. 11 and 12 are looked for while histories run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.adapters.step_functions import execution_name
from tests.properties.simulation.histories import Played
from tests.properties.simulation.world import Json, World

CONFIRMED = {"completed", "partially_refunded", "refunded"}
BACK = {"succeeded", "pending", "requires_action"}
MAX_ATTEMPTS = 3
MAX_RESTARTS = 3


@dataclass(frozen=True)
class Seen:
    """Everything that is known of one booking at the end."""

    played: Played
    reservation: Json
    payment: Json
    night: Json
    sessions: list[Json]
    intents: list[Json]
    refunds: list[Json]
    executions: Mapping[str, str]
    told: list[str]
    events: list[Json] = field(default_factory=list)

    @property
    def captures(self) -> dict[str, Json]:
        return dict(self.payment.get("captures", {}))

    @property
    def entries(self) -> dict[str, Json]:
        return dict(self.payment.get("refunds", {}))

    @property
    def own(self) -> list[str]:
        return [pi for pi, capture in self.captures.items() if capture.get("role") == "booking"]

    @property
    def paid(self) -> list[Json]:
        return [intent for intent in self.intents if intent["status"] == "succeeded"]

    def back(self, pi: str) -> int:
        """What Stripe has given back of a PaymentIntent, and a person by another way."""
        stripe = sum(one["amount"] for one in self.refunds if one["payment_intent"] == pi and one["status"] in BACK)
        elsewhere = sum(
            entry["amount"]
            for entry in self.entries.values()
            if entry["payment_intent"] == pi and entry["status"] == "settled_elsewhere"
        )
        return int(stripe + elsewhere)

    def with_a_person(self, refund_id: str) -> bool:
        """Whether a person was told of the refund otherwise than that an execution died, or gives the money back."""
        by_itself = [
            "ExecutionDied",
            "LatePayment",
            *(["DashboardRefundFailed"] if refund_id.startswith("REF-") else []),
        ]
        return any(refund_id in text for text in self.told if not text.startswith(tuple(by_itself)))


def broken(seen: Seen) -> list[str]:
    """Every invariant that does not hold, in words."""
    checks = (_reservation, _money, _own_money, _ledger, _refunds, _attempts, _executions, _events)
    return [f"{problem}" for check in checks for problem in check(seen)] + seen.played.surprises


def _reservation(seen: Seen) -> Iterator[str]:
    status, payment = seen.reservation["status"], seen.payment.get("status")
    ours = seen.night.get("reservation_id") == seen.reservation["reservation_id"]
    if status == "pending":
        yield "4: the hold is over, and the reservation still pending"
    if payment == "pending":
        yield "9: the payment is still pending"
    if status == "confirmed" and payment not in CONFIRMED:
        yield f"1: confirmed with a payment that is {payment}"
    if payment in CONFIRMED and status not in {"confirmed", "cancelled"}:
        yield f"1: paid, and the reservation {status}"
    if status == "confirmed" and not ours and not seen.played.gone:
        yield f"1: confirmed without its night: {seen.night}"
    if payment == "expired" and ours and seen.night["status"] != "available":
        yield "4: released without its night"
    if payment == "expired" and status not in {"expired", "cancelled"}:
        yield f"4: released, and the reservation {status}"


def _money(seen: Seen) -> Iterator[str]:
    confirmed = seen.payment.get("status") in CONFIRMED
    if len(seen.own) != int(confirmed):
        yield f"2: {len(seen.own)} captures are the booking's, and the payment {seen.payment.get('status')}"
    for intent in seen.paid:
        pi, amount = intent["id"], intent["amount_received"]
        if pi not in seen.captures:
            yield f"8: nobody knows of {pi}, which was paid"
            continue
        if pi in seen.own:
            if (amount, intent["currency"]) != (seen.played.price, "eur"):
                yield f"1: confirmed for {amount} {intent['currency']}, the price was {seen.played.price}"
            continue
        ours = [
            name for name, one in seen.entries.items() if one["payment_intent"] == pi and one["kind"] != "dashboard"
        ]
        if seen.back(pi) != amount and not any(seen.with_a_person(refund_id) for refund_id in ours):
            yield f"2: {pi} is not the booking's, and {seen.back(pi)} of {amount} went back"
    good = [intent["id"] for intent in seen.paid if intent["id"] in seen.played.honest]
    if good and not confirmed and not seen.played.gone and not _restarts_exhausted(seen):
        yield f"2: {good} was good money, and the booking is {seen.reservation['status']}"


def _own_money(seen: Seen) -> Iterator[str]:
    for pi in seen.own:
        if pi not in {intent["id"] for intent in seen.paid}:
            yield f"1: {pi} is the booking's, and was never paid"
        if f"REF-{pi}" in seen.entries:
            yield f"2: {pi} is the booking's, and was refunded as unapplied"
        if seen.back(pi) and not seen.played.asked_back:
            yield f"2: {pi} was refunded, and nobody had asked for it"


def _ledger(seen: Seen) -> Iterator[str]:
    for pi, capture in seen.captures.items():
        entries = [entry for entry in seen.entries.values() if entry["payment_intent"] == pi]
        reserved = sum(
            entry["amount"]
            for entry in entries
            if not (entry["kind"] == "dashboard" and entry["status"] in {"failed", "canceled"})
        )
        if capture["refundable"] != capture["amount"] - reserved:
            yield f"5: {capture['refundable']} of {pi} is refundable, {reserved} of {capture['amount']} reserved"
        counted = sum(entry["amount"] for entry in entries if entry["status"] in BACK | {"settled_elsewhere"})
        if counted > capture["amount"]:
            yield f"5: {counted} of {capture['amount']} refunded"


def _lives(refund: Json) -> bool:
    return refund["status"] in BACK


def _refunds(seen: Seen) -> Iterator[str]:
    at_stripe = {refund["id"]: refund for refund in seen.refunds}
    for refund in seen.refunds:
        refund_id = refund["metadata"].get("refund_id", refund["id"])
        entry = seen.entries.get(refund_id)
        if entry is None:
            yield f"5: {refund['id']} is not in the ledger"
            continue
        newest = entry.get("stripe_refund_id") == refund["id"]
        if newest and entry["status"] not in {refund["status"], "settled_elsewhere"}:
            yield f"10: {refund_id} is {entry['status']} here and {refund['status']} at Stripe"
    for refund_id, entry in seen.entries.items():
        living = [one["id"] for one in seen.refunds if one["metadata"].get("refund_id") == refund_id and _lives(one)]
        if len(living) > 1 or (living and entry["status"] == "failed"):
            yield f"5: {refund_id} is {entry['status']}, and {living} live at Stripe"
        if entry["status"] == "succeeded" and at_stripe.get(entry["stripe_refund_id"], {}).get("status") != "succeeded":
            yield f"10: {refund_id} is shown as done, and is not"
        if entry["status"] in {"failed", "canceled"} and not seen.with_a_person(refund_id):
            yield f"10: {refund_id} has failed, and nobody was told"
        if entry["status"] in {"pending", "requires_action"}:
            yield f"9: {refund_id} is still {entry['status']}"


def _attempts(seen: Seen) -> Iterator[str]:
    counted = [attempt for attempt in seen.payment.get("attempts", {}).values() if attempt["counted"]]
    if len(counted) > MAX_ATTEMPTS + seen.played.granted:
        yield f"6: {len(counted)} attempts"
    published = {attempt["stripe_checkout_session_id"] for attempt in counted}
    payable = [session["id"] for session in seen.sessions if session["id"] in published and session["status"] == "open"]
    if payable:
        yield f"3: {payable} can still be paid"


def _restarts_exhausted(seen: Seen) -> bool:
    return seen.payment.get("restarts", 0) >= MAX_RESTARTS and any(
        "PaymentRestartsExhausted" in text for text in seen.told
    )


def _executions(seen: Seen) -> Iterator[str]:
    restart = seen.payment.get("restarts", 0)
    last = execution_name(seen.reservation["reservation_id"], restart)
    waiting = {execution_name(refund_id, n) for refund_id in _waiting(seen) for n in range(9)}
    for name, status in seen.executions.items():
        if status == "RUNNING":
            if name not in waiting and not name.startswith("failed-"):
                yield f"9: {name} still runs"
        elif status != "SUCCEEDED" and not any(name in text for text in seen.told):
            yield f"9: {name} is {status}, and nobody was told"
    # One that died once the payment was over needs no replacement; that it died was told.
    over = seen.payment.get("status", "none") != "pending"
    if not over and seen.executions.get(last) != "SUCCEEDED" and not _restarts_exhausted(seen):
        yield f"9: {last} is {seen.executions.get(last)}"


def _waiting(seen: Seen) -> list[str]:
    """Refunds that wait for a person."""
    return [refund_id for refund_id, entry in seen.entries.items() if entry.get("awaiting") == "operator"]


def _events(seen: Seen) -> Iterator[str]:
    for event in seen.events:
        yield f"8: {event['id']} ({event['type']}) was acknowledged, and is not recorded as processed"


def met(seen: Seen) -> Iterator[str]:
    """What the history led to, to be counted: a simulation that never comes across something proves nothing of it."""
    yield f"reservation {seen.reservation['status']}"
    yield f"payment {seen.payment.get('status', 'none')}"
    yield f"{len(seen.paid)} times paid"
    if "succeeded" in {entry["status"] for entry in seen.entries.values() if entry["kind"] == "unapplied"}:
        yield "unapplied money refunded"
    if seen.payment.get("restarts", 0):
        yield "a replacement"
    if _restarts_exhausted(seen):
        yield "given up"
    for kind in {entry["kind"] for entry in seen.entries.values()}:
        yield f"refund: {kind}"
    if any(entry["status"] == "failed" for entry in seen.entries.values()):
        yield "a failed refund"


class Look:
    """Reads everything once, for many bookings."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._executions: dict[str, str] = {}
        for workflow in ("payment", "refund"):
            pages = world.states.get_paginator("list_executions").paginate(
                stateMachineArn=world.stack.outputs[f"{workflow}StateMachineArn"]
            )
            self._executions |= {one["name"]: one["status"] for page in pages for one in page["executions"]}
        self._told = [note["message"] for note in world.admin.notifications()]
        with world.stripe.lock:
            stripe = world.stripe
            self._sessions = stripe.all("checkout.session")
            self._intents = stripe.all("payment_intent")
            self._refunds = stripe.all("refund")
            acknowledged = {
                delivery.event_id for delivery in stripe.webhooks.deliveries if delivery.status in range(200, 300)
            }
            self._events = stripe.all("event", lambda event: event["id"] in acknowledged)
        self._processed = self._processed_events()

    def _processed_events(self) -> set[str]:
        table = self._world.stack.outputs["webhookEventsTable"]
        pages = self._world.dynamodb.get_paginator("scan").paginate(TableName=table)
        items: list[Any] = [item for page in pages for item in page["Items"]]
        return {item["event_id"]["S"] for item in items if item["processing_result"]["S"] != "error"}

    def at(self, played: Played) -> Seen:
        about = played.id
        intents = [one for one in self._intents if one["metadata"].get("reservation_id") == about]
        paid = {intent["id"] for intent in intents}
        refunds = [refund for refund in self._refunds if refund["payment_intent"] in paid]
        mine = (about, *paid, *(refund["id"] for refund in refunds))
        try:
            payment = self._world.admin.payment(about)
        except LookupError:
            payment = {}
        return Seen(
            played=played,
            reservation=self._world.admin.reservation(about),
            payment=payment,
            night=self._world.admin.night(played.day),
            sessions=[one for one in self._sessions if one["client_reference_id"] == about],
            intents=intents,
            refunds=refunds,
            executions={name: status for name, status in self._executions.items() if any(one in name for one in mine)},
            told=[text for text in self._told if any(one in text for one in mine)],
            events=[
                event
                for event in self._events
                if event["id"] not in self._processed
                and self._world.booking_of_object(event["data"]["object"]) == about
            ],
        )
