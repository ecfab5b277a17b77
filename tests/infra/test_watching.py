"""Alarms, dashboard and saved queries cover everything and lead to the runbook."""

import ast
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shared.observability import count
from statemachines.render import load
from tests.infra.deployed import (
    FUNCTIONS,
    PAYMENT_STATE_FUNCTIONS,
    PAYMENT_WORKFLOW,
    REFUND_STATE_FUNCTIONS,
    REFUND_WORKFLOW,
    TOPIC,
    inputs,
)
from tests.infra.worker import Seen

ROOT = Path(__file__).parents[2]

# Sections of docs/operations.md, and how many alarms lead to each.
SECTIONS = {
    "ExecutionsFailed": 2,
    "ExecutionsTimedOut": 2,
    "ExecutionsAborted": 2,
    "ExecutionsThrottled": 2,
    "FunctionErrors": 14,
    "FunctionThrottles": 14,
    "WebhookRefused": 1,
    "WebhookFailing": 1,
    "ApiFailing": 1,
    "RuleFailing": 1,
    "RefundFailed": 1,
    "LatePayment": 1,
    "OverduePayments": 1,
    "RestartsExhausted": 1,
    "EventsUndelivered": 1,
    "PublishingFailed": 1,
    "OperatorsUnreachable": 1,
    "ReconcilerNotRun": 1,
    "LedgerDifferences": 1,
    "LedgerNotReconciled": 1,
    "ReconcilerBehind": 1,
}


# When an alarm rings, where that is not at the first event within five minutes: its threshold, the seconds of a period,
# the periods, and the statistic.
AT_ONCE = (1, 300, 1, "Sum")
RINGS = {
    **{f"FunctionErrors-{name}": (10, 300, 1, "Sum") for name in (*PAYMENT_STATE_FUNCTIONS, *REFUND_STATE_FUNCTIONS)},
    "WebhookRefused": (5, 300, 1, "Sum"),
    "WebhookFailing": (3, 300, 1, "Sum"),
    "ApiFailing": (5, 300, 1, "Sum"),
    "ReconcilerNotRun": (1, 300, 2, "Sum"),
    "ReconcilerBehind": (1, 300, 3, "Minimum"),
    "LedgerNotReconciled": (1, 86_400, 1, "Sum"),
}


@pytest.fixture
def alarms(stack: Seen) -> dict[str, dict[str, Any]]:
    return inputs(stack, "aws:cloudwatch/metricAlarm:MetricAlarm")


def watched(alarm: dict[str, Any]) -> list[tuple[str, str, dict[str, str]]]:
    """Return namespace, name and dimensions of an alarm's metrics."""
    metrics = [query["metric"] for query in alarm.get("metricQueries", []) if "metric" in query] or [alarm]
    return [(metric["namespace"], metric["metricName"], metric["dimensions"]) for metric in metrics]


