"""State machines as they are deployed, the reconciler's schedule, and the rule for failed executions."""

import json
import re
from collections.abc import Iterable

import pytest

from statemachines.render import placeholders
from tests.harness.tables import in_table
from tests.infra.deployed import (
    FUNCTIONS,
    LEDGER_RECONCILER,
    PAYMENT_STATE_FUNCTIONS,
    PAYMENT_WORKFLOW,
    RECONCILER,
    REFUND_STATE_FUNCTIONS,
    REFUND_WORKFLOW,
    TOPIC,
    inputs,
)
from tests.infra.worker import Seen


@pytest.mark.parametrize("workflow", ["payment", "refund"])
def test_every_placeholder_is_filled(stack: Seen, workflow: str) -> None:
    assert placeholders(json.loads(stack.definitions[f"booking-local-{workflow}"])) == set()


def test_a_payment_execution_may_last_two_days_longer_than_the_hold(stack: Seen) -> None:
    assert json.loads(stack.definitions["booking-local-payment"])["TimeoutSeconds"] == 86_400 + 172_800


def test_definitions_name_versions_so_that_running_executions_keep_theirs(stack: Seen) -> None:
    called = set[str]()
    for definition in stack.definitions.values():
        called |= set(re.findall(r'"arn:aws:lambda:[^"]*"', definition))
    assert len(called) == len(PAYMENT_STATE_FUNCTIONS) + len(REFUND_STATE_FUNCTIONS)
    assert all(arn.endswith(':1"') for arn in called)


def test_executions_are_started_through_the_alias_of_the_published_version(stack: Seen) -> None:
    for name, machine in {"payment": PAYMENT_WORKFLOW, "refund": REFUND_WORKFLOW}.items():
        assert inputs(stack, "aws:sfn/stateMachine:StateMachine")[name]["publish"] is True
        alias = inputs(stack, "aws:sfn/alias:Alias")[name]
        assert alias["name"] == "live"
        assert alias["routingConfigurations"] == [{"stateMachineVersionArn": f"{machine}:1", "weight": 100}]
        assert stack.deployment.environment[f"{name.upper()}_STATE_MACHINE_ARN"] == f"{machine}:live"
    states = json.loads(stack.definitions["booking-local-payment"])["States"]
    assert states["RefundUnusablePayment"]["Arguments"]["StateMachineArn"] == f"{REFUND_WORKFLOW}:live"


@in_table()
def test_each_state_calls_the_function_of_its_name(
    stack: Seen, workflow: str, functions: Iterable[str], others: dict[str, str]
) -> None:
    states = json.loads(stack.definitions[f"booking-local-{workflow}"])["States"]
    called = {
        name: state["Arguments"]["FunctionName"].rpartition(":booking-local-")[2].removesuffix(":1")
        for name, state in states.items()
        if state.get("Resource") == "arn:aws:states:::lambda:invoke"
    }
    assert called == {name.title().replace("-", ""): name for name in functions} | others


@pytest.mark.parametrize("workflow", ["payment", "refund"])
def test_a_state_waits_longer_than_its_function_may_run(stack: Seen, workflow: str) -> None:
    """Otherwise the state ends while its function is still at work, and a second one starts beside it."""
    for name, state in json.loads(stack.definitions[f"booking-local-{workflow}"])["States"].items():
        if state.get("Resource") == "arn:aws:states:::lambda:invoke":
            function = state["Arguments"]["FunctionName"].rpartition(":booking-local-")[2].removesuffix(":1")
            assert state["TimeoutSeconds"] == FUNCTIONS[function] + 5, name


def test_the_log_of_a_workflow_contains_no_data(stack: Seen) -> None:
    machines = inputs(stack, "aws:sfn/stateMachine:StateMachine")
    assert machines.keys() == {"payment", "refund"}
    for name, machine in machines.items():
        logging = machine["loggingConfiguration"]
        assert (logging["level"], logging["includeExecutionData"]) == ("ALL", False)
        assert f":log-group:/aws/vendedlogs/states/booking-local-{name}:*" in logging["logDestination"]
        assert machine["tracingConfiguration"] == {"enabled": True}
        assert machine["type"] == "STANDARD"


@pytest.mark.defect("D-32")
def test_the_reconciler_runs_on_a_schedule(seldom: Seen, stack: Seen) -> None:
    schedule = inputs(stack, "aws:scheduler/schedule:Schedule")["reconcile-payments"]
    assert schedule["scheduleExpression"] == "rate(1 minute)"
    assert schedule["target"]["arn"] == RECONCILER
    assert schedule["target"]["retryPolicy"] == {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 5}
    changed = inputs(seldom, "aws:scheduler/schedule:Schedule")["reconcile-payments"]
    assert changed["scheduleExpression"] == "rate(60 minutes)"


def test_the_ledger_is_reconciled_every_morning_until_all_is_done(stack: Seen) -> None:
    schedule = inputs(stack, "aws:scheduler/schedule:Schedule")["reconcile-ledger"]
    assert schedule["scheduleExpression"] == "cron(0/15 4-7 * * ? *)"
    assert schedule["target"]["arn"] == LEDGER_RECONCILER


def test_the_reconciler_and_the_operators_are_notified_of_a_failed_execution(stack: Seen) -> None:
    (rule,) = inputs(stack, "aws:cloudwatch/eventRule:EventRule").values()
    assert json.loads(rule["eventPattern"]) == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": [PAYMENT_WORKFLOW, REFUND_WORKFLOW],
            "status": ["FAILED", "TIMED_OUT", "ABORTED"],
        },
    }
    assert "eventBusName" not in rule
    targets = {target["arn"]: target for target in inputs(stack, "aws:cloudwatch/eventTarget:EventTarget").values()}
    assert targets.keys() == {RECONCILER, TOPIC}
    assert "inputTransformer" not in targets[RECONCILER]
    for target in targets.values():
        assert target["retryPolicy"] == {"maximumEventAgeInSeconds": 900, "maximumRetryAttempts": 5}
    sent = targets[TOPIC]["inputTransformer"]["inputPaths"].values()
    assert set(sent) == {"$.detail.name", "$.detail.status", "$.detail.stateMachineArn", "$.detail.executionArn"}
    permission = inputs(stack, "aws:lambda/permission:Permission")["executions-died"]
    assert permission["principal"] == "events.amazonaws.com"
    assert f":function:{permission['function']}:{permission['qualifier']}" in RECONCILER


@pytest.mark.defect("A-02")
def test_of_aws_services_only_rules_and_the_alarms_may_publish_to_the_operators(stack: Seen) -> None:
    (policy,) = inputs(stack, "aws:sns/topicPolicy:TopicPolicy").values()
    allowing = [s for s in json.loads(policy["policy"])["Statement"] if s["Effect"] == "Allow"]
    assert [(s["Principal"], s["Action"], s.get("Condition")) for s in allowing] == [
        (
            {"Service": "cloudwatch.amazonaws.com"},
            "sns:Publish",
            {"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:booking-local-*"}},
        ),
        (
            {"Service": "events.amazonaws.com"},
            "sns:Publish",
            None,  # EventBridge does not support conditions
        ),
    ]
