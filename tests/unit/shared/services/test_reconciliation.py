"""shared.services.reconciliation: one failure stops nothing else, and what a run has no time for is reported."""

import pytest

from shared.adapters import due_index
from shared.domain.due import SHARDS
from shared.domain.models import iso
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
