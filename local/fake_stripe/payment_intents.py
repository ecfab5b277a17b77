"""What happens when a guest pays: PaymentIntents and Charges, from the card to the payment or the decline."""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Literal

from local.fake_stripe import balance
from local.fake_stripe.account import Account
from local.fake_stripe.cards import Card
from local.fake_stripe.checkout_sessions import cancel_payment
from local.fake_stripe.disputes import open_dispute
from local.fake_stripe.objects import build, new_id
from local.fake_stripe.stripe_errors import Json


@dataclass(frozen=True)
class Outcome:
    """What the pay page shows; `answered` is done after the delivery of checkout.session.completed."""

    kind: Literal["paid", "declined", "challenge", "processing", "refused"]
    message: str = ""
    answered: list[Future[None]] = field(default_factory=list)


def pay(
    account: Account, session_id: str, card: Card, *, processing: Literal["complete", "open"] | None = None
) -> Outcome:
    """The guest confirms with this card. After a decline another card can be used with the same PaymentIntent.

    `processing`: the payment takes long, until `settle`. Meanwhile the session is complete (a delayed payment method),
    or it is open (a slow card) and may expire.
    """
    session = account.get("checkout.session", session_id)
    if session["status"] != "open":
        return _closed(session)
    intent = _intent(account, session)
    if intent["status"] == "processing":
        return Outcome("refused", "A payment for this booking is being processed.")
    intent |= {"payment_method": new_id("pm"), "last_payment_error": None, "next_action": None}
    account.card_used[intent["id"]] = card
    if card.challenge:
        return _challenge(account, session, intent)
    if processing:
        intent["status"] = "processing"
        account.emit("payment_intent.processing", intent)
        answered = _complete(account, session) if processing == "complete" else []
        return Outcome("processing", "Your payment is being processed.", answered)
    return _charge(account, session, intent, card)


def answer_challenge(account: Account, session_id: str, *, passed: bool) -> Outcome:
    """The guest returns from the bank; `challenge_after_expiry` decides if the session has expired meanwhile."""
    session = account.get("checkout.session", session_id)
    intent = account.fetch(session["payment_intent"] or "")
    if intent is None or intent["status"] != "requires_action":
        return _closed(session) if session["status"] != "open" else Outcome("refused", "There is nothing to confirm.")
    if session["status"] == "expired" and account.challenge_after_expiry != "pays":
        cancel_payment(account, intent)
        return _closed(session)
    intent["next_action"] = None
    if passed:
        return _charge(account, session, intent, account.card_used[intent["id"]])
    message = "We are unable to authenticate your payment method. Please choose a different one and try again."
    error = {"code": "payment_intent_authentication_failure", "message": message, "type": "invalid_request_error"}
    _fail(account, session, intent, error)
    return Outcome("declined", message)


def settle(account: Account, payment_intent: str, *, succeeded: bool) -> None:
    """A PaymentIntent that was `processing` succeeds or fails, whatever the state of its session."""
    intent = account.get("payment_intent", payment_intent)
    if intent["status"] != "processing":
        raise ValueError(f"{payment_intent} is {intent['status']}, not processing")
    session = _session_of(account, intent)
    card = account.card_used[payment_intent]
    _charge(account, session, intent, card if succeeded else replace(card, decline="generic_decline"))


def force(
    account: Account, session_id: str, card: Card, *, amount: int | None = None, currency: str | None = None
) -> Json:
    """Pay a session in any state, as if its guest had paid while it was open."""
    session = account.get("checkout.session", session_id)
    if session["payment_status"] == "paid" or card.decline or card.challenge:
        raise ValueError(f"{session_id} is already paid, or {card.number} does not pay at once")
    intent = _intent(account, session)
    session |= {"status": "open", "amount_total": amount or session["amount_total"]}
    session["currency"] = currency or session["currency"]
    intent |= {"canceled_at": None, "cancellation_reason": None, "payment_method": new_id("pm")}
    intent |= {"amount": amount or intent["amount"], "currency": currency or intent["currency"]}
    account.card_used[intent["id"]] = card
    _charge(account, session, intent, card)
    return intent


def charge_without_session(account: Account, card: Card, *, amount: int, currency: str, metadata: Json) -> Json:
    """A charge that another system or the dashboard makes → the PaymentIntent."""
    intent = _new_intent(account, amount, currency, {"metadata": metadata})
    intent["payment_method"] = new_id("pm")
    account.card_used[intent["id"]] = card
    charge = _add_charge(account, intent, card, email=None)
    intent["latest_charge"] = charge["id"]
    _succeed(account, intent, charge)
    return intent


def closed_message(session: Json) -> str:
    if session["status"] == "complete":
        return "This payment has already been made. You will not be charged again."
    return "This payment page has expired. You have not been charged."


def _closed(session: Json) -> Outcome:
    return Outcome("refused", closed_message(session))


def _session_of(account: Account, intent: Json) -> Json:
    return account.all("checkout.session", lambda session: session["payment_intent"] == intent["id"])[0]


def _intent(account: Account, session: Json) -> Json:
    """The session's PaymentIntent, created at the first attempt."""
    if session["payment_intent"]:
        return account.get("payment_intent", session["payment_intent"])
    data = account.payment_intent_data[session["id"]]
    intent = _new_intent(account, session["amount_total"], session["currency"], data)
    session["payment_intent"] = intent["id"]
    return intent


