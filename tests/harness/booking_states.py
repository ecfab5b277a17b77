"""The state functions of both workflows, run directly on one booking."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from lambdas import confirm_reservation, create_checkout_session, expire_checkout_sessions, release_hold, verify_payment
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters.dynamodb import to_item
from shared.domain.errors import StripeUnavailable
from shared.domain.models import Payment
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import CONTEXT
from tests.harness.stored_tables import Stored

type Json = dict[str, Any]
STATE = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1", "execution": "RES-1"}


class BookingStates:
    """Runs state functions on the booking RES-1, and shows what is stored of it and what Stripe was asked."""

    def __init__(self, stored: Stored, stripe_account: FakeStripe, clock: Clock) -> None:
        self.stored, self.stripe, self.clock = stored, stripe_account, clock

    def run(self, state: ModuleType, **fields: Any) -> Json:
        return dict(state.handler(STATE | fields, CONTEXT))

    def create_session(self) -> Json:
        return self.run(create_checkout_session)

    def verify(self, *refunds_started: str) -> Json:
        return self.run(verify_payment, refunds_started=list(refunds_started))

    def expire_sessions(self, *refunds_started: str) -> Json:
        return self.run(expire_checkout_sessions, refunds_started=list(refunds_started))

    def confirm(self, pi: str = "pi_1") -> Json:
        return self.run(confirm_reservation, payment_intent=pi)

    def release(self) -> Json:
        return self.run(release_hold)

    def run_refund(self, state: ModuleType, *, execution: str = "G1", **fields: Any) -> Json:
        return self.run(state, refund_id="G1", execution=execution, **fields)

    def publish(self, opened: Json) -> str:
        """Publish an attempt as the state AwaitPayment does, which has no function; return its session's id."""
        item = self.item
        item["attempts"][opened["key"]] |= {
            "status": "open",
            "counted": 1,
            "stripe_checkout_session_id": opened["session_id"],
            "checkout_url": opened["checkout_url"],
            "checkout_expires_at": opened["checkout_expires_at"],
        }
        self.stored.put("payments", item | {"awaiting": "payment", "task_token": "token", "token_sequence": 1})
        return str(opened["session_id"])

    def open_session(self) -> str:
        """Create and publish the next session; return its id."""
        return self.publish(self.create_session())

    def fail_to_create_session(self, *faults: tuple[Any, int]) -> None:
        """Run CreateCheckoutSession into faults of Stripe, each given with how often it happens."""
        for kind, times in faults:
            self.stripe.faults.add("checkout.sessions.create", kind, times)
        with pytest.raises(StripeUnavailable):
            self.create_session()

    @contextmanager
    def fails_unchanged(self, error: type[Exception]) -> Iterator[None]:
        """Expect the error, and that nothing of the booking has changed."""
        before = self.everything
        with pytest.raises(error):
            yield
        assert self.everything == before

    def change(self, **changes: Any) -> None:
        self.stored.change("PAY-RES-1", **changes)

    def replace(self, payment: Payment, **fields: Any) -> None:
        self.stored.put("payments", to_item(payment) | fields)

    @property
    def item(self) -> Json:
        return self.stored.get("payments", "PAY-RES-1")

    @property
    def reservation(self) -> Json:
        return self.stored.get("reservations", "RES-1")

    @property
    def attempts(self) -> Json:
        return dict(self.item["attempts"])

    @property
    def statuses(self) -> dict[str, str]:
        return {key: attempt["status"] for key, attempt in self.attempts.items()}

    @property
    def entry(self) -> Json:
        return dict(self.item["refunds"]["G1"])

    @property
    def everything(self) -> list[Json]:
        return [*self.stored.all("payments"), self.reservation, *self.stored.all("availability")]

    def night(self, date: str) -> Json:
        return self.stored.get("availability", date)

    @property
    def requested(self) -> list[str | None]:
        """The operations requested from Stripe, including the SDK's retries."""
        return [request.operation for request in self.stripe.requests]

    @property
    def sessions(self) -> list[str]:
        """The statuses of the Checkout Sessions at Stripe."""
        return [session["status"] for session in self.stripe.all("checkout.session")]
