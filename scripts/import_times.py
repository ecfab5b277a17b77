"""Measures cold starts: `make import-times` prints tables for docs/evidence.

Fresh interpreters import each function's module from the archives that are deployed to Lambda (with the layer for this
machine's processor), with nothing else on their path, and answer two events, with AWS and Stripe over TLS on this
machine. All figures are CPU time (user and system), which other programs disturb least: the minimum of all rounds.
"""

import hashlib
import hmac
import json
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from infra import packaging
from scripts.cold_start_servers import WEBHOOK_SECRET, certificate, servers
from tests.harness.lambda_environment import ENVIRONMENT

ROUNDS = 9

# Imported beside boto3, one at a time, to show which library takes how long.
LIBRARIES = ("pydantic", "aws_lambda_powertools", "aws_lambda_powertools.event_handler", "stripe")

# Runs with `-I -S -B`: without site-packages and environment; bytecode is read, but not written.
_PROGRAM = """
import importlib, json, sys, time
sys.path[:0] = sys.argv[2:4]
events = json.loads(sys.argv[4])
class Context:
    function_name, function_version, memory_limit_in_mb = "function", "1", 512
    invoked_function_arn, aws_request_id = "arn", "00000000-0000-4000-8000-000000000000"
times = [time.process_time()]
for module in sys.argv[1].split():
    loaded = importlib.import_module(module)
times.append(time.process_time())
for event in events:
    answer = loaded.handler(event, Context())
    assert answer.get("statusCode", 200) == 200, answer
    times.append(time.process_time())
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
print(*(1000 * (after - before) for before, after in zip(times, times[1:])), int(peak) / 1024)
"""


def _http(**fields: Any) -> dict[str, Any]:
    claims = {"custom:customer_id": "CUST-1", "sub": "sub"}
    context = {"requestId": "request", "path": "/api", "authorizer": {"claims": claims}}
    return {"headers": {}, "queryStringParameters": None, "requestContext": context, **fields}


def _stripe_event() -> dict[str, Any]:
    session = {"id": "cs_test_other", "object": "checkout.session", "metadata": {}}
    event = {"id": "evt_1", "object": "event", "type": "checkout.session.completed", "data": {"object": session}}
    body, at = json.dumps({**event, "created": 1, "livemode": False}), int(time.time())
    digest = hmac.new(WEBHOOK_SECRET.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return _http(httpMethod="POST", body=body, headers={"Stripe-Signature": f"t={at},v1={digest}"})


STATE = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1", "execution": "RES-1"}
EVENTS: dict[str, dict[str, Any]] = {
    "lambdas.payments_api.handler": _http(httpMethod="GET", path="/payments/RES-1/status"),
    "lambdas.stripe_webhook": _stripe_event(),
    "lambdas.create_checkout_session": STATE,
    "lambdas.verify_payment": {**STATE, "refunds_started": []},
}


def measure(root: Path, modules: str, address: str = "", *events: Any) -> list[float]:
    """CPU ms of one cold import of the modules (separated by spaces) and of each event; then the peak memory in MB.

    With the `address` of AWS and Stripe, a function also prepares itself when it is imported.
    """
    command = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, modules, str(root), str(root / "python")]
    environment = dict(ENVIRONMENT)
    if address:
        environment |= {"AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_ENDPOINT_URL": address, "STRIPE_API_BASE": address}
    if (bundle := root / "python" / "amazon-roots.pem").exists():
        environment["AWS_CA_BUNDLE"] = str(bundle)
    ran = subprocess.run([*command, json.dumps(events)], check=False, capture_output=True, text=True, env=environment)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return [float(figure) for figure in ran.stdout.splitlines()[-1].split()]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for archive in (packaging.code(), packaging.layer(f"{platform.machine()}-manylinux_2_28")):
            with zipfile.ZipFile(archive) as contents:
                contents.extractall(root)
        server, pem = certificate(root)
        for bundle in (*root.rglob("*cacert.pem"), *root.rglob("ca-certificates.crt"), *root.rglob("amazon-roots.pem")):
            bundle.write_text(bundle.read_text(encoding="utf-8") + pem, encoding="utf-8")
        modules = ["boto3", *[f"boto3 {library}" for library in LIBRARIES], *packaging.handler_modules(root).values()]
        with servers(server) as address:
            # Round by round, so that a slow moment of the machine affects all modules alike.
            rounds = [[measure(root, module) for module in modules] for _ in range(ROUNDS)]
            cold = [[measure(root, module, address, of, of) for module, of in EVENTS.items()] for _ in range(ROUNDS)]
    fastest = {
        module: [min(figures) for figures in zip(*of, strict=True)]
        for module, *of in zip(modules, *rounds, strict=True)
    }
    sys.stdout.write("| module | ms | times boto3 | MB |\n|---|---|---|---|\n")
    for module, (milliseconds, megabytes) in fastest.items():
        ratio = milliseconds / fastest["boto3"][0]
        sys.stdout.write(f"| `{module}` | {milliseconds:.0f} | {ratio:.2f} | {megabytes:.0f} |\n")
    sys.stdout.write(
        "\n| CPU ms | import | prepare | first event | together | second event |\n|---|---|---|---|---|---|\n"
    )
    for module, *of in zip(EVENTS, *cold, strict=True):
        init, first, second, _ = (min(figures) for figures in zip(*of, strict=True))
        imported = fastest[module][0]
        prepared, together = max(0.0, init - imported), init + first
        sys.stdout.write(
            f"| `{module}` | {imported:.0f} | {prepared:.0f} | {first:.0f} | {together:.0f} | {second:.0f} |\n"
        )


if __name__ == "__main__":
    main()
