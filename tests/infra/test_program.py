import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings, StarterSettings
from statemachines.render import placeholders
from tests.infra.conftest import Deploy
from tests.infra.worker import Seen

PAYMENT_STATE_FUNCTIONS = {
    "create-checkout-session": 40,
    "verify-payment": 60,
    "expire-checkout-sessions": 120,
    "confirm-reservation": 30,
    "release-hold": 30,
}
REFUND_STATE_FUNCTIONS = {"reserve-refund": 35, "create-refund": 40, "check-refund": 35, "record-refund": 30}
STARTERS = {"payments-api": 28, "stripe-webhook": 20, "reconcile-payments": 300}
FUNCTIONS = {**PAYMENT_STATE_FUNCTIONS, **REFUND_STATE_FUNCTIONS, **STARTERS}

HANDLER_MODULES = {"payments-api": "payments_api.handler"}  # of the functions that are packages

ROOT = Path(__file__).parents[2]

PAYMENTS = "arn:aws:dynamodb:eu-west-1:123456789012:table/booking-local-payments"
PAYMENT_WORKFLOW = "arn:aws:states:eu-west-1:123456789012:stateMachine:booking-local-payment"
REFUND_WORKFLOW = "arn:aws:states:eu-west-1:123456789012:stateMachine:booking-local-refund"
RECONCILER = "arn:aws:lambda:eu-west-1:123456789012:function:booking-local-reconcile-payments:live"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:booking-local-operators"


def inputs(stack: Seen, type_: str) -> dict[str, dict[str, Any]]:
    return {resource.name: resource.inputs for resource in stack.deployment.of_type(type_)}


def allowed(stack: Seen, role: str) -> dict[str, set[str]]:
    """Actions of a role by resource, without logs and traces, which all have alike."""
    policy = json.loads(inputs(stack, "aws:iam/rolePolicy:RolePolicy")[role]["policy"])
    result: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        through_alias = {"StringEquals": {"states:StateMachineQualifier": "live"}}
        assert statement.get("Condition") == (through_alias if "states:StartExecution" in statement["Action"] else None)
        for resource in statement["Resource"]:
            for action in statement["Action"]:
                if not action.startswith(("logs:", "xray:")):
                    result.setdefault(resource, set()).add(action)
    return result


def test_resources(stack: Seen) -> None:
    assert Counter(resource.type.rpartition(":")[2] for resource in stack.deployment.resources) == {
        "Table": 4,
        "Parameter": 3,
        "Topic": 1,
        "TopicPolicy": 1,
        "EventBus": 1,
        "UserPool": 1,
        "UserPoolClient": 1,
        "UserGroup": 1,
        "Function": 12,
        "Alias": 14,  # `live` of each function and each state machine
        "StateMachine": 2,
        "Schedule": 1,
        "EventRule": 1,
        "EventTarget": 2,
        "Role": 16,  # one a function, one a state machine, the schedule's, API Gateway's for logs
        "RolePolicy": 15,
        "RolePolicyAttachment": 1,
        "LogGroup": 15,  # one a function, one a state machine, the access log
        "RestApi": 1,
        "Deployment": 1,
        "Stage": 1,
        "MethodSettings": 7,  # all routes, and those with a limit of their own
        "Permission": 3,
        "Account": 1,
        "MetricAlarm": 42,
        "Dashboard": 1,
        "QueryDefinition": 5,
    }


def test_outputs(stack: Seen) -> None:
    outputs = dict(stack.deployment.outputs)
    api = outputs.pop("apiUrl")
    assert re.fullmatch(r"https://\w+\.execute-api\.eu-west-1\.amazonaws\.com/api", api)
    assert outputs.pop("webhookUrl") == f"{api}/webhooks/stripe"
    assert outputs.pop("userPoolId").startswith("eu-west-1_")
    assert outputs.pop("userPoolClientId")
    assert outputs == {
        "paymentStateMachineArn": PAYMENT_WORKFLOW,
        "refundStateMachineArn": REFUND_WORKFLOW,
        "paymentsTable": "booking-local-payments",
        "webhookEventsTable": "booking-local-stripe-webhook-events",
        "reservationsTable": "booking-local-reservations",
        "availabilityTable": "booking-local-availability",
        "reconcilerFunction": "booking-local-reconcile-payments",
        "operatorTopicArn": TOPIC,
        "eventBusName": "booking-local-payments",
        "consoleUrl": "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/",
        "secretKeyParameter": "/booking/local/stripe/secret_key",
        "publishableKeyParameter": "/booking/local/stripe/publishable_key",
        "webhookSecretParameter": "/booking/local/stripe/webhook_secret",
    }


