"""Every error of the domain, answering one question: retry or not.

    PaymentError
    ├── TransientError                 try the same thing again
    │   ├── StripeUnavailable     no answer, rate limit, 5xx, or our key is refused or cannot be read
    │   ├── SecretUnavailable     the parameter store does not answer (to a state: StripeUnavailable)
    │   ├── WorkflowUnavailable   Step Functions does not answer or is over its limits
    │   ├── NotificationFailed      the topic did not take what a person has to hear
    │   ├── NotWaiting            the workflow is between two states, or dead
    │   └── StoreBusy             a write lost a race, was throttled, or its answer was lost
    └── PermanentError                 again would change nothing; the workflow takes another way
        ├── ReservationNotPayable not pending, nights lost, cancel requested, total outside Stripe's bounds
        ├── HoldEnding            less than a checkout window of the hold is left
        ├── BookingLost           the money is here, the booking is not to be had any more
        ├── BookedElsewhere       the reservation was confirmed by somebody else
        ├── NotRefundable         the payment was never completed, or the capture is not for this kind of refund
        ├── NotEnoughLeft         other refunds have reserved what this one asks for
        ├── PaymentDisputed       the capture is disputed at the bank: no refund beside that
        ├── CaptureDisputed       the same for an unapplied capture, whose refund is entered and waits for a person
        └── StripeRefused         Stripe says the request is wrong: a defect of ours

The class names of `StripeUnavailable` … `StripeRefused` are what the state machines' Retry and Catch match.
`ApiError` is what an HTTP caller is told (contract: one error shape).
"""

from typing import Any


class PaymentError(Exception):
    """Something that the workflow must hear of; its class name is the error name."""


class TransientError(PaymentError):
    """Worth another try, later."""


class PermanentError(PaymentError):
    """Another try would end the same way."""


class StripeUnavailable(TransientError):
    """Stripe could not be asked, or its answer was lost."""


class SecretUnavailable(TransientError):
    """A secret could not be read."""


class WorkflowUnavailable(TransientError):
    """An execution could not be started, or a waiting state not resumed."""


class NotificationFailed(TransientError):
    """A notification to the operators could not be published."""


class NotWaiting(TransientError):
    """No state of the payment's workflow waits for what has happened."""


class StoreBusy(TransientError):
    """DynamoDB refused for now, or somebody else wrote first; read again and decide anew."""


class ReservationNotPayable(PermanentError):
    """No checkout session may be opened for this reservation."""


class HoldEnding(PermanentError):
    """The hold ends before a whole checkout window would."""


class BookingLost(PermanentError):
    """The capture cannot become this booking's: repriced, cancelled, or its nights are gone."""


class BookedElsewhere(PermanentError):
    """The reservation is confirmed, but not by this payment."""


class NotRefundable(PermanentError):
    """There is no completed payment to refund, or the capture has another role."""


class NotEnoughLeft(PermanentError):
    """The capture has less left than the refund asks for."""


class PaymentDisputed(PermanentError):
    """A dispute is open or lost; the bank decides about the money."""


class CaptureDisputed(PermanentError):
    """An unapplied capture is disputed: the refund is entered, its amount reserved, a person has to look."""


class StripeRefused(PermanentError):
    """Stripe refused a request as wrong.

    So is a stored 500 (`Idempotent-Replayed`): that key will never say anything else. `code` and `param` are Stripe's.
    """

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class ApiError(Exception):
    """An answer in the contract's error shape.

    `status` is the HTTP status, `message` says in a guest's words what is wrong, `recovery` what to do next.
    """

    def __init__(
        self,
        status: int,
        error_code: str,
        message: str,
        recovery: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(error_code)
        self.status = status
        self.error_code = error_code
        self.message = message
        self.recovery = recovery
        self.details = details
        self.retry_after = retry_after
