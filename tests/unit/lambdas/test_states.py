"""The workflows' functions, run once, run twice, and run into what goes wrong between.

Stripe is the fake through the real SDK, DynamoDB is moto; AwaitPayment, which has no code, is `published`.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from pydantic import ValidationError

from lambdas import (
    confirm_reservation,
    create_checkout_session,
    create_refund,
    expire_checkout_sessions,
    record_refund,
    release_hold,
    reserve_refund,
    verify_payment,
)
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import bookings, dynamodb, payment_items, refund_ledger, stripe_api, webhook_events
from shared.domain.errors import (
    BookedElsewhere,
    BookingLost,
    HoldEnding,
    NotEnoughLeft,
    ReservationNotPayable,
    StoreBusy,
    StripeRefused,
    StripeUnavailable,
)
from shared.domain.models import Payment, iso, to_item
from shared.domain.session_outcomes import never_opened
from tests.harness.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    TOTAL,
    WINDOW,
    attempt,
    capture,
    closed,
    opening,
    paying,
    payment,
    refund,
)
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import CONTEXT
from tests.harness.stored_tables import Stored

STATE = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1", "execution": "RES-1"}


def create() -> dict[str, Any]:
    return dict(create_checkout_session.handler(dict(STATE), CONTEXT))


def verify(*refunds_started: str) -> dict[str, Any]:
    return dict(verify_payment.handler(STATE | {"refunds_started": list(refunds_started)}, CONTEXT))


def expire(*refunds_started: str) -> dict[str, Any]:
    given = STATE | {"refunds_started": list(refunds_started)}
    return dict(expire_checkout_sessions.handler(given, CONTEXT))


def confirm(pi: str = "pi_1") -> dict[str, Any]:
    return dict(confirm_reservation.handler(STATE | {"payment_intent": pi}, CONTEXT))


def release() -> dict[str, Any]:
    return dict(release_hold.handler(dict(STATE), CONTEXT))


@pytest.fixture
def account(stored: Stored, stripe_account: FakeStripe) -> FakeStripe:
    """A booking whose payment has just been recorded."""
    stored.reservation()
    stored.payment(payment())
    return stripe_account


def item(stored: Stored) -> dict[str, Any]:
    return stored.get("payments", "PAY-RES-1")


def attempts(stored: Stored) -> dict[str, Any]:
    return dict(item(stored)["attempts"])


def statuses(stored: Stored) -> dict[str, str]:
    return {key: of["status"] for key, of in attempts(stored).items()}


def asked(account: FakeStripe) -> list[str | None]:
    """The operations that Stripe was asked for, the SDK's own repeats included."""
    return [request.operation for request in account.requests]


def sessions(account: FakeStripe) -> list[str]:
    return [session["status"] for session in account.all("checkout.session")]


def published(stored: Stored, opened: dict[str, Any]) -> str:
    """As AwaitPayment writes it → the session's id."""
    before = item(stored)
    before["attempts"][opened["key"]] |= {
        "status": "open",
        "counted": 1,
        "stripe_checkout_session_id": opened["session_id"],
        "checkout_url": opened["checkout_url"],
        "checkout_expires_at": opened["checkout_expires_at"],
    }
    stored.put("payments", before | {"awaiting": "payment", "task_token": "token", "token_sequence": 1})
    return str(opened["session_id"])


# CreateCheckoutSession.


def test_create_opens_an_attempt_and_its_session(stored: Stored, account: FakeStripe) -> None:
    opened = create()
    [session] = account.all("checkout.session")
    assert opened == {
        "key": "1",
        "session_id": session["id"],
        "checkout_url": session["url"],
        "checkout_expires_at": "2026-11-24T15:35:00.000Z",
        "deadline": "2026-11-24T15:30:00.000Z",
    }
    after = item(stored)
    assert (after["current_attempt"], after["amount"], after["customer_id"]) == ("1", 112_500, "guest-1")
    known = after["attempts"]["1"]
    assert (known["status"], known["counted"], known["amount"]) == ("opening", 0, 112_500)
    assert (known["opened_at"], known["deadline"]) == ("2026-11-24T15:00:00.000Z", "2026-11-24T15:30:00.000Z")
    assert "checkout_url" not in known
    assert json.loads(known["parameters"])["expires_at"] == 1_795_534_500


def test_an_attempt_is_stored_before_stripe_hears_of_it(stored: Stored, account: FakeStripe) -> None:
    """D-22: no payable session that nobody knows."""
    account.faults.add("checkout.sessions.create", "timeout_before", 2)
    with pytest.raises(StripeUnavailable):
        create()
    assert statuses(stored) == {"1": "opening"}
    assert json.loads(attempts(stored)["1"]["parameters"])["metadata"]["attempt"] == "1"
    assert sessions(account) == []


def test_create_twice_sends_the_same_bytes_under_the_same_key(
    stored: Stored, account: FakeStripe, clock: Clock
) -> None:
    """D-02: 4 minutes later too, though a fresh `expires_at` would differ."""
    first = create()
    clock.advance(timedelta(seconds=240))
    assert create() == first
    one, two = account.requests
    assert one.params == two.params
    assert one.idempotency_key == two.idempotency_key == "PAY-RES-1:checkout:1"
    assert sessions(account) == ["open"]
    assert statuses(stored) == {"1": "opening"}


def test_create_finds_the_session_whose_answer_was_lost(stored: Stored, account: FakeStripe) -> None:
    account.faults.add("checkout.sessions.create", "timeout_after", 1)
    account.faults.add("checkout.sessions.create", "timeout_before", 1)
    with pytest.raises(StripeUnavailable):
        create()
    opened = create()
    [session] = account.all("checkout.session")
    assert opened["session_id"] == session["id"]


