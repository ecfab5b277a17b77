"""shared.services.replacements: when the next replacement of a dead execution starts."""

import pytest

from shared.domain.models import Replacement
from shared.services.reconciliation import Report
from shared.services.replacements import mark_started, plan_next, planned
from tests.harness.builders import MINUTE, NOW, payment
from tests.harness.reconciler_runs import Reconciler
from tests.harness.tables import in_table


@pytest.mark.defect("R-04")
@in_table()
def test_each_replacement_without_progress_starts_later(
    reconciler: Reconciler, step: int, progress: str, pause: int
) -> None:
    before = payment(replacements={"payment": Replacement(number=7, step=step, progress=progress)})
    reconciler.stored.payment(before)
    after = plan_next(before, "payment", progress="same", notification="X", report=Report(60), now=NOW)
    assert planned(after, "payment") == NOW + pause * MINUTE
    assert after.replacements["payment"].number == 8
    assert planned(mark_started(after, "payment"), "payment") is None
    assert reconciler.aws.notified == (["X"] if step == 4 else [])


def test_nothing_is_planned_where_another_call_was_faster(reconciler: Reconciler) -> None:
    before = payment()
    reconciler.stored.payment(before)
    first = plan_next(before, "payment", progress="", notification="X", report=Report(60), now=NOW)
    assert first.restarts == 1
    assert plan_next(before, "payment", progress="", notification="X", report=Report(60), now=NOW) == before
