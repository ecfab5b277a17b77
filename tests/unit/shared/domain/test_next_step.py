"""shared.domain.next_step as a table: a case is one situation, with the step that follows from it."""

from collections.abc import Collection
from typing import Any

import pytest

from shared.domain.models import Payment
from shared.domain.next_step import NextStep, decide_next_step
from shared.domain.session_outcomes import SessionOutcome
from tests.harness.builders import NOW, WINDOW, booking, reservation
from tests.harness.tables import in_table


def decide(
    *,
    payment: Payment | None,
    reserved: dict[str, Any] | None = None,
    held: Collection[str] | None = None,
    outcomes: dict[str, SessionOutcome] | None = None,
    refunds_started: Collection[str] = (),
    asked: bool = True,
    closing: bool = False,
) -> NextStep:
    of = booking(payment, reserved=reservation(**(reserved or {})), held=held)
    return decide_next_step(
        of, outcomes or {}, refunds_started=refunds_started, asked=asked, closing=closing, window=WINDOW, now=NOW
    )


@in_table("next_steps", pi=None)
def test_next_step(case: dict[str, Any]) -> None:
    expected = NextStep(case.pop("step"), case.pop("pi"))
    assert decide(**case) == expected


@in_table("next_steps", pi=None)
def test_closing_never_leads_to_a_session_that_is_open(case: dict[str, Any]) -> None:
    """ExpireCheckoutSessions has expired them all, so a step about an open session would never end."""
    situation = {name: value for name, value in case.items() if name not in {"step", "pi", "closing"}}
    assert decide(**situation, closing=True).name not in {"await_payment", "expire_sessions"}


def test_no_next_step_without_a_payment_item() -> None:
    with pytest.raises(LookupError, match="no payment item for reservation RES-1"):
        decide(payment=None)
