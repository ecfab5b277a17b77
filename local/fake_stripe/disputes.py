"""Disputes: the guest's bank takes the money back, and the dispute is won or lost later.

An inquiry (`warning_…`) only asks: no money is taken, and it is closed or escalated to a dispute.
"""

import copy
from typing import Literal

from local.fake_stripe import balance
from local.fake_stripe.account import Account
from local.fake_stripe.objects import build, new_id
from local.fake_stripe.stripe_errors import Json

_DAYS_TO_ANSWER = 7
_OUTCOMES = ("won", "lost", "warning_closed")


type Opening = Literal["needs_response", "warning_needs_response"]
type DisputeOutcome = Literal["won", "lost", "warning_closed"]


def open_dispute(
    account: Account, payment_intent: str, *, amount: int | None = None, status: Opening = "needs_response"
) -> Json:
    intent = account.get("payment_intent", payment_intent)
    charge = account.get("charge", intent["latest_charge"])
    due_by = account.clock.timestamp() + _DAYS_TO_ANSWER * 86_400
    dispute = account.add(
        build(
            "dispute",
            id=new_id("du"),
            amount=amount or charge["amount"],
            balance_transactions=[],
            charge=charge["id"],
            created=account.clock.timestamp(),
            currency=charge["currency"],
            enhanced_eligibility_types=[],
            evidence={},
            evidence_details={
                "due_by": due_by,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            is_charge_refundable=_is_inquiry(status),
            metadata={},
            payment_intent=payment_intent,
            reason="fraudulent",
            status=status,
        )
    )
    charge["disputed"] = True
    if not _is_inquiry(status):
        _move(account, dispute, -dispute["amount"], "dispute", fee=balance.DISPUTE_FEE)
    account.emit("charge.dispute.created", dispute)
    if not _is_inquiry(status):
        account.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _move(account: Account, dispute: Json, amount: int, category: str, *, fee: int = 0) -> None:
    moved = balance.record(account, "adjustment", amount, dispute, category=category, fee=fee)
    dispute["balance_transactions"].append(copy.copy(moved))


def warn_of_fraud(account: Account, payment_intent: str, fraud_type: str = "unauthorized_use_of_card") -> Json:
    """Warn of fraud, as a card network does days before a dispute."""
    charge = account.get("charge", account.get("payment_intent", payment_intent)["latest_charge"])
    warning = account.add(
        build(
            "radar.early_fraud_warning",
            id=new_id("issfr"),
            actionable=not charge["refunded"] and not charge["disputed"],
            charge=charge["id"],
            created=account.clock.timestamp(),
            fraud_type=fraud_type,
            payment_intent=payment_intent,
        )
    )
    account.emit("radar.early_fraud_warning.created", warning)
    return warning


def escalate_inquiry(account: Account, dispute_id: str) -> Json:
    """Turn an open inquiry into a dispute, under the same id."""
    dispute = account.get("dispute", dispute_id)
    before = dispute["status"]
    if not _is_inquiry(before) or before in _OUTCOMES:
        raise ValueError(f"{dispute_id} is {before}, not an open inquiry")
    dispute |= {"status": "needs_response", "is_charge_refundable": False}
    _move(account, dispute, -dispute["amount"], "dispute", fee=balance.DISPUTE_FEE)
    account.emit("charge.dispute.updated", dispute, previous={"status": before, "is_charge_refundable": True})
    account.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(account: Account, dispute_id: str, outcome: DisputeOutcome) -> Json:
    dispute = account.get("dispute", dispute_id)
    if outcome not in _OUTCOMES or _is_inquiry(outcome) != _is_inquiry(dispute["status"]):
        raise ValueError(f"a dispute is won or lost and an inquiry is warning_closed; {dispute_id} cannot be {outcome}")
    if dispute["status"] in _OUTCOMES:
        raise ValueError(f"{dispute_id} is already {dispute['status']}")
    dispute |= {"status": outcome, "is_charge_refundable": outcome != "lost"}
    if outcome == "won":
        _move(account, dispute, dispute["amount"], "dispute_reversal")
        account.emit("charge.dispute.funds_reinstated", dispute)
    account.emit("charge.dispute.closed", dispute)
    return dispute


def _is_inquiry(status: str) -> bool:
    return status.startswith("warning_")
