"""shared.services.stripe_events: whose event it is, and what is recorded when.

Each event is delivered to the webhook, signed.
"""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from types import ModuleType
from typing import Any

import pytest

from shared.adapters import payment_items, webhook_events
from shared.adapters.webhook_events import StoredForEvent
from shared.domain.errors import StoreBusy
from shared.services import money_events
from tests.harness.booking_situations import AWAITED
from tests.harness.builders import NOW, capture, closed, paying, refund
from tests.harness.fake_aws_clients import client_error
from tests.harness.tables import in_table
from tests.harness.webhook_deliveries import (
    COMPLETED,
    DECLINED,
    EXPIRED,
    POINTER,
    SUCCEEDED,
    Json,
    Webhook,
    dashboard_event,
    deliver,
    event,
)


def test_an_event_of_an_unhandled_type_is_skipped_and_recorded(webhook: Webhook) -> None:
    status, answer = deliver(event(SUCCEEDED) | {"type": "charge.succeeded"})
    assert (status, answer["processing_result"]) == (200, "skipped")
    assert webhook.stored.get("events", "evt_1")["processing_result"] == "skipped"
    assert webhook.signalled == []


@pytest.mark.defect("D-05", "R-01")
@pytest.mark.parametrize("kind", [COMPLETED, SUCCEEDED, DECLINED, EXPIRED])
@in_table()
def test_an_event_that_is_not_ours_changes_nothing(webhook: Webhook, kind: str, metadata: Any) -> None:
    """It creates neither a payment nor a reservation, and Stripe is not asked."""
    of_others = {"id": "cs_other", "payment_intent": "pi_other"} if "session" in kind else {"id": "pi_other"}
    with webhook.changes_nothing():
        status, answer = deliver(event(kind, metadata=metadata, **of_others))
    assert (status, answer["processing_result"]) == (200, "skipped")
    assert webhook.aws.notified == []
    assert webhook.stripe.requests == []


OF_OTHERS: Json = {"status": "succeeded", "payment_intent": "pi_other"}


@pytest.mark.defect("R-12")
@in_table(asked=0)
def test_what_is_not_ours_is_skipped_at_once(webhook: Webhook, kind: str, fields: Json, asked: int) -> None:
    """Other systems on the account refund too. Stripe is asked only where nothing else can show it."""
    webhook.store(refunds={"G1": refund()}, **AWAITED)
    with webhook.changes_nothing():
        status, answer = deliver(dashboard_event(kind, **OF_OTHERS | fields))
    assert (status, answer["processing_result"]) == (200, "skipped")
    assert [request.operation for request in webhook.stripe.requests] == ["checkout.sessions.list"] * asked


@pytest.mark.defect("R-12", "R-03")
def test_an_event_is_requested_again_while_stripe_cannot_say_whose_it_is(webhook: Webhook) -> None:
    webhook.stripe.faults.add("checkout.sessions.list", "timeout_before", 2)
    with webhook.changes_nothing():
        assert deliver(dashboard_event("charge.dispute.created", **OF_OTHERS))[0] == 503
    assert webhook.stored.get("events", "evt_1")["error_message"] == "StripeUnavailable"


@pytest.mark.defect("D-28")
def test_an_event_is_recorded_with_its_result_and_expires(webhook: Webhook) -> None:
    envelope = event(COMPLETED)
    deliver(envelope)
    assert webhook.stored.get("events", "evt_1") == {
        "event_id": "evt_1",
        "event_type": COMPLETED,
        "processed_at": "2026-11-24T15:00:00.000Z",
        "payload_hash": sha256(json.dumps(envelope, indent=2).encode()).hexdigest(),
        "payment_id": "PAY-RES-1",
        "reservation_id": "RES-1",
        "processing_result": "success",
        "ttl": 1_803_308_400,
    }


@pytest.mark.defect("D-03")
def test_an_event_is_not_recorded_before_its_effect(webhook: Webhook) -> None:
    seen: list[Any] = []
    webhook.aws.on_signal = lambda: seen.append(webhook.recorded)
    deliver(event(COMPLETED))
    assert seen == [[]]


@pytest.mark.defect("D-10", "P-10")
def test_a_duplicate_has_no_effect(webhook: Webhook) -> None:
    deliver(event(COMPLETED))
    recorded = webhook.stored.get("events", "evt_1")
    webhook.aws.waiting.add("token")
    status, answer = deliver(event(COMPLETED))
    assert (status, answer["processing_result"]) == (200, "duplicate")
    assert webhook.signalled == [("token", "refresh")]
    assert webhook.recorded == [recorded]


