"""The settings of a function, from its environment: names and numbers, never a secret."""

import functools
import os
import sys
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Json

from shared.domain.refund_policy import RefundPolicy


class Settings(BaseModel):
    """The settings of every function; `__main__.py` sets one variable per field, named in upper case.

    `stack` is the prefix of the deployment's names, such as `booking-prod`.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    stack: str
    payments_table: str
    webhook_events_table: str
    reservations_table: str
    availability_table: str
    audit_table: str
    stripe_secret_key_parameter: str
    stripe_webhook_secret_parameter: str
    stripe_api_base: str
    frontend_urls: str
    checkout_window_seconds: int
    hold_seconds: int
    max_attempts: int
    property_time_zone: str
    refund_policy: Json[RefundPolicy]
    property_name: str
    statement_descriptor_suffix: str
    send_receipts: bool
    refund_on_fraud_warning: str
    customer_id_claim: str
    operator_topic_arn: str
    event_bus_name: str

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of the front end; the first one is the default."""
        return tuple(self.frontend_urls.split(","))

    @property
    def refunds_fraud_up_to(self) -> int:
        """The largest charge, in cents, that an early fraud warning refunds without a person; 0 for none."""
        limits = {"never": 0, "always": sys.maxsize}
        given = self.refund_on_fraud_warning
        return limits[given] if given in limits else int(given)

    @property
    def time_zone(self) -> ZoneInfo:
        return ZoneInfo(self.property_time_zone)


class StarterSettings(BaseModel):
    """Further settings of the functions that start or resume executions."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    payment_state_machine_arn: str
    refund_state_machine_arn: str = ""


class LedgerSettings(BaseModel):
    """Further settings of the functions that write or show reconciled days."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    ledger_bucket: str


class ReportingSettings(BaseModel):
    """Further settings of the function that may read no key of Stripe's but its own."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    stripe_reporting_key_parameter: str = ""


def _read[Model: BaseModel](model: type[Model]) -> Model:
    return model.model_validate(
        {name: os.environ[name.upper()] for name in model.model_fields if name.upper() in os.environ}
    )


@functools.cache
def settings() -> Settings:
    """The function's settings, read once per container."""
    return _read(Settings)


@functools.cache
def starter_settings() -> StarterSettings:
    """The state machines' ARNs, read once per container."""
    return _read(StarterSettings)


@functools.cache
def ledger_settings() -> LedgerSettings:
    """The bucket of reconciled days, read once per container."""
    return _read(LedgerSettings)


@functools.cache
def reporting_settings() -> ReportingSettings:
    """The key for reports, read once per container; empty in every other function."""
    return _read(ReportingSettings)
