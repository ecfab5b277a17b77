"""shared.domain.stripe_values: Stripe's objects, of which only what we read is kept."""

from shared.domain.stripe_values import StripeRefund


def test_fields_that_we_do_not_read_are_left_out() -> None:
    refund = StripeRefund.model_validate(
        {"id": "re_1", "payment_intent": "pi_1", "status": "pending", "amount": 500, "reason": "duplicate"}
    )
    assert refund.model_dump(exclude_defaults=True) == {
        "id": "re_1",
        "payment_intent": "pi_1",
        "status": "pending",
        "amount": 500,
    }
