"""Paying over HTTP, from "Pay now" to the confirmed booking, with the timers of production."""

import json
from typing import Any

import boto3
import pytest
import requests

from local import credentials
from local.aws import emulator
from tests.e2e.conftest import DECLINED, VISA, Booking, Client, at_once, until

PAID = [
    "RecordPayment",
    "CreateCheckoutSession",
    "AwaitPayment",
    "VerifyPayment",
    "NextStep?",
    "ConfirmReservation",
    "AnnouncePayment",
    "PaymentConfirmed",
]


def test_a_booking_is_reserved_paid_and_confirmed(client: Client) -> None:
    booking = client.booking(total_amount=112500, nights=3)
    answer = booking.pay_now()
    session = answer.json()
    assert answer.status_code == 201
    assert set(session) == {
        "payment_id",
        "reservation_id",
        "checkout_session_id",
        "checkout_url",
        "expires_at",
        "amount",
        "currency",
        "attempt_number",
        "attempts_left",
        "hold_expires_at",
    }
    assert (session["amount"], session["currency"], session["attempt_number"]) == (112500, "EUR", 1)
    assert booking.pay(session) == 303
    execution = booking.ended()
    assert (execution["status"], execution["visited"]) == ("SUCCEEDED", PAID)
    assert booking.reservation["status"] == "confirmed"
    assert booking.payment["status"] == "completed"
    assert booking.dates == {"booked"}
    status = booking.status()
    assert (status["status"], status["has_completed_payment"]) == ("completed", True)
    published = [event["detail_type"] for event in client.local("GET", "events") if booking.id in str(event)]
    assert published == ["PaymentConfirmed"]


def test_a_decline_is_counted_and_uses_up_no_attempt(client: Client) -> None:
    booking = client.booking()
    session = booking.session()
    assert booking.pay(session, DECLINED) == 402
    assert booking.execution["waiting_in"] == "AwaitPayment"
    until(lambda: booking.status()["attempts"][0]["declines"] == 1, lambda: f"a decline; {booking.status()}")
    status = booking.status()
    assert len(status["attempts"]) == 1
    assert (status["payment_attempts"], status["status"]) == (1, "pending")
    again = booking.pay_now()
    assert (again.status_code, again.json()["checkout_url"]) == (200, session["checkout_url"])
    assert booking.pay(session, VISA) == 303
    assert booking.ended()["visited"] == PAID


def test_ten_calls_at_once_make_one_execution_one_session_one_answer(client: Client) -> None:
    booking = client.booking()
    answers = at_once(10, lambda _: booking.pay_now())
    assert sorted({answer.status_code for answer in answers}) in ([200, 201], [201])
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in answers}) == 1
    assert len([one for one in client.local("GET", "executions") if one["name"] == booking.id]) == 1
    created = [
        request
        for request in client.local("GET", "stripe/requests")
        if request["operation"] == "checkout.sessions.create" and booking.id in json.dumps(request["params"])
    ]
    assert len(created) == 1


# Who may, and what may be said.


def shape(answer: requests.Response) -> tuple[int, str]:
    """Status and error code, after a look at what every error has."""
    body = answer.json()
    assert (
        {"success", "error_code", "message", "recovery"}
        <= set(body)
        <= {
            "success",
            "error_code",
            "message",
            "recovery",
            "details",
        }
    )
    assert body["success"] is False
    assert answer.headers["x-correlation-id"]
    return answer.status_code, body["error_code"]


def test_a_booking_of_somebody_else_is_not_found_just_as_one_that_does_not_exist(client: Client) -> None:
    booking = client.booking()
    other = client.local("POST", "tokens")["token"]
    theirs = client.api("POST", "payments/checkout-session", other, {"reservation_id": booking.id})
    none = client.api("POST", "payments/checkout-session", other, {"reservation_id": "RES-none"})
    assert shape(theirs) == shape(none) == (404, "NOT_FOUND")
    assert theirs.json() == none.json()
    assert shape(client.api("GET", f"payments/{booking.id}/status", other)) == (404, "NOT_FOUND")
    with pytest.raises(AssertionError, match="404"):
        _ = booking.execution


