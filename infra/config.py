"""The configuration of a stack (`pulumi config set KEY VALUE`) with its defaults. A wrong value stops the program."""

import json
import re
from typing import Annotated, Self
from zoneinfo import available_timezones

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from shared.domain.refund_policy import RefundPolicy

_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:\d+)?|http://(localhost|127\.0\.0\.1)(:\d+)?")
_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")]


# The first line of each validator's docstring is the limit that docs/configuration.md shows.


def _origins(value: str) -> str:
    """Origins, comma-separated: https, or http for localhost and 127.0.0.1; no path."""
    if wrong := [origin for origin in value.split(",") if not _ORIGIN.fullmatch(origin)]:
        raise ValueError(
            f"{', '.join(map(repr, wrong))}: expected origins (https, or http for localhost; no path), comma-separated"
        )
    return value


def _time_zone(value: str) -> str:
    """An IANA time zone."""
    if value not in available_timezones():
        raise ValueError(f"{value!r} is not an IANA time zone")
    return value


def _retention(days: int) -> int:
    """A retention of CloudWatch, such as 14, 30, 90 or 365."""
    if days not in _RETENTIONS:
        raise ValueError(f"CloudWatch supports these numbers of days: {', '.join(map(str, _RETENTIONS))}")
    return days


def _json(value: object) -> object:
    """A JSON list of at most 10 tiers, the earliest first, such as `[{"days": 14, "percent": 100}]`."""
    return json.loads(value) if isinstance(value, str) else value


