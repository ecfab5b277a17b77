"""shared.adapters.ledger_days: the days on which a payment's ledger changed are found by an index."""

from datetime import date, timedelta

from shared.adapters import ledger_days, payment_items, refund_ledger
from shared.domain.models import Dispute
from tests.harness.builders import HOUR, MINUTE, NOW, SECOND, capture, paid, paying, refund
from tests.harness.stored_tables import Stored

TODAY, YESTERDAY = date(2026, 11, 24), date(2026, 11, 23)


def of_day(day: date, since: str = "0") -> list[str]:
    return [payment_id for payment_id, _ in ledger_days.payments_of_day(day, since=since)]


def test_a_capture_is_of_the_day_on_which_stripe_took_it(stored: Stored) -> None:
    before = paying()
    stored.payment(before)
    late = capture(captured_at=NOW - timedelta(days=1))
    for _ in range(2):
        payment_items.record_capture(before, "pi_1", late, "1", now=NOW)
    assert (of_day(YESTERDAY), of_day(TODAY)) == (["PAY-RES-1"], [])


def test_a_refund_is_of_the_day_on_which_it_settles_and_a_dispute_of_its_opening(stored: Stored) -> None:
    before = paid(refunds={"G1": refund()}, status="completed", captures={"pi_1": capture(role="booking")})
    stored.payment(before)
    pending = refund(status="requires_action")
    assert refund_ledger.update_refund(before, "G1", pending, now=NOW)
    assert of_day(TODAY) == []
    before = payment_items.read_payment("PAY-RES-1") or before
    settled = refund(status="succeeded", settled_at=NOW)
    assert refund_ledger.update_refund(before, "G1", settled, now=NOW)
    assert of_day(TODAY) == ["PAY-RES-1"]
    before = payment_items.read_payment("PAY-RES-1") or before
    opened = NOW - timedelta(days=1)
    dispute = Dispute(status="needs_response", payment_intent="pi_1", amount=500, opened_at=opened)
    assert refund_ledger.record_dispute(before, "du_1", dispute, now=NOW)
    assert of_day(YESTERDAY) == ["PAY-RES-1"]


def test_two_captures_of_one_day_are_one_item(stored: Stored) -> None:
    made = ledger_days.ledger_day_operations("PAY-RES-1", [NOW, NOW - HOUR, NOW - timedelta(days=1)], now=NOW)
    assert [operation["Update"]["Key"]["payment_id"] for operation in made] == [
        {"S": "2026-11-23#PAY-RES-1"},
        {"S": "2026-11-24#PAY-RES-1"},
    ]


def test_an_entry_that_is_recorded_late_is_noticed(stored: Stored) -> None:
    stored.payment(paying())
    payment_items.record_capture(paying(), "pi_1", capture(), "1", now=NOW)
    assert ledger_days.recorded_since(TODAY, NOW - SECOND)
    assert not ledger_days.recorded_since(TODAY, NOW)
    assert not ledger_days.recorded_since(YESTERDAY, NOW - SECOND)
    assert of_day(TODAY, since="2026-11-24T15:00:00.000Z") == ["PAY-RES-1"]
    assert of_day(TODAY, since="2026-11-24T15:00:00.001Z") == []
    assert not ledger_days.recorded_since(TODAY, NOW + MINUTE)
