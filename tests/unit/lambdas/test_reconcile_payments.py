"""lambdas.reconcile_payments.handler: what it finds, what it does about it, how often, and what it leaves alone.

Step Functions and the operators are `Around`, Stripe is the fake through the real SDK, DynamoDB moto.
"""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from lambdas import reconcile_payments
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import payment_items, step_functions, stripe_api
from shared.adapters.dynamodb import to_item
from shared.contracts.states import ExecutionInput
from shared.domain.errors import NotificationFailed, StoreBusy, WorkflowUnavailable
from shared.domain.models import Refund, iso
from shared.services import reconciliation
from tests.harness.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    attempt,
    capture,
    closed,
    paying,
    payment,
    refund,
    reservation,
)
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import CONTEXT
from tests.harness.stored_tables import Stored

type Json = dict[str, Any]
DAY = timedelta(days=1)
URLS = {name: f"https://stay.example/booking/{name.removesuffix('_url')}" for name in ("success_url", "cancel_url")}
BOOKING = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1"}
INPUT = BOOKING | {"hold_expires_at": iso(NOW + 22 * HOUR)} | URLS


class Around:
    """What is around the reconciler: how each execution stands, what was started and signalled, who was told what."""

    def __init__(self, stored: Stored, account: FakeStripe, clock: Clock) -> None:
        self.stored, self.account, self.clock = stored, account, clock
        self.executions: dict[str, str] = {}
        self.throttled: set[str] = set()
        self.deaf = False
        self.started: list[tuple[str, Json]] = []
        self.signalled: list[tuple[str, str]] = []
        self.notified: list[str] = []
        self.metrics: list[str] = []

    def reconcile(self, detail: Json | None = None) -> dict[str, int]:
        """A run on schedule, or on the event that an execution died → the finds by kind, each a metric too."""
        self.metrics.clear()
        event = {} if detail is None else {"source": "aws.states", "detail": detail}
        found: dict[str, int] = reconcile_payments.handler(event, CONTEXT)
        assert Counter(self.metrics) == Counter(found | {"ReconcilerRuns": 1})
        return found

    def reconcile_but_for(self, failures: int) -> dict[str, int]:
        """A run that comes across so many items that cannot be reconciled → what it has found besides."""
        self.metrics.clear()
        with pytest.raises(RuntimeError, match=f"{failures} items could not be reconciled; found ") as raised:
            reconcile_payments.handler({}, CONTEXT)
        found = Counter(self.metrics) - Counter({"ReconcilerRuns": 1})
        assert str(raised.value).endswith(f" found {dict(found)}")
        return found

    @property
    def item(self) -> Json:
        return self.stored.get("payments", "PAY-RES-1")

    # Step Functions, and what else is told.

    def execution(self, _: str, name: str) -> step_functions.Execution:
        if name in self.throttled:
            raise WorkflowUnavailable
        return step_functions.Execution(self.executions.get(name, "MISSING"))

    def start(self, arn: str, name: str, execution_input: ExecutionInput) -> bool:
        given = json.loads(execution_input.to_json())
        assert arn.endswith(":refund" if "refund_id" in given else ":payment")
        if self.execution(arn, name) != step_functions.MISSING:
            return False
        self.executions[name] = "RUNNING"
        self.started.append((name, given))
        return True

    def tell(self, _: str, message: str) -> None:
        if self.deaf:
            raise NotificationFailed
        self.notified.append(message)

    def count(self, name: str, *, kind: str = "") -> None:
        self.metrics.append(kind if name == "Reconciled" else name)


