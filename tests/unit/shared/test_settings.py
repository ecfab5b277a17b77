"""shared.settings: a function's settings come from its environment, completely or not at all."""

from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from shared.settings import settings, starter_settings


@pytest.fixture(autouse=True)
def unread() -> None:
    settings.cache_clear()
    starter_settings.cache_clear()


def test_settings_are_read_with_their_types() -> None:
    assert (settings().checkout_window_seconds, settings().max_attempts) == (1800, 3)
    assert settings().origins == ("https://stay.example", "http://localhost:3000")
    assert settings().time_zone == ZoneInfo("Europe/Madrid")


def test_settings_are_read_once_per_container(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings()
    monkeypatch.setenv("MAX_ATTEMPTS", "4")
    assert settings() is before


@pytest.mark.parametrize("name", ["PAYMENTS_TABLE", "HOLD_SECONDS", "OPERATOR_TOPIC_ARN"])
def test_a_missing_variable_fails_at_once_with_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ValidationError, match=name.lower()):
        settings()


def test_a_function_without_refunds_needs_no_refund_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFUND_STATE_MACHINE_ARN")
    assert starter_settings().refund_state_machine_arn == ""
    assert starter_settings().payment_state_machine_arn.endswith(":stateMachine:payment")
