"""The events on the bus are those of docs/integration.md, field by field."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.adapters.notifications import SOURCE
from shared.contracts.booking_events import EVENTS
from tests.harness.booking_driver import REFUND_FAILS_LATER, BookingDriver
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until

DOCUMENT = (Path(__file__).parents[3] / "docs" / "integration.md").read_text(encoding="utf-8")
ONE, DETAILS = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[-2:])


COMMON = {name: ONE["detail"][name] for name in ("version", "event_id", "at", "reservation_id", "payment_id")}


def test_the_documented_examples_are_events_of_the_models() -> None:
    events = DOCUMENT.partition("## Events on the bus")[2]
    assert re.findall(r"^\| `([A-Z]\w+)` \|", events, re.MULTILINE) == list(DETAILS) == list(EVENTS)
    for name, detail in DETAILS.items():
        common = {field: value for field, value in COMMON.items() if field in EVENTS[name].model_fields}
        EVENTS[name].model_validate(common | detail)
    assert (ONE["source"], ONE["detail"]) == (SOURCE, DETAILS[ONE["detail-type"]])


def test_published_events_have_the_documented_fields_and_types(stack: RunningStack) -> None:
    unpaid = stack.reserve()
    unpaid.pay_now()
    assert unpaid.cancel().status == 200
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    booking.refund()
    booking.wait_for_refund_end()
    stack.stripe.settle_refund(booking.entry()["stripe_refund_id"], "failed")
    failed = stack.reserve()
    failed.pay_now()
    failed.expire_at_stripe()
    wait_until(lambda: failed.published("AttemptFailed"), "the failure to be published")
    disputed = stack.reserve_paid()
    stack.stripe.open_dispute(disputed.payment_intent)
    wait_until(lambda: disputed.published("PaymentDisputed"), "the dispute to be published")
    wait_until(lambda: booking.published("RefundFailed"), "the failure to be published")

    seen: dict[str, set[str]] = {}
    for event in stack.admin.events():
        EVENTS[event["detail_type"]].model_validate(event["detail"])
        seen.setdefault(event["detail_type"], set()).update(event["detail"])
    common = {*COMMON, "customer_id"}
    documented = {name: common | detail.keys() for name, detail in DETAILS.items()}
    del documented["HoldEnding"]  # tests/workflows/payment/test_payment_timers.py
    del documented["LedgerReconciled"]  # tests/unit/shared/services/test_ledger_closing.py
    assert {name: fields - {"reason"} for name, fields in seen.items()} == {
        name: fields - {"reason"} for name, fields in documented.items()
    }


TRIES = 11  # of a state that publishes: `patient` in retries.yaml


def refuse_events(booking: BookingDriver) -> None:
    booking.faults.fail_aws("events.PutEvents", "internal_error", TRIES)


def confirm(booking: BookingDriver) -> tuple[str, str]:
    booking.pay_now()
    refuse_events(booking)
    booking.pay_on_page()
    first = booking.wait_for_end()
    assert booking.reservation_status == "confirmed"
    return first.status, booking.wait_for_end(1).status


def release(booking: BookingDriver) -> tuple[str, str]:
    booking.pay_now()
    refuse_events(booking)
    assert booking.cancel().outcome == (200, "expired")
    return booking.wait_for_end().status, booking.wait_for_end(1).status


def refund(booking: BookingDriver) -> tuple[str, str]:
    booking.pay_now()
    booking.pay_to_the_end()
    refuse_events(booking)
    assert booking.refund().outcome == (200, "succeeded")
    replacement = f"{booking.cancellation_id}-r1"
    return booking.wait_for_refund_end().status, booking.wait_for_refund_end(replacement).status


@pytest.mark.parametrize(
    ("act", "event"), [(confirm, "PaymentConfirmed"), (release, "HoldReleased"), (refund, "RefundCompleted")]
)
def test_an_event_that_could_not_be_published_is_published_by_the_next_execution(
    stack: RunningStack, act: Callable[[BookingDriver], tuple[str, str]], event: str
) -> None:
    booking = stack.reserve()
    assert act(booking) == ("FAILED", "SUCCEEDED")
    assert booking.published_types().count(event) == 1
    assert "NotPublished" in booking.notified()
