"""Webhooks that fail or are forged, over HTTP."""

import json
from typing import Any

import pytest

from local.aws import emulator
from tests.e2e.conftest import StackOverHttp
from tests.e2e.test_pay_over_http import PAID
from tests.harness.booking_driver import BookingDriver


def pay_without_webhooks(stack: StackOverHttp) -> tuple[BookingDriver, dict[str, Any]]:
    """A booking that is paid at Stripe, and the event about it, which is held."""
    booking = stack.reserve()
    stack.admin.call("POST", "stripe/webhooks", mode="hold")
    booking.pay_now()
    assert booking.pay_on_page() == 303
    event_id = booking.events("checkout.session.completed")[-1]
    return booking, stack.stripe.get("event", event_id)


@pytest.mark.parametrize("kind", ["internal_error", "throttled"])
def test_a_failing_webhook_answers_5xx_records_no_success_and_works_on_redelivery(
    stack: StackOverHttp, kind: str
) -> None:
    booking, event = pay_without_webhooks(stack)
    fault = {"operation": "states.SendTaskSuccess", "kind": kind, "times": 20, "function": "stripe_webhook"}
    stack.admin.call("POST", "aws/faults", **fault)
    first = stack.admin.call("POST", "stripe/events", event=event)
    assert first["status"] in (500, 503)
    assert booking.execution().waiting_in == "AwaitPayment"
    assert booking.processing_result(event["id"]) != "success"
    emulator.aws_faults.clear()
    second = stack.admin.call("POST", "stripe/events", event=event)
    assert second["status"] == 200
    assert json.loads(second["answer"])["processing_result"] == "success"
    assert booking.wait_for_end().visited == PAID
    third = stack.admin.call("POST", "stripe/events", event=event)
    assert (third["status"], json.loads(third["answer"])["processing_result"]) == (200, "duplicate")


def test_a_webhook_with_a_forged_signature_changes_nothing(stack: StackOverHttp) -> None:
    booking, event = pay_without_webhooks(stack)
    status, answer = stack.stripe.deliver(event, secrets=["whsec_forged"])
    assert (status, json.loads(answer)["error_code"]) == (400, "INVALID_SIGNATURE")
    assert booking.execution().waiting_in == "AwaitPayment"
    stack.admin.call("POST", "stripe/webhooks/release")
    booking.wait_for_end()
