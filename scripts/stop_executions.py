"""Stops every execution of a stack that is about to be destroyed: `make stop-executions STACK=dev`.

`pulumi destroy` waits five minutes for a state machine whose executions still run, and they wait for days. The
reconciler, which would replace them, is switched off first. What they did stays undone: a hold is not released, and a
refund is not sent. Asks before it stops anything, and says how many. `--yes` (make: YES=1) answers the question; a
production stack needs it. Safe to run again: what runs is stopped.
"""

import sys
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from scripts import stack_outputs


class Executions:
    """The executions of a deployed stack; `outputs` are the stack's."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        self._outputs = outputs
        # StopExecution has a low quota.
        patient = Config(region_name=stack_outputs.region(outputs), retries={"mode": "adaptive", "max_attempts": 10})
        self._states, self._functions = (
            boto3.client("stepfunctions", config=patient),
            boto3.client("lambda", config=patient),
        )

    def running(self, workflow: str) -> list[str]:
        """The ARNs of those of the workflow `payment` or `refund` that run."""
        pages = self._states.get_paginator("list_executions").paginate(
            stateMachineArn=self._outputs[f"{workflow}StateMachineArn"], statusFilter="RUNNING"
        )
        return [execution["executionArn"] for page in pages for execution in page["executions"]]

    def stop(self) -> int:
        """Switch off the reconciler, stop what runs, and return how many executions that were."""
        name = self._outputs["reconcilerFunction"]
        self._functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        stopped = set[str]()
        while running := [*self.running("payment"), *self.running("refund")]:
            for execution in running:
                self._states.stop_execution(executionArn=execution, error="StackDestroyed")
            stopped |= {*running}
        return len(stopped)


def main(stack: str, *options: str) -> None:
    outputs = stack_outputs.read(stack)
    executions = Executions(outputs)
    payments, refunds = len(executions.running("payment")), len(executions.running("refund"))
    what = f"{payments} payments and {refunds} refunds of {stack} are under way"
    if "--yes" not in options:
        if outputs["production"]:
            sys.exit(f"{what}. It is a production stack: guests wait for them. Add YES=1 to stop them all the same.")
        if input(f"{what}. Stop them, and the reconciler? [y/N] ").strip().lower() != "y":
            sys.exit("nothing was stopped")
    stopped = executions.stop()
    reconciler = outputs["reconcilerFunction"]
    sys.stdout.write(
        f"{stopped} executions stopped. Now run: pulumi destroy --stack {stack}\n"
        f"To keep the stack instead: aws lambda delete-function-concurrency --function-name {reconciler}\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
