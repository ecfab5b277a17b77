"""shared.services.due_payments: late money of a released booking, and money kept of a cancelled one."""

from datetime import date, timedelta
from typing import Any

import pytest

from shared.adapters import payment_items, stripe_api
from shared.adapters.checkout_parameters import checkout_parameters
from shared.adapters.dynamodb import to_item
from shared.domain.due import SOON
from shared.domain.errors import StoreBusy
from shared.domain.models import iso
from shared.services import due_payments
from shared.services.reconciliation import Report
from tests.harness.builders import HOUR, NOW, capture, closed, payment, reservation
from tests.harness.reconciler_runs import BOOKING, DAY, PAYMENT_INPUT, URLS, Json, Reconciler, notification
from tests.harness.tables import in_table

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


def test_a_payment_that_is_no_longer_due_when_it_is_read_is_left_alone(reconciler: Reconciler) -> None:
    """The index lags behind."""
    report = Report(45)
    for due_at in (None, NOW + HOUR):
        reconciler.stored.payment(payment(status="expired", due_at=due_at))
        before = reconciler.item
        due_payments.check_due_payment("PAY-RES-1", report)
        due_payments.check_due_payment("PAY-RES-of-nobody", report)
        assert (reconciler.item, report.kinds) == (before, {})


@pytest.mark.parametrize(
    ("status", "ended", "found"),
    [
        ("completed", DAY, {"replacement_started": 1}),
        ("expired", QUARTER, {"replacement_started": 1}),
        ("completed", 2 * DAY, {}),
    ],
)
def test_an_execution_that_died_after_it_had_ended_the_payment_is_found_within_a_day(
    reconciler: Reconciler, status: str, ended: timedelta, found: Json
) -> None:
    """It has not published the event, and the event of its death was lost."""
    at = NOW - ended
    reconciler.stored.reservation(status="confirmed")
    reconciler.stored.payment(payment(status=status, completed_at=at if status == "completed" else None, updated_at=at))
    reconciler.aws.executions["RES-1"] = "FAILED"
    assert reconciler.run() == found
    assert reconciler.started == [("PAY-RES-1-r1", PAYMENT_INPUT | {"customer_id": ""})] * len(found)


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
    reconciler.clock.advance(SOON)
    assert reconciler.run_with_failures(1) == {}
    order = {"refund_id": refund_id, "kind": "unapplied", "payment_intent": pi, "requested_by": "workflow"}
    assert reconciler.started == [(refund_id, BOOKING | order)]
    reconciler.aws.executions[refund_id] = "FAILED"
    assert [reconciler.run_when_due(), reconciler.run()] == [{"refund_replacement_started": 1, "late_money": 1}, {}]
    assert reconciler.started[1:] == [(f"{refund_id}-r1", BOOKING | order)]
    what = f"{pi} was paid after the release; it is refunded in full by {refund_id}"
    assert reconciler.aws.messages == [notification("LatePayment", what)] * 2
    reconciler.stored.change("PAY-RES-1", captures={pi: to_item(capture())}, checks_after_release=0)
    assert reconciler.run() == {}


@pytest.mark.defect("R-05")
def test_a_session_of_a_released_booking_that_stripe_refuses_to_read_is_reported_once(
    reconciler: Reconciler, released: str
) -> None:
    reconciler.stripe.remove(released)
    reconciler.clock.advance(QUARTER)
    assert [reconciler.run(), reconciler.run_when_due()] == [{}, {}]
    assert reconciler.aws.notified == ["StripeRefused"]
    assert "due_at" not in reconciler.item


@pytest.mark.defect("R-05")
def test_the_last_check_is_repeated_if_operators_could_not_be_notified(reconciler: Reconciler, released: str) -> None:
    reconciler.stripe.remove(released)
    reconciler.stored.change("PAY-RES-1", checks_after_release=1)
    reconciler.clock.advance(DAY)
    reconciler.aws.refusals = 1
    assert reconciler.run_with_failures(1) == {}
    assert reconciler.item["checks_after_release"] == 1
    assert reconciler.run_when_due() == {}
    assert reconciler.aws.notified == ["StripeRefused"]
    assert "due_at" not in reconciler.item


@in_table()
def test_money_kept_is_reported_only_if_nobody_asked_for_its_refund(
    reconciler: Reconciler, status: Any, refunds: Json, kept: Json
) -> None:
    reconciler.stored.reservation(status="cancelled")
    reconciler.stored.payment(payment(status=status, **refunds))
    assert reconciler.run() == kept


@pytest.mark.defect("R-18")
@pytest.mark.parametrize("check_in", ["2026-11-23", "2026-11-22"])
def test_a_paid_booking_is_due_once_a_day_until_the_day_after_check_in(reconciler: Reconciler, check_in: str) -> None:
    reconciler.stored.reservation(status="confirmed", check_in=check_in, check_out="2026-12-01")
    reconciler.stored.payment(payment(status="completed"))
    assert reconciler.run() == {}
    over = date.fromisoformat(check_in) + 2 * DAY <= NOW.date()
    assert reconciler.item.get("due_at") == (None if over else iso(NOW + DAY))


@pytest.mark.defect("R-13")
def test_a_deleted_reservation_that_was_paid_is_reported(reconciler: Reconciler) -> None:
    reconciler.stored.payment(payment(status="completed"))
    assert reconciler.run() == {"cancelled_money_kept": 1}
    what = "the reservation is deleted, but nobody has asked for a refund"
    assert reconciler.aws.messages == [notification("CancelledMoneyKept", what)]
    assert "due_at" not in reconciler.item


@pytest.mark.defect("D-14")
def test_money_kept_of_a_cancelled_booking_is_reported_once(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a second time if the first run stopped before it could mark the notification as sent."""

    def stop(*_: Any, **__: Any) -> bool:
        raise StoreBusy

    reconciler.stored.reservation(status="cancelled")
    reconciler.stored.payment(payment(status="completed"))
    with monkeypatch.context() as patch:
        patch.setattr(payment_items, "record_notified", stop)
        assert reconciler.run_with_failures(1) == {}
    assert [reconciler.run_when_due(), reconciler.run(), reconciler.run()] == [{"cancelled_money_kept": 1}, {}, {}]
    what = "the reservation is cancelled, but nobody has asked for a refund"
    assert reconciler.aws.messages == [notification("CancelledMoneyKept", what)] * 2
    assert reconciler.item["notified"] == {"money_kept"}
