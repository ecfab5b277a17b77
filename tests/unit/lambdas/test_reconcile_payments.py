"""lambdas.reconcile_payments: the lists are worked off at once, and an execution that died is replaced.

What is done with each payment is tested with shared.services.due_payments, payment_restarts and refund_restarts.
"""

import threading

import pytest

from shared.adapters import stripe_api
from shared.domain.errors import WorkflowUnavailable
from tests.harness.builders import payment
from tests.harness.fake_aws_clients import client_error
from tests.harness.reconciler_runs import BOOKING, PAYMENT_INPUT, Reconciler


@pytest.mark.defect("R-18")
def test_a_list_that_takes_its_time_takes_none_from_the_others(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe's answer comes only after the payment was reconciled."""
    started = threading.Event()
    reconciler.aws.on_start = started.set
    monkeypatch.setattr(stripe_api, "undelivered_events", lambda *_: ([], started.wait(10)))
    reconciler.stored.payment(payment())
    assert reconciler.run() == {"execution_missing": 1}
    assert started.is_set()
    assert reconciler.started == [("RES-1", PAYMENT_INPUT)]


@pytest.mark.defect("A-04")
@pytest.mark.parametrize(("busy", "seconds"), [(0, 0), (1, 1), (5, 31)])
def test_a_dead_execution_is_replaced_as_soon_as_step_functions_is_no_longer_busy(
    reconciler: Reconciler, busy: int, seconds: int
) -> None:
    reconciler.stored.payment(payment())
    reconciler.aws.failures = [client_error("ThrottlingException")] * busy
    assert reconciler.run(reconciler.dead("RES-1", BOOKING, in_event=True)) == {"replacement_started": 1}
    assert reconciler.time.now == seconds


@pytest.mark.defect("A-04")
def test_a_dead_execution_whose_input_cannot_be_read_is_tried_again(reconciler: Reconciler) -> None:
    """Lambda repeats an event whose function fails. An execution that no longer exists is left to the schedule."""
    detail = reconciler.dead("RES-1", BOOKING, in_event=False)
    reconciler.aws.throttled = {"RES-1"}
    with pytest.raises(WorkflowUnavailable):
        reconciler.run(detail)
    assert reconciler.time.now == 31
    reconciler.aws.throttled = set()
    reconciler.aws.executions.clear()
    assert reconciler.run(detail) == {}


@pytest.mark.defect("A-10")
@pytest.mark.parametrize(("subscribers", "unreachable"), [(0, 1), (1, 0)])
def test_operators_without_a_confirmed_subscription_are_counted_by_each_scheduled_run(
    reconciler: Reconciler, subscribers: int, unreachable: int
) -> None:
    reconciler.aws.subscribers = subscribers
    reconciler.run_counting({"OperatorsUnreachable": unreachable})
