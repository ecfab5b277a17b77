"""The checks of `make smoke`. Each answers an open question of docs/real-parts.md, under the same name."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.api import STAGE, throttled_routes
from infra.function import LIVE
from scripts.smoke_stack import CheckFailedError, SmokeStack, wait_for
from shared.adapters.stripe_api import API_VERSION
from shared.services.stripe_events import HANDLED

LONGEST_WAIT_SECONDS = 8  # "Pay now" answers 202 after that


@dataclass(frozen=True)
class Check:
    """`remedy`: what to do if it fails; `needs_booking`: it opens one; `needs_aws`: the local stack cannot answer."""

    call: Callable[[SmokeStack], str]
    remedy: str = ""
    needs_booking: bool = False
    needs_aws: bool = False


def _expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise CheckFailedError(otherwise)


# With a booking.


def _signal(stack: SmokeStack) -> str:
    booking = stack.booking
    answer = stack.cancel(booking.reservation_id)
    _expect(answer.ok, f"cancelling {booking.reservation_id} answered {answer.status_code}: {answer.text}")
    return f"the token of {booking.reservation_id} was accepted; the booking is cancelled"


def _interpreter(stack: SmokeStack) -> str:
    name = stack.booking.reservation_id
    stack.cancel(name)

    def ended() -> str | None:
        execution = stack.execution(name)
        return execution["status"] if execution and execution["status"] != "RUNNING" else None

    status = wait_for(ended, f"execution {name} to end")
    _expect(status == "SUCCEEDED", f"execution {name} is {status}")
    return f"execution {name} has gone from RecordPayment to its end"


def _latency(stack: SmokeStack) -> str:
    seconds = stack.booking.seconds
    _expect(seconds < LONGEST_WAIT_SECONDS, f'"Pay now" took {seconds:.1f} s, cold starts included')
    return f'"Pay now" took {seconds:.1f} s, cold starts included'


def _stripe_session(stack: SmokeStack) -> str:
    stack.cancel(stack.booking.reservation_id)
    session = stack.stripe.v1.checkout.sessions.retrieve(stack.booking.session)
    _expect((session.status, session.payment_status) == ("expired", "unpaid"), f"{session.id} is {session.status}")
    return f"{session.id} was opened and is expired"


def _webhook_delivery(stack: SmokeStack) -> str:
    stack.cancel(stack.booking.reservation_id)

    def sent() -> str | None:
        events = stack.stripe.v1.events.list({"type": "checkout.session.expired", "limit": 100})
        about = [event.id for event in events.data if event.data.object["id"] == stack.booking.session]
        return about[0] if about else None

    event = wait_for(sent, "Stripe to report the expired session")
    table = stack.outputs["webhookEventsTable"]
    key = {"event_id": {"S": event}}
    wait_for(
        lambda: stack.client("dynamodb").get_item(TableName=table, Key=key).get("Item"),
        f"{event}, delivered by Stripe with a signature that the webhook accepts",
    )
    return f"{event} was delivered and verified"


def _index_delay(stack: SmokeStack) -> str:
    booking, started = stack.booking, time.monotonic()
    stack.cancel(booking.reservation_id)

    def found() -> bool:
        answer = stack.client("dynamodb").query(
            TableName=stack.outputs["reservationsTable"],
            IndexName="status-index",
            KeyConditionExpression="#s = :cancelled AND created_at = :created",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":cancelled": {"S": "cancelled"}, ":created": {"S": booking.created_at}},
        )
        return any(item["reservation_id"]["S"] == booking.reservation_id for item in answer["Items"])

    wait_for(found, "the index of reservations to show the cancelled one", seconds=15)
    return f"the index of reservations followed within {time.monotonic() - started:.1f} s"


def _dead_execution(stack: SmokeStack) -> str:
    queue = stack.queue
    name = stack.killed.reservation_id
    message = stack.wait_for_message("ExecutionDied", name)
    return f"{queue.rpartition('/')[2]} received: {message[:60]}…"


def _restart(stack: SmokeStack) -> str:
    replacement = f"PAY-{stack.killed.reservation_id}-r1"
    wait_for(lambda: stack.execution(replacement), f"execution {replacement}", seconds=120)
    answer = stack.cancel(stack.killed.reservation_id)
    _expect(answer.ok, f"cancelling the restarted booking answered {answer.status_code}: {answer.text}")
    return f"{replacement} replaced the killed execution, and its booking is cancelled"


# With AWS itself.


def _alarm(stack: SmokeStack) -> str:
    name = f"{stack.prefix}-ApiFailing"
    _expect(stack.queue, "the queue")
    cloudwatch = stack.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="smoke test")
    stack.wait_for_message("ApiFailing")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="smoke test")
    return f"{name} reached the operators"


def _definitions(stack: SmokeStack) -> str:
    states, wrong = stack.client("stepfunctions"), []
    for machine in (stack.outputs["paymentStateMachineArn"], stack.outputs["refundStateMachineArn"]):
        definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
        answer = states.validate_state_machine_definition(definition=definition, type="STANDARD", severity="WARNING")
        wrong += [f"{found['code']} at {found.get('location')}: {found['message']}" for found in answer["diagnostics"]]
    _expect(not wrong, "; ".join(wrong))
    return "Step Functions finds nothing in either definition"


def _permissions(stack: SmokeStack) -> str:
    since = int(stack.started.timestamp() * 1000)
    refused = [
        f"{name}: {event['message'][:200]}"
        for name in stack.functions
        for event in stack.client("logs").filter_log_events(
            logGroupName=f"/aws/lambda/{name}", startTime=since, filterPattern="AccessDenied"
        )["events"]
    ]
    _expect(not refused, "; ".join(refused))
    return f"none of {len(stack.functions)} functions was refused a call since {stack.started:%H:%M:%S}"


# Reading only.


def _gateway(stack: SmokeStack) -> str:
    forged = {"Stripe-Signature": f"t={int(datetime.now(UTC).timestamp())},v1={'0' * 64}"}
    asked: Mapping[str, tuple[int, str, str, str, dict[str, str]]] = {
        "no token": (401, "UNAUTHENTICATED", "GET", "/payments/RES-1/status", {}),
        "a forged token": (
            401,
            "UNAUTHENTICATED",
            "GET",
            "/payments/RES-1/status",
            {"Authorization": "Bearer e30.e30.e30"},
        ),
        "an unknown route": (404, "NOT_FOUND", "GET", "/nothing", {}),
        "a forged event": (400, "INVALID_SIGNATURE", "POST", "/webhooks/stripe", forged),
    }
    for what, (status, code, method, path, headers) in asked.items():
        answer = stack.request(method, path, headers=headers, data=b"{}" if method == "POST" else None)
        complete = {"success", "error_code", "message", "recovery"} <= answer.json().keys()
        seen = (answer.status_code, answer.json().get("error_code"))
        _expect(seen == (status, code) and complete and "x-correlation-id" in answer.headers, f"{what}: {answer.text}")
    return f"refused {', '.join(asked)}"


def _stage_settings(stack: SmokeStack) -> str:
    gateway, name = stack.client("apigateway"), f"{stack.prefix}-payments"
    pages = gateway.get_paginator("get_rest_apis").paginate()
    api = next(api["id"] for page in pages for api in page["items"] if api["name"] == name)
    stored = gateway.get_stage(restApiId=api, stageName=STAGE)["methodSettings"]
    seen = {path.replace("~1", "/").strip("/"): of["throttlingRateLimit"] for path, of in stored.items()}
    expected = {"*/*", *(f"{path.strip('/')}/{method}" for method, path in throttled_routes())}
    _expect(seen.keys() == expected, f"the stage has limits for {sorted(seen)}, not for {sorted(expected)}")
    lower = [path for path, rate in seen.items() if path != "*/*" and rate < seen["*/*"]]
    _expect(len(lower) == len(expected) - 1, f"only {lower} have limits of their own")
    return f"{len(lower)} routes have limits of their own"


def _aliases(stack: SmokeStack) -> str:
    for function in stack.functions:
        version = stack.client("lambda").get_alias(FunctionName=function, Name=LIVE)["FunctionVersion"]
        _expect(version.isdecimal(), f"{function}:{LIVE} is {version}")
    machines = (stack.outputs["paymentStateMachineArn"], stack.outputs["refundStateMachineArn"])
    for machine in machines:
        alias = stack.client("stepfunctions").describe_state_machine_alias(stateMachineAliasArn=f"{machine}:{LIVE}")
        (route,) = alias["routingConfiguration"]
        _expect(route["stateMachineVersionArn"].rpartition(":")[2].isdecimal(), f"{machine}:{LIVE} is {route}")
    return f"{LIVE} of {len(stack.functions)} functions and {len(machines)} workflows is a published version"


def _subscription(stack: SmokeStack) -> str:
    topic = stack.outputs["operatorTopicArn"]
    pages = stack.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    others = [one for page in pages for one in page["Subscriptions"] if f"{stack.prefix}-smoke-" not in one["Endpoint"]]
    confirmed = [one for one in others if one["SubscriptionArn"].startswith("arn:")]
    _expect(confirmed, f"nobody has confirmed a subscription to {topic}; {len(others)} are pending")
    return f"{len(confirmed)} confirmed, {len(others) - len(confirmed)} pending"


def _stripe_endpoint(stack: SmokeStack) -> str:
    listed = stack.stripe.v1.webhook_endpoints.list({"limit": 100}).auto_paging_iter()
    ours = [one for one in listed if one.url == stack.outputs["webhookUrl"] and one.status == "enabled"]
    _expect(len(ours) == 1, f"{len(ours)} endpoints send to {stack.outputs['webhookUrl']}")
    (endpoint,) = ours
    _expect(endpoint.api_version == API_VERSION, f"{endpoint.id} has API version {endpoint.api_version}")
    _expect(set(endpoint.enabled_events) == set(HANDLED), f"{endpoint.id} sends other events than are handled")
    return f"{endpoint.id} sends {len(HANDLED)} types of events in version {API_VERSION}"


# In the order in which they run.
CHECKS: Mapping[str, Check] = {
    "signal": Check(
        _signal,
        "If the log of payments-api shows AccessDenied for SendTaskSuccess, write in __main__.py: resume = "
        'allow("states:SendTaskSuccess", on=["*"])',
        needs_booking=True,
    ),
    "interpreter": Check(_interpreter, needs_booking=True),
    "latency": Check(_latency, "Run it again: the second time without cold starts.", needs_booking=True),
    "stripe-session": Check(_stripe_session, needs_booking=True),
    "webhook-delivery": Check(
        _webhook_delivery, "make stripe-webhook STACK=… sets up the endpoint.", needs_booking=True
    ),
    "index-delay": Check(_index_delay, needs_booking=True),
    "dead-execution": Check(_dead_execution, needs_booking=True),
    "restart": Check(_restart, "See ExecutionsAborted in docs/operations.md.", needs_booking=True),
    "alarm": Check(_alarm, needs_booking=True, needs_aws=True),
    "definitions": Check(_definitions, needs_aws=True),
    "permissions": Check(_permissions, "Compare with docs/permissions.md.", needs_aws=True),
    "gateway": Check(_gateway),
    "stage-settings": Check(_stage_settings),
    "aliases": Check(_aliases),
    "subscription": Check(_subscription, "Set operatorEmail, and follow the link in the message from AWS."),
    "stripe-endpoint": Check(_stripe_endpoint, "make stripe-webhook STACK=… corrects the endpoint."),
}
