"""Disputes: the guest's bank takes the money back, and the dispute is won or lost later."""

from typing import Literal

from local.fake_stripe.account import Account
from local.fake_stripe.objects import build, new_id
from local.fake_stripe.stripe_errors import Json

_DAYS_TO_ANSWER = 7


def open_dispute(account: Account, payment_intent: str, *, amount: int | None = None) -> Json:
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
            is_charge_refundable=False,
            metadata={},
            payment_intent=payment_intent,
            reason="fraudulent",
            status="needs_response",
        )
    )
    charge["disputed"] = True
    account.emit("charge.dispute.created", dispute)
    account.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(account: Account, dispute_id: str, outcome: Literal["won", "lost"]) -> Json:
    dispute = account.get("dispute", dispute_id)
    if outcome not in ("won", "lost"):
        raise ValueError(f"a dispute is won or lost, not {outcome}")
    if dispute["status"] in ("won", "lost"):
        raise ValueError(f"{dispute_id} is already {dispute['status']}")
    dispute["status"] = outcome
    if outcome == "won":
        account.emit("charge.dispute.funds_reinstated", dispute)
    account.emit("charge.dispute.closed", dispute)
    return dispute