def expired_token(client: Client) -> str:
    pool = engine_pool(client)
    user = next(iter(pool.users))
    return str(pool.create_jwt(client.stack.outputs["userPoolClientId"], user, "id", expires_in=-10)[0])


def engine_pool(client: Client) -> Any:
    from moto.cognitoidp.models import cognitoidp_backends  # noqa: PLC0415

    return cognitoidp_backends[emulator.ACCOUNT][emulator.REGION].user_pools[client.stack.outputs["userPoolId"]]


@pytest.mark.parametrize("kind", ["none", "access", "nonsense", "tampered", "expired"])
def test_without_a_valid_id_token_nobody_gets_in(client: Client, kind: str) -> None:
    booking = client.booking()
    access = client.local("POST", "tokens", customer_id=booking.customer_id)["access_token"]
    header, payload, signature = booking.token.split(".")
    token = {
        "none": None,
        "access": access,
        "nonsense": "nonsense",
        "tampered": f"{header}.{payload[:-4]}AAAA.{signature}",
        "expired": expired_token(client),
    }[kind]
    answer = client.api("POST", "payments/checkout-session", token, {"reservation_id": booking.id})
    assert shape(answer) == (401, "UNAUTHENTICATED")


def test_a_token_of_another_client_application_is_refused(client: Client) -> None:
    booking = client.booking()
    pool = engine_pool(client)
    token, _ = pool.create_jwt("some-other-application", next(iter(pool.users)), "id")
    answer = client.api("GET", f"payments/{booking.id}/status", token)
    assert shape(answer) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "extra",
    [
        {"amount": 1},
        {"currency": "USD"},
        {"success_url": "https://evil.example/success"},
        {"cancel_url": "javascript:alert(1)"},
        {"reservation_id": "not an id"},
    ],
)
def test_a_body_that_says_too_much_or_something_else_is_refused(client: Client, extra: dict[str, Any]) -> None:
    booking = client.booking()
    assert shape(booking.pay_now(**extra)) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "nothing"), ("DELETE", "payments/checkout-session"), ("GET", "payments//status"), ("POST", "webhooks")],
)
def test_a_route_that_is_not_declared_is_not_found(client: Client, method: str, path: str) -> None:
    assert shape(client.api(method, path, client.booking().token)) == (404, "NOT_FOUND")


def test_a_body_that_is_no_json_and_one_that_is_too_large_are_refused_in_the_same_shape(client: Client) -> None:
    token = client.booking().token
    path = "payments/checkout-session"
    assert shape(client.api("POST", path, token, data=b"{", headers={"Content-Type": "application/json"})) == (
        400,
        "INVALID_REQUEST",
    )
    large = client.api("POST", path, token, data=b" " * (10 * 1024 * 1024 + 1))
    assert shape(large) == (413, "REQUEST_TOO_LARGE")


def test_a_browser_may_ask_first(client: Client) -> None:
    origin = client.stack.deployment.environment["FRONTEND_URLS"].split(",")[0]
    answer = requests.options(
        f"{client.url}/api/payments/checkout-session",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
        timeout=10,
    )
    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == origin


# Webhooks.


def event_of(client: Client, booking: Booking, event_type: str) -> dict[str, Any]:
    fake_stripe = client.stack.fake_stripe
    with fake_stripe.current():
        events = [
            event for event in fake_stripe.all("event") if event["type"] == event_type and booking.id in str(event)
        ]
    return dict(events[-1])


