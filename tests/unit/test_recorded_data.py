"""Data that an earlier version stored or sent is still read: payment items, inputs of executions, and signals.

recorded_data.json was recorded from bookings on the local stack. An item here keeps its shape when the code changes.
"""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from local.aws.patches.jsonata_evaluation import evaluate_jsonata
from shared.adapters.dynamodb import from_item, serialize, to_item
from shared.adapters.step_functions import Signal
from shared.contracts.states import PaymentExecutionInput, RefundExecutionInput, RefundInput
from shared.domain.models import Payment, PaymentStatus
from statemachines.render import load

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded_data.json").read_text(encoding="utf-8"))
WAITS = [(workflow, state) for workflow, signals in RECORDED["signals"].items() for state in signals]


def stored(status: str) -> dict[str, Any]:
    """Return the recorded item as DynamoDB returns it, with its set of strings."""
    item = RECORDED["payments"][status]
    sets = {"notified": set(item["notified"])} if "notified" in item else {}
    return from_item(serialize({**item, **sets}))


def test_every_payment_status_is_recorded() -> None:
    assert RECORDED["payments"].keys() == set(get_args(PaymentStatus))


@pytest.mark.parametrize("status", RECORDED["payments"])
def test_a_stored_payment_is_read_without_loss(status: str) -> None:
    item = stored(status)
    payment = Payment.model_validate(item)
    assert payment.status == status
    read = {name: value for name, value in item.items() if name in Payment.model_fields}
    assert to_item(payment).items() >= read.items()


def test_a_restarted_payment_gets_the_recorded_input() -> None:
    payment = Payment.model_validate(stored("pending"))
    recorded = RECORDED["inputs"]["payment"]
    assert json.loads(PaymentExecutionInput.of(payment).to_json()) == recorded


def test_a_restarted_refund_gets_the_recorded_input() -> None:
    payment = Payment.model_validate(stored("completed"))
    recorded = RECORDED["inputs"]["refund"]
    assert RefundInput.parse(recorded) == RefundExecutionInput.of(payment, recorded["refund_id"])
    assert json.loads(RefundInput.parse(recorded).to_json()) == recorded


def test_every_wait_for_a_signal_is_recorded() -> None:
    waits = [
        (workflow, name)
        for workflow in ("payment", "refund")
        for name, state in load(workflow)["States"].items()
        if state.get("Resource", "").endswith(".waitForTaskToken")
    ]
    assert waits == WAITS


@pytest.mark.parametrize(("workflow", "state"), WAITS)
def test_a_recorded_signal_is_sent_and_understood(workflow: str, state: str) -> None:
    """A wait that distinguishes signals is followed by a Choice, one of whose conditions must hold."""
    signal = RECORDED["signals"][workflow][state]["signal"]
    assert signal in get_args(Signal.__value__)
    states = load(workflow)["States"]
    following = states[states[state]["Next"]]
    conditions = [choice["Condition"].strip("{}%") for choice in following.get("Choices", [])]
    if following["Type"] == "Choice":
        assert any(evaluate_jsonata(condition, {"signal": signal, "answer": signal}) for condition in conditions)
