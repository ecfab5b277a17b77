"""The whole system in one process: AWS with the program deployed to it, API Gateway, the fake Stripe, the admin API."""

import contextlib
import errno
import functools
import os
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
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from infra.stripe_keys import store_keys
from local import credentials
from local.admin_api.admin_app import create_app
from local.admin_api.local_admin import LocalAdmin
from local.aws import aws_account, aws_endpoint, emulator
from local.aws.eventbridge import EventBridge
from local.aws.gateway import Gateway
from local.aws.iam import Permissions
from local.aws.patches.short_cut import short_cut
from local.fake_stripe.fake_stripe import FakeStripe
from local.fake_stripe.webhook_delivery import LIVE_RETRY_DELAYS
from local.garbage import collect_rarely
from local.pulumi.deployer import STACK, Deployment, deploy
from local.pulumi.resources.resource_type import AwsClients, DeployError
from local.virtual_time import virtual_time
from local.virtual_time.in_process_http import served
from local.websites import Websites
from shared.adapters import secrets
from shared.services.stripe_events import HANDLED

if TYPE_CHECKING:
    from local.pulumi.automation import PulumiEngine
    from local.pulumi.provider import AwsProvider

HOST = "127.0.0.1"
LOGS = Path(__file__).parent.parent / "build" / "local"

# The longest that a request of the API takes; one in flight is completed before the AWS that it uses stops.
REQUEST_SECONDS = 10

# Nobody listens on it: an address has to have one, and the same in every run.
_VIRTUAL_PORT = 8400

METHOD_SETTINGS = "aws:apigateway/methodSettings:MethodSettings"


class PortUnavailableError(Exception):
    """The port is in use, or this user may not listen on it."""


