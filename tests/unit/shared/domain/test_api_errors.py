"""shared.domain.api_errors: one table of answers, whose texts a guest can read."""

from collections import Counter

import pytest

from shared.domain.api_errors import ERROR_ANSWERS, ApiError, ErrorAnswer, error_answer


def test_each_code_and_reason_has_one_answer() -> None:
    assert max(Counter((answer.code, answer.reason) for answer in ERROR_ANSWERS).values()) == 1


@pytest.mark.parametrize("answer", ERROR_ANSWERS, ids=lambda answer: f"{answer.code}-{answer.reason}")
def test_an_answer_is_an_error_that_says_what_to_do(answer: ErrorAnswer) -> None:
    assert 400 <= answer.status < 600
    assert answer.code == answer.code.upper()
    assert answer.message[0].isupper()
    assert answer.message.endswith(".")
    assert answer.recovery[0].isupper()
    assert answer.recovery.endswith(".")


def test_an_error_has_the_answer_of_its_code_and_reason() -> None:
    error = ApiError("REFUND_NOT_ALLOWED", "too_late", details={"days": 3})
    assert (error.answer, error.details) == (error_answer("REFUND_NOT_ALLOWED", "too_late"), {"days": 3})
    assert ApiError("ALREADY_PAID").answer.status == 409


def test_an_error_outside_the_table_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        ApiError("REFUND_NOT_ALLOWED", "too_early")
