"""What a cold start imports: `make import-times` prints the table of docs/performance.md.

Each function's module is imported by fresh interpreters from the archives that Lambda is sent (the layer for this
machine's processor), with their bytecode and nothing else in reach; and so is boto3 alone. Counted is processor time,
user and system, which other programs on the machine disturb least; each figure is the least of the rounds.
"""

import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from infra import packaging

ROUNDS = 9

# What is imported beside boto3, each alone: the breakdown.
PARTS = ("pydantic", "aws_lambda_powertools", "aws_lambda_powertools.event_handler", "stripe")

# Run with `-I -S -B`: no site-packages, no environment, and bytecode is read, never written.
_PROGRAM = """
import sys, time
sys.path[:0] = sys.argv[2:]
began = time.process_time()
for module in sys.argv[1].split():
    __import__(module)
took = time.process_time() - began
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
print(took, most)
"""


def measure(root: Path, modules: str) -> tuple[float, float]:
    """Milliseconds of one cold import of modules, by spaces; and MB that the process then has taken at most."""
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
        modules = ["boto3", *[f"boto3 {part}" for part in PARTS], *packaging.handler_modules(root).values()]
        # Round by round, so that a slow moment of the machine meets all of them.
        rounds = [[measure(root, module) for module in modules] for _ in range(ROUNDS)]
    least = {module: min(one[number] for one in rounds) for number, module in enumerate(modules)}
    sys.stdout.write("| module | ms | times boto3 | MB |\n|---|---|---|---|\n")
    for module, (milliseconds, megabytes) in least.items():
        ratio = milliseconds / least["boto3"][0]
        sys.stdout.write(f"| `{module}` | {milliseconds:.0f} | {ratio:.2f} | {megabytes:.0f} |\n")


if __name__ == "__main__":
    main()
