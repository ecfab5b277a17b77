"""Step Functions: the only module that starts executions and resumes waiting states."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.exceptions import ClientError

from shared.adapters import aws
from shared.adapters.aws import error_code
from shared.contracts.states import ExecutionInput, PaymentExecutionInput, RefundInput
from shared.domain.errors import WorkflowUnavailable
from shared.domain.ids import payment_id_of
from shared.domain.models import Payment
from shared.observability import logger
from shared.settings import starter_settings
from shared.start_up import at_start

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

type Workflow = Literal["payment", "refund"]
type Signal = Literal["refresh", "retry", "cancel", "settled_elsewhere"]


@functools.cache
def _client() -> "SFNClient":
    return boto3.client("stepfunctions", config=aws.CLIENT_CONFIG)


@at_start
def connect_to_step_functions() -> None:
    aws.open_connection(_client())


def execution_name(first: str, restart: int) -> str:
    """The name of an execution or of its n-th replacement; Step Functions reserves a used name for 90 days."""
    return first if restart == 0 else f"{first}-r{restart}"


def payment_execution_name(reservation_id: str, restart: int) -> str:
    """The name of a booking's execution; a replacement's begins with `PAY-`, as no reservation id may."""
    return reservation_id if restart == 0 else execution_name(payment_id_of(reservation_id), restart)


def start_payment(payment: Payment) -> bool:
    """Start the booking's execution; False if it exists. Raises WorkflowUnavailable."""
    name = payment_execution_name(payment.reservation_id, payment.restarts)
    return _start("payment", name, PaymentExecutionInput.of(payment))


def start_refund(name: str, refund: RefundInput) -> bool:
    """Start a refund's execution; False if one of that name exists. Raises WorkflowUnavailable."""
    return _start("refund", name, refund)


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Execution:
    """`output` is the parsed output of a closed execution, None while it runs or if it failed."""

    status: str
    output: Mapping[str, object] | None = None
    started_at: datetime = _NEVER

    @property
    def runs(self) -> bool:
        return self.status in {"RUNNING", "PENDING_REDRIVE"}


MISSING = Execution(status="MISSING")


def payment_execution(name: str) -> Execution:
    """How a payment's execution stands; MISSING if it does not exist. Raises WorkflowUnavailable."""
    return _execution("payment", name)


def refund_execution(name: str) -> Execution:
    """How a refund's execution stands; MISSING if it does not exist. Raises WorkflowUnavailable."""
    return _execution("refund", name)


def input_of(execution_arn: str) -> str | None:
    """The input of an execution, None if it does not exist. Raises WorkflowUnavailable."""
    execution = _describe(execution_arn)
    return None if execution is None else execution.get("input")


def describe(workflow: Workflow, name: str) -> Mapping[str, Any] | None:
    """An execution as Step Functions describes it; None if it does not exist. Raises WorkflowUnavailable."""
    return _describe(_execution_arn(workflow, name))


def _describe(execution_arn: str) -> Mapping[str, Any] | None:
    try:
        return _call(lambda: _client().describe_execution(executionArn=execution_arn))
    except ClientError as error:
        if error_code(error) == "ExecutionDoesNotExist":
            return None
        raise


def history(workflow: Workflow, name: str, *, data: bool = False) -> Iterator[Mapping[str, Any]]:
    """The events of an execution, by default without its data, oldest first. Raises WorkflowUnavailable."""
    request: dict[str, Any] = {
        "executionArn": _execution_arn(workflow, name),
        "includeExecutionData": data,
        "maxResults": 1000,
    }
    while True:
        page: Any = _call(lambda: _client().get_execution_history(**request))
        yield from page["events"]
        if "nextToken" not in page:
            return
        request["nextToken"] = page["nextToken"]


def _machine(workflow: Workflow) -> str:
    arns = starter_settings()
    return arns.payment_state_machine_arn if workflow == "payment" else arns.refund_state_machine_arn


def signal(token: str, what: Signal) -> bool:
    """Resume the state that waits with this token; False if it no longer waits.

    Raises WorkflowUnavailable. An invalid token is a defect of ours and raises ClientError.
    """
    try:
        _call(lambda: _client().send_task_success(taskToken=token, output=json.dumps({"signal": what})))
    except ClientError as error:
        if error_code(error) in aws.TASK_CLOSED:
            return False
        raise
    logger.info("signalled", signal=what)
    return True


def _start(workflow: Workflow, name: str, execution_input: ExecutionInput) -> bool:
    machine = _machine(workflow)
    try:
        _call(lambda: _client().start_execution(stateMachineArn=machine, name=name, input=execution_input.to_json()))
    except ClientError as error:
        # It is running, or was closed within 90 days. Either way the payment item says how things stand.
        if error_code(error) == "ExecutionAlreadyExists":
            return False
        raise
    logger.info("started", execution=name)
    return True


def _execution(workflow: Workflow, name: str) -> Execution:
    answer = describe(workflow, name)
    if answer is None:
        return MISSING
    output = answer.get("output")
    parsed = json.loads(output) if output else None
    return Execution(status=answer["status"], output=parsed, started_at=answer["startDate"])


def _execution_arn(workflow: Workflow, name: str) -> str:
    # The settings hold the ARN of an alias (`…:stateMachine:name:live`); an execution belongs to the machine itself.
    return ":".join([*_machine(workflow).replace(":stateMachine:", ":execution:").split(":")[:7], name])


def _call[Answer](request: Callable[[], Answer]) -> Answer:
    return aws.call(request, busy=aws.STEP_FUNCTIONS_BUSY, error_type=WorkflowUnavailable)
