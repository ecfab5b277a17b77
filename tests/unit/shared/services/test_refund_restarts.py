"""shared.services.refund_restarts: which refunds get another execution, with which input, and which are left alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.models import Refund, iso
from tests.harness.builders import NOW, payment, refund
from tests.harness.reconciler_runs import BOOKING, DAY, Json, Reconciler, notification
from tests.harness.tables import in_table

REFUND = "PAY-RES-1-cancellation"
BY_GUEST = {"requested_by": "guest", "policy": "full_refund"}
ORDER: Json = (
    BOOKING | {"refund_id": REFUND, "kind": "cancellation", "payment_intent": "pi_1", "amount": 500} | BY_GUEST
)
TAKEN_BACK: Json = BOOKING | {"refund_id": REFUND, "failed_stripe_refund_id": "re_1", "failure_reason": "lost"}


def entry(status: str, **fields: Any) -> Refund:
    failed = {"stripe_refund_id": "re_1", "failure_reason": "lost"}
    return refund(**({"status": status, "kind": "cancellation"} | failed | BY_GUEST | fields))


def store_refund(reconciler: Reconciler, status: str, **fields: Any) -> None:
    reconciler.stored.payment(payment(status="completed", refunds={REFUND: entry(status, **fields)}))


@pytest.mark.defect("D-31")
@pytest.mark.parametrize(
    ("status", "execution_input"), [("pending", ORDER), ("requires_action", ORDER), ("failed", TAKEN_BACK)]
)
def test_a_dead_refund_is_replaced_ever_later_and_for_ever(
    reconciler: Reconciler, status: str, execution_input: Json
) -> None:
    """Operators are notified once, after the fifth replacement without progress."""
    store_refund(reconciler, status)
    for number in range(1, 9):
        exhausted = {"restarts_exhausted": 1} if number == 6 else {}
        if number > 1:
            assert (number, reconciler.run()) == (number, exhausted)
        assert (number, reconciler.run_when_due()) == (number, {"refund_replacement_started": 1})
        assert reconciler.started[-1] == (f"{REFUND}-r{number}", execution_input)
        reconciler.aws.executions[f"{REFUND}-r{number}"] = "FAILED"
        reconciler.stored.change("PAY-RES-1", due_at=iso(reconciler.clock.now))
    assert reconciler.clock.now == NOW + timedelta(minutes=1 + 5 + 15, hours=1 + 3 * 6)
    what = f"5 replacements of the execution of {REFUND} died; the next one starts in 6 hours"
    assert reconciler.aws.messages == [notification("RefundRestartsExhausted", what)]
    assert len(reconciler.started) == 8


@pytest.mark.defect("R-04")
def test_a_refund_without_an_entry_is_replaced_as_it_was_started(reconciler: Reconciler) -> None:
    """A permission was missing, so that nothing could be entered; the second replacement comes from what is stored."""
    reconciler.stored.reservation(status="confirmed")
    reconciler.stored.payment(payment(status="completed", due_at=NOW + DAY))
    died = reconciler.dead(REFUND, ORDER, in_event=True)
    assert reconciler.run(died) == {"refund_replacement_started": 1}
    reconciler.aws.executions[f"{REFUND}-r1"] = "FAILED"
    assert [reconciler.run(died), reconciler.run_when_due()] == [{}, {"refund_replacement_started": 1}]
    assert reconciler.started == [(f"{REFUND}-r1", ORDER), (f"{REFUND}-r2", ORDER)]
    reconciler.aws.executions[f"{REFUND}-r2"] = "SUCCEEDED"  # the refund was refused
    assert [reconciler.run_when_due(), reconciler.run_when_due()] == [{}, {}]
    assert reconciler.item["replacements"][REFUND].keys() == {"number", "step", "progress"}


def test_a_refund_that_is_unsettled_after_its_execution_succeeded_gets_another(reconciler: Reconciler) -> None:
    """It was refused, and has been entered since."""
    store_refund(reconciler, "pending")
    reconciler.aws.executions[REFUND] = "SUCCEEDED"
    assert reconciler.run() == {"refund_replacement_started": 1}
    assert reconciler.started == [(f"{REFUND}-r1", ORDER)]


@pytest.mark.parametrize(("settled_at", "found"), [(NOW - DAY, 1), (NOW - 2 * DAY, 0)])
def test_an_execution_that_died_after_it_had_settled_the_refund_is_found_a_day_later(
    reconciler: Reconciler, settled_at: datetime, found: int
) -> None:
    store_refund(reconciler, "succeeded", settled_at=settled_at)
    reconciler.aws.executions[REFUND] = "FAILED"
    assert reconciler.run() == ({"refund_replacement_started": 1} if found else {})
    assert reconciler.started == [(f"{REFUND}-r1", ORDER)] * found


@in_table()
def test_a_settled_refund_and_one_whose_execution_runs_are_left_alone(
    reconciler: Reconciler, fields: Json, executions: dict[str, str]
) -> None:
    """The running execution may have another name."""
    store_refund(reconciler, **fields)
    reconciler.aws.executions = executions
    assert reconciler.run() == {}


@pytest.mark.defect("A-04")
@pytest.mark.parametrize("in_event", [True, False])
@in_table()
def test_a_dead_execution_is_restarted_at_once(
    reconciler: Reconciler, status: Any, dead: Json, restarted: Json, *, in_event: bool
) -> None:
    refunds = {} if status is None else {REFUND: entry(status)}
    reconciler.stored.payment(payment(status="completed", refunds=refunds))
    detail = reconciler.dead(REFUND, dead, in_event=in_event)
    assert reconciler.run(detail) == {"refund_replacement_started": 1}
    assert reconciler.started == [(f"{REFUND}-r1", restarted)]


@pytest.mark.parametrize("status", ["settled_elsewhere", "succeeded"])
def test_an_execution_that_died_after_a_failure_was_settled_is_replaced_once(
    reconciler: Reconciler, status: str
) -> None:
    """The refund's first execution has succeeded; what this one had to publish is published all the same."""
    store_refund(reconciler, status, execution="failed-re_1", stripe_refund_id="re_2")
    reconciler.aws.executions[REFUND] = "SUCCEEDED"
    died = reconciler.dead("failed-re_1", TAKEN_BACK, in_event=True)
    assert reconciler.run(died) == {"refund_replacement_started": 1}
    assert reconciler.started == [(f"{REFUND}-r1", ORDER)]
    reconciler.aws.executions[f"{REFUND}-r1"] = "SUCCEEDED"
    assert [reconciler.run(died), reconciler.run_when_due()] == [{}, {}]
