r"""Gaps of moto: it has no JSONata evaluator, breaks string variables, and accepts any number of seconds.

- `_eval_jsonata` is None: expressions are evaluated by jsonata-python here.
- Variables are passed as text in front of the expression, and a string that contains `"` or `\\` breaks that text.
  Here they are bound as values. That is also forty times as fast, because only the expression is parsed.
- Fractions of seconds are cut off and a timeout of 0 is accepted. AWS refuses both.
- The history lists the variables that a state has assigned in another order in each process.
"""

import copy
import functools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jsonata
import moto.stepfunctions.parser.asl.jsonata.jsonata as moto_jsonata
from jsonata.utils import Utils as JsonataUtils
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSecondsJSONata
from moto.stepfunctions.parser.asl.component.intrinsic.jsonata import get_intrinsic_functions_declarations
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.seconds import SecondsJSONata
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.variable_store import VariableStore

from local.aws.patches.patching import replaces


def evaluate_jsonata(text: str, bindings: Mapping[str, Any]) -> Any:
    """The value of the expression with these variables.

    Raises ValueError if it returns nothing or something that is not JSON, otherwise whatever the evaluator raises.
    """
    result = _compile(text).evaluate(None, {name: _to_jsonata(value) for name, value in bindings.items()})
    if result is None:
        raise ValueError("returned nothing (undefined).")
    if isinstance(result, list | tuple):
        result = list(result)
    if not _is_json(result):
        raise ValueError("returned an unsupported result type.")
    return JsonataUtils.convert_nulls(result)


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> jsonata.Jsonata:
    expression = jsonata.Jsonata(text)
    expression.set_output_convert_nulls(False)
    return expression


def _compile(text: str) -> jsonata.Jsonata:
    """The expression for one evaluation in this thread: the parsed text is shared, the environment is not."""
    expression = copy.copy(_parse(text))
    expression.environment = expression.create_frame(jsonata.Jsonata.static_frame)
    jsonata.Jsonata.CURRENT.jsonata = expression
    return expression


def _to_jsonata(value: Any) -> Any:
    """A copy with the evaluator's own null: to it, Python's None means undefined."""
    if value is None:
        return JsonataUtils.NULL_VALUE
    if isinstance(value, dict):
        return {key: _to_jsonata(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_jsonata(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is JsonataUtils.NULL_VALUE or isinstance(value, str | int | float)


def _query_failed(env: Any, cause: str) -> FailureEventException:
    error = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(error=error.error_name, cause=cause)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=error,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=EventDetails(evaluationFailedEventDetails=details),
        )
    )


@replaces(StringJSONata, "_eval_body")
def _evaluate_in_state(self: Any, env: Any) -> None:
    references = moto_jsonata.extract_jsonata_variable_references(self.expression)
    functions = get_intrinsic_functions_declarations(variable_references=references)
    variables = env.variable_store
    bindings = {**variables._outer_scope, **variables._inner_scope, "states": env.states._states_data}
    try:
        value = evaluate_jsonata(f"({functions}{self.expression})" if functions else self.expression, bindings)
    except Exception as error:
        raise _query_failed(env, f"The JSONata expression '{self.expression}' failed: {error}") from error
    env.stack.append(value)


@replaces(VariableStore, "get_assigned_variables")
def _assigned_variables(self: Any) -> dict[str, str]:
    return dict(sorted(_assigned_variables.original(self).items()))


@replaces(TimeoutSecondsJSONata, "_eval_seconds")
def _timeout_seconds(self: Any, env: Any) -> int:
    return _whole_seconds(self, env, least=1)


@replaces(SecondsJSONata, "_get_wait_seconds")
def _wait_seconds(self: Any, env: Any) -> int:
    return _whole_seconds(self, env, least=0)


def _whole_seconds(self: Any, env: Any, least: int) -> int:
    self.string_jsonata.eval(env=env)
    seconds = env.stack.pop()
    if isinstance(seconds, float) and seconds.is_integer():
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < least:
        raise _query_failed(env, f"The JSONata expression must give a whole number of seconds >= {least}: {seconds}")
    return seconds
