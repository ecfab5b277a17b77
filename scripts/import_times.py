"""Measures what a cold start imports: `make import-times` prints a table for docs/evidence.

Fresh interpreters import each function's module from the archives that are deployed to Lambda (with the layer for this
machine's processor), with nothing else on their path, and boto3 alone for comparison. The figure is CPU time (user and
system), which other programs disturb least: the minimum of all rounds.
"""

import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from infra import packaging

ROUNDS = 9

# Imported beside boto3, one at a time, to show which library takes how long.
LIBRARIES = ("pydantic", "aws_lambda_powertools", "aws_lambda_powertools.event_handler", "stripe")

# Runs with `-I -S -B`: without site-packages and environment; bytecode is read, but not written.
_PROGRAM = """
import sys, time
sys.path[:0] = sys.argv[2:]
started = time.process_time()
for module in sys.argv[1].split():
    __import__(module)
seconds = time.process_time() - started
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
print(seconds, peak)
"""


def measure(root: Path, modules: str) -> tuple[float, float]:
    """The time in ms of one cold import of the modules (separated by spaces), and the process's peak memory in MB."""
    command = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, modules, str(root), str(root / "python")]
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "POWERTOOLS_SERVICE_NAME": "import-times"}
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    seconds, kilobytes = printed.split()
    return float(seconds) * 1000, float(kilobytes) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for archive in (packaging.code(), packaging.layer(f"{platform.machine()}-manylinux_2_28")):
            with zipfile.ZipFile(archive) as contents:
                contents.extractall(root)
        modules = ["boto3", *[f"boto3 {library}" for library in LIBRARIES], *packaging.handler_modules(root).values()]
        # Round by round, so that a slow moment of the machine affects all modules alike.
        rounds = [[measure(root, module) for module in modules] for _ in range(ROUNDS)]
    fastest = {module: min(one[number] for one in rounds) for number, module in enumerate(modules)}
    sys.stdout.write("| module | ms | times boto3 | MB |\n|---|---|---|---|\n")
    for module, (milliseconds, megabytes) in fastest.items():
        ratio = milliseconds / fastest["boto3"][0]
        sys.stdout.write(f"| `{module}` | {milliseconds:.0f} | {ratio:.2f} | {megabytes:.0f} |\n")


if __name__ == "__main__":
    main()
