"""The events on the bus are those of docs/integration.md, field by field."""

import json
import re
from pathlib import Path
from typing import Any

from shared.adapters.notifications import SOURCE
from tests.harness.booking_driver import REFUND_FAILS_LATER
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until

DOCUMENT = (Path(__file__).parents[3] / "docs" / "integration.md").read_text(encoding="utf-8")
ONE, DETAILS = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[-2:])


def types(detail: dict[str, Any]) -> dict[str, str]:
    names = {str: "string", int: "integer", list: "array of strings"}
    return {name: names[type(value)] for name, value in detail.items()}


def test_the_documented_examples_have_the_fields_and_types_of_the_tables() -> None:
    events = DOCUMENT.partition("## Events on the bus")[2]
    table = dict(re.findall(r"^\| `(\w+)` \| (string|integer|array of strings) \|", events, re.MULTILINE))
    assert {name: type_ for detail in DETAILS.values() for name, type_ in types(detail).items()} == table
    assert re.findall(r"^\| `([A-Z]\w+)` \|", events, re.MULTILINE) == list(DETAILS)
    assert (ONE["source"], ONE["detail"]) == (SOURCE, DETAILS[ONE["detail-type"]])


def test_published_events_have_the_documented_fields_and_types(stack: RunningStack) -> None:
    unpaid = stack.reserve()
    unpaid.pay_now()
    assert unpaid.cancel().status == 200
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    booking.refund()
    booking.wait_for_refund_end()
    stack.stripe.settle_refund(booking.entry()["stripe_refund_id"], "failed")
    disputed = stack.reserve_paid()
    stack.stripe.open_dispute(disputed.payment_intent)
    wait_until(lambda: disputed.published("PaymentDisputed"), "the dispute to be published")
    wait_until(lambda: booking.published("RefundFailed"), "the failure to be published")

    seen = {event["detail_type"]: types(event["detail"]) for event in stack.admin.events()}
    assert seen == {name: types(detail) for name, detail in DETAILS.items()}
