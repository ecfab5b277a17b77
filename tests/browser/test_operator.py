"""What an operator does in the console."""

import re

import pytest

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Visitor
from tests.harness.booking_driver import REFUND_FAILS_LATER, BookingDriver
from tests.harness.copied_bookings import copy_bookings
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until


@pytest.fixture
def failed_refund(stack: RunningStack) -> BookingDriver:
    """A stay that the guest has cancelled, whose refund failed after it had succeeded."""
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    booking.refund()
    refund_id = f"PAY-{booking.id}-cancellation"
    wait_until(lambda: "stripe_refund_id" in booking.payment["refunds"][refund_id], "the refund at Stripe")
    stack.stripe.settle_refund(booking.payment["refunds"][refund_id]["stripe_refund_id"], "failed")
    wait_until(lambda: booking.payment["refunds"][refund_id].get("awaiting") == "operator", "the wait for an operator")
    return booking


def test_a_failed_refund_is_found_on_today_and_tried_again(
    visitor: Visitor, failed_refund: BookingDriver, stack: RunningStack
) -> None:
    again = "Try the refund of EUR 1,125.00 again"
    visitor.sign_in()
    visitor.reads("Payments started today")
    visitor.check()
    card = visitor.page.get_by_role("listitem").filter(has_text=failed_refund.id)
    visitor.press(card.get_by_role("link", name="A refund failed"))
    visitor.reads("refund of EUR 1,125.00 failed, waits for you.")
    visitor.reads("running, in AwaitOperator")
    assert "here" in (visitor.page.locator("#refund-AwaitOperator").get_attribute("class") or "")
    visitor.check()
    visitor.press(again)
    visitor.check()
    visitor.fill("Note for your colleagues (optional)", "The guest has a new card.")
    stack.stripe.refund_status = "pending"
    visitor.press(again)
    visitor.reads("The refund of EUR 1,125.00 is being tried again.")
    # The new refund settles while the page is open.
    own = stack.stripe.all("refund", lambda refund: refund["payment_intent"] in failed_refund.payment["captures"])
    stack.stripe.settle_refund(str(own[-1]["id"]), "succeeded")
    visitor.reads("; EUR 1,125.00 returned on ")
    visitor.check()
    visitor.press("Today")
    visitor.reads(re.compile("Nothing needs you|needs? you"))
    assert visitor.page.get_by_text(failed_refund.id).count() == 0


def test_a_refund_is_recorded_as_settled_elsewhere(visitor: Visitor, failed_refund: BookingDriver) -> None:
    record = "Record that EUR 1,125.00 was returned another way"
    visitor.sign_in(f"/console/payments/{failed_refund.id}")
    visitor.press(record)
    visitor.check()
    visitor.fill("How the guest got the money", "Bank transfer")
    visitor.press(record)
    visitor.reads("EUR 1,125.00 returned by another way on")


@pytest.mark.parametrize("what", ["reservation", "payment", "PaymentIntent", "refund"])
def test_a_payment_is_found_by_its_ids(visitor: Visitor, stack: RunningStack, what: str) -> None:
    booking = stack.reserve_paid()
    refund_id = str(booking.refund_goodwill(500).body["refund_id"])
    ids = {"reservation": booking.id, "payment": booking.payment_id, "refund": refund_id}
    visitor.sign_in()
    visitor.fill("Find a payment", ids.get(what, booking.session_intent))
    visitor.press("Find")
    visitor.press(booking.id)
    visitor.reads("Paid EUR 1,125.00 on")


def test_the_list_is_filtered_and_its_address_can_be_shared(
    visitor: Visitor, new_visitor: NewVisitor, stack: RunningStack
) -> None:
    paid, open_ = stack.reserve_paid(), stack.reserve()
    open_.pay_now()
    visitor.sign_in("/console/payments")
    visitor.choose("Status", "Waiting for payment")
    visitor.fill("Customer", open_.customer_id)
    visitor.press("Filter")
    visitor.link(open_.id).wait_for()
    assert visitor.link(paid.id).count() == 0
    visitor.check()
    other = new_visitor()
    other.sign_in(visitor.page.url.removeprefix(visitor.url))
    other.link(open_.id).wait_for()
    visitor.press("Clear")
    visitor.link(paid.id).wait_for()


def test_older_payments_are_on_the_next_page(visitor: Visitor, stack: RunningStack) -> None:
    oldest = copy_bookings(stack, [stack.reserve_paid()], range(51))[-1]
    visitor.sign_in("/console/payments")
    visitor.check()
    visitor.press("Older")
    visitor.link(oldest).wait_for()
    visitor.check()
    visitor.press("Newest")
    visitor.control("Older").wait_for()


