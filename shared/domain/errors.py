"""Every error of the domain; its class answers one question: retry or not.

    PaymentError
    ├── TransientError            a retry may succeed
    │   ├── StripeUnavailable     no answer, rate limit, 5xx, or our API key is refused or cannot be read
    │   ├── SecretUnavailable     the parameter store does not answer (states see StripeUnavailable)
    │   ├── WorkflowUnavailable   Step Functions does not answer or is over its limits
    │   ├── NotificationFailed    a notification to the operators could not be sent
    │   ├── NotWaiting            the workflow is between two states, or its execution has failed
    │   └── StoreBusy             a write lost a race or was throttled, or its answer was lost
    └── PermanentError            a retry would fail again; the workflow goes another way
        ├── ReservationInvalid    the platform's reservation cannot be read
        ├── ReservationNotPayable not pending, nights lost, cancel requested, or total outside Stripe's bounds
        ├── HoldEnding            less than a checkout window of the hold is left
        ├── BookingLost           the guest has paid, but the booking can no longer be confirmed
        ├── BookedElsewhere       the reservation is confirmed, but not by this payment
        ├── NotRefundable         the payment was never completed, or the capture does not allow this kind of refund
        ├── NotEnoughLeft         other refunds have reserved what this one asks for
        ├── PaymentDisputed       the capture is disputed at the bank, so it cannot be refunded
        ├── CaptureDisputed       the same for an unapplied payment, whose refund is entered and waits for a person
        └── StripeRefused         Stripe refused the request as wrong, so a repeat would be refused as well

Retry and Catch of the state machines match the class names of the leaves.
Errors that HTTP callers receive are in shared/domain/api_errors.py.
"""


class PaymentError(Exception):
    """An error that a state machine matches by its class name."""


class TransientError(PaymentError):
    """A retry may succeed."""


class PermanentError(PaymentError):
    """A retry would fail again."""


class StripeUnavailable(TransientError):
    """Stripe did not answer, or its answer was lost."""


class SecretUnavailable(TransientError):
    """A secret could not be read."""


class WorkflowUnavailable(TransientError):
    """An execution could not be started, or a waiting state could not be resumed."""


class NotificationFailed(TransientError):
    """A notification to the operators could not be sent."""


class NotWaiting(TransientError):
    """No state of the workflow is waiting for this news yet."""


class StoreBusy(TransientError):
    """DynamoDB was busy or another write came first; read again and decide again."""


class ReservationInvalid(PermanentError):
    """The platform's reservation cannot be read; `problems` says why by attribute, and never quotes a value."""

    def __init__(self, reservation_id: str, problems: dict[str, str], *, customer_id: object = None) -> None:
        super().__init__(
            f"reservation {reservation_id}: {' '.join(f'{name}: {what}' for name, what in problems.items())}"
        )
        self.problems = problems
        self.customer_id = customer_id


class ReservationNotPayable(PermanentError):
    """No Checkout Session may be opened for this reservation."""


class HoldEnding(PermanentError):
    """The hold ends before a whole checkout window does."""


class BookingLost(PermanentError):
    """The capture cannot pay for this booking: it was repriced or cancelled, or its nights are gone."""


class BookedElsewhere(PermanentError):
    """The reservation is confirmed, but not by this payment."""


class NotRefundable(PermanentError):
    """There is no completed payment to refund, or the capture does not allow this kind of refund."""


class NotEnoughLeft(PermanentError):
    """Less is left of the capture than the refund asks for."""


class PaymentDisputed(PermanentError):
    """A dispute is open or lost: the bank decides about the money."""


class CaptureDisputed(PermanentError):
    """An unapplied payment is disputed: its refund is entered and reserved, and waits for a person."""


class StripeRefused(PermanentError):
    """Stripe refused a request as wrong; `code` and `param` are Stripe's.

    A replayed 500 (header `Idempotent-Replayed`) counts as well: the idempotency key will never give another answer.
    """

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
