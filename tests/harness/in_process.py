"""What handlers run against here: moto's tables, a clock that stands still, the Stripe fake without a socket."""

import asyncio
import importlib
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import boto3
import stripe
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from requests.structures import CaseInsensitiveDict

from local import credentials
from local.fake_stripe.fake_stripe import FakeStripe
from shared.domain.models import Payment, to_item
from tests.harness.builders import NOW, TOTAL

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "POWERTOOLS_SERVICE_NAME": "booking-payments",
    "POWERTOOLS_METRICS_NAMESPACE": "BookingPayments",
    "PAYMENTS_TABLE": "payments",
    "WEBHOOK_EVENTS_TABLE": "events",
    "RESERVATIONS_TABLE": "reservations",
    "AVAILABILITY_TABLE": "availability",
    "STRIPE_SECRET_KEY_PARAMETER": "/booking/test/stripe/secret_key",
    "STRIPE_WEBHOOK_SECRET_PARAMETER": "/booking/test/stripe/webhook_secret",
    "STRIPE_API_BASE": "http://stripe.test/stripe",
    "FRONTEND_URLS": "https://stay.example,http://localhost:3000",
    "CHECKOUT_WINDOW_SECONDS": "1800",
    "HOLD_SECONDS": "86400",
    "MAX_ATTEMPTS": "3",
    "PROPERTY_TIME_ZONE": "Europe/Madrid",
    "CUSTOMER_ID_CLAIM": "custom:customer_id",
    "OPERATOR_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:operators",
    "EVENT_BUS_NAME": "bookings",
    "PAYMENT_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:payment",
    "REFUND_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:refund",
}
API_KEY = "sk_test_4f1d2c7a"
WEBHOOK_SECRET = "whsec_4f1d2c7a"
SECRETS = {"secret_key": API_KEY, "webhook_secret": WEBHOOK_SECRET}

TABLES = {
    "payments": "payment_id",
    "events": "event_id",
    "reservations": "reservation_id",
    "availability": "date",
}
INDEXES: dict[str, dict[str, tuple[str, ...]]] = {
    "payments": {
        "stripe_payment_intent_id-index": ("stripe_payment_intent_id",),
        "status-index": ("status", "updated_at"),
        "refunding-index": ("refunding", "updated_at"),
    },
    "reservations": {"status-index": ("status", "created_at")},
}


class Context(LambdaContext):
    _function_name = "function"
    _function_version = "1"
    _memory_limit_in_mb = 512
    _invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    _aws_request_id = "00000000-0000-4000-8000-000000000000"


CONTEXT = Context()


class Clock:
    """Our time and Stripe's, in step; `datetime.now` of the modules under test reads it."""

    def __init__(self) -> None:
        self.now = NOW
        self.fake_stripe: FakeStripe | None = None

    def advance(self, by: timedelta) -> None:
        self.now += by
        if self.fake_stripe is not None:
            self.fake_stripe.clock.advance(by.total_seconds())

    def reads(self, module: str) -> tuple[ModuleType, type[datetime]]:
        clock = self

        class Frozen(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return clock.now.astimezone(tz or UTC)

        return importlib.import_module(module), Frozen


def _keys(names: Sequence[str]) -> Any:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def _index(name: str, keys: Sequence[str]) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _keys(keys), "Projection": {"ProjectionType": "KEYS_ONLY"}}


