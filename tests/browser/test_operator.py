"""What an operator does in the console."""

import re

import pytest

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Visitor
from tests.harness.booking_driver import REFUND_FAILS_LATER, BookingDriver
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
    any_visitor: Visitor, failed_refund: BookingDriver, stack: RunningStack
) -> None:
    visitor = any_visitor
    visitor.sign_in()
    visitor.reads("Payments started today")
    visitor.check()
    card = visitor.page.get_by_role("listitem").filter(has_text=failed_refund.id)
    card.get_by_role("link", name="A refund failed").click()
    visitor.reads(re.compile(r"refund of EUR 1,125.00 failed, waits for you\."))
    visitor.reads(re.compile("running, in AwaitOperator"))
    assert "here" in (visitor.page.locator("#refund-AwaitOperator").get_attribute("class") or "")
    visitor.check()
    visitor.link("Try the refund of EUR 1,125.00 again").click()
    visitor.check()
    visitor.page.get_by_label("Note for your colleagues (optional)").fill("The guest has a new card.")
    stack.stripe.refund_status = "pending"
    visitor.button("Try the refund of EUR 1,125.00 again").click()
    visitor.reads("The refund of EUR 1,125.00 is being tried again.")
    # The new refund settles while the page is open.
    newest = stack.stripe.all("refund", lambda refund: refund["payment_intent"] in failed_refund.payment["captures"])[
        -1
    ]
    stack.stripe.settle_refund(str(newest["id"]), "succeeded")
    visitor.reads(re.compile(r"; EUR 1,125.00 returned on "))
    visitor.check()
    visitor.open("/console").reads(re.compile("Nothing needs you|needs? you"))
    assert visitor.page.get_by_text(failed_refund.id).count() == 0


def test_a_refund_is_recorded_as_settled_elsewhere(visitor: Visitor, failed_refund: BookingDriver) -> None:
    visitor.sign_in(f"/console/payments/{failed_refund.id}")
    visitor.link("Record that EUR 1,125.00 was returned another way").click()
    visitor.page.get_by_label("How the guest got the money").fill("Bank transfer")
    visitor.button("Record that EUR 1,125.00 was returned another way").click()
    visitor.reads(re.compile("EUR 1,125.00 returned by another way on"))


@pytest.mark.parametrize("what", ["reservation", "payment", "PaymentIntent"])
def test_a_payment_is_found_by_its_ids(visitor: Visitor, stack: RunningStack, what: str) -> None:
    booking = stack.reserve_paid()
    ids = {"reservation": booking.id, "payment": booking.payment_id, "PaymentIntent": booking.session_intent}
    visitor.sign_in()
    visitor.page.get_by_label("Find a payment").fill(ids[what])
    visitor.button("Find").click()
    visitor.link(booking.id).click()
    visitor.reads(re.compile(r"Paid EUR 1,125.00 on"))


def test_the_list_is_filtered_and_its_address_can_be_shared(new_visitor: NewVisitor, stack: RunningStack) -> None:
    paid, open_ = stack.reserve_paid(), stack.reserve()
    open_.pay_now()
    visitor = new_visitor()
    visitor.sign_in("/console/payments")
    visitor.page.get_by_label("Status").select_option(label="Waiting for payment")
    visitor.button("Filter").click()
    visitor.link(open_.id).wait_for()
    assert visitor.page.get_by_role("link", name=paid.id).count() == 0
    visitor.check()
    shared = visitor.page.url.removeprefix(visitor.url)
    other = new_visitor(width=390)
    other.sign_in(shared)
    other.link(open_.id).wait_for()
    other.check()


def test_a_stay_is_cancelled_with_another_amount(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.link("Cancel the stay and refund another amount").click()
    visitor.page.get_by_label("Amount in EUR, at most EUR 1,125.00").fill("1,200")
    visitor.button("Go on").click()
    visitor.reads("At most EUR 1,125.00 can be refunded.")
    visitor.check()
    visitor.page.get_by_label("Amount in EUR, at most EUR 1,125.00").fill("1,000.50")
    visitor.button("Go on").click()
    visitor.check()
    visitor.button("Cancel the stay and refund EUR 1,000.50").click()
    visitor.reads("The stay is cancelled.")
    visitor.reads(re.compile("EUR 1,000.50"))
    assert booking.status()["reservation_status"] == "cancelled"


def test_goodwill_is_refunded_by_keyboard_alone(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    visitor.open(f"/console/payments/{booking.id}")
    visitor.press(visitor.button("Sign in"))
    visitor.press(visitor.link("Refund an amount out of goodwill"))
    visitor.tab_to(visitor.page.get_by_label("Amount in EUR, at most EUR 1,125.00"))
    visitor.page.keyboard.type("50")
    visitor.press(visitor.button("Go on"))
    visitor.press(visitor.button("Refund EUR 50.00 out of goodwill"))
    visitor.reads("The goodwill refund has been requested.")
    visitor.press(visitor.page.get_by_role("link", name=re.compile(f"PAY-{booking.id}-")).first)
    visitor.reads(re.compile("Refund workflow, "))
    visitor.check()


def test_an_attempt_is_granted_and_the_booking_is_cancelled(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.link("Grant one more attempt to pay").click()
    visitor.check()
    visitor.button("Grant one more attempt to pay").click()
    visitor.reads("The guest has one more attempt.")
    assert booking.status()["attempts_left"] == 3
    visitor.link("Cancel this unpaid booking").click()
    visitor.check()
    visitor.button("Cancel this unpaid booking").click()
    visitor.reads(re.compile("Not paid, dates released: cancelled by an operator"))
    visitor.check()


def test_a_restart_is_followed(any_visitor: Visitor, stack: RunningStack) -> None:
    visitor, booking = any_visitor, stack.reserve()
    booking.pay_now()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.reads(re.compile("running, in AwaitPayment"))
    assert visitor.page.locator("#AwaitPayment").get_attribute("class") == "node here last"
    stack.admin.stop_execution(booking.id)
    visitor.link(f"PAY-{booking.id}-r1").first.wait_for()
    visitor.reads(f"Execution {booking.id} stopped")
    visitor.check()
    visitor.page.get_by_role("listitem").get_by_role("link", name=booking.id, exact=True).click()
    visitor.reads("Payment workflow, stopped in AwaitPayment.")
    assert visitor.page.locator("#AwaitPayment").get_attribute("class") == "node failed last"
    visitor.check()


def test_a_page_that_is_open_shows_the_payment_live(visitor: Visitor, stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    visitor.sign_in(f"/console/payments/{booking.id}/executions/{booking.id}")
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
    visitor.button("Grant one more attempt to pay").click()
    visitor.reads("No longer possible")
    visitor.check()


def test_who_signs_out_sees_nothing_any_more(visitor: Visitor) -> None:
    visitor.sign_in("/console/payments").button("Sign out").click()
    visitor.button("Sign in").wait_for()
    visitor.check()
    visitor.open("/console/payments").button("Sign in").wait_for()
