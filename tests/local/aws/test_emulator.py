"""The gaps of moto that the emulator closes: each shown closed by a small state machine, and still there in moto."""

import inspect
import json
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import moto.dynamodb.models
import moto.dynamodb.responses
import pytest
from botocore.exceptions import ClientError
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackOutcomeSuccess,
    CallbackPoolManager,
)
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.aws import archives, emulator
from local.aws.patches import aliases_and_versions, lambda_invocation, nested_executions, task_tokens

ROLE = "arn:aws:iam::123456789012:role/test"


class NotToday(Exception):
    pass


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", emulator.REGION)
    running = emulator.start()
    yield
    emulator.stop(running)


@pytest.fixture
def sfn(aws: None) -> Any:
    return boto3.client("stepfunctions")


@pytest.fixture
def dynamodb(aws: None) -> Any:
    client = boto3.client("dynamodb")
    client.create_table(
        TableName="payments",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def deploy_function(handler: Callable[[Any, Any], Any], name: str = "echo", timeout: int = 3) -> str:
    module = types.ModuleType(f"lambdas.{name}")
    module.handler = handler  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    boto3.client("iam").create_role(RoleName=f"test-{name}", AssumeRolePolicyDocument="{}")
    function = boto3.client("lambda").create_function(
        FunctionName=f"booking-{name}",
        Role=f"arn:aws:iam::123456789012:role/test-{name}",
        Handler=f"lambdas.{name}.handler",
        Runtime="python3.13",
        Code={"ZipFile": archives.WORKING_TREE},
        Timeout=timeout,
        Publish=True,
    )
    return str(function["FunctionArn"]).removesuffix(":1")


def machine(states: dict[str, Any], name: str = "machine", **top: Any) -> str:
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states} | top
    sfn = boto3.client("stepfunctions")
    created = sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE, publish=True)
    return str(created["stateMachineArn"])


def start(arn: str, value: Any, name: str = "one") -> str:
    started = boto3.client("stepfunctions").start_execution(stateMachineArn=arn, name=name, input=json.dumps(value))
    return str(started["executionArn"])


def until[T](check: Callable[[], T], seconds: float = 10) -> T:
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.02)
    return value


def ended(execution: str) -> dict[str, Any]:
    sfn = boto3.client("stepfunctions")

    def closed() -> Any:
        described = sfn.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    return dict(until(closed))


def run(states: dict[str, Any], value: Any = None) -> dict[str, Any]:
    return ended(start(machine(states), value or {}))


def output(states: dict[str, Any], value: Any = None) -> Any:
    result = run(states, value)
    assert result["status"] == "SUCCEEDED", result.get("cause")
    return json.loads(result["output"])


def history(execution: str) -> list[Any]:
    return list(boto3.client("stepfunctions").get_execution_history(executionArn=execution)["events"])


AWAIT: dict[str, Any] = {
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
    "Arguments": {
        "TableName": "payments",
        "Key": {"id": {"S": "{% $states.context.Execution.Name %}"}},
        "UpdateExpression": "SET task_token = :token",
        "ExpressionAttributeValues": {":token": {"S": "{% $states.context.Task.Token %}"}},
    },
    "TimeoutSeconds": 30,
    "End": True,
}


def stored_token(dynamodb: Any, name: str = "one") -> str:
    def token() -> Any:
        item = dynamodb.get_item(TableName="payments", Key={"id": {"S": name}}, ConsistentRead=True).get("Item", {})
        return item.get("task_token", {}).get("S")

    return str(until(token))


# gap 1


def test_jsonata_expressions_are_evaluated(aws: None) -> None:
    states = {"Answer": {"Type": "Pass", "Output": {"sum": "{% $sum($states.input.amounts) %}"}, "End": True}}
    assert output(states, {"amounts": [1, 2, 39]}) == {"sum": 42}


def test_moto_still_has_no_jsonata_evaluator() -> None:
    assert moto_jsonata._eval_jsonata is None


def test_null_is_kept_apart_from_nothing(aws: None) -> None:
    states = {
        "Answer": {
            "Type": "Pass",
            "Output": {"null": "{% $states.input.a %}", "there": "{% $exists($states.input.b) %}"},
            "End": True,
        }
    }
    assert output(states, {"a": None}) == {"null": None, "there": False}


@pytest.mark.parametrize("expression", ["$states.input.missing", "$uppercase(1)", "function($x){$x}", "1 +"])
def test_an_expression_without_a_result_is_a_query_evaluation_error(aws: None, expression: str) -> None:
    result = run({"Answer": {"Type": "Pass", "Output": "{% " + expression + " %}", "End": True}})
    assert (result["status"], result["error"]) == ("FAILED", "States.QueryEvaluationError")