def counted() -> dict[str, set[str]]:
    """Return our metrics with their dimensions, from the calls in the code."""
    found: dict[str, set[str]] = {}
    for path in (*(ROOT / "shared").rglob("*.py"), *(ROOT / "lambdas").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count":
                (name, *_) = node.args
                assert isinstance(name, ast.Constant)
                found[str(name.value)] = {"service", *(keyword.arg or "" for keyword in node.keywords)}
    return found


@pytest.mark.defect("D-29")
def test_each_alarm_notifies_the_operators_and_names_its_section_of_the_runbook(alarms: dict[str, Any]) -> None:
    found = Counter[str]()
    for name, alarm in alarms.items():
        assert alarm["alarmActions"] == alarm["okActions"] == [TOPIC]
        section = re.search(r"docs/operations\.md, section (\w+)\.$", alarm["alarmDescription"])
        assert section
        assert alarm["name"] == f"booking-local-{name}"
        found[section[1]] += 1
    assert found == SECTIONS


def test_an_alarm_rings_at_its_threshold_within_its_time(alarms: dict[str, Any]) -> None:
    """Without data nothing has happened, except that the reconciler has not run."""
    for name, alarm in alarms.items():
        metrics = [query["metric"] for query in alarm.get("metricQueries", []) if "metric" in query] or [alarm]
        for metric in metrics:
            statistic = metric.get("stat") or metric["statistic"]
            found = alarm["threshold"], metric["period"], alarm["evaluationPeriods"], statistic
            assert found == RINGS.get(name, AT_ONCE), name
        below = name in {"ReconcilerNotRun", "LedgerNotReconciled"}
        comparison = "LessThanThreshold" if below else "GreaterThanOrEqualToThreshold"
        assert (alarm["comparisonOperator"], alarm["treatMissingData"]) == (
            comparison,
            "breaching" if below else "notBreaching",
        )


def test_an_alarm_on_several_metrics_adds_them_up_also_where_one_has_no_data(alarms: dict[str, Any]) -> None:
    several = {
        name: alarm["metricQueries"] for name, alarm in alarms.items() if len(alarm.get("metricQueries", [])) > 2
    }
    assert several.keys() == {"RefundFailed", "LatePayment", "OverduePayments"}
    for *metrics, result in several.values():
        assert (result["expression"], result["returnData"]) == ("SUM(FILL(METRICS(), 0))", True)
        assert not any(metric.get("returnData") for metric in metrics)


def sections() -> tuple[set[str], set[str]]:
    """Return the sections of the runbook for alarms, and those for what needs a person."""
    text = (ROOT / "docs" / "operations.md").read_text()
    alarms, _, people = text.partition("\n## Alarms\n")[2].partition("\n## Needs a person\n")
    people = people.partition("\n## ")[0]
    return set(re.findall(r"^### (\w+)$", alarms, re.MULTILINE)), set(re.findall(r"^### (\w+)$", people, re.MULTILINE))


def test_every_alarm_has_a_section_of_the_runbook_and_every_section_an_alarm() -> None:
    assert sections()[0] == SECTIONS.keys()


def test_every_message_to_operators_begins_with_the_name_of_a_section() -> None:
    """Each section is named after a message, a state that waits for an operator, or an error that ends an execution."""
    code = {path.name: path.read_text() for f in ("shared", "lambdas", "infra") for path in (ROOT / f).rglob("*.py")}
    machines = "".join(json.dumps(load(name)) for name in ("payment", "refund"))
    named = set(re.findall(r'\bnotify(?:_once\((?:f?"[^"]+"|\w+), |\()"(\w+)"', "".join(code.values())))
    named |= set(re.findall(r'notification="(\w+)"', "".join(code.values())))
    for handlers in ("dispute_events.py", "money_events.py", "refund_events.py"):
        named |= set(re.findall(r'f"(\w+): ', code[handlers]))
    named |= set(re.findall(r'"(\w+): <name>', code["events.py"]))
    named |= set(re.findall(r"\{% '(\w+): ", machines))
    named |= set(re.findall(r'"failure": "(\w+)"', machines))
    alarms, people = sections()
    assert named == {
        "BookedElsewhere",
        "CancelledMoneyKept",
        "CaptureDisputed",
        "DashboardRefundFailed",
        "ExecutionDied",
        "FraudWarning",
        "LatePayment",
        "NotPublished",
        "PaymentDisputed",
        "PaymentRefused",
        "PaymentRestartsExhausted",
        "PaymentReturned",
        "RefundFailed",
        "RefundRestartsExhausted",
        "RefundSettledTwice",
        "StripeRefused",
        "UnknownNextStep",
        "UnmatchedCharge",
    }
    assert named <= alarms | people
    assert people - named == {"NeedsAttention", "AwaitOperator", "ReservationInvalid", "LedgerMismatch"}


def test_alarms_use_our_metrics_with_the_dimensions_that_the_code_sends(alarms: dict[str, Any]) -> None:
    known = counted()
    ours = [m for alarm in alarms.values() for m in watched(alarm) if m[0] == "BookingPayments"]
    assert {name for _, name, _ in ours} == {
        "Refunds",
        "LatePayments",
        "Reconciled",
        "PublishingFailed",
        "OperatorsUnreachable",
        "ReconcilerRuns",
        "ItemsLeft",
        "LedgerDays",
        "LedgerDifferences",
    }
    for _, name, dimensions in ours:
        assert dimensions.keys() == known[name]
        assert dimensions["service"] == "booking-local"


def test_alarms_use_dimension_values_that_the_code_sends(alarms: dict[str, Any]) -> None:
    code = "\n".join(path.read_text() for folder in ("shared", "lambdas") for path in (ROOT / folder).rglob("*.py"))
    values = {
        value
        for alarm in alarms.values()
        for namespace, _, dimensions in watched(alarm)
        if namespace == "BookingPayments"
        for key, value in dimensions.items()
        if key != "service"
    }
    assert values == {
        "failed",
        "dashboard_failed",
        "dashboard_canceled",
        "late_money",
        "overdue_wait",
        "execution_missing",
        "restarts_exhausted",
        "undelivered_event",
    }
    for value in values - {"failed", "dashboard_failed", "dashboard_canceled"}:
        assert f'"{value}"' in code
    assert 'outcome=f"dashboard_{refund.status}"' in code
    assert "outcome=request.outcome" in code


def test_a_metric_is_sent_with_the_service_and_its_own_dimensions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "booking-local")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "BookingPayments")
    count("Refunds", outcome="failed")
    sent = json.loads(capsys.readouterr().out)
    (declared,) = sent["_aws"]["CloudWatchMetrics"]
    assert (declared["Namespace"], declared["Metrics"]) == ("BookingPayments", [{"Name": "Refunds", "Unit": "Count"}])
    assert [set(dimensions) for dimensions in declared["Dimensions"]] == [{"service", "outcome"}]
    assert (sent["service"], sent["outcome"], sent["Refunds"]) == ("booking-local", "failed", [1.0])


