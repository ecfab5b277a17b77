"""The fake Stripe: its faults, its clock, its webhooks, and what happens at Stripe without a call of ours."""

from fastapi import FastAPI

from local.admin_api.executions import Json
from local.admin_api.request_bodies import (
    ChargeElsewhere,
    ClockAdvance,
    DashboardRefund,
    DisputeOutcome,
    NewDispute,
    NewFraudWarning,
    NextRefundStatus,
    RefundStatus,
    StripeEvent,
    StripeFault,
    WebhookMode,
)
from local.fake_stripe.fake_stripe import FakeStripe


def add_routes(app: FastAPI, fake_stripe: FakeStripe) -> None:
    _add_requests(app, fake_stripe)
    _add_events(app, fake_stripe)
    _add_sessions(app, fake_stripe)
    _add_refunds(app, fake_stripe)


def _add_requests(app: FastAPI, fake_stripe: FakeStripe) -> None:
    @app.get("/stripe/requests")
    def requests() -> list[Json]:
        """The requests that Stripe received."""
        return [request.as_json() for request in fake_stripe.requests]

    @app.post("/stripe/faults", status_code=201)
    def fault(body: StripeFault) -> Json:
        """Let the next calls of a Stripe operation fail."""
        fake_stripe.faults.add(body.operation, body.kind, body.times)  # type: ignore[arg-type]  # checked there
        return body.model_dump()

    @app.delete("/stripe/faults", status_code=204)
    def recover() -> None:
        """Remove all faults."""
        fake_stripe.faults.clear()


def _add_events(app: FastAPI, fake_stripe: FakeStripe) -> None:
    @app.post("/stripe/events")
    def deliver(body: StripeEvent) -> Json:
        """Sign an event and deliver it to the webhook."""
        status, answer = fake_stripe.deliver(body.event)
        return {"status": status, "answer": answer}

    @app.post("/stripe/webhooks")
    def mode(body: WebhookMode) -> Json:
        """How webhooks are delivered from now on: deliver, hold, drop, duplicate or reverse."""
        fake_stripe.webhooks.set_mode(body.mode)  # type: ignore[arg-type]  # checked there
        return body.model_dump()

    @app.post("/stripe/webhooks/release")
    def release() -> Json:
        """Deliver the webhooks that are held."""
        return {"released": fake_stripe.webhooks.release()}


def _add_sessions(app: FastAPI, fake_stripe: FakeStripe) -> None:
    @app.post("/stripe/clock")
    def clock(body: ClockAdvance) -> Json:
        """Move Stripe's clock forward."""
        fake_stripe.clock.advance(body.advance_seconds)
        return {"now": fake_stripe.clock.timestamp()}

    @app.post("/stripe/sessions/{session_id}/expire")
    def expire(session_id: str) -> Json:
        """Let a Checkout Session expire at Stripe."""
        return fake_stripe.expire_session(session_id)

    @app.post("/stripe/sessions/{session_id}/pay")
    def pay(session_id: str) -> Json:
        """Pay a Checkout Session whatever its status, as if it had been paid just before."""
        return fake_stripe.force_payment(session_id)

    @app.post("/stripe/charges", status_code=201)
    def charge(body: ChargeElsewhere) -> Json:
        """Take money as another system on the Stripe account does, with `checkout` in a session of its own."""
        return fake_stripe.charge_elsewhere(amount=body.amount, metadata=dict(body.metadata), checkout=body.checkout)


def _add_refunds(app: FastAPI, fake_stripe: FakeStripe) -> None:
    @app.post("/stripe/refunds/dashboard", status_code=201)
    def refund(body: DashboardRefund) -> Json:
        """Refund a payment in Stripe's Dashboard."""
        return fake_stripe.dashboard_refund(body.payment_intent, body.amount)

    @app.put("/stripe/refunds")
    def next_refunds(body: NextRefundStatus) -> Json:
        """The status that new refunds get; null: the card decides."""
        fake_stripe.refund_status = body.status
        return body.model_dump()

    @app.post("/stripe/refunds/{refund_id}")
    def settle(refund_id: str, body: RefundStatus) -> Json:
        """Change the status of a refund."""
        return fake_stripe.settle_refund(refund_id, body.status)

    @app.post("/stripe/disputes", status_code=201)
    def dispute(body: NewDispute) -> Json:
        """Open a dispute or an inquiry about a payment."""
        return fake_stripe.open_dispute(body.payment_intent, body.amount, body.status)

    @app.post("/stripe/fraud-warnings", status_code=201)
    def fraud_warning(body: NewFraudWarning) -> Json:
        """Warn of fraud in a payment, as a card network does days before a dispute."""
        return fake_stripe.warn_of_fraud(body.payment_intent)

    @app.post("/stripe/disputes/{dispute_id}/escalate")
    def escalate(dispute_id: str) -> Json:
        """Turn an inquiry into a dispute."""
        return fake_stripe.escalate_inquiry(dispute_id)

    @app.post("/stripe/disputes/{dispute_id}/close")
    def close(dispute_id: str, body: DisputeOutcome) -> Json:
        """Close a dispute as won or lost, or an inquiry."""
        return fake_stripe.close_dispute(dispute_id, body.outcome)
