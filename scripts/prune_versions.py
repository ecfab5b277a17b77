"""Deletes the versions of functions that nothing can need any more: `make prune-versions STACK=dev`.

Lambda keeps 75 GB of code for an account and region, and each deployment adds a version of every function it changes.
A version is kept if an alias points to it, if the definition of a workflow names it, today's or that of any execution
that runs, or if it is the newest of its function: a deployment that is under way has published it and names it last.
Safe to run at any time, and again.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import boto3

from infra.function import LIVE
from infra.packaging import handler_modules
from scripts import stack_outputs


def prune(outputs: Mapping[str, Any], functions: Iterable[str]) -> list[str]:
    """Delete what these functions do not need, and return it as `function:version`; `outputs` are the stack's."""
    region = stack_outputs.region(outputs)
    lambda_ = boto3.client("lambda", region_name=region)
    # Listed before the executions: what is published from now on is not touched.
    versions = {name: list(_versions(lambda_, name)) for name in functions}
    needed = _named_by_workflows(boto3.client("stepfunctions", region_name=region), outputs)
    pruned = []
    for name, found in versions.items():
        aliases = lambda_.list_aliases(FunctionName=name)["Aliases"]
        kept = {max(found, default=0), *needed.get(name, ()), *(int(alias["FunctionVersion"]) for alias in aliases)}
        for version in sorted({*found} - kept):
            lambda_.delete_function(FunctionName=name, Qualifier=str(version))
            pruned.append(f"{name}:{version}")
    return pruned


def _versions(lambda_: Any, name: str) -> Iterator[int]:
    for page in lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=name):
        yield from (int(one["Version"]) for one in page["Versions"] if one["Version"] != "$LATEST")


def _named_by_workflows(states: Any, outputs: Mapping[str, Any]) -> dict[str, set[int]]:
    """The versions, by function, that the definitions of new and of running executions name."""
    needed: dict[str, set[int]] = {}
    for machine in (outputs["paymentStateMachineArn"], outputs["refundStateMachineArn"]):
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
        running = [execution for page in pages for execution in page["executions"]]
        # One that was started by hand, without the alias, has the definition of the machine itself at that time.
        alone = [one["executionArn"] for one in running if "stateMachineVersionArn" not in one]
        of_versions = {one["stateMachineVersionArn"] for one in running if "stateMachineVersionArn" in one}
        definitions = [
            *(
                states.describe_state_machine(stateMachineArn=arn)
                for arn in {machine, f"{machine}:{LIVE}", *of_versions}
            ),
            *(states.describe_state_machine_for_execution(executionArn=arn) for arn in alone),
        ]
        for described in definitions:
            for name, version in re.findall(r":function:([\w-]+):(\d+)", described["definition"]):
                needed.setdefault(name, set()).add(int(version))
    return needed


def main(stack: str) -> None:
    outputs = stack_outputs.read(stack)
    prefix = outputs["reconcilerFunction"].removesuffix("reconcile-payments")
    pruned = prune(outputs, [prefix + module.replace("_", "-") for module in handler_modules()])
    sys.stdout.write("".join(f"{version} deleted\n" for version in pruned) or "every version is needed\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