@pytest.mark.parametrize("seconds", ["0", "1.5", "$states.input.name"])
def test_a_timeout_that_is_no_whole_number_from_one_up_is_refused(dynamodb: Any, seconds: str) -> None:
    result = run({"Await": AWAIT | {"TimeoutSeconds": "{% " + seconds + " %}"}}, {"name": "x"})
    assert (result["status"], result["error"]) == ("FAILED", "States.QueryEvaluationError")


# gap 2


def test_variables_keep_quotes_and_backslashes(aws: None) -> None:
    text = 'a "quoted" \\ backslash'
    states = {
        "Keep": {"Type": "Pass", "Assign": {"text": "{% $states.input.text %}"}, "Next": "Answer"},
        "Answer": {"Type": "Pass", "Output": "{% $text %}", "End": True},
    }
    assert output(states, {"text": text}) == text


def test_moto_still_quotes_strings_by_hand() -> None:
    assert moto_jsonata.encode_jsonata_variable_declarations({"$a": 'x"y'}) == '$a:="x"y";'


# gap 3


def nested_start(arn: str, resource: str = "startExecution") -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::states:{resource}",
        "Arguments": {"StateMachineArn": arn, "Name": "child", "Input": {"refund_id": "REF-1"}},
        "Catch": [{"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "Next": "Existed"}],
        "End": True,
    }


EXISTED = {"Type": "Pass", "Output": "existed", "End": True}


def test_a_state_machine_starts_another_and_meets_it_when_it_exists(sfn: Any) -> None:
    child = machine({"Done": {"Type": "Pass", "End": True}}, "child")
    parent = machine({"Start": nested_start(child), "Existed": EXISTED}, "parent")
    first = json.loads(ended(start(parent, {}, "first"))["output"])
    assert first["ExecutionArn"] == "arn:aws:states:eu-west-1:123456789012:execution:child:child"
    assert isinstance(first["StartDate"], str)
    assert json.loads(ended(first["ExecutionArn"])["output"]) == {"refund_id": "REF-1"}
    assert json.loads(ended(start(parent, {}, "second"))["output"]) == "existed"


def test_a_state_machine_waits_for_another(sfn: Any) -> None:
    child = machine({"Done": {"Type": "Pass", "End": True}}, "child")
    parent = machine({"Start": nested_start(child, "startExecution.sync:2"), "Existed": EXISTED}, "parent")
    result = json.loads(ended(start(parent, {}))["output"])
    assert (result["Status"], result["Output"]) == ("SUCCEEDED", {"refund_id": "REF-1"})


def test_moto_still_passes_parameters_on_in_upper_case() -> None:
    source = inspect.getsource(nested_executions.normalise_parameters.original)
    assert 'parameters["Input"]' in source
    assert "stateMachineArn" not in source


# gaps 4 and 8


def test_an_answer_reaches_the_waiting_state_and_only_the_first_one(sfn: Any, dynamodb: Any) -> None:
    execution = start(machine({"Await": AWAIT}), {})
    token = stored_token(dynamodb)
    sfn.send_task_success(taskToken=token, output='{"signal": "refresh"}')
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output='{"signal": "second"}')
    assert json.loads(ended(execution)["output"]) == {"signal": "refresh"}
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output="{}")


def test_a_token_that_never_was_is_invalid(sfn: Any) -> None:
    with pytest.raises(sfn.exceptions.InvalidToken):
        sfn.send_task_success(taskToken="made up", output="{}")


def test_an_answer_that_is_no_json_is_refused_and_the_state_waits_on(sfn: Any, dynamodb: Any) -> None:
    execution = start(machine({"Await": AWAIT}), {})
    token = stored_token(dynamodb)
    with pytest.raises(sfn.exceptions.InvalidOutput):
        sfn.send_task_success(taskToken=token, output="refresh")
    sfn.send_task_success(taskToken=token, output='"refresh"')
    assert json.loads(ended(execution)["output"]) == "refresh"


def test_a_failure_is_caught_by_its_name(sfn: Any, dynamodb: Any) -> None:
    catch = [{"ErrorEquals": ["NoSuchCard"], "Next": "Caught"}]
    states = {"Await": AWAIT | {"Catch": catch}, "Caught": {"Type": "Pass", "Output": "caught", "End": True}}
    execution = start(machine(states), {})
    sfn.send_task_failure(taskToken=stored_token(dynamodb), error="NoSuchCard")
    assert json.loads(ended(execution)["output"]) == "caught"


