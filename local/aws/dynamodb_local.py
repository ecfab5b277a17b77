"""AWS's own DynamoDB engine on this machine, in the place of moto's: `python -m local --dynamodb local`."""

import hashlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.external_tools import ToolUnavailableError, install

_INSTALL = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
_MAIN = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
# It listens on every interface, which nothing changes; it would report its use to AWS.
_OPTIONS = ["-inMemory", "-sharedDb", "-disableTelemetry"]


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The address of an empty DynamoDB Local that runs until the block ends.

    Raises ToolUnavailableError without Maven or Java 17, ValueError where what Maven brought is not what it was.
    """
    part = install("dynamodb-local", _INSTALL)
    _check(part)
    if shutil.which("java") is None:
        raise ToolUnavailableError("dynamodb-local is not available: java is not installed")
    port = free_port()
    library = part / "lib"
    java = ["java", f"-Djava.library.path={library}", "-cp", f"{library}/*", _MAIN, *_OPTIONS, "-port", str(port)]
    # A session of its own: Ctrl-C is the stack's, which deletes its tables before this ends.
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(java, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            while not _listens(port):
                if server.poll() is not None:
                    log.seek(0)
                    raise ToolUnavailableError(
                        f"dynamodb-local is not available: it did not start: {log.read().strip()}"
                    )
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _check(part: Path) -> None:
    """Raises ValueError unless the library is what SHA256SUMS says, file by file."""
    wanted = {line.split()[1]: line.split()[0] for line in (part / "SHA256SUMS").read_text().splitlines()}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (part / "lib").iterdir()}
    if wrong := sorted(name for name, _ in wanted.items() ^ found.items()):
        raise ValueError(f"not what tools/dynamodb-local/SHA256SUMS says: {', '.join(dict.fromkeys(wrong))}")


def free_port() -> int:
    """One of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
