"""The fake Stripe: the application at `/stripe`, and what tests, the demo and the admin API can make happen."""

from collections.abc import Iterable
from typing import Literal

from starlette.applications import Starlette
from starlette.routing import Mount

from local import credentials
from local.fake_stripe import (
    balance,
    checkout_sessions,
    disputes,
    pay_page,
    payment_intents,
    stripe_refunds,
    webhook_endpoints,
)
from local.fake_stripe.account import Account
from local.fake_stripe.app import Api
from local.fake_stripe.cards import CARDS
from local.fake_stripe.objects import API_VERSION, new_id
from local.fake_stripe.stripe_errors import Json
from local.fake_stripe.webhook_delivery import encode, sign


class FakeStripe(Account):
    """One account with one webhook endpoint; `app` is mounted where `base_url` says (`http://127.0.0.1:8400/stripe`).

    All methods are thread-safe. `deliver` blocks until the webhook responds; the others return at once.
    `api_keys`: the accepted keys, two while one is being rolled. `webhook_secrets`: the secrets that sign deliveries,
    two while one is being rolled.
    """

    def __init__(
        self,
        *,
        base_url: str,
        webhook_url: str,
        api_key: str = credentials.STRIPE_API_KEY,
        webhook_secret: str = credentials.WEBHOOK_SECRET,
        enabled_events: Iterable[str] = ("*",),
    ) -> None:
        super().__init__(base_url=base_url, api_key=api_key)
        self.endpoint = webhook_endpoints.add(
            self, webhook_url, enabled_events=list(enabled_events), secret=webhook_secret
        )
        self.app = Starlette(routes=[Mount("/v1", app=Api(self)), *pay_page.routes(self)])

    @property
    def webhook_secrets(self) -> list[str]:
        return self.webhooks.secrets[self.endpoint["id"]]

    @webhook_secrets.setter
    def webhook_secrets(self, secrets: list[str]) -> None:
        self.webhooks.secrets[self.endpoint["id"]] = secrets

    def expire_session(self, session_id: str) -> Json:
        """Expire the session at Stripe, now."""
        with self.current():
            return dict(checkout_sessions.expire(self, {}, session_id))

    def pay(self, session_id: str, card_number: str = "4242424242424242") -> payment_intents.Outcome:
        """Pay as the pay page does, but without waiting for the webhook."""
        with self.current():
            return payment_intents.pay(self, session_id, CARDS[card_number])

    def force_payment(
        self,
        session_id: str,
        card_number: str = "4242424242424242",
        *,
        amount: int | None = None,
        currency: str | None = None,
    ) -> Json:
        """Pay a session in any state (an expired one becomes complete), with this amount → the PaymentIntent."""
        with self.current():
            return dict(payment_intents.force(self, session_id, CARDS[card_number], amount=amount, currency=currency))

    def charge_elsewhere(
        self, *, amount: int, currency: str = "eur", metadata: Json | None = None, checkout: bool = False
    ) -> Json:
        """Take money as another system on the account does, in a Checkout Session or without → the PaymentIntent."""
        metadata = metadata or {}
        with self.current():
            card = CARDS["4242424242424242"]
            if not checkout:
                return dict(
                    payment_intents.charge_without_session(
                        self, card, amount=amount, currency=currency, metadata=metadata
                    )
                )
            price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Elsewhere"}}
            session = checkout_sessions.create(
                self,
                {
                    "mode": "payment",
                    "line_items": [{"price_data": price}],
                    "success_url": "https://elsewhere.example",
                    "metadata": metadata,
                    "payment_intent_data": {"metadata": metadata},
                },
            )
            return dict(payment_intents.force(self, session["id"], card))

    def start_processing(
        self,
        session_id: str,
        card_number: str = "4242424242424242",
        *,
        session_status: Literal["open", "complete"] = "open",
    ) -> str:
        """The guest confirms and the bank takes long → the PaymentIntent, `processing` until `finish_processing`."""
        with self.current():
            payment_intents.pay(self, session_id, CARDS[card_number], processing=session_status)
            return str(self.get("checkout.session", session_id)["payment_intent"])

    def finish_processing(self, payment_intent: str, *, succeeded: bool) -> None:
        with self.current():
            payment_intents.settle(self, payment_intent, succeeded=succeeded)

    def dashboard_refund(self, payment_intent: str, amount: int | None = None) -> Json:
        with self.current():
            return dict(stripe_refunds.from_dashboard(self, payment_intent, amount))

    def settle_refund(
        self, refund_id: str, status: Literal["succeeded", "failed", "canceled", "requires_action", "pending"]
    ) -> Json:
        with self.current():
            return dict(stripe_refunds.settle(self, refund_id, status))

    def open_dispute(
        self, payment_intent: str, amount: int | None = None, status: disputes.Opening = "needs_response"
    ) -> Json:
        """Open a dispute, or an inquiry (`warning_needs_response`)."""
        with self.current():
            return dict(disputes.open_dispute(self, payment_intent, amount=amount, status=status))

    def warn_of_fraud(self, payment_intent: str) -> Json:
        with self.current():
            return dict(disputes.warn_of_fraud(self, payment_intent))

    def escalate_inquiry(self, dispute_id: str) -> Json:
        with self.current():
            return dict(disputes.escalate_inquiry(self, dispute_id))

    def close_dispute(self, dispute_id: str, outcome: disputes.DisputeOutcome) -> Json:
        with self.current():
            return dict(disputes.close_dispute(self, dispute_id, outcome))

    def balance(self) -> dict[str, int]:
        """What is on the account, by currency."""
        with self.current():
            return balance.total(self)

    def pay_out(self) -> list[Json]:
        """Make the automatic payouts of what is available."""
        with self.current():
            return balance.pay_out(self)

    def deliver(
        self, event: Json, *, secrets: list[str] | None = None, timestamp: int | None = None
    ) -> tuple[int | None, str]:
        """Complete the envelope, sign it with the current or the given secrets, post it once → status and body."""
        envelope: Json = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.clock.timestamp(),
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
        }
        body = encode(envelope | event)
        return self.webhooks.post(
            self.endpoint["url"], body, sign(body, *(secrets or self.webhook_secrets), timestamp=timestamp)
        )

    def resend(self, event_id: str) -> None:
        """Deliver a recorded event again."""
        with self.lock:
            self.webhooks.resend(self.get("event", event_id))


def create_app(fake_stripe: FakeStripe) -> Starlette:
    """The application to mount at `/stripe`."""
    return fake_stripe.app
