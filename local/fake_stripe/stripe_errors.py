"""Stripe's error responses.

StripeError
├── InvalidRequestError       refused during execution: remembered under the idempotency key
│   └── ParameterError   wrong parameters, not executed: not remembered
└── (any other status)   401, 409, 429, 500
"""

from typing import Any

Json = dict[str, Any]


class StripeError(Exception):
    """An error response: HTTP status, and the `error` object of the body."""

    remembered = False

    def __init__(
        self, status: int, error_type: str, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {"message": message, "type": error_type}
        if code:
            self.error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
        if param:
            self.error["param"] = param


class InvalidRequestError(StripeError):
    remembered = True

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, status: int = 400) -> None:
        super().__init__(status, "invalid_request_error", message, code=code, param=param)


class ParameterError(InvalidRequestError):
    remembered = False
