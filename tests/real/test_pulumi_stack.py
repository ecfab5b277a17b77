"""The local stack as the Pulumi engine deploys it: its end-to-end tests, its demo, and somebody else's `pulumi`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.aws.dynamodb_local import free_port
from local.pulumi import automation
from tests.real.conftest import tool_or_skip

pytestmark = pytest.mark.pulumi


@pytest.fixture(autouse=True)
def cli() -> None:
    tool_or_skip(automation.cli)


def run(*command: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-10_000:]
    return ran.stdout


def test_the_end_to_end_tests_pass_on_it() -> None:
    assert re.search(r"\d+ passed", run("pytest", "tests/e2e", "--pulumi", "-q"))


def test_the_demo_goes_as_it_should_on_it() -> None:
    assert "scenarios ended as expected" in run("local", "demo", "--pulumi")


OTHERS = """
import os, sys
from pulumi import automation
import local.pulumi.automation
work = os.path.dirname(sys.argv[1])
stack = automation.select_stack(
    "local", project_name="booking-payments", program=local.automation._program,
    opts=automation.LocalWorkspaceOptions(work_dir=work, pulumi_command=local.automation.cli()),
)
for summary in stack.preview().change_summary, stack.up().summary.resource_changes:
    print({str(step): count for step, count in summary.items()})
"""


def test_somebody_elses_pulumi_comes_to_it_by_what_it_prints(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "local", "--pulumi", "--port", str(port)], stdout=subprocess.PIPE, text=True
    ) as stack:
        assert stack.stdout is not None
        told: list[str] = []
        while not told or not told[-1].startswith("ready "):
            told.append(stack.stdout.readline())
            assert told[-1], "it ended"
        exported = dict(re.findall(r"^export (\w+)=(.*)$", "".join(told), re.MULTILINE))
        (config_file,) = re.findall(r"--config-file (\S+)", "".join(told))
        try:
            seen = subprocess.run(
                [sys.executable, "-c", OTHERS, config_file],
                env={**os.environ, **exported, "PULUMI_HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            stack.terminate()
    assert seen.returncode == 0, seen.stderr
    previewed, done = seen.stdout.splitlines()
    assert re.fullmatch(r"\{'same': \d+\}", previewed), seen.stdout
    assert done == previewed
