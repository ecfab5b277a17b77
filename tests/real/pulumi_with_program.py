"""The Pulumi CLI for a shell: `python -m tests.real.pulumi_with_program ARGUMENTS…`, in the project's folder.

The CLI that Go builds has no Python host. For the commands that run the program, this serves it to the CLI as the
Automation API does. PULUMI_CLI is the CLI's path.
"""

import os
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc

RUN_THE_PROGRAM = {"preview", "up"}


def _program() -> None:
    runpy.run_path(str(Path.cwd() / "__main__.py"), run_name="__main__")


def main(arguments: list[str]) -> int:
    command = [os.environ["PULUMI_CLI"], *arguments]
    if not RUN_THE_PROGRAM & {*arguments[:1]}:
        return subprocess.run(command, check=False).returncode
    server = grpc.server(ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(_program), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        return subprocess.run(
            [*command, f"--client=127.0.0.1:{port}", "--exec-kind=auto.inline"], check=False
        ).returncode
    finally:
        server.stop(None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
