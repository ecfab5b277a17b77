"""What is known of a booking besides its items, and what its items are to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from scripts.recovery.execution_runs import Opened, PaymentRun, RefundRun
from scripts.recovery.stripe_side import StripeSession
from shared.domain.models import Payment
from shared.domain.refund_policy import RefundTier


@dataclass(frozen=True)
class Facts:
    """What Stripe and Step Functions know of one booking.

    `sessions` that the item lacks are ours only if they are `opened`. `refunds` are those that an execution of ours has
    made.
    """

    sessions: Sequence[StripeSession] = ()
    opened: Mapping[str, Opened] = field(default_factory=dict)
    run: PaymentRun | None = None
    refunds: Mapping[str, RefundRun] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """The configuration of the stack, as far as an item depends on it."""

    hold: timedelta
    refund_policy: list[RefundTier]


@dataclass(frozen=True)
class Rebuilt:
    """The payment as it is to be, and the reservation's new status, if any; `changes` says what that changes."""

    payment: Payment
    reservation_status: Literal["confirmed", "cancelled"] | None = None
    changes: tuple[str, ...] = ()

    def changed(self, what: str, **fields: object) -> "Rebuilt":
        return replace(self, payment=self.payment.model_copy(update=fields), changes=(*self.changes, what))
