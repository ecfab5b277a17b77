"""Each kind of matter is opened by what the operators are notified of, and closed by what settles it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lambdas import record_refund, reserve_refund
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import payment_items
from shared.domain.errors import StripeRefused
from shared.domain.matters import KINDS, matter_key, open_matters
from shared.domain.models import Matter, Payment, Replacement, iso
from tests.harness.booking_situations import paid, refunded
from tests.harness.booking_states import BookingStates
from tests.harness.builders import NOW, TOTAL, capture, closed, payment, refund
from tests.harness.frozen_clock import Clock
from tests.harness.reconciler_runs import Reconciler
from tests.harness.stored_tables import Stored
from tests.harness.webhook_deliveries import POINTER, SUCCEEDED, add_to, dashboard_event, deliver, event

type Json = dict[str, Any]
ROOT = Path(__file__).parents[4]
EXHAUSTED = Replacement(number=6, step=5, progress="p", start_at=NOW)


class Desk:
    """A booking with everything that can happen to it."""

    def __init__(self, booking: BookingStates, reconciler: Reconciler) -> None:
        self.booking, self.reconciler, self.stored = booking, reconciler, booking.stored
        self.stored.put("payments", POINTER)

    def read(self) -> Payment:
        found = payment_items.read_payment("PAY-RES-1")
        assert found is not None
        return found

    def pay(self) -> str:
        session = self.booking.open_session()
        self.booking.stripe.pay(session)
        return str(self.booking.stripe.get("checkout.session", session)["payment_intent"])

    def fail_refund(self) -> None:
        self.booking.replace(refunded("pending"))
        self.booking.run_refund(record_refund, outcome="failed", failure_reason="lost_card")

    def settle_refund(self) -> None:
        self.booking.run_refund(record_refund, outcome="settled_elsewhere")

    def dispute(self) -> None:
        self.booking.replace(paid())
        self._hear("created", status="needs_response", evidence_details={"due_by": int(NOW.timestamp())})

    def dispute_warned(self) -> None:
        """The dispute takes the warning's place, and is decided."""
        self._hear("created", event_id="evt_2", status="needs_response")
        assert list(self.booking.item["attention"]) == ["dispute:dp_1"]
        self._hear("closed", event_id="evt_3", status="lost")

    def win(self) -> None:
        self._hear("closed", event_id="evt_2", status="won")

    def _hear(self, what: str, *, event_id: str = "evt_1", **fields: Any) -> None:
        of = dashboard_event(f"charge.dispute.{what}", id="dp_1", amount=TOTAL, **fields)
        assert deliver(of | {"id": event_id})[0] == 200

    def exhaust(self) -> None:
        before = self.read()
        after = before.model_copy(update={"replacements": {"payment": EXHAUSTED}})
        assert payment_items.plan_replacement(before, "payment", after, now=NOW)

    def run_again(self) -> None:
        before = self.read()
        started = EXHAUSTED.model_copy(update={"start_at": None})
        after = before.model_copy(update={"replacements": {"payment": started}})
        assert payment_items.reschedule(before, after, None, now=NOW)

    def refuse(self) -> None:
        self.booking.stripe.faults.add("checkout.sessions.create", "refuse", 2)
        with pytest.raises(StripeRefused):
            self.booking.create_session()

    def offer(self) -> None:
        self.booking.clock.advance(timedelta(seconds=1))
        self.booking.create_session()

    def lose_sight(self) -> None:
        self.booking.open_session()
        self.booking.stripe.faults.add("checkout.sessions.retrieve", "refuse")
        assert self.booking.verify()["next_step"] == "await_stripe"

    def see(self) -> None:
        [session] = self.booking.stripe.all("checkout.session")
        self.booking.stripe.pay(session["id"])
        assert self.booking.verify()["next_step"] == "confirm"

    def take_back(self) -> None:
        self.booking.stripe.dashboard_refund(self.pay(), 1)
        assert self.booking.verify()["next_step"] == "refund_unapplied"

    def release(self) -> None:
        self.booking.release()

    def cancel_on_platform(self) -> None:
        self.booking.confirm(self._verified())
        self.stored.reservation(status="cancelled")
        self.booking.change(due_at=iso(NOW))
        assert self.reconciler.run() == {"cancelled_money_kept": 1}

    def _verified(self) -> str:
        self.pay()
        return str(self.booking.verify()["payment_intent"])

    def give_back(self) -> None:
        pi = next(iter(self.read().captures))
        fields: Json = {"refund_id": "PAY-RES-1-cancellation", "kind": "cancellation", "payment_intent": pi}
        self.booking.run(reserve_refund, **fields, amount=500, requested_by="operator", policy="manual_refund")

    def warn(self) -> None:
        self.booking.replace(paid())
        deliver(dashboard_event("radar.early_fraud_warning.created", id="issfr_1", fraud_type="misc"))

    def copy_metadata(self) -> None:
        deliver(event(SUCCEEDED, id="pi_9", amount_received=TOTAL))

    def answer_twice(self) -> None:
        self.booking.replace(refunded("settled_elsewhere", stripe_refund_id=None))
        live = dashboard_event("refund.created", status="succeeded", metadata={"refund_id": "G1"})
        deliver(add_to(self.booking.stripe, live))

    def fail_in_dashboard(self) -> None:
        self.booking.replace(paid())
        deliver(dashboard_event("refund.failed", status="failed"))


