"""DynamoDB Local, AWS's own engine, instead of moto's: `python -m local --dynamodb local`."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from local.external_tools import ToolUnavailableError, check_library, install

_INSTALL = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
_MAIN = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
# By default it reports its use to AWS. That it listens on every interface cannot be changed.
_OPTIONS = ["-inMemory", "-sharedDb", "-disableTelemetry"]


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The address of an empty DynamoDB Local that runs until the block ends.

    Raises ToolUnavailableError without Maven or Java 17, ValueError if the files differ from SHA256SUMS.
    """
    folder = install("dynamodb-local", _INSTALL)
    check_library(folder)
    if shutil.which("java") is None:
        raise ToolUnavailableError("dynamodb-local is not available: java is not installed")
    port = free_port()
    library = folder / "lib"
    java = ["java", f"-Djava.library.path={library}", "-cp", f"{library}/*", _MAIN, *_OPTIONS, "-port", str(port)]
    # In a session of its own, it survives Ctrl-C until the stack has deleted its tables.
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(java, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            while not listens(port):
                if server.poll() is not None:
                    log.seek(0)
                    raise ToolUnavailableError(
                        f"dynamodb-local is not available: it did not start: {log.read().strip()}"
                    )
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def free_port() -> int:
    """A port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
