"""shared.services.refund_events: our own refunds, and those made in Stripe's dashboard.

Each event is delivered to the webhook, signed.
"""

from typing import Any

import pytest

from shared.adapters import payment_items, refund_ledger
from tests.harness.builders import TOTAL, capture, payment, refund
from tests.harness.fake_aws_clients import client_error
from tests.harness.tables import in_table
from tests.harness.webhook_deliveries import OURS, Json, Webhook, add_to, dashboard_event, deliver

OWN: Json = {"status": "completed", "captures": {"pi_1": capture(role="booking")}}


@in_table(kind="refund.created", item={}, entries={}, refundable=None, started=[], notified=[])
def test_an_event_about_a_dashboard_refund(webhook: Webhook, case: Json) -> None:
    webhook.stored.payment(case["of"])
    assert deliver(dashboard_event(case["kind"], **case["fields"]))[0] == 200
    item = webhook.item
    assert item | case["item"] == item
    for key, changes in case["entries"].items():
        assert item["refunds"][key] | changes == item["refunds"][key]
    assert case["refundable"] in {None, item["captures"]["pi_1"]["refundable"]}
    assert (webhook.aws.started_names, webhook.aws.notified) == (case["started"], case["notified"])


@pytest.mark.defect("R-07")
@in_table()
def test_a_refund_of_our_money_is_recorded_whoever_made_it(webhook: Webhook, metadata: dict[str, str]) -> None:
    """The PaymentIntent decides where the metadata does not name a refund of ours; RES-2 is another booking."""
    webhook.stored.payment(payment(payment_id="PAY-RES-2", reservation_id="RES-2"))
    captures = {"pi_1": capture(role="booking"), "pi_2": capture(role="unapplied")}
    known = {"G1": refund(payment_intent="pi_2"), "re_0": refund(kind="dashboard", status="succeeded")}
    webhook.store(status="completed", captures=captures, refunds=known, refund_amount=500)
    assert deliver(dashboard_event("refund.created", status="succeeded", metadata=metadata))[0] == 200
    entry = webhook.item["refunds"]["re_1"]
    assert (entry["kind"], entry["amount"], entry["status"]) == ("dashboard", 500, "succeeded")
    assert webhook.aws.idle


@pytest.mark.defect("R-08")
def test_a_dashboard_refund_settles_the_failed_refund_that_it_repeats(webhook: Webhook) -> None:
    """Its amount is reserved by the failed one, so it is counted once; the workflow ends."""
    failed = refund(status="failed", stripe_refund_id="re_0", awaiting="operator", task_token="token")
    captures = {"pi_1": capture(role="booking", refundable=TOTAL - 500)}
    webhook.store(status="completed", captures=captures, refunds={"G1": failed})
    repeat = {"status": "succeeded", "amount": 500}
    assert deliver(dashboard_event("refund.created", status="pending", amount=500))[0] == 200
    assert webhook.item["refunds"]["G1"]["status"] == "failed"
    for number in (2, 3):
        assert deliver(dashboard_event("refund.updated", **repeat) | {"id": f"evt_{number}"})[0] == 200
    item = webhook.item
    assert item["refunds"].keys() == {"G1"}
    entry = item["refunds"]["G1"]
    assert (entry["status"], entry["stripe_refund_id"], entry["amount"]) == ("succeeded", "re_1", 500)
    assert (item["refund_amount"], item["captures"]["pi_1"]["refundable"]) == (500, TOTAL - 500)
    assert webhook.signalled == [("token", "retry")]

    assert deliver(dashboard_event("refund.failed", status="failed") | {"id": "evt_4"})[0] == 200
    assert webhook.aws.started_names == ["failed-re_1"]


@pytest.mark.defect("R-08")
@pytest.mark.parametrize("failed_amount", [500, 400])
def test_a_wait_that_begins_while_its_refund_is_settled_ends(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, failed_amount: int
) -> None:
    """By a dashboard refund of the same amount, or of one that leaves nothing of it."""
    failed = refund(status="failed", stripe_refund_id="re_0", amount=failed_amount)
    captures = {"pi_1": capture(role="booking", amount=500, refundable=500 - failed_amount)}
    webhook.store(status="completed", amount=500, captures=captures, refunds={"G1": failed})
    write = payment_items.update_payment

    def begin_to_wait(payment_id: str, *given: Any) -> bool:
        monkeypatch.setattr(refund_ledger, "update_payment", write)
        waits = webhook.item["refunds"]["G1"] | {"awaiting": "operator", "task_token": "token"}
        webhook.stored.change(payment_id, refunds={"G1": waits})
        return write(payment_id, *given)

    monkeypatch.setattr(refund_ledger, "update_payment", begin_to_wait)
    assert deliver(dashboard_event("refund.updated", status="succeeded", amount=500))[0] == 200
    assert webhook.item["refunds"]["G1"]["status"] != "failed"
    assert webhook.signalled == [("token", "retry")]


