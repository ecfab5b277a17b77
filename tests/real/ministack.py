"""The packaged program on MiniStack, an emulator of AWS that shares no code with moto.

Each function runs in a process of its own, from the archives that are deployed.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from infra import packaging
from infra.stripe_keys import store_keys
from local import credentials
from local.aws.api_messages import ApiRequest
from local.aws.aws_account import ACCOUNT, REGION
from local.aws.dynamodb_local import free_port, listens
from local.aws.proxy_integration import proxy_event
from local.external_tools import ToolUnavailableError, install
from local.fake_stripe.fake_stripe import FakeStripe
from local.pulumi.deployer import deploy
from local.pulumi.resources import iam_roles, lambda_functions, lambda_layers, rest_apis, state_machines
from shared.services.stripe_events import HANDLED
from tests.harness.running_stack import quiet_imports

type Json = dict[str, Any]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

_MEMORY = Path("/dev/shm")
# It cannot evaluate an expression there in a state that waits for a token.
_TIMEOUT = re.compile(r'("TimeoutSeconds": )"\{%[^"]*%\}"')


@contextmanager
def ministack() -> Iterator[str]:
    """The address of an empty MiniStack. Raises ToolUnavailableError."""
    pip = [packaging.uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", "lib"]
    library = install("ministack", [*pip, "--require-hashes", "-r", "requirements.txt"]) / "lib"
    port = free_port()
    # Not from .venv: a function has what its layer has.
    command = [f"{sys.base_prefix}/bin/python3", "-m", "ministack"]
    # It unpacks the layer for each function, 5,000 files: in memory where there is enough of it.
    enough = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 4_000_000_000
    with (
        tempfile.TemporaryDirectory(dir=_MEMORY if enough else None) as folder,
        (Path(folder) / "log").open("w") as log,
    ):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(library),
            "TMPDIR": folder,
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "LOG_LEVEL": "WARNING",
            # Functions may do what their roles allow, and this process may do everything.
            "AUTH": "true",
            **CREDENTIALS,
        }
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as server:
            try:
                while not listens(port):
                    if server.poll() is not None:
                        raise ToolUnavailableError(f"ministack is not available: {Path(log.name).read_text()}")
                    time.sleep(0.1)
                yield f"http://127.0.0.1:{port}"
            finally:
                server.kill()  # it would first wait for executions


class DeployedProgram:
    """The program on an empty MiniStack, with the fake Stripe in front of its webhook."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """The environment's AWS_ENDPOINT_URL is the MiniStack's address."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.stripe = FakeStripe(
            base_url=f"{self.url}/stripe", webhook_url=f"{self.url}/webhooks/stripe", enabled_events=sorted(HANDLED)
        )
        webhook = Route("/webhooks/stripe", self._webhook, methods=["POST"])
        app = Starlette(routes=[Mount("/stripe", app=self.stripe.app), webhook])
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        self.functions = boto3.client("lambda", region_name=REGION)
        self.states = boto3.client("stepfunctions", region_name=REGION)
        self.dynamodb = boto3.resource("dynamodb", region_name=REGION)
        _work_around(patch)
        _package(patch)
        config: dict[str, str | int] = {"package": "true", "stripeApiBase": f"{self.url}/stripe"}
        with quiet_imports():
            self.deployment = deploy(config)
        self.outputs = self.deployment.outputs
        store_keys(
            self.outputs,
            secret_key=credentials.STRIPE_API_KEY,
            publishable_key=credentials.PUBLISHABLE_KEY,
            webhook_secret=credentials.WEBHOOK_SECRET,
        )

    def close(self) -> None:
        self.stripe.close()
        self._server.should_exit = True
        self._thread.join()

    async def _webhook(self, request: Request) -> Response:
        body = await request.body()
        headers = list(request.headers.items())
        status, text = await run_in_threadpool(self.call, "POST", "/webhooks/stripe", None, body, headers)
        return Response(json.dumps(text), status_code=status)

    def call(
        self, method: str, path: str, customer: str | None, body: bytes = b"", headers: Any = (), **claims: str
    ) -> tuple[int, Json]:
        """The status and body that the function behind a route answers, for a guest who is signed in."""
        request = ApiRequest(str(uuid.uuid4()), method, path, [*headers, ("Host", "api.test")], "", "127.0.0.1", body)
        signed_in = {"sub": "1", "custom:customer_id": customer, "token_use": "id", **claims} if customer else None
        event = proxy_event(request, stage="api", template=path, variables={}, claims=signed_in, binary_media_types=())
        name = "stripe-webhook" if path == "/webhooks/stripe" else "payments-api"
        answer = self.functions.invoke(
            FunctionName=f"booking-local-{name}", Qualifier="live", Payload=json.dumps(event).encode()
        )
        result = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return result["statusCode"], json.loads(result["body"])

    def machine(self, workflow: str) -> str:
        return str(self.outputs[f"{workflow}StateMachineArn"])

    def table(self, name: str) -> Any:
        return self.dynamodb.Table(self.outputs[f"{name}Table"])


def _work_around(patch: pytest.MonkeyPatch) -> None:
    """Leaves out or replaces what MiniStack cannot do (docs/real-parts.md), which test_ministack.py shows it cannot."""
    patch.setattr(rest_apis.RestApi, "update", lambda *_: {})
    for type_, property_, replace in (
        (state_machines.StateMachine, "definition", without_expressions),
        (iam_roles.RolePolicy, "policy", with_statements(on_alias, on_everything)),
    ):
        create = type_.create
        patch.setattr(type_, "create", _replacing(create, property_, replace))


def _replacing(create: Any, property_: str, replace: Callable[[str], str]) -> Any:
    return lambda self, aws, inputs: create(self, aws, {**inputs, property_: replace(inputs[property_])})


def without_expressions(definition: str) -> str:
    """The definition with an hour for each timeout that is an expression."""
    return _TIMEOUT.sub(r"\g<1>3600", definition)


def on_alias(statement: Json) -> Json:
    """The ARN of an alias in place of a condition that names it."""
    if "states:StartExecution" not in statement["Action"]:
        return statement
    return {**statement, "Condition": {}, "Resource": [f"{arn}:live" for arn in statement["Resource"]]}


def on_everything(statement: Json) -> Json:
    return {**statement, "Resource": "*"} if "states:SendTaskSuccess" in statement["Action"] else statement


def with_statements(*changes: Callable[[Json], Json]) -> Callable[[str], str]:
    def changed(policy: str) -> str:
        statements = json.loads(policy)["Statement"]
        for change in changes:
            statements = [change(statement) for statement in statements]
        return json.dumps({"Version": "2012-10-17", "Statement": statements})

    return changed


def _package(patch: pytest.MonkeyPatch) -> None:
    """Deploys the archives of the functions, with dependencies for this machine, and not the working tree."""
    layer = packaging.layer(f"{platform.machine()}-manylinux_2_28")
    patch.setattr(packaging, "layer", lambda: layer)
    patch.setattr(lambda_layers, "WORKING_TREE", layer.read_bytes())
    patch.setattr(lambda_functions, "WORKING_TREE", packaging.code().read_bytes())
