"""Checks the workflows of GitHub Actions with actionlint, from the PATH or built with Go; part of `make lint`.

Prints what is wrong, and exits with 1 if anything is. Where actionlint cannot be had it prints why, and checks nothing.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from local.external_tools import ToolUnavailableError, install

ROOT = Path(__file__).parents[1]


def actionlint() -> str:
    """The command. Raises ToolUnavailableError."""
    if found := shutil.which("actionlint"):
        return found
    build = ["go", "build", "-o", ".", "github.com/rhysd/actionlint/cmd/actionlint"]
    return str(install("actionlint", build) / "actionlint")


def main(*files: str) -> int:
    """Check the given files, or all workflows."""
    checked = files or sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    try:
        command = [actionlint(), "-shellcheck=", "-pyflakes=", *checked]
    except ToolUnavailableError as reason:
        print(f"{reason}; {', '.join(checked)} not checked", file=sys.stderr)
        return 0
    exit_code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if not exit_code:
        print(f"{len(checked)} workflow of GitHub Actions checked")
    return exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
