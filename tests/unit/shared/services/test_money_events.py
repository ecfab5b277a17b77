"""shared.services.money_events: sessions that complete or end, payments that succeed or are declined.

Each event is delivered to the webhook, signed.
"""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from shared.adapters import step_functions
from shared.services import money_events
from tests.harness.booking_situations import AWAITED
from tests.harness.builders import capture, closed, paying, refund
from tests.harness.fake_aws_clients import client_error
from tests.harness.tables import in_table
from tests.harness.webhook_deliveries import (
    ASYNC_FAILED,
    ASYNC_SUCCEEDED,
    COMPLETED,
    DECLINED,
    EXPIRED,
    SUCCEEDED,
    Json,
    Webhook,
    deliver,
    event,
)

RETRY: Json = {"awaiting": "retry", "task_token": "token"}
SIGNALLED = "the workflow was signalled"

# Money.


@pytest.mark.parametrize("kind", [COMPLETED, ASYNC_SUCCEEDED, SUCCEEDED])
@pytest.mark.parametrize("awaiting", ["payment", "retry"])
def test_money_refreshes_whichever_state_waits(webhook: Webhook, kind: str, awaiting: str) -> None:
    webhook.store(**(AWAITED | {"awaiting": awaiting}))
    assert deliver(event(kind))[1]["message"] == SIGNALLED
    assert webhook.signalled == [("token", "refresh")]


@in_table(
    fields={}, of=paying(**AWAITED), waiting=["token"], status=200, answer={}, attempts={}, signalled=0, error=None
)
def test_what_an_event_does(webhook: Webhook, case: Json) -> None:
    webhook.stored.payment(case["of"])
    webhook.aws.waiting = set(case["waiting"])
    status, answer = deliver(event(case["kind"], **case["fields"]))
    assert (status, answer | case["answer"]) == (case["status"], answer)
    assert webhook.signalled == [("token", "refresh")] * case["signalled"]
    assert webhook.aws.started == []
    attempts = webhook.item["attempts"]
    assert attempts.keys() == case["of"].attempts.keys()
    assert {key: attempts[key] | changes for key, changes in case["attempts"].items()}.items() <= attempts.items()
    assert webhook.stored.get("events", "evt_1").get("error_message") == case["error"]


@pytest.mark.defect("P-12")
def test_between_two_states_it_waits_for_the_next_token(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that arrives before the token is stored is neither lost nor redelivered in vain."""
    webhook.store()

    def store_token() -> None:
        time.sleep(0.1)
        webhook.store(**AWAITED)

    monkeypatch.setattr(money_events, "PATIENCE", 3.0)
    thread = threading.Thread(target=store_token)
    thread.start()
    assert deliver(event(COMPLETED))[1]["message"] == SIGNALLED
    thread.join()
    assert webhook.signalled == [("token", "refresh")]


@pytest.mark.defect("D-09")
def test_an_attempt_that_is_closed_during_the_wait_is_marked_unresolved(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state that closes it asked Stripe before the money came."""
    webhook.store()

    def close(_: float) -> None:
        webhook.store(attempts={"1": closed()}, token_sequence=2, **RETRY)

    monkeypatch.setattr(money_events, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=close))
    assert deliver(event(COMPLETED))[1]["message"] == SIGNALLED
    assert webhook.attempt["status"] == "unresolved"


