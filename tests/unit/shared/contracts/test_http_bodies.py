"""shared.contracts.http_bodies: requests are checked strictly, and every error has one shape."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.http_bodies import (
    CheckoutSessionRequest,
    EmptyRequest,
    ErrorResponse,
    RefundRequest,
    ResolutionRequest,
)
from shared.domain.api_errors import ApiError


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (CheckoutSessionRequest, {}),
        (CheckoutSessionRequest, {"reservation_id": "RES 1"}),
        (CheckoutSessionRequest, {"reservation_id": "RES-1", "amount": 1}),
        (EmptyRequest, {"force": True}),
        (RefundRequest, {"amount": "100"}),
        (RefundRequest, {"amount": 0}),
        (RefundRequest, {"kind": "unapplied"}),
        (RefundRequest, {"reason": "r" * 501}),
        (ResolutionRequest, {"answer": "cancel"}),
    ],
)
def test_which_bodies_are_refused(model: Any, body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate_json(json.dumps(body))


def test_a_refund_is_a_cancellation_unless_the_body_says_otherwise() -> None:
    assert RefundRequest().kind == "cancellation"
    assert RefundRequest(kind="goodwill", amount=1).amount == 1


@pytest.mark.parametrize("details", [None, {"refundable_amount": 0}])
def test_an_error_has_the_texts_of_the_table(details: dict[str, Any] | None) -> None:
    body = ErrorResponse.of(ApiError("REFUND_NOT_ALLOWED", "too_much", details=details)).model_dump(exclude_none=True)
    assert body == {
        "success": False,
        "error_code": "REFUND_NOT_ALLOWED",
        "message": "The amount is more than what is left to refund.",
        "recovery": "Enter at most the amount listed in details.",
    } | ({} if details is None else {"details": details})
