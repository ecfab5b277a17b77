"""The whole system in this process: AWS, the program deployed to it, API Gateway, the Stripe fake, `/local`."""

import functools
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from infra.stripe_keys import store_keys
from local import credentials
from local.admin_api.admin_app import create_app
from local.admin_api.local_admin import LocalAdmin
from local.aws import emulator
from local.aws.eventbridge import EventBridge
from local.aws.gateway import Gateway
from local.aws.iam import Permissions
from local.fake_stripe.fake_stripe import FakeStripe
from local.pulumi.deployer import STACK, Deployment, deploy
from local.pulumi.resources.resource_type import AwsClients
from shared.services.stripe_events import HANDLED

if TYPE_CHECKING:
    from local.pulumi.automation import PulumiEngine
    from local.pulumi.provider import AwsProvider

HOST = "127.0.0.1"
LOGS = Path(__file__).parent.parent / "build" / "local"

METHOD_SETTINGS = "aws:apigateway/methodSettings:MethodSettings"


class PortBusyError(Exception):
    """Somebody else listens there."""


class LocalStack:
    """`with LocalStack(config={"holdSeconds": 12}) as stack:` serves everything at `stack.url` until the block ends.

    One at a time in a process; after it another can start, with another configuration. `config` takes every key that
    `pulumi config set` takes. `sandbox` are the secrets of a Stripe sandbox to be used in place of the fake.
    `dynamodb` is the address of a DynamoDB that keeps the items in place of moto's; its tables go with the stack.
    With `pulumi` the Pulumi engine deploys, and whoever deploys again with `stack.engine` or in its environment changes
    what is served. Raises PortBusyError, or what the deployment raises.
    """

    url: str
    deployment: Deployment
    fake_stripe: FakeStripe
    admin: LocalAdmin
    permissions: Permissions
    engine: "PulumiEngine"
    _provider: "AwsProvider"

    def __init__(
        self,
        *,
        port: int = 0,
        config: Mapping[str, str | int] | None = None,
        sandbox: Mapping[str, str] | None = None,
        dynamodb: str | None = None,
        pulumi: bool = False,
    ) -> None:
        self._port, self._pulumi = port, pulumi
        self._config = dict(config or {})
        self._sandbox = sandbox
        self._dynamodb = dynamodb
        self._stop: list[Callable[[], None]] = []

    @property
    def outputs(self) -> dict[str, Any]:
        return self.deployment.outputs

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        listener = self._listen()
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        self.log = LOGS / f"functions-{listener.getsockname()[1]}.log"
        _forget_environment()
        aws = emulator.start(self._dynamodb)
        self._stop.append(functools.partial(emulator.stop, aws))
        emulator.log_functions_to(self.log)
        config: dict[str, str | int] = {"stripeApiBase": f"{self.url}/stripe", **self._config}
        if self._sandbox:
            config = self._config
        self.deployment = self._deploy_by_pulumi(config) if self._pulumi else deploy(config)
        store_keys(
            self.outputs,
            **self._sandbox
            or {
                "secret_key": credentials.STRIPE_API_KEY,
                "publishable_key": credentials.PUBLISHABLE_KEY,
                "webhook_secret": credentials.WEBHOOK_SECRET,
            },
        )
        stage = self.deployment.stage["name"]
        self.fake_stripe = FakeStripe(
            base_url=f"{self.url}/stripe",
            webhook_url=f"{self.url}/{stage}/webhooks/stripe",
            enabled_events=sorted(HANDLED),
        )
        self._stop.append(self.fake_stripe.close)
        self.permissions = Permissions(self.deployment)
        emulator.access.append(self.permissions.check)
        self._stop.append(EventBridge().close)
        self.admin = LocalAdmin(self.deployment, self.fake_stripe, config=config, log=self.log)
        gateway = Gateway(self.deployment.openapi, stage=stage, limits=_limits(self.deployment))
        self._stop.append(gateway.close)
        if self._pulumi:
            self._provider.on_change = functools.partial(self._follow, gateway)
        app = Starlette(
            routes=[
                Mount(f"/{stage}", app=gateway),
                Mount("/stripe", app=self.fake_stripe.app),
                Mount("/local", app=create_app(self.admin)),
            ],
            exception_handlers={404: _nothing_here},
        )
        self._serve(app, listener)

    def _deploy_by_pulumi(self, config: Mapping[str, str | int]) -> Deployment:
        # The engine's language: seconds to import, which nobody else should wait for.
        from local.pulumi.automation import PulumiEngine
        from local.pulumi.provider import AwsProvider

        self._provider = AwsProvider(AwsClients())
        self._stop.append(self._provider.close)
        folder = LOGS / f"pulumi-{self.url.rpartition(':')[2]}"
        shutil.rmtree(folder, ignore_errors=True)
        self.engine = PulumiEngine(folder, self._provider.port, config)
        self.engine.up()
        deployment = Deployment.of(self.engine.outputs(), self._provider.resources_of(STACK))
        deployment.apply_environment()
        return deployment

    def _follow(self, gateway: Gateway) -> None:
        """The engine has changed something: what is served is what is deployed now."""
        try:
            deployment = Deployment.of(self.outputs, self._provider.resources_of(STACK))
        except ValueError:
            return  # between the old and the new one of something there is only one of
        self.deployment = deployment
        deployment.apply_environment()
        self.permissions.redeploy(deployment)
        gateway.redeploy(deployment.openapi, _limits(deployment))

    def _listen(self) -> socket.socket:
        """Before anything else: the address is part of the configuration."""
        # Named TCP, else asyncio leaves Nagle on for what it accepts, which costs 40 ms for each answer.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self._port))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            raise PortBusyError(f"port {self._port} is taken: {error.strerror}; try --port") from error
        self._stop.append(listener.close)
        return listener

    def _serve(self, app: Starlette, listener: socket.socket) -> None:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listener],), name="local-stack", daemon=True)

        def stop() -> None:
            server.should_exit = True
            thread.join()

        thread.start()
        self._stop.append(stop)
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Last started, first ended."""
        while self._stop:
            self._stop.pop()()


def _nothing_here(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "there is nothing here; see /api, /stripe, /local"}, 404)


def _limits(deployment: Deployment) -> dict[str, tuple[float, float]]:
    return {
        resource.inputs["methodPath"]: (
            resource.inputs["settings"]["throttlingRateLimit"],
            resource.inputs["settings"]["throttlingBurstLimit"],
        )
        for resource in deployment.of_type(METHOD_SETTINGS)
    }


def _forget_environment() -> None:
    """A new deployment finds new containers: what functions keep from their environment is read anew."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("shared", "lambdas"):
            for value in vars(module).values():
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()
    if parameters := sys.modules.get("aws_lambda_powertools.utilities.parameters"):
        parameters.clear_caches()
