"""What must hold for every booking once its stack has come to rest.

 1  A reservation is confirmed only with a paid Stripe session for exactly its amount in EUR.
 2  No booking keeps more than its price: a second or unapplied capture is refunded in full automatically, a valid
    capture never.
 3  A hold is not released while any session of the booking can still be paid.
 4  An unpaid hold is released soon after its end, unless 3 forbids it.
 5  For every capture, settled and pending refunds together never exceed the captured amount.
 6  At most one offered session is open; at most 3 attempts count, unless an operator grants more.
 7  Lost, repeated, reordered or late events lead to the same result.
 8  A webhook answered 2xx has taken effect.
 9  Every execution ends in a named state or waits in one with a deadline; a failed one is replaced or operators are
    notified.
10  Operators are notified of every refund that fails, even after it had succeeded; it is never shown as done.
11  No key, secret, card number or e-mail address is in logs or in executions' data; task tokens only where AWS writes
    them.
12  Nobody but an operator reads, pays, retries, cancels or refunds somebody else's booking.
13  Money of other systems on the Stripe account is never touched, whatever its metadata says.
14  No booking is confirmed whose charge does not hold its price.
15  What is left of a capture is never negative nor above what was received, after every write.
16  Every execution that died is replaced within a day of that, or of the end of what it died of, when the reconciler
    runs next; nobody edits an item. Replacements that die as well follow at ever longer intervals.
17  What needs a person has an open matter, and what is over has none; the operators' routes say the same as the item.

Every violation that is reported begins with one of these numbers. 7 and 9 are part of all checks: however its events
are delivered, a booking ends in one of the ways allowed here, with nothing running or waiting. 11 and 12 are checked
while histories run.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from shared.adapters.step_functions import execution_name
from tests.properties.simulation.matter_causes import check_matters
from tests.properties.simulation.snapshots import REFUNDED, BookingSnapshot, is_live

ENDED_BY_PLATFORM = {"cancelled", "deleted"}
CONFIRMED = {"completed", "partially_refunded", "refunded"}
MAX_ATTEMPTS = 3
REPLACED_WITHIN = timedelta(days=1)
DEATHS_AN_HOUR = 12  # at most; six of them without any progress
UNDER_WAY = 180  # seconds from Stripe's answer to the confirmation, at most


def violations(booking: BookingSnapshot) -> list[str]:
    """A sentence for every invariant that does not hold."""
    checks = (
        *(_reservation, _captures, _booking_captures, _ledger, _refunds, _attempts, _executions, _events),
        *(_foreign_money, _price_held, _replacements, check_matters),
    )
    return [problem for check in checks for problem in check(booking)] + booking.driver.unexpected_answers


def _reservation(booking: BookingSnapshot) -> Iterator[str]:
    status, payment = booking.reservation.get("status", "deleted"), booking.payment.get("status")
    holds_night = booking.night.get("reservation_id") == booking.driver.id
    if status == "pending":
        yield "4: the hold has ended and the reservation is still pending"
    if payment == "pending":
        yield "9: the payment is still pending"
    if booking.driver.kept_by_platform or booking.driver.deleted:
        return  # what becomes of reservation and nights is then for the platform to say
    if status == "confirmed" and payment not in CONFIRMED:
        yield f"1: the reservation is confirmed and the payment is {payment}"
    if payment in CONFIRMED and status not in {"confirmed", "cancelled"}:
        yield f"1: the booking is paid and the reservation is {status}"
    if status == "confirmed" and not holds_night and not booking.driver.withdrawn:
        yield f"1: confirmed without its night: {booking.night}"
    if payment == "expired" and holds_night and booking.night["status"] != "available":
        yield "4: the hold was released and its night was not"
    if payment == "expired" and status not in {"expired", "cancelled"}:
        yield f"4: the hold was released and the reservation is {status}"


def _captures(booking: BookingSnapshot) -> Iterator[str]:
    payment = booking.payment.get("status")
    confirmed = payment in CONFIRMED
    if len(booking.booking_captures) != int(confirmed):
        yield f"2: {len(booking.booking_captures)} captures pay for the booking and the payment is {payment}"
    for intent in booking.paid_intents:
        pi, amount = intent["id"], intent["amount_received"]
        if pi not in booking.captures:
            yield f"8: {pi} was paid and is not recorded"
            continue
        if pi in booking.booking_captures:
            if (amount, intent["currency"]) != (booking.driver.price, "eur"):
                yield f"1: confirmed for {amount} {intent['currency']}, the price was {booking.driver.price}"
            continue
        refund_ids = [
            refund_id
            for refund_id, entry in booking.ledger.items()
            if entry["payment_intent"] == pi and entry["kind"] != "dashboard"
        ]
        refunded = booking.refunded(pi)
        if refunded != amount and not any(booking.asks_operators_for(refund_id) for refund_id in refund_ids):
            yield f"2: {pi} does not pay for the booking and {refunded} of {amount} were refunded"
    valid = [intent["id"] for intent in booking.paid_intents if intent["id"] in booking.driver.valid_payments]
    if valid and not confirmed and not booking.driver.withdrawn:
        yield f"2: {valid} were valid payments and the booking is {booking.driver.reservation_status}"


def _booking_captures(booking: BookingSnapshot) -> Iterator[str]:
    paid = {intent["id"] for intent in booking.paid_intents}
    for pi in booking.booking_captures:
        if pi not in paid:
            yield f"1: {pi} pays for the booking and was never paid"
        if f"REF-{pi}" in booking.ledger:
            yield f"2: {pi} pays for the booking and was refunded as unapplied"
        if booking.refunded(pi) and not booking.driver.requested_refunds:
            yield f"2: {pi} was refunded without a request"


def _ledger(booking: BookingSnapshot) -> Iterator[str]:
    for pi, capture in booking.captures.items():
        entries = [entry for entry in booking.ledger.values() if entry["payment_intent"] == pi]
        reserved = sum(
            entry["amount"]
            for entry in entries
            if not (entry["kind"] == "dashboard" and entry["status"] in {"failed", "canceled"})
        )
        if capture["refundable"] != capture["amount"] - reserved:
            yield f"5: {capture['refundable']} of {pi} is refundable, {reserved} of {capture['amount']} reserved"
        refunded = sum(entry["amount"] for entry in entries if entry["status"] in REFUNDED | {"settled_elsewhere"})
        if refunded > capture["amount"]:
            yield f"5: {refunded} of {capture['amount']} refunded"


def _refunds(booking: BookingSnapshot) -> Iterator[str]:
    at_stripe = {refund["id"]: refund for refund in booking.refunds}
    for refund in booking.refunds:
        refund_id = refund["metadata"].get("refund_id", refund["id"])
        # A dashboard refund that settles a failed refund of ours has no entry of its own.
        settled = [name for name, one in booking.ledger.items() if one.get("stripe_refund_id") == refund["id"]]
        refund_id = refund_id if refund_id in booking.ledger or not settled else settled[0]
        entry = booking.ledger.get(refund_id)
        if entry is None:
            yield f"5: {refund['id']} is not in the ledger"
            continue
        newest = entry.get("stripe_refund_id") == refund["id"]
        if newest and entry["status"] not in {refund["status"], "settled_elsewhere"}:
            yield f"10: {refund_id} is {entry['status']} here and {refund['status']} at Stripe"
    for refund_id, entry in booking.ledger.items():
        live = [one["id"] for one in booking.refunds if one["metadata"].get("refund_id") == refund_id and is_live(one)]
        if len(live) > 1 or (live and entry["status"] == "failed"):
            yield f"5: {refund_id} is {entry['status']} here, and live at Stripe are {live}"
        if live and entry["status"] == "settled_elsewhere" and not _told_of_second_return(booking, live[0]):
            yield f"5: {refund_id} is settled elsewhere, live at Stripe are {live}, and no operator was notified"
        if entry["status"] == "succeeded" and at_stripe.get(entry["stripe_refund_id"], {}).get("status") != "succeeded":
            yield f"10: {refund_id} is shown as done and is not"
        if entry["status"] in {"failed", "canceled"} and not booking.asks_operators_for(refund_id):
            yield f"10: {refund_id} has failed and no operator was notified"
        if entry["status"] in {"pending", "requires_action"}:
            yield f"9: {refund_id} is still {entry['status']}"


def _told_of_second_return(booking: BookingSnapshot, stripe_refund_id: str) -> bool:
    return any(text.startswith("RefundSettledTwice") and stripe_refund_id in text for text in booking.notifications)


def _attempts(booking: BookingSnapshot) -> Iterator[str]:
    counted = [attempt for attempt in booking.payment.get("attempts", {}).values() if attempt["counted"]]
    if len(counted) > MAX_ATTEMPTS + booking.driver.granted_attempts:
        yield f"6: {len(counted)} attempts"
    offered = {attempt["stripe_checkout_session_id"] for attempt in counted}
    payable = [one["id"] for one in booking.sessions if one["id"] in offered and one["status"] == "open"]
    if payable:
        yield f"3: {payable} can still be paid"


def _replaced(booking: BookingSnapshot) -> int:
    """How often the payment's execution was replaced."""
    return int(booking.payment.get("replacements", {}).get("payment", {}).get("number", 0))


