"""shared.services.reconciliation: one failure stops nothing else, and what a run has no time for is reported."""

from types import SimpleNamespace

import pytest

from shared.adapters import due_index
from shared.domain.due import SHARDS
from shared.domain.models import iso
from shared.services import reconciliation
from shared.services.reconciliation import Report
from tests.harness.builders import HOUR, NOW, payment
from tests.harness.reconciler_runs import DAY, Reconciler


def test_items_and_lists_that_fail_do_not_stop_the_others(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RES-1", "RES-2", "RES-3"):
        reconciler.stored.payment(payment(payment_id=f"PAY-{name}", reservation_id=name))
    reconciler.aws.throttled = {"RES-2"}
    assert reconciler.run_with_failures(1) == {"execution_missing": 2}
    assert sorted(reconciler.aws.started_names) == ["RES-1", "RES-3"]
    reconciler.stored.reservation("RES-4", created_at=iso(NOW - DAY - HOUR))
    monkeypatch.setattr(due_index, "due_payments", lambda *_: map(int, "?"))
    assert reconciler.run_with_failures(len(SHARDS)) == {"hold_without_payment": 1}


def test_a_run_leaves_what_it_has_no_time_for() -> None:
    worked: list[int] = []
    assert Report(budget=60).work_off([1, 2], worked.append) is None
    assert Report(budget=-1).work_off([3, 4], worked.append) == 3
    assert worked == [1, 2]


def test_fifteen_payments_are_checked_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(reconciliation, "time", SimpleNamespace(monotonic=lambda: 100.0, sleep=waits.append))
    report = Report(budget=60)
    for _ in range(3):
        report.wait_for_turn()
    assert waits == pytest.approx([0, 1 / 15, 2 / 15])
