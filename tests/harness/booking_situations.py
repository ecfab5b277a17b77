"""Every situation of a booking, as its payment item shows it."""

from collections.abc import Mapping
from typing import Any

from shared.domain.models import Payment
from tests.harness.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    TOTAL,
    attempt,
    capture,
    closed,
    opening,
    paying,
    payment,
    refund,
)

type Json = dict[str, Any]

AWAITED: Json = {"awaiting": "payment", "task_token": "token", "token_sequence": 1}
OWN = {"pi_1": capture(role="booking")}
PAID: Json = {"status": "completed", "attempts": {"1": closed(status="paid")}, "current_attempt": "1", "amount": TOTAL}


def paid(**changes: Any) -> Payment:
    return payment(**(PAID | {"captures": OWN} | changes))


def refunded(status: str, amount: int = 500, **of: Any) -> Payment:
    """Paid, with one refund of ours, which Stripe knows as re_1 unless it failed before Stripe knew it."""
    entry = refund(status=status, amount=amount, **({"stripe_refund_id": "re_1"} | of))
    left = {"pi_1": capture(role="booking", refundable=TOTAL - amount)}
    settled = amount if status in {"succeeded", "settled_elsewhere"} else 0
    state = {0: "completed", TOTAL: "refunded"}.get(settled, "partially_refunded")
    return paid(status=state, captures=left, refunds={"G1": entry}, refund_amount=settled)


def disputed(status: str, **of: Any) -> Payment:
    entry: Any = {"status": status, "payment_intent": "pi_1", "amount": TOTAL, "opened_at": NOW - HOUR}
    return paid(disputes={"dp_1": entry | of})


SETTLING: Json = {"awaiting": "settlement", "task_token": "token", "token_sequence": 1}
FOR_OPERATOR: Json = {"awaiting": "operator", "task_token": "token", "token_sequence": 1}

# By name; None where there is no item.
SITUATIONS: Mapping[str, Payment | None] = {
    "not started": None,
    "nothing requested": payment(),
    "opening": payment(attempts={"1": opening()}, current_attempt="1", amount=TOTAL),
    "open": paying(**AWAITED),
    "between two states": paying(),
    "to retry": paying(attempts={"1": closed()}, **AWAITED | {"awaiting": "retry"}),
    "unresolved": paying(attempts={"1": attempt(status="unresolved")}),
    "cancelling": paying(cancel_requested_at=NOW - SECOND, cancel_requested_by="guest"),
    "confirming": paying(attempts={"1": closed(status="paid")}, captures={"pi_1": capture()}),
    "expired": paying(status="expired", attempts={"1": closed()}),
    "expired with money": paying(
        status="expired",
        attempts={"1": closed()},
        captures={"pi_1": capture(role="unapplied", refundable=0)},
        refunds={"REF-pi_1": refund(kind="unapplied", amount=TOTAL, status="succeeded", stripe_refund_id="re_1")},
    ),
    "completed": paid(),
    "paid twice": paid(captures=OWN | {"pi_2": capture(role="unapplied", session="cs_2")}),
    "refund reserved": refunded("pending", stripe_refund_id=None),
    "refund pending": refunded("pending", **SETTLING),
    "refund needs action": refunded("requires_action", **SETTLING),
    "refund failed": refunded("failed", **FOR_OPERATOR),
    "refund failed before Stripe answered": refunded("failed", stripe_refund_id=None, **FOR_OPERATOR),
    "refund canceled": refunded("canceled"),
    "settled elsewhere": refunded("settled_elsewhere"),
    "partially refunded": refunded("succeeded"),
    "refunded": refunded("succeeded", TOTAL, kind="cancellation"),
    "refunded in the dashboard": refunded("succeeded", kind="dashboard"),
    "disputed": disputed("needs_response"),
    "inquiry": disputed("warning_needs_response"),
    "dispute lost": disputed("lost", closed_at=NOW - MINUTE),
    "dispute won": disputed("won", closed_at=NOW - MINUTE),
}
