"""What the last release left behind is still understood: its inputs, its items, and its definitions.

An execution under way keeps its definition and the versions of its functions; but the items it writes are read by the
functions of today, its waits are answered by them, and a replacement starts them with its input.
"""

import contextlib
import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

import infra.workflow
from local.aws import emulator
from local.fake_stripe.webhook_delivery import sign
from shared.adapters import dynamodb
from shared.adapters.step_functions import Signal
from shared.contracts import states
from shared.domain.models import Payment, Reservation
from statemachines import render
from tests.workflows.refund.conftest import PENDING, World, start, until

LAST = Path(__file__).with_name("last")
PAYLOADS = json.loads((LAST / "payloads.json").read_text(encoding="utf-8"))

type Json = dict[str, Any]

ANSWERS: dict[str, type[states.Contract]] = {
    "create_checkout_session": states.OpenedAttempt,
    "verify_payment": states.NextStepOutput,
    "expire_checkout_sessions": states.NextStepOutput,
    "confirm_reservation": states.ConfirmReservationOutput,
    "release_hold": states.ReleaseHoldOutput,
    "reserve_refund": states.RefundOutput,
    "create_refund": states.RefundOutput,
    "check_refund": states.RefundOutput,
    "record_refund": states.RecordRefundOutput,
}
CALLS = [(module, call) for module, calls in PAYLOADS["functions"].items() for call in calls]


def input_of(module: str) -> type[states.Contract]:
    model: type[states.Contract] = getattr(states, f"{module.title().replace('_', '')}Input")
    return model


def test_every_function_of_a_state_has_payloads() -> None:
    assert PAYLOADS["functions"].keys() == ANSWERS.keys()


@pytest.mark.parametrize(("module", "call"), CALLS, ids=[module for module, _ in CALLS])
def test_what_its_states_say_is_what_todays_functions_take(module: str, call: Json) -> None:
    input_of(module).model_validate(call["input"])


@pytest.mark.parametrize(("module", "call"), CALLS, ids=[module for module, _ in CALLS])
def test_todays_functions_still_say_all_that_its_states_read(module: str, call: Json) -> None:
    """Its answers are answers of today too, so that no field has gone and no word has changed."""
    said = ANSWERS[module].model_validate(call["answer"])
    assert said.model_dump(exclude_none=True) == {name: of for name, of in call["answer"].items() if of is not None}


def test_its_executions_can_be_given_replacements() -> None:
    """One that failed after it had succeeded starts behind ReserveRefund, and is no order."""
    orders = [given for given in PAYLOADS["starts"]["refund"] if "failed_stripe_refund_id" not in given]
    assert {order["kind"] for order in orders} == {"cancellation", "unapplied"}
    for order in orders:
        states.ReserveRefundInput.model_validate({"execution": order["refund_id"], **order})


@pytest.mark.parametrize("item", PAYLOADS["items"]["payments"])
def test_its_payments_are_read(item: Json) -> None:
    stored = dynamodb.from_item(item)
    payment = Payment.model_validate(stored)
    assert (payment.payment_id, payment.status) == (stored["payment_id"], stored["status"])
    assert payment.attempts.keys() == stored["attempts"].keys()
    assert payment.captures.keys() == stored["captures"].keys()
    for refund_id, entry in stored["refunds"].items():
        assert (payment.refunds[refund_id].amount, payment.refunds[refund_id].status) == (
            entry["amount"],
            entry["status"],
        )


@pytest.mark.parametrize("item", PAYLOADS["items"]["reservations"])
def test_its_reservations_are_read(item: Json) -> None:
    read = {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
    assert Reservation.model_validate(dynamodb.from_item(item)).status == read["status"]


def test_the_signals_that_its_states_tell_apart_are_still_sent() -> None:
    definitions = "".join(path.read_text(encoding="utf-8") for path in LAST.glob("*.asl.json"))
    told_apart = set(re.findall(r"\$(?:signal|answer) = '(\w+)'", definitions))
    assert "retry" in told_apart
    assert told_apart <= set(typing.get_args(Signal.__value__))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The last release's definitions over today's functions."""

    def rendered(name: str, values: dict[str, str | int]) -> str:
        text = (LAST / f"{name}.asl.json").read_text(encoding="utf-8")
        named = {key: value for key, value in values.items() if f"${{{key}}}" in text}
        return json.dumps(render.fill(json.loads(text), named))

    with contextlib.ExitStack() as end, pytest.MonkeyPatch.context() as patch:
        patch.setattr(infra.workflow, "render", rendered)
        yield start(end)


@pytest.mark.parametrize("given", PAYLOADS["starts"]["payment"])
def test_a_payment_that_died_before_it_was_written_goes_on_from_its_input(world: World, given: Json) -> None:
    """The status-change event holds that input, and nothing else remembers the guest's URLs."""
    booking = world.held()
    dead: Json = json.loads(json.dumps(given).replace(given["reservation_id"], booking.id))
    event = {"source": "aws.states", "detail": {"status": "FAILED", "input": json.dumps(dead)}}
    answer, failed = emulator.invoke(world.stack.outputs["reconcilerFunction"], event)
    assert (answer, failed) == ({"execution_missing": 1}, False)
    until(lambda: booking.execution().waiting_in == "AwaitPayment", "the payment to be possible")
    urls = {"success_url", "cancel_url"}
    assert {name: booking.item[name] for name in urls} == {name: dead[name] for name in urls}


@pytest.mark.parametrize("item", PAYLOADS["items"]["events"])
def test_its_webhook_events_are_not_processed_again(world: World, item: Json) -> None:
    stored = {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
    world.table("webhookEvents").put_item(Item=stored)
    sent = {"id": stored["event_id"], "type": stored["event_type"], "data": {"object": {}}}
    body = json.dumps(sent).encode()
    url = f"{world.stack.url}/api/webhooks/stripe"
    status, answer = world.stripe.webhooks.post(url, body, sign(body, world.stripe.webhook_secrets[0]))
    assert (status, json.loads(answer)["processing_result"]) == (200, "duplicate")


def test_its_definitions_run_with_todays_functions(world: World) -> None:
    booking = world.paid(card=PENDING)
    booking.cancel()
    booking.wait_for("AwaitRefundSettlement")
    world.stripe.settle_refund(booking.entry()["stripe_refund_id"], "succeeded")
    booking.wait_for_end()
    assert booking.entry()["status"] == "succeeded"
    unpaid = world.held()
    unpaid.press_pay_now()
    assert world.call("POST", f"{unpaid.id}/cancel", unpaid.token).status == 200
    assert unpaid.reservation == "cancelled"
    published = {event["detail_type"] for event in world.admin.events()}
    assert published == {"PaymentConfirmed", "BookingCancelled", "RefundCompleted", "HoldReleased"}
