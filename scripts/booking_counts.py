"""Counts what one booking uses that is paid at the first attempt, for docs/costs.md; part of `make bench WRITE=1`.

The bookings run one after another, so that no booking waits for another and the time of the functions is their own.
"""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from infra.function import NAMESPACE
from local.aws import emulator
from local.aws.request_units import item_size
from local.pulumi.deployer import Deployment
from local.stack import LocalStack
from scripts.benchmark import HTTP, pay_for_one, reserve, wait_for_ends
from scripts.costs import BookingCounts

BOOKINGS = 20
WARM_UP = 5  # the first bookings import modules
# Functions that wait while Stripe answers. The API waits, too, until the session is open.
WAITING_FOR_STRIPE = {"payments_api", "create_checkout_session", "verify_payment"}
ACCESS_LOG_BYTES = 500  # a line of API Gateway's access log
METRICS_OF_A_ROUTE = 5  # calls, 4xx, 5xx, latency, latency of the integration


def measure() -> BookingCounts:
    with LocalStack() as stack:
        for _ in range(WARM_UP):
            pay_for_one(stack, reserve(stack))
        log = Path(stack.log)
        before, log_before = set(wait_for_ends(stack)), log.stat().st_size
        payments = stack.outputs["paymentsTable"]
        item_bytes = round(statistics.mean(_item_bytes(payments, name) for name in before))
        emulator.counts.clear()
        metered = [request for _ in range(BOOKINGS) for request in pay_for_one(stack, reserve(stack))]
        functions = dict(emulator.counts.functions)
        events = sum(n for (_, name), n in emulator.counts.operations.items() if name == "eventbridge.PutEvents")
        histories = [_history(stack, name) for name in wait_for_ends(stack).keys() - before]
        transitions = [sum("StateEntered" in event["type"] for event in history) for history in histories]
        written = log.read_text(encoding="utf-8")[log_before:]
        memory = _memory()
        calls = {name: len(seconds) / BOOKINGS for name, seconds in functions.items()}
        http = sum(calls.get(name, 0) for name in HTTP)
        return BookingCounts(
            measured=datetime.now(UTC).date().isoformat(),
            transitions=statistics.mean(transitions),
            function_calls=sum(calls.values()),
            gb_seconds=sum(calls[name] * statistics.median(of) * memory[name] for name, of in functions.items()),
            stripe_gb=sum(memory[name] for name in WAITING_FOR_STRIPE),
            http_requests=http,
            events=events / BOOKINGS,
            read_units=sum(request.read for request in metered) / BOOKINGS,
            write_units=sum(request.write for request in metered) / BOOKINGS,
            log_bytes=round(
                len(written) / BOOKINGS
                + http * ACCESS_LOG_BYTES
                + statistics.mean(len(json.dumps(history, default=str)) for history in histories)
            ),
            item_bytes=item_bytes,
            alarm_metrics=sum(1 for _ in _alarm_metrics(stack.deployment)),
            own_metrics=len(_own_metrics(written) | _watched(stack.deployment)),
            route_metrics=METRICS_OF_A_ROUTE * sum(len(item) for item in stack.deployment.openapi["paths"].values()),
        )


def _item_bytes(table: str, reservation_id: str) -> int:
    key = {"payment_id": {"S": f"PAY-{reservation_id}"}}
    item = boto3.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    return item_size(item)


def _history(stack: LocalStack, name: str) -> Sequence[Mapping[str, Any]]:
    """What Step Functions logs of an execution: its events without data."""
    arn = stack.outputs["paymentStateMachineArn"].replace(":stateMachine:", ":execution:")
    answer = boto3.client("stepfunctions").get_execution_history(
        executionArn=f"{arn}:{name}", maxResults=1000, includeExecutionData=False
    )
    return list(answer["events"])


def _memory() -> dict[str, float]:
    """The memory of each function in GB, by its module."""
    listed = boto3.client("lambda").list_functions(MaxItems=1000)["Functions"]
    return {one["Handler"].split(".")[1]: one["MemorySize"] / 1024 for one in listed}


def _alarm_metrics(deployment: Deployment) -> Iterator[Mapping[str, Any]]:
    """The metrics that alarms watch, of which each is paid for."""
    for alarm in deployment.of_type("aws:cloudwatch/metricAlarm:MetricAlarm"):
        queries = [query["metric"] for query in alarm.inputs.get("metricQueries") or () if query.get("metric")]
        yield from queries or [alarm.inputs]


def _key(name: str, dimensions: Mapping[str, str]) -> str:
    return f"{name} {sorted(dimensions.items())}"


def _watched(deployment: Deployment) -> set[str]:
    """Our own metrics that alarms watch."""
    return {
        _key(of["metricName"], of["dimensions"])
        for of in _alarm_metrics(deployment)
        if of.get("namespace") == NAMESPACE
    }


def _own_metrics(log: str) -> set[str]:
    """Our own metrics that the functions have written, in the embedded metric format."""
    lines = [json.loads(line) for line in log.splitlines() if '"CloudWatchMetrics"' in line]
    return {
        _key(metric["Name"], {name: line[name] for name in dimensions})
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }


if __name__ == "__main__":
    measure().save()
