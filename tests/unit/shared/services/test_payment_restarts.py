"""shared.services.payment_restarts: which executions are started, restarted or refreshed, and which are left alone."""

import json
from typing import Any

import pytest

from shared.adapters import payment_items
from shared.adapters.dynamodb import to_item
from shared.domain.models import Replacement, iso
from tests.harness.builders import HOUR, MINUTE, NOW, SECOND, attempt, capture, paying, payment
from tests.harness.reconciler_runs import BOOKING, DAY, PAYMENT_INPUT, Json, Reconciler, notification
from tests.harness.tables import in_table


def test_a_payment_without_an_execution_gets_one(reconciler: Reconciler) -> None:
    reconciler.stored.payment(payment())
    assert [reconciler.run(), reconciler.run()] == [{"execution_missing": 1}, {}]
    assert reconciler.started == [("RES-1", PAYMENT_INPUT)]
    assert reconciler.item["due_at"] == iso(NOW + 22 * HOUR + 30 * SECOND)


def ended(ago: int) -> Json:
    return {"attempts": {"1": attempt(deadline=NOW - ago * SECOND)}}


FOR_GUEST = {"awaiting": "retry", "task_token": "token"}
FOR_MONEY = FOR_GUEST | {"awaiting": "payment"}
CANCEL = {"cancel_requested_at": NOW - 31 * SECOND}
HOLD_OVER, HOLD_ENDED = {"hold_expires_at": NOW - 31 * SECOND}, {"hold_expires_at": NOW - 30 * SECOND}


@pytest.mark.defect("P-11")
@pytest.mark.parametrize(
    "changes", [FOR_MONEY | ended(31), FOR_MONEY | HOLD_OVER, FOR_GUEST | HOLD_OVER, FOR_GUEST | CANCEL]
)
def test_an_overdue_wait_is_refreshed(reconciler: Reconciler, changes: Json) -> None:
    reconciler.stored.payment(paying(**changes))
    reconciler.aws.executions["RES-1"] = "RUNNING"
    assert reconciler.run() == {"overdue_wait": 1}
    assert (reconciler.aws.signalled, reconciler.started) == ([("token", "refresh")], [])


@pytest.mark.parametrize(
    "changes", [FOR_MONEY | ended(30), FOR_GUEST | ended(31), FOR_GUEST | HOLD_ENDED, HOLD_OVER | CANCEL]
)
def test_any_other_running_execution_is_left_alone(reconciler: Reconciler, changes: Json) -> None:
    reconciler.stored.payment(paying(**changes))
    reconciler.aws.executions["RES-1"] = "RUNNING"
    assert (reconciler.run(), reconciler.aws.signalled, reconciler.started) == ({}, [], [])


SERIES = [0, 1, 5, 15, 60, 360, 360, 360]  # minutes


@pytest.mark.defect("R-04")
@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_a_dead_execution_is_replaced_ever_later_and_for_ever(reconciler: Reconciler, status: str) -> None:
    """Operators are notified once, after the fifth replacement without progress."""
    reconciler.stored.payment(payment())
    reconciler.aws.executions["RES-1"] = status
    for number, pause in enumerate(SERIES, 1):
        died = reconciler.clock.now
        exhausted = {"restarts_exhausted": 1} if number == 6 else {}
        if pause:
            assert (number, reconciler.run()) == (number, exhausted)
            assert reconciler.item["due_at"] == iso(died + pause * MINUTE)
        assert (number, reconciler.run_when_due()) == (number, {"replacement_started": 1})
        name = f"PAY-RES-1-r{number}"
        assert reconciler.started[-1] == (name, PAYMENT_INPUT)
        assert reconciler.clock.now == died + pause * MINUTE
        reconciler.aws.executions[name] = status
        reconciler.stored.change("PAY-RES-1", due_at=iso(reconciler.clock.now))
    assert len(reconciler.started) == len(SERIES)
    what = "5 replacements of the execution of PAY-RES-1 died; the next one starts in 6 hours"
    assert reconciler.aws.messages == [notification("PaymentRestartsExhausted", what)]


@pytest.mark.defect("R-04")
@pytest.mark.parametrize(
    "progress", [{"token_sequence": 8}, {"status": "completed"}, {"captures": {"pi_1": to_item(capture())}}]
)
def test_the_series_begins_anew_with_every_step_of_progress(reconciler: Reconciler, progress: Json) -> None:
    last = Replacement(number=7, step=6, progress="pending 7 0")
    reconciler.stored.payment(payment(token_sequence=7, replacements={"payment": last}))
    reconciler.stored.change("PAY-RES-1", **progress)
    reconciler.aws.executions["PAY-RES-1-r7"] = "FAILED"
    assert reconciler.run(dead(**PAYMENT_INPUT)) == {"replacement_started": 1}
    assert reconciler.started == [("PAY-RES-1-r8", PAYMENT_INPUT)]
    assert reconciler.item["replacements"]["payment"]["step"] == 0


