"""What the tables of next steps are made of: a row is one situation."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from shared.domain.models import Booking, Capture, Payment
from shared.domain.next_step import NextStep, NextStepName, decide_next_step
from shared.domain.session_outcomes import SessionOutcome
from tests.harness.builders import MINUTE, NOW, TOTAL, WINDOW, attempt, capture, payment

CANCELLED: dict[str, Any] = {"cancel_requested_at": NOW - MINUTE, "cancel_requested_by": "guest-1"}
NO_OUTCOMES: dict[str, SessionOutcome] = {}
PAYABLE = {"1": SessionOutcome(attempt(), payable=True)}
SECOND_PAYABLE = {"2": SessionOutcome(attempt(), payable=True)}


class Row(NamedTuple):
    name: str
    of: Booking
    pi: str | None = None
    outcomes: Mapping[str, SessionOutcome] = NO_OUTCOMES
    closing: bool = False
    asked: bool = True
    refunds_started: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()

    def decide(self, *, closing: bool) -> NextStep:
        return decide_next_step(
            self.of,
            self.outcomes,
            refunds_started=self.refunds_started,
            asked=self.asked,
            closing=closing,
            window=WINDOW,
            now=NOW,
        )


def cases(table: Mapping[NextStepName, list[Row]]) -> list[Any]:
    """Each row with the step that follows from it."""
    return [
        pytest.param(
            NextStep(step, row.pi), row, id=row.name, marks=[pytest.mark.defect(*row.defects)] if row.defects else []
        )
        for step, rows in table.items()
        for row in rows
    ]


def paid(status: str = "pending", of: Mapping[str, Capture] | None = None, **changes: Any) -> Payment:
    """A payment whose only session took money."""
    fields: dict[str, Any] = {
        "status": status,
        "attempts": {"1": attempt(status="paid", closed_at=NOW - MINUTE, close_reason="paid", checkout_url=None)},
        "current_attempt": "1",
        "amount": TOTAL,
        "captures": {"pi_1": capture()} if of is None else of,
    }
    return payment(**(fields | changes))
