"""A pytest plugin that records which lines of our code each test executes: `pytest -p tests.mutants.line_map`.

It writes build/mutants/lines.json: the tests, and by file and line the numbers of those that execute it.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "build" / "mutants" / "lines.json"
_OURS = tuple(f"{ROOT}/{folder}/" for folder in ("shared", "lambdas", "infra"))
_TOOL = sys.monitoring.COVERAGE_ID

_tests: list[str] = []
_lines: defaultdict[str, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))


def pytest_configure() -> None:
    sys.monitoring.use_tool_id(_TOOL, "line_map")
    sys.monitoring.register_callback(_TOOL, sys.monitoring.events.PY_START, _started)
    sys.monitoring.register_callback(_TOOL, sys.monitoring.events.LINE, _executed)
    sys.monitoring.set_events(_TOOL, sys.monitoring.events.PY_START)


def _started(code: CodeType, _offset: int) -> object:
    """Watch the lines of our functions alone: those of all libraries would take minutes."""
    if code.co_filename.startswith(_OURS):
        sys.monitoring.set_local_events(_TOOL, code, sys.monitoring.events.LINE)
    return sys.monitoring.DISABLE


def _executed(code: CodeType, line: int) -> object:
    """Note a line, once for each test."""
    if _tests:
        _lines[code.co_filename.removeprefix(f"{ROOT}/")][line].append(len(_tests) - 1)
    return sys.monitoring.DISABLE


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _tests.append(item.nodeid)
    sys.monitoring.restart_events()
    return (yield)


def pytest_unconfigure() -> None:
    sys.monitoring.set_events(_TOOL, sys.monitoring.events.NO_EVENTS)
    sys.monitoring.free_tool_id(_TOOL)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps({"tests": _tests, "lines": _lines}), encoding="utf-8")
