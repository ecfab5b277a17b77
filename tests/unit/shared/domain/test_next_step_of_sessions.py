"""shared.domain.next_step as a table: bookings without new money, by their sessions and their hold."""

import pytest

from shared.domain.next_step import NextStep, NextStepName
from shared.domain.session_outcomes import SessionOutcome
from tests.harness.builders import (
    HOUR,
    NOW,
    SECOND,
    WINDOW,
    attempt,
    booking,
    capture,
    closed,
    opening,
    paying,
    payment,
    reservation,
)
from tests.unit.shared.domain.next_step_rows import CANCELLED, PAYABLE, SECOND_PAYABLE, Row, cases, paid

OVERDUE = attempt(deadline=NOW - SECOND)
REPRICED = reservation(total_amount=90_000)
ONE_CLOSED = {"attempts": {"1": closed()}, "current_attempt": "1"}

TABLE: dict[NextStepName, list[Row]] = {
    "expire_sessions": [
        Row(
            "a valid capture while another session is open",
            booking(paid(attempts={"1": attempt(status="paid"), "2": attempt()}, current_attempt="2")),
            outcomes=SECOND_PAYABLE,
            defects=("D-09",),
        ),
        Row(
            "a valid capture while an attempt is unresolved",
            booking(
                paid(attempts={"1": opening(status="unresolved"), "2": attempt(status="paid")}, current_attempt="2")
            ),
        ),
        Row(
            "a valid capture while an attempt is opening",
            booking(paid(attempts={"1": attempt(status="paid"), "2": opening()}, current_attempt="2")),
        ),
        Row("a cancel request", booking(paying(**CANCELLED)), outcomes=PAYABLE),
        Row(
            "exactly at the session's deadline",
            booking(paying(attempts={"1": attempt(deadline=NOW)})),
            outcomes=PAYABLE,
        ),
        Row("exactly at the end of the hold", booking(paying(hold_expires_at=NOW)), outcomes=PAYABLE),
        Row(
            "the platform cancelled the reservation while its session is open",
            booking(paying(), reservation=reservation(status="cancelled")),
            outcomes=PAYABLE,
        ),
        Row(
            "a night was lost while the session is open",
            booking(paying(), held=frozenset({"2026-12-20"})),
            outcomes=PAYABLE,
        ),
        Row(
            "the platform repriced the booking while its session is open",
            booking(paying(), reservation=REPRICED),
            outcomes=PAYABLE,
        ),
        Row(
            "an earlier published session is past its deadline",
            booking(paying(attempts={"1": OVERDUE, "2": attempt()}, current_attempt="2")),
            outcomes={"1": SessionOutcome(OVERDUE, payable=True), "2": SessionOutcome(attempt(), payable=True)},
        ),
        Row(
            "an unpublished attempt at the end of the hold",
            booking(payment(attempts={"1": opening()}, current_attempt="1", hold_expires_at=NOW)),
        ),
        Row(
            "an unpublished and unresolved attempt, and a cancel request",
            booking(payment(attempts={"1": opening(status="unresolved")}, current_attempt="1", **CANCELLED)),
        ),
    ],
    "release_hold": [
        Row(
            "exactly at the end of the hold, without a session",
            booking(payment(hold_expires_at=NOW)),
            defects=("D-07",),
        ),
        Row(
            "at the end of the hold, with every session closed",
            booking(payment(**ONE_CLOSED, hold_expires_at=NOW)),
            closing=True,
            defects=("D-07",),
        ),
        Row("cancel requested before any session opened", booking(payment(**CANCELLED))),
        Row("cancel requested, every session closed", booking(payment(**ONE_CLOSED, **CANCELLED)), closing=True),
        Row(
            "cancel requested, and the refund of the money that came meanwhile is started",
            booking(paid(**CANCELLED)),
            refunds_started=("pi_1",),
            closing=True,
        ),
        Row("the platform cancelled", booking(payment(), reservation=reservation(status="cancelled"))),
        Row(
            "the reservation is confirmed, but not by this payment: ReleaseHold notifies the operators",
            booking(payment(), reservation=reservation(status="confirmed")),
        ),
        Row("the nights are lost", booking(payment(), held=frozenset())),
        Row(
            "released before, and a replacement execution has started the refund of late money",
            booking(paid("expired", hold_expires_at=NOW - HOUR), reservation=reservation(status="expired")),
            refunds_started=("pi_1",),
        ),
    ],
    "await_payment": [
        Row("the current session is payable", booking(paying()), outcomes=PAYABLE),
        Row(
            "a second before the session's deadline",
            booking(paying(attempts={"1": attempt(deadline=NOW + SECOND)})),
            outcomes=PAYABLE,
        ),
        Row("a second before the end of the hold", booking(paying(hold_expires_at=NOW + SECOND)), outcomes=PAYABLE),
        Row(
            "an unpublished attempt does not expire the open session by its age",
            booking(
                paying(
                    attempts={"1": opening(status="unresolved", deadline=NOW - HOUR), "2": attempt()},
                    current_attempt="2",
                )
            ),
            outcomes=SECOND_PAYABLE,
        ),
        Row(
            "an unpublished attempt does not expire the open session by its price",
            booking(
                paying(attempts={"1": opening(status="unresolved", amount=90_000), "2": attempt()}, current_attempt="2")
            ),
            outcomes=SECOND_PAYABLE,
        ),
        Row(
            "the refund of an earlier session's unapplied payment is started",
            booking(
                paying(
                    attempts={"1": attempt(status="paid"), "2": attempt()},
                    current_attempt="2",
                    captures={"pi_1": capture(amount=1)},
                )
            ),
            outcomes=SECOND_PAYABLE,
            refunds_started=("pi_1",),
        ),
    ],
    "create_session": [
        Row("no attempt yet", booking(payment())),
        Row("no attempt yet, found while closing", booking(payment()), closing=True),
        Row(
            "the current attempt got no answer, and a replacement execution continues",
            booking(payment(attempts={"1": opening()}, current_attempt="1")),
        ),
        Row(
            "the current attempt got no answer long ago",
            booking(payment(attempts={"1": opening(deadline=NOW - HOUR)}, current_attempt="1")),
        ),
        Row("exactly one checkout window of the hold is left", booking(payment(hold_expires_at=NOW + WINDOW))),
        Row("the smallest total", booking(payment(), reservation=reservation(total_amount=50))),
    ],
    "await_retry": [
        Row("the session has expired unpaid", booking(payment(**ONE_CLOSED))),
        Row(
            "three sessions have expired: the workflow still waits, and the API refuses a retry",
            booking(payment(attempts={"1": closed(), "2": closed(), "3": closed()}, current_attempt="3")),
            closing=True,
            defects=("D-12",),
        ),
        Row(
            "no attempt yet, and a second less than a checkout window of the hold is left",
            booking(payment(hold_expires_at=NOW + WINDOW - SECOND)),
        ),
        Row(
            "a total below Stripe's minimum",
            booking(payment(), reservation=reservation(total_amount=49)),
            defects=("D-41",),
        ),
        Row("a total above Stripe's maximum", booking(payment(), reservation=reservation(total_amount=100_000_000))),
        Row(
            "the refund of the only session's unapplied payment is started",
            booking(paid(of={"pi_1": capture(amount=1)})),
            refunds_started=("pi_1",),
        ),
        Row("repriced, every session closed", booking(payment(**ONE_CLOSED), reservation=REPRICED), closing=True),
    ],
}


@pytest.mark.parametrize(("expected", "row"), cases(TABLE))
def test_next_step_without_new_money(expected: NextStep, row: Row) -> None:
    assert row.decide(closing=row.closing) == expected


@pytest.mark.parametrize(("_", "row"), cases(TABLE))
def test_closing_leaves_no_session_to_expire_or_to_offer(_: NextStep, row: Row) -> None:
    """ExpireCheckoutSessions has expired them all, so a step about an open session would never end."""
    assert row.decide(closing=True).name not in {"await_payment", "expire_sessions"}