# Data


@pytest.mark.parametrize(
    ("table", "key", "indexes", "ttl"),
    [
        (
            "payments",
            "payment_id",
            {
                "reservation_id-index": ["reservation_id"],
                "stripe_payment_intent_id-index": ["stripe_payment_intent_id"],
                "status-index": ["status", "updated_at"],
                "refunding-index": ["refunding", "updated_at"],
            },
            None,
        ),
        ("stripe-webhook-events", "event_id", {"event_type-index": ["event_type", "processed_at"]}, "ttl"),
        ("reservations", "reservation_id", {"status-index": ["status", "created_at"]}, None),
        ("availability", "date", {}, None),
    ],
)
def test_tables(stack: Seen, table: str, key: str, indexes: dict[str, list[str]], ttl: str | None) -> None:
    """D-28: the event log has a time to live."""
    made = stack.tables[f"booking-local-{table}"]
    assert made["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert made["SSEDescription"]["Status"] == "ENABLED"
    found = made.get("GlobalSecondaryIndexes", [])
    assert {index["IndexName"]: [part["AttributeName"] for part in index["KeySchema"]] for index in found} == indexes
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in found)
    assert stack.ttl[f"booking-local-{table}"] == ttl
    assert inputs(stack, "aws:dynamodb/table:Table")[table]["pointInTimeRecovery"] == {"enabled": True}


def test_the_booking_platforms_tables_may_be_given(deploy: Deploy) -> None:
    given = deploy(reservationsTable="bookings", availabilityTable="nights", given_tables=("bookings", "nights"))
    assert set(inputs(given, "aws:dynamodb/table:Table")) == {"payments", "stripe-webhook-events"}
    assert given.deployment.outputs["reservationsTable"] == "bookings"
    assert given.deployment.environment["AVAILABILITY_TABLE"] == "nights"
    tables = "arn:aws:dynamodb:eu-west-1:123456789012:table"
    assert allowed(given, "release-hold").keys() == {PAYMENTS, f"{tables}/bookings", f"{tables}/nights"}


def test_keys_are_encrypted_parameters_which_the_program_does_not_fill(stack: Seen) -> None:
    placeholder = "to be set by make stripe-webhook"
    names = {f"/booking/local/stripe/{name}" for name in ("secret_key", "publishable_key", "webhook_secret")}
    assert stack.parameters == dict.fromkeys(names, placeholder)
    for parameter in inputs(stack, "aws:ssm/parameter:Parameter").values():
        assert parameter["type"] == "SecureString"
        # `value` would be read back into Pulumi's state.
        assert (parameter.get("value"), parameter["valueWo"]) == (None, placeholder)


def test_guests_read_their_customer_id_and_nobody_ever_changes_it(stack: Seen) -> None:
    (pool,) = inputs(stack, "aws:cognito/userPool:UserPool").values()
    (customer_id,) = pool["schemas"]
    assert (customer_id["name"], customer_id["mutable"]) == ("customer_id", False)
    (client,) = inputs(stack, "aws:cognito/userPoolClient:UserPoolClient").values()
    assert "custom:customer_id" in client["readAttributes"]
    assert "custom:customer_id" not in client["writeAttributes"]


def test_the_booking_platforms_user_pool_may_be_given(deploy: Deploy) -> None:
    arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Abc"
    given = deploy(cognitoUserPoolArn=arn, operatorEmail="operators@example.com", manageApiGatewayAccount="false")
    made = {resource.type.rpartition(":")[2] for resource in given.deployment.resources}
    assert made.isdisjoint({"UserPool", "UserPoolClient", "UserGroup", "Account", "RolePolicyAttachment"})
    assert given.deployment.outputs["userPoolId"] == "eu-west-1_Abc"
    schemes = given.deployment.openapi["components"]["securitySchemes"]
    assert schemes["cognito"]["x-amazon-apigateway-authorizer"]["providerARNs"] == [arn]
    (subscription,) = inputs(given, "aws:sns/topicSubscription:TopicSubscription").values()
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "operators@example.com")


# Functions


