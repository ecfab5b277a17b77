"""shared.services.ledger_closing: which days are reconciled, and what is written and published of each."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import ledger_files, payment_items
from shared.contracts.ledger_summary import LedgerDay
from shared.domain.models import Matter
from shared.services.ledger_closing import DAYS, days_to_reconcile, reconcile_day
from tests.harness.builders import MINUTE, NOW, capture, paid
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.frozen_clock import Clock
from tests.harness.stored_tables import Stored

DAY = timedelta(days=1)
TODAY = NOW.date()
TOMORROW = NOW + DAY


def summary(day: date = TODAY) -> LedgerDay:
    done = reconcile_day(day, lambda: False, TOMORROW)
    assert done is not None
    return done


def published(aws: FakeAws) -> list[dict[str, Any]]:
    """The details of the published events."""
    return [json.loads(json.loads(entries)[0]["Detail"]) for entries in aws.passed_on["an event"]]


@pytest.fixture
def wrong(stored: Stored, stripe_account: FakeStripe, fake_aws: FakeAws) -> str:
    """A booking whose capture has another amount than Stripe's charge; its PaymentIntent."""
    intent = stripe_account.charge_elsewhere(amount=1000)
    pi = str(intent["id"])
    stored.put("payments", {"payment_id": pi, "belongs_to": "PAY-RES-1", "attempt": "1"})
    own = capture(amount=999, charge=intent["latest_charge"], captured_at=NOW)
    stored.payment(paid(status="completed", captures={pi: own}))
    return pi


def test_every_day_of_the_last_weeks_is_reconciled_once(
    stored: Stored, stripe_account: FakeStripe, fake_aws: FakeAws, clock: Clock
) -> None:
    days = list(days_to_reconcile(TOMORROW))
    assert (days[0], len(days)) == (TODAY, DAYS)
    summary()
    assert list(days_to_reconcile(TOMORROW)) == days[1:]


@pytest.mark.parametrize("late", [False, True])
def test_an_entry_that_is_recorded_late_reopens_its_day(
    *, late: bool, stored: Stored, stripe_account: FakeStripe, fake_aws: FakeAws
) -> None:
    summary()
    recorded = "2026-11-25T16:00:00.000Z" if late else "2026-11-24T16:00:00.000Z"
    day = {"payment_id": f"{TODAY}#PAY-RES-9", "money_day": TODAY.isoformat(), "recorded_at": recorded}
    stored.put("payments", day)
    assert (TODAY in days_to_reconcile(TOMORROW + MINUTE)) is late


def test_a_day_with_differences_is_reconciled_again_on_the_next_day_only(wrong: str) -> None:
    assert [one.kind for one in summary().differences] == ["wrong_amount"]
    assert TODAY not in days_to_reconcile(TOMORROW + MINUTE)
    assert TODAY in days_to_reconcile(TOMORROW + DAY)


def test_a_difference_opens_a_matter_with_both_sides_and_closes_it_once_it_is_gone(wrong: str, stored: Stored) -> None:
    (difference,) = summary().differences
    (matter,) = stored.get("payments", "PAY-RES-1")["attention"].values()
    assert matter["detail"] == (
        f"wrong_amount on 2026-11-24: Stripe has charge {difference.subject} of 1000 EUR cents on 2026-11-24; "
        "the ledger has capture: 999 EUR cents"
    )
    captures = stored.get("payments", "PAY-RES-1")["captures"]
    captures[wrong] |= {"amount": 1000}
    stored.change("PAY-RES-1", captures=captures)
    assert summary().differences == []
    assert "attention" not in stored.get("payments", "PAY-RES-1")
    assert [entry["action"] for entry in stored.all("audit")] == ["matter_closed"]


def test_a_matter_that_an_operator_has_closed_is_not_opened_again(wrong: str, stored: Stored) -> None:
    summary()
    payment = payment_items.read_payment("PAY-RES-1")
    assert payment is not None
    payment_items.close_matters(payment, payment.attention.keys(), note="known", now=TOMORROW)
    assert len(summary().differences) == 1
    assert "attention" not in stored.get("payments", "PAY-RES-1")
    payment_items.open_matter("PAY-RES-1", Matter(kind="ledger_mismatch", subject="of-another-day", since=NOW))
    summary()
    assert len(stored.get("payments", "PAY-RES-1")["attention"]) == 1


def test_the_same_result_is_published_under_the_same_id(wrong: str, stored: Stored, fake_aws: FakeAws) -> None:
    for _ in range(2):
        summary()
    first, second = published(fake_aws)
    assert first["event_id"] == second["event_id"]
    assert {name: first[name] for name in ("day", "transactions", "differences", "net")} == {
        "day": "2026-11-24",
        "transactions": 1,
        "differences": 1,
        "net": {"EUR": 960},
    }


def test_a_day_that_is_not_over_is_written_and_nothing_else(wrong: str, stored: Stored, fake_aws: FakeAws) -> None:
    done = reconcile_day(TODAY, lambda: False, NOW)
    assert done is not None
    assert (done.final, len(done.differences)) == (False, 1)
    assert stored.get("payments", "PAY-RES-1")["attention"] == {}
    assert published(fake_aws) == []
    assert TODAY in days_to_reconcile(TOMORROW)


def test_a_payout_fills_its_column_and_one_that_the_bank_returned_empties_it(wrong: str) -> None:
    def payout() -> str:
        text = ledger_files._read(f"days/{TODAY}/transactions.csv") or ""
        header, row = text.splitlines()
        return row.split(",")[header.split(",").index("payout")]

    summary()
    assert payout() == ""
    transaction = (ledger_files._read(f"days/{TODAY}/transactions.csv") or "").strip().rpartition(",")[2]
    ledger_files.write_payout(TODAY, "po_1", [transaction])
    assert TODAY in days_to_reconcile(TOMORROW)
    summary()
    assert payout() == "po_1"
    ledger_files.write_payout(TODAY, "po_1-returned", [transaction])
    ledger_files.write_payout(TODAY, "po_2", [transaction])
    assert [one.kind for one in summary().differences] == ["wrong_amount"]
    assert payout() == "po_2"
    ledger_files.write_payout(TODAY, "po_3", [transaction])
    assert sorted(one.kind for one in summary().differences) == ["paid_out_twice", "wrong_amount"]