def _new_intent(account: Account, amount: int, currency: str, data: Json) -> Json:
    intent_id = new_id("pi")
    intent = build(
        "payment_intent",
        id=intent_id,
        amount=amount,
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        capture_method="automatic_async",
        client_secret=f"{intent_id}_secret_{new_id('local')}",
        confirmation_method="automatic",
        created=account.clock.timestamp(),
        currency=currency,
        description=data.get("description"),
        metadata=data.get("metadata") or {},
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=["card"],
        receipt_email=data.get("receipt_email"),
        statement_descriptor=data.get("statement_descriptor"),
        statement_descriptor_suffix=data.get("statement_descriptor_suffix"),
        status="requires_payment_method",
    )
    account.add(intent)
    account.emit("payment_intent.created", intent)
    return intent


def _challenge(account: Account, session: Json, intent: Json) -> Outcome:
    url = f"{account.base_url}/pay/{session['id']}/challenge"
    redirect = {"return_url": session["success_url"], "url": url}
    intent |= {"status": "requires_action", "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect}}
    account.emit("payment_intent.requires_action", intent)
    return Outcome("challenge")


def _charge(account: Account, session: Json, intent: Json, card: Card) -> Outcome:
    charge = _add_charge(account, intent, card, email=session["customer_email"])
    intent["latest_charge"] = charge["id"]
    if card.decline:
        account.emit("charge.failed", charge)
        error = {
            "code": card.code,
            "decline_code": card.decline,
            "message": card.decline_message,
            "type": "card_error",
            "charge": charge["id"],
        }
        _fail(account, session, intent, error)
        if session["status"] == "complete":
            account.emit("checkout.session.async_payment_failed", session)
        return Outcome("declined", card.decline_message)
    _succeed(account, intent, charge)
    answered = _mark_paid(account, session)
    if card.disputed:
        account.clock.after(account.dispute_delay_seconds, lambda: open_dispute(account, intent["id"]))
    return Outcome("paid", answered=answered)


def _succeed(account: Account, intent: Json, charge: Json) -> None:
    intent |= {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None}
    account.emit("charge.succeeded", charge)
    account.emit("payment_intent.succeeded", intent)


def _mark_paid(account: Account, session: Json) -> list[Future[None]]:
    """Mark the session as paid. A complete one emits its delayed event; an expired one stays expired, without event."""
    session["payment_status"] = "paid"
    if session["status"] == "complete":
        return [account.emit("checkout.session.async_payment_succeeded", session)]
    return _complete(account, session) if session["status"] == "open" else []


def _complete(account: Account, session: Json) -> list[Future[None]]:
    details = session["customer_details"] or {"email": "guest@example.com"}
    session |= {
        "status": "complete",
        "url": None,
        "customer_details": details | {"name": "Guest", "phone": None, "address": None},
    }
    return [account.emit("checkout.session.completed", session)]


def _fail(account: Account, session: Json, intent: Json, error: Json) -> None:
    method = {"id": intent["payment_method"], "object": "payment_method", "type": "card"}
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_payment_error": error | {"payment_method": method},
    }
    account.emit("payment_intent.payment_failed", intent)
    if session["status"] == "expired":
        cancel_payment(account, intent)


def _add_charge(account: Account, intent: Json, card: Card, *, email: str | None) -> Json:
    paid = card.decline is None
    charge_id = new_id("ch")
    network = "approved_by_network" if paid else "declined_by_network"
    charge = build(
        "charge",
        id=charge_id,
        amount=intent["amount"],
        amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0,
        billing_details={"address": None, "email": email, "name": "Guest", "phone": None, "tax_id": None},
        calculated_statement_descriptor="BOOKING",
        captured=paid,
        created=account.clock.timestamp(),
        currency=intent["currency"],
        description=intent["description"],
        disputed=False,
        failure_code=None if paid else card.code,
        failure_message=None if paid else card.decline_message,
        fraud_details={},
        # Copied when the charge is created; later changes of the PaymentIntent do not affect it.
        metadata=dict(intent["metadata"]),
        outcome={
            "network_status": network,
            "reason": card.decline,
            "risk_level": "normal",
            "seller_message": "Payment complete."
            if paid
            else "The bank did not return any further details with this decline.",
            "type": "authorized" if paid else "issuer_declined",
        },
        paid=paid,
        payment_intent=intent["id"],
        payment_method=intent["payment_method"],
        payment_method_details={
            "type": "card",
            "card": {
                "brand": card.brand,
                "country": "US",
                "exp_month": 12,
                "exp_year": 2034,
                "funding": "credit",
                "last4": card.number[-4:],
            },
        },
        receipt_email=intent["receipt_email"],
        refunded=False,
        status="succeeded" if paid else "failed",
    )
    if paid:
        moved = balance.record(account, "charge", charge["amount"], charge, fee=balance.charge_fee(charge["amount"]))
        charge["balance_transaction"] = moved["id"]
    refunds = {"object": "list", "data": [], "has_more": False, "url": f"/v1/charges/{charge_id}/refunds"}
    account.add(refunds | {"id": f"{charge_id}/refunds"})
    return account.add(charge)
