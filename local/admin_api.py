"""`/local/…`: what tests, the demo and people at the command line pull and look at; never part of what is deployed."""

import itertools
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from moto.cognitoidp.models import cognitoidp_backends
from moto.sns.models import sns_backends
from pydantic import BaseModel, ConfigDict, Field

from local import credentials
from local.aws import emulator
from local.fake_stripe.fake_stripe import FakeStripe
from local.fake_stripe.stripe_errors import StripeError
from local.pulumi.deployer import Deployment
from shared.adapters.step_functions import execution_name

type Json = dict[str, Any]
type Workflow = Literal["payment", "refund"]

# Reservations without a `check_in` take dates from here on, so that none is in the way of another.
DAYS_AHEAD = 30

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewReservation(Body):
    nights: Annotated[int, Field(ge=1, le=90)] = 2
    check_in: date | None = None
    total_amount: int = 45000
    customer_id: str | None = None


class Changes(Body):
    status: Literal["pending", "confirmed", "cancelled", "expired", "completed"] | None = None
    total_amount: int | None = None


class NewToken(Body):
    customer_id: str | None = None
    groups: list[str] = []


class AwsFault(Body):
    operation: str
    kind: str
    times: Annotated[int, Field(ge=1)] = 1
    function: str | None = None


class StripeFault(Body):
    operation: str
    kind: str
    times: Annotated[int, Field(ge=1)] = 1


class Event(Body):
    event: Json


class WebhookMode(Body):
    mode: str


class ClockAdvance(Body):
    advance_seconds: float


class DashboardRefund(Body):
    payment_intent: str
    amount: int | None = None


class RefundStatus(Body):
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


class NextRefunds(Body):
    status: Literal["pending", "requires_action", "failed"] | None


class Outcome(Body):
    outcome: Literal["won", "lost"]


class NewDispute(Body):
    payment_intent: str
    amount: int | None = None


@dataclass(frozen=True)
class Execution:
    """What an execution has done so far; `transitions` is what AWS would charge for."""

    status: str
    visited: list[str]
    transitions: int
    waiting_in: str | None = None
    error: str | None = None
    cause: str | None = None
    output: str | None = None


