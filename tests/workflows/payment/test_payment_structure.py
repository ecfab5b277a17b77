"""The shape of the state machines: every edge, every rule that each state keeps, and that both sides use one name."""

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.aws.emulator import evaluate_jsonata
from shared.contracts import states
from shared.domain import errors
from statemachines.render import render

ROOT = Path(__file__).parents[3]
MACHINES: dict[str, dict[str, Any]] = {
    name: json.loads((ROOT / "statemachines" / f"{name}.asl.json").read_text(encoding="utf-8"))
    for name in ("payment", "refund")
}

type Edge = tuple[str, str, str]

# (state, what happens there, next state). "" is the ordinary end, "else" a question's last answer.
EDGES: dict[str, set[Edge]] = {
    "payment": {
        ("RecordPayment", "", "CreateCheckoutSession"),
        ("RecordPayment", "DynamoDB.ConditionalCheckFailedException", "VerifyPayment"),
        ("RecordPayment", "DynamoDb.ConditionalCheckFailedException", "VerifyPayment"),
        ("RecordPayment", "States.Timeout", "NotifyOperators"),
        ("RecordPayment", "States.ALL", "NotifyOperators"),
        ("CreateCheckoutSession", "", "AwaitPayment"),
        ("CreateCheckoutSession", "StripeUnavailable", "RecordFailedAttempt"),
        ("CreateCheckoutSession", "HoldEnding", "AwaitRetry"),
        ("CreateCheckoutSession", "ReservationNotPayable", "ExpireCheckoutSessions"),
        ("CreateCheckoutSession", "States.Timeout", "NotifyOperators"),
        ("CreateCheckoutSession", "States.ALL", "NotifyOperators"),
        ("AwaitPayment", "", "VerifyPayment"),
        ("AwaitPayment", "DynamoDb.ConditionalCheckFailedException", "ExpireCheckoutSessions"),
        ("AwaitPayment", "States.Timeout", "ExpireCheckoutSessions"),
        ("AwaitPayment", "States.ALL", "ExpireCheckoutSessions"),
        ("VerifyPayment", "", "NextStep?"),
        ("VerifyPayment", "States.Timeout", "NotifyOperators"),
        ("VerifyPayment", "States.ALL", "NotifyOperators"),
        ("ExpireCheckoutSessions", "", "NextStep?"),
        ("ExpireCheckoutSessions", "States.Timeout", "NotifyOperators"),
        ("ExpireCheckoutSessions", "States.ALL", "NotifyOperators"),
        ("NextStep?", "paid", "ConfirmReservation"),
        ("NextStep?", "unapplied", "RefundUnusablePayment"),
        ("NextStep?", "open", "AwaitPayment"),
        ("NextStep?", "create", "CreateCheckoutSession"),
        ("NextStep?", "close", "ExpireCheckoutSessions"),
        ("NextStep?", "unknown", "AwaitStripe"),
        ("NextStep?", "retry", "RecordFailedAttempt"),
        ("NextStep?", "release", "ReleaseHold"),
        ("NextStep?", "else", "NotifyOperators"),
        ("AwaitStripe", "", "VerifyPayment"),
        ("ConfirmReservation", "", "AnnouncePayment"),
        ("ConfirmReservation", "BookingLost", "RefundUnusablePayment"),
        ("ConfirmReservation", "States.Timeout", "NotifyOperators"),
        ("ConfirmReservation", "States.ALL", "NotifyOperators"),
        ("AnnouncePayment", "", "PaymentConfirmed"),
        ("AnnouncePayment", "States.Timeout", "PaymentConfirmed"),
        ("AnnouncePayment", "States.ALL", "PaymentConfirmed"),
        ("RefundUnusablePayment", "", "ExpireCheckoutSessions"),
        ("RefundUnusablePayment", "StepFunctions.ExecutionAlreadyExists", "ExpireCheckoutSessions"),
        ("RefundUnusablePayment", "StepFunctions.ExecutionAlreadyExistsException", "ExpireCheckoutSessions"),
        ("RefundUnusablePayment", "States.Timeout", "NotifyOperators"),
        ("RefundUnusablePayment", "States.ALL", "NotifyOperators"),
        ("RecordFailedAttempt", "", "AwaitRetry"),
        ("RecordFailedAttempt", "States.Timeout", "NotifyOperators"),
        ("RecordFailedAttempt", "States.ALL", "NotifyOperators"),
        ("AwaitRetry", "", "RetrySignal?"),
        ("AwaitRetry", "DynamoDb.ConditionalCheckFailedException", "ExpireCheckoutSessions"),
        ("AwaitRetry", "States.Timeout", "ExpireCheckoutSessions"),
        ("AwaitRetry", "States.ALL", "ExpireCheckoutSessions"),
        ("RetrySignal?", "retry", "CreateCheckoutSession"),
        ("RetrySignal?", "else", "ExpireCheckoutSessions"),
        ("ReleaseHold", "", "AnnounceRelease"),
        ("ReleaseHold", "BookedElsewhere", "NotifyOperators"),
        ("ReleaseHold", "States.Timeout", "NotifyOperators"),
        ("ReleaseHold", "States.ALL", "NotifyOperators"),
        ("AnnounceRelease", "", "HoldReleased"),
        ("AnnounceRelease", "States.Timeout", "HoldReleased"),
        ("AnnounceRelease", "States.ALL", "HoldReleased"),
        ("NotifyOperators", "", "NeedsAttention"),
        ("NotifyOperators", "States.Timeout", "NeedsAttention"),
        ("NotifyOperators", "States.ALL", "NeedsAttention"),
    },
    "refund": {
        ("AlreadyFailed?", "$exists($states.context.Execution.Input.failed_stripe_refund_id)", "RecordRefundFailure"),
        ("AlreadyFailed?", "else", "ReserveRefund"),
        ("ReserveRefund", "", "CreateRefund"),
        ("ReserveRefund", "PaymentDisputed", "RefundRefused"),
        ("ReserveRefund", "NotEnoughLeft", "RefundRefused"),
        ("ReserveRefund", "NotRefundable", "RefundRefused"),
        ("ReserveRefund", "CaptureDisputed", "RecordRefundFailure"),
        ("ReserveRefund", "States.Timeout", "NotifyDefect"),
        ("ReserveRefund", "States.ALL", "NotifyDefect"),
        ("CreateRefund", "", "RefundStatus?"),
        ("CreateRefund", "States.Timeout", "RecordRefundFailure"),
        ("CreateRefund", "States.ALL", "RecordRefundFailure"),
        ("RefundStatus?", "succeeded", "RecordRefund"),
        ("RefundStatus?", "pending requires_action", "AwaitRefundSettlement"),
        ("RefundStatus?", "settled_elsewhere", "RecordSettledElsewhere"),
        ("RefundStatus?", "else", "RecordRefundFailure"),
        ("AwaitRefundSettlement", "", "CheckRefund"),
        ("AwaitRefundSettlement", "DynamoDb.ConditionalCheckFailedException", "CheckRefund"),
        ("AwaitRefundSettlement", "States.Timeout", "CheckRefund"),
        ("AwaitRefundSettlement", "States.ALL", "NotifyDefect"),
        ("CheckRefund", "", "RefundStatus?"),
        ("CheckRefund", "States.Timeout", "NotifyDefect"),
        ("CheckRefund", "States.ALL", "NotifyDefect"),
        ("RecordRefund", "", "AnnounceRefund"),
        ("RecordRefund", "States.Timeout", "NotifyDefect"),
        ("RecordRefund", "States.ALL", "NotifyDefect"),
        ("RecordSettledElsewhere", "", "AnnounceRefund"),
        ("RecordSettledElsewhere", "States.Timeout", "NotifyDefect"),
        ("RecordSettledElsewhere", "States.ALL", "NotifyDefect"),
        ("AnnounceRefund", "", "RefundCompleted"),
        ("AnnounceRefund", "States.Timeout", "RefundCompleted"),
        ("AnnounceRefund", "States.ALL", "RefundCompleted"),
        ("RecordRefundFailure", "", "NotifyOperators"),
        ("RecordRefundFailure", "States.Timeout", "NotifyDefect"),
        ("RecordRefundFailure", "States.ALL", "NotifyDefect"),
        ("NotifyOperators", "", "AwaitOperator"),
        ("NotifyOperators", "States.Timeout", "AwaitOperator"),
        ("NotifyOperators", "States.ALL", "AwaitOperator"),
        ("AwaitOperator", "", "OperatorAnswer?"),
        ("AwaitOperator", "DynamoDb.ConditionalCheckFailedException", "CheckRefund"),
        ("AwaitOperator", "States.Timeout", "NotifyOperators"),
        ("AwaitOperator", "States.ALL", "NotifyDefect"),
        ("OperatorAnswer?", "retry", "CreateRefund"),
        ("OperatorAnswer?", "settled_elsewhere", "RecordSettledElsewhere"),
        ("OperatorAnswer?", "else", "NotifyOperators"),
        ("NotifyDefect", "", "NeedsAttention"),
        ("NotifyDefect", "States.Timeout", "NeedsAttention"),
        ("NotifyDefect", "States.ALL", "NeedsAttention"),
    },
}