def test_create_after_it_was_published_tells_the_same_session(stored: Stored, account: FakeStripe) -> None:
    """A repeated invocation that comes late makes no second session."""
    opened = create()
    published(stored, opened)
    assert create() == opened
    assert asked(account) == ["checkout.sessions.create"]


def test_a_create_too_old_to_repeat_is_abandoned_for_the_next_key(
    stored: Stored, account: FakeStripe, clock: Clock
) -> None:
    account.faults.add("checkout.sessions.create", "timeout_before", 2)
    with pytest.raises(StripeUnavailable):
        create()
    clock.advance(timedelta(seconds=241))
    assert create()["key"] == "2"
    assert statuses(stored) == {"1": "unresolved", "2": "opening"}
    assert account.requests[-1].idempotency_key == "PAY-RES-1:checkout:2"
    assert item(stored)["current_attempt"] == "2"


def test_a_refused_key_is_closed_and_the_next_one_tried(stored: Stored, account: FakeStripe) -> None:
    """A 500 is stored under its key and replayed: that key will never say anything else."""
    account.faults.add("checkout.sessions.create", "server_error", 1)
    with pytest.raises(StripeUnavailable):
        create()
    assert create()["key"] == "2"
    assert statuses(stored) == {"1": "closed", "2": "opening"}
    assert attempts(stored)["1"]["close_reason"] == "refused"
    assert [request.idempotency_key for request in account.requests] == [
        "PAY-RES-1:checkout:1",
        "PAY-RES-1:checkout:1",
        "PAY-RES-1:checkout:2",
    ]


