"""A day of bookings with every kind of fault, refund and dispute: `python -m tests.workflows.ledger.busy_day 2000`."""

import sys
import time
from collections.abc import Callable
from itertools import cycle, islice

from tests.harness.booking_driver import CHALLENGED, DECLINED, REFUND_PENDING, BookingDriver
from tests.harness.reconciled_days import reconcile, summary_of, today
from tests.harness.running_stack import RunningStack, run_stack
from tests.harness.waiting import wait_until

DAY = 86_400


def _offered(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve()
    assert booking.pay_now().status in {200, 201}
    return booking


def paid(stack: RunningStack) -> None:
    stack.reserve_paid()


def declined_at_first(stack: RunningStack) -> None:
    booking = _offered(stack)
    booking.pay(DECLINED)
    booking.pay_to_the_end()


def challenged(stack: RunningStack) -> None:
    booking = _offered(stack)
    assert booking.pay(CHALLENGED) == "challenge"
    assert booking.pass_challenge() == 303
    booking.wait_for_end()


def never_paid(stack: RunningStack) -> None:
    assert _offered(stack).cancel().status == 200


def paid_after_it_was_cancelled(stack: RunningStack) -> None:
    booking = _offered(stack)
    assert booking.cancel().status == 200
    booking.wait_for_refund_end(f"REF-{booking.force_payment()}")


def cancelled(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    booking.refund()
    booking.wait_for_refund_end()


def refund_that_settles_late(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_PENDING)
    booking.refund()
    booking.wait_refund_in("AwaitRefundSettlement")
    stack.stripe.settle_refund(str(booking.entry()["stripe_refund_id"]), "succeeded")
    booking.wait_for_refund_end()


def _refund_that_comes_back(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve_paid()
    booking.refund()
    booking.wait_for_refund_end()
    failed = str(booking.entry()["stripe_refund_id"])
    stack.stripe.settle_refund(failed, "failed")
    booking.wait_refund_in("AwaitOperator", f"failed-{failed}")
    return booking


def refund_that_comes_back_and_is_repeated(stack: RunningStack) -> None:
    booking = _refund_that_comes_back(stack)
    assert booking.resolve(booking.cancellation_id, "retry").status == 200
    wait_until(lambda: booking.entry()["status"] == "succeeded", "the second refund")


def refund_that_comes_back_and_is_settled_elsewhere(stack: RunningStack) -> None:
    booking = _refund_that_comes_back(stack)
    assert booking.resolve(booking.cancellation_id, "settled_elsewhere").status == 200


def goodwill(stack: RunningStack) -> None:
    assert stack.reserve_paid().refund_goodwill(1234).status in {200, 202}


def refunded_in_the_dashboard(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    stack.stripe.dashboard_refund(booking.payment_intent, 777)
    wait_until(lambda: booking.payment["refund_amount"] == 777, "the refund to be entered")


def disputed_and_won(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    dispute = str(stack.stripe.open_dispute(booking.payment_intent)["id"])
    wait_until(lambda: dispute in booking.payment["disputes"], "the dispute")
    stack.stripe.close_dispute(dispute, "won")


def disputed_and_lost(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    dispute = str(stack.stripe.open_dispute(booking.payment_intent, 20_000)["id"])
    wait_until(lambda: dispute in booking.payment["disputes"], "the dispute")
    stack.stripe.close_dispute(dispute, "lost")


def inquiry_that_escalates(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    inquiry = str(stack.stripe.open_dispute(booking.payment_intent, status="warning_needs_response")["id"])
    wait_until(lambda: inquiry in booking.payment["disputes"], "the inquiry")
    stack.stripe.escalate_inquiry(inquiry)


def without_webhooks(stack: RunningStack) -> None:
    booking = _offered(stack)
    booking.faults.webhooks = "drop"
    booking.pay()
    booking.return_from_stripe()
    booking.wait_for_end()
    stack.stripe.dashboard_refund(booking.session_intent, 555)


def with_doubled_webhooks(stack: RunningStack) -> None:
    booking = _offered(stack)
    booking.faults.webhooks = "duplicate"
    booking.pay_to_the_end()
    booking.refund()
    booking.wait_for_refund_end()


def while_stripe_and_aws_fail(stack: RunningStack) -> None:
    booking = _offered(stack)
    booking.faults.fail_stripe("checkout.sessions.retrieve", "server_error")
    booking.faults.fail_stripe("refunds.create", "server_error_after")
    booking.faults.fail_aws("dynamodb.TransactWriteItems", "throttled", caller=None)
    booking.pay_to_the_end()
    booking.refund()
    booking.wait_for_refund_end()


def charged_by_another_system(stack: RunningStack) -> None:
    pi = str(stack.stripe.charge_elsewhere(amount=9_900, metadata={"stack": "booking-other"})["id"])
    stack.stripe.dashboard_refund(pi, 900)


def charged_with_copied_metadata(stack: RunningStack) -> None:
    (session,) = stack.reserve_paid().sessions()
    stack.stripe.charge_elsewhere(amount=500, metadata=session["metadata"])


KINDS: tuple[Callable[[RunningStack], None], ...] = (
    *(paid, declined_at_first, challenged, never_paid, paid_after_it_was_cancelled, cancelled),
    *(refund_that_settles_late, refund_that_comes_back_and_is_repeated),
    *(refund_that_comes_back_and_is_settled_elsewhere, goodwill, refunded_in_the_dashboard),
    *(disputed_and_won, disputed_and_lost, inquiry_that_escalates, without_webhooks, with_doubled_webhooks),
    *(while_stripe_and_aws_fail, charged_by_another_system, charged_with_copied_metadata),
)


def play(stack: RunningStack, bookings: int) -> None:
    """So many bookings of all kinds in turn, and a run of the reconciler for what no event has reported."""
    for kind in islice(cycle(KINDS), bookings):
        kind(stack)
    stack.stripe.webhooks.wait_until_idle()
    stack.admin.reconcile()
    stack.stripe.webhooks.wait_until_idle()


def main(bookings: int) -> None:
    with run_stack({"throttleRate": 5000, "throttleBurst": 5000}, seed=18, nights=1) as stack:
        day, started = today(), time.perf_counter()
        play(stack, bookings)
        assert today() == day, "the day ended before the bookings"
        time.sleep(DAY)
        reconcile(stack, day)
        summary = summary_of(stack, day)
        lines = [
            (
                f"{bookings} bookings in {time.perf_counter() - started:.0f} virtual seconds, differences:"
                f" {summary['differences']}, net {summary['net']}, balance {stack.stripe.balance()}"
            ),
            *(
                f"| {whose} | {category} | {of['count']} | {of['gross']} | {of['fee']} | {of['net']} |"
                for whose in ("ours", "not_ours")
                for category, of in sorted(summary[whose]["EUR"].items())
            ),
        ]
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