def test_each_function_is_named_after_its_module(stack: Seen) -> None:
    made = {name: (f["Handler"], f["Timeout"]) for name, f in stack.functions.items()}
    assert made == {
        f"booking-local-{name}": (f"lambdas.{HANDLER_MODULES.get(name, name.replace('-', '_'))}.handler", timeout)
        for name, timeout in FUNCTIONS.items()
    }
    assert {(f["Runtime"], *f["Architectures"]) for f in stack.functions.values()} == {("python3.13", "arm64")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_environment_is_the_settings_model(stack: Seen, name: str) -> None:
    fields = {field.upper() for field in Settings.model_fields}
    if name in STARTERS:
        fields |= {field.upper() for field in StarterSettings.model_fields}
    environment = stack.functions[f"booking-local-{name}"]["Environment"]["Variables"]
    powertools = {
        "POWERTOOLS_SERVICE_NAME": "booking-local",
        "POWERTOOLS_METRICS_NAMESPACE": "BookingPayments",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_LOGGER_LOG_EVENT": "false",
    }
    assert environment.keys() == fields | powertools.keys()
    assert powertools.items() <= environment.items()
    Settings.model_validate({key.lower(): value for key, value in environment.items()})


def documented() -> dict[str, set[tuple[str, str]]]:
    """Action and resource of every permission, by role, from the report of tests/permissions."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in (ROOT / "docs" / "permissions.md").read_text().splitlines():
        if line.startswith("## booking-local-"):
            role = line.removeprefix("## booking-local-")
        elif row := re.match(r"\| (\w+:\w+) \| `(.+)`", line):
            found.setdefault(role, set()).add((row[1], f"arn:aws:{row[2]}"))
    return found


def test_each_role_may_do_what_was_seen_to_be_needed_and_nothing_else(stack: Seen) -> None:
    """D-45: docs/permissions.md is what ran with these permissions; tests/permissions keeps it true."""
    permitted = {
        role: {(action, resource) for resource, actions in allowed(stack, role).items() for action in actions}
        for role in inputs(stack, "aws:iam/rolePolicy:RolePolicy")
    }
    assert permitted.pop("reconcile-payments-schedule") == {("lambda:InvokeFunction", RECONCILER)}
    assert permitted == documented()


def test_every_function_has_a_role_of_its_own(stack: Seen) -> None:
    """D-45."""
    roles = [function["Role"] for function in stack.functions.values()]
    assert len(set(roles)) == len(roles) == len(FUNCTIONS)


def test_nothing_may_be_done_to_everything_except_where_aws_knows_no_names(stack: Seen) -> None:
    for policy in inputs(stack, "aws:iam/rolePolicy:RolePolicy").values():
        for statement in json.loads(policy["policy"])["Statement"]:
            assert not [action for action in statement["Action"] if "*" in action]
            if "*" in statement["Resource"]:
                assert all(action.startswith(("xray:", "logs:")) for action in statement["Action"])


def test_a_function_writes_to_its_own_log_only(stack: Seen) -> None:
    for name in FUNCTIONS:
        policy = json.loads(inputs(stack, "aws:iam/rolePolicy:RolePolicy")[name]["policy"])
        (writing,) = [s for s in policy["Statement"] if s["Action"][0].startswith("logs:")]
        log = f"arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/booking-local-{name}:*"
        assert writing["Resource"] == [log]
        function = inputs(stack, "aws:lambda/function:Function")[name]
        assert function["loggingConfig"]["logGroup"] == f"/aws/lambda/booking-local-{name}"


def test_logs_are_kept_for_a_while_only(stack: Seen) -> None:
    groups = inputs(stack, "aws:cloudwatch/logGroup:LogGroup")
    assert {group["retentionInDays"] for group in groups.values()} == {30}


# Workflows


@pytest.mark.parametrize("workflow", ["payment", "refund"])
def test_every_placeholder_is_filled(stack: Seen, workflow: str) -> None:
    assert placeholders(json.loads(stack.definitions[f"booking-local-{workflow}"])) == set()


def test_the_payment_workflow_outlives_the_hold_by_two_days(stack: Seen) -> None:
    assert json.loads(stack.definitions["booking-local-payment"])["TimeoutSeconds"] == 86_400 + 172_800


def test_definitions_name_versions_so_that_executions_under_way_keep_theirs(stack: Seen) -> None:
    called = set[str]()
    for definition in stack.definitions.values():
        called |= set(re.findall(r'"arn:aws:lambda:[^"]*"', definition))
    assert len(called) == len(PAYMENT_STATE_FUNCTIONS) + len(REFUND_STATE_FUNCTIONS)
    assert all(arn.endswith(':1"') for arn in called)


def test_executions_are_started_by_the_alias_of_the_published_version(stack: Seen) -> None:
    for name, machine in {"payment": PAYMENT_WORKFLOW, "refund": REFUND_WORKFLOW}.items():
        assert inputs(stack, "aws:sfn/stateMachine:StateMachine")[name]["publish"] is True
        alias = inputs(stack, "aws:sfn/alias:Alias")[name]
        assert alias["name"] == "live"
        assert alias["routingConfigurations"] == [{"stateMachineVersionArn": f"{machine}:1", "weight": 100}]
        assert stack.deployment.environment[f"{name.upper()}_STATE_MACHINE_ARN"] == f"{machine}:live"
    states = json.loads(stack.definitions["booking-local-payment"])["States"]
    assert states["RefundUnusablePayment"]["Arguments"]["StateMachineArn"] == f"{REFUND_WORKFLOW}:live"


def test_every_function_publishes_versions_and_has_the_alias(stack: Seen) -> None:
    functions = inputs(stack, "aws:lambda/function:Function")
    assert {function["publish"] for function in functions.values()} == {True}
    aliases = inputs(stack, "aws:lambda/alias:Alias")
    assert aliases.keys() == functions.keys()
    assert {(alias["name"], alias["functionVersion"]) for alias in aliases.values()} == {("live", "1")}


@pytest.mark.parametrize(
    ("workflow", "functions", "others"),
    [
        ("payment", PAYMENT_STATE_FUNCTIONS, {}),
        (
            "refund",
            REFUND_STATE_FUNCTIONS,
            {"RecordRefundFailure": "record-refund", "RecordSettledElsewhere": "record-refund"},
        ),
    ],
)
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


def test_the_log_of_a_workflow_holds_no_data(stack: Seen) -> None:
    machines = inputs(stack, "aws:sfn/stateMachine:StateMachine")
    assert machines.keys() == {"payment", "refund"}
    for name, machine in machines.items():
        logging = machine["loggingConfiguration"]
        assert (logging["level"], logging["includeExecutionData"]) == ("ALL", False)
        assert f":log-group:/aws/vendedlogs/states/booking-local-{name}:*" in logging["logDestination"]
        assert machine["tracingConfiguration"] == {"enabled": True}
        assert machine["type"] == "STANDARD"


# Reconciliation


def test_the_reconciler_runs_on_a_schedule(often: Seen, stack: Seen) -> None:
    """D-32."""
    (schedule,) = inputs(stack, "aws:scheduler/schedule:Schedule").values()
    assert schedule["scheduleExpression"] == "rate(15 minutes)"
    assert schedule["target"]["arn"] == RECONCILER
    assert schedule["target"]["retryPolicy"] == {"maximumEventAgeInSeconds": 900, "maximumRetryAttempts": 5}
    (changed,) = inputs(often, "aws:scheduler/schedule:Schedule").values()
    assert changed["scheduleExpression"] == "rate(1 minute)"


def test_an_execution_that_dies_is_told_to_the_reconciler_and_to_the_operators(stack: Seen) -> None:
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
    told = targets[TOPIC]["inputTransformer"]["inputPaths"].values()
    assert set(told) == {"$.detail.name", "$.detail.status", "$.detail.stateMachineArn", "$.detail.executionArn"}
    permission = inputs(stack, "aws:lambda/permission:Permission")["executions-died"]
    assert permission["principal"] == "events.amazonaws.com"
    assert f":function:{permission['function']}:{permission['qualifier']}" in RECONCILER


def test_only_the_rule_and_the_alarms_may_publish_to_operators_besides_the_roles(stack: Seen) -> None:
    (policy,) = inputs(stack, "aws:sns/topicPolicy:TopicPolicy").values()
    allowing = [s for s in json.loads(policy["policy"])["Statement"] if s["Effect"] == "Allow"]
    assert [(s["Principal"], s["Action"], s["Condition"]) for s in allowing] == [
        (
            {"Service": "cloudwatch.amazonaws.com"},
            "sns:Publish",
            {"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:booking-local-*"}},
        ),
        (
            {"Service": "events.amazonaws.com"},
            "sns:Publish",
            {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/booking-local-executions-died"}},
        ),
    ]


# All


def test_everything_that_can_be_tagged_is(stack: Seen) -> None:
    tags = {"project": "booking-payments", "environment": "local"}
    untaggable = {
        "Account",
        "Alias",
        "Dashboard",
        "Deployment",
        "EventTarget",
        "MethodSettings",
        "Permission",
        "QueryDefinition",
        "RolePolicy",
        "RolePolicyAttachment",
        "Schedule",
        "TopicPolicy",
        "UserGroup",
        "UserPoolClient",
    }
    without = {r.type.rpartition(":")[2] for r in stack.deployment.resources if r.inputs.get("tags") != tags}
    assert without == untaggable
