"""shared.services.fraud_events: a warning is recorded once, and refunded only as far as the configuration says."""

from typing import Any

import pytest

from shared import settings
from shared.adapters.dynamodb import to_item
from shared.domain.models import iso
from tests.harness.booking_situations import AWAITED
from tests.harness.builders import HOUR, NOW, TOTAL, capture, refund
from tests.harness.webhook_deliveries import Answer, Webhook, dashboard_event, deliver

CANCELLATION = "PAY-RES-1-cancellation"
OWN: Any = {"status": "completed", "captures": {"pi_1": capture(role="booking")}}


def warn(number: int = 1) -> Answer:
    of = dashboard_event("radar.early_fraud_warning.created", id="issfr_1", fraud_type="made_with_stolen_card")
    return deliver(of | {"id": f"evt_{number}"})


@pytest.fixture
def refund_up_to(monkeypatch: pytest.MonkeyPatch) -> Any:
    def configure(limit: str) -> None:
        monkeypatch.setenv("REFUND_ON_FRAUD_WARNING", limit)
        settings.settings.cache_clear()

    yield configure
    monkeypatch.undo()
    settings.settings.cache_clear()


def test_operators_are_notified_once_and_decide(webhook: Webhook) -> None:
    webhook.store(**OWN)
    assert [warn(number)[1]["processing_result"] for number in (1, 2)] == ["success", "duplicate"]
    assert webhook.item["captures"]["pi_1"]["fraud_warning"]["fraud_type"] == "made_with_stolen_card"
    assert webhook.aws.notified == ["FraudWarning"]
    assert (webhook.aws.started, list(webhook.item["attention"])) == ([], ["fraud_warning:pi_1"])


@pytest.mark.parametrize(
    ("limit", "refunds"), [("never", False), ("always", True), (str(TOTAL), True), (str(TOTAL - 1), False)]
)
def test_a_booking_is_refunded_and_cancelled_up_to_the_configured_amount(
    webhook: Webhook, refund_up_to: Any, limit: str, refunds: Any
) -> None:
    refund_up_to(limit)
    webhook.store(**OWN)
    warn()
    started = [(name, order["kind"], order["amount"]) for name, order in webhook.aws.started]
    assert started == ([("PAY-RES-1-cancellation", "cancellation", TOTAL)] if refunds else [])
    assert webhook.aws.notified == ["FraudWarning"]


def test_of_a_cancelled_booking_operators_refund_what_is_left(webhook: Webhook, refund_up_to: Any) -> None:
    """The cancellation keeps a part by policy, and there is no second one."""
    refund_up_to("always")
    half = refund(kind="cancellation", status="succeeded", amount=TOTAL // 2, stripe_refund_id="re_1")
    captures = {"pi_1": capture(role="booking", refundable=TOTAL // 2)}
    webhook.store(status="partially_refunded", captures=captures, refunds={CANCELLATION: half})
    assert warn()[0] == 200
    assert webhook.aws.started == []
    assert "; the booking is cancelled; refund what is left before the dispute" in webhook.aws.messages[0]
    assert list(webhook.item["attention"]) == ["fraud_warning:pi_1"]


def test_a_cancellation_that_was_started_before_is_not_said_to_refund_everything(
    webhook: Webhook, refund_up_to: Any
) -> None:
    refund_up_to("always")
    webhook.aws.executions[CANCELLATION] = "SUCCEEDED"
    webhook.store(**OWN)
    assert warn()[0] == 200
    assert f"; the execution {CANCELLATION} was started before; refund what it leaves" in webhook.aws.messages[0]


def test_operators_are_notified_of_a_cancellation_when_the_warning_is_delivered_again(
    webhook: Webhook, refund_up_to: Any
) -> None:
    """The first delivery could not notify them, and nothing is left to refund by now."""
    refund_up_to("always")
    webhook.store(**OWN)
    reserved = refund(kind="cancellation", amount=TOTAL, requested_by="webhook")

    def reserve() -> None:
        captures = {"pi_1": webhook.item["captures"]["pi_1"] | {"refundable": 0}}
        webhook.stored.change("PAY-RES-1", captures=captures, refunds={CANCELLATION: to_item(reserved)})

    webhook.aws.on_start, webhook.aws.refusals = reserve, 1
    assert [warn(number)[0] for number in (1, 1, 2)] == [503, 200, 200]
    assert webhook.aws.started_names == [CANCELLATION]
    assert webhook.aws.notified == ["FraudWarning"]
    assert webhook.item.get("attention", {}) == {}


@pytest.mark.parametrize("role", ["booking", "unapplied"])
def test_money_that_is_returned_already_needs_nobody(webhook: Webhook, refund_up_to: Any, role: str) -> None:
    refund_up_to("always")
    webhook.store(status="completed", captures={"pi_1": capture(role=role, refundable=0)})
    assert warn()[1]["processing_result"] == "success"
    assert (webhook.aws.notified, webhook.aws.started, webhook.item.get("attention")) == ([], [], {})


@pytest.mark.parametrize("limit", ["always", "never"])
def test_a_warning_before_the_confirmation_is_sent_again(webhook: Webhook, refund_up_to: Any, limit: str) -> None:
    """Nobody would be asked to see to it otherwise: what the money pays for is not decided yet."""
    refund_up_to(limit)
    webhook.store(captures={"pi_1": capture()})
    assert (warn()[0], webhook.aws.notified) == (503, [])
    webhook.store(**OWN)
    assert (warn()[0], webhook.aws.notified) == (200, ["FraudWarning"])


@pytest.mark.defect("R-03")
def test_a_warning_about_money_that_is_not_recorded_yet_is_sent_again(webhook: Webhook) -> None:
    assert warn()[0] == 503
    assert webhook.signalled == [("token", "refresh")]


@pytest.mark.defect("R-03")
def test_money_that_is_not_recorded_yet_is_due_at_once_if_nobody_waits_for_it(webhook: Webhook) -> None:
    webhook.aws.waiting = set()
    webhook.store(due_at=NOW + HOUR, **AWAITED)
    assert warn()[0] == 503
    assert webhook.item["due_at"] == iso(NOW)


def test_a_notification_that_failed_is_repeated(webhook: Webhook) -> None:
    webhook.store(**OWN)
    webhook.aws.refusals = 1
    assert [warn(1)[0], warn(1)[0]] == [503, 200]
    assert list(webhook.item["attention"]) == ["fraud_warning:pi_1"]


def test_money_that_a_failed_dashboard_refund_frees_is_seen_to(webhook: Webhook) -> None:
    """While the refund held all of it, the warning needed nobody."""
    refund = {"id": "re_1", "amount": TOTAL, "created": 1}
    webhook.store(**OWN)
    deliver(dashboard_event("refund.created", **refund, status="succeeded"))
    warn(2)
    assert webhook.aws.notified == []
    failed = dashboard_event("refund.failed", **refund, status="failed")
    assert [deliver(failed | {"id": f"evt_{number}"})[0] for number in (3, 4)] == [200, 200]
    assert webhook.aws.notified == ["FraudWarning", "DashboardRefundFailed"]
    assert set(webhook.item["attention"]) == {"fraud_warning:pi_1", "dashboard_refund_failed:re_1"}
