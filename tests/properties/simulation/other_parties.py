"""What others do about a booking: other systems on the Stripe account, operators in its dashboard, the platform."""

import contextlib
from collections import Counter
from typing import Any, Literal

from local.fake_stripe.stripe_errors import StripeError
from tests.harness.booking_driver import BookingDriver
from tests.harness.booking_reader import Json
from tests.properties.simulation.steps import UNREADABLE

type Tag = Literal["ours", "another stack", "none"]


class OtherParties(BookingDriver):
    """Each kind of step is a method.

    `foreign_intents`: money of other systems, of which they have returned `refunded_elsewhere` cents themselves.
    `kept_by_platform`: the platform has given the reservation a status of its own, or has confirmed it. `deleted`: it
    has deleted the reservation. `unreadable`: the right values of what it has written in a way that we cannot read.
    """

    withdrawn: bool
    price: int
    requested_refunds: set[str]
    steps_done: Counter[str]

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.foreign_intents: set[str] = set()
        self.refunded_elsewhere = 0
        self.kept_by_platform = self.deleted = False
        self.unreadable: Json = {}

    # Other systems on the account.

    def charge_elsewhere(self, tag: Tag, amount: int, checkout: int) -> None:
        """Take money without us, with our metadata or that of a stack that has the same reservation."""
        stack = {"ours": self._stack_name, "another stack": "booking-other"}.get(tag)
        ours = {"stack": stack, "reservation_id": self.id, "payment_id": self.payment_id, "attempt": "1"}
        stripe = self.stack.stripe
        charged = stripe.charge_elsewhere(amount=amount, metadata=ours if stack else {}, checkout=bool(checkout))
        self.foreign_intents.add(charged["id"])
        self.steps_done[f"charge elsewhere, {tag}"] += 1

    def refund_elsewhere(self) -> None:
        """Another system refunds its own money, with our metadata."""
        for pi in sorted(self.foreign_intents)[:1]:
            with contextlib.suppress(StripeError):
                self.stack.stripe.dashboard_refund(pi, 100)
                self.refunded_elsewhere += 100
                self.steps_done["refund elsewhere"] += 1

    @property
    def _stack_name(self) -> str:
        return str(self.stack.local.deployment.environment["STACK"])

    # Operators in Stripe's dashboard, and the guest's bank.

    def own_intents(self) -> list[Json]:
        """The PaymentIntents of our sessions that were paid."""
        return [one for one in self.intents() if one["status"] == "succeeded" and one["id"] not in self.foreign_intents]

    def refund_at_stripe(self, amount: int) -> None:
        """Refund what Stripe shows as paid, whether or not we know of it."""
        for intent in self.own_intents()[:1]:
            self.withdrawn = True
            self.requested_refunds.add("dashboard")
            with contextlib.suppress(StripeError):
                self.stack.stripe.dashboard_refund(intent["id"], amount)
                self.steps_done["refund at Stripe"] += 1

    def inquire(self) -> None:
        for intent in self.own_intents()[:1]:
            self.stack.stripe.open_dispute(intent["id"], status="warning_needs_response")
            self.steps_done["an inquiry"] += 1

    def dispute(self) -> None:
        for intent in self.own_intents()[:1]:
            self.withdrawn = True
            self.stack.stripe.open_dispute(intent["id"])
            self.steps_done["a dispute"] += 1

    def warn_of_fraud(self) -> None:
        """The card network expects that the guest disputes the charge."""
        for intent in self.own_intents()[:1]:
            self.stack.stripe.warn_of_fraud(intent["id"])
            self.steps_done["a fraud warning"] += 1

    def escalate(self) -> None:
        for dispute in self._disputes({"warning_needs_response"})[:1]:
            self.withdrawn = True
            self.stack.stripe.escalate_inquiry(dispute["id"])
            self.steps_done["an inquiry escalated"] += 1

    def close_dispute(self, outcome: Literal["won", "lost"]) -> None:
        for dispute in self._disputes({"needs_response"})[:1]:
            self.stack.stripe.close_dispute(dispute["id"], outcome)
            self.steps_done[f"a dispute {outcome}"] += 1

    def _disputes(self, statuses: set[str]) -> list[Json]:
        ours = {intent["id"] for intent in self.own_intents()}
        with self.stack.stripe.lock:
            return self.stack.stripe.all(
                "dispute", lambda one: one["payment_intent"] in ours and one["status"] in statuses
            )

    # The platform.

    def confirm_on_platform(self) -> None:
        """The guest has paid another way."""
        self._set_status("confirmed")

    def set_status_on_platform(self, status: str) -> None:
        self._set_status(status)

    def _set_status(self, status: str) -> None:
        if not self.deleted:
            self.withdrawn = self.kept_by_platform = True
            self.set_stored("reservations", "status", status)
            self.steps_done[f"status {status} by the platform"] += 1

    def delete_reservation(self) -> None:
        self.withdrawn = self.deleted = True
        self.stack.table("reservations").delete_item(Key={"reservation_id": self.id})
        self.steps_done["reservation deleted"] += 1

    def break_reservation(self, name: str) -> None:
        """Write what we cannot read, until it is fixed."""
        if not self.deleted and name not in self.unreadable:
            self.unreadable[name] = self._stored_reservation[name]
            self.set_stored("reservations", name, UNREADABLE[name])
            self.steps_done[f"unreadable {name}"] += 1

    def fix_reservation(self) -> None:
        for name, value in self.unreadable.items():
            if not self.deleted:
                self.set_stored("reservations", name, value)
        self.unreadable.clear()

    @property
    def reservation_status(self) -> str:
        return "deleted" if self.deleted else super().reservation_status

    @property
    def _stored_reservation(self) -> Json:
        key = {"reservation_id": self.id}
        return dict(self.stack.table("reservations").get_item(Key=key, ConsistentRead=True)["Item"])
