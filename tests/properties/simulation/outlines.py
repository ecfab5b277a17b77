"""Outlines of random histories: steps that lead somewhere, between which others are drawn."""

from collections.abc import Callable, Mapping
from random import Random

from tests.harness.booking_driver import REFUND_FAILS_LATER, REFUND_PENDING, VISA
from tests.properties.simulation.places import STATES
from tests.properties.simulation.steps import PRICE, Step, random_step

type Outline = Callable[[Random], list[Step]]


def _steps(rng: Random, *names: str, concurrent: tuple[str, ...] = ()) -> list[Step]:
    """The steps of these names; the `concurrent` ones come last, each perhaps in the background."""
    last = [random_step(name, rng, in_background=rng.random() < 0.5) for name in concurrent]
    return [random_step(name, rng) for name in names] + last


def _shuffled(rng: Random, *names: str) -> tuple[str, ...]:
    return tuple(rng.sample(names, len(names)))


def _random_steps_only(_: Random) -> list[Step]:
    return []


def _paid(rng: Random, card: str = VISA) -> list[Step]:
    return [*_steps(rng, "pay_now"), Step("pay", (card, "passed")), *_steps(rng, "wait_for_workflow")]


def _refunded(rng: Random) -> list[Step]:
    """Paid; then refunds are requested in several ways at once."""
    names = ("refund", "refund_by_operator", "goodwill", "refund_in_dashboard", "stop")
    ways = rng.choices(names, (4, 1, 3, 1, 2), k=rng.randint(0, 3))
    return [*_paid(rng), *_steps(rng, concurrent=(rng.choice(("refund", "goodwill")), *ways))]


def _paid_twice(rng: Random) -> list[Step]:
    """A second session, and payments in both."""
    ends = rng.choice(("expire_at_stripe", "wait_for_window_end"))
    paying = _shuffled(rng, "pay", "pay_in_old_tab")
    return _steps(rng, "pay_now", ends, "wait_for_workflow", "retry", concurrent=paying)


def _cancelled_while_paying(rng: Random) -> list[Step]:
    other = rng.choice(("cancel", "cancel_on_platform", "reprice", "lose_night"))
    return _steps(rng, "pay_now", concurrent=_shuffled(rng, "pay", other))


def _paid_late(rng: Random) -> list[Step]:
    """Paid while the window or the hold ends, or afterwards."""
    first, last = rng.choice(
        (("wait_for_window_end", "pay"), ("wait_for_hold_end", "pay"), ("wait_for_hold_end", "pay_in_old_tab"))
    )
    return _steps(rng, "pay_now", concurrent=(first, last))


def _attempts_used_up(rng: Random) -> list[Step]:
    again = ("expire_at_stripe", "wait_for_workflow", rng.choice(("retry", "pay_now")))
    return _steps(rng, "pay_now", *again, *again, *again, "grant_attempt", "retry", "pay")


def _refunded_before_confirmation(rng: Random) -> list[Step]:
    between = ("stop",) if rng.random() < 0.5 else ()
    return _steps(rng, "pay_now", *between, concurrent=("pay", "refund_at_stripe"))


def _disputed(rng: Random) -> list[Step]:
    opens = rng.choice((("inquire", "escalate"), ("inquire",), ("dispute",)))
    refunds = rng.choice((("refund",), ("goodwill",), ()))
    return _steps(rng, "pay_now", "pay", *opens, *refunds, "close_dispute")


def _unreadable_while_paying(rng: Random) -> list[Step]:
    paying = _shuffled(rng, "break_reservation", "pay")
    return _steps(rng, "pay_now", *paying, "wait_for_workflow", "fix_reservation")


def _paid_elsewhere(rng: Random) -> list[Step]:
    platform = rng.choice(("confirm_on_platform", "set_status_on_platform", "delete_reservation"))
    return _steps(rng, "pay_now", concurrent=_shuffled(rng, "pay", platform, "charge_elsewhere"))


def _attempt_failed(rng: Random) -> list[Step]:
    return _steps(rng, "pay_now", rng.choice(("expire_at_stripe", "wait_for_window_end")), "wait_for_workflow")


