"""shared.services.payment_restarts: which executions are started, restarted or refreshed, and which are left alone."""

import json
from typing import Any

import pytest

from shared.adapters import payment_items
from shared.domain.models import iso
from tests.harness.builders import HOUR, MINUTE, NOW, SECOND, attempt, paying, payment
from tests.harness.reconciler_runs import BOOKING, DAY, PAYMENT_INPUT, Json, Reconciler, notification
from tests.harness.tables import in_table


@pytest.mark.parametrize(("quiet", "found"), [(59, {}), (60, {"execution_missing": 1})])
def test_a_payment_without_an_execution_gets_one_after_a_minute(
    reconciler: Reconciler, quiet: int, found: dict[str, int]
) -> None:
    """A payment that changed more recently is still being worked on, even though its hold is over."""
    reconciler.stored.reservation(created_at=iso(NOW - DAY - HOUR))
    reconciler.stored.payment(payment(updated_at=NOW - quiet * SECOND))
    assert [reconciler.run(), reconciler.run()] == [found, {}]
    assert reconciler.started == [("RES-1", PAYMENT_INPUT)] * len(found)


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


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_a_dead_execution_is_restarted_three_times_then_operators_are_notified_once(
    reconciler: Reconciler, status: str
) -> None:
    reconciler.stored.payment(payment())
    executions = reconciler.aws.executions
    executions["RES-1"] = status
    for restart in (1, 2, 3):
        assert reconciler.run() == {"replacement_started": 1}
        assert reconciler.started[-1] == (f"PAY-RES-1-r{restart}", PAYMENT_INPUT)
        assert reconciler.item["restarts"] == restart
        executions[f"PAY-RES-1-r{restart}"] = status
        reconciler.clock.advance(MINUTE)
    assert "notified" not in reconciler.item
    assert [reconciler.run() for _ in range(3)] == [{"restarts_exhausted": 1}, {}, {}]
    assert reconciler.item["notified"] == {"restarts_exhausted"}
    what = f"3 replacement executions ended without settling it, the last one as {status}"
    assert reconciler.aws.messages == [notification("PaymentRestartsExhausted", what)]
    assert len(reconciler.started) == 3


def test_a_restart_that_was_counted_but_not_started_is_started_by_the_next_run(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two concurrent runs one counts the restart; here it stops before it starts the execution."""
    reconciler.stored.payment(payment())
    reconciler.aws.executions["RES-1"] = "FAILED"
    claim = payment_items.claim_restart
    monkeypatch.setattr(payment_items, "claim_restart", lambda *of, **now: claim(*of, **now) and claim(*of, **now))
    assert (reconciler.run(), reconciler.started) == ({}, [])
    reconciler.clock.advance(MINUTE)
    assert reconciler.run() == {"execution_missing": 1}
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
    assert reconciler.started == [("PAY-RES-1-r1", PAYMENT_INPUT)]
    assert reconciler.item["restarts"] == 1


@pytest.mark.parametrize(
    ("executions", "found"), [({"RES-1": "RUNNING"}, {}), ({"RES-1": "SUCCEEDED"}, {}), ({}, {"execution_missing": 1})]
)
def test_a_settled_payment_is_left_alone_unless_its_execution_is_missing(
    reconciler: Reconciler, executions: Any, found: Json
) -> None:
    reconciler.stored.payment(payment(status="completed"))
    reconciler.aws.executions = dict(executions)
    assert reconciler.run(dead(**PAYMENT_INPUT)) == found
    assert reconciler.started == [("RES-1", PAYMENT_INPUT)] * len(found)


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
    assert reconciler.started == [(name, PAYMENT_INPUT | urls | {"hold_expires_at": iso(end)})] * len(found)
