"""A shell in a clone of the repository, with the Pulumi CLI and the AWS CLI on its PATH: for docs/deploy.md."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local import credentials
from local.external_tools import install
from local.pulumi import automation

ROOT = Path(__file__).parents[2]

GIT = {
    f"GIT_{who}_{what}": f"guide{at}"
    for who in ("AUTHOR", "COMMITTER")
    for what, at in (("NAME", ""), ("EMAIL", "@example.com"))
}


class Shell:
    """One bash, in which block after block runs; what is set in one remains for the next."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._script = folder.parent / "block.sh"
        self._process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, commands: str) -> tuple[int, str]:
        """The exit code and the output of a block, which ends, and the shell with it, at the first failing command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._script.write_text(commands, encoding="utf-8")
        # Sourced, so that variables remain; without the shell's input, which a command could read.
        run = f"trap 'echo \"[exit $?]\"' EXIT; set -e; . {self._script} </dev/null; set +e; echo '[exit 0]'\n"
        self._process.stdin.write(run)
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if ended := re.match(r"(.*)\[exit (\d+)\]$", line.rstrip("\n")):
                return int(ended[2]), "".join([*lines, ended[1]])
            lines.append(line)
        raise AssertionError("the shell has ended: " + "".join(lines))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def clone_into(folder: Path) -> Path:
    """A repository with its own history, of the files as they are here."""
    clone = folder / "clone"
    list_files = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(list_files, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Begin"]):
        subprocess.run(["git", *command], cwd=clone, check=True, env={**os.environ, **GIT})
    return clone


def _uv() -> str:
    return shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")


def aws_cli() -> Path:
    """Where the AWS CLI's modules are. Raises ToolUnavailableError."""
    command = [_uv(), "pip", "install", "--python", sys.executable, "--target", "lib", "-r", "requirements.txt"]
    return install("aws-cli", command) / "lib"


def environment(folder: Path, aws: str) -> dict[str, str]:
    """The tools on the PATH, and every address and key that they need on one machine."""
    programs = folder / "bin"
    programs.mkdir()
    commands = {
        "pulumi": f"exec {sys.executable} -m tests.real.pulumi_with_program",
        # Version 1 takes the region from another variable than version 2, which the guide is written for.
        "aws": f"AWS_DEFAULT_REGION=$AWS_REGION PYTHONPATH={aws_cli()} exec {sys.executable} -W ignore -m awscli",
        "uv": f"exec {_uv()}",
    }
    for name, command in commands.items():
        (programs / name).write_text(f'#!/bin/sh\n{command} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    of_this_process = ("AWS_", "PULUMI_", "MAKE", "MFLAGS", "VIRTUAL_ENV")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(of_this_process)}
    return {
        **inherited,
        **GIT,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PULUMI_CLI": automation.cli().command,
        "PULUMI_HOME": str(folder / "pulumi-home"),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "STRIPE_SECRET_KEY": credentials.STRIPE_API_KEY,
        "STRIPE_PUBLISHABLE_KEY": credentials.PUBLISHABLE_KEY,
    }
