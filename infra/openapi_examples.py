"""Examples of requests and answers for clients, by the name of their model; a test validates each."""

from collections.abc import Mapping
from typing import Any

_IDS = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1"}
_POLICY = [{"days": 14, "percent": 100}, {"days": 7, "percent": 50}]
_STATUS = _IDS | {
    "status": "pending",
    "reservation_status": "pending",
    "amount": 112_500,
    "currency": "EUR",
    "has_completed_payment": False,
    "is_refunded": False,
    "refund_amount": 0,
    "refund_pending_amount": 0,
    "refund_state": "none",
    "payment_attempts": 1,
    "attempts_left": 2,
    "hold_expires_at": "2026-11-25T15:34:05.784Z",
    "can_retry": False,
    "checkout_url": "https://checkout.stripe.com/c/pay/cs_live_1",
    "expires_at": "2026-11-24T16:04:09.380Z",
    "poll_after_seconds": 3,
    "refund_policy": _POLICY,
    "attempts": [{"number": 1, "status": "open", "opened_at": "2026-11-24T15:34:09.380Z", "declines": 0}],
    "refunds": [],
}
_MATTER = {
    "kind": "dispute",
    "subject": "du_1",
    "since": "2026-11-26T08:00:00.000Z",
    "amount": 112_500,
    "deadline": "2026-12-03T23:59:59.000Z",
    "page": "PaymentDisputed",
    "closable": False,
}

_CHARGES = {"count": 214, "gross": 9_630_000, "fee": 149_800, "net": 9_480_200}
_LEDGER_DAY = {
    "day": "2026-11-27",
    "reconciled_at": "2026-11-28T03:59:04.120Z",
    "final": True,
    "transactions": 214,
    "ours": {"EUR": {"charge": _CHARGES}},
    "not_ours": {},
    "net": {"EUR": 9_480_200},
    "payouts": [],
    "differences": [
        {
            "kind": "entry_missing",
            "subject": "re_1",
            "payment_id": "PAY-RES-1",
            "stripe": "refund re_1 of 1000 EUR cents on 2026-11-27",
            "ledger": "no entry",
            "off_by": 1000,
        }
    ],
}

EXAMPLES: Mapping[str, Any] = {
    "CheckoutSessionRequest": {"reservation_id": "RES-1"},
    "CheckoutSessionResponse": _IDS
    | {
        "checkout_session_id": "cs_live_1",
        "checkout_url": "https://checkout.stripe.com/c/pay/cs_live_1",
        "expires_at": "2026-11-24T16:04:09.380Z",
        "amount": 112_500,
        "currency": "EUR",
        "attempt_number": 1,
        "attempts_left": 2,
        "hold_expires_at": "2026-11-25T15:34:05.784Z",
    },
    "PaymentStatusResponse": _STATUS,
    "RefundRequest": {"kind": "cancellation", "reason": "We cannot travel."},
    "RefundResponse": {
        "payment_id": "PAY-RES-1",
        "refund_id": "PAY-RES-1-cancellation",
        "stripe_refund_id": "re_1",
        "amount": 56_250,
        "status": "succeeded",
        "refund_policy": "partial_refund_50",
        "original_amount": 112_500,
        "refunded_at": "2026-12-10T09:00:00.000Z",
    },
    "ResolutionRequest": {"answer": "settled_elsewhere", "note": "Transferred to the guest's account."},
    "CloseMatterRequest": {"note": "The guest paid for a parking space.", "subject": "pi_1"},
    "LedgerDay": _LEDGER_DAY,
    "LedgerDaysResponse": {"days": [_LEDGER_DAY], "before": "2026-11-14"},
    "LedgerTransactionsResponse": {"csv": "reservation_id,payment_id,payment_intent,type\n"},
    "PaymentListResponse": {
        "payments": [
            _IDS
            | {
                "status": "completed",
                "reservation_status": "confirmed",
                "amount": 112_500,
                "refund_amount": 0,
                "attention": [_MATTER],
                "created_at": "2026-11-24T15:34:08.100Z",
                "updated_at": "2026-11-26T08:00:00.000Z",
            }
        ],
        "cursor": "WyJQQVktUkVTLTEiXQ==",
    },
}
