"""shared.domain.booking: how the platform's items are read."""

from datetime import date, timedelta
from typing import Any

import pytest

from shared.domain.booking import Reservation, end_reason, payment_of
from tests.harness.builders import NOW, booking, payment, reservation
from tests.harness.tables import in_table


@pytest.mark.defect("D-35")
def test_money_is_never_a_float() -> None:
    with pytest.raises(ValueError, match="total_amount"):
        Reservation.model_validate({**reservation().model_dump(), "total_amount": 112_500.0})


def test_the_night_of_departure_is_not_part_of_the_stay() -> None:
    assert reservation(check_in=date(2026, 12, 30), check_out=date(2027, 1, 2)).nights == [
        "2026-12-30",
        "2026-12-31",
        "2027-01-01",
    ]


@pytest.mark.parametrize("nights", [0, -1, 91])
def test_a_stay_has_1_to_90_nights(nights: int) -> None:
    of = reservation(check_in=date(2026, 12, 1), check_out=date(2026, 12, 1) + timedelta(days=nights))
    with pytest.raises(ValueError, match="must be 1 to 90"):
        _ = of.nights


def test_a_booking_without_a_payment_item_has_no_payment() -> None:
    assert payment_of(booking(payment())) == payment()
    with pytest.raises(LookupError, match="no payment item for reservation RES-1"):
        payment_of(booking(None))


@pytest.mark.parametrize(
    "lines", ["breakfast", [{"label": "Stay", "amount": -1}], [{"label": "", "amount": 1}], [{"amount": 1}], {"a": 1}]
)
def test_lines_that_cannot_be_shown_are_left_out(lines: object) -> None:
    item = reservation().model_dump() | {"line_items": lines}
    assert Reservation.model_validate(item).line_items is None


CANCELLED = {"status": "expired", "cancel_requested_at": NOW}


@in_table()
def test_why_a_payment_has_ended(of: dict[str, Any], status: str, reason: str | None) -> None:
    assert end_reason(reservation(status=status), payment(**of)) == reason