def test_two_refusals_in_a_row_are_a_defect_of_ours(
    stored: Stored, account: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise StripeRefused("checkout.sessions.create: InvalidRequestError")

    monkeypatch.setattr(stripe_api, "create_checkout_session", refuse)
    with pytest.raises(StripeRefused):
        create()
    assert statuses(stored) == {"1": "closed", "2": "closed"}


def test_a_repriced_booking_gets_the_next_key_with_the_new_price(stored: Stored, account: FakeStripe) -> None:
    """D-02 D-06."""
    account.faults.add("checkout.sessions.create", "timeout_before", 2)
    with pytest.raises(StripeUnavailable):
        create()
    stored.reservation(total_amount=90_000)
    assert create()["key"] == "2"
    assert statuses(stored) == {"1": "unresolved", "2": "opening"}
    [session] = account.all("checkout.session")
    assert session["amount_total"] == 90_000
    assert item(stored)["amount"] == 90_000


def test_the_next_attempt_after_one_that_expired(stored: Stored, account: FakeStripe) -> None:
    stored.payment(paying(attempts={"1": closed(), "2": closed()}, current_attempt="2"))
    assert create()["key"] == "3"
    assert statuses(stored) == {"1": "closed", "2": "closed", "3": "opening"}


@pytest.mark.parametrize("current", ["2", None])
def test_no_session_is_opened_beside_one_that_is_open(stored: Stored, account: FakeStripe, current: str | None) -> None:
    """D-09 P-02."""
    stored.payment(paying(attempts={"1": attempt(), "2": closed()}, current_attempt=current))
    with pytest.raises(ReservationNotPayable):
        create()
    assert asked(account) == []


def test_of_two_calls_at_once_one_opens_the_attempt(stored: Stored, account: FakeStripe) -> None:
    booking = bookings.read_booking("RES-1")
    before = payment()
    new = opening(opened_at=NOW)
    assert payment_items.open_attempt(before, "1", new, booking.reservation, leave_unresolved=False, now=NOW)
    assert not payment_items.open_attempt(before, "1", new, booking.reservation, leave_unresolved=False, now=NOW)


def test_a_call_that_lost_the_race_is_tried_again(
    stored: Stored, account: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_items, "open_attempt", lambda *_, **__: False)
    with pytest.raises(StoreBusy):
        create()
    assert asked(account) == []


NOT_PAYABLE: list[tuple[str, Callable[[Stored], None]]] = [
    ("cancelled", lambda stored: stored.reservation(status="cancelled")),
    ("confirmed", lambda stored: stored.reservation(status="confirmed")),
    ("expired", lambda stored: stored.reservation(status="expired")),
    ("below Stripe's minimum", lambda stored: stored.reservation(total_amount=49)),
    ("above Stripe's maximum", lambda stored: stored.reservation(total_amount=100_000_000)),
    ("free of charge", lambda stored: stored.reservation(total_amount=0)),
    ("a night is somebody else's", lambda stored: stored.night("2026-12-21", "RES-2")),
    ("a night is free again", lambda stored: stored.put("availability", {"date": "2026-12-20", "status": "available"})),
    ("a night is missing", lambda stored: stored.delete("availability", "2026-12-20")),
    ("cancel requested", lambda stored: stored.payment(payment(cancel_requested_at=NOW))),
    ("paid", lambda stored: stored.payment(payment(status="completed"))),
    ("released", lambda stored: stored.payment(payment(status="expired"))),
]


@pytest.mark.parametrize("change", [pytest.param(row[1], id=row[0]) for row in NOT_PAYABLE])
def test_what_cannot_be_paid_gets_no_session(
    stored: Stored, account: FakeStripe, change: Callable[[Stored], None]
) -> None:
    """D-04 D-33 D-41."""
    change(stored)
    before = item(stored)
    with pytest.raises(ReservationNotPayable):
        create()
    assert asked(account) == []
    assert item(stored) == before


@pytest.mark.parametrize("left", [WINDOW, WINDOW + SECOND])
def test_a_whole_window_of_hold_is_enough(stored: Stored, account: FakeStripe, left: timedelta) -> None:
    stored.payment(payment(hold_expires_at=NOW + left))
    assert create()["key"] == "1"


@pytest.mark.parametrize("left", [WINDOW - SECOND, -HOUR])
def test_less_than_a_window_of_hold_is_not(stored: Stored, account: FakeStripe, left: timedelta) -> None:
    """D-07."""
    stored.payment(payment(hold_expires_at=NOW + left))
    with pytest.raises(HoldEnding):
        create()
    assert asked(account) == []
    assert attempts(stored) == {}


def test_without_a_reservation_there_is_nothing_to_pay(stored: Stored, account: FakeStripe) -> None:
    stored.delete("reservations", "RES-1")
    with pytest.raises(LookupError):
        create()


@pytest.mark.parametrize("more", [{"amount": 1}, {"reservation_id": "../RES-1"}, {"execution": 7}])
def test_a_state_gives_what_its_function_takes_and_nothing_else(stored: Stored, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        create_checkout_session.handler(STATE | more, CONTEXT)


# VerifyPayment.


def test_verify_finds_the_session_open(stored: Stored, account: FakeStripe) -> None:
    opened = create()
    published(stored, opened)
    before = item(stored)
    assert verify() == {"next_step": "await_payment", "reason": "none", "attempt": opened}
    assert verify() == {"next_step": "await_payment", "reason": "none", "attempt": opened}
    assert item(stored) == before
    assert asked(account)[1:] == ["checkout.sessions.retrieve"] * 2


def test_verify_finds_the_money_and_records_it(stored: Stored, account: FakeStripe) -> None:
    """D-11: no event needed."""
    session = published(stored, create())
    account.pay(session)
    told = verify()
    after = item(stored)
    [(pi, captured)] = after["captures"].items()
    assert told == {"next_step": "confirm", "reason": "paid", "payment_intent": pi}
    assert captured == {
        "amount": 112_500,
        "currency": "EUR",
        "session": session,
        "charge": captured["charge"],
        "captured_at": "2026-11-24T15:00:00.000Z",
        "refundable": 112_500,
    }
    assert after["stripe_payment_intent_id"] == pi
    assert after["attempts"]["1"]["status"] == "paid"
    assert "checkout_url" not in after["attempts"]["1"]
    assert (after["status"], after["attempts"]["1"]["counted"]) == ("pending", 1)


def test_verify_twice_tells_and_changes_the_same(stored: Stored, account: FakeStripe, clock: Clock) -> None:
    account.pay(published(stored, create()))
    first = verify()
    after = item(stored)
    clock.advance(MINUTE)
    assert verify() == first
    assert item(stored) == after


@pytest.mark.parametrize("kind", ["timeout_before", "rate_limit", "reset", "conflict"])
def test_verify_without_stripe_knows_nothing(stored: Stored, account: FakeStripe, kind: Any) -> None:
    published(stored, create())
    before = item(stored)
    account.faults.add("checkout.sessions.retrieve", kind, 2)
    assert verify() == {"next_step": "await_stripe", "reason": "none"}
    assert item(stored) == before


def test_verify_asks_about_the_sessions_concerned_only(stored: Stored, account: FakeStripe) -> None:
    """One call in the usual case: what is closed stays closed until an event doubts it."""
    session = published(stored, create())
    more = {"1": attempts(stored)["1"], "2": {**attempts(stored)["1"], "status": "closed"}}
    stored.change("PAY-RES-1", attempts=more)
    account.requests.clear()
    verify()
    assert [request.path for request in account.requests] == [f"/v1/checkout/sessions/{session}"]


def test_verify_leaves_an_attempt_without_a_session_to_create(stored: Stored, account: FakeStripe) -> None:
    stored.payment(payment(attempts={"1": opening()}, current_attempt="1"))
    assert verify()["next_step"] == "create_session"
    assert asked(account) == []


def test_verify_finds_the_money_of_a_doubted_session(stored: Stored, account: FakeStripe) -> None:
    """D-09: an earlier session, captured during a later attempt."""
    first = published(stored, create())
    account.pay(first)
    older = {**attempts(stored)["1"], "status": "unresolved"}
    stored.change("PAY-RES-1", attempts={"1": older, "2": {**older, "status": "closed"}}, current_attempt="2")
    assert verify()["next_step"] == "confirm"
    assert statuses(stored)["1"] == "paid"


def test_verify_waits_for_a_payment_under_way(stored: Stored, account: FakeStripe) -> None:
    session = published(stored, create())
    pi = account.start_processing(session)
    assert verify()["next_step"] == "await_stripe"
    account.finish_processing(pi, succeeded=True)
    assert verify()["next_step"] == "confirm"


def test_verify_after_the_deadline_has_it_closed(stored: Stored, account: FakeStripe, clock: Clock) -> None:
    published(stored, create())
    clock.advance(timedelta(minutes=30))
    assert verify()["next_step"] == "expire_sessions"


def test_verify_tells_why_there_is_no_payment(stored: Stored, account: FakeStripe) -> None:
    session = published(stored, create())
    account.pay(session, "4000000000009995")
    account.expire_session(session)
    assert verify() == {"next_step": "await_retry", "reason": "insufficient_funds"}


def test_verify_goes_on_without_what_was_handed_over(stored: Stored, account: FakeStripe) -> None:
    session = published(stored, create())
    account.force_payment(session, amount=1)
    told = verify()
    assert told["next_step"] == "refund_unapplied"
    assert verify(told["payment_intent"])["next_step"] == "await_retry"


# ExpireCheckoutSessions.


def test_expire_closes_what_is_open(stored: Stored, account: FakeStripe) -> None:
    published(stored, create())
    assert expire() == {"next_step": "await_retry", "reason": "expired"}
    assert sessions(account) == ["expired"]
    known = attempts(stored)["1"]
    assert (known["status"], known["close_reason"], known["closed_at"]) == (
        "closed",
        "expired",
        "2026-11-24T15:00:00.000Z",
    )
    assert "checkout_url" not in known


def test_expire_twice_tells_the_same_and_asks_no_more(stored: Stored, account: FakeStripe) -> None:
    published(stored, create())
    first = expire()
    after, requests = item(stored), len(account.requests)
    assert expire() == first
    assert item(stored) == after
    assert len(account.requests) == requests


def test_expire_finds_a_session_paid_in_the_same_moment(stored: Stored, account: FakeStripe) -> None:
    """P-05: Stripe refuses with 400; the session is read, and the money counts."""
    account.pay(published(stored, create()))
    assert expire()["next_step"] == "confirm"
    assert asked(account)[1:] == ["checkout.sessions.expire", "checkout.sessions.retrieve"]
    assert len(item(stored)["captures"]) == 1


def test_expire_of_what_stripe_expired_itself(stored: Stored, account: FakeStripe, clock: Clock) -> None:
    """P-09."""
    published(stored, create())
    clock.advance(timedelta(minutes=36))
    assert expire()["next_step"] == "await_retry"
    assert sessions(account) == ["expired"]


def test_expire_waits_for_a_payment_still_under_way(stored: Stored, account: FakeStripe) -> None:
    """Expire refused because complete; the bank has not answered yet, then it says no."""
    session = published(stored, create())
    pi = account.start_processing(session, session_status="complete")
    assert expire()["next_step"] == "await_stripe"
    account.finish_processing(pi, succeeded=False)
    assert expire()["next_step"] == "await_retry"
    assert attempts(stored)["1"]["close_reason"] == "payment_failed"


def test_expire_learns_a_session_whose_id_never_came(stored: Stored, account: FakeStripe) -> None:
    """D-22: the stored create is sent again, and what it made is closed."""
    account.faults.add("checkout.sessions.create", "timeout_after", 1)
    account.faults.add("checkout.sessions.create", "timeout_before", 1)
    with pytest.raises(StripeUnavailable):
        create()
    assert sessions(account) == ["open"]
    assert expire()["next_step"] == "await_retry"
    assert sessions(account) == ["expired"]
    [session] = account.all("checkout.session")
    known = attempts(stored)["1"]
    assert (known["status"], known["stripe_checkout_session_id"]) == ("closed", session["id"])
    assert known["counted"] == 0


def test_expire_of_a_create_that_never_came_there(stored: Stored, account: FakeStripe, clock: Clock) -> None:
    """Stripe refuses its `expires_at`, which says that the session never existed."""
    account.faults.add("checkout.sessions.create", "timeout_before", 2)
    with pytest.raises(StripeUnavailable):
        create()
    clock.advance(timedelta(minutes=10))
    assert expire()["next_step"] == "await_retry"
    assert sessions(account) == []
    assert attempts(stored)["1"]["close_reason"] == "never_opened"


def test_expire_counts_a_replayed_500_as_closed(stored: Stored, account: FakeStripe) -> None:
    """Its URL was never published, so nobody can pay it."""
    account.faults.add("checkout.sessions.create", "server_error_after", 1)
    with pytest.raises(StripeUnavailable):
        create()
    assert expire()["next_step"] == "await_retry"
    assert attempts(stored)["1"]["close_reason"] == "never_opened"


@pytest.mark.parametrize(("age", "asks"), [(timedelta(hours=23), True), (timedelta(hours=23, seconds=1), False)])
def test_expire_repeats_no_create_after_23_hours(
    stored: Stored, account: FakeStripe, age: timedelta, *, asks: bool
) -> None:
    """Stripe may have forgotten the key: a repeat could make another session."""
    old = opening(status="unresolved", opened_at=NOW - age, parameters='{"mode": "payment"}')
    stored.payment(payment(attempts={"1": old}, current_attempt="1"))
    expire()
    assert bool(asked(account)) is asks
    assert attempts(stored)["1"]["close_reason"] == ("never_opened" if asks else "unpublished")


def test_expire_without_stripe_keeps_the_hold(stored: Stored, account: FakeStripe, clock: Clock) -> None:
    """Rule 3 outranks rule 4: also past the end of the hold."""
    published(stored, create())
    clock.advance(23 * HOUR)
    account.faults.add("checkout.sessions.expire", "timeout_before", 2)
    assert expire()["next_step"] == "await_stripe"
    assert statuses(stored) == {"1": "open"}
    assert expire()["next_step"] == "release_hold"


def test_expire_records_what_it_learnt_before_stripe_fell_silent(stored: Stored, account: FakeStripe) -> None:
    published(stored, create())
    another = opening(status="unresolved", opened_at=NOW)
    stored.change(
        "PAY-RES-1", attempts=attempts(stored) | {"2": json.loads(another.model_dump_json(exclude_none=True))}
    )
    account.faults.add("checkout.sessions.create", "timeout_before", 2)
    assert expire()["next_step"] == "await_stripe"
    assert statuses(stored) == {"1": "closed", "2": "unresolved"}


def test_expire_does_not_wait_for_every_session_of_a_stripe_that_is_silent(stored: Stored, account: FakeStripe) -> None:
    """Each would take 20 s; an hour of outage leaves more attempts behind than the function has time for."""
    unresolved = {str(key): opening(status="unresolved", opened_at=NOW) for key in range(1, 13)}
    stored.payment(payment(attempts=unresolved, current_attempt="12"))
    account.faults.add("checkout.sessions.create", "timeout_before", 100)
    assert expire()["next_step"] == "await_stripe"
    assert asked(account) == ["checkout.sessions.create"] * 2


def test_expire_at_the_end_of_the_hold_lets_it_go(stored: Stored, account: FakeStripe) -> None:
    stored.payment(payment(hold_expires_at=NOW + WINDOW))
    published(stored, create())
    stored.change("PAY-RES-1", hold_expires_at=iso(NOW))
    assert expire()["next_step"] == "release_hold"


# What is recorded.


def paid(**changes: Any) -> Payment:
    """A payment whose session has taken the money."""
    of: dict[str, Any] = {"attempts": {"1": closed(status="paid")}, "captures": {"pi_1": capture()}}
    return paying(**(of | changes))


def test_a_known_capture_stays_as_it_is(stored: Stored, account: FakeStripe) -> None:
    """D-38: its role and what refunds have reserved of it are not overwritten by another look."""
    session = published(stored, create())
    account.pay(session)
    verify()
    [(pi, captured)] = item(stored)["captures"].items()
    doubted = {**attempts(stored)["1"], "status": "unresolved"}
    kept = captured | {"role": "booking", "refundable": 5, "captured_at": "2026-11-24T14:00:00.000Z"}
    stored.change("PAY-RES-1", status="completed", captures={pi: kept}, attempts={"1": doubted})
    verify()
    assert item(stored)["captures"] == {pi: kept}


def test_a_capture_recorded_by_somebody_else_meanwhile_stays_too(stored: Stored) -> None:
    before = paying()
    stored.payment(before.model_copy(update={"captures": {"pi_1": capture(role="unapplied", refundable=0)}}))
    found = never_opened(before.attempts["1"], "paid", NOW)
    payment_items.record_session_outcomes(
        before, {"1": type(found)(found.attempt, captures={"pi_1": capture()})}, now=NOW
    )
    assert item(stored)["captures"]["pi_1"]["role"] == "unapplied"
    assert item(stored)["captures"]["pi_1"]["refundable"] == 0


def test_a_decline_recorded_meanwhile_is_kept(stored: Stored) -> None:
    """The webhook writes while a state is looking: each writes what it knows and nothing else."""
    before = paying()
    stored.payment(before)
    assert payment_items.record_decline("PAY-RES-1", "1", "ch_9", "lost_card", "Lost.")
    payment_items.record_session_outcomes(before, {"1": never_opened(before.attempts["1"], "expired", NOW)}, now=NOW)
    known = attempts(stored)["1"]
    assert known["declines"] == {"ch_9": "lost_card"}
    assert (known["status"], known["failure_code"]) == ("closed", "lost_card")


def test_nothing_found_is_nothing_written(stored: Stored) -> None:
    before = paying()
    stored.payment(before)
    payment_items.record_session_outcomes(before, {}, now=NOW)
    assert item(stored)["updated_at"] == iso(before.updated_at)


def test_findings_make_no_item(stored: Stored) -> None:
    """D-05."""
    before = paying()
    payment_items.record_session_outcomes(before, {"1": never_opened(before.attempts["1"], "expired", NOW)}, now=NOW)
    assert stored.all("payments") == []


# ConfirmReservation.


class Dynamo:
    """The client with one operation put out of order, once."""

    def __init__(self, real: Any, broken: Callable[[Callable[..., Any], Any], Any]) -> None:
        self._real = real
        self._broken: Callable[[Callable[..., Any], Any], Any] | None = broken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def transact_write_items(self, **given: Any) -> Any:
        broken, self._broken = self._broken, None
        return self._real.transact_write_items(**given) if broken is None else broken(self._real, given)


@pytest.fixture
def breaks(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any, Any], Any]], None]:
    """Make the next transaction go as given: `(client, its arguments)`."""

    def install(how: Callable[[Any, Any], Any]) -> None:
        client = Dynamo(dynamodb.client(), how)
        monkeypatch.setattr(dynamodb, "client", lambda: client)

    return install


