"""How the pages say things: amounts, times, statuses and codes in words."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from markupsafe import Markup

PAYMENT_STATUS = {
    "pending": "Waiting for payment",
    "completed": "Paid",
    "partially_refunded": "Partly refunded",
    "refunded": "Refunded",
    "expired": "Not paid",
}
END_REASON = {
    "paid": "paid",
    "cancelled_by_guest": "cancelled by the guest",
    "cancelled_by_operator": "cancelled by an operator",
    "cancelled_by_platform": "cancelled by the booking platform",
    "booked_elsewhere": "confirmed by the booking platform itself",
    "hold_ended": "the hold ended",
}
REFUND_STATUS = {
    "pending": "under way",
    "requires_action": "waits for the guest",
    "succeeded": "returned",
    "failed": "failed",
    "canceled": "cancelled at Stripe",
    "settled_elsewhere": "settled elsewhere",
}
REFUND_KIND = {
    "cancellation": "Refund of the cancellation",
    "goodwill": "Goodwill refund",
    "unapplied": "Refund of an unapplied payment",
    "dashboard": "Refund from Stripe's dashboard",
}
ATTEMPT_STATUS = {
    "opening": "being opened",
    "open": "open",
    "paid": "paid",
    "closed": "closed",
    "unresolved": "Stripe is being asked",
}
EXECUTION_STATUS = {
    "RUNNING": "running",
    "SUCCEEDED": "finished",
    "FAILED": "failed",
    "ABORTED": "stopped",
    "TIMED_OUT": "timed out",
}
DECLINE = {
    "insufficient_funds": "not enough money on the card",
    "lost_card": "the card was reported lost",
    "stolen_card": "the card was reported stolen",
    "expired_card": "the card has expired",
    "incorrect_cvc": "the security code is wrong",
    "processing_error": "the bank could not process it",
    "generic_decline": "the bank gave no reason",
    "card_declined": "the bank gave no reason",
    "authentication_required": "the guest did not pass the bank's check",
    "fraudulent": "Stripe suspects fraud",
    "do_not_honor": "the bank gave no reason",
}
MATTER = {
    "refund_failed": "A refund failed",
    "dispute": "A dispute is open",
    "fraud_warning": "The bank warns of fraud",
    "restarts_exhausted": "The workflow keeps failing",
    "payment_refused": "Stripe refused a request to pay",
    "session_unreadable": "Stripe refuses to show a checkout session",
    "payment_returned": "Money was returned before the booking was confirmed",
    "cancelled_money_kept": "The booking is cancelled, its money is still here",
    "unmatched_charge": "A charge that no booking explains",
    "refund_settled_twice": "A refund may have been settled twice",
    "dashboard_refund_failed": "A refund from Stripe's dashboard failed",
    "ledger_mismatch": "The ledger and Stripe's balance differ",
}
WHAT_TO_DO = {
    "refund_failed": "Try it again, or send the money another way and say so.",
    "dispute": "Answer it in Stripe's dashboard before the deadline.",
    "fraud_warning": "Refund and cancel, or decide to keep the booking and close the matter.",
    "restarts_exhausted": "Read the error of the last execution and fix its cause.",
}


def amount(cents: int | None, currency: str = "EUR") -> str:
    """As `EUR 1,125.00`."""
    return "—" if cents is None else f"{currency} {Decimal(cents) / 100:,.2f}"


def cents(text: str) -> int | None:
    """The cents of an amount that somebody typed; None unless it is one, with at most two decimals."""
    try:
        value = Decimal(text.upper().replace("EUR", "").replace(",", "").strip()) * 100
    except InvalidOperation:
        return None
    return int(value) if value.is_finite() and value == value.to_integral_value() and value > 0 else None


def stay(check_in: str, check_out: str) -> str:
    """As `29 to 31 December 2026`."""
    first, last = date.fromisoformat(check_in), date.fromisoformat(check_out)
    form = "%-d" if first.month == last.month else "%-d %B" if first.year == last.year else "%-d %B %Y"
    return f"{first.strftime(form)} to {last:%-d %B %Y}"


def words(code: str | None) -> str:
    """A code that has no words of its own, without underscores."""
    return (code or "").replace("_", " ")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Clock:
    """Times in the property's zone; the UTC time shows when the pointer rests on one."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def time(self, text: str | None, form: str = "%-d %B %Y, %H:%M:%S") -> Markup:
        if text is None:
            return Markup("—")
        at = moment(text)
        shown = at.astimezone(self.zone).strftime(form)
        return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
            at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S"), shown
        )

    def minute(self, text: str | None) -> Markup:
        return self.time(text, "%-d %b %Y, %H:%M")

    def day(self, text: str | None) -> Markup:
        return self.time(text, "%-d %B")
