"""Errors in the definitions: retried where they are transient, caught everywhere, and named as functions raise them."""

import ast
import inspect
import re

import pytest

from shared.domain import errors
from tests.structure.definitions import DYNAMODB_ERRORS, ROOT, errors_in, module_of, state_of, tasks

# Every name that AWS gives to an error which these states can meet.
LAMBDA_ERRORS = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
}
AWS_ERRORS = {
    *LAMBDA_ERRORS,
    *DYNAMODB_ERRORS,
    "DynamoDb.ConditionalCheckFailedException",
    "EventBridge.FailedEntry",
    "EventBridge.InternalException",
    "EventBridge.SdkClientException",
    "EventBridge.ThrottlingException",
    "SNS.InternalErrorException",
    "SNS.KMSThrottlingException",
    "SNS.SdkClientException",
    "SNS.ThrottledException",
    # AWS's pages and its SDK spell these two differently.
    "StepFunctions.ExecutionAlreadyExists",
    "StepFunctions.ExecutionAlreadyExistsException",
    "StepFunctions.ExecutionLimitExceeded",
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.InternalFailureException",
    "StepFunctions.InternalServerException",
    "StepFunctions.SdkClientException",
    "StepFunctions.ThrottlingException",
    "States.ALL",
    "States.Timeout",
}
OUR_ERRORS = {
    name
    for name, of in vars(errors).items()
    if inspect.isclass(of) and issubclass(of, errors.PaymentError) and not of.__subclasses__()
}


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_every_task_catches_from_specific_to_general(machine: str, name: str) -> None:
    *specific, last = state_of(machine, name)["Catch"]
    assert last["ErrorEquals"] == ["States.ALL"]
    if specific and specific[-1]["ErrorEquals"] == ["States.Timeout"]:
        specific.pop()
    assert not {error for rule in specific for error in rule["ErrorEquals"] if error.startswith("States.")}


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_a_timeout_is_caught_separately_only_where_it_leads_elsewhere(machine: str, name: str) -> None:
    """States.ALL includes it."""
    catches = state_of(machine, name)["Catch"]
    timeouts = [catch["Next"] for catch in catches if catch["ErrorEquals"] == ["States.Timeout"]]
    assert catches[-1]["Next"] not in timeouts


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_retries_are_for_named_transient_errors_and_spread_out(machine: str, name: str) -> None:
    retries = state_of(machine, name)["Retry"]
    assert retries
    for retry in retries:
        assert not {error for error in retry["ErrorEquals"] if error.startswith("States.")}
        assert retry["JitterStrategy"] == "FULL"
        assert retry["BackoffRate"] == 2.0
        assert 1 <= retry["IntervalSeconds"] <= retry["MaxDelaySeconds"] <= 900
        assert 1 <= retry["MaxAttempts"] <= 10


# First pause, longest pause and number of retries. Seconds for what passes at once, a minute or two for what is
# published, a quarter of an hour for refunds.
RETRIES = {
    "EventBridge": (1, 20, 10),
    "SNS": (1, 20, 10),
    "StoreBusy": (1, 20, 8),
    ("payment", "StripeUnavailable"): (1, 5, 2),
    ("refund", "StripeUnavailable"): (5, 900, 8),
}


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_each_error_is_retried_for_as_long_as_it_may_last(machine: str, name: str) -> None:
    for retry in state_of(machine, name)["Retry"]:
        for error in retry["ErrorEquals"]:
            expected = RETRIES.get((machine, error)) or RETRIES.get(error.partition(".")[0], (1, 20, 5))
            assert (retry["IntervalSeconds"], retry["MaxDelaySeconds"], retry["MaxAttempts"]) == expected, error


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_every_error_is_ours_or_one_of_aws(machine: str, name: str) -> None:
    assert set(errors_in(state_of(machine, name), "Retry", "Catch")) <= OUR_ERRORS | AWS_ERRORS


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_transient_errors_are_retried_and_permanent_ones_are_not(machine: str, name: str) -> None:
    state = state_of(machine, name)
    retried = set(errors_in(state, "Retry")) & OUR_ERRORS
    assert all(issubclass(vars(errors)[of], errors.TransientError) for of in retried)
    caught = set(errors_in(state, "Catch")) & OUR_ERRORS
    assert all(of in retried for of in caught if issubclass(vars(errors)[of], errors.TransientError))


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_every_function_is_run_again_after_an_error_of_lambda(machine: str, name: str) -> None:
    assert set(errors_in(state_of(machine, name), "Retry")) >= LAMBDA_ERRORS


@pytest.mark.parametrize(("machine", "name"), tasks("updateItem"))
def test_every_write_is_repeated_after_a_conflict(machine: str, name: str) -> None:
    assert "DynamoDb.TransactionConflictException" in errors_in(state_of(machine, name), "Retry")


@pytest.mark.parametrize(("machine", "name"), tasks("dynamodb"))
def test_dynamodb_is_called_through_its_sdk_integration(machine: str, name: str) -> None:
    """The optimized integration spells the same errors differently: `DynamoDB.`."""
    state = state_of(machine, name)
    assert state["Resource"].startswith("arn:aws:states:::aws-sdk:dynamodb:")
    assert set(errors_in(state, "Retry")) == DYNAMODB_ERRORS


def documented_errors(module: str) -> set[str]:
    """Return the errors of ours that the handler's docstring names."""
    tree = ast.parse((ROOT / "lambdas" / f"{module}.py").read_text(encoding="utf-8"))
    handler = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler")
    return set(re.findall(r"\w+", (ast.get_docstring(handler) or "").partition("Raises ")[2])) & OUR_ERRORS


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_a_state_handles_exactly_what_its_function_raises(machine: str, name: str) -> None:
    handled = set(errors_in(state_of(machine, name), "Retry", "Catch")) & OUR_ERRORS
    assert handled == documented_errors(module_of(name))


@pytest.mark.parametrize("module", sorted({module_of(name) for _, name in tasks("lambda:invoke")}))
def test_a_function_documents_what_it_raises(module: str) -> None:
    tree = ast.parse((ROOT / "lambdas" / f"{module}.py").read_text(encoding="utf-8"))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    assert raised & OUR_ERRORS <= documented_errors(module)
    assert not raised & {"Exception", "RuntimeError"}