def _executions(booking: BookingSnapshot) -> Iterator[str]:
    awaiting_operator = [
        refund_id for refund_id, entry in booking.ledger.items() if entry.get("awaiting") == "operator"
    ]
    may_run = {execution_name(refund_id, restart) for refund_id in awaiting_operator for restart in range(20)}
    for name, (status, _, stopped_at) in booking.executions.items():
        if stopped_at is None:
            if name not in may_run and not name.startswith("failed-"):
                yield f"9: {name} still runs"
        elif status != "SUCCEEDED" and not any(name in text for text in booking.notifications):
            yield f"9: {name} is {status} and no operator was notified"


def _replacements(booking: BookingSnapshot) -> Iterator[str]:
    if not (booking.payment or booking.sessions) and booking.reservation.get("status", "deleted") in ENDED_BY_PLATFORM:
        return  # it died before it had recorded anything of a booking that the platform has ended since
    fixed_at = datetime.fromtimestamp(booking.driver.faults_ended_at, UTC)
    within = REPLACED_WITHIN + timedelta(minutes=booking.driver.history.reconcile_minutes)
    started_at = {_number(name): run.started_at for name, run in booking.executions.items()}
    for name, (status, _, stopped_at) in booking.executions.items():
        if stopped_at is None or status == "SUCCEEDED":
            continue
        first, number = _number(name)
        # Where it had recorded nothing, the hold is what the reconciler finds.
        unrecorded = name == booking.driver.id and booking.payment.get("created_at", "") > stopped_at.isoformat()
        hold_ends = datetime.fromtimestamp(booking.driver.hold_ends, UTC) if unrecorded else stopped_at
        replaced_at = started_at.get((first, number + 1)) or _replaced_after_failure(booking, name, stopped_at)
        if (replaced_at or datetime.now(UTC)) > max(stopped_at, fixed_at, hold_ends) + within:
            yield f"16: {name} died at {stopped_at:%d %H:%M:%S} and was replaced: {replaced_at or 'never'}"
    dead = [run.stopped_at for run in booking.executions.values() if run.status != "SUCCEEDED"]
    deaths = sorted(stopped_at for stopped_at in dead if stopped_at is not None)
    for death, later in zip(deaths, deaths[DEATHS_AN_HOUR:], strict=False):
        if later - death < timedelta(hours=1):
            yield f"16: more than {DEATHS_AN_HOUR} executions died within an hour"
            break


