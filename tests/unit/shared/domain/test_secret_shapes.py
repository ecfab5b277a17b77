"""shared.domain.secret_shapes: keys are trimmed and have the form of Stripe's; no error quotes one."""

import pytest

from shared.domain.secret_shapes import clean_secret


@pytest.mark.defect("R-14")
@pytest.mark.parametrize(
    ("name", "value", "cleaned"),
    [
        ("secret_key", "sk_test_1A\n", "sk_test_1A"),
        ("secret_key", " rk_live_1A\r\n", "rk_live_1A"),
        ("publishable_key", "pk_live_1\t", "pk_live_1"),
        ("webhook_secret", "whsec_1\n", "whsec_1"),
        ("webhook_secret", "whsec_1, whsec_2\n", "whsec_1,whsec_2"),
    ],
)
def test_blanks_and_line_ends_are_removed(name: str, value: str, cleaned: str) -> None:
    assert clean_secret(name, value) == cleaned


@pytest.mark.defect("R-14")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secret_key", "pk_live_MARKER"),
        ("secret_key", "sk_live_MARKER\nsk_live_MARKER"),
        ("secret_key", '"sk_live_MARKER"'),
        ("secret_key", "MARKER"),
        ("secret_key", ""),
        ("publishable_key", "sk_live_MARKER"),
        ("webhook_secret", "we_MARKER"),
        ("webhook_secret", "whsec_MARKER,"),
        ("webhook_secret", "whsec_MARKER,whsec_MARKER,whsec_MARKER"),
    ],
)
def test_what_is_not_a_key_is_refused_without_being_quoted(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} does not have the form") as raised:
        clean_secret(name, value)
    assert "MARKER" not in str(raised.value)
