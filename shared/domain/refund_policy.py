"""The cancellation policy: how much a guest gets back, by the days until check-in."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.domain.models import RefundPolicy

FULL_REFUND_DAYS, HALF_REFUND_DAYS = 14, 7  # whole calendar days before check-in (docs/integration.md)


@dataclass(frozen=True)
class PolicyRefund:
    """The refund in cents; `policy` is None if there is none."""

    policy: RefundPolicy | None
    amount: int
    days_until_checkin: int


def refund_by_policy(check_in: date, amount: int, *, time_zone: ZoneInfo, now: datetime) -> PolicyRefund:
    """The refund for a cancellation now: all of it 14 days before check-in, half (rounded down) 7 days before.

    Days are calendar days at the property, so that neither the guest's clock nor daylight saving moves a boundary.
    """
    days = (check_in - now.astimezone(time_zone).date()).days
    if days >= FULL_REFUND_DAYS:
        return PolicyRefund("full_refund", amount, days)
    if days >= HALF_REFUND_DAYS:
        return PolicyRefund("partial_refund_50", amount // 2, days)
    return PolicyRefund(None, 0, days)
