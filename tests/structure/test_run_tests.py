"""`make test` runs the suite in four processes: every test once, and a failure in any of them fails the run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_tests import CHOSEN

ROOT = Path(__file__).parents[2]
NOT_RUN = ("tests/real", "tests/browser", "tests/account")  # on request: pyproject.toml


@pytest.fixture
def suite(tmp_path: Path) -> list[str]:
    """One test that passes in the place of each of our test files; their names."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    names = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("def test_it():\n    pass\n")
    return [name for name in names if not name.startswith(NOT_RUN)]


def run(folder: Path) -> tuple[int, str]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTEST_ADDOPTS": "--verbose",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "scripts.run_tests"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout


def test_no_file_is_left_out_and_none_is_run_twice(suite: list[str], tmp_path: Path) -> None:
    code, output = run(tmp_path)
    assert sorted(re.findall(r"^(\S+)::test_it PASSED", output, re.MULTILINE)) == suite
    assert (code, output.splitlines()[-1].partition(" in ")[0]) == (0, f"all: {len(suite):,} passed")


def test_a_failure_fails_the_run(suite: list[str], tmp_path: Path) -> None:
    failing = tmp_path / "tests/structure/test_layers.py"  # in the last part
    failing.write_text("def test_it():\n    assert 6 * 9 == 42\n")
    code, output = run(tmp_path)
    assert "FAILED tests/structure/test_layers.py::test_it" in output
    assert (code, output.splitlines()[-1].partition(" in ")[0]) == (1, f"all: 1 failed, {len(suite) - 1:,} passed")


@pytest.mark.parametrize("part", CHOSEN, ids=" ".join)
def test_a_part_that_cannot_begin_fails_the_run(suite: list[str], tmp_path: Path, part: tuple[str, ...]) -> None:
    first = tmp_path / part[0]
    if first.is_dir():
        shutil.rmtree(first)
    else:
        first.unlink()
    assert run(tmp_path)[0] == 1
