"""The HTTP routes: what each takes, what it answers, and the errors it can answer with.

`{id}` is a reservation id or a payment id. The functions register the same routes; a test compares the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.http_bodies import (
    CheckoutSessionRequest,
    CheckoutSessionResponse,
    EmptyRequest,
    PaymentStatusResponse,
    RefundQuoteResponse,
    RefundRequest,
    RefundResponse,
    ResolutionRequest,
)
from shared.contracts.ledger_summary import LedgerDay, LedgerDaysResponse, LedgerTransactionsResponse
from shared.contracts.operations_bodies import (
    CloseMatterRequest,
    ExecutionResponse,
    PaymentListResponse,
    PaymentRecordResponse,
    PaymentsByDayResponse,
)
from shared.contracts.states import Contract
from shared.domain.api_errors import ErrorAnswer, error_answer


@dataclass(frozen=True, kw_only=True)
class Route:
    """`answers` maps each status of success to its body; `errors` are codes beside those of every route.

    `name` is the name of the method in a generated client.
    """

    name: str
    summary: str
    answers: Mapping[int, type[Contract]]
    body: type[Contract] | None = None
    errors: Sequence[str] = ()
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None


_SESSION: Mapping[int, type[Contract]] = {
    200: CheckoutSessionResponse,
    201: CheckoutSessionResponse,
    202: PaymentStatusResponse,
}
_NO_SESSION = ("RESERVATION_NOT_PAYABLE", "ATTEMPTS_EXHAUSTED", "HOLD_ENDING", "PAYMENT_REFUSED", "STRIPE_UNAVAILABLE")

PAYMENTS_ROUTES = {
    ("POST", "/payments/checkout-session"): Route(
        name="createCheckoutSession",
        summary="Start or continue the payment of a booking",
        body=CheckoutSessionRequest,
        answers=_SESSION,
        errors=_NO_SESSION,
    ),
    ("GET", "/payments/{id}/status"): Route(
        name="getPaymentStatus",
        summary="Read the status of a payment with its attempts and refunds",
        answers={200: PaymentStatusResponse},
        query={"session_id": "The Checkout Session that the guest has just come back from"},
    ),
    ("POST", "/payments/{id}/retry"): Route(
        name="retryPayment",
        summary="Open the next attempt to pay",
        body=EmptyRequest,
        answers=_SESSION,
        errors=_NO_SESSION,
    ),
    ("POST", "/payments/{id}/cancel"): Route(
        name="cancelBooking",
        summary="Cancel an unpaid booking and release its dates",
        body=EmptyRequest,
        answers={200: PaymentStatusResponse, 202: PaymentStatusResponse},
        errors=("ALREADY_PAID",),
    ),
    ("GET", "/payments/{id}/refund-quote"): Route(
        name="getRefundQuote",
        summary="Read what a cancellation gives back now, and when that changes next",
        answers={200: RefundQuoteResponse},
        errors=("REFUND_NOT_ALLOWED", "PAYMENT_DISPUTED"),
    ),
    ("POST", "/payments/{id}/refund"): Route(
        name="requestRefund",
        summary="Cancel a paid booking with a refund by policy, or refund an amount out of goodwill",
        body=RefundRequest,
        answers={200: RefundResponse, 202: RefundResponse},
        errors=("REFUND_NOT_ALLOWED", "REFUND_IN_PROGRESS", "REFUND_EXISTS", "PAYMENT_DISPUTED"),
        headers={"Idempotency-Key": "Required for a goodwill refund; the same key always means the same refund"},
    ),
    ("POST", "/payments/{id}/attempts"): Route(
        name="grantAttempt",
        summary="For operators: grant one more attempt to pay",
        body=EmptyRequest,
        answers={200: PaymentStatusResponse},
        errors=("RESERVATION_NOT_PAYABLE",),
    ),
    ("POST", "/payments/{id}/refunds/{refund_id}/resolution"): Route(
        name="resolveRefund",
        summary="For operators: decide about a refund that failed",
        body=ResolutionRequest,
        answers={200: RefundResponse},
        errors=("NOTHING_TO_RESOLVE",),
    ),
}
OPERATIONS_ROUTES = {
    ("GET", "/payments"): Route(
        name="listPayments",
        summary="For operators: list and search payments, newest first",
        answers={200: PaymentListResponse},
        query={
            "limit": "How many payments a page has, 1 to 100; 50 if it is missing",
            "cursor": "The cursor of the page before",
            "status": "Only payments in this status",
            "customer_id": "Only payments of this customer",
            "attention": "With `true` only payments that need a person, the longest waiting first",
            "created_from": "Only payments that were created then or later, ISO 8601",
            "created_to": "Only payments that were created until then, ISO 8601",
            "q": "A reservation id, payment id, PaymentIntent or refund id, instead of a page",
        },
    ),
    ("GET", "/payments-by-day"): Route(
        name="countPaymentsByDay",
        summary="For operators: count the payments of the last days, with the holds that end next",
        answers={200: PaymentsByDayResponse},
        query={"days": "How many days at the property, 1 to 31; 14 if it is missing"},
    ),
    ("GET", "/payments/{id}"): Route(
        name="getPayment",
        summary="For operators: read everything known about a payment",
        answers={200: PaymentRecordResponse},
    ),
    ("GET", "/payments/{id}/executions/{name}"): Route(
        name="getExecution",
        summary="For operators: read which states an execution has visited, and where it waits",
        answers={200: ExecutionResponse},
    ),
    ("POST", "/payments/{id}/attention/{kind}/close"): Route(
        name="closeMatter",
        summary="For operators: close a matter whose end the system cannot see, with a note",
        body=CloseMatterRequest,
        answers={200: PaymentRecordResponse},
        errors=("CAUSE_NOT_SETTLED",),
    ),
}
OPERATIONS_ROUTES |= {
    ("GET", "/payments-ledger"): Route(
        name="listLedgerDays",
        summary="For operators: list the days that were reconciled with Stripe, newest first",
        answers={200: LedgerDaysResponse},
        query={"before": "Only days before this one, such as 2026-11-27"},
    ),
    ("GET", "/payments-ledger/{day}"): Route(
        name="getLedgerDay", summary="For operators: read the totals and differences of a day", answers={200: LedgerDay}
    ),
    ("GET", "/payments-ledger/{day}/transactions"): Route(
        name="getLedgerTransactions",
        summary="For operators: read a part of the day's transactions as CSV",
        answers={200: LedgerTransactionsResponse},
        query={"offset": "Where the part begins; 0 if it is missing"},
    ),
}
COMMON_ERRORS = (
    "INVALID_REQUEST",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "NOT_FOUND",
    "RESERVATION_INVALID",
    "REQUEST_TOO_LARGE",
    "TOO_MANY_REQUESTS",
    "INTERNAL_ERROR",
)
"""Codes that every route of the two tables can answer with."""

WEBHOOK_ROUTE = ("POST", "/webhooks/stripe")
WEBHOOK_NAME = "receiveStripeEvent"
WEBHOOK_SUMMARY = "Receive an event from Stripe, verified by its signature"
WEBHOOK_ERRORS = (
    error_answer("INVALID_SIGNATURE"),
    error_answer("INVALID_PAYLOAD"),
    error_answer("REQUEST_TOO_LARGE"),
    error_answer("TOO_MANY_REQUESTS"),
    error_answer("INTERNAL_ERROR", "event"),
    error_answer("INTERNAL_ERROR", "event_later"),
)

GATEWAY_ERRORS: Mapping[str, ErrorAnswer] = {
    "UNAUTHORIZED": error_answer("UNAUTHENTICATED"),
    "EXPIRED_TOKEN": error_answer("UNAUTHENTICATED"),
    "ACCESS_DENIED": error_answer("FORBIDDEN"),
    "WAF_FILTERED": error_answer("FORBIDDEN"),
    # No route uses AWS's own signatures: API Gateway asks for one only where there is no route.
    "MISSING_AUTHENTICATION_TOKEN": error_answer("NOT_FOUND", "address"),
    "INVALID_SIGNATURE": error_answer("NOT_FOUND", "address"),
    "THROTTLED": error_answer("TOO_MANY_REQUESTS"),
    "REQUEST_TOO_LARGE": error_answer("REQUEST_TOO_LARGE"),
    "DEFAULT_4XX": error_answer("INVALID_REQUEST", "gateway"),
    "DEFAULT_5XX": error_answer("INTERNAL_ERROR"),
}
"""What API Gateway answers by itself, by the type of its response. The two defaults keep API Gateway's own status."""
