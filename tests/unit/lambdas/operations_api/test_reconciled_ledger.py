"""lambdas.operations_api.reconciled_ledger: days, one day, and its transactions in parts."""

from datetime import date
from typing import Any

import pytest

from lambdas.operations_api import handler
from shared.adapters import ledger_files
from shared.contracts.ledger_summary import LedgerDay
from tests.harness.frozen_clock import Clock
from tests.harness.payments_api_calls import OPERATOR, call
from tests.harness.stored_tables import Stored


@pytest.fixture(autouse=True)
def days(stored: Stored, clock: Clock) -> None:
    """Two reconciled days, two weeks apart; of the newer one 40 transactions."""
    for day in (date(2026, 11, 23), date(2026, 11, 9)):
        summary: dict[str, Any] = {"day": day.isoformat(), "reconciled_at": "2026-11-24T04:00:00.000Z", "final": True}
        totals: dict[str, Any] = {"ours": {}, "not_ours": {}, "net": {}, "payouts": [], "differences": []}
        ledger_files.write_day(LedgerDay(**summary, **totals, transactions=40))
    ledger_files.write_rows(date(2026, 11, 23), [{"transaction": f"txn_{number}"} for number in range(40)])


def get(path: str, **query: str) -> Any:
    return call("GET", f"/payments-ledger{path}", claims=OPERATOR, query=query, function=handler)


def test_days_are_listed_newest_first_two_weeks_at_a_time() -> None:
    newest = get("").body
    assert [day["day"] for day in newest["days"]] == ["2026-11-23"]
    older = get("", before=newest["before"]).body
    assert [day["day"] for day in older["days"]] == ["2026-11-09"]


def test_a_day_is_read_with_its_totals() -> None:
    assert get("/2026-11-23").body["transactions"] == 40


@pytest.mark.parametrize(("path", "error"), [("/2026-11-24", (404, "NOT_FOUND")), ("/today", (400, "INVALID_REQUEST"))])
def test_a_day_that_does_not_exist_or_is_none_is_refused(path: str, error: tuple[int, str]) -> None:
    assert get(path).error == get(f"{path}/transactions").error == error


def test_transactions_are_read_in_parts_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = get("/2026-11-23/transactions").body
    assert "next" not in whole
    monkeypatch.setattr(ledger_files, "PART", 300)
    text, offset = "", 0
    while offset is not None:
        part = get("/2026-11-23/transactions", offset=str(offset)).body
        text, offset = text + part["csv"], part.get("next")
    assert text == whole["csv"]
    assert text.count("txn_") == 40
    assert get("/2026-11-23/transactions", offset="999999").error == (404, "NOT_FOUND")
