"""shared.services.ledger_run: money that no pointer leads to, and a run that stops and goes on."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import ledger_files, payment_batches, stripe_balance
from shared.contracts.ledger_summary import DayProgress
from shared.services import ledger_run
from shared.services.ledger_run import DayRun
from tests.harness.builders import NOW, attempt, capture, paid
from tests.harness.stored_tables import Stored
from tests.harness.stripe_in_process import open_session

TODAY = date(2026, 11, 24)
NAMED = {"stack": "booking-test", "payment_id": "PAY-RES-1", "reservation_id": "RES-1"}


def run(times: Iterator[bool] = iter(()), day: date = TODAY) -> DayProgress:  # noqa: B008 - an empty one says never
    progress = DayProgress(started_at="2026-11-25T04:00:00.000Z")
    while not DayRun(day, progress, lambda: next(times, False)).work():
        progress = DayProgress.model_validate_json(progress.model_dump_json())
    return progress


def kinds(progress: DayProgress) -> list[tuple[str, str | None]]:
    return [(one.kind, one.payment_id) for one in progress.differences.values()]


def test_metadata_of_ours_on_money_without_our_session_is_not_ours(stored: Stored, stripe_account: FakeStripe) -> None:
    stored.payment(paid(captures={}))
    stripe_account.charge_elsewhere(amount=700, metadata=NAMED)
    progress = run()
    assert (progress.ours, kinds(progress)) == ({}, [])
    assert progress.not_ours["EUR"]["charge"].gross == 700


def test_money_that_names_a_payment_which_is_lost_is_a_difference_without_a_booking(
    stored: Stored, stripe_account: FakeStripe
) -> None:
    stripe_account.charge_elsewhere(amount=700, metadata=NAMED)
    assert kinds(run()) == [("entry_missing", None)]


def test_money_of_a_session_of_ours_is_ours_although_no_event_has_come(
    stored: Stored, stripe_account: FakeStripe
) -> None:
    session = open_session()
    stored.payment(paid(captures={}, attempts={"1": attempt(stripe_checkout_session_id=session)}))
    stripe_account.pay(session)
    progress = run()
    assert kinds(progress) == [("entry_missing", "PAY-RES-1")]
    assert progress.ours["EUR"]["charge"].count == 1


def paid_bookings(stored: Stored, stripe: FakeStripe, number: int) -> None:
    for count in range(number):
        intent = stripe.charge_elsewhere(amount=1000)
        pi, payment_id = intent["id"], f"PAY-RES-{count}"
        stored.put("payments", {"payment_id": pi, "belongs_to": payment_id, "attempt": "1"})
        own = capture(amount=1000, charge=intent["latest_charge"], captured_at=NOW)
        stored.payment(paid(payment_id=payment_id, reservation_id=f"RES-{count}", captures={pi: own}))
        day = {"payment_id": f"{TODAY}#{payment_id}", "money_day": TODAY.isoformat()}
        stored.put("payments", {**day, "recorded_at": f"2026-11-24T15:00:00.{count:03}Z"})


def test_a_run_that_is_cut_short_goes_on_where_it_stopped(
    stored: Stored, stripe_account: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid_bookings(stored, stripe_account, 7)
    monkeypatch.setattr(stripe_balance, "MAX_LISTED", 2)
    monkeypatch.setattr(ledger_run, "BATCH", 2)
    assert payment_batches.BATCH == 100
    whole = run()
    assert len(whole.rows) == 7
    read = len(stripe_account.requests)
    parts = run(iter([False, True] * 20))
    assert parts == whole
    assert len(stripe_account.requests) - read == read  # no page is read twice


def pay_out(stripe_account: FakeStripe) -> list[dict[str, Any]]:
    """The payouts of all charges, made once they are available."""
    stripe_account.clock.advance(4 * 86_400)
    payouts = stripe_account.pay_out()
    stripe_account.clock.advance(-4 * 86_400)
    return payouts


def pay_out_one_charge(stripe_account: FakeStripe) -> tuple[dict[str, Any], dict[str, Any]]:
    """The payout of a charge, and its balance transaction."""
    stripe_account.charge_elsewhere(amount=1000)
    (payout,) = pay_out(stripe_account)
    (paid_out,) = stripe_account.all("balance_transaction", lambda one: bool(one["source"] == payout["id"]))
    return payout, paid_out


def test_a_payout_that_is_listed_twice_is_a_difference(stored: Stored, stripe_account: FakeStripe) -> None:
    payout, paid_out = pay_out_one_charge(stripe_account)
    paid_out["created"] = int(NOW.timestamp())
    stripe_account.add({**paid_out, "id": "txn_again"})
    assert [one.subject for one in run().differences.values()] == [payout["id"]]


def test_each_payout_of_a_day_is_recorded_with_all_of_its_contents(
    stored: Stored, stripe_account: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second payout is read from its own newest transaction on, whatever the first one ends with."""
    monkeypatch.setattr(stripe_balance, "MAX_LISTED", 2)
    charges = [stripe_account.charge_elsewhere(amount=1000, currency=of) for of in ("eur", "usd", "eur", "eur")]
    payouts = pay_out(stripe_account)
    by_charge = {one["source"]: one["id"] for one in stripe_account.all("balance_transaction")}
    contents = {
        payout["id"]: sorted(by_charge[of["latest_charge"]] for of in charges if of["currency"] == payout["currency"])
        for payout in payouts
    }
    run(day=date(2026, 11, 28))
    assert sorted(map(len, contents.values())) == [1, 3]
    assert {payout: ledger_files.read_payout(TODAY, payout) for payout in ledger_files.payouts_of(TODAY)} == contents


def test_a_payout_that_is_reversed_is_recorded_as_returned(stored: Stored, stripe_account: FakeStripe) -> None:
    """Its own status stays `paid`."""
    payout, paid_out = pay_out_one_charge(stripe_account)
    reversal = {"id": "txn_reversal", "reporting_category": "payout_reversal", "created": int(NOW.timestamp())}
    stripe_account.add(paid_out | reversal)
    run()
    assert ledger_files.payouts_of(TODAY) == [f"{payout['id']}-returned"]