AFFAIRS: Mapping[str, tuple[Callable[[Desk], None], Callable[[Desk], None] | None, Json]] = {
    "refund_failed:G1": (Desk.fail_refund, Desk.settle_refund, {"amount": 500}),
    "dispute:dp_1": (Desk.dispute, Desk.win, {"amount": TOTAL, "deadline": iso(NOW)}),
    "restarts_exhausted:payment": (Desk.exhaust, Desk.run_again, {}),
    "payment_refused": (Desk.refuse, Desk.offer, {}),
    "session_unreadable:1": (Desk.lose_sight, Desk.see, {}),
    "payment_returned:pi": (Desk.take_back, Desk.release, {"amount": TOTAL}),
    "cancelled_money_kept": (Desk.cancel_on_platform, Desk.give_back, {"amount": TOTAL}),
    "fraud_warning:pi_1": (Desk.warn, Desk.dispute_warned, {"amount": TOTAL}),
    "unmatched_charge:pi_9": (Desk.copy_metadata, None, {"amount": TOTAL}),
    "refund_settled_twice:re_1": (Desk.answer_twice, None, {"amount": 500}),
    "dashboard_refund_failed:re_1": (Desk.fail_in_dashboard, None, {"amount": 500}),
}


@pytest.fixture
def desk(stored: Stored, stripe_account: FakeStripe, clock: Clock, reconciler: Reconciler) -> Desk:
    stored.reservation()
    stored.payment(payment())
    return Desk(BookingStates(stored, stripe_account, clock), reconciler)


@pytest.mark.parametrize("key", AFFAIRS)
def test_a_matter_is_open_exactly_as_long_as_its_cause(desk: Desk, key: str) -> None:
    opens, settles, facts = AFFAIRS[key]
    opens(desk)
    [(opened, matter)] = desk.booking.item["attention"].items()
    kind, _, subject = key.partition(":")
    assert opened == (f"payment_returned:{matter['subject']}" if kind == "payment_returned" else key)
    assert matter == facts | {"kind": kind, "since": iso(NOW)} | ({"subject": matter["subject"]} if subject else {})
    assert desk.booking.item["attention_since"] == iso(NOW)
    if settles is None:
        assert KINDS[desk.read().attention[opened].kind].closable
        return
    settles(desk)
    assert not {"attention", "attention_since"} & desk.booking.item.keys()


def test_every_kind_is_tested_and_has_a_page_of_the_runbook() -> None:
    # A ledger mismatch is opened and closed with its day: tests/unit/shared/services/test_ledger_closing.py.
    assert {key.partition(":")[0] for key in AFFAIRS} == KINDS.keys() - {"ledger_mismatch"}
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert {kind.page for kind in KINDS.values() if f"\n### {kind.page}\n" not in runbook} == set()
    listed = runbook.partition("## The operators' queue\n")[2].partition("\n## ")[0]
    rows = {kind for kind in KINDS if f"| `{kind}` |" in listed}
    assert rows == KINDS.keys()


def test_two_matters_keep_each_other(desk: Desk) -> None:
    desk.fail_refund()
    desk.booking.clock.advance(timedelta(minutes=1))
    desk._hear("created", status="needs_response")
    assert desk.booking.item["attention_since"] == iso(NOW)
    desk.settle_refund()
    assert list(desk.booking.item["attention"]) == ["dispute:dp_1"]
    assert desk.booking.item["attention_since"] == iso(NOW + timedelta(minutes=1))


def test_a_notification_opens_its_matter_although_another_was_opened_since_the_payment_was_read(desk: Desk) -> None:
    stale = desk.read()
    desk.exhaust()
    matter = desk.read().attention["restarts_exhausted:payment"].model_copy(update={"kind": "unmatched_charge"})
    assert payment_items.record_notified(stale, "mark", matter)
    assert not payment_items.record_notified(stale, "mark", matter)
    assert desk.booking.item["attention"].keys() == {"restarts_exhausted:payment", "unmatched_charge:payment"}


def test_a_booking_that_needs_nobody_has_no_matter(desk: Desk) -> None:
    desk.booking.confirm(desk._verified())
    assert not desk.booking.item.get("attention")
    assert "attention_since" not in desk.booking.item


def test_a_warning_of_fraud_that_comes_after_its_dispute_asks_nobody(desk: Desk) -> None:
    """The refund could no longer avoid it, even if the bank has decided for us."""
    desk.booking.replace(paid())
    desk._hear("created", status="needs_response")
    desk.win()
    warning = dashboard_event("radar.early_fraud_warning.created", id="issfr_1", fraud_type="misc")
    assert deliver(warning | {"id": "evt_3"})[0] == 200
    assert desk.read().captures["pi_1"].fraud_warning is not None
    assert not desk.booking.item.get("attention")


WARNED = Matter(kind="fraud_warning", subject="pi_1", since=NOW)
UNREADABLE = Matter(kind="session_unreadable", subject="1", since=NOW)


@pytest.mark.parametrize(
    ("matter", "changes", "is_open"),
    [
        (UNREADABLE, {"attempts": {"1": closed()}}, False),
        (UNREADABLE, {"attempts": {"1": closed()}, "status": "expired"}, True),  # nobody asks about it any more
        (WARNED, {"refunds": {"G1": refund(amount=TOTAL, status="failed")}}, False),  # an operator sees to it
        (WARNED, {"refunds": {"G1": refund(amount=TOTAL, status="canceled")}}, True),
        (WARNED, {"refunds": {"re_1": refund(kind="dashboard", amount=TOTAL, status="failed")}}, True),
        (WARNED, {"refunds": {"G1": refund(payment_intent="pi_2", amount=TOTAL)}}, True),
    ],
)
def test_a_matter_ends_only_with_what_settles_it(matter: Matter, changes: Json, *, is_open: bool) -> None:
    of = payment(
        **({"captures": {"pi_1": capture(role="booking")}, "attention": {matter_key(matter): matter}} | changes)
    )
    assert (matter_key(matter) in open_matters(of, NOW)) is is_open
