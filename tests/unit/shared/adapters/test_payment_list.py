"""shared.adapters.payment_list: the steps in which all payments are read."""

from datetime import timedelta

from shared.adapters.payment_list import ALL, read_rows, read_step
from tests.harness.builders import NOW, payment
from tests.harness.stored_tables import Stored


def test_a_step_reads_50_payments_with_their_reservations(stored: Stored) -> None:
    for number in range(60):
        made = NOW - timedelta(minutes=number)
        stored.payment(payment(payment_id=f"PAY-R{number}", reservation_id=f"R{number}", created_at=made))
    stored.put("reservations", {"reservation_id": "R0", "status": "pending"})
    rows, after = read_step(ALL, start="0", end="9", after=None)
    assert [item["reservation_id"] for item, _ in rows] == [f"R{number}" for number in range(50)]
    assert [reservation.get("status") for _, reservation in rows[:2]] == ["pending", None]
    rest, end = read_step(ALL, start="0", end="9", after=after)
    assert ([item["reservation_id"] for item, _ in rest], end) == ([f"R{number}" for number in range(50, 60)], None)


def test_ids_that_do_not_exist_have_no_row(stored: Stored) -> None:
    assert read_rows([]) == []
    assert read_rows(["PAY-none"]) == []
