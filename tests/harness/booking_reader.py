"""What can be read about one booking on a running local stack: stored, running, published, and at Stripe."""

import contextlib
import itertools
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from local.admin_api.executions import Execution, Workflow
from local.aws import emulator
from shared.adapters.step_functions import payment_execution_name
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from tests.harness.running_stack import RunningStack

type Json = dict[str, Any]


class BookingReader:
    """`cancellation_id`: the id of the refund when the guest cancels a paid stay."""

    def __init__(self, stack: "RunningStack", reservation: Json) -> None:
        self.stack = stack
        self.id: str = reservation["reservation_id"]
        self.payment_id = f"PAY-{self.id}"
        self.cancellation_id = f"{self.payment_id}-cancellation"
        self.customer_id: str = reservation["customer_id"]
        self.check_in = date.fromisoformat(reservation["check_in"])
        days = (date.fromisoformat(reservation["check_out"]) - self.check_in).days
        self.nights = [(self.check_in + timedelta(days=day)).isoformat() for day in range(days)]

    @property
    def token(self) -> str:
        """A token of the guest."""
        return self.stack.token(self.customer_id)

    # What is stored.

    @property
    def payment(self) -> Json:
        """The payment item. Raises LookupError."""
        return self.stack.admin.payment(self.id)

    @property
    def payment_or_empty(self) -> Json:
        with contextlib.suppress(LookupError):
            return self.payment
        return {}

    @property
    def reservation_status(self) -> str:
        return str(self.stack.admin.reservation(self.id)["status"])

    @property
    def nights_status(self) -> str:
        """Each different status of the nights; `another's` for a night of somebody else."""
        return ", ".join(sorted({self._night_status(day) for day in self.nights}))

    def _night_status(self, day: str) -> str:
        night = self.stack.admin.night(day)
        return str(night["status"]) if night.get("reservation_id") in {None, self.id} else "another's"

    @property
    def payment_intent(self) -> str:
        """The PaymentIntent that paid for the booking."""
        captures: Json = self.payment["captures"]
        return next(pi for pi, capture in captures.items() if capture.get("role") == "booking")

    @property
    def ledger(self) -> tuple[str, int, int, int]:
        """The payment's status, the amounts refunded and pending, and what no refund has reserved yet."""
        item = self.payment
        amounts = item.get("refund_amount", 0), item.get("refund_pending_amount", 0)
        return item["status"], *amounts, item["captures"][self.payment_intent]["refundable"]

    def entry(self, refund_id: str | None = None) -> Json:
        """A refund in the ledger, by default the cancellation's."""
        found: Json = self.payment["refunds"][refund_id or self.cancellation_id]
        return found

    # What runs.

    def execution(self, restart: int = 0) -> Execution:
        """The payment's execution, or one of its replacements. Raises LookupError."""
        return self.stack.admin.execution(payment_execution_name(self.id, restart))

    def executions(self) -> list[Execution]:
        """The payment's execution and its replacements."""
        found = []
        for restart in itertools.count():
            try:
                found.append(self.execution(restart))
            except LookupError:
                break
        return found

    def refund_execution(self, name: str | None = None) -> Execution:
        """A refund's execution, by default the cancellation's. Raises LookupError."""
        return self.stack.admin.execution(name or self.cancellation_id, "refund")

    def wait_in(self, state: str, restart: int = 0) -> None:
        """Wait until the payment's execution waits in this state."""
        wait_until(
            lambda: self.execution(restart).waiting_in == state,
            lambda: f"{self.id} to wait in {state}: {self.execution(restart)}",
        )

    def wait_refund_in(self, state: str, name: str | None = None) -> None:
        """Wait until a refund's execution waits in this state."""
        wait_until(lambda: self.refund_execution(name).waiting_in == state, f"{name or self.id} to wait in {state}")

    def wait_until_awaiting(self, awaited: str, *, after: int = 0) -> int:
        """Wait until the payment item holds a task token newer than `after`; its sequence number."""

        def sequence() -> int:
            item = self.payment
            newer = item.get("awaiting") == awaited and item["token_sequence"] > after
            return int(item["token_sequence"]) if newer else 0

        return wait_until(sequence, f"{self.id} to await {awaited}")

    def wait_for_end(self, restart: int = 0) -> Execution:
        self._wait_until_closed(payment_execution_name(self.id, restart), "payment")
        return self.execution(restart)

    def wait_for_refund_end(self, name: str | None = None) -> Execution:
        self._wait_until_closed(name or self.cancellation_id, "refund")
        return self.refund_execution(name)

    def _wait_until_closed(self, name: str, workflow: Workflow) -> None:
        arn, states = self.stack.execution_arn(name, workflow), self.stack.states

        def closed() -> bool:
            try:
                return bool(states.describe_execution(executionArn=arn)["status"] != "RUNNING")
            except states.exceptions.ExecutionDoesNotExist:
                return False

        wait_until(closed, f"{name} to end")

    def execution_names(self) -> dict[str, Workflow]:
        """Every execution about this booking or one of its refunds, with its workflow."""
        refunds = self.payment_or_empty.get("refunds", {}).values()
        ids = [self.id, *(intent["id"] for intent in self.intents())]
        ids += [entry["stripe_refund_id"] for entry in refunds if "stripe_refund_id" in entry]
        workflows: tuple[Workflow, ...] = ("payment", "refund")
        return {
            execution["name"]: workflow
            for workflow in workflows
            for execution in self.stack.admin.executions(workflow)
            if any(one in execution["name"] for one in ids)
        }

    # What Stripe has, and what it sent.

    def sessions(self) -> list[Json]:
        """Oldest first."""
        return self.stack.stripe.all("checkout.session", lambda one: one["client_reference_id"] == self.id)

    def intents(self) -> list[Json]:
        """The PaymentIntents, oldest first."""
        stripe = self.stack.stripe
        with stripe.lock:
            return stripe.all("payment_intent", lambda one: one["metadata"].get("reservation_id") == self.id)

    def stripe_requests(self, operation: str) -> list[Json]:
        """The calls of an operation that Stripe got about this booking."""
        ids = [self.id, *(session["id"] for session in self.sessions())]
        found = [one.as_json() for one in list(self.stack.stripe.requests) if one.operation == operation]
        return [request for request in found if any(id_ in json.dumps(request) for id_ in ids)]

    def refunds_at_stripe(self, payment_intent: str | None = None) -> list[tuple[str, int]]:
        """Status and amount of each refund of a PaymentIntent, by default the booking's."""
        of = payment_intent or self.payment_intent
        refunds = self.stack.stripe.all("refund", lambda refund: refund["payment_intent"] == of)
        return [(refund["status"], refund["amount"]) for refund in refunds]

    def events(self, event_type: str) -> list[str]:
        """The ids of the events of this type that Stripe sent about the booking."""

        def ours(event: Json) -> bool:
            return event["type"] == event_type and self.id in json.dumps(event["data"])

        return [event["id"] for event in self.stack.stripe.all("event", ours)]

    def deliveries(self, event_id: str) -> list[int | None]:
        """The status that each delivery of an event was answered with."""
        sent = list(self.stack.stripe.webhooks.deliveries)
        return [delivery.status for delivery in sent if delivery.event_id == event_id]

    def processing_result(self, event_id: str) -> str | None:
        """What the webhook has stored about an event."""
        found = self.stack.table("webhookEvents").get_item(Key={"event_id": event_id}, ConsistentRead=True)
        return found["Item"]["processing_result"] if "Item" in found else None

    # What others hear.

    def published(self, detail_type: str | None = None) -> list[Json]:
        """The details of the events on the bus about this booking; of one type, or of all."""
        ours = [event for event in list(emulator.published) if event.detail["reservation_id"] == self.id]
        return [event.detail for event in ours if detail_type in {None, event.detail_type}]

    def published_types(self) -> list[str]:
        return [event.detail_type for event in list(emulator.published) if event.detail["reservation_id"] == self.id]

    def notified(self) -> list[str]:
        """The kinds of the notifications to operators about this booking."""
        return [message.partition(":")[0] for message in self.stack.notifications(self.id)]
