"""Injects a simulation's faults: functions crash at their outside calls, executions are stopped, writes are delayed."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service as tasks
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback as callbacks
import pytest
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import MockRawResponse
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField

from local.admin_api.executions import Workflow
from local.aws import aws_account, aws_faults
from local.aws.clients import client
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import stripe_api
from tests.harness.fault_injection import FaultInjector, Json, Moment, aws_request, running_function
from tests.properties.simulation.pairs import Pairs
from tests.properties.simulation.places import NOT_STARTED, STOPPABLE, place
from tests.properties.simulation.simulation_faults import Invocation, SimulationFaults
from tests.properties.simulation.write_monitor import WriteMonitor

WRITE_DELAY = 0.5  # seconds until a delayed write is executed

_invocation: ContextVar[Invocation | None] = ContextVar("_invocation", default=None)
# The context object of the execution whose task this thread runs.
_running_task: ContextVar[Json | None] = ContextVar("_running_task", default=None)


class SimulationInjector(FaultInjector[SimulationFaults]):
    """`invocations`: where runs of functions are recorded, if they are.

    `pairs`: what has met which state. `states`: the state that each booking's newest execution of a workflow has
    entered last. `on_entry`: what happens when one enters a state, by booking and state, once.
    """

    def __init__(self, stripe: FakeStripe, monitor: WriteMonitor) -> None:
        super().__init__(stripe, SimulationFaults)
        self._monitor = monitor
        self._states = client("stepfunctions")
        self.invocations: list[Invocation] | None = None
        self.pairs = Pairs()
        self.states: defaultdict[str, dict[str, str]] = defaultdict(lambda: {"payment": NOT_STARTED})
        self.on_entry: defaultdict[tuple[str, str], list[Callable[[], object]]] = defaultdict(list)
        # Where this thread's call is made; Stripe's faults are met in another context of the same thread.
        self._here = threading.local()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        super().install(patch)
        call_stripe = stripe_api.call
        enter = CommonStateField._eval_state_input
        run_task = tasks.StateTaskService._eval_execution
        wait = callbacks.StateTaskServiceCallback._wait_for_task_token_timeout

        def call(operation: str, request: Any) -> Any:
            self._note_call(f"stripe.{operation}", running_function.get())
            with self._outside_call(f"stripe.{operation}"):
                return call_stripe(operation, request)

        def enter_state(state: Any, env: Any) -> None:
            context = env.states.context_object.context_object_data
            self._enter(context)
            self._stop(context, "entered")
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

        patch.setattr(stripe_api, "call", call)
        patch.setattr(CommonStateField, "_eval_state_input", enter_state)
        patch.setattr(tasks.StateTaskService, "_eval_execution", run_task_of_state)
        patch.setattr(callbacks.StateTaskServiceCallback, "_wait_for_task_token_timeout", wait_for_token)

    def fault_met(self, booking: str, description: str) -> None:
        self.of[booking].occurred[description] += 1
        self.pairs.faults[description, getattr(self._here, "place", "")] += 1

    def may_meet_fault(self, operation: str) -> bool:
        """Whether a fault of AWS is to come that a call of this operation could meet here."""
        caller = aws_account.current_function.get() or aws_faults.STATES
        return any(
            (of.delayed_writes and (operation, caller) == ("dynamodb.UpdateItem", aws_faults.STATES))
            or any(
                fault.operation == operation and fault.function in (None, caller)
                for faults in of.aws.values()
                for fault in faults.pending()
            )
            for of in list(self.of.values())
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

    # What can be met where.

    def _enter(self, context: Json) -> None:
        booking, workflow = context["Execution"]["Input"]["reservation_id"], _workflow(context)
        name = self.states[booking][workflow] = place(workflow, context["State"]["Name"])
        if name in STOPPABLE:
            self.pairs.possible.add((f"{workflow} execution stopped", name))
        for act in self.on_entry.pop((booking, name), []):
            act()

    def _note_call(self, operation: str, booking: str) -> None:
        invocation, task = _invocation.get(), _running_task.get()
        if task is not None:
            self._here.place = place(_workflow(task), task["State"]["Name"])
        else:
            self._here.place = invocation.function if invocation else ""
        if booking and self._here.place:
            self.pairs.called(operation, self._here.place, by_function=invocation is not None)

    def call_aws(self, operation: str, request: Any, call: Callable[[], Any]) -> Any:
        return super().call_aws(operation, request, lambda: self._call_aws(operation, call))

    def _call_aws(self, operation: str, call: Callable[[], Any]) -> Any:
        booking, text = aws_request.get()
        self._note_call(operation, booking)
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
        execution, workflow = context["Execution"], _workflow(context)
        booking, state = execution["Input"]["reservation_id"], context["State"]["Name"]
        stops = self.of[booking].stops
        for stop in stops:
            if (stop.workflow, stop.state, stop.moment) == (workflow, state, moment):
                stops.remove(stop)
                self.execution_stopped(booking, workflow, place(workflow, state))
                token = _running_task.set(None)
                try:
                    self._states.stop_execution(executionArn=execution["Id"])
                finally:
                    _running_task.reset(token)

    def execution_stopped(self, booking: str, workflow: Workflow, where: str) -> None:
        self.of[booking].occurred[f"{workflow} execution stopped"] += 1
        self.pairs.faults[f"{workflow} execution stopped", where] += 1


def _workflow(context: Json) -> Workflow:
    return "refund" if "refund_id" in context["Execution"]["Input"] else "payment"
