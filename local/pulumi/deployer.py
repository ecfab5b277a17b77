"""Deploys the Pulumi program to the in-process AWS, without the Pulumi engine.

`__main__.py` runs on Pulumi's mocks, and each resource that it registers is created in moto by its type in
`local.pulumi.resources.registry`. A type that is not in that table stops the deployment, and so does an output that the
program uses and the type does not provide.
"""

import asyncio
import json
import os
import runpy
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import pulumi
import yaml
from pulumi.runtime import mocks, settings

import shared.settings
from local.aws.aws_account import REGION
from local.pulumi.invokes import invoke
from local.pulumi.program_values import missing_outputs, refuse_missing, unwrap
from local.pulumi.resources.registry import find_type
from local.pulumi.resources.resource_type import AwsClients, DeployError, Options, Resource, Values

PROJECT = "booking-payments"
STACK = "local"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Deployment:
    """What was deployed: `openapi` and `stage` are the REST API's, `environment` merges that of all functions."""

    outputs: Values
    resources: list[Resource]
    openapi: Values = field(default_factory=dict)
    stage: Values = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, outputs: Values, resources: list[Resource]) -> Self:
        return cls(
            outputs=outputs,
            resources=resources,
            openapi=_openapi(resources),
            stage=_stage(resources),
            environment=_environment(resources),
        )

    def apply_environment(self) -> None:
        """Sets the functions' environment in this process, where their handlers run."""
        os.environ.update(self.environment)
        shared.settings.settings.cache_clear()
        shared.settings.starter_settings.cache_clear()

    def of_type(self, type_: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == type_]


def deploy(config: Mapping[str, str | int], stack: str = STACK) -> Deployment:
    """Runs `__main__.py` against moto, which must be active, and sets the functions' environment in this process.

    `config` (keys without the project's name) overrides Pulumi.{stack}.yaml. May be called again after moto is reset.
    Raises DeployError, or what the program itself raises.
    """
    project = {f"{PROJECT}:{key}": str(value) for key, value in config.items()}
    stack_file = yaml.safe_load((_ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    results: list[Deployment | BaseException] = []

    def run() -> None:
        # Pulumi keeps its state in context variables and in the event loop; a new thread has neither.
        loops = [asyncio.new_event_loop()]
        asyncio.set_event_loop(loops[0])

        def open_loop() -> None:
            # Pulumi's mocks would give each of these threads a loop that is never closed.
            loops.append(asyncio.new_event_loop())
            asyncio.set_event_loop(loops[-1])

        workers = ThreadPoolExecutor(initializer=open_loop)
        loops[0].set_default_executor(workers)
        try:
            pulumi.runtime.set_all_config({**stack_file, **project})
            results.append(_run_program(stack))
        except BaseException as error:  # noqa: BLE001  raised below, in the caller's thread
            results.append(error)
        finally:
            workers.shutdown()
            for loop in loops:
                loop.close()

    thread = threading.Thread(target=run, name="deployer")
    thread.start()
    thread.join()
    (result,) = results
    if isinstance(result, BaseException):
        raise result
    result.apply_environment()
    return result


def _run_program(stack: str) -> Deployment:
    recorder = DeployMocks()
    mocks.set_mocks(recorder, project=PROJECT, stack=stack, preview=False, monitor=_OptionsMonitor(recorder))
    outputs: Values = {}

    def program() -> pulumi.Output[None]:
        runpy.run_path(str(_ROOT / "__main__.py"), run_name="__main__")
        root = cast("pulumi.runtime.stack.Stack", settings.get_root_resource())
        return pulumi.Output.from_input(root.outputs).apply(outputs.update)

    mocks.test(program)()  # type: ignore[no-untyped-call]
    refuse_missing("the stack's outputs", outputs)
    return Deployment.of(outputs, recorder.resources)


class DeployMocks(mocks.Mocks):
    """Creates each resource that the program registers; Pulumi calls this from several threads."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []
        self.options: dict[tuple[str, str], Options] = {}
        self._aws = AwsClients()
        self._lock = threading.RLock()

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = unwrap(args.inputs)
        if not args.custom:
            return None, inputs
        refuse_missing(f"{args.typ} {args.name!r}", inputs)
        with self._lock:
            try:
                type_ = find_type(args.typ)
                type_.check(self._aws, inputs)
                id_, computed = type_.create(self._aws, inputs)
            except Exception as error:
                raise DeployError(f"{args.typ} {args.name!r}: {error}") from error
            options = self.options.get((args.typ, args.name), Options())
            self.resources.append(Resource(args.typ, args.name, inputs, options))
        return id_, {**missing_outputs(args.typ), **inputs, **computed}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        with self._lock:
            return invoke(self._aws, args.token, unwrap(args.args)), []


class _OptionsMonitor(mocks.MockMonitor):
    """Records the options of resources, which Pulumi does not pass on to mocks."""

    def __init__(self, recorder: DeployMocks) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
        options = Options(request.protect, request.retainOnDelete, tuple(request.ignoreChanges))
        self._recorder.options[request.type, request.name] = options
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _only_inputs(resources: list[Resource], type_: str) -> Values:
    (resource,) = (resource for resource in resources if resource.type == type_)
    return resource.inputs


def _openapi(resources: list[Resource]) -> Values:
    document: Values = json.loads(_only_inputs(resources, "aws:apigateway/restApi:RestApi")["body"])
    return document


def _stage(resources: list[Resource]) -> Values:
    (throttling,) = [
        resource.inputs["settings"]
        for resource in resources
        if resource.type == "aws:apigateway/methodSettings:MethodSettings" and resource.inputs["methodPath"] == "*/*"
    ]
    return {
        "name": _only_inputs(resources, "aws:apigateway/stage:Stage")["stageName"],
        "throttling": {"rate": throttling["throttlingRateLimit"], "burst": throttling["throttlingBurstLimit"]},
    }


def _environment(resources: list[Resource]) -> dict[str, str]:
    """One environment for all handlers, since they run in one process."""
    merged = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    for resource in resources:
        if resource.type == "aws:lambda/function:Function":
            for key, value in resource.inputs["environment"]["variables"].items():
                if merged.setdefault(key, value) != value:
                    raise DeployError(f"{resource.name}: another function has a different {key}")
    return merged
