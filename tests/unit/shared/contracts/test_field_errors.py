"""shared.contracts.field_errors: a guest reads what is wrong with a field, and never what was sent."""

import pytest
from pydantic import ValidationError

from shared.contracts.field_errors import describe_errors
from shared.contracts.http_bodies import RefundRequest
from tests.harness.tables import in_table


def errors(body: str) -> dict[str, str]:
    with pytest.raises(ValidationError) as raised:
        RefundRequest.model_validate_json(body)
    return describe_errors(raised.value)


@in_table()
def test_each_field_has_its_message(body: str, expected: dict[str, str]) -> None:
    assert errors(body) == expected


def test_a_body_that_is_not_text_is_not_json() -> None:
    assert describe_errors(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")) == {
        "body": "The body is not valid JSON."
    }
