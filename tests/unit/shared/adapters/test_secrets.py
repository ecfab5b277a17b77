"""shared.adapters.secrets: secrets are cached, and a refused one is read again, but not too often."""

import pytest

from shared.adapters import secrets
from shared.domain.errors import SecretUnavailable
from tests.harness.stored_tables import Stored

PARAMETER = "/booking/test/stripe/secret_key"


@pytest.mark.defect("D-27")
def test_a_refused_secret_is_read_again_at_most_every_30_s(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 1000.0
    monkeypatch.setattr("shared.adapters.secrets.time.monotonic", lambda: seconds)
    before = secrets.secret(PARAMETER)
    stored.parameter("secret_key", "sk_test_rotated")
    assert secrets.secret(PARAMETER) == before
    assert secrets.refreshed(PARAMETER) == "sk_test_rotated"
    assert secrets.secret(PARAMETER) == "sk_test_rotated"
    seconds += 29
    assert secrets.refreshed(PARAMETER) is None
    seconds += 1
    assert secrets.refreshed(PARAMETER) == "sk_test_rotated"


@pytest.mark.defect("D-24")
def test_a_secret_that_cannot_be_read_is_named_and_nothing_else(stored: Stored) -> None:
    stored.parameter("secret_key", None)
    with pytest.raises(SecretUnavailable, match=f"^cannot read parameter {PARAMETER}$"):
        secrets.secret(PARAMETER)


@pytest.mark.defect("R-14")
def test_a_secret_is_trimmed_when_it_is_read(stored: Stored) -> None:
    """`put-parameter --value file://key.txt` stores the line end too."""
    stored.parameter("secret_key", "sk_test_1\n")
    assert secrets.secret(PARAMETER) == "sk_test_1"
