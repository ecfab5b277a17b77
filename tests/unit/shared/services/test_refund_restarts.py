"""shared.services.refund_restarts: which refunds get another execution, with which input, and which are left alone."""

from typing import Any

import pytest

from shared.adapters.dynamodb import to_item
from shared.domain.models import Refund
from tests.harness.builders import payment, refund
from tests.harness.reconciler_runs import BOOKING, Json, Reconciler, notification
from tests.harness.tables import in_table

REFUND = "PAY-RES-1-cancellation"
BY_GUEST = {"requested_by": "guest", "policy": "full_refund"}
ORDER: Json = (
    BOOKING | {"refund_id": REFUND, "kind": "cancellation", "payment_intent": "pi_1", "amount": 500} | BY_GUEST
)
TAKEN_BACK: Json = BOOKING | {"refund_id": REFUND, "failed_stripe_refund_id": "re_1", "failure_reason": "lost"}


def entry(status: str, **fields: str) -> Refund:
    failed = {"stripe_refund_id": "re_1", "failure_reason": "lost"}
    return refund(**({"status": status, "kind": "cancellation"} | failed | BY_GUEST | fields))


def store_refund(reconciler: Reconciler, status: str, **fields: str) -> None:
    item = payment(status="completed", refunds={REFUND: entry(status, **fields)})
    reconciler.stored.put("payments", to_item(item) | {"refunding": "yes"})


@pytest.mark.defect("D-31")
@pytest.mark.parametrize(
    ("status", "execution_input"), [("pending", ORDER), ("requires_action", ORDER), ("failed", TAKEN_BACK)]
)
def test_a_dead_refund_is_restarted_three_times_then_operators_are_notified_once(
    reconciler: Reconciler, status: str, execution_input: Json
) -> None:
    store_refund(reconciler, status)
    for name in (REFUND, f"{REFUND}-r1", f"{REFUND}-r2", f"{REFUND}-r3"):
        assert [reconciler.run(), reconciler.run()] == [{"refund_replacement_started": 1}, {}]
        assert reconciler.started[-1] == (name, execution_input)
        reconciler.aws.executions[name] = "FAILED"
    assert [reconciler.run() for _ in range(3)] == [{"refund_restarts_exhausted": 1}, {}, {}]
    assert reconciler.item["notified"] == {f"refund_restarts_exhausted {REFUND}"}
    what = f"every execution of refund {REFUND} ended without settling it"
    assert reconciler.aws.messages == [notification("RefundRestartsExhausted", what)]
    assert len(reconciler.started) == 4


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
