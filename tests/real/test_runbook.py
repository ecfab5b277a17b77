"""The commands of docs/operations.md and docs/integration.md, run with the AWS CLI against the local stack."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.running_stack import RunningStack, run_stack
from tests.real.conftest import tool_or_skip
from tests.real.guide_shell import aws_cli

pytestmark = pytest.mark.runbook

DOCS = Path(__file__).parents[2] / "docs"
FUNCTIONS, SUBSCRIPTION = (
    re.findall(r"```bash\n(export AWS_REGION.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)[0]
    for page in ("operations.md", "integration.md")
)

type Shell = Callable[[str], str]
type Run = Callable[[str, str], str]


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with run_stack(nights=1) as stack:
        yield stack


@pytest.fixture
def shell(stack: RunningStack, tmp_path: Path) -> Shell:
    """Runs commands in a new shell whose AWS is the local stack; returns what they print."""
    program, settings = tmp_path / "aws", tmp_path / "config"
    # Version 1 takes the region from another variable than version 2, for which the commands are written, wants the
    # endpoint of SQS as an option, and reads values that are addresses from there.
    command = f"AWS_DEFAULT_REGION=$AWS_REGION PYTHONPATH={tool_or_skip(aws_cli)} exec {sys.executable} -W ignore"
    program.write_text(f'#!/bin/sh\n{command} -m awscli --endpoint-url $AWS_ENDPOINT_URL "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    settings.write_text("[default]\ncli_follow_urlparam = false\n", encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": f"{stack.url}/local/aws",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": str(settings),
        "AWS_PAGER": "",
    }

    def run_in_shell(commands: str) -> str:
        done = subprocess.run(["bash", "-euc", commands], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_in_shell


@pytest.fixture
def run(stack: RunningStack, shell: Shell) -> Run:
    """Runs a command of the runbook about a booking; returns what it prints."""

    def run_about(command: str, reservation_id: str) -> str:
        known = FUNCTIONS.replace("STACK=prod ID=RES-1", f"STACK=local ID={reservation_id}")
        known = known.replace(" --cli-binary-format raw-in-base64-out", "")  # version 1 knows no other
        known = re.sub(r"ID_TOKEN=… API=\S+", f"ID_TOKEN={stack.operator} API={stack.url}/api", known)
        return shell(f"{known}\n{command}")

    return run_about


def test_an_operator_reads_a_booking_with_the_commands_of_the_runbook(stack: RunningStack, run: Run) -> None:
    booking = stack.reserve_paid()
    assert f'"S": "PAY-{booking.id}"' in run("item", booking.id)
    assert booking.id in run("executions payment SUCCEEDED", booking.id)
    assert '"status": "SUCCEEDED"' in run("execution payment $ID", booking.id)
    assert '"name": "CreateCheckoutSession"' in run("steps payment $ID", booking.id)
    assert '"refund_id"' in run("operator refund '{\"amount\": 500}'", booking.id)


def test_an_operator_runs_the_reconciler(stack: RunningStack, run: Run) -> None:
    assert '"StatusCode": 200' in run("reconcile", "RES-1")


def test_the_platform_subscribes_to_the_events(stack: RunningStack, shell: Shell) -> None:
    shell(SUBSCRIPTION.replace("booking-prod", "booking-local"))
    given = "export AWS_REGION=eu-west-1; OF='--rule platform-payments --event-bus-name booking-local-payments'\n"
    queue = "arn:aws:sqs:eu-west-1:123456789012:platform"
    assert '"platform"' in shell(f"{given} aws events list-targets-by-rule $OF --query 'Targets[].Id'")
    shell(f"{given} aws sqs create-queue --queue-name platform; aws events put-targets $OF --targets Id=q,Arn={queue}")
    booking = stack.reserve_paid()
    url = shell(f"{given} aws sqs get-queue-url --queue-name platform --output text").strip()
    received = shell(f"{given} aws sqs receive-message --queue-url {url} --query 'Messages[].Body'")
    assert "PaymentConfirmed" in received
    assert booking.id in received