def _replaced_after_failure(booking: BookingSnapshot, name: str, stopped_at: datetime) -> datetime | None:
    """Of the execution of a refund that failed after it had succeeded: its replacement is named after the refund.

    A refund of the dashboard names none: it has settled one of the ledger. If the refund is made again and fails again,
    or a refund of the dashboard that has settled it fails, the execution of that failure takes over.
    """
    named = [one["metadata"].get("refund_id") for one in booking.refunds if name == f"failed-{one['id']}"]
    own = booking.ledger.keys() & {_number(name)[0]}
    ids = {*booking.ledger} if named == [None] else {*named} | own
    replacements = {execution_name(refund_id, restart) for refund_id in ids if refund_id for restart in range(1, 20)}
    replacements |= {f"failed-{one['id']}" for one in booking.refunds if one["metadata"].get("refund_id") in ids}
    replacements |= {
        f"failed-{one.get('stripe_refund_id')}" for refund_id, one in booking.ledger.items() if refund_id in ids
    }
    found = (run.started_at for other, run in booking.executions.items() if other in replacements)
    return min((started_at for started_at in found if started_at >= stopped_at), default=None)


def _number(execution: str) -> tuple[str, int]:
    """The id that the name of an execution and of its replacements has in common, and which replacement it is."""
    id_, number = re.fullmatch(r"(.*?)(?:-r(\d+))?", execution).groups()  # type: ignore[union-attr]  # fits every text
    first = id_.removeprefix("PAY-") if number and re.fullmatch(r"PAY-RES-\w+", id_) else id_
    return first, int(number or 0)


