"""Every expression of both workflows, evaluated by JSONata's reference implementation and by the local one."""

import copy
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonata import timebox

from local.aws.patches import jsonata_evaluation
from local.demo import run_demo
from local.external_tools import install
from statemachines.render import load
from tests.harness.running_stack import quiet_imports
from tests.real.conftest import tool_or_skip

pytestmark = pytest.mark.jsonata

EXPRESSION = re.compile(r"\{%(.*?)%\}")
PLACEHOLDER = re.compile(r"\$\{\w+\}")
# Values that are tried for each variable and each part of one; ABSENT: it does not exist.
ABSENT, RECORDED = object(), "recorded"
EDGE_VALUES = [
    ABSENT, None, "", "0", 'he said "no" \\ and left', "Zoë 旅館 😀 \u2028", "pending", "retry", "expire_sessions",
    True, False, 0, 1, -1, 2.5, 99_999_999, 2**53 - 1, 1e21, 1e-7, [], ["pi_1"], ["pi_1", "pi_2"], {}, {"a": {"b": 1}},
    "2026-11-24T15:00:00Z", "2026-11-24T15:00:00.000Z", "2026-11-24T15:00:00.001Z", "2026-11-24T15:00:00.123456+00:00",
    "2026-11-24T17:00:00.999+02:00", "2028-02-29", "2026-02-30T00:00:00Z",
]  # fmt: skip
# Values for which the two differ, and why that does not matter here.
KNOWN_DIFFERENCES = {
    2.5: "the last of 15 digits is rounded to even; counters are whole numbers",
    2**53 - 1: "text has an exponent from 1e15; cents end at 1e8, token sequences reach 1e15 in the year 2286",
    "2026-02-30T00:00:00Z": "no such day: an error here, the 2nd of March there; our times come from clocks",
}
# Times in ms: exactly on a second, and just before and after it.
TIMES = [1_795_532_400_000, 1_795_532_399_999, 1_795_532_400_001]

type Bindings = dict[str, Any]


@pytest.fixture(scope="module")
def evaluator() -> Path:
    return tool_or_skip(lambda: install("jsonata", ["npm", "ci", "--no-audit", "--no-fund"]))


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Bindings]]:
    """The expressions that the demo evaluates, with the variables that were in scope."""
    seen: dict[str, dict[str, Bindings]] = defaultdict(dict)
    evaluate = jsonata_evaluation.evaluate_jsonata

    def recording(text: str, bindings: Mapping[str, Any]) -> Any:
        as_text = json.dumps(bindings, default=str)
        value = evaluate(text, bindings)
        seen[text.strip()].setdefault(as_text, json.loads(as_text))
        return value

    with pytest.MonkeyPatch.context() as patch, quiet_imports():
        patch.setattr(jsonata_evaluation, "evaluate_jsonata", recording)
        assert run_demo.run() == 0
    return {text: list(inputs.values()) for text, inputs in seen.items()}


def expressions() -> list[str]:
    """The expressions of both definitions, with their placeholders ${…}."""
    texts = [json.dumps(load(name), ensure_ascii=False) for name in ("payment", "refund")]
    found = {json.loads(f'"{match[1].strip()}"') for text in texts for match in EXPRESSION.finditer(text)}
    return sorted(found)


def rendered(expression: str) -> re.Pattern[str]:
    """Matches the expression once its placeholders are filled in."""
    return re.compile(".*".join(map(re.escape, PLACEHOLDER.split(expression))))


def inputs(recorded: dict[str, list[Bindings]]) -> Iterator[tuple[Any, str, Bindings]]:
    """Each expression with its recorded variables, and with each edge value (which comes first) for each variable."""
    everything: Bindings = {}
    for seen in recorded.values():
        for bindings in seen:
            everything = merged(everything, bindings)
    for written in expressions():
        filled = [text for text in recorded if rendered(written).fullmatch(text)] or [PLACEHOLDER.sub("3", written)]
        for text in filled:
            yield from ((RECORDED, text, bindings) for bindings in recorded.get(text, []))
            for path in {tuple(name.split(".")) for name in re.findall(r"\$([a-z]\w*(?:\.\w+)*)(?![\w.(])", text)}:
                yield from ((as_key(edge), text, with_value(everything, path, edge)) for edge in EDGE_VALUES)


def as_key(edge: Any) -> Any:
    """A key for a dictionary, where True would be the same as 1, and a list is not allowed."""
    return edge if type(edge) in (str, int, float) else repr(edge)


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{name: merged(one.get(name), value) for name, value in other.items()}}
    return other


def with_value(bindings: Bindings, path: tuple[str, ...], value: Any) -> Bindings:
    bindings = copy.deepcopy(bindings)
    *parents, last = path
    at: Any = bindings
    for name in parents:
        if not isinstance(at.get(name), dict):
            at[name] = {}
        at = at[name]
    if value is ABSENT:
        at.pop(last, None)
    else:
        at[last] = value
    return bindings


def evaluate_here(text: str, bindings: Bindings, at: int) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timebox.Timebox, "current_milli_time", lambda: at)
        try:
            return {"value": jsonata_evaluation.evaluate_jsonata(text, bindings)}
        except Exception:  # noqa: BLE001 - any error fails the state
            return {}


def evaluate_there(evaluator: Path, cases: list[tuple[str, Bindings, int]]) -> list[dict[str, Any]]:
    lines = [json.dumps({"expression": text, "bindings": bindings, "at": at}) for text, bindings, at in cases]
    completed = subprocess.run(
        ["node", "evaluate.js"], cwd=evaluator, input="\n".join(lines), capture_output=True, text=True, check=True
    )
    answers = [json.loads(line) for line in completed.stdout.rstrip("\n").split("\n")]
    return [{"value": answer["value"]} if "value" in answer else {} for answer in answers]


def test_both_evaluators_return_the_same_value(evaluator: Path, recorded: dict[str, list[Bindings]]) -> None:
    cases = [
        (edge, text, bindings, at)
        for edge, text, bindings in inputs(recorded)
        for at in (TIMES if re.search(r"\$(now|millis)\(", text) else TIMES[:1])
    ]
    answers = evaluate_there(evaluator, [case[1:] for case in cases])
    assert len(answers) == len(cases)
    different = [
        (edge, f"{text}\n  with {bindings}\n  at {at}: here {here}, there {there}")
        for (edge, text, bindings, at), there in zip(cases, answers, strict=True)
        if (here := evaluate_here(text, bindings, at)) != there
    ]
    assert not [difference for edge, difference in different if edge not in KNOWN_DIFFERENCES]
    assert {edge for edge, _ in different} == KNOWN_DIFFERENCES.keys()


def test_the_demo_evaluates_nearly_all_expressions(recorded: dict[str, list[Bindings]]) -> None:
    """The others belong to failures that no scenario of the demo causes."""
    evaluated = [written for written in expressions() if any(rendered(written).fullmatch(text) for text in recorded)]
    assert len(evaluated) > len(expressions()) * 0.8
