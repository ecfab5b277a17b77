"""docs/deploy.md, word by word: every block of commands, in one shell, with the real Pulumi CLI and the AWS CLI.

The Pulumi CLI deploys through the local provider, the AWS CLI and the scripts reach the in-process AWS over HTTP, and
once `pulumi up` has run for the first time, the API of the stack `dev` is served on this machine.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.pulumi.deployer import Deployment
from local.pulumi.provider import AwsProvider
from local.pulumi.resources.resource_type import AwsClients
from local.stack import LocalStack
from tests.real import aws_over_http
from tests.real.conftest import tool_or_skip
from tests.real.guide_shell import ROOT, Shell, aws_cli, clone_into, environment
from tests.real.pulumi_cloud import PULUMI_MARKS

pytestmark = [*PULUMI_MARKS, pytest.mark.guide]

NOT_TRIED, FAILS = "# Not tried: ", "# Fails: "


def blocks() -> list[str]:
    """The blocks of commands of the guide, those in lists without their indentation."""
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    found = re.findall(r"^( *)```bash\n(.*?)^\1```$", page, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


class Guide:
    """The blocks that are still to be run, and the shell that they run in."""

    def __init__(self, folder: Path, aws: str) -> None:
        self._folder, self._environment = folder, environment(folder, aws)
        self._blocks: Iterator[str] = iter(blocks())
        self._shell: Shell | None = None

    def run_until_deployed(self, port: int, url: str) -> dict[str, Any]:
        """Deploy through the provider at `port` an API that is going to be served at `url`; the stack's outputs."""
        program = {"booking-payments:stripeApiBase": f"{url}/stripe"}
        addresses = {
            "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
            "PULUMI_CONFIG": json.dumps(program),
            "STRIPE_API_BASE": f"{url}/stripe",
            "API_URL": f"{url}/api",
        }
        self._shell = Shell(clone_into(self._folder), {**self._environment, **addresses})
        for block in self._blocks:
            self._run(block)
            if "pulumi up" in block:
                break
        return dict(json.loads(self._run("pulumi stack output --json --stack dev\n")))

    def run_to_the_end(self) -> None:
        for block in self._blocks:
            self._run(block)

    def close(self) -> None:
        if self._shell is not None:
            self._shell.close()

    def _run(self, block: str) -> str:
        assert self._shell is not None
        if block.startswith(NOT_TRIED):
            return ""
        code, output = self._shell.run(f"! {{\n{block}}}\n" if block.startswith(FAILS) else block)
        sys.stdout.write(f"\n>>> {block}{output}\n")
        assert code == 0, f"{block}\n{output[-8000:]}"
        return output


class GuidedStack(LocalStack):
    """Serves the stack `dev`, which the guide deploys."""

    stack_name = "dev"

    def __init__(self, guide: Guide) -> None:
        super().__init__(pulumi=True)
        self._guide = guide

    def _deploy_with_engine(self, _: Mapping[str, str | int]) -> Deployment:
        self._provider = AwsProvider(AwsClients())
        self._stop.append(self._provider.close)
        outputs = self._guide.run_until_deployed(self._provider.port, self.url)
        deployment = Deployment.of(outputs, self._provider.resources_of(self.stack_name))
        deployment.apply_environment()
        return deployment


@pytest.mark.usefixtures("pulumi_cli")
def test_every_block_of_the_guide_runs(tmp_path: Path) -> None:
    tool_or_skip(aws_cli)
    with ExitStack() as end:
        guide = Guide(tmp_path, end.enter_context(aws_over_http.served()))
        end.callback(guide.close)
        with GuidedStack(guide):
            guide.run_to_the_end()


def test_what_is_not_tried_has_a_reason_and_is_the_exception() -> None:
    not_tried = [block for block in blocks() if block.startswith(NOT_TRIED)]
    assert all(re.match(rf"{NOT_TRIED}\S.{{15,}}\.\n", block) for block in not_tried)
    assert len(not_tried) <= 5
