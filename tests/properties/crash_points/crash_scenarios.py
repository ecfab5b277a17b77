"""What happens to a booking, in a fixed order: between them the scenarios call everything that functions call."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.admin_api.executions import Workflow
from shared.adapters.step_functions import execution_name
from shared.domain.models import iso
from tests.properties.simulation.histories import (
    PRICE,
    REFUND_FAILS_LATER,
    REFUND_PENDING,
    VISA,
    History,
    Player,
)
from tests.properties.simulation.invariants import Look, broken
from tests.properties.simulation.world import Crash, Json, World, until

HOLD = 3.0  # in checkout windows; no timer has a part in this
PATIENCE = 90.0  # seconds; runs of the reconciler die for every booking that is at a point of its
TRIES = 5


class InVainError(Exception):
    """What a scenario waits for did not happen."""


class Actor(Player):
    """Everybody around a booking; who is answered 5xx tries again, as browsers and people do."""

    def __init__(self, world: World) -> None:
        super().__init__(world, History(0, HOLD, "deliver", (), (), settles=True, backwards=False))
        made = world.reserve(HOLD * world.window)
        self.played.id, self.played.token, self.played.day = (
            made["reservation_id"],
            made["guest_token"],
            made["check_in"],
        )

    def _api(
        self, method: str, path: str, body: Json | None = None, *, token: str | None = None, key: str | None = None
    ) -> tuple[int, Json]:
        for _ in range(TRIES):
            status, told = super()._api(method, path, body, token=token, key=key)
            if status < 500 or told.get("error_code") == "STRIPE_UNAVAILABLE":
                break
            time.sleep(0.2)
        return status, told

    @property
    def item(self) -> Json:
        return self.world.admin.payment(self.played.id)

    def waits(self, check: Callable[[], object], what: str) -> None:
        if not until(check, PATIENCE):
            raise InVainError(what)

    def is_(self, status: str) -> None:
        self.waits(lambda: self.item["status"] == status, f"the payment to be {status}")

    def awaits(self, what: str) -> None:
        self.waits(lambda: self.item.get("awaiting") == what and self.item.get("task_token"), f"to await {what}")

    def opens(self, press: Callable[[], None] | None = None, *, sessions: int = 1) -> None:
        """Who is not offered a session at once presses again."""

        def offered() -> bool:
            (press or self.pay_now)()
            return len(self.played.sessions) == sessions

        self.waits(offered, "a session")

    def pays(self, card: str = VISA) -> None:
        self.opens()
        self.pay(card)

    def changes(self, table: str, key: str, value: str, name: str, ago: timedelta) -> None:
        """Put a time of the item back to so long ago."""
        self.world.dynamodb.update_item(
            TableName=self.world.stack.outputs[table],
            Key={key: {"S": value}},
            UpdateExpression="SET #name = :then",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":then": {"S": iso(datetime.now(UTC) - ago)}},
        )

    def executions(self) -> dict[str, Workflow]:
        """Every execution about this booking, with its workflow."""
        mine = (self.played.id, *(intent["id"] for intent in self._intents()))
        mine += tuple(entry["stripe_refund_id"] for entry in self._entries() if "stripe_refund_id" in entry)
        workflows: tuple[Workflow, ...] = ("payment", "refund")
        return {
            execution["name"]: workflow
            for workflow in workflows
            for execution in self.world.admin.executions(workflow)
            if any(one in execution["name"] for one in mine)
        }

    def visited(self) -> set[str]:
        """The states of the payment's executions."""
        admin = self.world.admin
        names = [name for name, workflow in self.executions().items() if workflow == "payment"]
        return {state for name in names for state in admin.execution(name).visited}

    def _entries(self) -> list[Json]:
        try:
            return list(self.item["refunds"].values())
        except LookupError:
            return []

    def entry(self) -> Json:
        found: Json = next(iter(self.item["refunds"].values()), {})
        return found

    def refunded(self, status: str) -> None:
        self.waits(lambda: self.entry().get("status") == status, f"a refund that is {status}")

    def settle_refunds(self, status: Any) -> None:
        refunds = self.world.stripe.all("refund", lambda one: one["metadata"].get("reservation_id") == self.played.id)
        for refund in refunds:
            self.world.stripe.settle_refund(refund["id"], status)

    def refund_waits(self, state: str, refund_id: str) -> None:
        def waiting() -> bool:
            found = [self.world.admin.execution(refund_id, "refund")]
            if (replacement := self.world.admin.replacement(refund_id, "refund")) is not None:
                found.append(replacement[1])
            return any(one.waiting_in == state for one in found)

        self.waits(waiting, f"{refund_id} to wait in {state}")

    def ends(self) -> None:
        """Until none of its executions runs, but for those that wait for a person, and no event is on its way."""
        self.waits(self._at_rest, "everything to come to rest")

    def _at_rest(self) -> bool:
        entries = self.item["refunds"]
        waiting = [refund_id for refund_id, entry in entries.items() if entry.get("awaiting") == "operator"]
        allowed = {execution_name(refund_id, n) for refund_id in waiting for n in range(4)}
        mine = (self.played.id, *(intent["id"] for intent in self._intents()))
        running = [name for name in self.world.running() if any(one in name for one in mine)]
        if self.faults_injected.mail == "deliver":
            about, world = self.played.id, self.world
            with world.stripe.lock:
                events = world.stripe.all("event", lambda one: world.booking_of_object(one["data"]["object"]) == about)
            if not all(self.world.stripe.webhooks.delivered(event["id"]) for event in events):
                return False
        return all(name in allowed or name.startswith("failed-") for name in running)


