"""`make mutants` plants faults one after the other, and reports which of them no test notices.

Named faults are in faults.yaml; the others are a seeded sample of changes to the syntax tree (generated.py). Each is
planted in a copy of the project and tried against the tests nearest to it, then against the others that execute the
changed line (line_map.py), then against the suites that its folder names below. The results are kept in
build/mutants/results.json, and a run goes on where the last one ended.
"""

import argparse
import ast
import gc
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
import yaml

from tests.mutants.generated import Fault, sample

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
COPY, RESULTS, LINES = BUILD / "copy", BUILD / "results.json", BUILD / "lines.json"
TABLE = Path(__file__).with_name("faults.yaml")
# For the tests of one fault; one that makes them hang is noticed. In the copy, they are collected and deploy first.
SECONDS, SECONDS_IN_COPY = 240, 600
MOST_TESTS = 400  # that are run because they execute the changed line
# Tests that notice any change of a definition or of a document by its digest, whatever it does.
DIGESTS = ("tests/structure/test_recorded_states.py", "tests/structure/test_defects.py")
_STATES = tuple(f"tests/structure/test_state_{name}.py" for name in ("rules", "errors", "names", "paths", "writes"))
# The nearest tests of what no unit test executes, by the beginning of a file's path, and all that may notice it.
NEAREST: dict[str, tuple[str, ...]] = {
    "infra/alarms": ("tests/infra/test_watching.py",),
    "infra/dashboard": ("tests/infra/test_watching.py",),
    "infra/encryption": ("tests/infra/test_environments.py",),
    "infra/events": ("tests/infra/test_state_machines.py",),
    "infra/function": ("tests/infra/test_functions.py",),
    "infra/api": ("tests/infra/test_http.py", "tests/infra/test_environments.py"),
    "infra/openapi": ("tests/infra/test_openapi.py", "tests/infra/test_http.py"),
    "infra/config": ("tests/infra/test_config.py",),
    "__main__": ("tests/infra/test_functions.py", "tests/infra/test_state_machines.py"),
    "statemachines": _STATES,
}
SUITES: dict[str, tuple[str, ...]] = {
    "infra": tuple(f"tests/infra/test_{name}.py" for name in ("watching", "environments", "http", "aws_refusals")),
    "statemachines": ("tests/infra/test_state_machines.py",),
}


@dataclass(frozen=True)
class Result:
    """By whom a fault was noticed: `nearest` or `other` tests, and by which; an empty text where none did."""

    name: str
    origin: str
    kind: str
    noticed: str
    test: str
    tests_run: int


class FirstFailure:
    """A pytest plugin that keeps the first test that fails."""

    test, run = "", 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.run += report.when == "call"
        if report.failed and not self.test:
            self.test = report.nodeid


def run_in_copy(tests: Sequence[str]) -> tuple[str, int]:
    """The first of these tests that fails in the copy, or an empty text, with the number that ran."""
    command = [sys.executable, "-B", "-m", "pytest", "-xq", "-p", "no:cacheprovider"]
    command += [*(f"--deselect={one}" for one in DIGESTS), *tests]
    try:
        ended = subprocess.run(command, cwd=COPY, capture_output=True, text=True, timeout=SECONDS_IN_COPY, check=False)
    except subprocess.TimeoutExpired:
        return "out of time", 0
    passed = re.search(r"(\d+) passed", ended.stdout)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", ended.stdout, re.MULTILINE)
    if ended.returncode and not failed:
        raise RuntimeError(f"pytest ended with {ended.returncode}: {ended.stdout[-2000:]} {ended.stderr[-2000:]}")
    return failed[1] if failed else "", int(passed[1]) if passed else 0


class Forks:
    """Runs collected tests in forks of this process, in which the code of functions is exchanged."""

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        self._items = {item.nodeid: item for item in items}

    def run(self, fault: Fault, changed: str, tests: Sequence[str]) -> tuple[str, int]:
        """The first of these tests that fails, or an empty text, with the number that ran."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            answer = "", 0
            try:
                os.setsid()
                _exchange_code(fault.file, changed)
                answer = self._run(tests)
            except BaseException as error:  # noqa: BLE001 - this process ends here
                answer = f"ended by {error!r}", 0
            finally:
                os.write(writing, json.dumps(answer).encode())
                os._exit(0)
        os.close(writing)
        return _answer(child, reading)

    def _run(self, tests: Sequence[str]) -> tuple[str, int]:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        first = FirstFailure()
        items = [self._items[test] for test in tests if test in self._items]
        for item, following in itertools.zip_longest(items, items[1:]):
            item.config.pluginmanager.register(first, "first failure")
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item.config.pluginmanager.unregister(first)
            if first.test:
                break
        return first.test, first.run


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _exchange_code(file: str, changed: str) -> None:
    """Give every function of a module the code that it has in the changed source, wherever it was imported."""
    path = str(ROOT / file)
    codes = {code.co_qualname: code for code in _codes(compile(changed, path, "exec"))}
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == path:
            code = codes.get(function.__code__.co_qualname)
            if code is not None and code.co_freevars == function.__code__.co_freevars:
                function.__code__ = code


def _in_function(fault: Fault, source: str) -> bool:
    """Whether the fault is in the code of a function, and not in what runs when the module is imported."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return any(node.body[0].lineno <= fault.line <= (node.end_lineno or 0) for node in functions)


def _answer(child: int, reading: int) -> tuple[str, int]:
    end = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            return "out of time", 0
        time.sleep(0.01)
    with os.fdopen(reading, "rb") as answer:
        failed, number = json.loads(answer.read() or '["the process died", 0]')
    return failed, number


