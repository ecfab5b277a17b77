"""The program as it is packaged, on MiniStack: a second emulator of Step Functions, DynamoDB, Lambda and IAM."""

import functools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError

from local.aws.aws_account import REGION
from tests.harness.waiting import wait_until
from tests.real import ministack
from tests.real.conftest import tool_or_skip
from tests.real.ministack import CREDENTIALS, DeployedProgram, Json, on_alias, on_everything, with_statements

pytestmark = pytest.mark.ministack

# The states that executions pass, in their order.
ATTEMPT = ["CreateCheckoutSession", "AwaitPayment", "VerifyPayment", "NextStep?"]
CONFIRMED = ["ConfirmReservation", "AnnouncePayment", "PaymentConfirmed"]
REFUNDED = ["AlreadyFailed?", "ReserveRefund", "CreateRefund", "RefundStatus?", "RecordRefund", "AnnounceRefund"]


@pytest.fixture(scope="module")
def program() -> Iterator[DeployedProgram]:
    with ExitStack() as running, pytest.MonkeyPatch.context() as patch:
        address = tool_or_skip(lambda: running.enter_context(ministack.ministack()))
        environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": REGION}
        running.enter_context(mock.patch.dict(os.environ, environment))  # deploying sets more
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield running.enter_context(closing(DeployedProgram(patch)))


