"""The Pulumi engine: `pulumi preview`, `up`, `refresh` and `destroy` of `__main__.py` on the AWS of the local stack."""

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

from local.external_tools import bring
from local.pulumi.deployer import PROJECT, STACK

_ROOT = Path(__file__).parents[2]
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3"


def cli() -> automation.PulumiCommand:
    """The Pulumi CLI on the PATH, else the one that Go builds, in minutes the first time.

    Raises CannotBeHadError.
    """
    if shutil.which("pulumi"):
        return automation.PulumiCommand()
    (version,) = re.findall(rf"{_PACKAGE} (v\S+)\n", (_ROOT / "tools" / "pulumi" / "go.mod").read_text())
    # Without the flag it would not know its version, which Pulumi's Python asks for.
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    command = ["go", "build", "-o", "bin/pulumi", "-ldflags", flags, f"{_PACKAGE}/cmd/pulumi"]
    return automation.PulumiCommand(root=str(bring("pulumi", command)))


class Engine:
    """A stack whose state is in `folder`, and whose AWS is behind the provider at `port`.

    `config` (keys without the project's name) wins over Pulumi.{stack}.yaml. What fails raises automation.CommandError.
    """

    def __init__(self, folder: Path, port: int, config: Mapping[str, str | int], stack: str = STACK) -> None:
        self.state = folder / "state"
        work = folder / "work"
        for path in (self.state, work):
            path.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PULUMI_BACKEND_URL": self.state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "local",  # guards no secret: the Stripe keys are not in the state
            "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        }
        self.config_file = work / f"Pulumi.{stack}.yaml"
        if not self.config_file.exists():
            given = yaml.safe_load((_ROOT / self.config_file.name).read_text(encoding="utf-8"))["config"]
            given |= {f"{PROJECT}:{key}": str(value) for key, value in config.items()}
            self.config_file.write_text(yaml.safe_dump({"config": given}), encoding="utf-8")
        self._stack = automation.create_or_select_stack(
            stack,
            project_name=PROJECT,
            program=_program,
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(work),
                pulumi_home=str(folder / "home"),
                pulumi_command=cli(),
                env_vars=self.environment,
            ),
        )

    @property
    def told(self) -> str:
        """How somebody else's `pulumi` comes to the same stack."""
        return "\n".join(
            [
                *[f"export {name}={value}" for name, value in self.environment.items()],
                f"pulumi preview --stack {self._stack.name} --config-file {self.config_file}",
            ]
        )

    def preview(self) -> dict[str, int]:
        """How many resources would be made, changed, …, by Pulumi's name of the step."""
        return {str(step): count for step, count in self._stack.preview().change_summary.items()}

    def up(self) -> dict[str, int]:
        """Looks first, as the command does: what the provider refuses is refused before anything is touched."""
        self._stack.preview()
        return self._summary(self._stack.up())

    def refresh(self) -> dict[str, int]:
        return self._summary(self._stack.refresh())

    def cancel(self) -> None:
        """Takes away the lock that an engine which was killed has left."""
        self._stack.cancel()

    def secrets_shown(self) -> str:
        """The whole state, what is secret in it as well."""
        return json.dumps(self._stack.export_stack().deployment)

    def destroy(self) -> dict[str, int]:
        """Looks first: where a resource is protected, the others stay as well."""
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