def unanswered(client: Any, given: Any) -> Any:
    client.transact_write_items(**given)
    raise ReadTimeoutError(endpoint_url="https://dynamodb.eu-west-1.amazonaws.com")


def refused(code: str, *reasons: str) -> Callable[[Any, Any], Any]:
    def transact(_: Any, __: Any) -> Any:
        answer: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}
        raise ClientError(answer, "TransactWriteItems")

    return transact


BUSY = [
    ("conflict", refused("TransactionCanceledException", "TransactionConflict", "None")),
    (
        "conflict beside a condition",
        refused("TransactionCanceledException", "TransactionConflict", "ConditionalCheckFailed"),
    ),
    ("throttled inside", refused("TransactionCanceledException", "None", "ThrottlingError")),
    ("capacity inside", refused("TransactionCanceledException", "ProvisionedThroughputExceeded")),
    ("cancelled without reasons", refused("TransactionCanceledException")),
    ("throttled", refused("ThrottlingException")),
    ("capacity", refused("ProvisionedThroughputExceededException")),
    ("internal error", refused("InternalServerError")),
    ("in progress", refused("TransactionInProgressException")),
    ("conditions that hold when read", refused("TransactionCanceledException", "ConditionalCheckFailed")),
]


@pytest.fixture
def captured(stored: Stored, clock: Clock) -> Stored:
    """A booking whose money is here."""
    stored.reservation()
    stored.payment(paid(awaiting="payment", task_token="token", token_sequence=7))
    return stored


