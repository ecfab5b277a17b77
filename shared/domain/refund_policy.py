"""The cancellation policy."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.domain.models import RefundPolicy

FULL_REFUND_DAYS, HALF_REFUND_DAYS = 14, 7  # whole calendar days before check-in (docs/integration.md)


@dataclass(frozen=True)
class PolicyRefund:
    """What the cancellation policy gives back: `policy` is None where it gives nothing."""

    policy: RefundPolicy | None
    amount: int
    days_until_checkin: int


def refund_by_policy(check_in: date, amount: int, *, time_zone: ZoneInfo, now: datetime) -> PolicyRefund:
    """What a guest gets back who cancels now: 14 days before check-in all, 7 half of it, rounded down to the cent.

    Days are calendar days at the property, so that neither the guest's clock nor daylight saving moves a boundary.
    """
    days = (check_in - now.astimezone(time_zone).date()).days
    if days >= FULL_REFUND_DAYS:
        return PolicyRefund("full_refund", amount, days)
    if days >= HALF_REFUND_DAYS:
        return PolicyRefund("partial_refund_50", amount // 2, days)
    return PolicyRefund(None, 0, days)
