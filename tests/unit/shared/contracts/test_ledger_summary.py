"""shared.contracts.ledger_summary: totals add up, and files are read as they were written."""

import pytest
from pydantic import ValidationError

from shared.contracts.ledger_summary import CategoryTotals, DayProgress, ReconcileLedgerInput
from shared.domain.ledger_matching import Difference


def test_totals_count_and_add_up() -> None:
    totals = CategoryTotals().plus(10_000, 175, 9825).plus(-1000, 0, -1000)
    assert totals == CategoryTotals(count=2, gross=9000, fee=175, net=8825)


def test_progress_survives_being_stored() -> None:
    lost = Difference(kind="money_missing", subject="pi_1", payment_id=None, stripe="nothing", ledger="a charge")
    progress = DayProgress(
        started_at="2026-11-25T04:00:00.000Z",
        matched={"ch_1"},
        ours={"EUR": {"charge": CategoryTotals(count=1, gross=1, fee=0, net=1)}},
        differences={lost.key: lost},
    )
    assert DayProgress.model_validate_json(progress.model_dump_json()) == progress


@pytest.mark.parametrize("day", ["2026-11", "yesterday", "2026-11-27T00:00:00Z"])
def test_a_day_is_a_date(day: str) -> None:
    with pytest.raises(ValidationError):
        ReconcileLedgerInput(day=day)