def test_confirm_gives_booking_and_capture_to_each_other(captured: Stored) -> None:
    """D-01 D-15."""
    assert confirm() == {"amount": 112_500, "currency": "EUR"}
    reservation = captured.get("reservations", "RES-1")
    assert (reservation["status"], reservation["payment_status"]) == ("confirmed", "completed")
    assert reservation["payment_id"] == "PAY-RES-1"
    after = item(captured)
    assert (after["status"], after["amount"], after["currency"]) == ("completed", 112_500, "EUR")
    assert (after["provider"], after["provider_transaction_id"], after["payment_method"]) == ("stripe", "pi_1", "card")
    assert (after["stripe_payment_intent_id"], after["stripe_charge_id"]) == ("pi_1", "ch_1")
    assert after["captures"]["pi_1"]["role"] == "booking"
    assert after["captures"]["pi_1"]["refundable"] == 112_500
    assert after["completed_at"] == "2026-11-24T15:00:00.000Z"
    assert after["token_sequence"] == 7
    assert not {"task_token", "awaiting"} & after.keys()
    assert captured.get("availability", "2026-12-20")["status"] == "booked"


def everything(stored: Stored) -> list[dict[str, Any]]:
    return [item(stored), stored.get("reservations", "RES-1"), *stored.all("availability")]


