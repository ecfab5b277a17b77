"""What the API answers about two payments: one that waits for the guest, and one whose refund failed."""

from typing import Any

type Json = dict[str, Any]

EXECUTION: Json = {
    "name": "RES-1",
    "workflow": "payment",
    "status": "RUNNING",
    "started_at": "2026-03-03T10:00:00.000Z",
    "waits_in": "AwaitPayment",
    "states": [
        {
            "state": "RecordPayment",
            "type": "Task",
            "entered_at": "2026-03-03T10:00:00.000Z",
            "exited_at": "2026-03-03T10:00:01.500Z",
            "retries": 1,
            "error": "DynamoDb.ThrottlingException",
            "cause": "Rate <exceeded>",
        },
        {
            "state": "CreateCheckoutSession",
            "type": "Task",
            "entered_at": "2026-03-03T10:00:01.500Z",
            "exited_at": "2026-03-03T10:00:02.000Z",
            "retries": 0,
        },
        {"state": "AwaitPayment", "type": "Task", "entered_at": "2026-03-03T10:00:02.000Z", "retries": 0},
    ],
}
RECORD: Json = {
    "reservation_id": "RES-1",
    "payment_id": "PAY-RES-1",
    "status": "pending",
    "reservation_status": "pending",
    "customer_id": "CUST-1",
    "check_in": "2026-05-30",
    "check_out": "2026-06-02",
    "amount": 112500,
    "refund_amount": 0,
    "refund_pending_amount": 0,
    "refund_state": "none",
    "hold_expires_at": "2026-03-04T10:00:00.000Z",
    "awaiting": "payment",
    "restarts": 0,
    "attempts": [
        {
            "number": 1,
            "status": "open",
            "opened_at": "2026-03-03T10:00:01.600Z",
            "declines": 2,
            "failure_code": "insufficient_funds",
            "amount": 112500,
            "stripe_checkout_session_id": "cs_test_1",
            "deadline": "2026-03-03T10:30:01.600Z",
        }
    ],
    "captures": [],
    "refunds": [],
    "disputes": [],
    "attention": [],
    "executions": [{"name": "RES-1", "workflow": "payment"}],
    "created_at": "2026-03-03T10:00:00.000Z",
    "updated_at": "2026-03-03T10:00:02.000Z",
}
FAILED_REFUND: Json = {
    "refund_id": "PAY-RES-2-cancellation",
    "kind": "cancellation",
    "status": "failed",
    "amount": 56250,
    "created_at": "2026-03-05T09:00:00.000Z",
    "payment_intent": "pi_2",
    "requested_by": "guest",
    "awaiting": "operator",
    "failure_reason": "expired_or_canceled_card",
}
REFUNDED: Json = {
    **RECORD,
    "reservation_id": "RES-2",
    "payment_id": "PAY-RES-2",
    "status": "completed",
    "reservation_status": "cancelled",
    "refund_state": "failed",
    "refund_pending_amount": 56250,
    "attempts": [],
    "captures": [
        {
            "payment_intent": "pi_2",
            "amount": 112500,
            "currency": "eur",
            "refundable": 56250,
            "role": "booking",
            "captured_at": "2026-03-03T22:30:00.000Z",
        }
    ],
    "refunds": [FAILED_REFUND],
    "attention": [
        {
            "kind": "unmatched_charge",
            "subject": "ch_9",
            "since": "2026-03-05T09:01:00.000Z",
            "amount": 700,
            "page": "UnmatchedCharge",
            "closable": True,
        }
    ],
    "executions": [],
}
del REFUNDED["awaiting"]
