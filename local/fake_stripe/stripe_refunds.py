"""Refunds: what can be refunded, how refunds settle, and the effect on the charge."""

from typing import Final

from local.fake_stripe import balance
from local.fake_stripe.account import Account
from local.fake_stripe.objects import build, new_id
from local.fake_stripe.stripe_errors import InvalidRequestError, Json, ParameterError

# Refunds with these statuses count against the charge, including those that are not completed yet.
_COUNTED: Final = {"pending", "requires_action", "succeeded"}
_TRANSITIONS: Final = {
    "pending": {"succeeded", "failed", "canceled", "requires_action"},
    "requires_action": {"pending", "succeeded", "failed", "canceled"},
    "succeeded": {"failed"},
}
_SUPPORTED = {"amount", "charge", "expand", "metadata", "payment_intent", "reason"}


def create(account: Account, params: Json) -> Json:
    if unknown := params.keys() - _SUPPORTED:
        name = min(unknown)
        raise ParameterError(f"The fake does not support the parameter {name}.", param=name)
    if params.get("amount", 1) < 1:
        text = "This value must be greater than or equal to 1."
        raise ParameterError(text, code="parameter_invalid_integer", param="amount")
    charge = _charge(account, params)
    amount = params.get("amount", _unrefunded(account, charge))
    _check(account, charge, amount)
    return make(account, charge, amount, metadata=params.get("metadata") or {}, reason=params.get("reason"))


def make(account: Account, charge: Json, amount: int, *, metadata: Json, reason: str | None) -> Json:
    card = account.card_used[charge["payment_intent"]]
    status = account.refund_status or ("pending" if card.refunds == "pending" else "succeeded")
    refund = account.add(
        build(
            "refund",
            id=new_id("re"),
            amount=amount,
            charge=charge["id"],
            created=account.clock.timestamp(),
            currency=charge["currency"],
            destination_details={
                "card": {
                    "type": "refund",
                    "reference_status": "pending",
                    "reference_type": "acquirer_reference_number",
                },
                "type": "card",
            },
            failure_reason="insufficient_funds" if status == "failed" else None,
            metadata=metadata,
            payment_intent=charge["payment_intent"],
            payment_method=charge["payment_method"],
            pending_reason="insufficient_funds" if account.refund_status == "pending" else None,
            reason=reason,
            status=status,
        )
    )
    if status == "succeeded":
        refund["balance_transaction"] = balance.record(account, "refund", -amount, refund)["id"]
    account.get("list", f"{charge['id']}/refunds")["data"].insert(0, refund)
    account.emit("refund.created", refund)
    if status == "failed":
        account.emit("refund.failed", refund)
    _update_charge(account, charge)
    if account.refund_status is None and card.refunds != "succeeded":
        later = "succeeded" if card.refunds == "pending" else "failed"
        account.clock.after(account.refund_delay_seconds, lambda: _settle_later(account, refund, later))
    return refund


def settle(account: Account, refund_id: str, status: str) -> Json:
    """Change the status of a refund. Raises ValueError for a transition that Stripe does not make."""
    refund = account.get("refund", refund_id)
    if status not in _TRANSITIONS.get(refund["status"], set()):
        raise ValueError(f"a refund that is {refund['status']} cannot become {status}")
    previous = {"status": refund["status"]}
    refund |= {"status": status, "pending_reason": None}
    if status == "succeeded":
        refund["balance_transaction"] = balance.record(account, "refund", -refund["amount"], refund)["id"]
    if status == "failed":
        refund["failure_reason"] = "expired_or_canceled_card"
        if refund["balance_transaction"]:
            returned = balance.record(account, "refund_failure", refund["amount"], refund)
            refund["failure_balance_transaction"] = returned["id"]
    account.emit("refund.updated", refund, previous=previous)
    account.emit("charge.refund.updated", refund, previous=previous)
    if status == "failed":
        account.emit("refund.failed", refund)
    _update_charge(account, account.get("charge", refund["charge"]))
    return refund


def from_dashboard(account: Account, payment_intent: str, amount: int | None) -> Json:
    """A refund made in Stripe's dashboard: without metadata, by the same rules."""
    charge = _charge(account, {"payment_intent": payment_intent})
    amount = amount or _unrefunded(account, charge)
    _check(account, charge, amount)
    return make(account, charge, amount, metadata={}, reason="requested_by_customer")


def _settle_later(account: Account, refund: Json, status: str) -> None:
    # A test may have settled it meanwhile.
    if status in _TRANSITIONS.get(refund["status"], set()):
        settle(account, refund["id"], status)


def _charge(account: Account, params: Json) -> Json:
    if not params.keys() & {"charge", "payment_intent"}:
        raise ParameterError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    if "payment_intent" not in params:
        charge = account.get("charge", params["charge"], param="charge")
        if not charge["paid"]:
            raise InvalidRequestError(
                f"Charge {charge['id']} was not successful and cannot be refunded.", param="charge"
            )
        return charge
    intent = account.get("payment_intent", params["payment_intent"], param="payment_intent")
    if intent["status"] != "succeeded":
        raise InvalidRequestError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", param="payment_intent"
        )
    if params.get("charge", intent["latest_charge"]) != intent["latest_charge"]:
        raise InvalidRequestError(f"Charge {params['charge']} does not belong to {intent['id']}.", param="charge")
    return account.get("charge", intent["latest_charge"])


def _check(account: Account, charge: Json, amount: int) -> None:
    left = _unrefunded(account, charge)
    disputes = account.all("dispute", lambda dispute: dispute["charge"] == charge["id"])
    if not all(dispute["is_charge_refundable"] for dispute in disputes):
        raise InvalidRequestError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if left == 0:
        raise InvalidRequestError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount > left:
        shown = [f"{value / 100:.2f} {charge['currency']}" for value in (amount, left)]
        raise InvalidRequestError(
            f"Refund amount ({shown[0]}) is greater than unrefunded amount on charge ({shown[1]})", param="amount"
        )


def _refunded(account: Account, charge: Json, statuses: set[str]) -> int:
    refunds = account.all("refund", lambda refund: refund["charge"] == charge["id"] and refund["status"] in statuses)
    return sum(refund["amount"] for refund in refunds)


def _unrefunded(account: Account, charge: Json) -> int:
    return int(charge["amount"]) - _refunded(account, charge, _COUNTED)


def _update_charge(account: Account, charge: Json) -> None:
    """`amount_refunded` is the sum of succeeded refunds, without pending ones; it decreases when one fails."""
    before, now = charge["amount_refunded"], _refunded(account, charge, {"succeeded"})
    charge |= {"amount_refunded": now, "refunded": now == charge["amount"]}
    if now > before:
        account.emit("charge.refunded", charge, previous={"amount_refunded": before})
