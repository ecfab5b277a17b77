"""shared.services.due_lists: the oldest come first, nothing starves, and the next run goes on where one stopped."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters import due_index, dynamodb, stripe_api
from shared.domain.due import SHARDS, SOON, due_shard
from shared.domain.models import iso
from shared.services import due_lists
from shared.services.due_lists import check_shard, process_undelivered_events, release_unpaid_holds
from shared.services.reconciliation import Report
from tests.harness.builders import HOUR, MINUTE, NOW, SECOND, paying, payment
from tests.harness.reconciler_runs import DAY, Reconciler
from tests.harness.webhook_deliveries import OURS, POINTER

SHARD = due_shard("PAY-RES-1")
# Reservations of one shard.
NAMES = [name for number in range(200) if due_shard(f"PAY-{(name := f'RES-{number}')}") == SHARD][:8]


class ShortRun(Report):
    """A run that has time for so many items."""

    def __init__(self, items: int) -> None:
        super().__init__(60)
        self.items = items

    @property
    def time_over(self) -> bool:
        self.items -= 1
        return self.items < 0


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The payments and reservations that are checked, in their order; nothing else happens to them."""
    names: list[str] = []
    for name in ("check_due_payment", "release_unpaid_hold"):
        monkeypatch.setattr(due_lists, name, lambda item, _: names.append(item))
    return names


@pytest.mark.defect("R-18")
def test_what_a_run_has_no_time_for_comes_first_in_the_next(reconciler: Reconciler) -> None:
    for age, name in enumerate(NAMES):
        reconciler.stored.payment(payment(payment_id=f"PAY-{name}", reservation_id=name, due_at=NOW - age * MINUTE))
    oldest_first = NAMES[::-1]
    run = ShortRun(3)
    check_shard(SHARD, run)
    assert reconciler.aws.started_names == oldest_first[:3]
    assert (run.left, run.oldest_left) == (len(NAMES) - 3, NOW - 4 * MINUTE)
    check_shard(SHARD, ShortRun(100))
    assert reconciler.aws.started_names == oldest_first


@pytest.mark.defect("R-18")
def test_a_payment_that_cannot_be_reconciled_takes_no_time_from_the_others(reconciler: Reconciler) -> None:
    """The oldest one cannot be read; it is due again in 5 minutes."""
    broken, *others = NAMES
    due = {"due_at": iso(NOW - HOUR), "due_shard": SHARD}
    reconciler.stored.put("payments", {"payment_id": f"PAY-{broken}"} | due)
    for name in others:
        reconciler.stored.payment(payment(payment_id=f"PAY-{name}", reservation_id=name))
    run = ShortRun(100)
    check_shard(SHARD, run)
    assert (run.failures, run.left) == (1, 0)
    assert sorted(reconciler.aws.started_names) == sorted(others)
    assert reconciler.stored.get("payments", f"PAY-{broken}")["due_at"] == iso(NOW + SOON)


def test_the_index_may_list_what_is_no_longer_due(reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch) -> None:
    reconciler.stored.payment(payment(due_at=NOW + SECOND))
    listed = [("PAY-RES-1", iso(NOW)), ("PAY-gone", iso(NOW))]
    monkeypatch.setattr(due_index, "due_payments", lambda *_: iter(listed))
    run = ShortRun(100)
    check_shard(SHARD, run)
    assert (run.failures, run.kinds, reconciler.started) == (0, {}, [])


OTHERS = [("expired", "expired", None), ("refunded", "cancelled", None), ("completed", "confirmed", NOW + HOUR)]
OTHERS += [("pending", "pending", NOW + HOUR)]


