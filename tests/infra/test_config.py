import contextvars
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

import pulumi
import pytest
from pulumi.runtime import set_all_config
from pulumi.runtime.settings import SETTINGS

from infra.config import Config
from infra.stripe_keys import PLACEHOLDER
from shared.adapters.signature import verified
from tests.harness.tables import in_table

GOOD = {"frontendUrl": "https://booking.example.com"}


def load(changes: Mapping[str, str | None] | None = None, *, stack: str = "test") -> Config:
    def run() -> Config:
        SETTINGS.project, SETTINGS.stack = "booking-payments", stack
        given = {key: value for key, value in {**GOOD, **(changes or {})}.items() if value is not None}
        set_all_config(
            {"aws:region": "eu-west-1", **{f"booking-payments:{key}": value for key, value in given.items()}}
        )
        return Config.load()

    return contextvars.Context().run(run)


def test_only_the_front_end_is_required() -> None:
    config = load()
    assert config.checkout_window_seconds == 1800
    assert config.hold_seconds == 86_400
    assert config.max_attempts == 3
    assert config.stripe_retry_seconds == 30
    assert config.stripe_api_base == "https://api.stripe.com"
    assert config.property_time_zone == "Europe/Madrid"
    assert config.customer_id_claim == "custom:customer_id"
    assert config.package
    assert config.manage_api_gateway_account
    assert config.cognito_user_pool_arn is config.operator_email is None
    assert config.reservations_table is config.availability_table is None


def test_the_placeholder_of_the_webhook_secret_verifies_no_signature() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    stamp = str(int(now.timestamp()))
    forged = hmac.new(PLACEHOLDER.encode(), f"{stamp}.{{}}".encode(), sha256).hexdigest()
    assert not verified(b"{}", f"t={stamp},v1={forged}", [PLACEHOLDER], now)
    assert verified(
        b"{}", f"t={stamp},v1={hmac.new(b'whsec_a', f'{stamp}.{{}}'.encode(), sha256).hexdigest()}", ["whsec_a"], now
    )


def test_values_are_read_from_text_as_pulumi_gives_them() -> None:
    config = load(
        {
            "frontendUrl": "https://booking.example.com,http://localhost:3000",
            "checkoutWindowSeconds": "3",
            "holdSeconds": "12",
            "customerIdClaim": "sub",
            "cognitoUserPoolArn": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Abc",
            "logRetentionDays": "90",
            "manageApiGatewayAccount": "false",
        }
    )
    assert config.frontend_url == "https://booking.example.com,http://localhost:3000"
    assert (config.checkout_window_seconds, config.hold_seconds, config.log_retention_days) == (3, 12, 90)
    assert not config.manage_api_gateway_account


@in_table()
def test_a_wrong_value_stops_the_program_and_names_its_key(key: str, value: str | None) -> None:
    with pytest.raises(pulumi.RunError, match=f"booking-payments:{key}: "):
        load({key: value})


CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d"


@pytest.mark.parametrize(
    ("given", "value", "missing"),
    [("domainName", "payments.example.com", "certificateArn"), ("certificateArn", CERTIFICATE, "domainName")],
)
def test_a_domain_needs_its_certificate(given: str, value: str, missing: str) -> None:
    with pytest.raises(pulumi.RunError, match=f"booking-payments:{missing}: "):
        load({given: value})
    assert load({"domainName": "payments.example.com", "certificateArn": CERTIFICATE}).certificate_arn == CERTIFICATE


@pytest.mark.defect("A-10")
def test_production_needs_somebody_to_notify() -> None:
    with pytest.raises(pulumi.RunError, match="booking-payments:operatorEmail: required in production"):
        load({"production": "true"})
    assert load({"production": "true", "operatorEmail": "operators@example.com"}).production


def test_all_errors_are_reported_at_once() -> None:
    with pytest.raises(pulumi.RunError, match=r"maxAttempts.*\n.*package"):
        load({"maxAttempts": "0", "package": "x"})


def test_a_secret_in_the_configuration_is_not_shown() -> None:
    with pytest.raises(pulumi.RunError) as stopped:
        load({"stripeSecretKey": "rather_secret"})
    assert "rather_secret" not in str(stopped.value)


def test_a_stack_name_that_cannot_be_part_of_other_names_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match=r"stack 'My\.Stack'"):
        load(stack="My.Stack")
