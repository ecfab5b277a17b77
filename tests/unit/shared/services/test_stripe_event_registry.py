"""shared.services.stripe_event_registry: which types of event are handled, and by whom."""

import io

import pytest

from shared.contracts.stripe_objects import StripeEvent, StripeRefundObject
from shared.domain.api_errors import ApiError
from shared.services.stripe_event_registry import HANDLERS, EventHandler, Outcome, handles, read_object
from shared.services.stripe_events import HANDLED


def test_every_handled_type_has_its_function() -> None:
    """The endpoint at Stripe subscribes to exactly these types."""
    assert {name: handler.__name__ for name, handler in HANDLERS.items()} == {
        "charge.dispute.closed": "process_dispute",
        "charge.dispute.created": "process_dispute",
        "charge.dispute.funds_reinstated": "process_dispute",
        "charge.dispute.funds_withdrawn": "process_dispute",
        "charge.dispute.updated": "process_dispute",
        "charge.refunded": "process_refunded_charge",
        "checkout.session.async_payment_failed": "process_end",
        "checkout.session.async_payment_succeeded": "process_money",
        "checkout.session.completed": "process_money",
        "checkout.session.expired": "process_end",
        "payment_intent.payment_failed": "process_decline",
        "payment_intent.succeeded": "process_money",
        "refund.created": "process_refund",
        "refund.failed": "process_refund",
        "radar.early_fraud_warning.created": "process_fraud_warning",
        "refund.updated": "process_refund",
    }
    assert set(HANDLERS) == HANDLED


def test_a_function_is_registered_for_each_of_its_types(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: dict[str, EventHandler] = {}
    monkeypatch.setattr("shared.services.stripe_event_registry.HANDLERS", registered)

    @handles("a", "b")
    def handler(*_: object) -> Outcome:
        return "skipped", "known"

    assert registered == {"a": handler, "b": handler}


def test_an_object_of_another_kind_is_refused_and_stays_out_of_the_log(log: io.StringIO) -> None:
    of = {"id": "re_1", "status": "ada@guests.example", "amount": 5, "payment_intent": "pi_1"}
    event = StripeEvent.model_validate({"id": "evt_1", "type": "refund.created", "data": {"object": of}})
    with pytest.raises(ApiError) as raised:
        read_object(StripeRefundObject, event)
    assert (raised.value.answer.status, raised.value.answer.code) == (400, "INVALID_PAYLOAD")
    assert '"fields":["status"]' in log.getvalue()
    assert "ada@guests.example" not in log.getvalue()
