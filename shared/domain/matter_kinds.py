"""The kinds of matters that need a person; shared/domain/matters.py says when each is open."""

from typing import Literal

MatterKind = Literal[
    "refund_failed",
    "dispute",
    "restarts_exhausted",
    "payment_refused",
    "session_unreadable",
    "payment_returned",
    "cancelled_money_kept",
    "fraud_warning",
    "unmatched_charge",
    "refund_settled_twice",
    "dashboard_refund_failed",
    "ledger_mismatch",
]