@pytest.mark.defect("R-18")
def test_a_run_costs_what_is_due_and_not_what_exists(reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among 20 and 200 payments, settled or open; `make bench-reconciler` counts among 200, 2,000 and 20,000."""
    calls = Counter[str]()
    client: Any = dynamodb.client()
    call = client._make_api_call

    def counted(operation: str, params: Any) -> Any:
        calls[operation] += 1
        return call(operation, params)

    monkeypatch.setattr(client, "_make_api_call", counted)
    costs = []
    for size in (20, 200):
        for number in range(size):
            status, of_reservation, due_at = OTHERS[number % 4]
            name = f"RES-{size}-{number}"
            more = {"payment_id": f"PAY-{name}", "reservation_id": name, "due_at": due_at}
            reconciler.stored.payment(payment(status=status, **more))
            reconciler.stored.reservation(name, status=of_reservation)
        reconciler.stored.reservation(status="confirmed")
        reconciler.stored.payment(payment(status="completed"))
        calls.clear()
        assert reconciler.run() == {}
        costs.append(calls.copy())
    assert costs[0] == costs[1]
    assert costs[0] == {"Query": len(SHARDS) + 1, "GetItem": 3, "BatchGetItem": 1, "UpdateItem": 1}


@pytest.mark.defect("R-18")
def test_unpaid_holds_are_found_by_their_time_and_the_next_run_goes_on(
    reconciler: Reconciler, checked: list[str]
) -> None:
    """Only those that are over by half a minute are read."""
    over = DAY + 30 * SECOND
    for number in range(5):
        reconciler.stored.reservation(f"RES-{number}", created_at=iso(NOW - over - number * MINUTE))
    reconciler.stored.reservation("RES-new", created_at=iso(NOW - over + SECOND))
    run = ShortRun(2)
    release_unpaid_holds(run)
    assert (checked, run.left) == (["RES-4", "RES-3"], 1)
    release_unpaid_holds(ShortRun(100))
    assert checked == ["RES-4", "RES-3", "RES-2", "RES-1", "RES-0"]
    release_unpaid_holds(ShortRun(100))
    assert checked[5:] == checked[:5]  # what is still pending is checked again


@pytest.fixture
def undelivered(reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """300 events of 60 hours, 120 of them in one second; returns those that are processed, in their order."""
    reconciler.stripe.endpoint["status"] = "enabled"
    processed: list[str] = []
    monkeypatch.setattr(due_lists, "_process_event", lambda event, _: processed.append(event["data"]["object"]["id"]))
    reconciler.clock.advance(timedelta(hours=-60))
    for number in range(300):
        if not 100 <= number < 220:
            reconciler.clock.advance(timedelta(hours=60) / 180)
        with reconciler.stripe.current():
            reconciler.stripe.emit("checkout.session.expired", {"id": f"cs_{number:03}"})
    return processed


@pytest.mark.defect("R-18")
def test_undelivered_events_are_processed_oldest_first_and_never_held_all_at_once(
    reconciler: Reconciler, undelivered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    list_events = stripe_api.undelivered_events

    def listed(*args: Any, **options: Any) -> Any:
        events, complete = list_events(*args, **options)
        held.append(len(events))
        return events, complete

    monkeypatch.setattr(stripe_api, "undelivered_events", listed)
    process_undelivered_events(ShortRun(1000))
    assert undelivered == [f"cs_{number:03}" for number in range(300)]
    assert max(held) == 100
    assert len(held) < 60  # twice 18 halvings lead from 60 hours to the second that has 120 of them


@pytest.mark.defect("R-18")
def test_the_next_run_goes_on_with_undelivered_events(reconciler: Reconciler, undelivered: list[str]) -> None:
    """The slice that was begun is repeated; an event is processed once."""
    run = ShortRun(150)
    process_undelivered_events(run)
    assert (len(undelivered), run.left) == (150, 1)
    process_undelivered_events(ShortRun(1000))
    assert sorted(set(undelivered)) == [f"cs_{number:03}" for number in range(300)]
    assert undelivered[150] > "cs_050"
    undelivered.clear()
    process_undelivered_events(ShortRun(1000))
    assert undelivered[0] == "cs_000"  # Stripe still lists all, and the sweep begins anew


@pytest.mark.defect("D-32")
def test_an_event_that_cannot_be_processed_does_not_stop_the_next(reconciler: Reconciler) -> None:
    """One is too early, one is not an event, one has another kind of object, and one payment cannot be read."""
    reconciler.stripe.endpoint["status"] = "enabled"
    reconciler.stored.payment(paying(due_at=None))
    reconciler.stored.put("payments", {"payment_id": "PAY-RES-2"})
    reconciler.stored.put("payments", POINTER)
    reconciler.stored.put("payments", POINTER | {"payment_id": "pi_2", "belongs_to": "PAY-RES-2"})
    intent = {"object": "payment_intent", "id": "pi_1", "latest_charge": "ch_1"}
    declined = intent | {"metadata": OURS | {"attempt": "1"}}
    unreadable = intent | {"id": "pi_2"}
    with reconciler.stripe.current():
        reconciler.stripe.emit("charge.refunded", {"object": "charge", "payment_intent": "pi_unknown"})
        for obj in ({}, declined | {"latest_charge": 7}, unreadable, declined):
            reconciler.stripe.emit("payment_intent.payment_failed", obj)
        reconciler.stripe.all("event")[1]["data"]["object"] = None
    assert reconciler.run_with_failures(1) == {"undelivered_event": 1}
    assert reconciler.item["attempts"]["1"]["declines"] == {"ch_1": "declined"}
