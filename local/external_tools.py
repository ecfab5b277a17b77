"""Real parts from the package registries, brought into build/parts/ when somebody asks for one.

What a part is stands in tools/{name}: its version, and a checksum of everything that comes with it.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_PARTS = _ROOT / "build" / "parts"


class CannotBeHadError(Exception):
    """The part is not here, and this machine cannot bring it; the message says why."""


def bring(name: str, command: Sequence[str]) -> Path:
    """The folder in which `command` has made the part out of a copy of tools/{name}; it runs once for what is there.

    Raises CannotBeHadError where the command is not installed or fails, as it does without the registry.
    """
    source = _ROOT / "tools" / name
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()
    made = _PARTS / f"{name}-{digest[:12]}"
    if made.exists():
        return made
    if shutil.which(command[0]) is None:
        raise CannotBeHadError(f"{name} cannot be had: {command[0]} is not installed")
    _PARTS.mkdir(parents=True, exist_ok=True)
    with (_PARTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes meanwhile waits for it instead of making it too
        if made.exists():
            return made
        # Made beside its place, so that what is there is complete.
        making = Path(tempfile.mkdtemp(dir=_PARTS))
        try:
            for path in files:
                shutil.copy(path, making)
            output, end = _run(command, making)
            if end:
                raise CannotBeHadError(f"{name} cannot be had: {command[0]} ended with {end}: {output[-1]}")
            making.rename(made)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return made


def _run(command: Sequence[str], folder: Path) -> tuple[list[str], int]:
    """The lines that it wrote, and how it ended."""
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ran.stdout.strip().splitlines() or ["it wrote nothing"], ran.returncode
