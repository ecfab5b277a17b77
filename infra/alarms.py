"""Alarms, each of which tells the operators and names its section of the runbook (docs/operations.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.api import STAGE, Api
from infra.function import NAMESPACE, Function
from infra.routes import WEBHOOK_ROUTE
from infra.workflow import Workflow

_FIVE_MINUTES = 300
# The functions of states also fail in the domain's own words, which the state machines handle: only many are a sign.
_ERRORS_OF_STATES = 10

_EXECUTIONS = {
    "ExecutionsFailed": ("ExecutionsFailed", "Executions of the {} workflow failed."),
    "ExecutionsTimedOut": ("ExecutionsTimedOut", "Executions of the {} workflow ran into its overall time limit."),
    "ExecutionsAborted": ("ExecutionsAborted", "Executions of the {} workflow were stopped."),
    "ExecutionsThrottled": ("ExecutionThrottled", "Step Functions holds the {} workflow back."),
}
# Page, what it is about, and the metrics (name, dimensions) whose sum must stay under the threshold.
type _Counted = tuple[str, str, int, Sequence[tuple[str, Mapping[str, str]]]]
_OURS: Sequence[_Counted] = (
    (
        "RefundFailed",
        "Refunds failed: guests wait for their money until a person decides.",
        1,
        [("Refunds", {"outcome": outcome}) for outcome in ("failed", "dashboard_failed", "dashboard_canceled")],
    ),
    (
        "LatePayment",
        "Guests paid for bookings that were over; the money is being refunded.",
        1,
        [("LatePayments", {}), ("Reconciled", {"kind": "late_money"})],
    ),
    (
        "OverduePayments",
        "Payments waited longer than they may, or had no execution; the reconciler has moved them on.",
        1,
        [("Reconciled", {"kind": kind}) for kind in ("overdue_wait", "execution_missing")],
    ),
    (
        "RestartsExhausted",
        "Executions died again and again; nobody but a person moves these bookings or refunds on.",
        1,
        [("Reconciled", {"kind": kind}) for kind in ("restarts_exhausted", "refund_restarts_exhausted")],
    ),
    (
        "EventsUndelivered",
        "Stripe could not deliver events; the reconciler has processed them.",
        1,
        [("Reconciled", {"kind": "undelivered_event"})],
    ),
    (
        "PublishingFailed",
        "The platform or the operators were not told of something.",
        1,
        [("PublishingFailed", {})],
    ),
)


class Alarms(pulumi.ComponentResource):
    """Every alarm of a stack; `arns` are theirs."""

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
        reconcile_minutes: int,
    ) -> None:
        super().__init__("booking:infra:Alarms", name)
        self._prefix, self._topic = prefix, topic
        self.arns = []

        for workflow in workflows:
            for page, (metric, what) in _EXECUTIONS.items():
                self._alarm(
                    page,
                    what.format(workflow.short_name),
                    of=workflow.short_name,
                    **_metric("AWS/States", metric, {"StateMachineArn": workflow.arn}),
                )
        for functions, errors in ((state_functions, _ERRORS_OF_STATES), (other_functions, 1)):
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
                    f"Lambda holds {function.short_name} back.",
                    of=function.short_name,
                    **_metric("AWS/Lambda", "Throttles", on),
                )
        stage = {"ApiName": api.name, "Stage": STAGE}
        method, path = WEBHOOK_ROUTE
        webhook = {**stage, "Method": method, "Resource": path}
        self._alarm(
            "WebhookRefused",
            "Stripe's events, or what claims to be some, are refused.",
            threshold=5,
            **_metric("AWS/ApiGateway", "4XXError", webhook),
        )
        self._alarm(
            "WebhookFailing",
            "Stripe's events cannot be processed; Stripe sends them again.",
            threshold=3,
            **_metric("AWS/ApiGateway", "5XXError", webhook),
        )
        self._alarm(
            "ApiFailing", "The API answers with 5xx.", threshold=5, **_metric("AWS/ApiGateway", "5XXError", stage)
        )
        for page, what, threshold, counted in _OURS:
            self._alarm(page, what, threshold=threshold, **_sum(prefix, counted))
        self._alarm(
            "ReconcilerNotRun",
            "The reconciler has not come to an end lately.",
            comparison="LessThanThreshold",
            missing="breaching",
            periods=2,
            **{**_metric(NAMESPACE, "ReconcilerRuns", {"service": prefix}), "period": 60 * reconcile_minutes},
        )
        self.register_outputs({})

    def _alarm(
        self,
        page: str,
        what: str,
        *,
        of: str = "",
        threshold: int = 1,
        comparison: str = "GreaterThanOrEqualToThreshold",
        missing: str = "notBreaching",
        periods: int = 1,
        **metric: Any,
    ) -> None:
        name = "-".join(part for part in (page, of) if part)
        alarm = aws.cloudwatch.MetricAlarm(
            name,
            name=f"{self._prefix}-{name}",
            alarm_description=f"{what} What to do: docs/operations.md, section {page}.",
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


def _sum(service: str, counted: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, Any]:
    if len(counted) == 1:
        ((name, dimensions),) = counted
        return _metric(NAMESPACE, name, {"service": service, **dimensions})
    queries: list[dict[str, Any]] = [
        {
            "id": f"m{number}",
            "metric": {
                "namespace": NAMESPACE,
                "metric_name": name,
                "dimensions": {"service": service, **dimensions},
                "stat": "Sum",
                "period": _FIVE_MINUTES,
            },
        }
        for number, (name, dimensions) in enumerate(counted)
    ]
    # A metric without data has no sum.
    total = {"id": "total", "expression": "SUM(FILL(METRICS(), 0))", "label": counted[0][0], "return_data": True}
    return {"metric_queries": [*queries, total]}