class Stored:
    """The tables, as the other side sees them."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb")
        self.ssm = boto3.client("ssm")
        self._secrets: dict[str, str | None] = {}
        for table, key in TABLES.items():
            indexes = INDEXES.get(table, {})
            given: Any = {"GlobalSecondaryIndexes": [_index(*index) for index in indexes.items()]} if indexes else {}
            self.client.create_table(
                TableName=table,
                KeySchema=_keys((key,)),
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "S"} for name in {key, *chain(*indexes.values())}
                ],
                BillingMode="PAY_PER_REQUEST",
                **given,
            )

    def clear(self) -> None:
        """Empty tables, first secrets. In moto's own memory: by requests it would take longer than most tests do."""
        for table, key in TABLES.items():
            dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].tables[table].items.clear()
            if credentials.DYNAMODB_ENDPOINT in os.environ:
                for item in self.all(table):
                    self.delete(table, item[key])
        for name, value in SECRETS.items():
            if self._secrets.get(name) != value:
                self.parameter(name, value)

    def parameter(self, name: str, value: str | None) -> None:
        """Set one of the two secrets, or take it away."""
        self._secrets[name] = value
        path = f"/booking/test/stripe/{name}"
        if value is None:
            self.ssm.delete_parameter(Name=path)
        else:
            self.ssm.put_parameter(Name=path, Value=value, Type="SecureString", Overwrite=True)

    def put(self, table: str, item: Mapping[str, Any]) -> None:
        serialize = TypeSerializer().serialize
        self.client.put_item(TableName=table, Item={name: serialize(value) for name, value in item.items()})

    def put_all(self, items: Mapping[str, list[dict[str, Any]]]) -> None:
        """At most 25."""
        serialize = TypeSerializer().serialize
        requests: Any = {
            table: [
                {"PutRequest": {"Item": {name: serialize(value) for name, value in item.items()}}} for item in given
            ]
            for table, given in items.items()
        }
        self.client.batch_write_item(RequestItems=requests)

    def get(self, table: str, key: str) -> dict[str, Any]:
        """The item; empty where there is none."""
        found = self.client.get_item(TableName=table, Key={TABLES[table]: {"S": key}}, ConsistentRead=True)
        return {name: TypeDeserializer().deserialize(value) for name, value in found.get("Item", {}).items()}

    def delete(self, table: str, key: str) -> None:
        self.client.delete_item(TableName=table, Key={TABLES[table]: {"S": key}})

    def all(self, table: str) -> list[dict[str, Any]]:
        items = self.client.scan(TableName=table)["Items"]
        return [{name: TypeDeserializer().deserialize(value) for name, value in item.items()} for item in items]

    def reservation(self, reservation_id: str = "RES-1", **changes: Any) -> None:
        """A reservation of two nights, made two hours ago, with its nights held."""
        item = {
            "reservation_id": reservation_id,
            "customer_id": "guest-1",
            "customer_email": "ada@guests.example",
            "check_in": "2026-12-20",
            "check_out": "2026-12-22",
            "status": "pending",
            "payment_status": "pending",
            "total_amount": TOTAL,
            "created_at": "2026-11-24T13:00:00.000Z",
        } | changes
        nights = [
            {"date": night, "status": "booked", "reservation_id": reservation_id}
            for night in ("2026-12-20", "2026-12-21")
        ]
        self.put_all({"reservations": [item], "availability": nights})

    def night(self, night: str, reservation_id: str, status: str = "booked") -> None:
        self.put("availability", {"date": night, "status": status, "reservation_id": reservation_id})

    def payment(self, of: Payment) -> None:
        self.put("payments", to_item(of))

    def change(self, payment_id: str, **changes: Any) -> None:
        self.put("payments", self.get("payments", payment_id) | changes)


class InProcess(stripe.HTTPClient):
    """The SDK's way to the fake: its ASGI application called in this thread, no socket and no waiting."""

    name = "in-process"

    def __init__(self, fake_stripe: FakeStripe) -> None:
        super().__init__()
        self.app = fake_stripe.app

    def _sleep_time_seconds(self, num_retries: int) -> float:  # noqa: ARG002
        return 0.0

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **_: Any) -> Any:
        return asyncio.run(self._request(method, url, headers, post_data))

    async def _request(self, method: str, url: str, headers: Mapping[str, str], post_data: Any) -> Any:
        parts = urlsplit(url)
        exchange = Exchange((post_data or "").encode())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method.upper(),
            "path": parts.path.removeprefix("/stripe"),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in headers.items()],
        }
        await self.app(scope, exchange.receive, exchange.send)
        if exchange.status is None:
            raise stripe.APIConnectionError("no answer", should_retry=True)  # type: ignore[no-untyped-call]
        return exchange.body, exchange.status, exchange.headers

    def close(self) -> None:
        pass


class Exchange:
    """One request; its transport can be aborted as the server's own."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status: int | None = None
        self.headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        self.body = b""

    @property
    def transport(self) -> "Exchange":
        return self

    def abort(self) -> None:
        pass

    def get_extra_info(self, _: str) -> "Exchange":
        return self

    def setsockopt(self, *_: object) -> None:
        pass

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers.update({name.decode(): value.decode() for name, value in message["headers"]})
        else:
            self.body += message.get("body", b"")


def new_fake_stripe(clock: Clock) -> FakeStripe:
    """A Stripe account of its own, its clock in step with ours; its webhooks reach nobody."""
    fake_stripe = FakeStripe(base_url="http://stripe.test/stripe", webhook_url="http://webhook.test", api_key=API_KEY)
    fake_stripe.webhooks.set_mode("drop")
    fake_stripe.clock.advance(clock.now.timestamp() - fake_stripe.clock.now())
    clock.fake_stripe = fake_stripe
    return fake_stripe


def request_id() -> str:
    return str(uuid.uuid4())