def test_after_the_timeout_the_token_is_closed_though_the_execution_runs_on(sfn: Any, dynamodb: Any) -> None:
    await_retry = AWAIT | {"Arguments": AWAIT["Arguments"] | {"UpdateExpression": "SET retry_token = :token"}}
    states = {
        "Await": AWAIT | {"TimeoutSeconds": 1, "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "AwaitRetry"}]},
        "AwaitRetry": await_retry,
    }
    execution = start(machine(states), {})
    token = stored_token(dynamodb)
    item = until(lambda: retry_item(dynamodb))
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output="{}")
    sfn.send_task_success(taskToken=item["retry_token"]["S"], output='"retry"')
    assert json.loads(ended(execution)["output"]) == "retry"


def retry_item(dynamodb: Any) -> Any:
    item = dynamodb.get_item(TableName="payments", Key={"id": {"S": "one"}})["Item"]
    return item if "retry_token" in item else None


def test_no_answer_is_both_accepted_and_lost_at_the_deadline(sfn: Any, dynamodb: Any) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}]
    states = {
        "Await": AWAIT | {"TimeoutSeconds": 1, "Catch": catch, "Output": "answered"},
        "Late": {"Type": "Pass", "Output": "late", "End": True},
    }
    arn = machine(states)

    def race(number: int) -> tuple[bool, str]:
        name = f"race-{number}"
        execution = start(arn, {}, name)
        token = stored_token(dynamodb, name)
        began = history(execution)[1]["timestamp"].timestamp()
        time.sleep(max(0, began + 0.985 + number * 0.004 - time.time()))
        try:
            sfn.send_task_success(taskToken=token, output="{}")
        except sfn.exceptions.TaskTimedOut:
            return False, json.loads(ended(execution)["output"])
        return True, json.loads(ended(execution)["output"])

    with ThreadPoolExecutor(12) as pool:
        results = set(pool.map(race, range(12)))
    assert results <= {(True, "answered"), (False, "late")}


