"""Alarms. Each notifies the operators and names its section of the runbook (docs/operations.md)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.api import STAGE, Api
from infra.function import NAMESPACE, Function
from infra.routes import WEBHOOK_ROUTE
from infra.workflow import Workflow

_FIVE_MINUTES, _DAY = 300, 86_400
# Functions of states also raise errors of the domain, which the state machines handle. Only many of them are a problem.
_STATE_FUNCTION_ERRORS = 10

_EXECUTIONS = {
    "ExecutionsFailed": ("ExecutionsFailed", "Executions of the {} workflow failed."),
    "ExecutionsTimedOut": ("ExecutionsTimedOut", "Executions of the {} workflow exceeded its overall time limit."),
    "ExecutionsAborted": ("ExecutionsAborted", "Executions of the {} workflow were stopped."),
    "ExecutionsThrottled": ("ExecutionThrottled", "Step Functions throttles the {} workflow."),
}
# Section of the runbook, description, threshold, and the metrics (name, dimensions) whose sum must stay below it.
type _BusinessAlarm = tuple[str, str, int, Sequence[tuple[str, Mapping[str, str]]]]
_BUSINESS_ALARMS: Sequence[_BusinessAlarm] = (
    (
        "RefundFailed",
        "Refunds failed. The guests get no money until an operator decides.",
        1,
        [("Refunds", {"outcome": outcome}) for outcome in ("failed", "dashboard_failed", "dashboard_canceled")],
    ),
    (
        "LatePayment",
        "Guests paid for bookings that had ended. The money is being refunded.",
        1,
        [("LatePayments", {}), ("Reconciled", {"kind": "late_money"})],
    ),
    (
        "OverduePayments",
        "Payments waited too long or had no execution. The reconciler has restarted them.",
        1,
        [("Reconciled", {"kind": kind}) for kind in ("overdue_wait", "execution_missing")],
    ),
    (
        "RestartsExhausted",
        "Executions died five times without getting further. Until the cause is fixed they are replaced in vain.",
        1,
        [("Reconciled", {"kind": "restarts_exhausted"})],
    ),
    (
        "EventsUndelivered",
        "Stripe could not deliver events. The reconciler has processed them.",
        1,
        [("Reconciled", {"kind": "undelivered_event"})],
    ),
    (
        "PublishingFailed",
        "An event to the platform or a message to the operators could not be published.",
        1,
        [("PublishingFailed", {})],
    ),
    ("LedgerDifferences", "The ledger differs from what Stripe moved.", 1, [("LedgerDifferences", {})]),
    (
        "OperatorsUnreachable",
        "Nobody has confirmed a subscription to the operators' topic, so no alarm and no message reaches a person.",
        1,
        [("OperatorsUnreachable", {})],
    ),
)


class Alarms(pulumi.ComponentResource):
    """All alarms of a stack, whose ARNs are `arns`."""

    arns: list[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        topic: aws.sns.Topic,
        workflows: Sequence[Workflow],
        state_functions: Sequence[Function],
        other_functions: Sequence[Function],
        api: Api,
        rules: Sequence[pulumi.Input[str]],
        reconciler: Function,
        reconcile_minutes: int,
        ledger_reconciler: Function,
    ) -> None:
        super().__init__("booking:infra:Alarms", name)
        self._prefix, self._topic = prefix, topic
        self.arns = []

        for workflow in workflows:
            for section, (metric, description) in _EXECUTIONS.items():
                self._alarm(
                    section,
                    description.format(workflow.short_name),
                    of=workflow.short_name,
                    **_metric("AWS/States", metric, {"StateMachineArn": workflow.arn}),
                )
        for functions, errors in ((state_functions, _STATE_FUNCTION_ERRORS), (other_functions, 1)):
            for function in functions:
                on = {"FunctionName": function.name}
                self._alarm(
                    "FunctionErrors",
                    f"{function.short_name} fails.",
                    of=function.short_name,
                    threshold=errors,
                    **_metric("AWS/Lambda", "Errors", on),
                )
                self._alarm(
                    "FunctionThrottles",
                    f"Lambda throttles {function.short_name}.",
                    of=function.short_name,
                    **_metric("AWS/Lambda", "Throttles", on),
                )
        stage = {"ApiName": api.name, "Stage": STAGE}
        method, path = WEBHOOK_ROUTE
        webhook = {**stage, "Method": method, "Resource": path}
        self._alarm(
            "WebhookRefused",
            "The webhook refuses requests from Stripe, or from somebody who pretends to be Stripe.",
            threshold=5,
            **_metric("AWS/ApiGateway", "4XXError", webhook),
        )
        self._alarm(
            "WebhookFailing",
            "The webhook cannot process events. Stripe sends them again.",
            threshold=3,
            **_metric("AWS/ApiGateway", "5XXError", webhook),
        )
        self._alarm(
            "ApiFailing", "The API answers with 5xx.", threshold=5, **_metric("AWS/ApiGateway", "5XXError", stage)
        )
        for rule in rules:
            self._alarm(
                "RuleFailing",
                "EventBridge could not deliver that an execution has failed.",
                **_metric("AWS/Events", "FailedInvocations", {"RuleName": rule}),
            )
        for section, description, threshold, metrics in _BUSINESS_ALARMS:
            self._alarm(section, description, threshold=threshold, **_sum(prefix, metrics))
        period = max(_FIVE_MINUTES, 60 * reconcile_minutes)
        self._alarm(
            "ReconcilerNotRun",
            "The reconciler has not completed a run lately.",
            comparison="LessThanThreshold",
            missing="breaching",
            periods=2,
            metric_queries=_runs(prefix, "ReconcilerRuns", reconciler, period=period),
        )
        self._alarm(
            "LedgerNotReconciled",
            "No day was reconciled with Stripe for a day.",
            comparison="LessThanThreshold",
            missing="breaching",
            metric_queries=_runs(prefix, "LedgerDays", ledger_reconciler, period=_DAY),
        )
        self._alarm(
            "ReconcilerBehind",
            "The reconciler has not found time for everything that is due for a quarter of an hour.",
            periods=max(1, 900 // period),
            **{**_metric(NAMESPACE, "ItemsLeft", {"service": prefix}), "period": period, "statistic": "Minimum"},
        )
        self.register_outputs({})

    def _alarm(
        self,
        section: str,
        description: str,
        *,
        of: str = "",
        threshold: int = 1,
        comparison: str = "GreaterThanOrEqualToThreshold",
        missing: str = "notBreaching",
        periods: int = 1,
        **metric: Any,
    ) -> None:
        name = "-".join(part for part in (section, of) if part)
        alarm = aws.cloudwatch.MetricAlarm(
            name,
            name=f"{self._prefix}-{name}",
            alarm_description=f"{description} What to do: docs/operations.md, section {section}.",
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            threshold=threshold,
            comparison_operator=comparison,
            treat_missing_data=missing,
            evaluation_periods=periods,
            opts=pulumi.ResourceOptions(parent=self),
            **metric,
        )
        self.arns.append(alarm.arn)


def _metric(namespace: str, name: str, dimensions: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "metric_name": name,
        "dimensions": dimensions,
        "statistic": "Sum",
        "period": _FIVE_MINUTES,
    }


def _sum(service: str, metrics: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, Any]:
    if len(metrics) == 1:
        ((name, dimensions),) = metrics
        return _metric(NAMESPACE, name, {"service": service, **dimensions})
    queries = [
        _query(f"m{number}", name, {"service": service, **dimensions}, _FIVE_MINUTES)
        for number, (name, dimensions) in enumerate(metrics)
    ]
    # Without FILL, a metric without data makes the sum empty.
    return {"metric_queries": [*queries, _result("SUM(FILL(METRICS(), 0))", metrics[0][0])]}


def _runs(service: str, metric: str, function: Function, *, period: int) -> list[dict[str, Any]]:
    """Return the runs in each period, with a run in each that began before a new stack's first run can be counted."""

    def expression(created: str) -> str:
        first = int(datetime.fromisoformat(created).timestamp()) + 3 * period
        return f"IF(EPOCH(FILL(runs, 0)) < {first}, 1, FILL(runs, 0))"

    query = _query("runs", metric, {"service": service}, period)
    return [query, _result(function.created.apply(expression), metric)]


def _query(id_: str, name: str, dimensions: Mapping[str, str], period: int) -> dict[str, Any]:
    metric = {"namespace": NAMESPACE, "metric_name": name, "dimensions": dimensions, "stat": "Sum", "period": period}
    return {"id": id_, "metric": metric}


def _result(expression: pulumi.Input[str], label: str) -> dict[str, Any]:
    """Return the query whose values an alarm compares with its threshold."""
    return {"id": "result", "expression": expression, "label": label, "return_data": True}