@pytest.mark.defect("R-08", "R-09")
def test_operators_are_notified_of_money_returned_twice_when_the_event_is_delivered_again(webhook: Webhook) -> None:
    """The first delivery could not notify them."""
    settled = refund(status="settled_elsewhere", amount=TOTAL, stripe_refund_id="re_0")
    captures = {"pi_1": capture(role="booking", refundable=0)}
    webhook.store(status="refunded", captures=captures, refunds={"G1": settled}, refund_amount=TOTAL)
    webhook.aws.refusals = 1
    event = dashboard_event("refund.created", status="succeeded", amount=400)
    assert [deliver(event)[0] for _ in range(2)] == [503, 200]
    assert webhook.item["refunds"]["re_1"]["status"] == "succeeded"
    assert webhook.aws.notified == ["RefundSettledTwice"]
    assert list(webhook.item["attention"]) == ["refund_settled_twice:re_1"]


@pytest.mark.defect("R-08")
@pytest.mark.parametrize("failed_amount", [500, 400])
def test_a_wait_that_could_not_be_ended_ends_when_the_event_is_delivered_again(
    webhook: Webhook, failed_amount: int
) -> None:
    """By a dashboard refund of the same amount, or of one that leaves nothing of it."""
    waits = {"awaiting": "operator", "task_token": "token"}
    failed = refund(status="failed", stripe_refund_id="re_0", amount=failed_amount, **waits)
    captures = {"pi_1": capture(role="booking", amount=500, refundable=500 - failed_amount)}
    webhook.store(status="completed", amount=500, captures=captures, refunds={"G1": failed})
    webhook.aws.failures = [client_error("ServiceUnavailable")]
    event = dashboard_event("refund.updated", status="succeeded", amount=500)
    assert deliver(event)[0] == 503
    assert webhook.item["refunds"]["G1"]["status"] != "failed"
    for _ in range(2):
        assert deliver(event)[0] == 200
    assert webhook.signalled == [("token", "retry")]

    webhook.aws.waiting = {"token"}
    failed_again = webhook.item["refunds"] | {"G1": webhook.item["refunds"]["G1"] | {"status": "failed"}}
    webhook.stored.change("PAY-RES-1", refunds=failed_again)
    assert deliver(event | {"id": "evt_late"})[0] == 200
    assert webhook.signalled == [("token", "retry")], "only an operator tries a refund again that has failed since"


@pytest.mark.defect("R-09")
@in_table(entry={}, now=None)
def test_operators_are_notified_of_a_refund_that_lives_beside_what_has_settled_it(
    webhook: Webhook, entry: Json, status: str, now: str | None, notified: list[str]
) -> None:
    """`now`: its status at Stripe, if an event comes late."""
    webhook.store(refunds={"G1": refund(**{"status": "settled_elsewhere"} | entry)}, **OWN)
    before = webhook.item["refunds"]
    of = dashboard_event("refund.updated", status=status, metadata=METADATA)
    add_to(webhook.stripe, of, status=now or status)
    for number in (1, 2):
        assert deliver(of | {"id": f"evt_{number}"})[0] == 200
    assert webhook.aws.notified == notified
    assert webhook.item["refunds"] == before


METADATA = OURS | {"refund_id": "G1"}


@pytest.mark.defect("D-13")
@in_table(now="succeeded")
def test_a_refund_whose_answer_was_lost_is_retried_before_an_operator_pays_it_again(
    webhook: Webhook, entry: Json, now: str, status: int, signalled: list[tuple[str, str]]
) -> None:
    """It is recorded as failed although Stripe has completed it; the retry finds it.

    `now`: its status at Stripe, if an event comes late.
    """
    failed = refund(**({"status": "failed", "failure_reason": "unknown"} | entry))
    webhook.store(refunds={"G1": failed}, **OWN)
    before = webhook.item
    of = add_to(webhook.stripe, dashboard_event("refund.updated", status="succeeded", metadata=METADATA), status=now)
    assert deliver(of)[0] == status
    assert (webhook.signalled, webhook.aws.started) == (signalled, [])
    assert webhook.item == before


@pytest.mark.parametrize(
    ("pi", "result", "signalled"), [("pi_1", "success", [("token", "refresh")]), ("pi_2", "skipped", [])]
)
def test_a_refunded_charge_is_news_of_its_own_refunds(
    webhook: Webhook, pi: str, result: str, signalled: list[tuple[str, str]]
) -> None:
    pending = refund(payment_intent=pi, stripe_refund_id="re_1", awaiting="settlement", task_token="token")
    captures = {"pi_1": capture(role="booking"), "pi_2": capture(role="unapplied")}
    webhook.store(status="completed", captures=captures, refunds={"G1": pending})
    charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "metadata": OURS}
    assert deliver(dashboard_event("charge.refunded", **charge))[1]["processing_result"] == result
    assert webhook.signalled == signalled