class Booking:
    """A booking of two nights, and its guest."""

    def __init__(self, program: DeployedProgram, name: str, check_in: date) -> None:
        self._program, self.id = program, name
        self.nights = [str(check_in + timedelta(days=n)) for n in range(2)]
        self.session = ""
        reservation = {
            "reservation_id": name,
            "customer_id": f"CUST-{name}",
            "customer_email": "guest@example.com",
            "check_in": self.nights[0],
            "check_out": str(check_in + timedelta(days=2)),
            "status": "pending",
            "payment_status": "pending",
            "total_amount": 45_000,
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        program.table("reservations").put_item(Item=reservation)
        for night in self.nights:
            program.table("availability").put_item(Item={"date": night, "status": "booked", "reservation_id": name})

    def call(self, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Repeats the call while the answer is 202."""
        text = json.dumps(body).encode() if body else b""
        headers = [("Content-Type", "application/json")]

        def answered() -> tuple[int, Json] | None:
            answer = self._program.call("POST", f"/payments/{path}", f"CUST-{self.id}", text, headers)
            return None if answer[0] == HTTPStatus.ACCEPTED else answer

        status, answer = wait_until(answered, f"{path} to be answered")
        self.session = answer.get("checkout_session_id", self.session)
        return status, answer

    def pay_now(self) -> int:
        return self.call("checkout-session", {"reservation_id": self.id})[0]

    def wait_for_state(self, name: str, workflow: str = "payment", execution: str = "") -> list[str]:
        """Wait until the execution has entered a state; what it has entered until then."""
        entered = functools.partial(self._entered, workflow, execution or self.id)
        return wait_until(lambda: states if name in (states := entered()) else None, f"{name} of {workflow}")

    def _entered(self, workflow: str, execution: str) -> list[str]:
        arn = f"{self._program.machine(workflow).replace(':stateMachine:', ':execution:')}:{execution}"
        history = self._program.states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]

    def stored(self) -> tuple[str, list[Any]]:
        """The reservation's status, and who has the nights."""
        reservation = self._program.table("reservations").get_item(Key={"reservation_id": self.id})["Item"]
        nights = [self._program.table("availability").get_item(Key={"date": night})["Item"] for night in self.nights]
        return reservation["status"], [night["status"] for night in nights]


@pytest.fixture
def reserve(program: DeployedProgram) -> Callable[[], Booking]:
    def reserve() -> Booking:
        number = program.table("reservations").scan(Select="COUNT")["Count"]
        return Booking(program, f"RES-{number}", date(2027, 3, 1) + timedelta(days=2 * number))

    return reserve


def test_a_booking_is_paid_and_then_cancelled_with_a_refund(
    program: DeployedProgram, reserve: Callable[[], Booking]
) -> None:
    booking = reserve()
    assert booking.pay_now() in {200, 201}
    assert program.stripe.pay(booking.session).kind == "paid"
    assert booking.wait_for_state("PaymentConfirmed") == ["RecordPayment", *ATTEMPT, *CONFIRMED]
    assert booking.stored() == ("confirmed", ["booked", "booked"])
    status, answer = booking.call(f"{booking.id}/refund")
    assert (status, answer["amount"]) == (200, 45_000)
    assert booking.wait_for_state("RefundCompleted", "refund", answer["refund_id"]) == [*REFUNDED, "RefundCompleted"]
    assert booking.stored() == ("cancelled", ["available", "available"])


def test_an_attempt_expires_and_the_next_one_is_paid(program: DeployedProgram, reserve: Callable[[], Booking]) -> None:
    booking = reserve()
    assert booking.pay_now() in {200, 201}
    program.stripe.expire_session(booking.session)
    booking.wait_for_state("AwaitRetry")
    assert booking.call(f"{booking.id}/retry")[0] in {200, 201}
    assert program.stripe.pay(booking.session).kind == "paid"
    failed = ["RecordFailedAttempt", "AwaitRetry", "RetrySignal?"]
    assert booking.wait_for_state("PaymentConfirmed") == ["RecordPayment", *ATTEMPT, *failed, *ATTEMPT, *CONFIRMED]
    assert booking.stored() == ("confirmed", ["booked", "booked"])


def test_an_unpaid_booking_is_cancelled(program: DeployedProgram, reserve: Callable[[], Booking]) -> None:
    booking = reserve()
    assert booking.pay_now() in {200, 201}
    assert booking.call(f"{booking.id}/cancel")[0] == 200
    released = ["ExpireCheckoutSessions", "NextStep?", "ReleaseHold", "AnnounceRelease", "HoldReleased"]
    assert booking.wait_for_state("HoldReleased") == ["RecordPayment", *ATTEMPT, *released]
    assert booking.stored() == ("cancelled", ["available", "available"])


def test_the_reconciler_may_do_what_it_does(program: DeployedProgram) -> None:
    answer = program.functions.invoke(FunctionName=program.outputs["reconcilerFunction"], Qualifier="live")
    assert "FunctionError" not in answer
    assert all(count == 0 for count in json.load(answer["Payload"]).values())


# What MiniStack does not do as AWS does. A test that fails here means that a replacement in ministack.py can go.


def test_known_fault_it_cannot_import_an_openapi_document(program: DeployedProgram) -> None:
    gateway = boto3.client("apigateway", region_name=REGION)
    api = gateway.create_rest_api(name="another")["id"]
    with pytest.raises(ClientError, match="Unknown API Gateway v1 path"):
        gateway.put_rest_api(restApiId=api, mode="overwrite", body=json.dumps(program.deployment.openapi).encode())


def test_known_fault_a_wait_for_a_token_fails_where_its_timeout_is_an_expression(program: DeployedProgram) -> None:
    wait = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish.waitForTaskToken",
        "Arguments": {"TopicArn": program.outputs["operatorTopicArn"], "Message": "wait"},
        "TimeoutSeconds": "{% 3600 %}",
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "Wait", "States": {"Wait": wait}}
    machine = program.states.create_state_machine(
        name="waits",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::123456789012:role/booking-local-refund-workflow",
    )
    started = program.states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    wait_until(lambda: program.states.describe_execution(executionArn=started)["status"] == "FAILED", "its failure")


def test_known_fault_errors_of_functions_have_no_name(program: DeployedProgram) -> None:
    answer = program.functions.invoke(FunctionName="booking-local-confirm-reservation", Qualifier="live", Payload=b"{}")
    assert json.load(answer["Payload"])["errorType"] == "Runtime.HandlerError"


@pytest.mark.parametrize(("missing", "others"), [(on_alias, [on_everything]), (on_everything, [on_alias])])
def test_known_fault_iam_knows_neither_the_alias_nor_the_machine_of_a_token(
    program: DeployedProgram,
    reserve: Callable[[], Booking],
    missing: Callable[[Json], Json],
    others: list[Callable[[Json], Json]],
) -> None:
    iam = boto3.client("iam", region_name=REGION)
    (policy,) = (
        one.inputs for one in program.deployment.of_type("aws:iam/rolePolicy:RolePolicy") if one.name == "payments-api"
    )

    def put(*changes: Callable[[Json], Json]) -> None:
        document = with_statements(*changes)(policy["policy"])
        iam.put_role_policy(RoleName=policy["role"], PolicyName=policy["name"], PolicyDocument=document)

    booking = reserve()
    assert booking.pay_now() in {200, 201}
    put(*others)
    try:
        refused = reserve().pay_now() if missing is on_alias else booking.call(f"{booking.id}/cancel")[0]
    finally:
        put(on_alias, on_everything)
    assert refused == 500