@pytest.fixture
def around(stored: Stored, stripe_account: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Around:
    """Without an endpoint at Stripe, so that none of its events is undelivered."""
    stripe_account.endpoint["status"] = "disabled"
    around = Around(stored, stripe_account, clock)
    monkeypatch.setattr(step_functions, "_describe", around.execution)
    monkeypatch.setattr(step_functions, "_start", around.start)
    monkeypatch.setattr(step_functions, "signal", lambda *given: around.signalled.append(given))
    monkeypatch.setattr(reconcile_payments, "count", around.count)
    monkeypatch.setattr(reconciliation, "count", around.count)
    monkeypatch.setattr(reconciliation, "notify_operators", around.tell)
    return around


def told(name: str, what: str) -> str:
    return f"{name}: reservation RES-1, payment PAY-RES-1: {what}."


# Payments that are pending.


@pytest.mark.parametrize(("quiet", "found"), [(59, {}), (60, {"execution_missing": 1})])
def test_a_payment_without_an_execution_gets_it(around: Around, quiet: int, found: dict[str, int]) -> None:
    """What changed a moment ago is left to those who are at it, though the hold is over."""
    around.stored.reservation(created_at=iso(NOW - DAY - HOUR))
    around.stored.payment(payment(updated_at=NOW - quiet * SECOND))
    assert [around.reconcile(), around.reconcile()] == [found, {}]
    assert around.started == [("RES-1", INPUT)] * len(found)


def ended(ago: int) -> Json:
    return {"attempts": {"1": attempt(deadline=NOW - ago * SECOND)}}


FOR_GUEST = {"awaiting": "retry", "task_token": "token"}
FOR_MONEY = FOR_GUEST | {"awaiting": "payment"}
CANCEL = {"cancel_requested_at": NOW - 31 * SECOND}
HOLD_OVER, HOLD_ENDED = {"hold_expires_at": NOW - 31 * SECOND}, {"hold_expires_at": NOW - 30 * SECOND}


@pytest.mark.parametrize(
    "changes", [FOR_MONEY | ended(31), FOR_MONEY | HOLD_OVER, FOR_GUEST | HOLD_OVER, FOR_GUEST | CANCEL]
)
def test_a_wait_that_should_be_over_is_told_to_look(around: Around, changes: Json) -> None:
    """P-11."""
    around.stored.payment(paying(**changes))
    around.executions["RES-1"] = "RUNNING"
    assert around.reconcile() == {"overdue_wait": 1}
    assert (around.signalled, around.started) == ([("token", "refresh")], [])


@pytest.mark.parametrize(
    "changes", [FOR_MONEY | ended(30), FOR_GUEST | ended(31), FOR_GUEST | HOLD_ENDED, HOLD_OVER | CANCEL]
)
def test_every_other_execution_that_runs_is_left(around: Around, changes: Json) -> None:
    around.stored.payment(paying(**changes))
    around.executions["RES-1"] = "RUNNING"
    assert (around.reconcile(), around.signalled, around.started) == ({}, [], [])


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_a_dead_execution_gets_three_replacements_then_operators_are_told_once(around: Around, status: str) -> None:
    around.stored.payment(payment())
    around.executions["RES-1"] = status
    for restart in (1, 2, 3):
        assert around.reconcile() == {"replacement_started": 1}
        assert around.started[-1] == (f"RES-1-r{restart}", INPUT)
        assert around.item["restarts"] == restart
        around.executions[f"RES-1-r{restart}"] = status
        around.clock.advance(MINUTE)
    assert "notified" not in around.item
    assert [around.reconcile() for _ in range(3)] == [{"restarts_exhausted": 1}, {}, {}]
    assert around.item["notified"] == {"restarts_exhausted"}
    assert around.notified == [
        told(
            "PaymentRestartsExhausted", f"3 replacement executions ended without settling it, the last one as {status}"
        )
    ]
    assert len(around.started) == 3


def test_of_two_at_once_one_counts_up_and_if_it_dies_then_it_is_made_up_for(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    around.stored.payment(payment())
    around.executions["RES-1"] = "FAILED"
    once = payment_items.claim_restart
    monkeypatch.setattr(payment_items, "claim_restart", lambda *of, **now: once(*of, **now) and once(*of, **now))
    assert (around.reconcile(), around.started) == ({}, [])
    around.clock.advance(MINUTE)
    assert around.reconcile() == {"execution_missing": 1}
    assert around.started == [("RES-1-r1", INPUT)]


# The event that an execution died.


def died(**given: Any) -> Json:
    return {"status": "FAILED", "input": json.dumps(given)}


@pytest.mark.parametrize("stands", [None, "pending", "completed", "expired", "refunded"])
def test_who_died_has_a_replacement_at_once(around: Around, stands: Any) -> None:
    """Where nothing was written yet, too, and where only the events is left."""
    around.stored.reservation()
    if stands is not None:
        around.stored.payment(payment(status=stands))
    around.executions["RES-1"] = "FAILED"
    assert around.reconcile(died(**INPUT)) == {"replacement_started": 1}
    assert around.started == [("RES-1-r1", INPUT)]
    assert around.item["restarts"] == 1


@pytest.mark.parametrize(
    ("executions", "found"),
    [({"RES-1": "RUNNING"}, {}), ({"RES-1": "SUCCEEDED"}, {}), ({}, {"execution_missing": 1})],
)
def test_a_payment_that_is_over_is_left_where_nothing_died(around: Around, executions: Any, found: Json) -> None:
    """But for one whose replacement was counted up and not started."""
    around.stored.payment(payment(status="completed"))
    around.executions = dict(executions)
    assert around.reconcile(died(**INPUT)) == found
    assert around.started == [("RES-1", INPUT)] * len(found)


@pytest.mark.parametrize("given", [{}, {"payment_id": 7}, INPUT, BOOKING | {"refund_id": "REF-pi_1"}])
def test_who_died_of_no_booking_is_left(around: Around, given: Json) -> None:
    assert around.reconcile(died(**given)) == around.reconcile({}) == {}
    assert (around.started, around.stored.all("payments")) == ([], [])


@pytest.mark.parametrize(
    ("late", "executions", "found", "name"),
    [
        (29, {}, {}, None),
        (30, {}, {"hold_without_payment": 1}, "RES-1"),
        (30, {"RES-1": "FAILED"}, {"replacement_started": 1}, "RES-1-r1"),  # which died before it wrote anything
    ],
)
def test_a_hold_that_nobody_pays_is_released_by_an_execution(
    around: Around, late: int, executions: dict[str, str], found: dict[str, int], name: str | None
) -> None:
    """D-07."""
    end = NOW - late * SECOND
    around.stored.reservation(created_at=iso(end - DAY))
    around.executions = dict(executions)
    assert around.reconcile() == found
    given = {"hold_expires_at": iso(end), "success_url": "https://stay.example", "cancel_url": "https://stay.example"}
    assert around.started == [(name, INPUT | given)] * len(found)


# Bookings that were released.


@pytest.fixture
def released(around: Around) -> str:
    """Released just now; of its two sessions the second was never answered → the first."""
    about = {"payment_id": "PAY-RES-1", "attempt_key": "1"} | URLS
    sent = stripe_api.checkout_parameters(reservation(), expires_at=NOW + HOUR, **about)
    session = stripe_api.create_checkout_session(sent, idempotency_key="k1").id
    known = {"1": closed(stripe_checkout_session_id=session), "2": closed(stripe_checkout_session_id=None)}
    around.stored.payment(payment(status="expired", attempts=known, updated_at=NOW))
    return session


QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(
    "refreshes",
    [
        ((QUARTER - SECOND, 0, 0), (QUARTER, 1, 1), (HOUR, 1, 1), (DAY - SECOND, 1, 1), (DAY, 2, 2), (3 * DAY, 2, 2)),
        ((2 * DAY, 1, 2), (3 * DAY, 1, 2)),
        ((3 * DAY, 1, 2),),
        ((3 * DAY + SECOND, 0, 0),),
    ],
)
def test_a_released_bookings_session_is_looked_at_once_after_15_minutes_and_once_after_a_day(
    around: Around, released: str, refreshes: tuple[tuple[timedelta, int, int], ...]
) -> None:
    """D-04: runs by the time since the release, how often it was looked at until then, and what is noted of it."""
    for after, asked, noted in refreshes:
        around.clock.advance(NOW + after - around.clock.now)
        assert [around.reconcile(), around.reconcile()] == [{}, {}]
        operations = [request.operation for request in around.account.requests]
        assert (after, operations.count("checkout.sessions.retrieve")) == (after, asked)
        assert (after, around.item.get("checks_after_release", 0)) == (after, noted)


def test_late_money_is_told_to_operators_and_given_back(around: Around, released: str) -> None:
    """D-04: told before its refund starts, and again where one of the two fails; what is known is not late."""
    pi = around.account.force_payment(released)["id"]
    around.clock.advance(QUARTER)
    around.throttled = {f"REF-{pi}"}
    assert around.reconcile_but_for(1) == {}
    around.throttled, around.deaf = set(), True
    assert around.reconcile_but_for(1) == {}
    given = {"refund_id": f"REF-{pi}", "kind": "unapplied", "payment_intent": pi, "requested_by": "workflow"}
    assert around.started == [(f"REF-{pi}", BOOKING | given)]
    around.deaf, around.executions[f"REF-{pi}"] = False, "FAILED"
    assert [around.reconcile(), around.reconcile()] == [{"refund_replacement_started": 1, "late_money": 1}, {}]
    assert around.started[1:] == [(f"REF-{pi}-r1", BOOKING | given)]
    what = f"{pi} was paid after the release; it is refunded in full by REF-{pi}"
    assert around.notified == [told("LatePayment", what)] * 2
    around.stored.change("PAY-RES-1", captures={pi: to_item(capture())}, checks_after_release=0)
    assert around.reconcile() == {}


# Refunds, and money that nobody has asked for.

REFUND = "PAY-RES-1-cancellation"


BY_GUEST = {"requested_by": "guest", "policy": "full_refund"}


def entry(status: str, **more: str) -> Refund:
    taken_back = {"stripe_refund_id": "re_1", "failure_reason": "lost"}
    return refund(**({"status": status, "kind": "cancellation"} | taken_back | BY_GUEST | more))


ORDER: Json = BOOKING | {"refund_id": REFUND, "kind": "cancellation", "payment_intent": "pi_1"}
ORDER |= {"amount": 500} | BY_GUEST
TAKEN_BACK: Json = BOOKING | {"refund_id": REFUND, "failed_stripe_refund_id": "re_1", "failure_reason": "lost"}
OTHER_TRY = TAKEN_BACK | {"failed_stripe_refund_id": "re_0"}


def refunding(around: Around, status: str, **more: str) -> None:
    item = payment(status="completed", refunds={REFUND: entry(status, **more)})
    around.stored.put("payments", to_item(item) | {"refunding": "yes"})


@pytest.mark.parametrize(("status", "given"), [("pending", ORDER), ("requires_action", ORDER), ("failed", TAKEN_BACK)])
def test_a_dead_refund_gets_three_replacements_then_operators_are_told(
    around: Around, status: str, given: Json
) -> None:
    """D-31."""
    refunding(around, status)
    for name in (REFUND, f"{REFUND}-r1", f"{REFUND}-r2", f"{REFUND}-r3"):
        assert [around.reconcile(), around.reconcile()] == [{"refund_replacement_started": 1}, {}]
        assert around.started[-1] == (name, given)
        around.executions[name] = "FAILED"
    assert [around.reconcile() for _ in range(3)] == [{"refund_restarts_exhausted": 1}, {}, {}]
    assert around.item["notified"] == {f"refund_restarts_exhausted {REFUND}"}
    assert around.notified == [
        told("RefundRestartsExhausted", f"every execution of refund {REFUND} ended without settling it")
    ]
    assert len(around.started) == 4


@pytest.mark.parametrize(
    ("of", "executions"),
    [
        ({"status": "succeeded"}, {}),
        ({"status": "settled_elsewhere"}, {}),
        ({"status": "pending", "kind": "dashboard"}, {}),
        ({"status": "failed"}, {"failed-re_1": "RUNNING"}),
        ({"status": "pending", "execution": "by-hand"}, {"by-hand": "RUNNING"}),
    ],
)
def test_a_refund_that_is_settled_or_at_work_is_left(around: Around, of: Json, executions: dict[str, str]) -> None:
    """At work may be an execution of another name."""
    refunding(around, **of)
    around.executions = executions
    assert around.reconcile() == {}


@pytest.mark.parametrize(
    ("status", "given", "again"),
    [
        pytest.param(None, ORDER | {"amount": 7}, ORDER | {"amount": 7}, id="nothing is entered"),
        pytest.param("pending", ORDER | {"amount": 7}, ORDER, id="entered"),
        pytest.param("succeeded", ORDER, ORDER, id="settled, not published"),
        pytest.param("succeeded", TAKEN_BACK, TAKEN_BACK, id="taken back, not entered"),
        pytest.param("failed", TAKEN_BACK, TAKEN_BACK, id="taken back, entered"),
        pytest.param("succeeded", OTHER_TRY, ORDER, id="taken back, settled by another try"),
    ],
)
def test_a_refund_that_died_has_a_replacement_at_once(around: Around, status: Any, given: Json, again: Json) -> None:
    refunds = {} if status is None else {REFUND: entry(status)}
    around.stored.payment(payment(status="completed", refunds=refunds))
    around.executions[REFUND] = "FAILED"
    assert around.reconcile(died(**given)) == {"refund_replacement_started": 1}
    assert around.started == [(f"{REFUND}-r1", again)]


def test_money_kept_of_a_cancelled_booking_is_told_once(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-14: and once more where the first who told it died before that was noted."""

    def die(*_: Any, **__: Any) -> bool:
        raise StoreBusy

    around.stored.reservation(status="cancelled")
    around.stored.payment(payment(status="completed"))
    with monkeypatch.context() as patch:
        patch.setattr(payment_items, "record_notified", die)
        assert around.reconcile_but_for(1) == {}
    assert [around.reconcile() for _ in range(3)] == [{"cancelled_money_kept": 1}, {}, {}]
    what = "the reservation is cancelled, but nobody has asked for a refund"
    assert around.notified == [told("CancelledMoneyKept", what)] * 2
    assert around.item["notified"] == {"money_kept"}


GOODWILL = {"refunds": {"PAY-RES-1-0123456789ab": entry("succeeded", kind="goodwill")}}
CANCELLED = {"refunds": {REFUND: entry("succeeded")}}


@pytest.mark.parametrize(
    ("status", "refunds", "kept"),
    [
        ("partially_refunded", GOODWILL, {"cancelled_money_kept": 1}),
        ("partially_refunded", CANCELLED, {}),
        ("refunded", GOODWILL, {}),
    ],
)
def test_only_money_that_nobody_has_asked_for_is_told(around: Around, status: Any, refunds: Json, kept: Json) -> None:
    around.stored.reservation(status="cancelled")
    around.stored.payment(payment(status=status, **refunds))
    assert around.reconcile() == kept


# What cannot be reconciled.


def test_an_event_that_cannot_be_processed_does_not_stop_the_next(around: Around) -> None:
    """D-32: one that is too early, one that is none, one of another kind, one whose payment cannot be read."""
    around.account.endpoint["status"] = "enabled"
    around.stored.payment(paying(updated_at=NOW))
    around.stored.put("payments", {"payment_id": "PAY-RES-2"})
    of = {"object": "payment_intent", "id": "pi_1", "latest_charge": "ch_1"}
    declined = of | {"metadata": BOOKING | {"attempt": "1"}}
    unreadable = of | {"metadata": {"reservation_id": "RES-2", "payment_id": "PAY-RES-2"}}
    with around.account.current():
        around.account.emit("charge.refunded", {"object": "charge", "payment_intent": "pi_unknown"})
        for obj in ({}, declined | {"latest_charge": 7}, unreadable, declined):
            around.account.emit("payment_intent.payment_failed", obj)
        around.account.all("event")[1]["data"]["object"] = None
    assert around.reconcile_but_for(1) == {"undelivered_event": 1}
    assert around.item["attempts"]["1"]["declines"] == {"ch_1": "declined"}


def test_what_cannot_be_reconciled_does_not_keep_the_others_from_it(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item, or a whole list."""
    for name in ("RES-1", "RES-2", "RES-3"):
        around.stored.payment(payment(payment_id=f"PAY-{name}", reservation_id=name))
    around.throttled = {"RES-2"}
    assert around.reconcile_but_for(1) == {"execution_missing": 2}
    assert sorted(name for name, _ in around.started) == ["RES-1", "RES-3"]
    around.stored.reservation("RES-4", created_at=iso(NOW - DAY - HOUR))
    monkeypatch.setattr(payment_items, "payments_between", lambda *_: map(int, "?"))
    assert around.reconcile_but_for(2) == {"hold_without_payment": 1}