# Every name that AWS gives an error which these states can see.
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
DYNAMODB_ERRORS = {
    f"{spelling}.{error}"
    for spelling in ("DynamoDB", "DynamoDb")
    for error in (
        "InternalServerError",
        "InternalServerErrorException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceededException",
        "SdkClientException",
        "ThrottlingException",
        "TransactionConflictException",
    )
}
AWS_ERRORS = (
    LAMBDA_ERRORS
    | DYNAMODB_ERRORS
    | {
        "DynamoDB.ConditionalCheckFailedException",
        "DynamoDb.ConditionalCheckFailedException",
        "EventBridge.FailedEntry",
        "EventBridge.InternalException",
        "EventBridge.SdkClientException",
        "EventBridge.ThrottlingException",
        "SNS.InternalErrorException",
        "SNS.KMSThrottlingException",
        "SNS.SdkClientException",
        "SNS.ThrottledException",
        # AWS's pages and its SDK write these two otherwise.
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
)
OUR_ERRORS = {
    name
    for name, of in vars(errors).items()
    if inspect.isclass(of) and issubclass(of, errors.PaymentError) and not of.__subclasses__()
}

# States that share a function, whose name is the first one's.
SHARED_FUNCTION = {"RecordRefundFailure": "RecordRefund", "RecordSettledElsewhere": "RecordRefund"}
NO_STATE = {"payments_api", "stripe_webhook", "reconcile_payments"}

STATES = [(machine, name) for machine, definition in MACHINES.items() for name in definition["States"]]


def state_of(machine: str, name: str) -> dict[str, Any]:
    state: dict[str, Any] = MACHINES[machine]["States"][name]
    return state


def of_type(*types: str) -> list[tuple[str, str]]:
    return [of for of in STATES if state_of(*of)["Type"] in types]


def tasks(resource: str = "") -> list[tuple[str, str]]:
    return [of for of in of_type("Task") if resource in state_of(*of)["Resource"]]


def callbacks() -> list[tuple[str, str]]:
    return tasks(".waitForTaskToken")


def matched(state: Mapping[str, Any], *of: str) -> list[str]:
    return [name for part in of for rule in state.get(part, []) for name in rule["ErrorEquals"]]


def answer(condition: str) -> str:
    """`{% $next_step = 'confirm' %}` → `paid`; a condition that compares nothing as it stands."""
    values = re.findall(r"'([^']+)'", condition)
    return " ".join(values) if values else condition.removeprefix("{% ").removesuffix(" %}")


def edges(machine: str) -> Iterator[Edge]:
    for name, state in MACHINES[machine]["States"].items():
        if "Next" in state:
            yield name, "", state["Next"]
        for rule in state.get("Choices", []):
            yield name, answer(rule["Condition"]), rule["Next"]
        if "Default" in state:
            yield name, "else", state["Default"]
        for catch in state.get("Catch", []):
            for error in catch["ErrorEquals"]:
                yield name, error, catch["Next"]


def reachable(machine: str, start: str, *, without: frozenset[str] = frozenset()) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in without:
            found.add(name)
            waiting += [after for before, _, after in edges(machine) if before == name]
    return found


# The map.


@pytest.mark.parametrize("machine", MACHINES)
def test_every_edge_is_as_drawn(machine: str) -> None:
    """Nothing leads anywhere else, timeouts and unexpected errors included; docs/diagrams.md draws it."""
    assert set(edges(machine)) == EDGES[machine]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_is_reachable(machine: str) -> None:
    assert reachable(machine, MACHINES[machine]["StartAt"]) == set(MACHINES[machine]["States"])


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_every_state_leads_to_an_end(machine: str, name: str) -> None:
    ends = {of for of, state in MACHINES[machine]["States"].items() if state["Type"] in {"Succeed", "Fail"}}
    assert reachable(machine, name) & ends


@pytest.mark.parametrize("machine", MACHINES)
def test_the_whole_execution_is_timed(machine: str) -> None:
    assert MACHINES[machine]["QueryLanguage"] == "JSONata"
    assert MACHINES[machine]["TimeoutSeconds"] in {"${ExecutionTimeoutSeconds}", 364 * 86_400}
    assert len(MACHINES[machine]["Comment"]) > 20


def test_every_next_step_has_its_answer() -> None:
    answers = {of for state, of, _ in edges("payment") if state == "NextStep?"}
    next_steps = set(states.NextStepOutput.model_fields["next_step"].annotation.__args__)  # type: ignore[union-attr]
    assert answers == next_steps | {"else"}


def test_a_booking_is_confirmed_only_after_a_next_step_of_paid() -> None:
    """D-15: no way leads around the next_step."""
    assert [of for of in EDGES["payment"] if of[2] == "ConfirmReservation"] == [
        ("NextStep?", "paid", "ConfirmReservation")
    ]
    assert "PaymentConfirmed" not in reachable("payment", "RecordPayment", without=frozenset({"ConfirmReservation"}))


def test_a_hold_is_released_only_after_a_next_step() -> None:
    assert [of for of in EDGES["payment"] if of[2] == "ReleaseHold"] == [("NextStep?", "release", "ReleaseHold")]


def test_no_way_leads_from_a_failed_refund_to_a_completed_one() -> None:
    """P-07: but through Stripe's word or a person's."""
    asked = frozenset({"CreateRefund", "CheckRefund", "OperatorAnswer?"})
    assert "RefundCompleted" not in reachable("refund", "RecordRefundFailure", without=asked)
    assert "AwaitOperator" in reachable("refund", "RecordRefundFailure", without=asked)


# Rules for every state.


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_every_state_says_what_it_is_for(machine: str, name: str) -> None:
    assert len(state_of(machine, name)["Comment"]) > 10


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_names_say_what_kind_of_state_it_is(machine: str, name: str) -> None:
    """Questions end so, waits await."""
    state = state_of(machine, name)
    waits = state["Type"] == "Wait" or state.get("Resource", "").endswith(".waitForTaskToken")
    assert name.endswith("?") is (state["Type"] == "Choice")
    assert name.startswith("Await") is waits


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_every_task_is_timed(machine: str, name: str) -> None:
    timeout = state_of(machine, name)["TimeoutSeconds"]
    if isinstance(timeout, str):
        assert timeout.startswith("{% $max([1, $ceil(")
    else:
        assert timeout >= 1


@pytest.mark.parametrize(("machine", "name"), of_type("Wait"))
def test_every_wait_ends(machine: str, name: str) -> None:
    assert "$min([" in state_of(machine, name)["Seconds"]


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_every_task_catches_from_specific_to_general(machine: str, name: str) -> None:
    caught = [catch["ErrorEquals"] for catch in state_of(machine, name)["Catch"]]
    assert caught[-2:] == [["States.Timeout"], ["States.ALL"]]
    assert not {error for rule in caught[:-2] for error in rule if error.startswith("States.")}


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


@pytest.mark.parametrize(("machine", "name"), callbacks())
def test_a_wait_for_a_signal_is_timed_caught_and_never_repeated_as_a_whole(machine: str, name: str) -> None:
    """P-11: a repeat is for the write alone; Timeout, TaskFailed or ALL would repeat the wait."""
    state = state_of(machine, name)
    assert state["TimeoutSeconds"]
    assert set(matched(state, "Retry")) <= DYNAMODB_ERRORS
    assert {"States.Timeout", "States.ALL", "DynamoDb.ConditionalCheckFailedException"} == set(matched(state, "Catch"))


@pytest.mark.parametrize(("machine", "name"), callbacks())
def test_a_token_is_stored_with_a_sequence_that_only_rises(machine: str, name: str) -> None:
    """P-12: the token stands in the one conditional write that makes the wait; an older write cannot replace it."""
    arguments = state_of(machine, name)["Arguments"]
    values = arguments["ExpressionAttributeValues"]
    assert values[":token"] == {"S": "{% $states.context.Task.Token %}"}
    assert values[":sequence"] == {
        "N": "{% $string($toMillis($states.context.State.EnteredTime) * 100 + $states.context.State.RetryCount) %}"
    }
    assert re.search(r"task_token = :token, .*token_sequence = :sequence", arguments["UpdateExpression"])
    assert re.search(r"attribute_not_exists\((\S*token_sequence)\) OR \1 < :sequence", arguments["ConditionExpression"])


def test_the_address_is_published_with_the_token() -> None:
    """D-22 P-12: nobody can know the URL before its wait exists, and a cancelled or older attempt gets none."""
    arguments = state_of("payment", "AwaitPayment")["Arguments"]
    assert "checkout_url = :url" in arguments["UpdateExpression"]
    assert "task_token = :token" in arguments["UpdateExpression"]
    assert "attribute_not_exists(cancel_requested_at)" in arguments["ConditionExpression"]
    assert "current_attempt = :key" in arguments["ConditionExpression"]
    writers = [name for name, state in MACHINES["payment"]["States"].items() if "checkout_url =" in json.dumps(state)]
    assert writers == ["AwaitPayment"]


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_the_token_sequence_is_never_removed(machine: str, name: str) -> None:
    expression = state_of(machine, name).get("Arguments", {})
    removed = str(expression.get("UpdateExpression", "") if isinstance(expression, dict) else "").partition("REMOVE")[2]
    assert "token_sequence" not in removed


@pytest.mark.parametrize(("machine", "name"), tasks("aws-sdk:dynamodb"))
def test_sdk_states_use_the_types_that_are_spelled_alike_everywhere(machine: str, name: str) -> None:
    """S, N and M; AWS spells the others in its own way."""
    arguments = state_of(machine, name)["Arguments"]
    values = [*arguments["ExpressionAttributeValues"].values(), *arguments["Key"].values()]
    assert {kind for value in values for kind in value} <= {"S", "N", "M"}


@pytest.mark.parametrize(("machine", "name"), tasks("dynamodb"))
def test_every_alias_and_value_of_a_write_is_used_and_given(machine: str, name: str) -> None:
    """DynamoDB refuses what is not used, and what is not given; moto is not that strict."""
    arguments = state_of(machine, name)["Arguments"]
    text = " ".join(str(arguments.get(part, "")) for part in ("UpdateExpression", "ConditionExpression"))
    assert set(re.findall(r"#\w+", text)) == set(arguments.get("ExpressionAttributeNames", {}))
    assert set(re.findall(r":\w+", text)) == set(arguments.get("ExpressionAttributeValues", {}))


@pytest.mark.parametrize(("machine", "name"), of_type("Fail"))
def test_every_failure_says_what_and_why(machine: str, name: str) -> None:
    assert {"Error", "Cause"} <= state_of(machine, name).keys()


@pytest.mark.parametrize(("machine", "name"), of_type("Fail"))
def test_nothing_fails_before_the_operators_were_told(machine: str, name: str) -> None:
    before = {state for state, _, after in EDGES[machine] if after == name}
    assert before == {"NotifyOperators" if machine == "payment" else "NotifyDefect"}


# Errors, on both sides.


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_errors_are_ours_or_awss(machine: str, name: str) -> None:
    assert set(matched(state_of(machine, name), "Retry", "Catch")) <= OUR_ERRORS | AWS_ERRORS


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_transient_errors_are_retried_and_permanent_ones_are_not(machine: str, name: str) -> None:
    state = state_of(machine, name)
    retried = set(matched(state, "Retry")) & OUR_ERRORS
    assert all(issubclass(vars(errors)[of], errors.TransientError) for of in retried)
    ours = set(matched(state, "Catch")) & OUR_ERRORS
    assert all(of in retried for of in ours if issubclass(vars(errors)[of], errors.TransientError))


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_every_function_may_run_again(machine: str, name: str) -> None:
    assert set(matched(state_of(machine, name), "Retry")) >= LAMBDA_ERRORS


@pytest.mark.parametrize(("machine", "name"), tasks("updateItem"))
def test_every_write_is_tried_again_after_a_conflict(machine: str, name: str) -> None:
    assert "DynamoDb.TransactionConflictException" in matched(state_of(machine, name), "Retry")


@pytest.mark.parametrize(("machine", "name"), tasks(":::dynamodb:"))
def test_optimized_writes_name_both_spellings(machine: str, name: str) -> None:
    named = matched(state_of(machine, name), "Retry")
    assert {of.replace("DynamoDb.", "DynamoDB.") for of in named} == {of for of in named if "DynamoDB." in of}
    assert {of.replace("DynamoDB.", "DynamoDb.") for of in named} == {of for of in named if "DynamoDb." in of}


def module_of(machine: str, name: str) -> str:
    function = SHARED_FUNCTION.get(name, name)
    return re.sub(r"(?<!^)(?=[A-Z])", "_", function).lower()


def said_to_be_raised(module: str) -> set[str]:
    """The errors of ours that the handler's docstring names."""
    tree = ast.parse((ROOT / "lambdas" / f"{module}.py").read_text(encoding="utf-8"))
    handler = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler")
    return set(re.findall(r"\w+", (ast.get_docstring(handler) or "").partition("Raises ")[2])) & OUR_ERRORS


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_a_state_matches_what_its_function_raises(machine: str, name: str) -> None:
    """StripeRefused is a defect of ours: it goes where every unexpected error goes, to a person."""
    ours = set(matched(state_of(machine, name), "Retry", "Catch")) & OUR_ERRORS
    assert ours == said_to_be_raised(module_of(machine, name)) - {"StripeRefused"}


@pytest.mark.parametrize("module", sorted({module_of(*of) for of in tasks("lambda:invoke")}))
def test_a_function_says_what_it_raises(module: str) -> None:
    tree = ast.parse((ROOT / "lambdas" / f"{module}.py").read_text(encoding="utf-8"))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    assert raised & OUR_ERRORS <= said_to_be_raised(module)
    assert not raised & {"Exception", "RuntimeError"}


# One name everywhere.


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_state_function_and_placeholder_have_one_name(machine: str, name: str) -> None:
    function = SHARED_FUNCTION.get(name, name)
    assert state_of(machine, name)["Arguments"]["FunctionName"] == f"${{{function}Arn}}"
    assert (ROOT / "lambdas" / f"{module_of(machine, name)}.py").exists()


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_a_state_gives_what_its_functions_input_takes(machine: str, name: str) -> None:
    taken = vars(states)[f"{SHARED_FUNCTION.get(name, name)}Input"].model_fields
    payload = state_of(machine, name)["Arguments"]["Payload"]
    if isinstance(payload, str):
        assert (
            payload == "{% $merge([$states.context.Execution.Input, {'execution': $states.context.Execution.Name}]) %}"
        )
    else:
        assert {of for of, field in taken.items() if field.is_required()} <= payload.keys() <= taken.keys()


def test_every_function_is_a_states_or_a_routes() -> None:
    modules = {path.stem for path in (ROOT / "lambdas").glob("*.py")}
    assert modules - NO_STATE == {module_of(*of) for of in tasks("lambda:invoke")}


@pytest.mark.parametrize("machine", MACHINES)
def test_placeholders_are_filled_and_a_number_stays_a_number(machine: str) -> None:
    text = (ROOT / "statemachines" / f"{machine}.asl.json").read_text(encoding="utf-8")
    values: dict[str, str | int] = {
        of: 7 if of.endswith("Seconds") else f"arn:{of}" for of in re.findall(r"\$\{(\w+)\}", text)
    }
    rendered = json.loads(render(machine, values))
    assert "${" not in json.dumps(rendered)
    assert isinstance(rendered["TimeoutSeconds"], int)


@pytest.mark.parametrize(("waits", "times"), [(1, 1), (2, 2), (5, 16), (6, 30), (2_000, 30)])
def test_stripe_is_asked_again_later_and_later_however_long_it_is_silent(waits: int, times: int) -> None:
    """P-11: no number grows past what JSONata can hold."""
    seconds = state_of("payment", "AwaitStripe")["Seconds"].replace("${StripeRetrySeconds}", "7")
    assert evaluate_jsonata(seconds.removeprefix("{%").removesuffix("%}"), {"stripeWaits": waits}) == 7 * times


# Variables.

BUILT_IN = {"states", "append", "ceil", "exists", "max", "merge", "millis", "min", "now", "power", "string", "toMillis"}


def used(node: Any) -> set[str]:
    """The variables that the expressions somewhere below read."""
    if isinstance(node, dict):
        return set().union(*(used(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(used(item) for item in node))
    expression = node if isinstance(node, str) and node.startswith("{%") else ""
    return set(re.findall(r"\$([A-Za-z]\w*)", re.sub(r"\$\{\w+\}", "", expression))) - BUILT_IN


def ways_out(state: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """(next state, variables assigned on the way)."""
    if "Next" in state:
        yield state["Next"], set(state.get("Assign", {}))
    for rule in state.get("Choices", []) + state.get("Catch", []):
        yield rule["Next"], set(rule.get("Assign", {}))
    if "Default" in state:
        yield state["Default"], set(state.get("Assign", {}))


def known_at_entry(machine: str) -> dict[str, set[str]]:
    """For each state the variables that every way to it has assigned."""
    known: dict[str, set[str]] = {MACHINES[machine]["StartAt"]: set()}
    waiting = [MACHINES[machine]["StartAt"]]
    while waiting:
        name = waiting.pop()
        for after, assigned in ways_out(state_of(machine, name)):
            brought = known[name] | assigned
            merged = known[after] & brought if after in known else brought
            if after not in known or merged != known[after]:
                known[after] = merged
                waiting.append(after)
    return known


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_no_state_reads_a_variable_that_may_be_missing(machine: str, name: str) -> None:
    """An expression without a result ends the execution with States.QueryEvaluationError."""
    assert used(state_of(machine, name)) <= known_at_entry(machine)[name]