type Scenario = Callable[[Actor], None]


def paid(actor: Actor) -> None:
    actor.pays()
    actor.is_("completed")


def declined_then_paid(actor: Actor) -> None:
    actor.pays("4000000000000002")
    actor.waits(lambda: any(attempt["declines"] for attempt in actor.item["attempts"].values()), "the decline")
    actor.pay(VISA)
    actor.is_("completed")


def expired_then_retried_then_paid(actor: Actor) -> None:
    actor.opens()
    actor.expire_at_stripe()
    actor.awaits("retry")
    actor.opens(actor.retry, sessions=2)
    actor.pay(VISA)
    actor.is_("completed")


def cancelled_unpaid(actor: Actor) -> None:
    actor.opens()
    actor.cancel()
    actor.is_("expired")


def session_unanswered_then_cancelled(actor: Actor) -> None:
    """Stripe makes the session and nobody hears of it: it is found under its key, and closed."""
    actor.stripe_fails("checkout.sessions.create", "timeout_after", 1_000)
    actor.pay_now()
    actor.awaits("retry")
    actor.faults_injected.stripe.clear()
    actor.cancel()
    actor.is_("expired")


def key_used_up_then_paid(actor: Actor) -> None:
    actor.stripe_fails("checkout.sessions.create", "server_error", 1)
    actor.pays()
    actor.is_("completed")


def cancel_beats_the_payment(actor: Actor) -> None:
    actor.opens()
    actor.faults_injected.mail = "never"
    actor.pay(VISA)
    actor.cancel()
    actor.is_("expired")
    actor.refunded("succeeded")


def paid_after_the_release(actor: Actor) -> None:
    actor.opens()
    actor.cancel()
    actor.is_("expired")
    actor.old_tab(0)
    actor.refunded("succeeded")


def stay_cancelled(actor: Actor) -> None:
    paid(actor)
    actor.refund()
    actor.refunded("succeeded")


def refund_that_is_pending(actor: Actor) -> None:
    actor.world.stripe.refund_delay_seconds = 10_000
    actor.pays(REFUND_PENDING)
    actor.is_("completed")
    actor.refund()
    actor.refund_waits("AwaitRefundSettlement", f"{actor.played.payment_id}-cancellation")
    actor.settle_refunds("succeeded")
    actor.refunded("succeeded")


def refund_that_fails_afterwards(actor: Actor) -> None:
    actor.world.stripe.refund_delay_seconds = 10_000
    actor.pays(REFUND_FAILS_LATER)
    actor.is_("completed")
    actor.refund()
    actor.refunded("succeeded")
    actor.ends()
    actor.settle_refunds("failed")
    actor.refunded("failed")
    actor.waits(lambda: actor.entry().get("awaiting") == "operator", "an operator to be waited for")

    def settled() -> bool:
        # Who answers an execution that dies is asked again.
        if actor.entry().get("awaiting") == "operator":
            actor.answer(f"{actor.played.payment_id}-cancellation", "settled_elsewhere")
        return actor.entry().get("status") == "settled_elsewhere"

    actor.waits(settled, "the refund to be settled by another way")


