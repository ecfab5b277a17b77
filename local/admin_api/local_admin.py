"""What `/local` offers, for callers in the same process: tests, the demo, the benchmark."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from moto.cognitoidp.models import cognitoidp_backends
from moto.sns.models import sns_backends

from local import credentials
from local.admin_api.executions import ExecutionsAdmin, Json
from local.admin_api.stored_items import serialize, to_json, to_stored
from local.aws import emulator
from local.aws.clients import local_client
from local.fake_stripe.fake_stripe import FakeStripe
from local.pulumi.deployer import Deployment

# Reservations without a `check_in` get dates from here on, each after the one before, so that none overlap.
DAYS_AHEAD = 30


class LocalAdmin(ExecutionsAdmin):
    """Plays the booking platform, and shows and changes what the local stack holds.

    `config` is what the stack was started with, `log` the file that functions log to; `/local/settings` shows both.
    """

    def __init__(self, deployment: Deployment, fake_stripe: FakeStripe, *, config: Json, log: Path) -> None:
        super().__init__(deployment.outputs)
        self.fake_stripe = fake_stripe
        self._customer_id_claim = deployment.environment["CUSTOMER_ID_CLAIM"]
        self.config = config
        self._log = log
        self._dynamodb, self._cognito = local_client("dynamodb"), local_client("cognito-idp")
        self._lock = threading.Lock()
        self._next_day = datetime.now(UTC).date() + timedelta(days=DAYS_AHEAD)

    # The booking platform's reservations.

    def reserve(
        self,
        *,
        nights: int = 2,
        check_in: date | None = None,
        total_amount: int = 45000,
        customer_id: str | None = None,
        customer_email: str | None = None,
        reservation_id: str | None = None,
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> Json:
        """A pending reservation with its nights held, and a token of its guest; `total_amount` in cents.

        `extra`: further attributes, or other values of those above, stored unchanged. Raises LookupError where a night
        or the reservation id is taken.
        """
        first = check_in or self._free_days(nights)
        reservation_id = reservation_id or f"RES-{uuid4().hex[:12]}"
        customer_id = customer_id or f"CUST-{uuid4().hex[:12]}"
        reservation = {
            "reservation_id": reservation_id,
            "customer_id": customer_id,
            "customer_email": customer_email or f"{customer_id}@example.com",
            "check_in": first.isoformat(),
            "check_out": (first + timedelta(days=nights)).isoformat(),
            "status": "pending",
            "payment_status": "pending",
            "total_amount": total_amount,
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **extra,
        }
        held = [
            {"date": (first + timedelta(days=n)).isoformat(), "status": "booked", "reservation_id": reservation_id}
            for n in range(nights)
        ]
        put_reservation = {
            "TableName": self.outputs["reservationsTable"],
            "Item": to_stored(reservation),
            "ConditionExpression": "attribute_not_exists(reservation_id)",
        }
        put_nights = [
            {
                "TableName": self.outputs["availabilityTable"],
                "Item": to_stored(night),
                "ConditionExpression": "attribute_not_exists(#d) OR #s = :available",
                "ExpressionAttributeNames": {"#d": "date", "#s": "status"},
                "ExpressionAttributeValues": {":available": {"S": "available"}},
            }
            for night in held
        ]
        items: Any = [{"Put": put} for put in (put_reservation, *put_nights)]
        try:
            self._dynamodb.transact_write_items(TransactItems=items)
        except self._dynamodb.exceptions.TransactionCanceledException:
            if check_in is None and len(self.free_nights(first, nights)) < nights:  # somebody chose one of them
                return self.reserve(
                    nights=nights,
                    total_amount=total_amount,
                    customer_id=customer_id,
                    customer_email=customer_email,
                    reservation_id=reservation_id,
                    extra=extra,
                )
            raise LookupError(f"{reservation_id} exists, or not all {nights} nights from {first} are free") from None
        return {**reservation, "guest_token": self.token(customer_id)["token"]}

    def _free_days(self, nights: int) -> date:
        with self._lock:
            first = self._next_day
            self._next_day = first + timedelta(days=nights)
            return first

    def change_reservation(self, reservation_id: str, *, status: str | None, total_amount: int | None) -> Json:
        """Changes a reservation as the booking platform may at any time; None leaves a value as it is."""
        requested = {"status": status, "total_amount": total_amount}
        changes = {name: value for name, value in requested.items() if value is not None}
        if not changes:
            return self.reservation(reservation_id)
        answer = self._dynamodb.update_item(
            TableName=self.outputs["reservationsTable"],
            Key={"reservation_id": {"S": reservation_id}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            ConditionExpression="attribute_exists(reservation_id)",
            ExpressionAttributeNames={f"#{name}": name for name in changes},
            ExpressionAttributeValues={f":{name}": serialize(value) for name, value in changes.items()},
            ReturnValues="ALL_NEW",
        )
        return to_json(answer["Attributes"])

    def token(self, customer_id: str | None = None, groups: Sequence[str] = ()) -> Json:
        """An ID token and an access token of a user of the pool, who is created if there is none yet."""
        customer_id = customer_id or f"CUST-{uuid4().hex[:12]}"
        pool_id, client_id = self.outputs["userPoolId"], self.outputs["userPoolClientId"]
        # Cognito puts all groups of a user into each token: a user for each set of groups keeps the tokens apart.
        email = "+".join([customer_id, *groups]) + "@example.com"
        attributes: Any = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
        if self._customer_id_claim != "sub":
            attributes.append({"Name": self._customer_id_claim, "Value": customer_id})
        pool = cognitoidp_backends[emulator.ACCOUNT][emulator.REGION].user_pools[pool_id]
        with self._lock:  # moto iterates over its users without a lock
            if pool._get_user(email) is None:
                self._cognito.admin_create_user(UserPoolId=pool_id, Username=email, UserAttributes=attributes)
                for group in groups:
                    self._cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=email, GroupName=group)
            # The client allows SRP only, which moto does not implement: the pool signs the tokens directly.
            id_token, expires_in = pool.create_id_token(client_id, email, str(uuid4()))
            access_token, _ = pool.create_access_token(client_id, email, str(uuid4()))
        return {"token": id_token, "access_token": access_token, "customer_id": customer_id, "expires_in": expires_in}

    # Stored items.

    def reservation(self, reservation_id: str) -> Json:
        """Raises LookupError."""
        return self._item("reservationsTable", "reservation_id", reservation_id)

    def payment(self, id_: str) -> Json:
        """By payment id or reservation id. Raises LookupError."""
        return self._item("paymentsTable", "payment_id", id_ if id_.startswith("PAY-") else f"PAY-{id_}")

    def night(self, day: str) -> Json:
        """A date that was never booked has no item, and is available."""
        try:
            return self._item("availabilityTable", "date", day)
        except LookupError:
            return {"date": day, "status": "available"}

    def free_nights(self, first: date, number: int) -> set[date]:
        """Which of so many nights nobody holds; at most 100."""
        days = [first + timedelta(days=ahead) for ahead in range(number)]
        table = self.outputs["availabilityTable"]
        keys: Any = [{"date": {"S": day.isoformat()}} for day in days]
        answer = self._dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
        stored = [to_json(item) for item in answer["Responses"][table]]
        taken = {item["date"] for item in stored if item["status"] != "available"}
        return {day for day in days if day.isoformat() not in taken}

    def end_hold(self, reservation_id: str) -> None:
        """Lets the hold of an unpaid booking be over, as if its time had passed, and runs the reconciler."""
        past = self._long_ago
        self._set("reservationsTable", {"reservation_id": {"S": reservation_id}}, {"created_at": past})
        with contextlib.suppress(LookupError):
            payment = self.payment(reservation_id)
            over = {"hold_expires_at": past, "due_at": past}
            self._set("paymentsTable", {"payment_id": {"S": payment["payment_id"]}}, over)
        self.reconcile()

    @property
    def _long_ago(self) -> str:
        """Before every hold that began now."""
        past = datetime.now(UTC) - timedelta(days=31)
        return past.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _set(self, table: str, key: Any, values: Mapping[str, str]) -> None:
        self._dynamodb.update_item(
            TableName=self.outputs[table],
            Key=key,
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
        )

    def _item(self, table: str, key: str, value: str) -> Json:
        answer = self._dynamodb.get_item(TableName=self.outputs[table], Key={key: {"S": value}}, ConsistentRead=True)
        if "Item" not in answer:
            raise LookupError(f"no {key} {value}")
        return to_json(answer["Item"])

    # The system.

    def reconcile(self) -> Json:
        """Runs the reconciler now; returns what it found, by kind. Raises ValueError where it fails."""
        answer, failed = emulator.invoke(self.outputs["reconcilerFunction"], {"source": "local"})
        if failed:
            raise ValueError(f"{answer['errorType']}: {answer['errorMessage']}")
        return dict(answer)

    def events(self) -> list[Json]:
        """The events that were published on the event bus."""
        return [asdict(event) for event in emulator.published]

    def notifications(self) -> list[Json]:
        """The messages that were sent to operators."""
        topic = sns_backends[emulator.ACCOUNT][emulator.REGION].topics[self.outputs["operatorTopicArn"]]
        return [{"subject": sent[2], "message": sent[1]} for sent in topic.sent_notifications]

    def settings(self) -> Json:
        """The fake's keys, the log file, the configuration, and the stack's outputs."""
        return {
            "stripe_api_key": credentials.STRIPE_API_KEY,
            "stripe_publishable_key": credentials.PUBLISHABLE_KEY,
            "stripe_webhook_secret": self.fake_stripe.webhook_secrets[0],
            "log_file": str(self._log),
            "config": self.config,
            **self.outputs,
        }
