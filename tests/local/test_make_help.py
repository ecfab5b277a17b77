"""`make help` is the list of what one can do here."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shown() -> str:
    # Without what a make that runs these tests passes on, such as the wish to print directories.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_every_target_is_explained() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    explained = dict(re.findall(r"^  make ([a-z-]+) +(\S.*)$", shown(), re.MULTILINE))
    assert explained.keys() == targets


def test_it_fits_80_columns_and_is_grouped() -> None:
    lines = shown().splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "Run it on this machine",
        "Check a change",
        "Test more",
        "Deploy",
        "Generate",
    ]