@pytest.mark.defect("D-10")
def test_three_concurrent_deliveries_have_one_effect(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """All three check for a record before one of them acts."""
    stored, record, moto = webhook_events.read_for_event, webhook_events.record_event, threading.Lock()
    together = threading.Barrier(3)

    def read(event_id: str, **keys: Any) -> StoredForEvent:
        found = stored(event_id, **keys)
        together.wait(5)
        return found

    paid = paying(attempts={"1": closed(status="paid")}, captures={"pi_1": capture()}, token_sequence=1)

    def write(*given: Any, **named: Any) -> bool:
        with moto:  # moto's conditions are not atomic
            recorded = record(*given, **named)
        webhook.stored.payment(paid)  # the workflow, once signalled, finds the money
        return recorded

    monkeypatch.setattr(webhook_events, "read_for_event", read)
    monkeypatch.setattr(webhook_events, "record_event", write)
    monkeypatch.setattr(money_events, "PATIENCE", 3.0)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: deliver(event(COMPLETED)), range(3)))
    assert [status for status, _ in answers] == [200, 200, 200]
    assert sorted(answer["processing_result"] for _, answer in answers) == ["duplicate", "duplicate", "success"]
    assert webhook.signalled == [("token", "refresh")]
    assert [item["processing_result"] for item in webhook.recorded] == ["success"]


@pytest.mark.defect("D-03", "D-38", "P-06")
@pytest.mark.parametrize(
    ("failure", "status", "recorded"),
    [
        (client_error("ThrottlingException"), 503, ["error"]),
        (StoreBusy("ThrottlingException"), 503, ["error"]),
        (client_error("InvalidToken"), 500, []),
        (RuntimeError("a defect"), 500, []),
    ],
    ids=["Step Functions", "DynamoDB", "an invalid token", "a defect"],
)
def test_a_failure_is_answered_5xx_and_the_redelivery_succeeds(
    webhook: Webhook, failure: Exception, status: int, recorded: list[str]
) -> None:
    webhook.aws.failures.append(failure)
    answer = deliver(event(COMPLETED))
    assert (answer[0], answer[1]["error_code"]) == (status, "INTERNAL_ERROR")
    assert [item["processing_result"] for item in webhook.recorded] == recorded
    assert webhook.signalled == []

    assert deliver(event(COMPLETED))[1]["processing_result"] == "success"
    assert webhook.signalled == [("token", "refresh")]
    [item] = webhook.recorded
    assert item["processing_result"] == "success"
    assert "error_message" not in item


@pytest.mark.defect("D-03")
@pytest.mark.parametrize(
    ("module", "function"),
    [(webhook_events, "read_for_event"), (webhook_events, "record_event"), (payment_items, "mark_unresolved")],
)
def test_a_busy_store_is_answered_503_at_any_step(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str
) -> None:
    """The event is delivered again, because it does not count as processed."""
    webhook.store(attempts={"1": closed()}, awaiting="retry", task_token="token", token_sequence=2)

    def busy(*_: Any, **__: Any) -> Any:
        raise StoreBusy("ThrottlingException")

    with monkeypatch.context() as patch:
        patch.setattr(module, function, busy)
        assert deliver(event(COMPLETED))[0] == 503
    assert not webhook_events.read_for_event("evt_1", pi=None, payment_id=None).processed
    webhook.aws.waiting.add("token")
    assert deliver(event(COMPLETED))[0] == 200
    assert webhook_events.read_for_event("evt_1", pi=None, payment_id=None).processed


def test_an_error_never_replaces_a_success(webhook: Webhook) -> None:
    """Of two concurrent deliveries the slower one may fail after the faster one has succeeded."""
    deliver(event(COMPLETED))
    assert not webhook_events.record_event("evt_1", {"processing_result": "error"}, now=NOW)
    assert webhook.stored.get("events", "evt_1")["processing_result"] == "success"


NOTIFYING = [
    ("PaymentDisputed", dashboard_event("charge.dispute.created", id="dp_1", status="needs_response"), []),
    ("DashboardRefundFailed", dashboard_event("refund.failed", status="failed"), []),
    ("LatePayment", event(SUCCEEDED, id="pi_2"), ["REF-pi_2"]),
]


@pytest.mark.defect("D-03", "D-31")
@pytest.mark.parametrize(("name", "of", "started"), [pytest.param(*row, id=row[0]) for row in NOTIFYING])
def test_a_failed_notification_is_repeated_when_the_event_is_redelivered(
    webhook: Webhook, name: str, of: Json, started: list[str]
) -> None:
    """No effect waits for the notification, and it is sent only once."""
    webhook.store(status="completed", captures={"pi_1": capture(role="booking")})
    webhook.stored.put("payments", POINTER | {"payment_id": "pi_2"})
    webhook.aws.refusals = 1
    assert deliver(of)[0] == 503
    [item] = webhook.recorded
    assert (item["processing_result"], item["error_message"]) == ("error", "NotificationFailed")
    assert webhook.aws.started_names == started
    assert webhook.aws.notified == []

    assert deliver(of)[0] == 200
    assert webhook.aws.notified == [name]
    assert deliver(of)[1]["message"] == "processed before"
    assert webhook.aws.notified == [name]
