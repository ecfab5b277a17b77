"""Refunds and disputes."""

from typing import Any

import pytest
import stripe

from tests.harness.tables import in_table
from tests.local.fake_stripe.conftest import Account


@pytest.fixture
def paid_with(account: Account) -> Any:
    def paid_with(card: str) -> str:
        session = account.create_session()
        account.pay(session, card)
        return str(account.sessions.retrieve(session.id).payment_intent)

    return paid_with


def refusal(account: Account, **params: Any) -> Any:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        account.v1.refunds.create(params)  # type: ignore[arg-type]
    return caught.value


def charge_of(account: Account, payment_intent: str) -> Any:
    return account.v1.payment_intents.retrieve(payment_intent, {"expand": ["latest_charge"]}).latest_charge


def test_a_full_refund_by_payment_intent(account: Account, paid: Any) -> None:
    refund = account.v1.refunds.create({"payment_intent": paid.id, "metadata": {"refund_id": "REF-1"}})
    assert (refund.status, refund.amount, refund.currency, refund.payment_intent) == (
        "succeeded",
        30_000,
        "eur",
        paid.id,
    )
    assert refund.charge == paid.latest_charge
    charge = charge_of(account, paid.id)
    assert (charge.amount_refunded, charge.refunded) == (30_000, True)
    account.wait_until_idle()
    assert account.receiver.of("refund.created")[0]["metadata"] == {"refund_id": "REF-1"}
    assert account.receiver.of("charge.refunded")[0]["amount_refunded"] == 30_000


def test_partial_refunds_by_charge_add_up(account: Account, paid: Any) -> None:
    for amount in (10_000, 5_000):
        assert account.v1.refunds.create({"charge": paid.latest_charge, "amount": amount}).amount == amount
    charge = charge_of(account, paid.id)
    assert (charge.amount_refunded, charge.refunded) == (15_000, False)
    rest = account.v1.refunds.create({"payment_intent": paid.id})
    assert rest.amount == 15_000


def test_a_refund_above_the_rest_is_refused_without_a_code(account: Account, paid: Any) -> None:
    account.v1.refunds.create({"payment_intent": paid.id, "amount": 20_000})
    error = refusal(account, payment_intent=paid.id, amount=10_001)
    assert (error.http_status, error.code, error.param) == (400, None, "amount")
    assert "greater than unrefunded amount" in str(error)


def test_a_refunded_charge_has_its_own_error_code(account: Account, paid: Any) -> None:
    account.v1.refunds.create({"payment_intent": paid.id})
    assert refusal(account, payment_intent=paid.id).code == "charge_already_refunded"
    assert refusal(account, payment_intent=paid.id, amount=1).code == "charge_already_refunded"


@in_table()
def test_wrong_parameters_are_refused(
    account: Account, paid: Any, params: Any, param: str | None, code: str | None
) -> None:
    given = {name: paid.id if value == "PAID" else value for name, value in params.items()}
    error = refusal(account, **given)
    assert (error.param, error.code) == (param, code)
    assert account.v1.refunds.list({"payment_intent": paid.id}).data == []


def test_an_unpaid_payment_intent_cannot_be_refunded(account: Account, paid_with: Any) -> None:
    payment_intent = paid_with("4000000000000002")
    assert "does not have a successful charge" in str(refusal(account, payment_intent=payment_intent))
    charge = account.v1.payment_intents.retrieve(payment_intent).latest_charge
    assert "not successful" in str(refusal(account, charge=charge))


def test_refunds_are_listed_by_payment_intent_with_their_metadata(account: Account, paid: Any) -> None:
    account.v1.refunds.create({"payment_intent": paid.id, "amount": 1, "metadata": {"refund_id": "REF-1"}})
    account.v1.refunds.create({"payment_intent": paid.id, "amount": 2, "metadata": {"refund_id": "REF-2"}})
    found = account.v1.refunds.list({"payment_intent": paid.id}).data
    assert [refund.metadata["refund_id"] for refund in found if refund.metadata] == ["REF-2", "REF-1"]
    assert account.v1.refunds.list({"payment_intent": "pi_other"}).data == []
    assert account.v1.refunds.retrieve(found[0].id).amount == 2


def test_the_card_with_pending_refunds(account: Account, paid_with: Any) -> None:
    payment_intent = paid_with("4000000000007726")
    refund = account.v1.refunds.create({"payment_intent": payment_intent, "amount": 100})
    assert refund.status == "pending"
    # The sum of the charge leaves pending refunds out, but they count against what is left.
    assert charge_of(account, payment_intent).amount_refunded == 0
    assert "unrefunded amount" in str(refusal(account, payment_intent=payment_intent, amount=29_901))

    account.fake.clock.advance(3601)
    assert account.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert charge_of(account, payment_intent).amount_refunded == 100
    account.wait_until_idle()
    assert [seen["status"] for seen in account.receiver.of("refund.updated")] == ["succeeded"]
    assert len(account.receiver.of("charge.refunded")) == 1


