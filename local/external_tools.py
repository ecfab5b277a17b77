"""External tools, such as DynamoDB Local, installed from package registries into build/tools/ on demand.

tools/{name} defines each tool: its version, and a checksum of everything that it needs.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_INSTALLED = _ROOT / "build" / "tools"


class ToolUnavailableError(Exception):
    """The tool is not installed and cannot be installed on this machine; the message says why."""


def install(name: str, command: Sequence[str]) -> Path:
    """The folder in which `command` builds the tool from a copy of tools/{name}; it runs again only if that changes.

    Raises ToolUnavailableError where the command is not installed or fails, for example without the registry.
    """
    source = _ROOT / "tools" / name
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()
    installed = _INSTALLED / f"{name}-{digest[:12]}"
    if installed.exists():
        return installed
    if shutil.which(command[0]) is None:
        raise ToolUnavailableError(f"{name} is not available: {command[0]} is not installed")
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    with (_INSTALLED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be installing it
        if installed.exists():
            return installed
        # Built in a temporary folder, so that the final one is always complete.
        building = Path(tempfile.mkdtemp(dir=_INSTALLED))
        try:
            for path in files:
                shutil.copy(path, building)
            output, exit_code = _run(command, building)
            if exit_code:
                reason = f"{command[0]} failed with exit code {exit_code}: {output[-1]}"
                raise ToolUnavailableError(f"{name} is not available: {reason}")
            building.rename(installed)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return installed


def check_library(folder: Path) -> None:
    """Raises ValueError unless the files in `lib` are exactly those of SHA256SUMS."""
    wanted = {line.split()[1]: line.split()[0] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "lib").iterdir()}
    if wrong := sorted(name for name, _ in wanted.items() ^ found.items()):
        tool = folder.name.rpartition("-")[0]
        raise ValueError(f"files differ from tools/{tool}/SHA256SUMS: {', '.join(dict.fromkeys(wrong))}")


def _run(command: Sequence[str], folder: Path) -> tuple[list[str], int]:
    """The lines of its output, and its exit code."""
    completed = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return completed.stdout.strip().splitlines() or ["no output"], completed.returncode
