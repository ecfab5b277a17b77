"""domain.decide_next_step and domain.assess_session as tables: one row a situation."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from shared.domain.models import Booking, Capture, Payment
from shared.domain.next_step import NextStep, decide_next_step
from shared.domain.session_outcomes import SessionOutcome, assess_session
from tests.harness.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    TOTAL,
    WINDOW,
    attempt,
    booking,
    capture,
    closed,
    intent,
    opening,
    paying,
    payment,
    reservation,
    session,
)

VERIFY, CLOSE = False, True
PAYABLE = {"1": SessionOutcome(attempt(), payable=True)}
UNSETTLED = {"1": SessionOutcome(attempt(), unsettled=True)}
NOTHING: dict[str, SessionOutcome] = {}


class Row(NamedTuple):
    name: str
    of: Booking
    expected: NextStep
    outcomes: Mapping[str, SessionOutcome] = NOTHING
    closing: bool = VERIFY
    asked: bool = True
    refunds_started: tuple[str, ...] = ()


def paid(status: str = "pending", pi: str = "pi_1", of: Mapping[str, Capture] | None = None, **changes: Any) -> Payment:
    """A payment whose session took money; the attempt is closed for Stripe, which is what `paid` means."""
    captures = {pi: capture()} if of is None else of
    fields: dict[str, Any] = {
        "status": status,
        "attempts": {"1": attempt(status="paid", closed_at=NOW - MINUTE, close_reason="paid", checkout_url=None)},
        "current_attempt": "1",
        "amount": TOTAL,
        "captures": captures,
    }
    return payment(**(fields | changes))


FIRST = capture(captured_at=NOW - 2 * MINUTE)
SECOND_ONE = capture(captured_at=NOW - MINUTE, session="cs_2", charge="ch_2")
OWN = capture(role="booking")
OLD_OPEN = attempt(deadline=NOW - SECOND)
CANCELLED: dict[str, Any] = {"cancel_requested_at": NOW - MINUTE, "cancel_requested_by": "guest-1"}

UNAPPLIED = [
    Row(
        "D-06: one cent is not the price",
        booking(paid(of={"pi_1": capture(amount=1)})),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "D-06: a cent too much is not the price",
        booking(paid(of={"pi_1": capture(amount=TOTAL + 1)})),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "D-06: dollars are not euros",
        booking(paid(of={"pi_1": capture(currency="USD")})),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "the platform has repriced the booking since",
        booking(paid(), reservation=reservation(total_amount=90_000)),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "D-09: of two captures the later one goes back first",
        booking(paid(of={"pi_1": FIRST, "pi_2": SECOND_ONE})),
        NextStep("refund_unapplied", "pi_2"),
    ),
    Row(
        "D-09: which is first is said by time, not by id",
        booking(paid(of={"pi_9": FIRST, "pi_2": SECOND_ONE})),
        NextStep("refund_unapplied", "pi_2"),
    ),
    Row(
        "P-02: a second capture after the confirmation",
        booking(paid("completed", of={"pi_1": OWN, "pi_2": SECOND_ONE}), reservation=reservation(status="confirmed")),
        NextStep("refund_unapplied", "pi_2"),
    ),
    Row(
        "a second capture after the booking was refunded",
        booking(paid("refunded", of={"pi_1": OWN, "pi_2": SECOND_ONE}), reservation=reservation(status="cancelled")),
        NextStep("refund_unapplied", "pi_2"),
    ),
    Row(
        "D-04: money after the hold was released",
        booking(paid("expired"), reservation=reservation(status="expired"), held=frozenset()),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "D-04: money after the release, though the nights and the reservation look as before",
        booking(paid("expired")),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "D-04: the platform cancelled the reservation",
        booking(paid(), reservation=reservation(status="cancelled")),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "the reservation was confirmed by somebody else",
        booking(paid(), reservation=reservation(status="confirmed")),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "P-01: one of the nights is gone",
        booking(paid(), held=frozenset({"2026-12-20"})),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "D-33: the guest cancelled before the confirmation",
        booking(paid(**CANCELLED)),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "unapplied comes before a Stripe that cannot be asked",
        booking(paid(of={"pi_1": capture(amount=1)})),
        NextStep("refund_unapplied", "pi_1"),
        asked=False,
    ),
    Row(
        "unapplied comes before another session that is still open",
        booking(paid(of={"pi_1": capture(amount=1)}, attempts={"1": attempt(status="paid"), "2": attempt()})),
        NextStep("refund_unapplied", "pi_1"),
    ),
    Row(
        "a capture with the role unapplied that this execution has not handed over (a replacement's first look)",
        booking(paid(of={"pi_1": capture(role="unapplied")})),
        NextStep("refund_unapplied", "pi_1"),
    ),
]

PAID = [
    Row("one good capture", booking(paid()), NextStep("confirm", "pi_1")),
    Row("one good capture, found while closing", booking(paid()), NextStep("confirm", "pi_1"), closing=CLOSE),
    Row(
        "a good capture beside one that was handed over",
        booking(paid(of={"pi_1": capture(amount=1), "pi_2": SECOND_ONE})),
        NextStep("confirm", "pi_2"),
        refunds_started=("pi_1",),
    ),
    Row(
        "P-05: a good capture in the last instant of the hold",
        booking(paid(hold_expires_at=NOW)),
        NextStep("confirm", "pi_1"),
    ),
    Row(
        "confirmed before, whatever the reservation became since",
        booking(
            paid("completed", of={"pi_1": OWN}, stripe_payment_intent_id="pi_1"),
            reservation=reservation(status="cancelled"),
        ),
        NextStep("confirm", "pi_1"),
    ),
    Row(
        "confirmed before, and Stripe cannot be asked",
        booking(paid("completed", of={"pi_1": OWN}, stripe_payment_intent_id="pi_1")),
        NextStep("confirm", "pi_1"),
        asked=False,
    ),
    Row(
        "confirmed before and refunded in part since",
        booking(paid("partially_refunded", of={"pi_1": OWN}, stripe_payment_intent_id="pi_1")),
        NextStep("confirm", "pi_1"),
    ),
    Row(
        "confirmed before, a second capture handed over",
        booking(
            paid("completed", of={"pi_1": OWN, "pi_2": SECOND_ONE}, stripe_payment_intent_id="pi_1"),
            reservation=reservation(status="confirmed"),
        ),
        NextStep("confirm", "pi_1"),
        refunds_started=("pi_2",),
    ),
]

UNKNOWN = [
    Row("Stripe cannot be asked", booking(paying()), NextStep("await_stripe"), asked=False),
    Row(
        "rule 3 outranks rule 4: not asked at the end of the hold",
        booking(paying(hold_expires_at=NOW - HOUR)),
        NextStep("await_stripe"),
        asked=False,
        closing=CLOSE,
    ),
    Row(
        "a cancel request does not outrank it either",
        booking(paying(**CANCELLED)),
        NextStep("await_stripe"),
        asked=False,
        closing=CLOSE,
    ),
    Row("a payment is under way", booking(paying()), NextStep("await_stripe"), outcomes=UNSETTLED),
    Row(
        "a payment is under way at the end of the hold",
        booking(paying(hold_expires_at=NOW - HOUR)),
        NextStep("await_stripe"),
        outcomes=UNSETTLED,
        closing=CLOSE,
    ),
    Row(
        "an older session's payment is under way beside a payable one",
        booking(paying(attempts={"1": attempt(), "2": attempt()}, current_attempt="2")),
        NextStep("await_stripe"),
        outcomes={"1": SessionOutcome(attempt(), unsettled=True), "2": SessionOutcome(attempt(), payable=True)},
    ),
]

TO_CLOSE = [
    Row(
        "D-09: a good capture while another session is open",
        booking(paid(attempts={"1": attempt(status="paid"), "2": attempt()}, current_attempt="2")),
        NextStep("expire_sessions"),
        outcomes={"2": SessionOutcome(attempt(), payable=True)},
    ),
    Row(
        "a good capture while an attempt is unresolved",
        booking(paid(attempts={"1": opening(status="unresolved"), "2": attempt(status="paid")}, current_attempt="2")),
        NextStep("expire_sessions"),
    ),
    Row(
        "a good capture while an attempt is opening",
        booking(paid(attempts={"1": attempt(status="paid"), "2": opening()}, current_attempt="2")),
        NextStep("expire_sessions"),
    ),
    Row("a cancel request", booking(paying(**CANCELLED)), NextStep("expire_sessions"), outcomes=PAYABLE),
    Row(
        "exactly at the session's deadline",
        booking(paying(attempts={"1": attempt(deadline=NOW)})),
        NextStep("expire_sessions"),
        outcomes=PAYABLE,
    ),
    Row(
        "exactly at the end of the hold",
        booking(paying(hold_expires_at=NOW)),
        NextStep("expire_sessions"),
        outcomes=PAYABLE,
    ),
    Row(
        "the platform cancelled the reservation while its session is open",
        booking(paying(), reservation=reservation(status="cancelled")),
        NextStep("expire_sessions"),
        outcomes=PAYABLE,
    ),
    Row(
        "a night was lost while the session is open",
        booking(paying(), held=frozenset({"2026-12-20"})),
        NextStep("expire_sessions"),
        outcomes=PAYABLE,
    ),
    Row(
        "the platform repriced the booking while its session is open",
        booking(paying(), reservation=reservation(total_amount=90_000)),
        NextStep("expire_sessions"),
        outcomes=PAYABLE,
    ),
    Row(
        "an earlier published session past its deadline, beside the current one",
        booking(paying(attempts={"1": OLD_OPEN, "2": attempt()}, current_attempt="2")),
        NextStep("expire_sessions"),
        outcomes={"1": SessionOutcome(OLD_OPEN, payable=True), "2": SessionOutcome(attempt(), payable=True)},
    ),
    Row(
        "an attempt never published, at the end of the hold",
        booking(payment(attempts={"1": opening()}, current_attempt="1", hold_expires_at=NOW)),
        NextStep("expire_sessions"),
    ),
    Row(
        "an unresolved attempt never published, and a cancel request",
        booking(payment(attempts={"1": opening(status="unresolved")}, current_attempt="1", **CANCELLED)),
        NextStep("expire_sessions"),
    ),
]

TO_RELEASE = [
    Row(
        "D-07: exactly at the end of the hold, no session",
        booking(payment(hold_expires_at=NOW)),
        NextStep("release_hold"),
    ),
    Row(
        "D-07: at the end of the hold, every session closed",
        booking(payment(attempts={"1": closed()}, current_attempt="1", hold_expires_at=NOW)),
        NextStep("release_hold"),
        closing=CLOSE,
    ),
    Row("cancel requested, nothing ever opened", booking(payment(**CANCELLED)), NextStep("release_hold")),
    Row(
        "cancel requested, every session closed",
        booking(payment(attempts={"1": closed()}, current_attempt="1", **CANCELLED)),
        NextStep("release_hold"),
        closing=CLOSE,
    ),
    Row(
        "cancel requested, the money that came with it handed over",
        booking(paid(**CANCELLED)),
        NextStep("release_hold"),
        refunds_started=("pi_1",),
        closing=CLOSE,
    ),
    Row(
        "the platform cancelled the reservation",
        booking(payment(), reservation=reservation(status="cancelled")),
        NextStep("release_hold"),
    ),
    Row(
        "the reservation was confirmed by somebody else: ReleaseHold tells a person",
        booking(payment(), reservation=reservation(status="confirmed")),
        NextStep("release_hold"),
    ),
    Row("the nights are lost", booking(payment(), held=frozenset()), NextStep("release_hold")),
    Row(
        "released before, late money handed over (a replacement's look)",
        booking(paid("expired", hold_expires_at=NOW - HOUR), reservation=reservation(status="expired")),
        NextStep("release_hold"),
        refunds_started=("pi_1",),
    ),
]

STILL_OPEN = [
    Row("the current session is payable", booking(paying()), NextStep("await_payment"), outcomes=PAYABLE),
    Row(
        "a second before the session's deadline",
        booking(paying(attempts={"1": attempt(deadline=NOW + SECOND)})),
        NextStep("await_payment"),
        outcomes=PAYABLE,
    ),
    Row(
        "a second before the end of the hold",
        booking(paying(hold_expires_at=NOW + SECOND)),
        NextStep("await_payment"),
        outcomes=PAYABLE,
    ),
    Row(
        "an attempt never published does not close the open session by its age",
        booking(
            paying(
                attempts={"1": opening(status="unresolved", deadline=NOW - HOUR), "2": attempt()}, current_attempt="2"
            )
        ),
        NextStep("await_payment"),
        outcomes={"2": SessionOutcome(attempt(), payable=True)},
    ),
    Row(
        "nor by its price",
        booking(
            paying(attempts={"1": opening(status="unresolved", amount=90_000), "2": attempt()}, current_attempt="2")
        ),
        NextStep("await_payment"),
        outcomes={"2": SessionOutcome(attempt(), payable=True)},
    ),
    Row(
        "unapplied money of an earlier session was handed over, the current one is payable",
        booking(
            paying(
                attempts={"1": attempt(status="paid"), "2": attempt()},
                current_attempt="2",
                captures={"pi_1": capture(amount=1)},
            )
        ),
        NextStep("await_payment"),
        outcomes={"2": SessionOutcome(attempt(), payable=True)},
        refunds_started=("pi_1",),
    ),
]

TO_CREATE = [
    Row("nothing opened yet", booking(payment()), NextStep("create_session")),
    Row("nothing opened yet, found while closing", booking(payment()), NextStep("create_session"), closing=CLOSE),
    Row(
        "the current attempt got no answer (a replacement's look)",
        booking(payment(attempts={"1": opening()}, current_attempt="1")),
        NextStep("create_session"),
    ),
    Row(
        "the current attempt got no answer long ago",
        booking(payment(attempts={"1": opening(deadline=NOW - HOUR)}, current_attempt="1")),
        NextStep("create_session"),
    ),
    Row(
        "exactly one window of hold is left", booking(payment(hold_expires_at=NOW + WINDOW)), NextStep("create_session")
    ),
    Row("the smallest total", booking(payment(), reservation=reservation(total_amount=50)), NextStep("create_session")),
]

TO_RETRY = [
    Row(
        "the session has expired unpaid",
        booking(payment(attempts={"1": closed()}, current_attempt="1")),
        NextStep("await_retry"),
    ),
    Row(
        "D-12: three sessions have expired: still a wait, the API refuses",
        booking(payment(attempts={"1": closed(), "2": closed(), "3": closed()}, current_attempt="3")),
        NextStep("await_retry"),
        closing=CLOSE,
    ),
    Row(
        "nothing opened yet, a second less than a window of hold left",
        booking(payment(hold_expires_at=NOW + WINDOW - SECOND)),
        NextStep("await_retry"),
    ),
    Row(
        "D-41: a total below Stripe's minimum",
        booking(payment(), reservation=reservation(total_amount=49)),
        NextStep("await_retry"),
    ),
    Row(
        "a total above Stripe's maximum",
        booking(payment(), reservation=reservation(total_amount=100_000_000)),
        NextStep("await_retry"),
    ),
    Row(
        "the one session took unapplied money, which was handed over",
        booking(paid(of={"pi_1": capture(amount=1)})),
        NextStep("await_retry"),
        refunds_started=("pi_1",),
    ),
    Row(
        "repriced, and every session closed",
        booking(payment(attempts={"1": closed()}, current_attempt="1"), reservation=reservation(total_amount=90_000)),
        NextStep("await_retry"),
        closing=CLOSE,
    ),
]

TABLE = UNAPPLIED + PAID + UNKNOWN + TO_CLOSE + TO_RELEASE + STILL_OPEN + TO_CREATE + TO_RETRY


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
def test_next_step(row: Row) -> None:
    """D-04 D-06 D-07 D-09 D-12 D-33/34 D-41 P-01 P-02 P-05."""
    decided = decide_next_step(
        row.of,
        row.outcomes,
        refunds_started=row.refunds_started,
        asked=row.asked,
        closing=row.closing,
        window=WINDOW,
        now=NOW,
    )
    assert decided == row.expected


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
def test_closing_never_hands_out_nor_closes_again(row: Row) -> None:
    """ExpireCheckoutSessions has closed what was open: `open` and `close` would be a loop."""
    decided = decide_next_step(
        row.of,
        row.outcomes,
        refunds_started=row.refunds_started,
        asked=row.asked,
        closing=CLOSE,
        window=WINDOW,
        now=NOW,
    )
    assert decided.name not in {"await_payment", "expire_sessions"}


def test_no_next_step_without_a_payment_item() -> None:
    with pytest.raises(LookupError, match="no payment item for reservation RES-1"):
        decide_next_step(booking(None), {}, refunds_started=(), asked=True, closing=False, window=WINDOW, now=NOW)


# What a session teaches.

ENDED = {"closed_at": NOW, "checkout_url": None}
CAPTURED = {
    "pi_1": Capture(
        amount=TOTAL, currency="EUR", session="cs_1", charge="ch_1", captured_at=NOW - MINUTE, refundable=TOTAL
    )
}
BEFORE = attempt()


def ended(status: str, reason: str, **changes: Any) -> SessionOutcome:
    return SessionOutcome(BEFORE.model_copy(update=ENDED | {"status": status, "close_reason": reason} | changes))


def took(reason: str = "paid") -> SessionOutcome:
    return SessionOutcome(ended("paid", reason).attempt, captures=CAPTURED)


LEARNT = [
    ("open, nobody has tried", session("open"), SessionOutcome(BEFORE, payable=True)),
    (
        "open, a card was declined: the guest may go on trying",
        session("open", of=intent("requires_payment_method", decline_code="generic_decline")),
        SessionOutcome(BEFORE, payable=True),
    ),
    (
        "open, a 3-D Secure challenge is under way",
        session("open", of=intent("requires_action")),
        SessionOutcome(BEFORE, payable=True),
    ),
    (
        "open, the bank takes its time",
        session("open", of=intent("processing")),
        SessionOutcome(BEFORE, payable=True, unsettled=True),
    ),
    ("complete and paid", session("complete", "paid", intent("succeeded")), took()),
    ("D-04: expired, yet its PaymentIntent has succeeded", session("expired", of=intent("succeeded")), took()),
    ("open by the session's word, yet the money is here", session("open", of=intent("succeeded")), took()),
    ("D-11: expired, nobody had tried", session("expired"), ended("closed", "expired")),
    (
        "D-11: expired after a decline, which is remembered",
        session(
            "expired",
            of=intent(
                "requires_payment_method",
                decline_code="insufficient_funds",
                decline_message="Your card has insufficient funds.",
            ),
        ),
        ended(
            "closed",
            "expired",
            failure_code="insufficient_funds",
            failure_message="Your card has insufficient funds.",
        ),
    ),
    ("expired, its PaymentIntent cancelled", session("expired", of=intent("canceled")), ended("closed", "expired")),
    (
        "expired, the bank still takes its time",
        session("expired", of=intent("processing")),
        SessionOutcome(BEFORE.model_copy(update={"closed_at": NOW}), unsettled=True),
    ),
    (
        "D-11: complete but unpaid, the bank takes its time",
        session("complete", "unpaid", intent("processing")),
        SessionOutcome(BEFORE.model_copy(update={"closed_at": NOW}), unsettled=True),
    ),
    (
        "D-11: complete but unpaid, and the bank said no",
        session("complete", "unpaid", intent("requires_payment_method")),
        ended("closed", "payment_failed"),
    ),
    (
        "expired just now, a 3-D Secure challenge in flight",
        session("expired", of=intent("requires_action")),
        SessionOutcome(BEFORE.model_copy(update={"closed_at": NOW}), unsettled=True),
    ),
    (
        "authorised but not captured: money that may still come",
        session("expired", of=intent("requires_capture")),
        SessionOutcome(BEFORE.model_copy(update={"closed_at": NOW}), unsettled=True),
    ),
]


@pytest.mark.parametrize(("session", "expected"), [pytest.param(*row[1:], id=row[0]) for row in LEARNT])
def test_assess_session(session: Any, expected: SessionOutcome) -> None:
    """D-04 D-11 P-04."""
    assert assess_session(BEFORE, session, NOW) == expected


@pytest.mark.parametrize(
    ("since_expiry", "unsettled"),
    [
        (timedelta(minutes=14, seconds=59), True),
        (timedelta(minutes=15), False),
        (timedelta(hours=2), False),
    ],
)
def test_a_challenge_outlives_its_session_for_15_minutes(since_expiry: timedelta, *, unsettled: bool) -> None:
    before = attempt(closed_at=NOW - since_expiry)
    found = assess_session(before, session("expired", of=intent("requires_action")), NOW)
    assert found.unsettled is unsettled
    assert found.attempt.closed_at == NOW - since_expiry
    assert found.attempt.status == ("open" if unsettled else "closed")


def test_a_processing_payment_is_awaited_however_long_it_takes() -> None:
    before = attempt(closed_at=NOW - 5 * HOUR)
    assert assess_session(before, session("expired", of=intent("processing")), NOW).unsettled


def test_the_first_end_is_kept() -> None:
    before = attempt(closed_at=NOW - HOUR)
    assert assess_session(before, session("expired"), NOW).attempt.closed_at == NOW - HOUR


def test_the_amount_is_what_was_received() -> None:
    """D-06: neither the session's total nor ours."""
    found = assess_session(
        BEFORE, session("complete", "paid", intent("succeeded", amount_received=7, currency="usd")), NOW
    )
    assert (found.captures["pi_1"].amount, found.captures["pi_1"].refundable) == (7, 7)
    assert found.captures["pi_1"].currency == "USD"


def test_a_capture_without_a_charge_counts_from_now() -> None:
    read = session("complete", "paid", intent("succeeded", charge=None, captured_at=None))
    assert assess_session(BEFORE, read, NOW).captures["pi_1"].captured_at == NOW


def test_the_id_of_a_session_never_answered_is_learnt() -> None:
    found = assess_session(opening(), session("expired"), NOW)
    assert found.attempt.stripe_checkout_session_id == "cs_1"
    assert found.attempt.status == "closed"
    assert found.attempt.counted == 0


def test_learning_again_teaches_nothing_new() -> None:
    once = assess_session(BEFORE, session("complete", "paid", intent("succeeded")), NOW)
    again = assess_session(once.attempt, session("complete", "paid", intent("succeeded")), NOW + HOUR)
    assert again == once
