"""The five DynamoDB tables, the bucket and the secrets of a test, read and written without the code under test."""

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from local import credentials
from shared.adapters.dynamodb import to_item
from shared.domain.models import Payment
from tests.harness.builders import TOTAL
from tests.harness.lambda_environment import SECRETS

BUCKET = "ledger"
TABLES = {
    "payments": "payment_id",
    "events": "event_id",
    "reservations": "reservation_id",
    "availability": "date",
    "audit": "payment_id",
}
RANGE_KEYS = {"audit": ("at_id",)}
INDEXES: dict[str, dict[str, tuple[str, ...]]] = {
    "payments": {
        "created_at-index": ("currency", "created_at"),
        "due-index": ("due_shard", "due_at"),
        "attention-index": ("currency", "attention_since"),
        "money_day-index": ("money_day", "recorded_at"),
    },
    "reservations": {"status-index": ("status", "created_at")},
}


def _serialized(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


def _deserialized(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def _keys(names: Sequence[str]) -> Any:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def _index(name: str, keys: Sequence[str]) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _keys(keys), "Projection": {"ProjectionType": "KEYS_ONLY"}}


def _moto() -> Any:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]


def _in_memory(table: str) -> Any:
    return _moto().tables[table].items


class Stored:
    """Everything that is stored: items in the tables, secrets in the parameter store.

    Items are read and written in moto's memory, because requests would take longer than most tests; those of another
    DynamoDB by requests.
    """

    def __init__(self) -> None:
        self._requests = credentials.DYNAMODB_ENDPOINT in os.environ
        self.client = boto3.client("dynamodb")
        self.ssm = boto3.client("ssm")
        self.s3 = boto3.client("s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self._secrets: dict[str, str | None] = {}
        for table, key in TABLES.items():
            indexes = INDEXES.get(table, {})
            more: Any = {"GlobalSecondaryIndexes": [_index(*index) for index in indexes.items()]} if indexes else {}
            self.client.create_table(
                TableName=table,
                KeySchema=_keys((key, *RANGE_KEYS.get(table, ()))),
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "S"}
                    for name in {key, *RANGE_KEYS.get(table, ()), *chain(*indexes.values())}
                ],
                BillingMode="PAY_PER_REQUEST",
                **more,
            )

    def clear(self) -> None:
        """Empty the tables and the bucket, and restore the secrets."""
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys.clear()
        for table, key in TABLES.items():
            _in_memory(table).clear()
            if self._requests:
                for item in self.all(table):
                    keys = {name: {"S": item[name]} for name in (key, *RANGE_KEYS.get(table, ()))}
                    self.client.delete_item(TableName=table, Key=keys)
        for name, value in SECRETS.items():
            if self._secrets.get(name) != value:
                self.parameter(name, value)

    def parameter(self, name: str, value: str | None) -> None:
        """Set one of the two secrets, or delete it."""
        self._secrets[name] = value
        path = f"/booking/test/stripe/{name}"
        if value is None:
            self.ssm.delete_parameter(Name=path)
        else:
            self.ssm.put_parameter(Name=path, Value=value, Type="SecureString", Overwrite=True)

    def put(self, table: str, item: Mapping[str, Any]) -> None:
        if self._requests:
            self.client.put_item(TableName=table, Item=_serialized(item))
        else:
            _moto().put_item(table, _serialized(item), overwrite=True)

    def put_all(self, items: Mapping[str, list[dict[str, Any]]]) -> None:
        """Write items, given by table."""
        for table, given in items.items():
            for item in given:
                self.put(table, item)

    def get(self, table: str, key: str) -> dict[str, Any]:
        """The item, or an empty dict if there is none."""
        keys = {TABLES[table]: {"S": key}}
        if self._requests:
            found = self.client.get_item(TableName=table, Key=keys, ConsistentRead=True).get("Item", {})
        else:
            item = _moto().get_item(table, keys)
            found = item.to_json()["Attributes"] if item else {}
        return _deserialized(found)

    def delete(self, table: str, key: str) -> None:
        keys = {TABLES[table]: {"S": key}}
        if self._requests:
            self.client.delete_item(TableName=table, Key=keys)
        else:
            _moto().delete_item(table, keys)

    def all(self, table: str) -> list[dict[str, Any]]:
        """Every item."""
        if self._requests:
            return [_deserialized(item) for item in self.client.scan(TableName=table)["Items"]]
        found = list(_in_memory(table).values())
        if table in RANGE_KEYS:
            found = [item for of_one_key in found for item in of_one_key.values()]
        return [_deserialized(item.to_json()["Attributes"]) for item in found]

    def reservation(self, reservation_id: str = "RES-1", **changes: Any) -> None:
        """Store a reservation of two nights, made two hours ago, whose nights are held."""
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
