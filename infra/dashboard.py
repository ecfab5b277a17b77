"""One dashboard, and saved queries for the logs."""

from collections.abc import Iterable, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.api import STAGE, Api
from infra.function import NAMESPACE, Function
from infra.workflow import Workflow

type Json = dict[str, Any]

_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 6

# To use one: fill in the id, choose the time range, run.
_QUERIES = {
    "One booking": """\
fields @timestamp, coalesce(function_name, type) as who, coalesce(message, details.name) as what, level, @message
| filter reservation_id = "RESERVATION_ID" or execution_arn like "RESERVATION_ID"
| sort @timestamp asc
| limit 2000""",
    "One request": """\
fields @timestamp, function_name, level, message, reservation_id, @message
| filter correlation_id = "CORRELATION_ID"
| sort @timestamp asc""",
    "What goes wrong": """\
filter level in ["WARNING", "ERROR", "CRITICAL"]
| stats count(*) as times, latest(reservation_id) as for_example by message, error, function_name
| sort times desc""",
    "Calls to Stripe": """\
fields @timestamp, operation, stripe_id, stripe_request_id, stripe_error, stripe_code, stripe_status, reservation_id
| filter ispresent(stripe_request_id)
| sort @timestamp desc""",
    "Webhook events": """\
fields @timestamp, stripe_event_type, stripe_event_id, result, outcome, reservation_id
| filter ispresent(stripe_event_id)
| sort @timestamp desc""",
}


def dashboard(
    *,
    prefix: str,
    region: str,
    workflows: Sequence[Workflow],
    functions: Sequence[Function],
    api: Api,
    alarms: Iterable[pulumi.Input[str]],
) -> None:
    """Create the dashboard `{prefix}-payments`."""

    def counts(title: str, *names: str) -> Json:
        return _graph(title, region, [[NAMESPACE, name, "service", prefix] for name in names])

    def by(title: str, name: str, *dimensions: str) -> Json:
        schema = ",".join([NAMESPACE, "service", *dimensions])
        found = f'SEARCH(\'{{{schema}}} MetricName="{name}" service="{prefix}"\', "Sum", 300)'
        return _graph(title, region, [[{"expression": found}]])

    def functions_graph(title: str, metric: str, stat: str = "Sum") -> Json:
        return _graph(title, region, [["AWS/Lambda", metric, "FunctionName", f.name] for f in functions], stat=stat)

    widgets = [
        {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(alarms)}},
        counts("Bookings", "SessionsOpened", "Declines", "BookingsPaid"),
        _graph(
            "Time from payment to confirmation, seconds",
            region,
            [[NAMESPACE, "TimeToConfirm", "service", prefix, {"stat": stat}] for stat in ("p50", "p99")],
        ),
        by("Holds released", "HoldsReleased", "reason"),
        by("Next steps", "NextSteps", "next_step"),
        by("Refunds started", "RefundsReserved", "kind"),
        by("Refunds completed or failed", "Refunds", "outcome"),
        counts("Late payments and early fraud warnings", "LatePayments", "FraudWarnings"),
        by("Disputes", "Disputes", "status"),
        by("Webhook", "WebhookEvents", "result"),
        by("Reconciled", "Reconciled", "kind"),
        counts("Reconciler", "ReconcilerRuns", "PublishingFailed", "OperatorsUnreachable"),
        _graph(
            "Left by the reconciler: items, and seconds since the oldest is due",
            region,
            [[NAMESPACE, name, "service", prefix] for name in ("ItemsLeft", "OldestDue")],
            stat="Maximum",
        ),
        counts("Days reconciled with Stripe, and differences", "LedgerDays", "LedgerDifferences"),
        by("Errors of Stripe", "StripeErrors", "operation", "kind"),
        _graph(
            "Executions",
            region,
            [
                ["AWS/States", metric, "StateMachineArn", workflow.arn, {"label": f"{workflow.short_name} {label}"}]
                for workflow in workflows
                for metric, label in (
                    ("ExecutionsStarted", "started"),
                    ("ExecutionsSucceeded", "succeeded"),
                    ("ExecutionsFailed", "failed"),
                    ("ExecutionsTimedOut", "timed out"),
                    ("ExecutionsAborted", "aborted"),
                )
            ],
        ),
        functions_graph("Errors of functions", "Errors"),
        functions_graph("Duration of functions, p99, milliseconds", "Duration", "p99"),
        _graph(
            "API",
            region,
            [
                ["AWS/ApiGateway", name, "ApiName", api.name, "Stage", STAGE]
                for name in ("Count", "4XXError", "5XXError")
            ],
        ),
        _graph(
            "API latency, milliseconds",
            region,
            [["AWS/ApiGateway", "Latency", "ApiName", api.name, "Stage", STAGE, {"stat": s}] for s in ("p50", "p99")],
        ),
        by("Errors returned by the API", "ApiErrors", "error_code"),
    ]
    placed = [
        {
            "x": number % _COLUMNS * _WIDTH,
            "y": number // _COLUMNS * _HEIGHT,
            "width": _WIDTH,
            "height": _HEIGHT,
            **widget,
        }
        for number, widget in enumerate(widgets)
    ]
    aws.cloudwatch.Dashboard(
        "payments", dashboard_name=f"{prefix}-payments", dashboard_body=pulumi.Output.json_dumps({"widgets": placed})
    )


def _graph(title: str, region: str, metrics: list[list[Any]], *, stat: str = "Sum") -> Json:
    return {
        "type": "metric",
        "properties": {"title": title, "region": region, "stat": stat, "period": 300, "metrics": metrics},
    }


def log_queries(*, prefix: str, log_groups: Sequence[pulumi.Input[str]]) -> None:
    """Create the saved queries `{prefix}/…` of Logs Insights."""
    for title, text in _QUERIES.items():
        aws.cloudwatch.QueryDefinition(
            title.replace(" ", "-"), name=f"{prefix}/{title}", query_string=text, log_group_names=log_groups
        )
