"""The cancellation policy: how much a guest gets back, by the days until check-in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# How a refund was decided: by which tier of the policy, or by an operator.
AppliedPolicy = Annotated[
    str, StringConstraints(pattern=r"^(full_refund|partial_refund_[1-9]\d?|no_refund|manual_refund)$")
]
MAX_TIERS = 10
FULL = 100  # percent


class RefundTier(BaseModel):
    """Until `days` whole calendar days before check-in, `percent` of the price is refunded."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    days: Annotated[int, Field(ge=0, le=3650)]
    percent: Annotated[int, Field(ge=1, le=100)]


def _descending(tiers: list[RefundTier]) -> list[RefundTier]:
    """At most 10 tiers of a refund, from the earliest to the latest; a later one never refunds more."""
    if len(tiers) > MAX_TIERS:
        raise ValueError(f"a refund policy has at most {MAX_TIERS} tiers")
    for earlier, later in pairwise(tiers):
        if later.days >= earlier.days or later.percent > earlier.percent:
            raise ValueError("the tiers of a refund policy must go from the earliest to the latest, and never up")
    return tiers


RefundPolicy = Annotated[list[RefundTier], AfterValidator(_descending)]
"""After the last tier nothing is refunded; without tiers never."""


@dataclass(frozen=True)
class PolicyRefund:
    """The refund in cents of a cancellation now; `applied` is `full_refund`, `partial_refund_50`, … or `no_refund`.

    `changes_at` is when the guest will get less, `next_amount` how much then; both are None if nothing changes.
    """

    applied: str
    amount: int
    days_until_checkin: int
    changes_at: datetime | None = None
    next_amount: int | None = None


def refund_by_policy(
    policy: Sequence[RefundTier], check_in: date, amount: int, *, time_zone: ZoneInfo, now: datetime
) -> PolicyRefund:
    """The refund for a cancellation now, rounded down to the cent.

    Days are calendar days at the property, so that neither the guest's clock nor daylight saving moves a boundary.
    """
    days = (check_in - now.astimezone(time_zone).date()).days
    reached = [tier for tier in policy if days >= tier.days]
    if not reached:
        return PolicyRefund("no_refund", 0, days)
    tier = reached[0]
    following = next((later.percent for later in policy if later.days < tier.days), 0)
    day_after = check_in - timedelta(days=tier.days - 1)
    return PolicyRefund(
        "full_refund" if tier.percent == FULL else f"partial_refund_{tier.percent}",
        amount * tier.percent // FULL,
        days,
        changes_at=datetime.combine(day_after, time(), time_zone),
        next_amount=amount * following // FULL,
    )


def terms(policy: Sequence[RefundTier], check_in: date, today: date) -> str:
    """What of the policy is still to come for one booking, as a sentence for the guest, with dates at the property."""
    last_days = [(tier.percent, check_in - timedelta(days=tier.days)) for tier in policy]
    parts = [
        f"{'full' if percent == FULL else f'{percent}%'} refund until {last_day:%-d %B %Y}"
        for percent, last_day in last_days
        if last_day >= today
    ]
    return f"If you cancel: {', '.join(parts)}, no refund after that." if parts else "This booking is not refundable."
