"""What goes wrong for one booking: calls fail, functions crash, executions are stopped."""

import time
from typing import Any

from local.admin_api.executions import Workflow
from tests.harness.booking_driver import BookingDriver
from tests.harness.fault_injection import Moment
from tests.properties.simulation.simulated_stack import SimulatedStack
from tests.properties.simulation.simulation_faults import Crash, SimulationFaults, Stop


class FaultSteps(BookingDriver):
    """Each kind of step is a method. `log`: what was done, with its outcome."""

    stack: SimulatedStack

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.log: list[str] = []

    @property
    def faults(self) -> SimulationFaults:
        return self.stack.faults.of[self.id]

    def stop(self, workflow: Workflow, pause: float) -> None:
        """Stop one of the booking's executions after some seconds."""
        time.sleep(pause)
        ids = (self.id, *(intent["id"] for intent in self.intents()))
        for name, of in self.stack.running().items():
            if of == workflow and any(one in name for one in ids):
                self.stack.states.stop_execution(executionArn=self.stack.execution_arn(name, workflow))
                self.stack.faults.execution_stopped(self.id, workflow, self.stack.faults.states[self.id][workflow])
                self.log.append(f"stopped {name}")
                return

    def stop_in(self, workflow: Workflow, state: str, moment: Any) -> None:
        """Stop the next of the booking's executions that reaches this moment of the state."""
        self.faults.stops.append(Stop(workflow, state, moment))

    def fail_stripe(self, operation: str, kind: Any, times: int) -> None:
        self.faults.fail_stripe(operation, kind, times)

    def fail_aws(self, operation: str, kind: Any, times: int, caller: str | None) -> None:
        self.faults.fail_aws(operation, kind, times, caller=caller)

    def delay_write(self) -> None:
        self.faults.delayed_writes += 1

    def crash(self, function: str, call: int, moment: Moment) -> None:
        self.faults.crashes.append(Crash(function, call, moment))
