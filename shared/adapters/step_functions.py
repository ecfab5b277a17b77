"""Step Functions, in our verbs: the only module that starts executions or resumes waiting states."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.errors import WorkflowUnavailable
from shared.domain.models import Payment, iso
from shared.observability import logger
from shared.settings import starter_settings

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

type Signal = Literal["refresh", "retry", "cancel", "settled_elsewhere"]

BUSY: frozenset[str] = frozenset(
    {
        "ExecutionLimitExceeded",
        "InternalFailure",
        "InternalServerException",
        "KmsThrottlingException",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
CLOSED: frozenset[str] = frozenset({"TaskDoesNotExist", "TaskTimedOut"})


@functools.cache
def _client() -> "SFNClient":
    return boto3.client(
        "stepfunctions",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )


def execution_name(first: str, restart: int) -> str:
    """The name of an execution, or of its n-th replacement: a closed name cannot be used again for 90 days."""
    return first if restart == 0 else f"{first}-r{restart}"


def start_payment(payment: Payment) -> None:
    """Start the booking's execution, named after the reservation; one that exists already is as good.

    Raises WorkflowUnavailable.
    """
    _start(
        starter_settings().payment_state_machine_arn,
        execution_name(payment.reservation_id, payment.restarts),
        {
            "reservation_id": payment.reservation_id,
            "payment_id": payment.payment_id,
            "hold_expires_at": iso(payment.hold_expires_at),
            "success_url": payment.success_url,
            "cancel_url": payment.cancel_url,
        },
    )


def start_refund(name: str, given: Mapping[str, str | int]) -> bool:
    """Start a refund's execution; False when one of that name exists already. Raises WorkflowUnavailable."""
    return _start(starter_settings().refund_state_machine_arn, name, given)


@dataclass(frozen=True)
class Execution:
    """`output` is what a closed execution said, parsed; None while it runs or when it failed."""

    status: str
    output: Mapping[str, object] | None = None

    @property
    def runs(self) -> bool:
        return self.status in {"RUNNING", "PENDING_REDRIVE"}


MISSING = Execution(status="MISSING")


def payment_execution(name: str) -> Execution:
    """How a payment's execution stands; MISSING where there is none. Raises WorkflowUnavailable."""
    return _execution(starter_settings().payment_state_machine_arn, name)


def refund_execution(name: str) -> Execution:
    """How a refund's execution stands; MISSING where there is none. Raises WorkflowUnavailable."""
    return _execution(starter_settings().refund_state_machine_arn, name)


def _execution(machine: str, name: str) -> Execution:
    # The settings name an alias (`…:stateMachine:name:live`); an execution is the machine's own.
    arn = ":".join([*machine.replace(":stateMachine:", ":execution:").split(":")[:7], name])
    try:
        answer = _client().describe_execution(executionArn=arn)
    except ClientError as error:
        if _code(error) == "ExecutionDoesNotExist":
            return MISSING
        raise _translated(error) from error
    except BotoCoreError as error:
        raise WorkflowUnavailable(type(error).__name__) from error
    output = answer.get("output")
    return Execution(status=answer["status"], output=json.loads(output) if output else None)


def signal(token: str, what: Signal) -> bool:
    """Resume the state that waits with this token; False when it waits no longer, so that the item says what is.

    Raises WorkflowUnavailable. A token that never was one is a defect of ours and raises ClientError.
    """
    try:
        _client().send_task_success(taskToken=token, output=json.dumps({"signal": what}))
    except ClientError as error:
        if _code(error) in CLOSED:
            return False
        raise _translated(error) from error
    except BotoCoreError as error:
        raise WorkflowUnavailable(type(error).__name__) from error
    logger.info("signalled", signal=what)
    return True


def _start(arn: str, name: str, given: Mapping[str, str | int]) -> bool:
    try:
        _client().start_execution(stateMachineArn=arn, name=name, input=json.dumps(given, sort_keys=True))
    except ClientError as error:
        # Running, or closed within 90 days: either way the payment item tells what is.
        if _code(error) == "ExecutionAlreadyExists":
            return False
        raise _translated(error) from error
    except BotoCoreError as error:
        raise WorkflowUnavailable(type(error).__name__) from error
    logger.info("started", execution=name)
    return True


def _translated(error: ClientError) -> Exception:
    return WorkflowUnavailable(_code(error)) if _code(error) in BUSY else error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
