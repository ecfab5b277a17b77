"""The tables go back to an earlier moment, and `make recover` brings them up to date."""

from datetime import UTC, datetime

from scripts.recover import recovery
from scripts.recovery.recovery import Result
from tests.e2e.conftest import StackOverHttp
from tests.harness.table_restore import backup, restore


def recover(since: datetime, *, plan: bool = False) -> Result:
    return recovery(since, plan=plan, workers=2).run()


def test_a_booking_that_was_paid_after_the_restored_moment_is_confirmed_again(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    since, before = datetime.now(UTC), backup(stack.outputs)
    assert booking.pay_now().status == 201
    booking.pay_to_the_end()
    paid = booking.payment
    restore(before)
    assert booking.payment_or_empty == {}
    assert booking.reservation_status == "pending"
    planned = recover(since, plan=True)
    assert booking.payment_or_empty == {}
    done = recover(since)
    assert done == planned
    pi = paid["stripe_payment_intent_id"]
    assert done.changes[booking.id] == [
        "create the payment",
        f"enter attempt 1 of {booking.session}",
        f"enter the capture {pi}",
        f"confirm the booking with {pi}",
    ]
    assert booking.reservation_status == "confirmed"
    recovered = booking.payment
    # When it was opened, ended and written last is the recovery's own; what the token waited for is over.
    own = {"attempts", "created_at", "updated_at", "due_at", "completed_at", "token_sequence"}
    assert {name: recovered.get(name) for name in paid.keys() - own} == {name: paid[name] for name in paid.keys() - own}
    assert [recovered["attempts"]["1"][name] for name in ("status", "counted")] == ["paid", 1]
    assert recover(since).changes == {}
