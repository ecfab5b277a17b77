"""Tests with real accounts, before anything is deployed: `make test-account`.

A test is skipped where the environment lacks its variable. `make smoke` checks a deployed stack.

stripe    STRIPE_SECRET_KEY=sk_test_… of a sandbox: opens and expires a session, moves no money
aws       AWS_REGION, and credentials for states:ValidateStateMachineDefinition and states:TestState: creates nothing
"""

import json
import os
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest

from shared import settings
from shared.adapters import stripe_api
from shared.adapters.checkout_parameters import checkout_parameters
from shared.domain.booking import Reservation
from shared.domain.errors import StripeRefused
from statemachines.render import load, placeholders, render
from tests.harness.lambda_environment import ENVIRONMENT


def variable_or_skip(name: str, prefix: str = "") -> str:
    value = os.environ.get(name, "")
    if not value or not value.startswith(prefix):
        pytest.skip(f"{name}{f' ({prefix}…)' if prefix else ''} is not set")
    return value


# Stripe's sandbox.


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    key = variable_or_skip("STRIPE_SECRET_KEY", "sk_test_")
    base = os.environ.get("STRIPE_API_BASE", "https://api.stripe.com")
    for name, value in (ENVIRONMENT | {"STRIPE_API_BASE": base}).items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    monkeypatch.setattr(stripe_api, "secret", lambda _: key)


@pytest.mark.stripe
@pytest.mark.usefixtures("sandbox")
@pytest.mark.defect("D-02", "D-21")
def test_stripe_creates_our_session_once_for_each_key_and_expires_it() -> None:
    """Stripe returns the same session for the same key, and refuses the key with other parameters."""
    now = datetime.now(UTC)
    reservation = Reservation(
        reservation_id=f"RES-{uuid.uuid4().hex[:12]}",
        customer_id="guest-1",
        customer_email="guest@example.com",
        check_in=date(2030, 1, 5),
        check_out=date(2030, 1, 7),
        status="pending",
        total_amount=11250,
        created_at=now,
    )
    parameters = checkout_parameters(
        reservation,
        payment_id=f"PAY-{reservation.reservation_id}",
        attempt_key="1",
        expires_at=now + timedelta(minutes=35),
        success_url="https://booking.example.com/booking/success?session_id={CHECKOUT_SESSION_ID}",
        cancel_url="https://booking.example.com/booking/cancel",
        policy=[],
    )
    key = f"PAY-{reservation.reservation_id}:checkout:1"
    session = stripe_api.create_checkout_session(parameters, idempotency_key=key)
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert stripe_api.create_checkout_session(parameters, idempotency_key=key).id == session.id
    with pytest.raises(StripeRefused):
        stripe_api.create_checkout_session(parameters.replace("11250", "11251"), idempotency_key=key)
    assert stripe_api.expire_checkout_session(session.id).status == "expired"
    assert stripe_api.retrieve_checkout_session(session.id).status == "expired"


# AWS Step Functions.


@pytest.fixture
def states() -> Any:
    region = variable_or_skip("AWS_REGION")
    if boto3.Session().get_credentials() is None:
        pytest.skip("there are no AWS credentials")
    return boto3.client("stepfunctions", region_name=region)


def definition(name: str) -> str:
    """The definition with a plausible value for each placeholder."""
    kinds: dict[str, str | int] = {
        "Seconds": 30,
        "StateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:test",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:test",
        "Arn": "arn:aws:lambda:eu-west-1:123456789012:function:test:1",
        "": "booking-test",
    }
    values = {
        placeholder: next(value for kind, value in kinds.items() if placeholder.endswith(kind))
        for placeholder in placeholders(load(name))
    }
    return render(name, values)


@pytest.mark.aws
@pytest.mark.parametrize("name", ["payment", "refund"])
def test_step_functions_reports_no_error_in_a_definition(states: Any, name: str) -> None:
    answer = states.validate_state_machine_definition(definition=definition(name), type="STANDARD", severity="ERROR")
    assert (answer["result"], answer["diagnostics"]) == ("OK", [])


@pytest.mark.aws
@pytest.mark.parametrize(
    ("next_step", "next_state"),
    [
        ("confirm", "ConfirmReservation"),
        ("refund_unapplied", "RefundUnusablePayment"),
        ("await_payment", "AwaitPayment"),
        ("create_session", "CreateCheckoutSession"),
        ("expire_sessions", "ExpireCheckoutSessions"),
        ("await_stripe", "AwaitStripe"),
        ("await_retry", "RecordFailedAttempt"),
        ("release_hold", "ReleaseHold"),
    ],
)
def test_step_functions_goes_to_the_state_of_each_next_step(states: Any, next_step: str, next_state: str) -> None:
    states_of_payment = json.loads(definition("payment"))["States"]
    state = {"QueryLanguage": "JSONata", **states_of_payment["NextStep?"]}
    answer = states.test_state(
        definition=json.dumps(state), input="{}", variables=json.dumps({"nextStep": next_step, "refundsStarted": []})
    )
    assert (answer["status"], answer["nextState"]) == ("SUCCEEDED", next_state)
