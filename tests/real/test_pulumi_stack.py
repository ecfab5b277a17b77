"""The local stack deployed by the Pulumi engine: its end-to-end tests, its demo, and `pulumi` in another shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.aws.dynamodb_local import free_port

pytestmark = [pytest.mark.pulumi, pytest.mark.usefixtures("pulumi_cli")]


def run(*command: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-10_000:]
    return ran.stdout


def test_the_end_to_end_tests_pass() -> None:
    assert re.search(r"\d+ passed", run("pytest", "tests/e2e", "--pulumi", "-q"))


def test_the_demo_ends_as_expected() -> None:
    assert "13 of 13 scenarios ended as expected" in run("local", "demo", "--pulumi")


IN_ANOTHER_SHELL = """
import os, sys
from pulumi import automation
import local.pulumi.automation
work = os.path.dirname(sys.argv[1])
stack = automation.select_stack(
    "local", project_name="booking-payments", program=local.pulumi.automation._program,
    opts=automation.LocalWorkspaceOptions(work_dir=work, pulumi_command=local.pulumi.automation.cli()),
)
for summary in stack.preview().change_summary, stack.up().summary.resource_changes:
    print({str(step): count for step, count in summary.items()})
"""


def test_pulumi_in_another_shell_uses_the_commands_that_the_stack_prints(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "local", "--pulumi", "--port", str(port)], stdout=subprocess.PIPE, text=True
    ) as stack:
        assert stack.stdout is not None
        printed: list[str] = []
        while not printed or not printed[-1].startswith("ready "):
            printed.append(stack.stdout.readline())
            assert printed[-1], "the stack ended"
        exported = dict(re.findall(r"^export (\w+)=(.*)$", "".join(printed), re.MULTILINE))
        (config_file,) = re.findall(r"--config-file (\S+)", "".join(printed))
        try:
            other = subprocess.run(
                [sys.executable, "-c", IN_ANOTHER_SHELL, config_file],
                env={**os.environ, **exported, "PULUMI_HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            stack.terminate()
    assert other.returncode == 0, other.stderr
    previewed, applied = other.stdout.splitlines()
    assert re.fullmatch(r"\{'same': \d+\}", previewed), other.stdout
    assert applied == previewed