@pytest.mark.defect("R-04")
def test_a_death_that_is_noticed_again_neither_hastens_nor_repeats_the_replacement(reconciler: Reconciler) -> None:
    """The event of the death is delivered twice, and the execution is missing, because its time has not come."""
    last = Replacement(number=1, step=0, progress="pending None 0")
    reconciler.stored.payment(payment(due_at=NOW + DAY, replacements={"payment": last}))
    reconciler.aws.executions["PAY-RES-1-r1"] = "FAILED"
    assert [reconciler.run(dead(**PAYMENT_INPUT)) for _ in range(2)] == [{}, {}]
    assert reconciler.item["due_at"] == iso(NOW + MINUTE)
    assert reconciler.run_when_due() == {"replacement_started": 1}
    assert reconciler.started == [("PAY-RES-1-r2", PAYMENT_INPUT)]
    # It runs, so the plan is done, and the payment is due at the end of its wait.
    assert reconciler.run_when_due() == {}
    assert "start_at" not in reconciler.item["replacements"]["payment"]
    assert reconciler.item["due_at"] == iso(NOW + 22 * HOUR + 30 * SECOND)


def test_a_replacement_that_was_planned_but_not_started_is_started_by_the_next_run(reconciler: Reconciler) -> None:
    """Of two concurrent runs one plans it; here it stops before it starts the execution."""
    before = payment()
    reconciler.stored.payment(before)
    reconciler.aws.executions["RES-1"] = "FAILED"
    planned = Replacement(number=1, step=0, progress="pending None 0", start_at=NOW)
    after = before.model_copy(update={"replacements": {"payment": planned}})
    assert payment_items.plan_replacement(before, "payment", after, now=NOW)
    assert not payment_items.plan_replacement(before, "payment", after, now=NOW)
    assert reconciler.run() == {"replacement_started": 1}
    assert reconciler.started == [("PAY-RES-1-r1", PAYMENT_INPUT)]


def dead(**execution_input: Any) -> Json:
    """The detail of the event that an execution with this input has failed."""
    return {"status": "FAILED", "input": json.dumps(execution_input)}


@pytest.mark.defect("A-04")
@pytest.mark.parametrize("in_event", [True, False])
@pytest.mark.parametrize("status", [None, "pending", "completed", "expired", "refunded"])
def test_a_dead_execution_is_restarted_at_once(reconciler: Reconciler, status: Any, *, in_event: bool) -> None:
    """Also before it wrote the payment item, and when only its last event was left to publish."""
    reconciler.stored.reservation()
    if status is not None:
        reconciler.stored.payment(payment(status=status))
    detail = reconciler.dead("RES-1", PAYMENT_INPUT, in_event=in_event)
    assert reconciler.run(detail) == {"replacement_started": 1}
    customer = {"customer_id": "guest-1"} if status is None else {}
    assert reconciler.started == [("PAY-RES-1-r1", PAYMENT_INPUT | customer)]
    assert reconciler.item["replacements"]["payment"]["number"] == 1


@pytest.mark.defect("R-13")
def test_an_execution_is_replaced_however_unreadable_its_reservation_is(reconciler: Reconciler) -> None:
    reconciler.stored.reservation(check_in="soon")
    reconciler.stored.payment(payment(due_at=NOW + DAY))
    reconciler.aws.executions["RES-1"] = "FAILED"
    assert reconciler.run(dead(**PAYMENT_INPUT)) == {"replacement_started": 1}


@pytest.mark.parametrize("executions", [{"RES-1": "RUNNING"}, {"RES-1": "SUCCEEDED"}, {}])
def test_a_settled_payment_is_left_alone_unless_its_execution_has_died(reconciler: Reconciler, executions: Any) -> None:
    reconciler.stored.payment(payment(status="completed"))
    reconciler.aws.executions = dict(executions)
    assert reconciler.run(dead(**PAYMENT_INPUT)) == {}
    assert reconciler.started == []


UNKNOWN: list[Json] = [{}, {"payment_id": 7}, PAYMENT_INPUT, BOOKING | {"refund_id": "REF-pi_1"}]


@pytest.mark.parametrize("execution_input", UNKNOWN)
def test_a_dead_execution_without_a_booking_is_ignored(reconciler: Reconciler, execution_input: Json) -> None:
    assert reconciler.run(dead(**execution_input)) == {}
    assert (reconciler.started, reconciler.stored.all("payments")) == ([], [])


@pytest.mark.defect("D-07")
@in_table()
def test_an_expired_hold_without_a_payment_is_released_by_an_execution(
    reconciler: Reconciler, late: int, executions: dict[str, str], found: dict[str, int], name: str | None
) -> None:
    end = NOW - late * SECOND
    reconciler.stored.reservation(created_at=iso(end - DAY))
    reconciler.aws.executions = dict(executions)
    assert reconciler.run() == found
    urls = {"success_url": "https://stay.example", "cancel_url": "https://stay.example"}
    assert reconciler.started == [
        (name, PAYMENT_INPUT | urls | {"customer_id": "guest-1", "hold_expires_at": iso(end)})
    ] * len(found)