def test_every_function_and_both_workflows_have_alarms(alarms: dict[str, Any]) -> None:
    metrics = [metric for alarm in alarms.values() for metric in watched(alarm)]
    for metric in ("Errors", "Throttles"):
        names = {d["FunctionName"] for _, name, d in metrics if name == metric}
        assert names == {f"booking-local-{name}" for name in FUNCTIONS}
    for metric in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionThrottled"):
        machines = {d["StateMachineArn"] for _, name, d in metrics if name == metric}
        assert machines == {PAYMENT_WORKFLOW, REFUND_WORKFLOW}


def test_the_webhook_has_its_own_alarms(alarms: dict[str, Any]) -> None:
    webhook = {"ApiName": "booking-local-payments", "Stage": "api", "Method": "POST", "Resource": "/webhooks/stripe"}
    assert watched(alarms["WebhookRefused"]) == [("AWS/ApiGateway", "4XXError", webhook)]
    assert watched(alarms["WebhookFailing"]) == [("AWS/ApiGateway", "5XXError", webhook)]


@pytest.mark.defect("D-32")
def test_a_reconciler_that_does_not_run_or_is_behind_raises_an_alarm(alarms: dict[str, Any], seldom: Seen) -> None:
    alarm, behind = alarms["ReconcilerNotRun"], alarms["ReconcilerBehind"]
    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("LessThanThreshold", 1)
    assert (alarm["treatMissingData"], alarm["evaluationPeriods"]) == ("breaching", 2)
    assert alarm["metricQueries"][0]["metric"]["period"] == 300
    assert (behind["statistic"], behind["period"], behind["evaluationPeriods"]) == ("Minimum", 300, 3)
    alarm = inputs(seldom, "aws:cloudwatch/metricAlarm:MetricAlarm")["ReconcilerNotRun"]
    assert alarm["metricQueries"][0]["metric"]["period"] == 3600


@pytest.mark.defect("A-12")
def test_a_new_stack_counts_as_reconciled_until_its_first_runs_are_due(alarms: dict[str, Any], stack: Seen) -> None:
    """Without data, the alarm would ring once after the first deployment."""
    _, result = alarms["ReconcilerNotRun"]["metricQueries"]
    created = int(stack.roles["booking-local-reconcile-payments"]["CreateDate"].timestamp())
    assert result["expression"] == f"IF(EPOCH(FILL(runs, 0)) < {created + 3 * 300}, 1, FILL(runs, 0))"
    assert result["returnData"]


@pytest.mark.defect("A-02")
def test_a_rule_that_cannot_deliver_raises_an_alarm(alarms: dict[str, Any], stack: Seen) -> None:
    rules = [rule["name"] for rule in inputs(stack, "aws:cloudwatch/eventRule:EventRule").values()]
    failed = [dimensions for _, name, dimensions in watched(alarms["RuleFailing"]) if name == "FailedInvocations"]
    assert failed == [{"RuleName": name} for name in rules]
    assert watched(alarms["RuleFailing"])[0][0] == "AWS/Events"


def test_the_dashboard_shows_every_metric(stack: Seen, alarms: dict[str, Any]) -> None:
    (board,) = inputs(stack, "aws:cloudwatch/dashboard:Dashboard").values()
    widgets = json.loads(board["dashboardBody"])["widgets"]
    shown = json.dumps(widgets)
    assert {name for name in counted() if f'"{name}"' in shown.replace("\\", "")} == counted().keys()
    assert len(widgets[0]["properties"]["alarms"]) == len(alarms)
    places = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(set(places)) == len(places)


def test_the_saved_queries_search_every_log(stack: Seen) -> None:
    queries = inputs(stack, "aws:cloudwatch/queryDefinition:QueryDefinition")
    assert {query["name"] for query in queries.values()} == {
        "booking-local/One booking",
        "booking-local/One request",
        "booking-local/Calls to Stripe",
        "booking-local/What goes wrong",
        "booking-local/Webhook events",
    }
    logs = {group["name"] for group in inputs(stack, "aws:cloudwatch/logGroup:LogGroup").values()}
    for query in queries.values():
        assert set(query["logGroupNames"]) == logs - {"/aws/apigateway/booking-local-payments"}
