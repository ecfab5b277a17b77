"""shared.contracts.booking_events: every event says which fact it is about, with ids, amounts and times."""

import pytest
from pydantic import ValidationError

from shared.contracts.booking_events import EVENTS, BookingCancelled, BookingEvent, PaymentConfirmed
from shared.domain.models import iso
from tests.harness.builders import NOW, SECOND, payment

PAID = payment(customer_id="guest-1")


def test_the_same_fact_has_the_same_id_at_any_time() -> None:
    fields = {"payment_intent": "pi_1", "amount": 500, "currency": "EUR"}
    first, again = (PaymentConfirmed.about(PAID, "", at, **fields) for at in (NOW, NOW + SECOND))
    assert first.event_id == again.event_id == "PaymentConfirmed-PAY-RES-1"
    assert (first.version, first.at, first.customer_id) == (1, iso(NOW), "guest-1")


@pytest.mark.parametrize("wrong", [{"refund_amount": -1}, {"refund_amount": "1"}, {"email": "ada@guests.example"}])
def test_no_event_has_a_wrong_type_an_amount_below_zero_or_an_unknown_field(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"payment_intent": "pi_1", "refund_id": "G1", "refund_amount": 1}
    BookingCancelled.about(PAID, "", NOW, **fields)
    with pytest.raises(ValidationError):
        BookingCancelled.about(PAID, "", NOW, **{**fields, **wrong})


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_described(name: str) -> None:
    schema = EVENTS[name].model_json_schema()
    assert schema["description"]
    of_a_booking = {"reservation_id", "payment_id"} if issubclass(EVENTS[name], BookingEvent) else set()
    assert {"version", "event_id", "at"} | of_a_booking <= schema["properties"].keys()