def _events(booking: BookingSnapshot) -> Iterator[str]:
    for event in booking.unprocessed_events:
        yield f"8: {event['id']} ({event['type']}) was acknowledged and is not recorded as processed"


def _foreign_money(booking: BookingSnapshot) -> Iterator[str]:
    foreign = booking.driver.foreign_intents
    refunded = sum(refund["amount"] for refund in booking.foreign_refunds)
    if refunded != booking.driver.refunded_elsewhere:
        yield f"13: {refunded} cents of another system were refunded"
    adopted = [pi for pi in foreign if pi in booking.captures]
    entered = [refund_id for refund_id, entry in booking.ledger.items() if entry["payment_intent"] in foreign]
    started = [name for name in booking.executions if any(pi in name for pi in foreign)]
    if adopted or entered or started:
        yield f"13: money of another system: {adopted} adopted, {entered} in the ledger, {started} started"


def _price_held(booking: BookingSnapshot) -> Iterator[str]:
    """Only what left long before: Stripe may return money while the confirmation is on its way."""
    completed = booking.payment.get("completed_at")
    if completed is None:
        return
    before = datetime.fromisoformat(completed).timestamp() - UNDER_WAY
    taken = [(one, one["created"]) for one in booking.refunds if one["status"] in REFUNDED]
    # A dispute that began as an inquiry took the money later than it was created.
    lost = (one for one in booking.disputes if not one["status"].startswith("warning_") and one["status"] != "won")
    taken += [(one, one["balance_transactions"][0]["created"]) for one in lost]
    gone = [one["id"] for one, at in taken if one["payment_intent"] in booking.booking_captures and at < before]
    if gone:
        yield f"14: confirmed although {gone} had taken money from its charge"


def coverage(booking: BookingSnapshot) -> Iterator[str]:
    """What the history led to. Counted, since a simulation proves nothing about what it never covers."""
    yield f"reservation {booking.driver.reservation_status}"
    yield f"payment {booking.payment.get('status', 'none')}"
    yield f"{len(booking.paid_intents)} times paid"
    entries = booking.ledger.values()
    if any(entry["kind"] == "unapplied" and entry["status"] == "succeeded" for entry in entries):
        yield "unapplied payment refunded"
    if _replaced(booking):
        yield "a replacement execution"
    if any("RestartsExhausted" in text for text in booking.notifications):
        yield "restarts exhausted"
    for kind in {entry["kind"] for entry in entries}:
        yield f"refund: {kind}"
    if any(entry["status"] == "failed" for entry in entries):
        yield "a failed refund"
