"""lambdas.payments_api.cancellation: a guest cancels an unpaid booking."""

from typing import Any

import pytest

from shared.adapters import payment_items
from tests.harness.builders import HOUR, MINUTE, NOW
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.frozen_clock import Clock
from tests.harness.payments_api_calls import OPERATOR, awaited, call, check_request, failed
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table

CANCEL = "/payments/RES-1/cancel"


def release(stored: Stored) -> None:
    """What the workflow does after a signal to cancel."""
    stored.change("PAY-RES-1", status="expired")


def test_cancel_marks_the_request_and_answers_once_the_dates_are_released(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(awaited())
    workflow.on_signal = lambda: release(stored)
    answer = call("POST", CANCEL)
    assert (answer.status, answer.body["status"]) == (200, "expired")
    assert workflow.signalled == [("token-1", "cancel")]
    after = stored.get("payments", "PAY-RES-1")
    assert (after["cancel_requested_at"], after["cancel_requested_by"]) == ("2026-11-24T15:00:00.000Z", "guest:guest-1")
    assert after["attempts"]["1"]["status"] == "open"


@pytest.mark.defect("D-33")
def test_cancel_before_the_first_attempt_starts_the_execution(stored: Stored, workflow: FakeAws) -> None:
    """Only the workflow releases dates."""
    workflow.on_start = lambda: release(stored)
    answer = call("POST", CANCEL)
    assert answer.status == 200
    assert [execution_input["payment_id"] for _, execution_input in workflow.started] == ["PAY-RES-1"]
    item = stored.get("payments", "PAY-RES-1")
    assert (item["cancel_requested_by"], item["reservation_id"]) == ("guest:guest-1", "RES-1")
    assert item["attempts"] == item["captures"] == {}


@pytest.mark.defect("R-10")
def test_cancel_of_a_booking_that_the_platform_has_confirmed_is_refused(stored: Stored, workflow: FakeAws) -> None:
    """The payment ends, and the stay takes place."""
    stored.payment(awaited())
    stored.reservation(status="confirmed")
    workflow.on_signal = lambda: release(stored)
    assert call("POST", CANCEL).error == (409, "ALREADY_PAID")


@in_table(path=CANCEL)
def test_a_request_to_cancel(stored: Stored, workflow: FakeAws, case: dict[str, Any]) -> None:
    check_request(stored, workflow, **case)


def test_cancelling_twice_changes_nothing_more(stored: Stored, workflow: FakeAws, clock: Clock) -> None:
    stored.payment(awaited())
    workflow.on_signal = lambda: release(stored)
    call("POST", CANCEL)
    after = stored.get("payments", "PAY-RES-1")
    clock.advance(HOUR)
    assert call("POST", CANCEL).status == 200
    assert stored.get("payments", "PAY-RES-1") == after
    assert len(workflow.signalled) == 1


def test_a_cancel_request_stays_as_it_was_first_made(stored: Stored, workflow: FakeAws, clock: Clock) -> None:
    stored.payment(awaited())
    call("POST", CANCEL)
    clock.advance(MINUTE)
    call("POST", CANCEL, claims=OPERATOR)
    after = stored.get("payments", "PAY-RES-1")
    assert (after["cancel_requested_at"], after["cancel_requested_by"]) == ("2026-11-24T15:00:00.000Z", "guest:guest-1")


def test_a_booking_that_is_paid_at_the_same_moment_is_not_cancelled(stored: Stored, workflow: FakeAws) -> None:
    """The condition of the write decides, not what was read before."""
    of = awaited()
    stored.payment(of.model_copy(update={"status": "completed"}))
    assert not payment_items.request_cancel(of, by="guest-1", now=NOW)
    assert "cancel_requested_at" not in stored.get("payments", "PAY-RES-1")


def test_a_cancel_request_does_not_write_back_a_token_that_was_read_before(stored: Stored, workflow: FakeAws) -> None:
    read = awaited()
    stored.payment(failed(task_token=None, awaiting=None))
    assert payment_items.request_cancel(read, by="guest-1", now=NOW)
    after = stored.get("payments", "PAY-RES-1")
    assert not {"task_token", "awaiting"} & after.keys()