class Lines:
    """Which tests execute a line, those nearest to its module first."""

    def __init__(self) -> None:
        recorded = json.loads(LINES.read_text(encoding="utf-8"))
        self._tests: list[str] = recorded["tests"]
        self._lines: dict[str, dict[str, list[int]]] = recorded["lines"]

    def tests_of(self, fault: Fault) -> tuple[list[str], list[str]]:
        """The nearest tests, and others. Of a line that runs when its module is imported, all tests of the module."""
        lines = self._lines.get(fault.file, {})
        of_line = lines.get(str(fault.line)) or sorted({number for numbers in lines.values() for number in numbers})
        tests = list(dict.fromkeys(self._tests[number] for number in of_line))
        near = [test for test in tests if Path(test.partition("::")[0]).stem.endswith(Path(fault.file).stem)]
        others = [test for test in tests if test not in set(near)]
        return near[:MOST_TESTS], others[:MOST_TESTS]


def named() -> list[tuple[Fault, str, list[str]]]:
    """The faults of the table, each with the changed text of its file and further tests. Raises ValueError."""
    found = []
    for kind, entries in yaml.safe_load(TABLE.read_text(encoding="utf-8")).items():
        for entry in entries:
            source = (ROOT / entry["file"]).read_text(encoding="utf-8")
            if source.count(entry["find"]) != 1 or entry["find"] == entry["replace"]:
                raise ValueError(f"{entry['file']} has {source.count(entry['find'])} times {entry['find']!r}")
            changed = source.replace(entry["find"], entry["replace"])
            if entry["file"].endswith(".py"):
                ast.parse(changed)
            line = source[: source.index(entry["find"])].count("\n") + 1
            fault = Fault(kind, entry["file"], entry["find"], entry["replace"], line)
            found.append((fault, changed, entry.get("tests", [])))
    return found


def try_fault(fault: Fault, changed: str, further: Sequence[str], lines: Lines, forks: Forks) -> tuple[str, str, int]:
    """Who noticed the fault (`nearest` tests, `other`, or nobody: an empty text), the test, and how many were run."""
    near, others = lines.tests_of(fault)
    source = (ROOT / fault.file).read_text(encoding="utf-8")
    forked = fault.file.startswith(("shared/", "lambdas/")) and _in_function(fault, source)
    near += next((tests for beginning, tests in NEAREST.items() if fault.file.startswith(beginning)), ())
    suites = [*further, *SUITES.get(fault.file.partition("/")[0], ())]
    total = 0
    (COPY / fault.file).write_text(changed, encoding="utf-8")
    try:
        for who, tests in (("nearest", near), ("other", others), ("other", suites)):
            failed, number = "", 0
            if forked and tests is not suites:
                failed, number = forks.run(fault, changed, tests)
            elif tests:
                failed, number = run_in_copy(tests)
            total += number
            if failed:
                return who, failed, total
    finally:
        (COPY / fault.file).write_text(source, encoding="utf-8")
    return "", "", total


def report(results: Sequence[Result]) -> str:
    """The figures, and every fault that no test noticed."""
    rows = [f"{len(results)} faults"]
    for origin in ("named", "generated"):
        ours = [result for result in results if result.origin == origin]
        counted = Counter(result.noticed for result in ours)
        rows.append(f"{origin}: {len(ours)}, by the nearest tests {counted['nearest']}, by others {counted['other']}")
        rows += [f"  not noticed: {result.name}" for result in ours if not result.noticed]
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.plant_faults", description=__doc__)
    parser.add_argument("--number", type=int, default=240, help="how many faults are generated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["named", "generated"])
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time; the next run goes on")
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    if not LINES.exists():
        recording = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.line_map", "tests/unit"]
        subprocess.run(recording, cwd=ROOT, check=True)
    _copy()
    quiet = ["-p", "no:cacheprovider", "-p", "no:terminal", "-o", "addopts=--import-mode=importlib"]
    return pytest.main([*quiet, "tests/unit"], plugins=[Loop(arguments)])


class Loop:
    """A pytest plugin that plants the faults in place of running the tests that were collected."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        number, seed = self._arguments.number, self._arguments.seed
        generated = sample(ROOT, ["shared", "lambdas"], number, seed) + sample(ROOT, ["infra"], number // 10, seed)
        faults: list[tuple[Fault, str, list[str], str]] = [(*one, "named") for one in named()]
        faults += [(*one, [], "generated") for one in generated]
        # Those that deploy take long.
        faults.sort(key=lambda one: not one[0].file.startswith(("shared/", "lambdas/")))
        stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        lines, forks, end = Lines(), Forks(session.items), time.monotonic() + self._arguments.seconds
        for fault, changed, further, origin in faults:
            chosen = self._arguments.only in {None, origin}
            if fault.name not in stored and chosen and time.monotonic() < end:
                who, test, run = try_fault(fault, changed, further, lines, forks)
                stored[fault.name] = asdict(Result(fault.name, origin, fault.kind, who, test, run))
                RESULTS.write_text(json.dumps(stored, indent=1), encoding="utf-8")
                print(who or "NOT NOTICED", fault.name, test, flush=True)  # noqa: T201 - a command line prints
        print(report([Result(**stored[fault.name]) for fault, *_ in faults if fault.name in stored]))  # noqa: T201
        return True


def _copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(
        ROOT, COPY, ignore=shutil.ignore_patterns(".git", ".venv", ".uv", "build", "__pycache__", ".*_cache")
    )


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
