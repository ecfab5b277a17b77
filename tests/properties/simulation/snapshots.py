"""What is stored about bookings, here and at Stripe, at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tests.harness.booking_reader import Json
from tests.harness.running_stack import WORKFLOWS
from tests.properties.simulation.history_driver import HistoryDriver
from tests.properties.simulation.simulated_stack import SimulatedStack

REFUNDED = {"succeeded", "pending", "requires_action"}
# Notifications that ask nobody to return the money of a refund.
INFORMATIVE = ("ExecutionDied", "LatePayment")


class Run(NamedTuple):
    """An execution; `stopped_at` is None while it runs."""

    status: str
    started_at: datetime
    stopped_at: datetime | None


@dataclass(frozen=True)
class BookingSnapshot:
    """One booking. `unprocessed_events`: those that the webhook answered 2xx and has no effect on record for.

    `foreign_refunds`: refunds of money of other systems.
    """

    driver: HistoryDriver
    reservation: Json
    payment: Json
    night: Json
    sessions: list[Json]
    intents: list[Json]
    refunds: list[Json]
    disputes: list[Json]
    fraud_warnings: list[Json]
    foreign_refunds: list[Json]
    executions: Mapping[str, Run]
    notifications: list[str]
    unprocessed_events: list[Json] = field(default_factory=list)

    @property
    def captures(self) -> dict[str, Json]:
        return dict(self.payment.get("captures", {}))

    @property
    def ledger(self) -> dict[str, Json]:
        """The entries of the refund ledger by refund id."""
        return dict(self.payment.get("refunds", {}))

    @property
    def booking_captures(self) -> list[str]:
        """The PaymentIntents that pay for the booking."""
        return [pi for pi, capture in self.captures.items() if capture.get("role") == "booking"]

    @property
    def paid_intents(self) -> list[Json]:
        return [intent for intent in self.intents if intent["status"] == "succeeded"]

    def refunded(self, pi: str) -> int:
        """Cents of a PaymentIntent that Stripe has refunded, or operators outside Stripe."""
        by_stripe = sum(one["amount"] for one in self.refunds if one["payment_intent"] == pi and is_live(one))
        elsewhere = sum(
            entry["amount"]
            for entry in self.ledger.values()
            if entry["payment_intent"] == pi and entry["status"] == "settled_elsewhere"
        )
        return int(by_stripe + elsewhere)

    def asks_operators_for(self, refund_id: str) -> bool:
        """Whether a notification asks operators to see to the refund."""
        informative = (*INFORMATIVE, "DashboardRefundFailed") if refund_id.startswith("REF-") else INFORMATIVE
        return any(refund_id in text for text in self.notifications if not text.startswith(informative))


def is_live(refund: Json) -> bool:
    """Whether a refund at Stripe has returned money or may still do so."""
    return refund["status"] in REFUNDED


class StackSnapshot:
    """Everything on a stack, read once for many bookings."""

    def __init__(self, stack: SimulatedStack) -> None:
        self._stack = stack
        self._executions = self._all_executions()
        self._notifications = [note["message"] for note in stack.admin.notifications()]
        with stack.stripe.lock:
            stripe = stack.stripe
            self._sessions = stripe.all("checkout.session")
            self._intents = stripe.all("payment_intent")
            self._refunds = stripe.all("refund")
            self._disputes = stripe.all("dispute")
            self._fraud_warnings = stripe.all("radar.early_fraud_warning")
            acknowledged = {
                delivery.event_id for delivery in stripe.webhooks.deliveries if delivery.status in range(200, 300)
            }
            acknowledged_events = stripe.all("event", lambda event: event["id"] in acknowledged)
        processed = self._processed_events()
        self._unprocessed = [event for event in acknowledged_events if event["id"] not in processed]

    def _all_executions(self) -> dict[str, Run]:
        list_executions = self._stack.states.get_paginator("list_executions")
        return {
            one["name"]: Run(one["status"], one["startDate"], one.get("stopDate"))
            for workflow in WORKFLOWS
            for page in list_executions.paginate(stateMachineArn=self._stack.machine(workflow))
            for one in page["executions"]
        }

    def _processed_events(self) -> set[str]:
        table = self._stack.outputs["webhookEventsTable"]
        pages = self._stack.dynamodb.get_paginator("scan").paginate(TableName=table)
        items: list[Any] = [item for page in pages for item in page["Items"]]
        return {item["event_id"]["S"] for item in items if item["processing_result"]["S"] != "error"}

    def of(self, driver: HistoryDriver) -> BookingSnapshot:
        stack = self._stack
        tagged = [one for one in self._intents if one["metadata"].get("reservation_id") == driver.id]
        intents = [one for one in tagged if one["id"] not in driver.foreign_intents]
        intent_ids = {intent["id"] for intent in intents}
        refunds = [refund for refund in self._refunds if refund["payment_intent"] in intent_ids]
        ids = (driver.id, *intent_ids, *driver.foreign_intents, *(refund["id"] for refund in refunds))
        return BookingSnapshot(
            driver=driver,
            reservation={} if driver.deleted else stack.admin.reservation(driver.id),
            payment=driver.payment_or_empty,
            night=stack.admin.night(driver.nights[0]),
            sessions=[one for one in self._sessions if one["client_reference_id"] == driver.id],
            intents=intents,
            refunds=refunds,
            disputes=[dispute for dispute in self._disputes if dispute["payment_intent"] in intent_ids],
            fraud_warnings=[one for one in self._fraud_warnings if one["payment_intent"] in intent_ids],
            foreign_refunds=[one for one in self._refunds if one["payment_intent"] in driver.foreign_intents],
            executions={name: run for name, run in self._executions.items() if any(one in name for one in ids)},
            notifications=[text for text in self._notifications if any(one in text for one in ids)],
            unprocessed_events=[
                event
                for event in self._unprocessed
                if stack.faults.booking_of_object(event["data"]["object"]) == driver.id
            ],
        )
