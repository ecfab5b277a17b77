"""Runs the whole suite as four pytest processes at once: `make test`.

Three take what CHOSEN gives them, each without what the ones before it have, and the last everything else, in
pytest's usual order: whatever is added to tests/ is in one of them, and in one only. Options for all can be given in
PYTEST_ADDOPTS. Progress is shown as it comes, a line for each file; what pytest says at its end follows for one
process after the other.
"""

import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

# The first two wait for half of their time, for timers and other processes. The others share the rest of the work.
CHOSEN: tuple[tuple[str, ...], ...] = (
    ("tests/e2e/test_restoring.py", "tests/e2e/test_rotation.py", "tests/e2e/test_two_stacks.py", "tests/local"),
    ("tests/e2e",),
    ("tests/console", "tests/infra", "tests/workflows", "tests/properties/fuzzing", "tests/properties/regressions"),
)
PARTS = tuple(
    (*part, *(f"--ignore={path}" for earlier in CHOSEN[:number] for path in earlier))
    for number, part in enumerate((*CHOSEN, ()))
)


def run_part(arguments: tuple[str, ...]) -> tuple[int, list[str]]:
    """Run pytest; return its exit code, and the lines from the one that ends its progress on."""
    colour = "--color=yes" if sys.stdout.isatty() else "--color=no"
    end: list[str] = []
    rules = 0  # lines that begin with "=====": the first is the heading
    command = [sys.executable, "-m", "pytest", colour, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            rules += "=====" in line[:15]
            if rules > 1:
                end.append(line)
            else:
                print(line, end="", flush=True)
    return process.returncode, end


def total(ends: list[list[str]]) -> str:
    """Add up pytest's last lines, such as "2 failed, 40 passed in 1.50s"."""
    counted: Counter[str] = Counter()
    for end in ends:
        for number, outcome in re.findall(r"(\d+) ([a-z]+)", end[-1].partition(" in ")[0] if end else ""):
            counted[outcome] += int(number)
    return ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(counted.items()))


def main() -> int:
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        codes, ends = zip(*pool.map(run_part, PARTS), strict=True)
    for end in ends:
        print(*end, sep="", end="")
    print(f"all: {total(list(ends)) or 'no result'} in {time.monotonic() - began:.0f} s")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