def test_confirm_twice_finds_it_done(captured: Stored, clock: Clock) -> None:
    first = confirm()
    after = everything(captured)
    clock.advance(HOUR)
    assert confirm() == first
    assert everything(captured) == after


@pytest.mark.parametrize("status", ["cancelled", "completed"])
@pytest.mark.parametrize("of", ["completed", "partially_refunded", "refunded"])
def test_confirm_done_before_is_done_whatever_became_of_it(captured: Stored, status: str, of: str) -> None:
    confirm()
    captured.change("PAY-RES-1", status=of)
    captured.reservation(status=status)
    assert confirm() == {"amount": 112_500, "currency": "EUR"}


def test_confirm_committed_but_unanswered_is_read(captured: Stored, breaks: Any) -> None:
    """P-03: the answer was lost, the booking is not."""
    breaks(unanswered)
    assert confirm() == {"amount": 112_500, "currency": "EUR"}
    assert captured.get("reservations", "RES-1")["status"] == "confirmed"


@pytest.mark.parametrize("how", [pytest.param(row[1], id=row[0]) for row in BUSY])
def test_confirm_in_conflict_or_throttled_is_tried_again(captured: Stored, breaks: Any, how: Any) -> None:
    """Never a next_step about money: the item is read, nothing forbids it, so the state repeats."""
    before = everything(captured)
    breaks(how)
    with pytest.raises(StoreBusy):
        confirm()
    assert everything(captured) == before
    assert confirm() == {"amount": 112_500, "currency": "EUR"}


LOST: list[tuple[str, Callable[[Stored], None]]] = [
    ("the platform cancelled it", lambda stored: stored.reservation(status="cancelled")),
    ("somebody else confirmed it", lambda stored: stored.reservation(status="confirmed")),
    ("it has expired", lambda stored: stored.reservation(status="expired")),
    ("repriced by a cent", lambda stored: stored.reservation(total_amount=TOTAL + 1)),
    ("a night is somebody else's", lambda stored: stored.night("2026-12-21", "RES-2")),
    ("a night is blocked", lambda stored: stored.night("2026-12-21", "RES-1", "blocked")),
    ("a night is missing", lambda stored: stored.delete("availability", "2026-12-20")),
    ("cancel requested", lambda stored: stored.change("PAY-RES-1", cancel_requested_at=iso(NOW))),
    ("released", lambda stored: stored.change("PAY-RES-1", status="expired")),
]


@pytest.mark.parametrize("change", [pytest.param(row[1], id=row[0]) for row in LOST])
def test_confirm_of_a_booking_that_is_lost(captured: Stored, change: Callable[[Stored], None]) -> None:
    """D-04 P-01: nothing is confirmed, and the money will be refunded."""
    change(captured)
    before = everything(captured)
    with pytest.raises(BookingLost):
        confirm()
    assert everything(captured) == before


@pytest.mark.parametrize("change", [pytest.param(row[1], id=row[0]) for row in LOST])
def test_confirm_of_a_booking_lost_between_reading_and_writing(
    captured: Stored, breaks: Any, change: Callable[[Stored], None]
) -> None:
    """D-34: the transaction's own conditions see it."""

    def overtaken(client: Any, given: Any) -> Any:
        change(captured)
        return client.transact_write_items(**given)

    breaks(overtaken)
    with pytest.raises(BookingLost):
        confirm()
    assert item(captured)["status"] != "completed"
    assert "role" not in item(captured)["captures"]["pi_1"]


@pytest.mark.parametrize(
    "of",
    [
        capture(amount=TOTAL - 1),
        capture(amount=1),
        capture(currency="USD"),
        capture(role="unapplied"),
    ],
    ids=["a cent less", "one cent", "dollars", "given back already"],
)
def test_confirm_with_money_that_does_not_fit(captured: Stored, of: Any) -> None:
    """D-06."""
    captured.payment(paid(captures={"pi_1": of}))
    with pytest.raises(BookingLost):
        confirm()
    assert captured.get("reservations", "RES-1")["status"] == "pending"


@pytest.mark.parametrize("pi", ["pi_2", ""])
def test_confirm_without_a_capture_is_a_defect(captured: Stored, pi: str) -> None:
    with pytest.raises(LookupError):
        confirm(pi)
    assert captured.get("reservations", "RES-1")["status"] == "pending"


def test_a_stay_of_90_nights_fits_in_one_transaction(captured: Stored) -> None:
    captured.reservation(check_out="2027-03-20")
    nights = bookings.read_booking("RES-1").reservation.nights
    for first in range(0, 90, 25):
        held = [{"date": night, "status": "booked", "reservation_id": "RES-1"} for night in nights[first : first + 25]]
        captured.put_all({"availability": held})
    assert confirm()["amount"] == 112_500
    captured.reservation(check_out="2027-03-20")
    captured.change("PAY-RES-1", status="pending")
    assert len(release()["nights"]) == 90


