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


# A status and a code, with the seconds of Retry-After if there are any; below them each reason with its message and
# its recovery.
_TABLE = """
400 INVALID_REQUEST
    general: The request is not valid. | Check the fields listed in details.
    gateway: We could not understand the request. | Check the request against the API documentation.
400 RESERVATION_NOT_PAYABLE
    general: This booking cannot be paid. | Check the booking's status.
    cancelling: This booking is being cancelled. | Make a new booking if the dates are still available.
    cancelled: This booking has been cancelled. | Make a new booking if the dates are still available.
    completed: This stay is already over. | Contact support if you have a question about it.
    confirmed: This booking is already confirmed. | You do not need to pay again.
    expired: Your dates are no longer held. | Make a new booking if the dates are still available.
    paid: This booking is already paid. | You do not need to pay again.
    total: The total of this booking cannot be paid online. | Contact support to arrange the payment.
400 REFUND_NOT_ALLOWED
    general: This booking cannot be refunded. | Contact support if you have a question about it.
    cancelled: This booking has already been cancelled. | Check its refund in the booking's status.
    not_paid: This booking has no completed payment to refund. | Contact support if you have already paid.
    too_late: It is too late for a refund under the cancellation policy. | Contact support if you have a question.
    too_much: The amount is more than what is left to refund. | Enter at most the amount listed in details.
400 INVALID_SIGNATURE
    general: The signature does not match the body. | Check the signing secret of the webhook endpoint.
400 INVALID_PAYLOAD
    general: The body is not a Stripe event. | Send the event exactly as Stripe created it.
401 UNAUTHENTICATED
    general: You are not signed in, or your sign-in has expired. | Sign in and try again.
403 FORBIDDEN
    general: You do not have permission to do this. | Contact support if you think you should.
404 NOT_FOUND
    general: We could not find this booking. | Check the booking number and try again.
    day: This day has not been reconciled. | Choose a day of the list, or reconcile it with make ledger.
    address: There is nothing at this address. | Check the address and the HTTP method.
    execution: We could not find this execution. | Check its name in the record of the payment.
    matter: No such matter is open for this booking. | Check the open matters in the record of the payment.
    refund: We could not find this refund. | Check the refund's id in the booking's status.
409 RESERVATION_INVALID
    general: The data of this booking are not valid. | Contact support: the attributes in details must be corrected.
409 ALREADY_PAID
    general: This booking is already paid. | To cancel it, request a refund.
409 ATTEMPTS_EXHAUSTED
    general: You have used all your attempts to pay for this booking. | Contact support for another way to pay.
409 HOLD_ENDING
    general: Your hold on the dates ends too soon to pay now. | Make a new booking if the dates are still available.
409 REFUND_IN_PROGRESS
    general: A refund for this booking is already in progress. | Wait until the booking's status shows it as settled.
409 REFUND_EXISTS
    general: This booking already has this refund, with another amount. | To return more, make a goodwill refund.
    key: This Idempotency-Key was already used for a refund of another amount. | Use a new key for another refund.
409 NOTHING_TO_RESOLVE
    general: This refund does not wait for a decision. | Check the booking's status.
409 CAUSE_NOT_SETTLED
    general: This matter closes by itself when its cause is settled. | See its page of the runbook.
409 PAYMENT_DISPUTED
    general: This payment is disputed, and the bank will decide who gets the money. | Wait for the bank's decision.
413 REQUEST_TOO_LARGE
    general: The request is too large. | Send a smaller request.
422 PAYMENT_REFUSED
    general: This booking cannot be paid online; your dates are still held. | Contact support to pay another way.
429 TOO_MANY_REQUESTS
    general: You have sent too many requests. | Wait a few seconds and try again.
500 INTERNAL_ERROR 5
    general: Something went wrong on our side. | Try again. If it happens again, quote the correlation id to support.
    event: We could not process the event. | Send the event again.
503 INTERNAL_ERROR
    event_later: We cannot process the event right now. | Send the event again later.
503 STRIPE_UNAVAILABLE 10
    general: The payment page cannot be opened right now; your dates are still held. | Try again in a moment.
"""


def _answers() -> Iterator[ErrorAnswer]:
    status, code, retry_after = 0, "", None
    for line in _TABLE.strip().splitlines():
        if line.startswith(" "):
            reason, _, texts = line.strip().partition(": ")
            message, recovery = texts.split(" | ")
            yield ErrorAnswer(code, reason, status, message, recovery, retry_after)
        else:
            number, code, *seconds = line.split()
            status, retry_after = int(number), int(seconds[0]) if seconds else None


ERROR_ANSWERS = tuple(_answers())

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