def goodwill_and_dashboard(actor: Actor) -> None:
    paid(actor)
    actor.goodwill(1_000, 1)
    actor.refunded("succeeded")
    actor.dashboard_refund(2_000, 0)
    actor.waits(lambda: actor.item["refund_amount"] == 3_000, "the dashboard's refund")


def dashboard_refund_that_fails(actor: Actor) -> None:
    paid(actor)
    actor.dashboard_refund(2_000, 0)
    actor.waits(lambda: actor.item.get("refund_amount") == 2_000, "the dashboard's refund")
    actor.ends()
    with actor.world.stripe.current():
        pi = actor.item["stripe_payment_intent_id"]
        (refund,) = actor.world.stripe.all("refund", lambda one: one["payment_intent"] == pi)
    actor.world.stripe.settle_refund(refund["id"], "failed")
    actor.refunded("failed")


def disputed(actor: Actor) -> None:
    paid(actor)
    dispute = actor.world.stripe.open_dispute(actor.item["stripe_payment_intent_id"])
    actor.waits(lambda: dispute["id"] in actor.item["disputes"], "the dispute")
    actor.ends()
    actor.world.stripe.close_dispute(dispute["id"], "won")
    actor.waits(lambda: actor.item["disputes"][dispute["id"]].get("closed_at"), "its end")


def execution_stopped(actor: Actor) -> None:
    actor.opens()
    actor.stop("payment", 0.0)
    actor.waits(lambda: actor.item.get("restarts") == 1, "a replacement")
    actor.waits(lambda: actor.world.admin.execution(f"{actor.played.id}-r1").waiting_in == "AwaitPayment", "it to wait")
    actor.pay(VISA)
    actor.is_("completed")


def granted_and_priced_out(actor: Actor) -> None:
    """The price changes while a session at the old one is open: it is closed, and another opened."""
    actor.opens()
    actor.grant()
    actor.reprice(PRICE + 100)
    actor.opens(sessions=2)
    actor.pay(VISA)
    actor.is_("completed")


def stripe_silent_then_paid(actor: Actor) -> None:
    actor.opens()
    actor.stripe_fails("checkout.sessions.retrieve", "rate_limit", 1_000)
    actor.pay(VISA)
    actor.waits(lambda: "AwaitStripe" in actor.visited(), "Stripe to be waited for")
    actor.faults_injected.stripe.clear()
    actor.is_("completed")


def confirmed_by_somebody_else(actor: Actor) -> None:
    """It is a person's in the end, after every replacement has found the same."""
    actor.opens()
    actor.world.admin.change_reservation(actor.played.id, status="confirmed", total_amount=None)
    actor.expire_at_stripe()
    told = actor.world.admin.notifications
    about = f"PaymentRestartsExhausted: reservation {actor.played.id}"
    actor.waits(lambda: any(note["message"].startswith(about) for note in told()), "a person to be told")


def refund_whose_function_keeps_dying(actor: Actor) -> None:
    """More often than the state repeats it: a replacement has to."""
    paid(actor)
    actor.faults_injected.crashes += [Crash("record_refund", 0, "before", run=run) for run in range(6)]
    actor.refund()
    actor.refunded("succeeded")


# Found by the schedule alone.


def hold_without_payment(actor: Actor) -> None:
    """Nobody ever pressed "Pay now"."""
    actor.changes("reservationsTable", "reservation_id", actor.played.id, "created_at", timedelta(days=1))
    actor.waits(lambda: actor.world.admin.reservation(actor.played.id)["status"] == "expired", "the release")


def events_never_delivered(actor: Actor) -> None:
    actor.faults_injected.mail = "never"
    paid(actor)


def dispute_never_delivered(actor: Actor) -> None:
    paid(actor)
    actor.ends()
    actor.faults_injected.mail = "never"
    dispute = actor.world.stripe.open_dispute(actor.item["stripe_payment_intent_id"])
    about = f"PaymentDisputed: dispute {dispute['id']}"
    told = actor.world.admin.notifications
    actor.waits(lambda: any(note["message"].startswith(about) for note in told()), "the operators to be told")