# ReleaseHold.


@pytest.fixture
def unpaid(stored: Stored, clock: Clock) -> Stored:
    """A booking whose hold is over and whose sessions are closed."""
    stored.reservation()
    stored.payment(
        paying(
            attempts={"1": closed()},
            awaiting="retry",
            task_token="token",
            token_sequence=7,
            hold_expires_at=NOW,
        )
    )
    return stored


def test_release_gives_the_dates_back(unpaid: Stored) -> None:
    """D-07."""
    assert release() == {"nights": ["2026-12-20", "2026-12-21"]}
    assert unpaid.get("reservations", "RES-1")["status"] == "expired"
    for night in ("2026-12-20", "2026-12-21"):
        assert unpaid.get("availability", night) == {"date": night, "status": "available"}
    after = item(unpaid)
    assert (after["status"], after["token_sequence"]) == ("expired", 7)
    assert not {"task_token", "awaiting"} & after.keys()


def test_release_twice_finds_it_done(unpaid: Stored, clock: Clock) -> None:
    first = release()
    unpaid.night("2026-12-20", "RES-2")  # sold again meanwhile
    after = everything(unpaid)
    clock.advance(HOUR)
    assert release() == first
    assert everything(unpaid) == after


def test_release_for_a_guest_who_cancelled(unpaid: Stored) -> None:
    unpaid.change("PAY-RES-1", cancel_requested_at=iso(NOW))
    release()
    assert unpaid.get("reservations", "RES-1")["status"] == "cancelled"
    assert item(unpaid)["status"] == "expired"


def test_release_leaves_alone_what_is_not_ours(unpaid: Stored) -> None:
    unpaid.night("2026-12-21", "RES-2")
    release()
    assert unpaid.get("availability", "2026-12-20")["status"] == "available"
    assert unpaid.get("availability", "2026-12-21") == {
        "date": "2026-12-21",
        "status": "booked",
        "reservation_id": "RES-2",
    }
    assert unpaid.get("reservations", "RES-1")["status"] == "expired"


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_release_of_what_the_platform_ended(unpaid: Stored, status: str) -> None:
    """Its status stays; nights that it left behind are freed (D-34)."""
    unpaid.reservation(status=status)
    release()
    assert unpaid.get("reservations", "RES-1")["status"] == status
    assert unpaid.get("availability", "2026-12-20")["status"] == "available"
    assert item(unpaid)["status"] == "expired"


@pytest.mark.parametrize("status", ["confirmed", "completed"])
def test_release_of_what_somebody_else_confirmed_is_for_a_person(unpaid: Stored, status: str) -> None:
    unpaid.reservation(status=status)
    before = everything(unpaid)
    with pytest.raises(BookedElsewhere):
        release()
    assert everything(unpaid) == before


@pytest.mark.parametrize("status", ["completed", "partially_refunded", "refunded"])
def test_release_never_takes_a_paid_booking(unpaid: Stored, status: str) -> None:
    unpaid.change("PAY-RES-1", status=status)
    before = everything(unpaid)
    with pytest.raises(BookedElsewhere):
        release()
    assert everything(unpaid) == before


@pytest.mark.parametrize("how", [pytest.param(row[1], id=row[0]) for row in BUSY[:-1]])
def test_release_in_conflict_or_throttled_is_tried_again(unpaid: Stored, breaks: Any, how: Any) -> None:
    """D-34: all or nothing, so that no date is stranded."""
    before = everything(unpaid)
    breaks(how)
    with pytest.raises(StoreBusy):
        release()
    assert everything(unpaid) == before
    assert release() == {"nights": ["2026-12-20", "2026-12-21"]}


def test_release_committed_but_unanswered_is_found_done(unpaid: Stored, breaks: Any) -> None:
    breaks(unanswered)
    with pytest.raises(StoreBusy):
        release()
    after = everything(unpaid)
    assert release() == {"nights": ["2026-12-20", "2026-12-21"]}
    assert everything(unpaid) == after


def test_release_overtaken_is_built_anew_from_what_is(unpaid: Stored, breaks: Any) -> None:
    def overtaken(client: Any, given: Any) -> Any:
        unpaid.night("2026-12-21", "RES-2")
        return client.transact_write_items(**given)

    breaks(overtaken)
    release()
    assert unpaid.get("availability", "2026-12-20")["status"] == "available"
    assert unpaid.get("availability", "2026-12-21")["reservation_id"] == "RES-2"
    assert item(unpaid)["status"] == "expired"


def test_release_overtaken_by_a_confirmation_is_for_a_person(unpaid: Stored, breaks: Any) -> None:
    def overtaken(client: Any, given: Any) -> Any:
        unpaid.reservation(status="confirmed")
        return client.transact_write_items(**given)

    breaks(overtaken)
    with pytest.raises(BookedElsewhere):
        release()
    assert unpaid.get("availability", "2026-12-20")["status"] == "booked"
    assert item(unpaid)["status"] == "pending"


def test_release_that_is_overtaken_again_and_again_is_tried_later(
    unpaid: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookings, "release_hold", lambda *_, **__: False)
    with pytest.raises(StoreBusy):
        release()


@pytest.mark.parametrize("state", [verify, expire, confirm, release])
def test_without_a_payment_item_no_state_acts(stored: Stored, clock: Clock, state: Callable[[], Any]) -> None:
    stored.reservation()
    with pytest.raises(LookupError):
        state()
    assert stored.all("payments") == []
    assert stored.get("reservations", "RES-1")["status"] == "pending"


# ReserveRefund, CreateRefund, RecordRefund.


