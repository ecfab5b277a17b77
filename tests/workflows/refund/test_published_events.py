"""What the platform hears on the bus is what docs/integration.md says, field by field."""

import json
import re
from pathlib import Path
from typing import Any

from shared.adapters.notifications import SOURCE
from tests.workflows.refund.conftest import FAILS_LATER, World, until

DOCUMENT = (Path(__file__).parents[3] / "docs" / "integration.md").read_text(encoding="utf-8")
ONE, DETAILS = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[-2:])


def types(detail: dict[str, Any]) -> dict[str, str]:
    names = {str: "string", int: "integer", list: "array of strings"}
    return {name: names[type(value)] for name, value in detail.items()}


def test_the_examples_have_the_fields_and_types_of_the_tables() -> None:
    events = DOCUMENT.partition("## Events on the bus")[2]
    table = dict(re.findall(r"^\| `(\w+)` \| (string|integer|array of strings) \|", events, re.MULTILINE))
    assert {name: type_ for detail in DETAILS.values() for name, type_ in types(detail).items()} == table
    assert re.findall(r"^\| `([A-Z]\w+)` \|", events, re.MULTILINE) == list(DETAILS)
    assert (ONE["source"], ONE["detail"]) == (SOURCE, DETAILS[ONE["detail-type"]])


def test_what_is_published_has_the_documented_fields_and_types(world: World) -> None:
    unpaid = world.held()
    unpaid.press_pay_now()
    assert world.call("POST", f"{unpaid.id}/cancel", unpaid.token).status == 200
    booking = world.paid(card=FAILS_LATER)
    booking.cancel()
    booking.wait_for_end()
    world.stripe.settle_refund(booking.entry()["stripe_refund_id"], "failed")
    disputed = world.paid()
    world.stripe.open_dispute(disputed.pi)
    until(lambda: world.published("PaymentDisputed", disputed), "the dispute to be published")
    until(lambda: world.published("RefundFailed", booking), "the failure to be published")

    seen = {event["detail_type"]: types(event["detail"]) for event in world.admin.events()}
    assert seen == {name: types(detail) for name, detail in DETAILS.items()}
