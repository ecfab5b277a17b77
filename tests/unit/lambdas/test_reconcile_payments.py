"""lambdas.reconcile_payments: late money, kept money and undelivered events.

The tests of restarts are those of shared.services.payment_restarts and refund_restarts.
"""

from datetime import timedelta
from typing import Any

import pytest

from shared.adapters import stripe_api
from shared.adapters.checkout_parameters import checkout_parameters
from shared.adapters.dynamodb import to_item
from shared.domain.errors import WorkflowUnavailable
from tests.harness.builders import HOUR, NOW, capture, closed, paying, payment, reservation
from tests.harness.reconciler_runs import BOOKING, URLS, Json, Reconciler, notification
from tests.harness.tables import in_table
from tests.harness.webhook_deliveries import OURS

QUARTER = timedelta(minutes=15)


@pytest.fixture
def released(reconciler: Reconciler) -> str:
    """A booking that was released just now, the first of whose two sessions exists at Stripe; that session's id."""
    sent = checkout_parameters(
        reservation(),
        expires_at=NOW + HOUR,
        payment_id="PAY-RES-1",
        attempt_key="1",
        with_email=True,
        policy=[],
        **URLS,
    )
    session = stripe_api.create_checkout_session(sent, idempotency_key="k1").id
    attempts = {"1": closed(stripe_checkout_session_id=session), "2": closed(stripe_checkout_session_id=None)}
    reconciler.stored.payment(payment(status="expired", attempts=attempts, updated_at=NOW))
    return session


@pytest.mark.defect("D-04")
@in_table()
def test_the_session_of_a_released_booking_is_read_after_15_minutes_and_after_a_day(
    reconciler: Reconciler, released: str, runs: tuple[tuple[timedelta, int, int], ...]
) -> None:
    """Each run has the time since the release, the reads of the session until then, and the checks recorded."""
    for after, reads, recorded in runs:
        reconciler.clock.advance(NOW + after - reconciler.clock.now)
        assert [reconciler.run(), reconciler.run()] == [{}, {}]
        operations = [request.operation for request in reconciler.stripe.requests]
        assert (after, operations.count("checkout.sessions.retrieve")) == (after, reads)
        assert (after, reconciler.item.get("checks_after_release", 0)) == (after, recorded)


@pytest.mark.defect("D-04")
def test_late_money_is_reported_to_operators_and_refunded(reconciler: Reconciler, released: str) -> None:
    """The notification comes before the refund, again if one of the two fails; a recorded capture is not late."""
    pi = reconciler.stripe.force_payment(released)["id"]
    refund_id = f"REF-{pi}"
    reconciler.clock.advance(QUARTER)
    reconciler.aws.throttled = {refund_id}
    assert reconciler.run_with_failures(1) == {}
    reconciler.aws.throttled, reconciler.aws.refusals = set(), 1
    assert reconciler.run_with_failures(1) == {}
    order = {"refund_id": refund_id, "kind": "unapplied", "payment_intent": pi, "requested_by": "workflow"}
    assert reconciler.started == [(refund_id, BOOKING | order)]
    reconciler.aws.executions[refund_id] = "FAILED"
    assert [reconciler.run(), reconciler.run()] == [{"refund_replacement_started": 1, "late_money": 1}, {}]
    assert reconciler.started[1:] == [(f"{refund_id}-r1", BOOKING | order)]
    what = f"{pi} was paid after the release; it is refunded in full by {refund_id}"
    assert reconciler.aws.messages == [notification("LatePayment", what)] * 2
    reconciler.stored.change("PAY-RES-1", captures={pi: to_item(capture())}, checks_after_release=0)
    assert reconciler.run() == {}


@pytest.mark.defect("A-04")
def test_a_dead_execution_whose_input_cannot_be_read_is_tried_again(reconciler: Reconciler) -> None:
    """Lambda repeats an event whose function fails. An execution that no longer exists is left to the schedule."""
    detail = reconciler.dead("RES-1", BOOKING, in_event=False)
    reconciler.aws.throttled = {"RES-1"}
    with pytest.raises(WorkflowUnavailable):
        reconciler.run(detail)
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


@in_table()
def test_money_kept_is_reported_only_if_nobody_asked_for_its_refund(
    reconciler: Reconciler, status: Any, refunds: Json, kept: Json
) -> None:
    reconciler.stored.reservation(status="cancelled")
    reconciler.stored.payment(payment(status=status, **refunds))
    assert reconciler.run() == kept


@pytest.mark.defect("D-32")
def test_an_event_that_cannot_be_processed_does_not_stop_the_next(reconciler: Reconciler) -> None:
    """One is too early, one is not an event, one has another kind of object, and one payment cannot be read."""
    reconciler.stripe.endpoint["status"] = "enabled"
    reconciler.stored.payment(paying(updated_at=NOW))
    reconciler.stored.put("payments", {"payment_id": "PAY-RES-2"})
    intent = {"object": "payment_intent", "id": "pi_1", "latest_charge": "ch_1"}
    declined = intent | {"metadata": OURS | {"attempt": "1"}}
    unreadable = intent | {"metadata": OURS | {"reservation_id": "RES-2", "payment_id": "PAY-RES-2"}}
    with reconciler.stripe.current():
        reconciler.stripe.emit("charge.refunded", {"object": "charge", "payment_intent": "pi_unknown"})
        for obj in ({}, declined | {"latest_charge": 7}, unreadable, declined):
            reconciler.stripe.emit("payment_intent.payment_failed", obj)
        reconciler.stripe.all("event")[1]["data"]["object"] = None
    assert reconciler.run_with_failures(1) == {"undelivered_event": 1}
    assert reconciler.item["attempts"]["1"]["declines"] == {"ch_1": "declined"}
