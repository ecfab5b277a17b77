"""The Pulumi engine: `pulumi preview`, `up`, `refresh` and `destroy` of `__main__.py` on the local stack's AWS.

`python -m local.pulumi.automation` builds the CLI where it is not installed, and prints where it is.
"""

import json
import re
import runpy
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from local.external_tools import install
from local.pulumi.deployer import PROJECT, STACK

_ROOT = Path(__file__).parents[2]
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3"


def cli() -> automation.PulumiCommand:
    """The Pulumi CLI on the PATH, else one that Go builds, which takes minutes the first time.

    Raises ToolUnavailableError.
    """
    if shutil.which("pulumi"):
        return automation.PulumiCommand()
    (version,) = re.findall(rf"{_PACKAGE} (v\S+)\n", (_ROOT / "tools" / "pulumi" / "go.mod").read_text())
    # Pulumi's Python SDK asks for the version, which only this flag sets.
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    command = ["go", "build", "-o", "bin/pulumi", "-ldflags", flags, f"{_PACKAGE}/cmd/pulumi"]
    return automation.PulumiCommand(root=str(install("pulumi", command)))


class PulumiEngine:
    """A Pulumi stack whose state is in `folder`, deployed through the provider at `port`.

    `config` (keys without the project's name) overrides Pulumi.{stack}.yaml. A command that fails raises
    automation.CommandError.
    """

    def __init__(self, folder: Path, port: int, config: Mapping[str, str | int], stack: str = STACK) -> None:
        self.state = folder / "state"
        work = folder / "work"
        for path in (self.state, work):
            path.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PULUMI_BACKEND_URL": self.state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "local",  # protects no secret: the Stripe keys are not in the state
            "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        }
        self.config_file = work / f"Pulumi.{stack}.yaml"
        if not self.config_file.exists():
            stack_config = yaml.safe_load((_ROOT / self.config_file.name).read_text(encoding="utf-8"))["config"]
            stack_config |= {f"{PROJECT}:{key}": str(value) for key, value in config.items()}
            self.config_file.write_text(yaml.safe_dump({"config": stack_config}), encoding="utf-8")
        self._stack = automation.create_or_select_stack(
            stack,
            project_name=PROJECT,
            program=_program,
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(work), pulumi_home=str(folder / "home"), pulumi_command=cli(), env_vars=self.environment
            ),
        )

    @property
    def shell_commands(self) -> str:
        """Commands with which `pulumi` in another shell works on the same stack."""
        return "\n".join(
            [
                *[f"export {name}={value}" for name, value in self.environment.items()],
                f"pulumi preview --stack {self._stack.name} --config-file {self.config_file}",
            ]
        )

    def preview(self) -> dict[str, int]:
        """The number of resources by step, such as `create`, `update` and `same`."""
        return {str(step): count for step, count in self._stack.preview().change_summary.items()}

    def up(self) -> dict[str, int]:
        """Previews first, as the command does, so that what the provider refuses fails before any change."""
        self._stack.preview()
        return self._summary(self._stack.up())

    def refresh(self) -> dict[str, int]:
        return self._summary(self._stack.refresh())

    def cancel(self) -> None:
        """Removes the lock left behind by an engine that was killed."""
        self._stack.cancel()

    def decrypted_state(self) -> str:
        """The whole state, with its secrets in plain text."""
        return json.dumps(self._stack.export_stack().deployment)

    def destroy(self) -> dict[str, int]:
        """Previews first: where a resource is protected, nothing is deleted."""
        self._stack.preview_destroy()
        return self._summary(self._stack.destroy())

    def outputs(self) -> dict[str, Any]:
        return {name: output.value for name, output in self._stack.outputs().items()}

    @staticmethod
    def _summary(result: Any) -> dict[str, int]:
        return dict(result.summary.resource_changes or {})


def _program() -> None:
    runpy.run_path(str(_ROOT / "__main__.py"), run_name="__main__")


if __name__ == "__main__":
    sys.stdout.write(f"{cli().command}\n")
