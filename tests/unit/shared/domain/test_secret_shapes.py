"""shared.domain.secret_shapes: keys are trimmed and have the form of Stripe's; no error quotes one."""

import pytest

from shared.domain.secret_shapes import clean_secret
from tests.harness.tables import in_table


@pytest.mark.defect("R-14")
@in_table()
def test_blanks_and_line_ends_are_removed(name: str, value: str, cleaned: str) -> None:
    assert clean_secret(name, value) == cleaned


@pytest.mark.defect("R-14")
@in_table()
def test_what_is_not_a_key_is_refused_without_being_quoted(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} does not have the form") as raised:
        clean_secret(name, value)
    assert "MARKER" not in str(raised.value)