def timer_that_is_late(actor: Actor) -> None:
    """The hold is over, and the wait is not."""
    actor.opens()
    actor.changes("paymentsTable", "payment_id", actor.played.payment_id, "hold_expires_at", timedelta(minutes=1))
    actor.is_("expired")


def money_found_after_the_release(actor: Actor) -> None:
    """By the look at its sessions alone."""
    actor.opens()
    actor.faults_injected.mail = "lost"
    actor.cancel()
    actor.is_("expired")
    actor.old_tab(0)
    actor.changes("paymentsTable", "payment_id", actor.played.payment_id, "updated_at", timedelta(hours=2))
    actor.refunded("succeeded")


def cancelled_by_the_platform(actor: Actor) -> None:
    paid(actor)
    actor.platform_cancels()
    about = f"CancelledMoneyKept: reservation {actor.played.id}"
    told = actor.world.admin.notifications
    actor.waits(lambda: any(note["message"].startswith(about) for note in told()), "the operators to be told")


# Elsewhere the reconciler comes by, and whether it does is chance.
RECONCILED: tuple[Scenario, ...] = (
    execution_stopped,
    hold_without_payment,
    events_never_delivered,
    dispute_never_delivered,
    timer_that_is_late,
    money_found_after_the_release,
    cancelled_by_the_platform,
)

SCENARIOS: tuple[Scenario, ...] = (
    paid,
    declined_then_paid,
    expired_then_retried_then_paid,
    cancelled_unpaid,
    session_unanswered_then_cancelled,
    key_used_up_then_paid,
    cancel_beats_the_payment,
    paid_after_the_release,
    stay_cancelled,
    refund_that_is_pending,
    refund_that_fails_afterwards,
    goodwill_and_dashboard,
    dashboard_refund_that_fails,
    disputed,
    granted_and_priced_out,
    *RECONCILED,
)

# Those that lead through the remaining states of the workflows.
TROUBLED: tuple[Scenario, ...] = (
    stripe_silent_then_paid,
    confirmed_by_somebody_else,
    refund_whose_function_keeps_dying,
)

_IDS = re.compile(r"\b(?:RES|PAY|REF|re|pi|du|dp)[-_][\w-]+|https:\S+")


@dataclass(frozen=True)
class End:
    """How everything stands in the end; ids and times left out, since they differ from run to run."""

    reservation: str
    night: str
    payment: str
    ledger: tuple[int, int]
    sessions: list[str]
    attempts: list[tuple[str, int]]
    captures: list[tuple[int, int, str]]
    refunds: list[tuple[str, int, str]]
    at_stripe: list[tuple[int, str]]
    disputes: list[str]
    told: list[str]
    events: list[str]
    broken: list[str] = field(default_factory=list)


# What a function, and not a state, publishes is lost with it: the repeat finds the work done (money and dates are).
MAY_BE_LOST = {"BookingCancelled", "RefundFailed", "PaymentDisputed"}


def end(actor: Actor) -> End:
    seen = Look(actor.world).at(actor.played)
    payment = seen.payment
    ours = seen.night.get("reservation_id") in {None, actor.played.id}
    return End(
        reservation=seen.reservation["status"],
        night=seen.night["status"] if ours else "another's",
        payment=payment.get("status", "none"),
        ledger=(payment.get("refund_amount", 0), payment.get("refund_pending_amount", 0)),
        sessions=sorted(session["status"] for session in seen.sessions),
        attempts=sorted((attempt["status"], attempt["counted"]) for attempt in payment.get("attempts", {}).values()),
        captures=sorted((one["amount"], one["refundable"], one.get("role", "none")) for one in seen.captures.values()),
        refunds=sorted((one["kind"], one["amount"], one["status"]) for one in seen.entries.values()),
        at_stripe=sorted((refund["amount"], refund["status"]) for refund in seen.refunds),
        disputes=sorted(one["status"] for one in payment.get("disputes", {}).values()),
        told=sorted({_IDS.sub("…", text) for text in seen.told if not text.startswith("ExecutionDied")}),
        events=sorted({one["detail_type"] for one in actor.world.admin.events() if _about(one, actor)} - MAY_BE_LOST),
        broken=[*actor.world.violations[actor.played.id], *broken(seen)],
    )


def _about(event: Json, actor: Actor) -> bool:
    return bool(event["detail"].get("reservation_id") == actor.played.id)
