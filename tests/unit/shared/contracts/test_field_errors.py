"""shared.contracts.field_errors: a guest reads what is wrong with a field, and never what was sent."""

import pytest
from pydantic import ValidationError

from shared.contracts.field_errors import describe_errors
from shared.contracts.http_bodies import RefundRequest


def errors(body: str) -> dict[str, str]:
    with pytest.raises(ValidationError) as raised:
        RefundRequest.model_validate_json(body)
    return describe_errors(raised.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"amount": 0}', {"amount": "Must be at least 1."}),
        ('{"amount": "ada@guests.example"}', {"amount": "Must be a whole number."}),
        ('{"amount": 1.5}', {"amount": "Must be a whole number."}),
        ('{"kind": "all", "more": 1}', {"kind": "Must be 'cancellation' or 'goodwill'.", "more": "Unknown field."}),
        ('{"reason": 7}', {"reason": "Must be a string."}),
        ("[]", {"body": "The body must be a JSON object."}),
        ("{", {"body": "The body is not valid JSON."}),
    ],
)
def test_each_field_has_its_message(body: str, expected: dict[str, str]) -> None:
    assert errors(body) == expected


def test_a_body_that_is_not_text_is_not_json() -> None:
    assert describe_errors(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")) == {
        "body": "The body is not valid JSON."
    }
