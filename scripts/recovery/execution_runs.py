"""What Step Functions knows: a restore takes back the tables, but no execution."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3

from scripts.recovery.stripe_side import Pace
from shared.adapters import step_functions
from shared.adapters.step_functions import Workflow, execution_name, payment_execution_name
from shared.contracts.states import OpenedAttempt, PaymentExecutionInput, RefundExecutionInput, RefundInput
from shared.settings import starter_settings

DEAD = ("FAILED", "TIMED_OUT", "ABORTED")
ANSWERED = "RecordSettledElsewhere"


@dataclass(frozen=True)
class PaymentRun:
    """The newest execution of a payment; `restart` is its number, `outcome` how it ended if it succeeded.

    `confirmed`: it has confirmed the booking, or one before it that has died since.
    """

    given: PaymentExecutionInput
    restart: int
    runs: bool
    outcome: str | None
    confirmed: bool
    stopped_at: datetime | None

    @property
    def died(self) -> bool:
        return not self.runs and self.outcome is None


@dataclass(frozen=True)
class RefundRun:
    """A refund as its executions know it; `restart` is the number of the newest, `newest` the one that handles it.

    `given` is what the newest of those that make it was started with: a refused one is requested again with another
    amount. `state` is where the newest is, or was last, `refused` why nothing was reserved. `failed_later`: the refunds
    at Stripe that had settled it.
    """

    refund_id: str
    given: RefundExecutionInput
    started_at: datetime
    stopped_at: datetime | None
    restart: int
    newest: str
    runs: bool
    succeeded: bool
    state: str
    settled_elsewhere: bool
    refused: str | None = None
    failed_later: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Opened:
    """A session that an execution has opened: this proves that it is ours, whatever its metadata says.

    `published`: whether the guest was to be offered it.
    """

    attempt: OpenedAttempt
    published: bool


@dataclass(frozen=True)
class ListedExecution:
    workflow: Workflow
    name: str
    arn: str
    started_at: datetime


class Executions:
    """Reads the executions of both workflows, at most so many calls of one kind a second: each has its own quota."""

    def __init__(self, per_second: float) -> None:
        self._client = boto3.client("stepfunctions")
        self._pace, self._history_pace = Pace(per_second), Pace(per_second)

    def listed(self, workflow: Workflow, status: str, since: datetime | None = None) -> Iterator[ListedExecution]:
        """The executions of this status, newest first; those that began before `since` are left out."""
        machines = starter_settings()
        machine = machines.payment_state_machine_arn if workflow == "payment" else machines.refund_state_machine_arn
        machine = ":".join(machine.split(":")[:7])
        request: dict[str, Any] = {"stateMachineArn": machine, "statusFilter": status, "maxResults": 1000}
        while True:
            self._pace.wait()
            page = self._client.list_executions(**request)
            for found in page["executions"]:
                if since is not None and found["startDate"] < since:
                    return
                yield ListedExecution(workflow, found["name"], found["executionArn"], found["startDate"])
            if "nextToken" not in page:
                return
            request["nextToken"] = page["nextToken"]

    def input_of(self, execution: ListedExecution) -> Mapping[str, Any]:
        self._pace.wait()
        found: Mapping[str, Any] = json.loads(step_functions.input_of(execution.arn) or "{}")
        return found

    def payment(self, reservation_id: str, restart: int) -> PaymentRun | None:
        """The newest execution of a payment, at least its n-th replacement; None if there is none.

        Only one that has died can have been replaced.
        """
        newest, confirmed = None, False
        while (described := self._describe("payment", payment_execution_name(reservation_id, restart))) is not None:
            outcome = json.loads(described.get("output") or "{}").get("outcome")
            # One may have died after it had confirmed the booking.
            died = described["status"] in DEAD
            confirmed = confirmed or (died and "AnnouncePayment" in self._states("payment", described["name"]))
            newest = PaymentRun(
                given=PaymentExecutionInput.model_validate_json(described["input"]),
                restart=restart,
                runs=described["status"] in {"RUNNING", "PENDING_REDRIVE"},
                outcome=outcome,
                confirmed=confirmed or outcome == "confirmed",
                stopped_at=described.get("stopDate"),
            )
            if described["status"] not in DEAD:
                return newest
            restart += 1
        return newest

    def opened(self, reservation_id: str, newest: int) -> dict[str, Opened]:
        """Every session that the executions of a payment have opened, up to its n-th replacement, by its id."""
        attempts: dict[str, OpenedAttempt] = {}
        published: set[str] = set()
        for restart in range(newest + 1):
            for event in self._history("payment", payment_execution_name(reservation_id, restart), data=True):
                result = json.loads(event.get("taskSucceededEventDetails", {}).get("output") or "{}")
                given = json.loads(event.get("taskScheduledEventDetails", {}).get("parameters") or "{}")
                if "session_id" in (payload := result.get("Payload") or {}):
                    attempts[payload["session_id"]] = OpenedAttempt.model_validate(payload)
                if ":session" in (values := given.get("ExpressionAttributeValues", {})):
                    published.add(values[":session"]["S"])
        return {session: Opened(attempt, session in published) for session, attempt in attempts.items()}

    def refund(self, refund_id: str, restart: int = 0) -> RefundRun | None:
        """A refund of ours; None if no execution was ever started for it."""
        first = self._describe("refund", refund_id)
        if first is None:
            return None
        given = RefundInput.parse(json.loads(first["input"]))
        if not isinstance(given, RefundExecutionInput):
            return None
        newest, name = first, refund_id
        # The first may have succeeded: its refund failed later, and the execution of that failure was replaced.
        while later := self._describe("refund", execution_name(refund_id, restart + 1)):
            restart += 1
            newest, name = later, execution_name(refund_id, restart)
            again = RefundInput.parse(json.loads(later["input"]))
            given = again if isinstance(again, RefundExecutionInput) else given
        states = [*self._states("refund", name)]
        return RefundRun(
            refund_id=refund_id,
            given=given,
            started_at=first["startDate"],
            stopped_at=newest.get("stopDate"),
            restart=restart,
            newest=name,
            runs=newest["status"] in {"RUNNING", "PENDING_REDRIVE"},
            succeeded=newest["status"] == "SUCCEEDED",
            state=states[-1],
            settled_elsewhere=ANSWERED in states,
            refused=json.loads(newest.get("output") or "{}").get("refused"),
        )

    def settled_elsewhere(self, refund_executions: Iterable[str]) -> bool:
        """Whether an operator has answered one of them that the guest has the money."""
        return any(ANSWERED in self._states("refund", name) for name in refund_executions)

    def _states(self, workflow: Workflow, name: str) -> Iterator[str]:
        for event in self._history(workflow, name, data=False):
            if event["type"].endswith("StateEntered"):
                yield event["stateEnteredEventDetails"]["name"]

    def waiting_token(self, execution: ListedExecution) -> str | None:
        """The token of the state in which the execution waits; None if it does not wait for one."""
        self._history_pace.wait()
        history = self._client.get_execution_history(
            executionArn=execution.arn, reverseOrder=True, includeExecutionData=True, maxResults=20
        )["events"]
        for event in sorted(history, key=lambda one: one["id"], reverse=True):
            if event["type"] == "TaskScheduled":
                parameters = json.loads(event["taskScheduledEventDetails"].get("parameters") or "{}")
                token = parameters.get("ExpressionAttributeValues", {}).get(":token", {}).get("S")
                return None if token is None else str(token)
            if event["type"].endswith("StateEntered"):
                return None
        return None

    def _history(self, workflow: Workflow, name: str, *, data: bool) -> Iterator[Mapping[str, Any]]:
        """The events of an execution, oldest first; none if it does not exist."""
        self._history_pace.wait()
        with suppress(self._client.exceptions.ExecutionDoesNotExist):
            yield from step_functions.history(workflow, name, data=data)

    def _describe(self, workflow: Workflow, name: str) -> Mapping[str, Any] | None:
        self._pace.wait()
        return step_functions.describe(workflow, name)
