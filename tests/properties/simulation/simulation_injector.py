"""Injects a simulation's faults: functions crash at their outside calls, executions are stopped, writes are delayed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import boto3
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service as tasks
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback as callbacks
import pytest
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import MockRawResponse
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField

from local.aws import aws_account, aws_faults, emulator
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import stripe_api
from tests.harness.fault_injection import FaultInjector, Json, Moment, aws_request, running_function
from tests.properties.simulation.simulation_faults import Invocation, SimulationFaults
from tests.properties.simulation.write_monitor import WriteMonitor

if TYPE_CHECKING:
    from local.admin_api.executions import Workflow

WRITE_DELAY = 0.5  # seconds until a delayed write is executed

_invocation: ContextVar[Invocation | None] = ContextVar("_invocation", default=None)
# The context object of the execution whose task this thread runs.
_running_task: ContextVar[Json | None] = ContextVar("_running_task", default=None)


class SimulationInjector(FaultInjector[SimulationFaults]):
    """`invocations`: where runs of functions are recorded, if they are."""

    def __init__(self, stripe: FakeStripe, monitor: WriteMonitor) -> None:
        super().__init__(stripe, SimulationFaults)
        self._monitor = monitor
        self._states = boto3.client("stepfunctions", region_name=emulator.REGION)
        self.invocations: list[Invocation] | None = None

    def install(self, patch: pytest.MonkeyPatch) -> None:
        super().install(patch)
        call_stripe = stripe_api._call
        enter = CommonStateField._eval_state_input
        run_task = tasks.StateTaskService._eval_execution
        wait = callbacks.StateTaskServiceCallback._wait_for_task_token_timeout

        def call(operation: str, request: Any) -> Any:
            with self._outside_call(f"stripe.{operation}"):
                return call_stripe(operation, request)

        def enter_state(state: Any, env: Any) -> None:
            self._stop(env.states.context_object.context_object_data, "entered")
            enter(state, env)

        def run_task_of_state(task: Any, env: Any) -> None:
            context = env.states.context_object.context_object_data
            token = _running_task.set(context)
            try:
                run_task(task, env)
            finally:
                _running_task.reset(token)
            self._stop(context, "finished")

        def wait_for_token(task: Any, timeout_seconds: int, callback_endpoint: Any) -> Any:
            self._stop(_running_task.get(), "waiting")
            return wait(task, timeout_seconds, callback_endpoint)

        patch.setattr(stripe_api, "_call", call)
        patch.setattr(CommonStateField, "_eval_state_input", enter_state)
        patch.setattr(tasks.StateTaskService, "_eval_execution", run_task_of_state)
        patch.setattr(callbacks.StateTaskServiceCallback, "_wait_for_task_token_timeout", wait_for_token)

    def fault_met(self, booking: str, description: str) -> None:
        self.of[booking].occurred[description] += 1

    def aws_faults_to_come(self) -> bool:
        return any(
            of.delayed_writes or any(faults.pending() for faults in of.aws.values()) for of in list(self.of.values())
        )

    def send_webhook(self, event: Json, send: Callable[[Json], Future[None]]) -> Future[None]:
        sent = super().send_webhook(event, send)
        if self.of[self.booking_of_object(event["data"]["object"])].events_lost:
            self.stripe.webhooks._undelivered[event["id"]].clear()
        return sent

    # Functions crash.

    def run_function(
        self, function: Any, body: str | bytes, run: Callable[[Any, str | bytes], tuple[bytes, bool]]
    ) -> tuple[bytes, bool]:
        def run_recorded(function: Any, body: str | bytes) -> tuple[bytes, bool]:
            token = _invocation.set(self._new_invocation(function.handler.split(".")[1], running_function.get()))
            try:
                return run(function, body)
            finally:
                _invocation.reset(token)

        return super().run_function(function, body, run_recorded)

    def _new_invocation(self, function: str, booking: str) -> Invocation:
        runs = self.of[booking].runs
        invocation = Invocation(function, booking, runs[function])
        runs[function] += 1
        if self.invocations is not None:
            self.invocations.append(invocation)
        return invocation

    def call_aws(self, operation: str, request: Any, call: Callable[[], Any]) -> Any:
        return super().call_aws(operation, request, lambda: self._call_aws(operation, call))

    def _call_aws(self, operation: str, call: Callable[[], Any]) -> Any:
        booking, text = aws_request.get()
        if _invocation.get() is None:
            self._stop(_running_task.get(), "calling")
        if '":token"' in text and self.of[booking].delayed_writes:
            return self._delay(booking, text, call)
        with self._outside_call(operation):
            self._monitor.before(operation, booking)
            response = call()
            self._monitor.after(operation, booking, text, response)
            return response

    @contextmanager
    def _outside_call(self, operation: str) -> Iterator[None]:
        """A call of the running function, before and after which its process may crash."""
        running = _invocation.get()
        invocation = None if running is None else self._part_for_booking(running)
        if invocation is None or invocation.crashed:
            yield
            return
        number = len(invocation.calls)
        invocation.calls.append(operation)
        self._crash(invocation, number, "before")
        try:
            yield
        except Exception:
            self._crash(invocation, number, "after")
            raise
        self._crash(invocation, number, "after")

    def _part_for_booking(self, running: Invocation) -> Invocation:
        """The run itself, or what it does for one booking if it handles many."""
        running.current = aws_request.get()[0] or running.current
        if running.booking or not running.current:
            return running
        if running.current not in running.by_booking:
            running.by_booking[running.current] = self._new_invocation(running.function, running.current)
        return running.by_booking[running.current]

    def _crash(self, invocation: Invocation, number: int, moment: Moment) -> None:
        faults = self.of[invocation.booking]
        for crash in faults.crashes:
            if crash.matches(invocation, number, moment):
                faults.crashes.remove(crash)
                self.fault_met(invocation.booking, f"a function crashes {moment} a call")
                invocation.crashed = True
                raise SystemExit(f"{moment} {invocation.calls[number]}")

    def _delay(self, booking: str, text: str, write: Callable[[], Any]) -> Any:
        """Answer with an error, and execute the write when the caller may have repeated it."""
        self.of[booking].delayed_writes -= 1
        self.fault_met(booking, "dynamodb: delayed")
        machine = aws_account.current_state_machine.get()

        def execute() -> None:
            aws_account.current_state_machine.set(machine)
            self._monitor.after("dynamodb.UpdateItem", booking, text, write())

        timer = threading.Timer(WRITE_DELAY, execute)
        timer.daemon = True
        timer.start()
        status, headers, body = aws_faults.fault_response("dynamodb.UpdateItem", "internal_error")
        return AWSResponse("", status, headers, MockRawResponse(body))  # type: ignore[arg-type]

    # Executions are stopped.

    def _stop(self, context: Json | None, moment: str) -> None:
        """Stop the execution if a fault says so for this state and moment."""
        if context is None:
            return
        execution = context["Execution"]
        stops = self.of[execution["Input"]["reservation_id"]].stops
        workflow: Workflow = "refund" if "refund_id" in execution["Input"] else "payment"
        for stop in stops:
            if (stop.workflow, stop.state, stop.moment) == (workflow, context["State"]["Name"], moment):
                stops.remove(stop)
                token = _running_task.set(None)
                try:
                    self._states.stop_execution(executionArn=execution["Id"])
                finally:
                    _running_task.reset(token)
