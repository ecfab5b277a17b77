"""lambdas.payments_api.eligibility: which bookings may be paid, and when another attempt is allowed."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.models import Payment
from tests.harness.builders import HOUR, NOW, SECOND, WINDOW
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.payments_api_calls import CHECKOUT, ORDER, call, failed
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table


@pytest.mark.parametrize("path", [CHECKOUT, "/payments/RES-1/retry"])
@pytest.mark.defect("D-12")
def test_no_route_opens_an_attempt_when_none_is_left(stored: Stored, workflow: FakeAws, path: str) -> None:
    stored.payment(failed(3))
    answer = call("POST", path, ORDER if path == CHECKOUT else None)
    assert answer.error == (409, "ATTEMPTS_EXHAUSTED")
    assert "another way to pay" in answer.body["recovery"]
    assert answer.body["details"] == {"hold_expires_at": "2026-11-25T13:00:00.000Z"}
    assert workflow.signalled == []


def test_an_attempt_that_an_operator_granted_may_be_used(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(failed(3, attempts_granted=1))
    call("POST", "/payments/RES-1/retry")
    assert workflow.signalled == [("token-2", "retry")]


@pytest.mark.parametrize(("left", "ending"), [(WINDOW, False), (WINDOW - SECOND, True), (-HOUR, True)])
@pytest.mark.defect("D-07")
def test_no_attempt_is_opened_when_the_hold_ends_within_a_checkout_window(
    stored: Stored, workflow: FakeAws, left: timedelta, *, ending: bool
) -> None:
    stored.reservation(created_at=(NOW + left - 24 * HOUR).isoformat())
    first = call("POST", CHECKOUT, ORDER)
    stored.payment(failed(hold_expires_at=NOW + left))
    again = call("POST", "/payments/RES-1/retry")
    assert (first.status, again.status) == ((409, 409) if ending else (202, 202))
    assert workflow.idle is ending
    if ending:
        assert (first.error[1], again.error[1]) == ("HOLD_ENDING", "HOLD_ENDING")


@in_table()
@pytest.mark.defect("D-04", "D-07", "D-12", "D-41", "R-13")
def test_a_booking_that_cannot_be_paid_is_answered_with_the_reason(
    stored: Stored, workflow: FakeAws, reserved: dict[str, Any], of: Payment | None, message: str
) -> None:
    """No execution is started, so that its name remains free."""
    stored.reservation(**reserved)
    if of is not None:
        stored.payment(of)
    answer = call("POST", CHECKOUT, ORDER)
    assert answer.error == (400, "RESERVATION_NOT_PAYABLE")
    assert answer.body["message"] == message
    assert workflow.idle
