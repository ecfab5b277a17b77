"""JSONata: expressions, variables and whole seconds."""

from typing import Any

import pytest
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata

from tests.local.aws.machine_runner import AWAIT, output, run


def test_jsonata_expressions_are_evaluated(aws: None) -> None:
    states = {"Answer": {"Type": "Pass", "Output": {"sum": "{% $sum($states.input.amounts) %}"}, "End": True}}
    assert output(states, {"amounts": [1, 2, 39]}) == {"sum": 42}


def test_null_differs_from_undefined(aws: None) -> None:
    states = {
        "Answer": {
            "Type": "Pass",
            "Output": {"null": "{% $states.input.a %}", "exists": "{% $exists($states.input.b) %}"},
            "End": True,
        }
    }
    assert output(states, {"a": None}) == {"null": None, "exists": False}


@pytest.mark.parametrize("expression", ["$states.input.missing", "$uppercase(1)", "function($x){$x}", "1 +"])
def test_an_expression_without_a_result_is_a_query_evaluation_error(aws: None, expression: str) -> None:
    result = run({"Answer": {"Type": "Pass", "Output": "{% " + expression + " %}", "End": True}})
    assert (result["status"], result["error"]) == ("FAILED", "States.QueryEvaluationError")


@pytest.mark.parametrize("seconds", ["0", "1.5", "$states.input.name"])
def test_a_timeout_has_to_be_a_positive_whole_number(dynamodb: Any, seconds: str) -> None:
    result = run({"Await": AWAIT | {"TimeoutSeconds": "{% " + seconds + " %}"}}, {"name": "x"})
    assert (result["status"], result["error"]) == ("FAILED", "States.QueryEvaluationError")


def test_variables_keep_quotes_and_backslashes(aws: None) -> None:
    text = 'a "quoted" \\ backslash'
    states = {
        "Keep": {"Type": "Pass", "Assign": {"text": "{% $states.input.text %}"}, "Next": "Answer"},
        "Answer": {"Type": "Pass", "Output": "{% $text %}", "End": True},
    }
    assert output(states, {"text": text}) == text


def test_moto_still_has_no_jsonata_evaluator() -> None:
    assert moto_jsonata._eval_jsonata is None


def test_moto_still_does_not_escape_strings() -> None:
    assert moto_jsonata.encode_jsonata_variable_declarations({"$a": 'x"y'}) == '$a:="x"y";'