def refunding(state: Any, execution: str = "G1", **more: Any) -> dict[str, Any]:
    return dict(state.handler(STATE | {"refund_id": "G1", "execution": execution} | more, CONTEXT))


def entry(stored: Stored) -> dict[str, Any]:
    return dict(item(stored)["refunds"]["G1"])


@pytest.fixture
def reserved(stored: Stored, account: FakeStripe) -> Stored:
    """A booking that is paid and confirmed, and EUR 5.00 of it about to go back."""
    account.pay(published(stored, create()))
    pi = verify()["payment_intent"]
    confirm(pi)
    order = {"kind": "goodwill", "payment_intent": pi, "amount": 500, "requested_by": "operator"}
    refunding(reserve_refund, **order)
    return stored


def test_a_refunds_entry_names_the_execution_that_deals_with_it(reserved: Stored) -> None:
    """It is the one that a reconciler has to ask for."""
    assert entry(reserved)["execution"] == "G1"
    made = refunding(create_refund, "G1-r1", attempt=1)
    assert entry(reserved)["execution"] == "G1-r1"
    refunding(record_refund, "G1-r2", outcome="succeeded", stripe_refund_id=made["stripe_refund_id"])
    assert entry(reserved)["execution"] == "G1-r2"


def test_an_execution_that_counts_from_the_start_again_lowers_no_count(reserved: Stored) -> None:
    """The operators' next retry would be a try that has failed before."""
    reserved.change("PAY-RES-1", refunds={"G1": entry(reserved) | {"try": 3}})
    refunding(create_refund, attempt=1)
    after = entry(reserved)
    assert (after["try"], after["status"]) == (3, "pending")
    assert after["stripe_refund_id"].startswith("re_")


def test_a_success_that_comes_after_its_failure_is_not_entered(reserved: Stored) -> None:
    """P-07 D-39: Stripe has taken it back since."""
    made = refunding(create_refund, attempt=1)
    ended = {"stripe_refund_id": made["stripe_refund_id"]}
    refunding(record_refund, outcome="succeeded", **ended)
    refunding(record_refund, "failed-re_1", outcome="failed", failure_reason="lost_or_stolen_card", **ended)
    before = item(reserved)
    told = refunding(record_refund, outcome="succeeded", **ended)
    assert told == {"amount": 500, "payment_status": "completed", "attempt": 1}
    assert item(reserved) == before


def test_a_refund_that_settles_hides_no_other_from_the_reconciler(stored: Stored) -> None:
    """D-32: one of an unapplied capture was entered since the ledger was read, and shows in no sum."""
    captures = {"pi_1": capture(role="booking"), "pi_2": capture()}
    before = payment(status="completed", captures=captures, refunds={"G1": refund()}, refund_pending_amount=500)
    stored.put("payments", to_item(before) | {"refunding": "yes"})
    stored.reservation()
    unapplied = refund(kind="unapplied", payment_intent="pi_2", amount=TOTAL)
    booking = bookings.read_booking("RES-1")
    assert bookings.reserve_refund(booking, "REF-pi_2", unapplied, capture=capture(), cancel_stay=False, now=NOW)
    settled = refund(status="succeeded", settled_at=NOW)
    assert not refund_ledger.update_refund(before, "G1", settled, now=NOW)
    now = payment_items.read_payment("PAY-RES-1")
    assert now is not None
    assert refund_ledger.update_refund(now, "G1", settled, now=NOW)
    assert item(stored)["refunding"] == "yes"


def test_unapplied_money_that_the_dashboard_has_taken_is_marked_though_nothing_is_left(stored: Stored) -> None:
    """D-31: its refund from there may fail yet, and then the money is to go back all the same."""
    stored.payment(payment(captures={"pi_1": capture(refundable=0)}))
    stored.reservation()
    with pytest.raises(NotEnoughLeft):
        refunding(reserve_refund, kind="unapplied", payment_intent="pi_1", requested_by="workflow")
    assert item(stored)["captures"]["pi_1"]["role"] == "unapplied"
    assert "refunds" not in item(stored) or item(stored)["refunds"] == {}


# How DynamoDB is read.


def test_keys_that_dynamodb_left_out_are_asked_for_again(captured: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    real, answers = dynamodb.client(), 0

    class Partial:
        def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803
            nonlocal answers
            answers += 1
            [table, *rest] = RequestItems
            answer = real.batch_get_item(RequestItems={table: RequestItems[table]})
            return {"Responses": answer["Responses"], "UnprocessedKeys": {name: RequestItems[name] for name in rest}}

    monkeypatch.setattr(dynamodb, "client", Partial)
    reservation, payment_item = bookings.read_booking_items("RES-1")
    assert reservation is not None
    assert payment_item is not None
    assert answers == 2


def test_keys_that_are_left_out_for_good_are_not_missing_items(
    captured: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A booking that cannot be read is busy, not gone."""

    class Throttled:
        def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803
            return {"Responses": {}, "UnprocessedKeys": RequestItems}

    monkeypatch.setattr(dynamodb, "client", Throttled)
    with pytest.raises(StoreBusy):
        bookings.read_booking_items("RES-1")


def test_every_read_is_consistent(captured: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-26."""
    asked_for: list[Any] = []
    real = dynamodb.client()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            def call(**given: Any) -> Any:
                asked_for.append(given)
                return getattr(real, name)(**given)

            return call

    monkeypatch.setattr(dynamodb, "client", Watched)
    bookings.read_booking("RES-1")
    payment_items.read_payment("PAY-RES-1")
    webhook_events.event_processed("evt_1")
    tables = [of for given in asked_for for of in given.get("RequestItems", {"": given}).values()]
    assert len(tables) == 5
    assert all(of["ConsistentRead"] is True for of in tables)