def test_every_try_of_a_state_has_its_own_token(sfn: Any, dynamodb: Any) -> None:
    retry = [{"ErrorEquals": ["DynamoDb.TransactionConflictException"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    emulator.aws_faults.add("dynamodb.UpdateItem", "conflict")
    execution = start(machine({"Await": AWAIT | {"Retry": retry}}), {})
    sfn.send_task_success(taskToken=stored_token(dynamodb), output='"done"')
    assert json.loads(ended(execution)["output"]) == "done"
    scheduled = [event["taskScheduledEventDetails"] for event in history(execution) if event["type"] == "TaskScheduled"]
    tokens = {json.loads(task["parameters"])["ExpressionAttributeValues"][":token"]["S"] for task in scheduled}
    assert len(tokens) == 2


def test_moto_still_falls_over_executions_that_are_starting() -> None:
    starting = types.SimpleNamespace(exec_worker=types.SimpleNamespace(env=None))
    backend = types.SimpleNamespace(_get_executions=lambda *_: [starting])
    with pytest.raises(AttributeError):
        task_tokens.send_task_success.original(backend, "token", "{}")


def test_moto_still_takes_a_second_answer() -> None:
    pool = CallbackPoolManager(activity_store={})
    task_tokens.add_endpoint.original(pool, "token")
    outcome = CallbackOutcomeSuccess("token", "{}")
    assert [pool.notify("token", outcome), pool.notify("token", outcome)] == [True, True]


# gap 5


def invoke_state(arn: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": arn, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        "End": True,
    } | fields


def test_a_function_runs_in_process_and_says_who_it_is(aws: None) -> None:
    def handler(event: Any, context: Any) -> Any:
        remaining = context.get_remaining_time_in_millis()
        return {
            "event": event,
            "name": context.function_name,
            "running": emulator.current_function.get(),
            "in time": 0 < remaining <= 3000,
        }

    arn = deploy_function(handler)
    assert output({"Invoke": invoke_state(arn)}, {"id": "RES-1"}) == {
        "event": {"id": "RES-1"},
        "name": "booking-echo",
        "running": "echo",
        "in time": True,
    }
    assert emulator.current_function.get() is None
    assert len(emulator.counts.functions["echo"]) == 1


def test_a_pinned_version_resolves(aws: None) -> None:
    arn = deploy_function(lambda _, context: context.function_version)
    assert output({"Invoke": invoke_state(f"{arn}:1")}) == "1"


def test_an_alias_resolves(aws: None) -> None:
    arn = deploy_function(lambda _, context: context.function_version)
    boto3.client("lambda").create_alias(FunctionName="booking-echo", Name="live", FunctionVersion="1")
    assert output({"Invoke": invoke_state(f"{arn}:live")}) == "1"


def test_an_exception_is_caught_by_its_class_name(aws: None) -> None:
    def handler(event: Any, context: Any) -> Any:
        raise NotToday("come back tomorrow")

    catch = [{"ErrorEquals": ["NotToday"], "Output": "{% $parse($states.errorOutput.Cause) %}", "Next": "Caught"}]
    states = {"Invoke": invoke_state(deploy_function(handler), Catch=catch), "Caught": {"Type": "Succeed"}}
    cause = output(states)
    assert (cause["errorType"], cause["errorMessage"]) == ("NotToday", "come back tomorrow")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (lambda *_: {1, 2}, "Runtime.MarshalError"),
        (lambda *_: sys.exit(1), "Runtime.ExitError"),
        (lambda *_: time.sleep(1.1), "Sandbox.Timedout"),
    ],
)
def test_what_lambda_itself_reports(aws: None, handler: Callable[[Any, Any], Any], error: str) -> None:
    answer, failed = emulator.invoke(deploy_function(handler, timeout=1), {})
    assert (failed, answer["errorType"]) == (True, error)


def test_events_and_answers_pass_through_json(aws: None) -> None:
    seen = []

    def handler(event: Any, context: Any) -> Any:
        seen.append(event)
        return {"pair": (1, 2)}

    arn = deploy_function(handler)
    answer, failed = emulator.invoke(arn, {"pair": (1, 2)})
    assert (failed, answer, seen) == (False, {"pair": [1, 2]}, [{"pair": [1, 2]}])


def test_moto_still_answers_something_canned(aws: None) -> None:
    original = lambda_invocation.invoke_by_api.original
    assert original(LambdaSimpleBackend("eu-west-1", "1"), "any", None, '{"a":1}', {}, {}) == b'{"a":1}'


# gap 6


def test_no_acknowledged_write_vanishes_beside_failing_transactions(dynamodb: Any) -> None:
    dynamodb.put_item(TableName="payments", Item={"id": {"S": "taken"}})

    def fail(_: int) -> None:
        item = {"id": {"S": "taken"}}
        put = {"TableName": "payments", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
            dynamodb.transact_write_items(TransactItems=[{"Put": put}])

    def add(number: int) -> None:
        dynamodb.update_item(
            TableName="payments",
            Key={"id": {"S": "sum"}},
            UpdateExpression="ADD payments_seen :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        dynamodb.put_item(TableName="payments", Item={"id": {"S": f"item-{number}"}})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: fail(number) if number % 4 == 0 else add(number), range(200)))
    total = dynamodb.get_item(TableName="payments", Key={"id": {"S": "sum"}})["Item"]["payments_seen"]["N"]
    assert total == "150"
    assert dynamodb.scan(TableName="payments")["Count"] == 152


def test_no_item_shows_without_its_attributes(dynamodb: Any) -> None:
    incomplete: list[Any] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            items = dynamodb.scan(TableName="payments")["Items"]
            incomplete.extend(item for item in items if "status" not in item)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(60):
        dynamodb.update_item(
            TableName="payments",
            Key={"id": {"S": str(number)}},
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": {"S": "pending"}},
        )
    done.set()
    watcher.join()
    assert incomplete == []


def test_moto_still_has_no_lock_in_dynamodb() -> None:
    for module in (moto.dynamodb.models, moto.dynamodb.responses):
        assert "lock" not in inspect.getsource(module).lower().replace("block", "").replace("clock", "")


# gap 7


def test_an_execution_starts_by_version_and_by_alias(sfn: Any) -> None:
    arn = machine({"Done": {"Type": "Pass", "End": True}})
    routing = [{"stateMachineVersionArn": f"{arn}:1", "weight": 100}]
    sfn.create_state_machine_alias(name="live", routingConfiguration=routing)
    for number, qualifier in enumerate(("1", "live")):
        execution = start(f"{arn}:{qualifier}", {"by": qualifier}, f"by-{number}")
        assert json.loads(ended(execution)["output"]) == {"by": qualifier}
    assert len(sfn.list_executions(stateMachineArn=f"{arn}:live")["executions"]) == 2


def test_one_name_is_one_execution_however_it_is_started(sfn: Any, dynamodb: Any) -> None:
    arn = machine({"Await": AWAIT})
    with ThreadPoolExecutor(10) as pool:
        started = set(pool.map(lambda _: start(arn, {"same": True}), range(10)))
    assert len(started) == 1
    with pytest.raises(sfn.exceptions.ExecutionAlreadyExists):
        start(arn, {"same": False})
    assert len(sfn.list_executions(stateMachineArn=arn)["executions"]) == 1


def test_a_name_longer_than_80_characters_is_refused(sfn: Any) -> None:
    arn = machine({"Done": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError, match=r"maxLength|Value|80"):
        start(arn, {}, "x" * 81)


def test_moto_still_fails_to_start_a_version(aws: None) -> None:
    arn = machine({"Done": {"Type": "Pass", "End": True}})
    backend = stepfunctions_parser_backends[emulator.ACCOUNT][emulator.REGION]
    version = aliases_and_versions.describe_state_machine.original(backend, f"{arn}:1")
    assert not hasattr(version, "_handle_name_input_idempotency")  # which moto's start_execution calls on it


# stopping, timing out, catching


def test_stopping_an_execution_that_waits_ends_it_at_once(sfn: Any, dynamodb: Any) -> None:
    told: list[dict[str, Any]] = []
    emulator.on_execution_closed.append(told.append)
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    execution = start(machine({"Await": AWAIT | {"Catch": catch}, "Caught": {"Type": "Succeed"}}), {})
    token = stored_token(dynamodb)
    sfn.stop_execution(executionArn=execution, error="Test", cause="on purpose")
    result = sfn.describe_execution(executionArn=execution)
    assert (result["status"], result["error"], result["cause"]) == ("ABORTED", "Test", "on purpose")
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output="{}")
    time.sleep(0.2)
    assert sfn.describe_execution(executionArn=execution)["status"] == "ABORTED"
    assert history(execution)[-1]["type"] == "ExecutionAborted"
    assert [(event["detail"]["name"], event["detail"]["status"]) for event in told] == [("one", "ABORTED")]


def test_an_execution_that_takes_too_long_times_out(sfn: Any, dynamodb: Any) -> None:
    told: list[dict[str, Any]] = []
    emulator.on_execution_closed.append(told.append)
    execution = start(machine({"Await": AWAIT}, TimeoutSeconds=1), {})
    assert ended(execution)["status"] == "TIMED_OUT"
    assert history(execution)[-1]["type"] == "ExecutionTimedOut"
    assert [event["detail"]["status"] for event in told] == ["TIMED_OUT"]


def test_states_all_does_not_catch_states_runtime(aws: None) -> None:
    invoke = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "echo", "Payload.$": "$.missing"},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }
    definition = {"StartAt": "Invoke", "States": {"Invoke": invoke, "Caught": {"Type": "Succeed"}}}
    sfn = boto3.client("stepfunctions")
    arn = sfn.create_state_machine(name="path", definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    result = ended(start(arn, {}))
    assert (result["status"], result["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize(
    ("resource", "operation", "arguments", "error"),
    [
        ("events:putEvents", "events.PutEvents", {"Entries": [{"Source": "s"}]}, "EventBridge.InternalException"),
        ("sns:publish", "sns.Publish", {"TopicArn": "arn", "Message": "m"}, "SNS.InternalErrorException"),
    ],
)
def test_what_a_service_refuses_is_caught_by_its_name(
    aws: None, resource: str, operation: str, arguments: dict[str, Any], error: str
) -> None:
    emulator.aws_faults.add(operation, "internal_error")
    tell = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": arguments,
        "Catch": [{"ErrorEquals": [error], "Output": "{% $states.errorOutput.Error %}", "Next": "Caught"}],
        "End": True,
    }
    assert output({"Tell": tell, "Caught": {"Type": "Succeed"}}) == error


# events


def test_events_put_on_a_bus_are_kept_for_the_control_plane(aws: None) -> None:
    events = boto3.client("events")
    events.create_event_bus(Name="booking")
    events.put_events(
        Entries=[
            {"EventBusName": "booking", "Source": "booking.payments", "DetailType": "PaymentConfirmed", "Detail": "{}"}
        ]
    )
    assert [(event.bus, event.detail_type) for event in emulator.published] == [("booking", "PaymentConfirmed")]


# many at once


def test_fifty_executions_wait_and_end_at_once(sfn: Any, dynamodb: Any) -> None:
    arn = machine({"Await": AWAIT})

    def one(number: int) -> str:
        execution = start(arn, {}, f"many-{number}")
        token = stored_token(dynamodb, f"many-{number}")
        sfn.send_task_success(taskToken=token, output="{}")
        return str(ended(execution)["status"])

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, range(50))) == ["SUCCEEDED"] * 50
