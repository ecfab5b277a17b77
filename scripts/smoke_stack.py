"""What the smoke test needs of a deployed stack: clients, a signed-in guest, bookings, the operators' messages."""

import functools
import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import requests
import stripe

from scripts import stack_outputs
from shared.adapters.stripe_api import API_VERSION

TIMEOUT_SECONDS = 40
PATIENCE = 1.0
"""Every wait is multiplied by this."""

type Json = dict[str, Any]


class CheckFailedError(Exception):
    """The stack does not do what a check expects; the message says what was seen."""


def wait_for[Value](read: Callable[[], Value | None], what: str, *, seconds: float = 60) -> Value:
    """The first value that is not None or empty. Raises CheckFailedError after `seconds`."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (value := read()):
        if time.monotonic() > deadline:
            raise CheckFailedError(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(0.5)
    return value


@dataclass(frozen=True)
class Booking:
    """A reservation of the smoke test's guest whose Checkout Session is open; `seconds` from "Pay now" to its URL."""

    reservation_id: str
    created_at: str
    session: str
    seconds: float


class SmokeStack:
    """A deployed stack by its outputs. What it creates to look at the stack is deleted by `cleanup`."""

    def __init__(self, outputs: Mapping[str, Any], cleanup: ExitStack) -> None:
        self.outputs, self._cleanup = outputs, cleanup
        self.url = outputs["apiUrl"].rstrip("/")
        self.prefix = str(outputs["operatorTopicArn"].split(":")[-1].removesuffix("-operators"))
        self.started = datetime.now(UTC)

    @functools.cache  # noqa: B019  lives as long as the program
    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=stack_outputs.region(self.outputs))  # type: ignore[call-overload]

    @functools.cached_property
    def functions(self) -> dict[str, Json]:
        """The configuration of each function, by name."""
        pages = self.client("lambda").get_paginator("list_functions").paginate()
        found = [function for page in pages for function in page["Functions"]]
        return {f["FunctionName"]: f for f in found if f["FunctionName"].startswith(f"{self.prefix}-")}

    @functools.cached_property
    def settings(self) -> dict[str, str]:
        """The environment of the functions."""
        return dict(self.functions[f"{self.prefix}-payments-api"]["Environment"]["Variables"])

    @functools.cached_property
    def _stripe_key(self) -> str:
        name = self.outputs["secretKeyParameter"]
        return str(self.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])

    @property
    def live(self) -> bool:
        """Whether Stripe moves real money with the stack's key."""
        return "_live_" in self._stripe_key

    @functools.cached_property
    def stripe(self) -> stripe.StripeClient:
        base: Any = {"api": self.settings["STRIPE_API_BASE"]}
        return stripe.StripeClient(self._stripe_key, stripe_version=API_VERSION, base_addresses=base)

    # The guest, over HTTP.

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, f"{self.url}{path}", timeout=TIMEOUT_SECONDS, **options)

    def call(self, method: str, path: str, body: Json | None = None) -> requests.Response:
        """The answer to the guest's request, repeated while it is 202."""
        headers = {"Authorization": f"Bearer {self.guest['token']}"}

        def answer() -> requests.Response | None:
            got = self.request(method, path, json=body, headers=headers)
            return None if got.status_code == requests.codes.accepted else got

        # A response with an error status is false.
        return wait_for(lambda: [got] if (got := answer()) is not None else None, f"an answer of {path}")[0]

    @functools.cached_property
    def guest(self) -> dict[str, str]:
        """`customer_id` and the ID `token` of a new user, signed in through a new client of the pool."""
        cognito, pool = self.client("cognito-idp"), self.outputs["userPoolId"]
        claim, name = self.settings["CUSTOMER_ID_CLAIM"], f"smoke-{secrets.token_hex(6)}"
        email, password = f"{name}@example.com", f"Aa1-{secrets.token_urlsafe(24)}"
        readable = ["email", *([] if claim == "sub" else [claim])]
        client = cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName=name,
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"],
            ReadAttributes=readable,
        )["UserPoolClient"]["ClientId"]
        self._cleanup.callback(cognito.delete_user_pool_client, UserPoolId=pool, ClientId=client)
        attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
        attributes += [] if claim == "sub" else [{"Name": claim, "Value": name}]
        user = cognito.admin_create_user(
            UserPoolId=pool, Username=email, UserAttributes=attributes, MessageAction="SUPPRESS"
        )["User"]
        self._cleanup.callback(cognito.admin_delete_user, UserPoolId=pool, Username=email)
        cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=True)
        signed_in = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )["AuthenticationResult"]
        sub = next(attribute["Value"] for attribute in user["Attributes"] if attribute["Name"] == "sub")
        return {"customer_id": sub if claim == "sub" else name, "token": signed_in["IdToken"]}

    @functools.cached_property
    def booking(self) -> Booking:
        """The booking of most checks."""
        return self.open_booking()

    @functools.cached_property
    def killed(self) -> Booking:
        """A booking whose execution was stopped, after the queue began to receive."""
        _, booking = self.queue, self.open_booking()
        execution = self.execution(booking.reservation_id)
        if execution is None:
            raise CheckFailedError(f"there is no execution {booking.reservation_id}")
        self.client("stepfunctions").stop_execution(executionArn=execution["executionArn"], cause="smoke test")
        return booking

    def open_booking(self) -> Booking:
        """Hold a night of 2099 as the platform does, and press "Pay now"."""
        name = f"SMOKE-{secrets.token_hex(6)}"
        night = date(2099, 1, 1) + timedelta(days=secrets.randbelow(365))
        created_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        reservation = {
            "reservation_id": {"S": name},
            "customer_id": {"S": self.guest["customer_id"]},
            "check_in": {"S": night.isoformat()},
            "check_out": {"S": (night + timedelta(days=1)).isoformat()},
            "status": {"S": "pending"},
            "total_amount": {"N": "100"},
            "created_at": {"S": created_at},
        }
        held = {"date": {"S": night.isoformat()}, "status": {"S": "booked"}, "reservation_id": {"S": name}}
        tables = ((self.outputs["reservationsTable"], reservation), (self.outputs["availabilityTable"], held))
        puts = [{"Put": {"TableName": table, "Item": item}} for table, item in tables]
        self.client("dynamodb").transact_write_items(TransactItems=puts)
        started = time.monotonic()
        answer = self.call("POST", "/payments/checkout-session", {"reservation_id": name})
        if not answer.ok:
            raise CheckFailedError(f'"Pay now" of {name} answered {answer.status_code}: {answer.text}')
        self._cleanup.callback(self.cancel, name)
        return Booking(name, created_at, answer.json()["checkout_session_id"], time.monotonic() - started)

    def cancel(self, reservation_id: str) -> requests.Response:
        """Cancel a booking as its guest; one that is cancelled stays so."""
        return self.call("POST", f"/payments/{reservation_id}/cancel")

    # Executions and messages.

    def execution(self, name: str) -> Json | None:
        """An execution of the payment workflow, None if there is none."""
        states = self.client("stepfunctions")
        arn = self.outputs["paymentStateMachineArn"].replace(":stateMachine:", ":execution:")
        try:
            return dict(states.describe_execution(executionArn=f"{arn}:{name}"))
        except states.exceptions.ExecutionDoesNotExist:
            return None

    @functools.cached_property
    def queue(self) -> str:
        """A queue that receives what operators receive, from now on."""
        sqs, topic = self.client("sqs"), self.outputs["operatorTopicArn"]
        url = sqs.create_queue(QueueName=f"{self.prefix}-smoke-{secrets.token_hex(6)}")["QueueUrl"]
        self._cleanup.callback(sqs.delete_queue, QueueUrl=url)
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        sns = self.client("sns")
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        self._cleanup.callback(sns.unsubscribe, SubscriptionArn=subscription["SubscriptionArn"])
        return str(url)

    def wait_for_message(self, *texts: str) -> str:
        """The message to operators that contains all these texts. Raises CheckFailedError."""

        def received() -> str | None:
            answer = self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)
            messages = [json.loads(message["Body"])["Message"] for message in answer.get("Messages", [])]
            return next((message for message in messages if all(text in message for text in texts)), None)

        return wait_for(received, f"a message to operators with {' and '.join(texts)}", seconds=120)
