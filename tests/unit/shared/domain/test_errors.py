"""shared.domain.errors: the tree that its docstring draws is the tree of classes."""

import re

import pytest

from shared.domain import errors

DRAWN = re.findall(r"^ {4}[│ ]*[├└]── (\w+)", str(errors.__doc__), re.MULTILINE)


def subclasses(of: type[Exception]) -> list[str]:
    """Every class below, in the order of their definition."""
    return [name for sub in of.__subclasses__() for name in (sub.__name__, *subclasses(sub))]


def test_the_docstring_draws_every_error_where_it_belongs() -> None:
    assert subclasses(errors.PaymentError) == DRAWN


@pytest.mark.parametrize("name", ["StoreBusy", "StripeUnavailable", "NotWaiting", "NotificationFailed"])
def test_a_retry_may_solve_a_transient_error(name: str) -> None:
    assert issubclass(vars(errors)[name], errors.TransientError)
    assert not issubclass(vars(errors)[name], errors.PermanentError)


def test_a_refusal_keeps_stripes_code_and_parameter() -> None:
    refusal = errors.StripeRefused("refused", code="parameter_invalid", param="expires_at")
    assert (str(refusal), refusal.code, refusal.param) == ("refused", "parameter_invalid", "expires_at")
