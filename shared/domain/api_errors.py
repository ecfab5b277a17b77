"""Every error that an HTTP route answers: its code, status, message and recovery.

Handlers raise `ApiError` with a code of this table. API Gateway's own answers and the OpenAPI document are made from
it too. Guests read the messages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ErrorAnswer:
    """`reason` distinguishes answers of one code, clients see the code only; `retry_after` is in seconds."""

    code: str
    reason: str
    status: int
    message: str
    recovery: str
    retry_after: int | None


def _answers(
    code: str, status: int, *, retry_after: int | None = None, **texts: tuple[str, str]
) -> Iterator[ErrorAnswer]:
    """One answer for each reason, given as its message and recovery."""
    for reason, (message, recovery) in texts.items():
        yield ErrorAnswer(code, reason, status, message, recovery, retry_after)


_BOOK_AGAIN = "Make a new booking if the dates are still available."
_ASK_SUPPORT = "Contact support if you have a question about it."

ERROR_ANSWERS = (
    *_answers(
        "INVALID_REQUEST",
        400,
        general=("The request is not valid.", "Check the fields listed in details."),
        gateway=("We could not understand the request.", "Check the request against the API documentation."),
    ),
    *_answers(
        "RESERVATION_NOT_PAYABLE",
        400,
        general=("This booking cannot be paid.", "Check the booking's status."),
        cancelling=("This booking is being cancelled.", _BOOK_AGAIN),
        cancelled=("This booking has been cancelled.", _BOOK_AGAIN),
        completed=("This stay is already over.", _ASK_SUPPORT),
        confirmed=("This booking is already confirmed.", "You do not need to pay again."),
        expired=("This booking has expired, and its dates are no longer held.", _BOOK_AGAIN),
        paid=("This booking is already paid.", "You do not need to pay again."),
        total=("The total of this booking cannot be paid online.", "Contact support to arrange the payment."),
    ),
    *_answers(
        "REFUND_NOT_ALLOWED",
        400,
        general=("This booking cannot be refunded.", _ASK_SUPPORT),
        not_paid=("This booking has no completed payment to refund.", "Contact support if you have paid for it."),
        too_late=("It is too late for a refund under the cancellation policy.", _ASK_SUPPORT),
        too_much=("The amount is more than what is left to refund.", "Enter at most the amount listed in details."),
    ),
    *_answers(
        "INVALID_SIGNATURE",
        400,
        general=("The signature does not match the body.", "Check the signing secret of the webhook endpoint."),
    ),
    *_answers(
        "INVALID_PAYLOAD",
        400,
        general=("The body is not a Stripe event.", "Send the event exactly as Stripe created it."),
    ),
    *_answers(
        "UNAUTHENTICATED",
        401,
        general=("You are not signed in, or your sign-in has expired.", "Sign in and try again."),
    ),
    *_answers(
        "FORBIDDEN",
        403,
        general=("You do not have permission to do this.", "Contact support if you think you should."),
    ),
    *_answers(
        "NOT_FOUND",
        404,
        general=("We could not find this booking.", "Check the booking number and try again."),
        address=("There is nothing at this address.", "Check the address and the HTTP method."),
        refund=("We could not find this refund.", "Check the refund's id in the booking's status."),
    ),
    *_answers("ALREADY_PAID", 409, general=("This booking is already paid.", "To cancel it, request a refund.")),
    *_answers(
        "ATTEMPTS_EXHAUSTED",
        409,
        general=(
            "You have used all attempts to pay for this booking.",
            "Contact support for another attempt or another way to pay before the hold on your dates ends.",
        ),
    ),
    *_answers("HOLD_ENDING", 409, general=("Your dates are not held long enough to complete a payment.", _BOOK_AGAIN)),
    *_answers(
        "REFUND_IN_PROGRESS",
        409,
        general=(
            "A refund for this booking is already in progress.",
            "Wait until it is settled; the booking's status shows when.",
        ),
    ),
    *_answers(
        "PAYMENT_DISPUTED",
        409,
        general=("This payment is disputed, so the bank decides about the money.", "Wait for the bank's decision."),
    ),
    *_answers("REQUEST_TOO_LARGE", 413, general=("The request is too large.", "Send a smaller request.")),
    *_answers(
        "TOO_MANY_REQUESTS",
        429,
        general=("You have sent too many requests.", "Wait a few seconds and try again."),
    ),
    *_answers(
        "INTERNAL_ERROR",
        500,
        retry_after=5,
        general=(
            "Something went wrong on our side.",
            "Try again in a moment; if the problem persists, contact support and quote the correlation id.",
        ),
        event=("We could not process the event.", "Send the event again."),
    ),
    *_answers(
        "INTERNAL_ERROR",
        503,
        event_later=("We cannot process the event right now.", "Send the event again later."),
    ),
    *_answers(
        "STRIPE_UNAVAILABLE",
        503,
        retry_after=10,
        general=("The payment page cannot be opened right now; your dates are still held.", "Try again in a moment."),
    ),
)

_BY_CODE_AND_REASON = {(answer.code, answer.reason): answer for answer in ERROR_ANSWERS}


def error_answer(code: str, reason: str = "general") -> ErrorAnswer:
    """The answer for a code, and for a reason where the code has several."""
    return _BY_CODE_AND_REASON[code, reason]


class ApiError(Exception):
    """The request is answered with an error of the table; `details` says what is specific to this request."""

    def __init__(self, code: str, reason: str = "general", *, details: dict[str, Any] | None = None) -> None:
        super().__init__(code)
        self.answer = error_answer(code, reason)
        self.details = details