def test_the_card_with_refunds_that_fail_later(account: Account, paid_with: Any) -> None:
    payment_intent = paid_with("4000000000005126")
    refund = account.v1.refunds.create({"payment_intent": payment_intent})
    assert refund.status == "succeeded"
    assert charge_of(account, payment_intent).refunded is True

    account.fake.clock.advance(3601)
    failed = account.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    charge = charge_of(account, payment_intent)
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    account.wait_until_idle()
    assert [seen["status"] for seen in account.receiver.of("refund.failed")] == ["failed"]

    account.fake.clock.advance(1)
    again = account.v1.refunds.create({"payment_intent": payment_intent})
    assert again.status == "succeeded"


@pytest.mark.parametrize("later", ["succeeded", "failed", "canceled", "requires_action"])
def test_a_pending_refund_can_be_settled(account: Account, paid: Any, later: Any) -> None:
    account.fake.refund_status = "pending"
    refund = account.v1.refunds.create({"payment_intent": paid.id})
    assert (refund.status, refund.pending_reason) == ("pending", "insufficient_funds")
    assert account.fake.settle_refund(refund.id, later)["status"] == later
    assert account.v1.refunds.retrieve(refund.id).status == later
    account.wait_until_idle()
    assert [seen["status"] for seen in account.receiver.of("refund.updated")] == [later]


def test_a_refund_can_fail_at_once_for_lack_of_funds(account: Account, paid: Any) -> None:
    account.fake.refund_status = "failed"
    refund = account.v1.refunds.create({"payment_intent": paid.id})
    assert (refund.status, refund.failure_reason) == ("failed", "insufficient_funds")
    assert {"refund.created", "refund.failed"} <= set(account.delivered())
    account.fake.refund_status = None
    assert account.v1.refunds.create({"payment_intent": paid.id}).amount == 30_000


def test_a_refund_makes_only_transitions_that_stripe_makes(account: Account, paid: Any) -> None:
    refund = account.v1.refunds.create({"payment_intent": paid.id})
    with pytest.raises(ValueError, match="succeeded cannot become pending"):
        account.fake.settle_refund(refund.id, "pending")


def test_a_dashboard_refund_has_no_metadata(account: Account, paid: Any) -> None:
    refund = account.fake.dashboard_refund(paid.id, 12_000)
    assert account.v1.refunds.retrieve(refund["id"]).to_dict()["metadata"] == {}
    account.wait_until_idle()
    (created,) = [event for event in account.receiver.events if event["type"] == "refund.created"]
    assert created["request"] == {"id": None, "idempotency_key": None}
    assert account.v1.refunds.create({"payment_intent": paid.id}).amount == 18_000


def test_a_disputed_charge_can_be_refunded_only_after_the_dispute_is_won(account: Account, paid: Any) -> None:
    dispute = account.fake.open_dispute(paid.id)
    assert (dispute["status"], dispute["amount"], dispute["payment_intent"]) == ("needs_response", 30_000, paid.id)
    assert charge_of(account, paid.id).disputed is True
    assert refusal(account, payment_intent=paid.id).code == "charge_disputed"
    assert [found.id for found in account.v1.disputes.list({"payment_intent": paid.id}).data] == [dispute["id"]]

    assert account.fake.close_dispute(dispute["id"], "won")["status"] == "won"
    assert account.v1.disputes.retrieve(dispute["id"]).status == "won"
    assert account.v1.refunds.create({"payment_intent": paid.id}).status == "succeeded"
    assert {
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    } <= set(account.delivered())


def test_a_lost_dispute_prevents_refunds(account: Account, paid: Any) -> None:
    account.fake.close_dispute(account.fake.open_dispute(paid.id)["id"], "lost")
    assert refusal(account, payment_intent=paid.id).code == "charge_disputed"


@pytest.mark.defect("R-06")
def test_an_inquiry_leaves_refunds_possible_until_it_is_escalated(account: Account, paid: Any) -> None:
    inquiry = account.fake.open_dispute(paid.id, status="warning_needs_response")
    assert inquiry["is_charge_refundable"] is True
    assert account.v1.refunds.create({"payment_intent": paid.id, "amount": 1}).status == "succeeded"
    assert account.fake.escalate_inquiry(inquiry["id"])["status"] == "needs_response"
    assert refusal(account, payment_intent=paid.id).code == "charge_disputed"
    with pytest.raises(ValueError, match="not an open inquiry"):
        account.fake.escalate_inquiry(inquiry["id"])
    with pytest.raises(ValueError, match="cannot be warning_closed"):
        account.fake.close_dispute(inquiry["id"], "warning_closed")


def test_the_card_that_is_disputed_later(account: Account, paid_with: Any) -> None:
    payment_intent = paid_with("4000000000000259")
    assert account.v1.disputes.list().data == []
    account.fake.clock.advance(3601)
    assert [dispute.payment_intent for dispute in account.v1.disputes.list().data] == [payment_intent]
