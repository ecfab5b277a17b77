"""When a payment is due: when the reconciler has to look at it, unless something happens before."""

from datetime import datetime, timedelta
from hashlib import sha256

from shared.domain.ids import cancellation_id
from shared.domain.models import Payment

SHARDS = "0123456789abcdef"
GRACE = timedelta(seconds=30)  # how long after its end a wait or a hold counts as overdue
SOON = timedelta(minutes=5)  # what the reconciler has just started, resumed or failed at
DAILY = timedelta(days=1)
CHECK_AGAIN_AFTER = (timedelta(minutes=15), timedelta(days=1))  # after a release
# For so long after a payment or a refund has ended, its execution is checked too: it may have died while it published
# the event, and the event of its death been lost. There is at least one check in this time.
ENDED_LATELY = timedelta(days=2)


def due_shard(payment_id: str) -> str:
    """The part of the index that lists the payment, of which there are 16."""
    return sha256(payment_id.encode()).hexdigest()[0]


def wait_end(payment: Payment) -> datetime:
    """When the execution of a pending payment stops waiting, or should have stopped."""
    if payment.cancel_requested_at is not None:
        return payment.cancel_requested_at
    if payment.awaiting == "payment" and payment.current is not None:
        return min(payment.current.deadline, payment.hold_expires_at)
    return payment.hold_expires_at


def next_due(payment: Payment, now: datetime, *, stay_over: bool = False) -> datetime | None:
    """When the payment is due next; None if nothing of it is awaited any more.

    pending            at the end of its wait, within a day
    restart planned    when it is to be started
    unsettled refund   within a day
    settled refund     after a day
    paid               daily until the stay is over, since the platform may cancel it
    released           after 15 minutes and after a day, since money may come late
    """
    starts = [one.start_at for one in payment.replacements.values() if one.start_at is not None]
    times = [start if start > now else now + SOON for start in starts]
    if any(refund.unsettled for refund in payment.refunds.values() if refund.kind != "dashboard"):
        times.append(now + DAILY)
    settled = [refund.settled_at for refund in payment.refunds.values() if refund.settled_at is not None]
    times += [at + DAILY for at in settled if now < at + DAILY]
    if payment.status == "pending":
        times.append(min(max(wait_end(payment) + GRACE, now + SOON), now + DAILY))
    elif payment.status == "expired" and payment.checks_after_release < len(CHECK_AGAIN_AFTER):
        times.append(payment.updated_at + CHECK_AGAIN_AFTER[payment.checks_after_release])
    elif watched(payment) and not stay_over:
        times.append(now + DAILY)
    return min(times, default=None)


def ended_lately(ended_at: datetime | None, now: datetime) -> bool:
    """Whether a payment or a refund has ended, not long ago."""
    return ended_at is not None and now < ended_at + ENDED_LATELY


def watched(payment: Payment) -> bool:
    """Whether it is paid, and nobody has asked to cancel it here."""
    paid = payment.status in {"completed", "partially_refunded"}
    return paid and cancellation_id(payment.payment_id) not in payment.refunds