def test_after_a_token_that_no_longer_waits_the_next_one_is_signalled(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state has moved on in between, so the item is read again."""
    webhook.aws.waiting = {"next"}
    tokens: list[str] = []
    real = step_functions.signal

    def signal(token: str, what: Any) -> bool:
        tokens.append(token)
        webhook.store(awaiting="retry", task_token="next", token_sequence=2)
        return real(token, what)

    monkeypatch.setattr(step_functions, "signal", signal)
    assert deliver(event(COMPLETED))[0] == 200
    assert tokens == ["token", "next"]


@pytest.mark.defect("D-04", "D-09")
@pytest.mark.parametrize("status", ["expired", "completed", "partially_refunded", "refunded"])
@pytest.mark.parametrize("kind", [COMPLETED, ASYNC_SUCCEEDED, SUCCEEDED])
def test_late_or_second_money_is_refunded(webhook: Webhook, status: str, kind: str) -> None:
    """The refund's execution is named after the PaymentIntent."""
    webhook.store(status=status)
    assert deliver(event(kind))[1]["message"] == "the money is refunded"
    refund_input = {
        "refund_id": "REF-pi_1",
        "reservation_id": "RES-1",
        "payment_id": "PAY-RES-1",
        "kind": "unapplied",
        "payment_intent": "pi_1",
        "requested_by": "webhook",
    }
    assert webhook.aws.started == [("REF-pi_1", refund_input)]
    assert webhook.signalled == []


def test_a_refund_that_cannot_be_started_is_started_on_redelivery(webhook: Webhook) -> None:
    webhook.store(status="expired")
    webhook.aws.failures.append(client_error("ThrottlingException"))
    assert deliver(event(SUCCEEDED))[0] == 503
    assert deliver(event(SUCCEEDED))[0] == 200
    assert webhook.aws.started_names == ["REF-pi_1"]


@pytest.mark.defect("D-03")
def test_operators_are_notified_of_late_money_before_its_refund_starts(webhook: Webhook) -> None:
    """A crash in between is made up for when the event is delivered again."""
    webhook.store(status="expired")
    webhook.aws.failures.append(RuntimeError("crash"))
    assert deliver(event(SUCCEEDED))[0] == 500
    assert (webhook.aws.notified, webhook.aws.started) == (["LatePayment"], [])
    assert deliver(event(SUCCEEDED))[0] == 200
    assert webhook.aws.notified == ["LatePayment"]
    assert webhook.aws.started_names == ["REF-pi_1"]


@pytest.mark.defect("D-03")
@pytest.mark.parametrize(("notified", "names"), [(None, ["LatePayment"]), ({"late REF-pi_1"}, [])])
def test_operators_are_notified_of_a_started_refund_unless_they_were(
    webhook: Webhook, notified: set[str] | None, names: list[str]
) -> None:
    """They were not if SNS refused the message and the refund started all the same."""
    entry = refund(kind="unapplied", requested_by="webhook")
    refunding = {"captures": {"pi_1": capture(role="unapplied")}, "refunds": {"REF-pi_1": entry}}
    webhook.store(status="expired", notified=notified, **refunding)
    assert deliver(event(SUCCEEDED))[0] == 200
    assert deliver(event(COMPLETED, event_id="evt_2"))[1]["processing_result"] == "duplicate"
    assert webhook.aws.notified == names


# Sessions that end, cards that are declined.


@in_table()
@pytest.mark.parametrize("kind", [EXPIRED, ASYNC_FAILED])
def test_the_end_of_a_session_that_is_known_is_skipped(webhook: Webhook, kind: str, changes: Json) -> None:
    webhook.store(**RETRY, **changes)
    assert deliver(event(kind))[1]["processing_result"] == "skipped"
    assert webhook.signalled == []


@pytest.mark.defect("D-12")
def test_a_decline_is_recorded_and_the_session_stays_open(webhook: Webhook) -> None:
    """It uses up no attempt and signals nobody."""
    assert deliver(event(DECLINED))[1]["message"] == "the decline is recorded"
    known = webhook.attempt
    assert known["declines"] == {"ch_1": "generic_decline"}
    assert (known["failure_code"], known["failure_message"]) == ("generic_decline", "Your card was declined.")
    assert (known["status"], known["counted"]) == ("open", 1)
    assert webhook.signalled == []


def test_a_decline_that_two_events_report_counts_once(webhook: Webhook) -> None:
    """Stripe may create two events for one decline."""
    deliver(event(DECLINED))
    deliver(event(DECLINED, event_id="evt_2"))
    deliver(event(DECLINED, event_id="evt_3", latest_charge="ch_2"))
    assert webhook.attempt["declines"] == {"ch_1": "generic_decline", "ch_2": "generic_decline"}


@in_table()
def test_a_decline_gets_the_most_specific_code(webhook: Webhook, error: Any, code: str) -> None:
    deliver(event(DECLINED, last_payment_error=error))
    assert webhook.attempt["failure_code"] == code


@pytest.mark.defect("D-39", "P-04")
@pytest.mark.parametrize("status", ["completed", "refunded", "expired"])
def test_a_late_decline_leaves_the_payment_as_it_is(webhook: Webhook, status: str) -> None:
    webhook.store(status=status, attempts={"1": closed(status="paid")}, captures={"pi_1": capture(role="booking")})
    before = webhook.item
    assert deliver(event(DECLINED))[0] == 200
    after = webhook.item
    assert after["attempts"]["1"].pop("declines") == {"ch_1": "generic_decline"}
    for name in ("failure_code", "failure_message"):
        after["attempts"]["1"].pop(name)
    before["attempts"]["1"].pop("declines")
    assert after == before
    assert (webhook.signalled, webhook.aws.started) == ([], [])