class AdminApi:
    """The faults_injected, for whoever is in the same process; `create_app` gives the same over HTTP."""

    def __init__(self, deployment: Deployment, fake_stripe: FakeStripe, *, config: Json, log: Path) -> None:
        self.outputs: Json = deployment.outputs
        self.fake_stripe = fake_stripe
        self._claim = deployment.environment["CUSTOMER_ID_CLAIM"]
        self._config = config
        self._log = log
        client = Config(region_name=emulator.REGION, user_agent_extra=f"caller/{emulator.LOCAL}")
        self._dynamodb = boto3.client("dynamodb", config=client)
        self._states = boto3.client("stepfunctions", config=client)
        self._cognito = boto3.client("cognito-idp", config=client)
        self._lock = threading.Lock()
        self._next_day = datetime.now(UTC).date() + timedelta(days=DAYS_AHEAD)

    # Bookings, as the booking platform makes and changes them.

    def reserve(
        self,
        *,
        nights: int = 2,
        check_in: date | None = None,
        total_amount: int = 45000,
        customer_id: str | None = None,
    ) -> Json:
        """A pending reservation whose nights are held, with a token of its guest.

        Raises LookupError where a night is taken.
        """
        first = check_in or self._free_days(nights)
        reservation_id = f"RES-{uuid4().hex[:12]}"
        customer_id = customer_id or f"CUST-{uuid4().hex[:12]}"
        reservation = {
            "reservation_id": reservation_id,
            "customer_id": customer_id,
            "customer_email": f"{customer_id}@example.com",
            "check_in": first.isoformat(),
            "check_out": (first + timedelta(days=nights)).isoformat(),
            "status": "pending",
            "payment_status": "pending",
            "total_amount": total_amount,
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        held = [
            {"date": (first + timedelta(days=n)).isoformat(), "status": "booked", "reservation_id": reservation_id}
            for n in range(nights)
        ]
        put_reservation = {"TableName": self.outputs["reservationsTable"], "Item": _stored(reservation)}
        put_nights = [
            {
                "TableName": self.outputs["availabilityTable"],
                "Item": _stored(night),
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
            raise LookupError(f"not all {nights} nights from {first} are free") from None
        return {**reservation, "guest_token": self.token(customer_id)["token"]}

    def _free_days(self, nights: int) -> date:
        with self._lock:
            first = self._next_day
            self._next_day = first + timedelta(days=nights)
            return first

    def change_reservation(self, reservation_id: str, *, status: str | None, total_amount: int | None) -> Json:
        """What the booking platform may do meanwhile, without asking us."""
        changes = {"status": status, "total_amount": total_amount}
        given = {name: value for name, value in changes.items() if value is not None}
        if not given:
            return self.reservation(reservation_id)
        changed = self._dynamodb.update_item(
            TableName=self.outputs["reservationsTable"],
            Key={"reservation_id": {"S": reservation_id}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in given),
            ConditionExpression="attribute_exists(reservation_id)",
            ExpressionAttributeNames={f"#{name}": name for name in given},
            ExpressionAttributeValues={f":{name}": _serialize(value) for name, value in given.items()},
            ReturnValues="ALL_NEW",
        )
        return _json(changed["Attributes"])

    def reservation(self, reservation_id: str) -> Json:
        """Raises LookupError."""
        return self._item("reservationsTable", "reservation_id", reservation_id)

    def payment(self, id_: str) -> Json:
        """By payment id or reservation id. Raises LookupError."""
        return self._item("paymentsTable", "payment_id", id_ if id_.startswith("PAY-") else f"PAY-{id_}")

    def night(self, day: str) -> Json:
        """A date nobody ever booked has no item, and is available."""
        try:
            return self._item("availabilityTable", "date", day)
        except LookupError:
            return {"date": day, "status": "available"}

    def _item(self, table: str, key: str, value: str) -> Json:
        found = self._dynamodb.get_item(TableName=self.outputs[table], Key={key: {"S": value}}, ConsistentRead=True)
        if "Item" not in found:
            raise LookupError(f"no {key} {value}")
        return _json(found["Item"])

    def token(self, customer_id: str | None = None, groups: Sequence[str] = ()) -> Json:
        """An ID token of a user of the pool, who is made when there is none yet; the access token as well."""
        customer_id = customer_id or f"CUST-{uuid4().hex[:12]}"
        pool_id, client_id = self.outputs["userPoolId"], self.outputs["userPoolClientId"]
        # A user's groups are in every token; one user for each set of them keeps tokens apart.
        email = "+".join([customer_id, *groups]) + "@example.com"
        attributes: Any = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
        if self._claim != "sub":
            attributes.append({"Name": self._claim, "Value": customer_id})
        pool = cognitoidp_backends[emulator.ACCOUNT][emulator.REGION].user_pools[pool_id]
        with self._lock:  # moto goes through its users without one
            if pool._get_user(email) is None:
                self._cognito.admin_create_user(UserPoolId=pool_id, Username=email, UserAttributes=attributes)
                for group in groups:
                    self._cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=email, GroupName=group)
            # The client lets nobody in by password (SRP only), and moto's SRP is not SRP: the pool signs directly.
            id_token, expires_in = pool.create_id_token(client_id, email, str(uuid4()))
            access_token, _ = pool.create_access_token(client_id, email, str(uuid4()))
        return {"token": id_token, "access_token": access_token, "customer_id": customer_id, "expires_in": expires_in}

    # Executions.

    def _machine(self, workflow: Workflow) -> str:
        arn: str | None = self.outputs.get(f"{workflow}StateMachineArn")
        if arn is None:
            raise LookupError(f"no {workflow} workflow is deployed")
        return arn

    def _execution_arn(self, name: str, workflow: Workflow) -> str:
        return f"{self._machine(workflow).replace(':stateMachine:', ':execution:')}:{name}"

    def executions(self, workflow: Workflow) -> list[Json]:
        """Oldest first."""
        pages = self._states.get_paginator("list_executions").paginate(stateMachineArn=self._machine(workflow))
        found = [execution for page in pages for execution in page["executions"]]
        return [
            {"name": execution["name"], "status": execution["status"], "started_at": execution["startDate"].isoformat()}
            for execution in sorted(found, key=lambda execution: execution["startDate"])
        ]

    def execution(self, name: str, workflow: Workflow = "payment") -> Execution:
        """Raises LookupError."""
        arn = self._execution_arn(name, workflow)
        try:
            described = self._states.describe_execution(executionArn=arn)
            history: Any = self._states.get_execution_history(executionArn=arn, includeExecutionData=False)["events"]
        except self._states.exceptions.ExecutionDoesNotExist:
            raise LookupError(f"no execution {name} of the {workflow} workflow") from None
        entered = [event for event in history if event["type"].endswith("StateEntered")]
        visited = [event["stateEnteredEventDetails"]["name"] for event in entered]
        # Every entered state, and every retry, which is scheduled once more.
        tasks = sum(event["type"] == "TaskStateEntered" for event in entered)
        retries = max(0, sum(event["type"] == "TaskScheduled" for event in history) - tasks)
        waits = bool(history) and history[-1]["type"] in ("TaskSubmitted", "WaitStateEntered")
        return Execution(
            status=described["status"],
            visited=visited,
            transitions=len(entered) + retries,
            waiting_in=visited[-1] if waits else None,
            error=described.get("error"),
            cause=described.get("cause"),
            output=described.get("output"),
        )

    def stop_execution(self, name: str, workflow: Workflow = "payment") -> None:
        """Raises LookupError."""
        self.execution(name, workflow)
        arn = self._execution_arn(name, workflow)
        self._states.stop_execution(executionArn=arn, error="Stopped", cause="stopped through /local")

    def replacement(self, name: str, workflow: Workflow = "payment") -> tuple[str, Execution] | None:
        """The newest execution that took over from one that died."""
        newest = None
        for restart in itertools.count(1):
            replacement = execution_name(name, restart)
            try:
                newest = replacement, self.execution(replacement, workflow)
            except LookupError:
                break
        return newest

    def reconcile(self) -> Json:
        """Run the reconciler now; what it found, by kind. Raises ValueError with what it failed of."""
        answer, failed = emulator.invoke(self.outputs["reconcilerFunction"], {"source": "local"})
        if failed:
            raise ValueError(f"{answer['errorType']}: {answer['errorMessage']}")
        return dict(answer)

    # What was published.

    def events(self) -> list[Json]:
        return [asdict(event) for event in emulator.published]

    def notifications(self) -> list[Json]:
        topic = sns_backends[emulator.ACCOUNT][emulator.REGION].topics[self.outputs["operatorTopicArn"]]
        return [{"subject": sent[2], "message": sent[1]} for sent in topic.sent_notifications]

    def settings(self) -> Json:
        return {
            "stripe_api_key": credentials.STRIPE_API_KEY,
            "stripe_publishable_key": credentials.PUBLISHABLE_KEY,
            "stripe_webhook_secret": self.fake_stripe.webhook_secrets[0],
            "log_file": str(self._log),
            "config": self._config,
            **self.outputs,
        }


def create_app(admin: AdminApi) -> FastAPI:
    """The addresses under `/local`."""
    app = FastAPI(title="The local stack", openapi_url=None)

    @app.exception_handler(LookupError)
    def not_found(_: Request, error: LookupError) -> JSONResponse:
        return JSONResponse({"error": str(error.args[0])}, 404)

    @app.exception_handler(ValueError)
    def wrong(_: Request, error: ValueError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(StripeError)
    def refused(_: Request, error: StripeError) -> JSONResponse:
        return JSONResponse({"error": error.error}, error.status)

    _bookings(app, admin)
    _aws(app, admin)
    _stripe_requests(app, admin.fake_stripe)
    _stripe_events(app, admin.fake_stripe)
    _stripe_refunds(app, admin.fake_stripe)
    return app


def _bookings(app: FastAPI, admin: AdminApi) -> None:
    @app.post("/reservations", status_code=201)
    def reserve(body: NewReservation) -> Json:
        try:
            return admin.reserve(**body.model_dump())
        except LookupError as taken:
            raise HTTPException(409, str(taken)) from None

    @app.get("/reservations/{reservation_id}")
    def reservation(reservation_id: str) -> Json:
        return admin.reservation(reservation_id)

    @app.patch("/reservations/{reservation_id}")
    def change(reservation_id: str, body: Changes) -> Json:
        admin.reservation(reservation_id)
        return admin.change_reservation(reservation_id, **body.model_dump())

    @app.post("/tokens", status_code=201)
    def token(body: NewToken) -> Json:
        return admin.token(body.customer_id, body.groups)

    @app.get("/payments/{payment_id}")
    def payment(payment_id: str) -> Json:
        return admin.payment(payment_id)

    @app.get("/availability/{day}")
    def night(day: date) -> Json:
        return admin.night(day.isoformat())


def _told(execution: Execution) -> Json:
    return {key: value for key, value in asdict(execution).items() if value is not None}


def _aws(app: FastAPI, admin: AdminApi) -> None:
    @app.get("/executions")
    def executions(workflow: Workflow = "payment") -> list[Json]:
        return admin.executions(workflow)

    @app.get("/executions/{name}")
    def execution(name: str, workflow: Workflow = "payment") -> Json:
        found = _told(admin.execution(name, workflow))
        if (newest := admin.replacement(name, workflow)) is not None:
            found["replacement_started"] = {"name": newest[0], **_told(newest[1])}
        return found

    @app.post("/executions/{name}/stop")
    def stop(name: str, workflow: Workflow = "payment") -> Json:
        admin.stop_execution(name, workflow)
        return {"status": admin.execution(name, workflow).status}

    @app.post("/reconcile")
    def reconcile() -> Json:
        return admin.reconcile()

    @app.post("/aws/faults", status_code=201)
    def aws_fault(body: AwsFault) -> Json:
        emulator.aws_faults.add(**body.model_dump())
        return body.model_dump()

    @app.get("/settings")
    def settings() -> Json:
        return admin.settings()

    @app.get("/events")
    def events() -> list[Json]:
        return admin.events()

    @app.get("/notifications")
    def notifications() -> list[Json]:
        return admin.notifications()


def _stripe_requests(app: FastAPI, fake_stripe: FakeStripe) -> None:
    """What Stripe is asked, and how its answers fail."""

    @app.get("/stripe/requests")
    def requests() -> list[Json]:
        return [request.as_json() for request in fake_stripe.requests]

    @app.post("/stripe/faults", status_code=201)
    def fault(body: StripeFault) -> Json:
        fake_stripe.faults.add(body.operation, body.kind, body.times)  # type: ignore[arg-type]  # which checks it
        return body.model_dump()

    @app.delete("/stripe/faults", status_code=204)
    def recover() -> None:
        fake_stripe.faults.clear()


def _stripe_events(app: FastAPI, fake_stripe: FakeStripe) -> None:
    """What happens at Stripe without us, and how we hear of it."""

    @app.post("/stripe/events")
    def deliver(body: Event) -> Json:
        status, answer = fake_stripe.deliver(body.event)
        return {"status": status, "answer": answer}

    @app.post("/stripe/webhooks")
    def mode(body: WebhookMode) -> Json:
        fake_stripe.webhooks.set_mode(body.mode)  # type: ignore[arg-type]  # which checks it
        return body.model_dump()

    @app.post("/stripe/webhooks/release")
    def release() -> Json:
        return {"released": fake_stripe.webhooks.release()}

    @app.post("/stripe/clock")
    def clock(body: ClockAdvance) -> Json:
        fake_stripe.clock.advance(body.advance_seconds)
        return {"now": fake_stripe.clock.timestamp()}

    @app.post("/stripe/sessions/{session_id}/expire")
    def expire(session_id: str) -> Json:
        return fake_stripe.expire_session(session_id)

    @app.post("/stripe/sessions/{session_id}/pay")
    def pay(session_id: str) -> Json:
        """Whatever its state: as if it had been paid before anybody knew."""
        return fake_stripe.force_payment(session_id)


def _stripe_refunds(app: FastAPI, fake_stripe: FakeStripe) -> None:
    """How money goes back, by whomever."""

    @app.post("/stripe/refunds/dashboard", status_code=201)
    def refund(body: DashboardRefund) -> Json:
        return fake_stripe.dashboard_refund(body.payment_intent, body.amount)

    @app.put("/stripe/refunds")
    def next_refunds(body: NextRefunds) -> Json:
        """How refunds start from now on; null leaves it to the card."""
        fake_stripe.refund_status = body.status
        return body.model_dump()

    @app.post("/stripe/refunds/{refund_id}")
    def settle(refund_id: str, body: RefundStatus) -> Json:
        return fake_stripe.settle_refund(refund_id, body.status)

    @app.post("/stripe/disputes", status_code=201)
    def dispute(body: NewDispute) -> Json:
        return fake_stripe.open_dispute(body.payment_intent, body.amount)

    @app.post("/stripe/disputes/{dispute_id}/close")
    def close(dispute_id: str, body: Outcome) -> Json:
        return fake_stripe.close_dispute(dispute_id, body.outcome)


def _stored(item: Json) -> Json:
    return {name: _serialize(value) for name, value in item.items()}


def _json(item: Any) -> Json:
    """An item as JSON: numbers are integers here, sets are lists."""

    def plain(value: Any) -> Any:
        match value:
            case Decimal():
                return int(value) if value == value.to_integral_value() else float(value)
            case set():
                return sorted(plain(one) for one in value)
            case dict():
                return {name: plain(one) for name, one in value.items()}
            case list():
                return [plain(one) for one in value]
            case _:
                return value

    return {name: plain(_deserialize(value)) for name, value in item.items()}