def test_a_stay_is_cancelled_with_another_amount(visitor: Visitor, stack: RunningStack) -> None:
    booking, label = stack.reserve_paid(), "Amount in EUR, at most EUR 1,125.00"
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.press("Cancel the stay and refund another amount")
    visitor.fill(label, "1,200")
    visitor.press("Go on")
    visitor.reads("At most EUR 1,125.00 can be refunded.")
    visitor.check()
    visitor.fill(label, "1,000.50")
    visitor.press("Go on")
    visitor.check()
    visitor.press("Cancel the stay and refund EUR 1,000.50")
    visitor.reads("The stay is cancelled.")
    visitor.reads("EUR 1,000.50")
    assert booking.status()["reservation_status"] == "cancelled"


def test_a_stay_is_cancelled_by_the_policy(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.press("Cancel the stay and refund EUR 1,125.00")
    visitor.reads("By the policy the guest gets EUR 1,125.00 of EUR 1,125.00.")
    visitor.press("Back without doing anything")
    visitor.press("Cancel the stay and refund EUR 1,125.00")
    visitor.fill("Reason, which the guest can read (optional)", "The boiler is broken.")
    visitor.press("Cancel the stay and refund EUR 1,125.00")
    visitor.reads("The stay is cancelled.")
    visitor.reads("The boiler is broken.")


def test_goodwill_is_refunded(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    visitor.open(f"/console/payments/{booking.id}")
    visitor.press("Sign in")
    visitor.press("Refund an amount out of goodwill")
    visitor.fill("Amount in EUR, at most EUR 1,125.00", "50")
    visitor.press("Go on")
    visitor.press("Refund EUR 50.00 out of goodwill")
    visitor.reads("The goodwill refund has been requested.")
    visitor.press(re.compile(f"^PAY-{booking.id}-"))
    visitor.reads("Refund workflow, ")
    visitor.check()


def test_an_attempt_is_granted_and_the_booking_is_cancelled(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.press("Grant one more attempt to pay")
    visitor.check()
    visitor.press("Grant one more attempt to pay")
    visitor.reads("The guest has one more attempt.")
    assert booking.status()["attempts_left"] == 3
    visitor.press("Cancel this unpaid booking")
    visitor.check()
    visitor.press("Cancel this unpaid booking")
    visitor.reads("Not paid, dates released: cancelled by an operator")
    visitor.check()


def test_a_matter_is_closed_with_a_note(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    stack.stripe.warn_of_fraud(booking.session_intent)
    wait_until(lambda: booking.payment.get("attention"), "the open matter")
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.press("Close: The bank warns of fraud")
    visitor.check()
    visitor.fill("What you found, and what you did", "The guest is known.")
    visitor.press("Close: The bank warns of fraud")
    visitor.reads("The matter is closed.")
    visitor.reads("The guest is known.")
    assert visitor.page.locator(".error").count() == 0


def test_a_restart_is_followed(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.reads("running, in AwaitPayment")
    assert visitor.page.locator("#AwaitPayment").get_attribute("class") == "node here last"
    stack.admin.stop_execution(booking.id)
    visitor.link(f"PAY-{booking.id}-r1").first.wait_for()
    visitor.reads(f"Execution {booking.id} stopped")
    visitor.check()
    visitor.press(visitor.page.get_by_role("listitem").get_by_role("link", name=booking.id, exact=True))
    visitor.reads("Payment workflow, stopped in AwaitPayment.")
    assert visitor.page.locator("#AwaitPayment").get_attribute("class") == "node failed last"
    visitor.check()


def test_a_page_that_is_open_shows_the_payment_live(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.press(booking.id)
    visitor.reads("Payment workflow, running, in AwaitPayment.")
    booking.pay()
    visitor.reads("Payment workflow, finished in PaymentConfirmed.")
    visitor.check()
    assert visitor.page.locator("#PaymentConfirmed").get_attribute("class") == "node done last"
    assert visitor.page.locator("[hx-get]").count() == 0  # it has stopped asking


def test_a_form_of_another_tab_that_is_out_of_date_says_so(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    visitor.sign_in(f"/console/payments/{booking.id}/actions/grant-attempt")
    booking.pay_to_the_end()
    visitor.press("Grant one more attempt to pay")
    visitor.reads("No longer possible")
    visitor.check()


def test_who_signs_out_sees_nothing_any_more(visitor: Visitor) -> None:
    visitor.sign_in("/console/payments").press("Sign out")
    visitor.control("Sign in").wait_for()
    visitor.check()
    visitor.open("/console/payments").control("Sign in").wait_for()
