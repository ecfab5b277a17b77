"""The commands of docs/operations.md, run with the AWS CLI against the local stack, as an operator rehearses them."""

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

RUNBOOK = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
(FUNCTIONS,) = re.findall(r"```bash\n(export AWS_REGION.*?)```", RUNBOOK, re.DOTALL)

type Run = Callable[[str, str], str]


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with run_stack(nights=1) as stack:
        yield stack


@pytest.fixture
def run(stack: RunningStack, tmp_path: Path) -> Run:
    """Runs a command of the runbook about a booking in a new shell; returns what it prints."""
    program = tmp_path / "aws"
    library = tool_or_skip(aws_cli)
    # Version 1 takes the region from another variable than version 2, which the runbook is written for.
    command = f"AWS_DEFAULT_REGION=$AWS_REGION PYTHONPATH={library} exec {sys.executable} -W ignore -m awscli"
    program.write_text(f'#!/bin/sh\n{command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": f"{stack.url}/local/aws",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_PAGER": "",
    }

    def run_in_shell(command: str, reservation_id: str) -> str:
        known = FUNCTIONS.replace("STACK=prod ID=RES-1", f"STACK=local ID={reservation_id}")
        known = known.replace(" --cli-binary-format raw-in-base64-out", "")  # version 1 knows no other
        known = re.sub(r"ID_TOKEN=… API=\S+", f"ID_TOKEN={stack.operator} API={stack.url}/api", known)
        done = subprocess.run(
            ["bash", "-euc", f"{known}\n{command}"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_in_shell


def test_an_operator_reads_a_booking_with_the_commands_of_the_runbook(stack: RunningStack, run: Run) -> None:
    booking = stack.reserve_paid()
    assert f'"S": "PAY-{booking.id}"' in run("item", booking.id)
    assert booking.id in run("executions payment SUCCEEDED", booking.id)
    assert '"status": "SUCCEEDED"' in run("execution payment $ID", booking.id)
    assert '"name": "CreateCheckoutSession"' in run("steps payment $ID", booking.id)
    assert '"refund_id"' in run("operator refund '{\"amount\": 500}'", booking.id)


def test_an_operator_runs_the_reconciler(stack: RunningStack, run: Run) -> None:
    assert '"StatusCode": 200' in run("reconcile", "RES-1")
