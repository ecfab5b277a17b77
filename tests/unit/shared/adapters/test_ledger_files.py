"""shared.adapters.ledger_files: what is written of a day is read as it was written, and what is missing is none."""

from datetime import date

import pytest
from botocore.exceptions import ClientError

from shared.adapters import ledger_files
from shared.contracts.ledger_summary import DayProgress
from shared.domain.errors import StoreBusy
from tests.harness.stored_tables import Stored

DAY, NEXT = date(2026, 11, 24), date(2026, 11, 25)


def test_what_does_not_exist_is_none_or_empty(stored: Stored) -> None:
    assert ledger_files.read_day(DAY) is None
    assert ledger_files.read_progress(DAY) is None
    assert (ledger_files.payouts_of(DAY), ledger_files.days_since(DAY)) == ([], {})


def test_progress_is_kept_until_the_day_is_finished(stored: Stored) -> None:
    progress = DayProgress(started_at="2026-11-25T04:00:00.000Z", matched={"ch_1"}, paid_out={"po_1": False})
    ledger_files.write_progress(DAY, progress)
    assert ledger_files.read_progress(DAY) == progress
    for _ in range(2):
        ledger_files.write_progress(DAY, None)
    assert ledger_files.read_progress(DAY) is None


def test_days_are_listed_with_the_payouts_that_contain_their_money(stored: Stored) -> None:
    ledger_files.write_rows(DAY, [])
    ledger_files.write_payout(DAY, "po_1", {"txn_2", "txn_1"})
    ledger_files.write_payout(NEXT, "po_2", {"txn_3"})
    assert ledger_files.days_since(DAY) == {DAY: {"po_1"}, NEXT: {"po_2"}}
    assert ledger_files.days_since(NEXT) == {NEXT: {"po_2"}}
    assert ledger_files.payouts_of(DAY) == ["po_1"]
    assert ledger_files.read_payout(DAY, "po_1") == ["txn_1", "txn_2"]


def test_an_s3_that_is_busy_is_tried_again_later(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_files, "_client", BusyClient)
    with pytest.raises(StoreBusy, match="SlowDown"):
        ledger_files.read_day(DAY)


class BusyClient:
    def get_object(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "GetObject")
