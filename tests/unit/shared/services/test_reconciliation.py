"""shared.services.reconciliation: one failure stops nothing else, and operators are notified once."""

from typing import Any

import pytest

from shared.adapters import payment_items
from shared.domain.errors import StoreBusy
from shared.domain.models import iso
from tests.harness.builders import HOUR, NOW, payment
from tests.harness.reconciler_runs import DAY, Reconciler, notification


def test_items_and_lists_that_fail_do_not_stop_the_others(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RES-1", "RES-2", "RES-3"):
        reconciler.stored.payment(payment(payment_id=f"PAY-{name}", reservation_id=name))
    reconciler.aws.throttled = {"RES-2"}
    assert reconciler.run_with_failures(1) == {"execution_missing": 2}
    assert sorted(reconciler.aws.started_names) == ["RES-1", "RES-3"]
    reconciler.stored.reservation("RES-4", created_at=iso(NOW - DAY - HOUR))
    monkeypatch.setattr(payment_items, "payments_between", lambda *_: map(int, "?"))
    assert reconciler.run_with_failures(2) == {"hold_without_payment": 1}


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
    assert [reconciler.run() for _ in range(3)] == [{"cancelled_money_kept": 1}, {}, {}]
    what = "the reservation is cancelled, but nobody has asked for a refund"
    assert reconciler.aws.messages == [notification("CancelledMoneyKept", what)] * 2
    assert reconciler.item["notified"] == {"money_kept"}