class Config(BaseModel):
    """One field for each key, which is in camelCase: `frontend_url` is `frontendUrl`."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,  # each is the key's description in docs/configuration.md
    )

    frontend_url: Annotated[str, AfterValidator(_origins)]
    """Origins of the booking site. Guests return from Stripe to the first; browsers may call the API from each."""
    checkout_window_seconds: int = Field(default=1800, ge=1, le=82_800)
    """How long one Checkout Session can be paid."""
    hold_seconds: int = Field(default=86_400, ge=1, le=2_592_000)
    """How long the dates are held, from the reservation's `created_at`."""
    reminder_seconds: int = Field(default=7200, ge=0, le=2_592_000)
    """How long before the end of an unpaid hold the event `HoldEnding` is published, once per booking; 0 for never."""
    max_attempts: int = Field(default=3, ge=1, le=20)
    """How many Checkout Sessions a guest gets for one booking. Operators can grant more."""
    stripe_retry_seconds: int = Field(default=30, ge=1, le=900)
    """The first wait before Stripe is asked again."""
    reconcile_minutes: int = Field(default=1, ge=1, le=1440)
    """How often the reconciler runs."""
    stripe_api_base: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+[^\s?#/]$")] = (
        "https://api.stripe.com"
    )
    """Where Stripe's API is. Only the local stack and tests change it."""
    property_time_zone: Annotated[str, AfterValidator(_time_zone)] = "Europe/Madrid"
    """The time zone in which the refund policy counts days."""
    refund_policy: Annotated[RefundPolicy, BeforeValidator(_json)] = Field(
        default='[{"days": 14, "percent": 100}, {"days": 7, "percent": 50}]', validate_default=True
    )
    """What a cancellation refunds: `percent` of the price until `days` days before check-in. A reservation may have its
    own `refund_policy`."""

    property_name: Annotated[str, StringConstraints(pattern=r"^[^<>]{1,60}$")] = "Your stay"
    """What the guest reads on Stripe's page, before the nights and dates."""
    statement_descriptor_suffix: Annotated[
        str, StringConstraints(pattern=r"^([^<>\\'\"*]*[A-Za-z][^<>\\'\"*]*)?$", max_length=22)
    ] = ""
    """What follows the account's own name on the guest's card statement, such as the property's name."""
    send_receipts: bool = False
    """Whether Stripe sends the guest a receipt by e-mail."""
    refund_on_fraud_warning: Annotated[str, StringConstraints(pattern=r"^(never|always|[1-9]\d{0,7})$")] = "never"
    """Which bookings are refunded in full and cancelled when a card network warns of fraud: `never`, `always`, or up to
    so many euro cents."""

    customer_id_claim: Annotated[str, StringConstraints(pattern=r"^(sub|custom:\w{1,20})$")] = "custom:customer_id"
    """The claim of the guest's ID token that holds the platform's customer id."""
    cognito_user_pool_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:cognito-idp:[\w-]+:\d{12}:userpool/[\w-]+$")] | None
    ) = None
    """The user pool of the booking platform. Without it the stack creates its own."""
    operator_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None
    """Who gets alarms and notifications, once the address is confirmed. Required if `production`."""
    reservations_table: Name | None = None
    """The booking platform's table of reservations. Without it the stack creates its own."""
    availability_table: Name | None = None
    """The booking platform's table of nights. Without it the stack creates its own."""
    platform_key_arn: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:kms:[\w-]+:\d{12}:key/[\w-]+$")] | None = (
        None
    )
    """The key of the booking platform's tables, if they are encrypted with a key of its own."""

    production: bool = False
    """Protects what cannot be restored (tables, guests, secrets, the key) against deletion."""
    customer_managed_key: bool = False
    """Whether tables, topic, logs and executions are encrypted with the stack's own key."""
    web_acl_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:wafv2:[\w-]+:\d{12}:regional/webacl/[\w-]+/[\w-]+$")]
        | None
    ) = None
    """A web ACL of AWS WAF that protects the API."""

    domain_name: Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]{1,63}\.)+[a-z]{2,63}$")] | None = None
    """The API's own domain, such as `payments.example.com`; needs `certificateArn`."""
    certificate_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:acm:[\w-]+:\d{12}:certificate/[\w-]+$")] | None
    ) = None
    """The certificate of `domainName` in AWS Certificate Manager, in the stack's region."""

    throttle_rate: int = Field(default=100, ge=1, le=10_000)
    """Requests a second to one route. Routes that start or change something get a share of it (infra/api.py)."""
    throttle_burst: int = Field(default=200, ge=1, le=5_000)
    """Requests at once to one route, shared out in the same way."""
    manage_api_gateway_account: bool = True
    """Whether this stack sets the role with which API Gateway logs, one setting for the account and region. Only one
    stack can; the role outlives it."""
    log_retention_days: Annotated[int, AfterValidator(_retention)] = 30
    """How many days logs are kept."""
    package: bool = True
    """Whether to package the functions. The local stack runs them from the working tree."""

    def environment(self) -> dict[str, str]:
        """Return what the functions need to know of it, as shared/settings.py reads it."""
        return {
            "STRIPE_API_BASE": self.stripe_api_base,
            "FRONTEND_URLS": self.frontend_url,
            "CHECKOUT_WINDOW_SECONDS": str(self.checkout_window_seconds),
            "HOLD_SECONDS": str(self.hold_seconds),
            "MAX_ATTEMPTS": str(self.max_attempts),
            "PROPERTY_TIME_ZONE": self.property_time_zone,
            "REFUND_POLICY": json.dumps([tier.model_dump() for tier in self.refund_policy]),
            "PROPERTY_NAME": self.property_name,
            "STATEMENT_DESCRIPTOR_SUFFIX": self.statement_descriptor_suffix,
            "SEND_RECEIPTS": str(self.send_receipts).lower(),
            "REFUND_ON_FRAUD_WARNING": self.refund_on_fraud_warning,
            "CUSTOMER_ID_CLAIM": self.customer_id_claim,
        }

    @classmethod
    def load(cls) -> Self:
        """Return the stack's configuration. Raises pulumi.RunError, which names each wrong, missing or unknown key."""
        if not re.fullmatch("[a-z0-9-]{1,20}", pulumi.get_stack()):
            raise pulumi.RunError(
                f"stack {pulumi.get_stack()!r}: its name is part of all other names and must match [a-z0-9-]{{1,20}}"
            )
        project = f"{pulumi.get_project()}:"
        everything = {**get_config_env(), **CONFIG.get()}
        given = {key.removeprefix(project): value for key, value in everything.items() if key.startswith(project)}
        try:
            config = cls.model_validate(given)
        except ValidationError as error:
            wrong = [f"{project}{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
            raise pulumi.RunError("invalid configuration\n" + "\n".join(wrong)) from None
        if config.hold_seconds < config.checkout_window_seconds:
            raise pulumi.RunError(
                f"invalid configuration\n{project}holdSeconds: must not be below checkoutWindowSeconds"
            )
        if (config.domain_name is None) != (config.certificate_arn is None):
            missing = "certificateArn" if config.certificate_arn is None else "domainName"
            raise pulumi.RunError(f"invalid configuration\n{project}{missing}: must be set, since the other one is")
        if config.production and config.operator_email is None:
            raise pulumi.RunError(
                f"invalid configuration\n{project}operatorEmail: required in production, where somebody must hear of"
                " payments and refunds that need a person"
            )
        return config