def _returned_at_once(rng: Random) -> list[Step]:
    """The money is returned while the workflow asks Stripe about it."""
    returned = Step("refund_at_stripe", (rng.choice((PRICE, PRICE // 2)),), in_background=True, at="VerifyPayment")
    return [returned, *_paid(rng)]


def _returned_unseen(rng: Random) -> list[Step]:
    """Where events are lost, the workflow asks Stripe about the money only when the window is over."""
    paid_back = [Step("pay", (VISA, "passed")), Step("refund_at_stripe", (PRICE,))]
    return [*_steps(rng, "pay_now"), *paid_back, *_steps(rng, "wait_for_window_end", "wait_for_workflow")]


def _confirmed_by_platform(rng: Random) -> list[Step]:
    asks = rng.choice(("expire_at_stripe", "return_from_stripe", "cancel"))
    return _steps(rng, "pay_now", "confirm_on_platform", asks)


def _released(rng: Random) -> list[Step]:
    return _steps(rng, "pay_now", concurrent=(rng.choice(("cancel", "wait_for_hold_end", "cancel_on_platform")),))


def _reminded(rng: Random) -> list[Step]:
    """No session is open when the guest is to be reminded that the hold ends."""
    return _steps(rng, "pay_now", "expire_at_stripe", "wait_for_workflow", "wait_for_hold_end")


def _stripe_down(rng: Random) -> list[Step]:
    kind = rng.choice(("rate_limit", "server_error", "timeout_before", "html_403"))
    down = Step("fail_stripe", (rng.choice(("checkout.sessions.retrieve", "checkout.sessions.expire")), kind, 20))
    return [*_steps(rng, "pay_now"), down, *_steps(rng, rng.choice(("pay", "cancel", "expire_at_stripe")))]


def _refused(rng: Random) -> list[Step]:
    """Stripe refuses to create a session, whatever is asked."""
    refusal = Step("fail_stripe", ("checkout.sessions.create", "refuse", 5))
    return [refusal, *_steps(rng, "pay_now", "wait_for_workflow", "retry", "pay")]


def _unreadable(rng: Random) -> list[Step]:
    """Every replacement dies until the reservation is fixed."""
    return _steps(rng, "pay_now", "break_reservation", rng.choice(("expire_at_stripe", "return_from_stripe", "cancel")))


def _refund_pending(rng: Random) -> list[Step]:
    return [*_paid(rng, REFUND_PENDING), *_steps(rng, rng.choice(("refund", "goodwill")), "wait_for_stripe")]


def _refund_fails_later(rng: Random) -> list[Step]:
    paid = [*_paid(rng, REFUND_FAILS_LATER), *_steps(rng, rng.choice(("refund", "goodwill")))]
    return [*paid, *_steps(rng, "wait_for_stripe", "resolve_refund")]


def _warned_of_fraud(rng: Random) -> list[Step]:
    paid = [*_paid(rng), *_steps(rng, "warn_of_fraud", rng.choice(("read_record", "refund_by_operator")))]
    return [*paid, Step("close_matter", ("fraud_warning",), pause=5.0)]


def _settled_elsewhere(rng: Random) -> list[Step]:
    """An operator answers that the guest has the money of a refund that failed."""
    paid = [*_paid(rng, REFUND_FAILS_LATER), *_steps(rng, rng.choice(("refund", "goodwill")), "wait_for_stripe")]
    return [*paid, Step("resolve_refund", ("settled_elsewhere",))]


def _unapplied(rng: Random) -> list[Step]:
    """The dates are lost, or the price is changed, before the guest pays."""
    lost = rng.choice((Step("lose_night"), Step("reprice", (PRICE + 5_000,))))
    paid = Step("pay", (VISA, "passed"))
    return [*_steps(rng, "pay_now"), lost, paid, *_steps(rng, "wait_for_workflow")]


def _refund_refused(rng: Random) -> list[Step]:
    """What is to be refunded is taken while its reservation is repeated."""
    crash = Step("crash", ("reserve_refund", 0, "before"), at="ReserveRefund")
    dispute = Step("dispute", (), in_background=True, at="ReserveRefund")
    return [crash, dispute, *_paid(rng), *_steps(rng, "refund")]


def _refund_dies(rng: Random) -> list[Step]:
    """A function of the refund crashes more often than it is tried again."""
    function = rng.choice(("reserve_refund", "record_refund"))
    crashes = [Step("crash", (function, 0, "before"))] * 6
    return [*_paid(rng), *crashes, *_steps(rng, "refund")]


OUTLINES: tuple[Outline, ...] = (
    *(_random_steps_only, _random_steps_only, _refunded, _refunded, _paid_twice, _cancelled_while_paying, _paid_late),
    *(
        _attempts_used_up,
        _refunded_before_confirmation,
        _disputed,
        _warned_of_fraud,
        _unreadable_while_paying,
        _paid_elsewhere,
    ),
    *(_stripe_down, _refused, _refund_pending, _refund_fails_later),
)
# How long the hold has to be, in checkout windows: for several attempts, or for a reminder two hours before its end.
HOLDS: Mapping[Outline, tuple[float, ...]] = {_paid_twice: (2.2, 3.2), _attempts_used_up: (2.2, 3.2), _reminded: (48,)}

_LEADING_TO: Mapping[Outline, tuple[str, ...]] = {
    _paid: ("VerifyPayment", "ConfirmReservation", "AnnouncePayment", "PaymentConfirmed"),
    _refunded: ("ReserveRefund", "CreateRefund", "RecordRefund", "AnnounceRefund", "RefundCompleted"),
    _attempt_failed: ("VerifyPayment", "ExpireCheckoutSessions"),
    _returned_at_once: ("VerifyPayment",),
    _returned_unseen: ("ExpireCheckoutSessions",),
    _paid_twice: ("RecordFailedAttempt", "AwaitRetry"),
    _cancelled_while_paying: ("ExpireCheckoutSessions",),
    _paid_late: ("ExpireCheckoutSessions", "ReserveRefund"),
    _attempts_used_up: ("RecordFailedAttempt", "AwaitRetry", "CreateCheckoutSession"),
    _confirmed_by_platform: ("NotifyBookedElsewhere", "BookedElsewhere"),
    _released: ("ReleaseHold", "AnnounceRelease", "HoldReleased", "ExpireCheckoutSessions"),
    _reminded: ("PublishHoldEnding",),
    _unapplied: ("RefundUnusablePayment",),
    _settled_elsewhere: ("RecordSettledElsewhere",),
    _stripe_down: ("AwaitStripe",),
    _refused: ("NotifyPaymentRefused", "AwaitRetry"),
    _unreadable: ("NotifyOperators", "NeedsAttention"),
    _refund_pending: ("AwaitRefundSettlement", "CheckRefund"),
    _refund_fails_later: ("RecordRefundFailure", "NotifyOperators (refund)", "AwaitOperator"),
    _refund_refused: ("RefundRefused",),
    _refund_dies: ("NotifyDefect", "NeedsAttention (refund)"),
}


def outlines_to(state: str) -> tuple[Outline, ...]:
    """The outlines that lead to a state; all of them lead to the first ones."""
    assert state in STATES
    return tuple(outline for outline, states in _LEADING_TO.items() if state in states) or OUTLINES
