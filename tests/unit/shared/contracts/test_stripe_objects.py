"""shared.contracts.stripe_objects: what is read from an event, whoever wrote it."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.stripe_objects import StripeEvent
from tests.harness.tables import in_table


def event(**of: Any) -> StripeEvent:
    return StripeEvent.model_validate({"id": "evt_1", "type": "refund.created", "data": {"object": of}})


@in_table()
def test_the_payment_intent_of_an_object(of: dict[str, Any], expected: str | None) -> None:
    assert event(**of).payment_intent == expected


def test_only_a_checkout_session_has_the_id_of_one() -> None:
    assert event(object="checkout.session", id="cs_1").checkout_session == "cs_1"
    assert event(object="checkout.session", id=7).checkout_session is None
    assert event(object="charge", id="ch_1").checkout_session is None


def test_metadata_is_text_or_left_out() -> None:
    assert event(metadata={"payment_id": "PAY-RES-1", "attempt": 1}).metadata == {"payment_id": "PAY-RES-1"}
    assert event(metadata=["payment_id"]).metadata == {}


@pytest.mark.parametrize("wrong", [{"id": "evt 1"}, {"id": "in_1"}, {"type": ""}, {"data": {}}, {"created": "now"}])
def test_what_is_not_an_event_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StripeEvent.model_validate({"id": "evt_1", "type": "refund.created", "data": {"object": {}}} | wrong)