@pytest.mark.parametrize("kind", ["internal_error", "throttled"])
def test_a_webhook_that_fails_is_answered_5xx_not_recorded_and_works_when_it_comes_again(
    client: Client, kind: str
) -> None:
    booking = client.booking()
    client.local("POST", "stripe/webhooks", mode="hold")
    assert booking.pay(booking.session()) == 303
    event = event_of(client, booking, "checkout.session.completed")
    client.local(
        "POST", "aws/faults", operation="states.SendTaskSuccess", kind=kind, times=20, function="stripe_webhook"
    )
    first = client.local("POST", "stripe/events", event=event)
    assert first["status"] in (500, 503)
    assert booking.execution["waiting_in"] == "AwaitPayment"
    assert recorded(client, event["id"]) != "success"
    emulator.aws_faults.clear()
    second = client.local("POST", "stripe/events", event=event)
    assert second["status"] == 200
    assert json.loads(second["answer"])["processing_result"] == "success"
    assert booking.ended()["visited"] == PAID
    third = client.local("POST", "stripe/events", event=event)
    assert (third["status"], json.loads(third["answer"])["processing_result"]) == (200, "duplicate")


def recorded(client: Client, event_id: str) -> Any:
    found = boto3.client("dynamodb", region_name=emulator.REGION).get_item(
        TableName=client.stack.outputs["webhookEventsTable"], Key={"event_id": {"S": event_id}}
    )
    return found.get("Item", {}).get("processing_result", {}).get("S")


def test_a_webhook_with_a_forged_signature_changes_nothing(client: Client) -> None:
    booking = client.booking()
    client.local("POST", "stripe/webhooks", mode="hold")
    assert booking.pay(booking.session()) == 303
    event = event_of(client, booking, "checkout.session.completed")
    status, answer = client.stack.fake_stripe.deliver(event, secrets=["whsec_forged"])
    assert (status, json.loads(answer)["error_code"]) == (400, "INVALID_SIGNATURE")
    assert booking.execution["waiting_in"] == "AwaitPayment"
    client.local("POST", "stripe/webhooks/release")
    booking.ended()


# Many at once, and what all of it leaves behind.


def test_fifty_bookings_at_once_all_get_their_url_and_cost_what_they_should(client: Client) -> None:
    bookings = at_once(50, lambda _: client.booking())
    states = ("create_checkout_session", "verify_payment", "confirm_reservation")
    calls_before = sum(len(emulator.counts.functions[name]) for name in states)
    requests_before = len(client.local("GET", "stripe/requests"))

    sessions = at_once(50, lambda number: bookings[number].session())
    assert at_once(50, lambda number: bookings[number].pay(sessions[number])) == [303] * 50
    for booking in bookings:
        execution = booking.ended()
        assert (execution["status"], execution["visited"]) == ("SUCCEEDED", PAID)
        assert execution["transitions"] <= 9
    assert sum(len(emulator.counts.functions[name]) for name in states) - calls_before == 150
    assert len(client.local("GET", "stripe/requests")) - requests_before <= 100


def test_no_secret_and_nothing_personal_is_in_logs_or_executions(client: Client) -> None:
    booking = client.booking()
    assert booking.pay(booking.session(), DECLINED) == 402
    assert booking.pay(booking.session_again()) == 303
    booking.ended()
    log = client.stack.log.read_text(encoding="utf-8")
    assert booking.id in log
    states = boto3.client("stepfunctions", region_name=emulator.REGION)
    data, tokens = [], set()
    for summary in client.local("GET", "executions"):
        arn = client.stack.outputs["paymentStateMachineArn"].replace(":stateMachine:", ":execution:")
        described = states.describe_execution(executionArn=f"{arn}:{summary['name']}")
        data += [described["input"], described.get("output", "")]
        for event in states.get_execution_history(executionArn=f"{arn}:{summary['name']}")["events"]:
            if event["type"] == "TaskScheduled":
                parameters = json.loads(event["taskScheduledEventDetails"]["parameters"])
                values = parameters.get("ExpressionAttributeValues", {})
                tokens |= {value["S"] for value in values.values() if len(value.get("S", "")) == 36}
            else:
                data.append(json.dumps(event, default=str))
    assert tokens
    everything = "\n".join([log, *data])
    secrets = [
        credentials.STRIPE_API_KEY,
        credentials.WEBHOOK_SECRET,
        booking.token,
        booking.token.split(".")[2],
        VISA,
        DECLINED,
        "@example.com",
        "whsec_",
        "sk_test_",
        *tokens,
    ]
    assert [secret for secret in secrets if secret in everything] == []
