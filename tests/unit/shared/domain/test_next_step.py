"""shared.domain.next_step as a table: money that was received, and a Stripe that does not answer."""

import pytest

from shared.domain.next_step import NextStep, NextStepName, decide_next_step
from shared.domain.session_outcomes import SessionOutcome
from tests.harness.builders import HOUR, MINUTE, NOW, TOTAL, WINDOW, attempt, booking, capture, paying, reservation
from tests.unit.shared.domain.next_step_rows import CANCELLED, Row, cases, paid

FIRST = capture(captured_at=NOW - 2 * MINUTE)
LATER = capture(captured_at=NOW - MINUTE, session="cs_2", charge="ch_2")
OWN = capture(role="booking")
TOO_LITTLE = capture(amount=1)
UNSETTLED = {"1": SessionOutcome(attempt(), unsettled=True)}

TABLE: dict[NextStepName, list[Row]] = {
    "refund_unapplied": [
        Row("one cent is not the price", booking(paid(of={"pi_1": TOO_LITTLE})), "pi_1", defects=("D-06",)),
        Row(
            "a cent too much is not the price",
            booking(paid(of={"pi_1": capture(amount=TOTAL + 1)})),
            "pi_1",
            defects=("D-06",),
        ),
        Row("dollars are not euros", booking(paid(of={"pi_1": capture(currency="USD")})), "pi_1", defects=("D-06",)),
        Row(
            "the platform has repriced the booking since",
            booking(paid(), reservation=reservation(total_amount=90_000)),
            "pi_1",
        ),
        Row(
            "of two captures the later one is refunded first",
            booking(paid(of={"pi_1": FIRST, "pi_2": LATER})),
            "pi_2",
            defects=("D-09",),
        ),
        Row(
            "time decides which capture is first, not the id",
            booking(paid(of={"pi_9": FIRST, "pi_2": LATER})),
            "pi_2",
            defects=("D-09",),
        ),
        Row(
            "a second capture after the confirmation",
            booking(paid("completed", of={"pi_1": OWN, "pi_2": LATER}), reservation=reservation(status="confirmed")),
            "pi_2",
            defects=("P-02",),
        ),
        Row(
            "a second capture after the booking was refunded",
            booking(paid("refunded", of={"pi_1": OWN, "pi_2": LATER}), reservation=reservation(status="cancelled")),
            "pi_2",
        ),
        Row(
            "money after the hold was released",
            booking(paid("expired"), reservation=reservation(status="expired"), held=frozenset()),
            "pi_1",
            defects=("D-04",),
        ),
        Row(
            "money after the release, though nights and reservation are unchanged",
            booking(paid("expired")),
            "pi_1",
            defects=("D-04",),
        ),
        Row(
            "the platform cancelled the reservation",
            booking(paid(), reservation=reservation(status="cancelled")),
            "pi_1",
            defects=("D-04",),
        ),
        Row(
            "the reservation is confirmed, but not by this payment",
            booking(paid(), reservation=reservation(status="confirmed")),
            "pi_1",
        ),
        Row("one of the nights is gone", booking(paid(), held=frozenset({"2026-12-20"})), "pi_1", defects=("P-01",)),
        Row(
            "the guest cancelled before the confirmation", booking(paid(**CANCELLED)), "pi_1", defects=("D-33", "D-34")
        ),
        Row(
            "an unapplied payment comes before a Stripe that does not answer",
            booking(paid(of={"pi_1": TOO_LITTLE})),
            "pi_1",
            asked=False,
        ),
        Row(
            "an unapplied payment comes before another session that is open",
            booking(paid(of={"pi_1": TOO_LITTLE}, attempts={"1": attempt(status="paid"), "2": attempt()})),
            "pi_1",
        ),
        Row(
            "an unapplied payment whose refund a replacement execution has not started",
            booking(paid(of={"pi_1": capture(role="unapplied")})),
            "pi_1",
        ),
    ],
    "confirm": [
        Row("one valid capture", booking(paid()), "pi_1"),
        Row("one valid capture, found while closing", booking(paid()), "pi_1", closing=True),
        Row(
            "a valid capture beside one whose refund is started",
            booking(paid(of={"pi_1": TOO_LITTLE, "pi_2": LATER})),
            "pi_2",
            refunds_started=("pi_1",),
        ),
        Row(
            "a valid capture in the last instant of the hold",
            booking(paid(hold_expires_at=NOW)),
            "pi_1",
            defects=("P-05",),
        ),
        Row(
            "confirmed before, whatever became of the reservation",
            booking(
                paid("completed", of={"pi_1": OWN}, stripe_payment_intent_id="pi_1"),
                reservation=reservation(status="cancelled"),
            ),
            "pi_1",
        ),
        Row(
            "confirmed before, and Stripe does not answer",
            booking(paid("completed", of={"pi_1": OWN}, stripe_payment_intent_id="pi_1")),
            "pi_1",
            asked=False,
        ),
        Row(
            "confirmed before, and partially refunded since",
            booking(paid("partially_refunded", of={"pi_1": OWN}, stripe_payment_intent_id="pi_1")),
            "pi_1",
        ),
        Row(
            "confirmed before, and the refund of a second capture is started",
            booking(
                paid("completed", of={"pi_1": OWN, "pi_2": LATER}, stripe_payment_intent_id="pi_1"),
                reservation=reservation(status="confirmed"),
            ),
            "pi_1",
            refunds_started=("pi_2",),
        ),
    ],
    "await_stripe": [
        Row("Stripe does not answer", booking(paying()), asked=False),
        Row(
            "Stripe does not answer at the end of the hold: the sessions may still be paid",
            booking(paying(hold_expires_at=NOW - HOUR)),
            asked=False,
            closing=True,
        ),
        Row("Stripe does not answer after a cancel request", booking(paying(**CANCELLED)), asked=False, closing=True),
        Row("a payment is processing", booking(paying()), outcomes=UNSETTLED),
        Row(
            "a payment is processing at the end of the hold",
            booking(paying(hold_expires_at=NOW - HOUR)),
            outcomes=UNSETTLED,
            closing=True,
        ),
        Row(
            "an earlier session's payment is processing while the current session is payable",
            booking(paying(attempts={"1": attempt(), "2": attempt()}, current_attempt="2")),
            outcomes={"1": SessionOutcome(attempt(), unsettled=True), "2": SessionOutcome(attempt(), payable=True)},
        ),
    ],
}


@pytest.mark.parametrize(("expected", "row"), cases(TABLE))
def test_next_step_after_money_or_without_an_answer(expected: NextStep, row: Row) -> None:
    assert row.decide(closing=row.closing) == expected


@pytest.mark.parametrize(("_", "row"), cases(TABLE))
def test_closing_never_leads_to_a_session_that_is_open(_: NextStep, row: Row) -> None:
    """ExpireCheckoutSessions has expired them all, so a step about an open session would never end."""
    assert row.decide(closing=True).name not in {"await_payment", "expire_sessions"}


def test_no_next_step_without_a_payment_item() -> None:
    with pytest.raises(LookupError, match="no payment item for reservation RES-1"):
        decide_next_step(booking(None), {}, refunds_started=(), asked=True, closing=False, window=WINDOW, now=NOW)