class LocalStack:
    """`with LocalStack(config={"holdSeconds": 12}) as stack:` serves everything at `stack.url` until the block ends.

    A process can run one stack at a time, and another one after it. `port` 0 is any free port. `config` takes every key
    that `pulumi config set` takes. `sandbox` are the keys of a Stripe sandbox to use in place of the fake. `dynamodb`
    is the address of a DynamoDB that stores the items in place of moto; the stack deletes its tables at the end. With
    `pulumi` the Pulumi engine deploys, and a later deployment, by `stack.engine` or from a shell, changes what is
    served. With a `seed` the stack lives on virtual time once it is deployed: API and Stripe are reached by `requests`
    from this process alone, without a socket. With `take_short_cut` a call of AWS is no request on its way to moto.
    Raises PortUnavailableError, or what the deployment raises.
    """

    url: str
    deployment: Deployment
    fake_stripe: FakeStripe
    admin: LocalAdmin
    permissions: Permissions
    engine: "PulumiEngine"
    stack_name = STACK
    _provider: "AwsProvider"

    def __init__(
        self,
        *,
        port: int = 0,
        config: Mapping[str, str | int] | None = None,
        sandbox: Mapping[str, str] | None = None,
        dynamodb: str | None = None,
        pulumi: bool = False,
        seed: int | None = None,
        take_short_cut: bool = False,
    ) -> None:
        self._port, self._pulumi, self._seed = port, pulumi, seed
        self._config = dict(config or {})
        self._take_short_cut = take_short_cut
        self._sandbox = sandbox
        self._dynamodb = dynamodb
        self._stop: list[Callable[[], None]] = []
        self._running = contextlib.ExitStack()

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
        collect_rarely()
        listener = self._listen() if self._seed is None else None
        self.url = f"http://{HOST}:{listener.getsockname()[1] if listener else _VIRTUAL_PORT}"
        self.log = LOGS / f"functions-{listener.getsockname()[1] if listener else f'virtual-{os.getpid()}'}.log"
        _forget_environment()
        aws = emulator.start(self._dynamodb)
        self._stop.append(functools.partial(emulator.stop, aws))
        emulator.log_functions_to(self.log)
        # Guests return from Stripe to the shop, and browsers may call the API by both names of this machine.
        own = f"{self.url},http://localhost:{self.url.rpartition(':')[2]}"
        config: dict[str, str | int] = {"frontendUrl": own, **self._config}
        if not self._sandbox:
            config = {"stripeApiBase": f"{self.url}/stripe", **config}
        with contextlib.nullcontext() if self._seed is None else virtual_time.same_every_time():
            self._deploy(config)
        self._stop.append(self._running.close)
        app = self._run(config)
        if listener is not None:
            self._serve(app, listener)

    def _deploy(self, config: Mapping[str, str | int]) -> None:
        self.deployment = self._deploy_with_engine(config) if self._pulumi else deploy(config, self.stack_name)
        store_keys(
            self.outputs,
            **self._sandbox
            or {
                "secret_key": credentials.STRIPE_API_KEY,
                "reporting_key": credentials.REPORTING_KEY,
                "publishable_key": credentials.PUBLISHABLE_KEY,
                "webhook_secret": credentials.WEBHOOK_SECRET,
            },
        )

    def renew(self, seed: int) -> None:
        """Begin again in virtual time, with another seed: nothing is left but what is deployed."""
        self._running.close()
        emulator.empty()
        secrets._refreshed.clear()
        secrets._parameters().clear_cache()  # type: ignore[no-untyped-call]
        self.log.write_bytes(b"")
        self._seed = seed
        self._run(self.admin.config)

    def _run(self, config: Mapping[str, str | int]) -> Starlette:
        """Run what is in front of AWS, until `_running` is closed; the application that it is reached by."""
        if self._take_short_cut:
            self._running.enter_context(short_cut(_may_be_refused))
        if self._seed is not None:
            now = self._running.enter_context(virtual_time.virtual_time(self._seed))
            self._running.callback(now.let_others_end, seconds=86_400)
            self._running.callback(emulator.stop_executions)
        stage = self.deployment.stage["name"]
        self.fake_stripe = FakeStripe(
            base_url=f"{self.url}/stripe",
            webhook_url=f"{self.url}/{stage}/webhooks/stripe",
            enabled_events=sorted(HANDLED),
        )
        self._running.callback(self.fake_stripe.close)
        if self._seed is not None:
            self.fake_stripe.webhooks.retry_delays = LIVE_RETRY_DELAYS
        self.permissions = Permissions(self.deployment)
        emulator.access.append(self.permissions.check)
        self._running.callback(EventBridge().close)
        self.admin = LocalAdmin(self.deployment, self.fake_stripe, config=dict(config), log=self.log)
        gateway = Gateway(self.deployment.openapi, stage=stage, limits=_limits(self.deployment))
        self._running.callback(gateway.close)
        if self._pulumi:
            self._provider.on_change = functools.partial(self._follow, gateway)
        routes = [Mount(f"/{stage}", app=gateway), Mount("/stripe", app=self.fake_stripe.app)]
        if self._seed is None:
            site = Websites(self.url, stage=stage, admin=self.admin, environment=self.deployment.environment)
            routes += [Mount("/local", app=self._admin_app()), Mount("", app=site)]
        app = Starlette(routes=routes)
        if self._seed is not None:
            self._running.enter_context(served(self.url, app))
        return app

    def _admin_app(self) -> CORSMiddleware:
        """The admin API, which the browsers of the configured front ends may call, as they may call the API."""
        origins = self.deployment.environment["FRONTEND_URLS"].split(",")
        app = create_app(self.admin)
        app.router.routes += aws_endpoint.ROUTES
        return CORSMiddleware(app, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])

    def _deploy_with_engine(self, config: Mapping[str, str | int]) -> Deployment:
        # These take seconds to import, and are needed only here.
        from pulumi.automation import CommandError

        from local.pulumi.automation import PulumiEngine
        from local.pulumi.provider import AwsProvider

        self._provider = AwsProvider(AwsClients())
        self._stop.append(self._provider.close)
        folder = LOGS / f"pulumi-{self.url.rpartition(':')[2]}"
        shutil.rmtree(folder, ignore_errors=True)
        self.engine = PulumiEngine(folder, self._provider.port, config)
        try:
            self.engine.up()
        except CommandError as error:
            raise DeployError(str(error)) from error
        deployment = Deployment.of(self.engine.outputs(), self._provider.resources_of(self.stack_name))
        deployment.apply_environment()
        return deployment

    def _follow(self, gateway: Gateway) -> None:
        """Serves what is deployed now that the engine has made a change."""
        try:
            deployment = Deployment.of(self.outputs, self._provider.resources_of(self.stack_name))
        except (ValueError, DeployError):
            # In the middle of an update: the API is deleted and not yet created again, or some functions have the new
            # environment and others the old one. The last change completes it.
            return
        self.deployment = deployment
        deployment.apply_environment()
        self.permissions.redeploy(deployment)
        gateway.redeploy(deployment.openapi, _limits(deployment))

    def _listen(self) -> socket.socket:
        """Listens before anything is deployed, since the address is part of the configuration."""
        # With the protocol named, asyncio turns Nagle's algorithm off, which would delay each answer by 40 ms.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self._port))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            reason = "it is already in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise PortUnavailableError(
                f"cannot listen on port {self._port}: {reason}; choose another with --port, or 0 for any free one"
            ) from error
        self._stop.append(listener.close)
        return listener

    def _serve(self, app: Starlette, listener: socket.socket) -> None:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=REQUEST_SECONDS)
        )
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
        """Stops everything, in reverse order of its start."""
        while self._stop:
            self._stop.pop()()


def _may_be_refused(operation: str) -> bool:
    pending = aws_account.aws_faults.pending()
    return aws_account.quotas.limited or any(fault.operation == operation for fault in pending)


def _limits(deployment: Deployment) -> dict[str, tuple[float, float]]:
    return {
        resource.inputs["methodPath"]: (
            resource.inputs["settings"]["throttlingRateLimit"],
            resource.inputs["settings"]["throttlingBurstLimit"],
        )
        for resource in deployment.of_type(METHOD_SETTINGS)
    }


def _forget_environment() -> None:
    """Clears what functions cache: a new deployment means new containers, with a new environment."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("shared", "lambdas"):
            for value in vars(module).values():
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()
    secrets._refreshed.clear()
