"""Each button of the drawer "What if…" does what it says, and the booking ends as it should."""

import re

from tests.browser.test_guest import hold, pay, what_if
from tests.browser.visitor import Visitor
from tests.harness.booking_driver import VISA
from tests.harness.running_stack import RunningStack

CONFIRMED = re.compile("Your booking is confirmed and paid")


def hold_and_pay(visitor: Visitor) -> str:
    reservation_id = hold(visitor)
    visitor.button("Pay now").click()
    pay(visitor, VISA)
    visitor.reads(CONFIRMED)
    visitor.open(f"/booking/{reservation_id}")
    return reservation_id


def to_console(visitor: Visitor) -> None:
    """Follow the drawer's link."""
    visitor.page.get_by_text("What if…").click()
    visitor.link("this payment in the console").click()
    visitor.button("Sign in").click()


def test_the_drawer_says_what_each_button_does_and_needs(any_visitor: Visitor) -> None:
    visitor = any_visitor.open("/")
    visitor.page.get_by_text("What if…").click()
    assert visitor.button("The guest disputes").is_disabled()
    visitor.reads(re.compile("Open a booking first."))
    visitor.check()


def test_webhooks_get_lost(visitor: Visitor) -> None:
    hold(visitor)
    what_if(visitor, "Webhooks get lost")
    visitor.reads(re.compile("Stripe's events are lost from now on."))
    visitor.button("Pay now").click()
    pay(visitor, VISA)
    visitor.reads(CONFIRMED)
    visitor.open("/")
    what_if(visitor, "Everything works again")
    visitor.reads(re.compile("Everything works again."))


def test_stripe_is_down(visitor: Visitor) -> None:
    hold(visitor)
    what_if(visitor, "Stripe is down")
    visitor.button("Pay now").click()
    visitor.reads(re.compile("not ready yet|cannot|could not|try again", re.IGNORECASE))
    visitor.check()


def test_the_guest_pays_twice(visitor: Visitor) -> None:
    reservation_id = hold(visitor)
    visitor.button("Pay now").click()
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "The guest pays twice")
    visitor.reads(re.compile("The first tab has paid. In the second one Stripe said: .*You will not be charged again"))
    visitor.reads(CONFIRMED)


def test_an_earlier_page_is_paid_as_well(visitor: Visitor) -> None:
    reservation_id = hold(visitor)
    visitor.button("Pay now").click()
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "30 minutes pass")
    visitor.button("Try again").click()
    pay(visitor, VISA)
    visitor.reads(CONFIRMED)
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "The guest pays twice")
    visitor.reads(re.compile("the other goes back"))
    to_console(visitor)
    visitor.reads(re.compile("settles no booking"))
    visitor.reads(re.compile("Refund of an unapplied payment"))
    visitor.check()


def test_refunds_fail(visitor: Visitor) -> None:
    hold_and_pay(visitor)
    what_if(visitor, "Refunds fail")
    visitor.link("Cancel my stay").click()
    visitor.button("Cancel and get back EUR 450.00").click()
    visitor.reads(re.compile("We could not return EUR 450.00 to your card."))
    visitor.check()
    to_console(visitor)
    visitor.link("Try the refund of EUR 450.00 again").wait_for()


def test_the_guest_disputes(visitor: Visitor) -> None:
    hold_and_pay(visitor)
    what_if(visitor, "The guest disputes")
    visitor.reads(re.compile("The bank disputes the payment."))
    to_console(visitor)
    visitor.reads(re.compile("a dispute of EUR 450.00 is open"))
    visitor.check()


def test_a_fraud_warning_comes_and_an_operator_refunds_and_cancels(visitor: Visitor) -> None:
    hold_and_pay(visitor)
    what_if(visitor, "A fraud warning comes")
    visitor.reads(re.compile("The card network warns of fraud."))
    to_console(visitor)
    visitor.page.reload()
    visitor.reads("The bank warns of fraud")
    visitor.check()
    visitor.link("Refund EUR 450.00 and cancel, because of the fraud warning").click()
    visitor.check()
    visitor.button("Refund EUR 450.00 and cancel, because of the fraud warning").click()
    visitor.reads(re.compile("; EUR 450.00 returned on"))
    visitor.check()


def test_the_workflow_is_stopped(visitor: Visitor, stack: RunningStack) -> None:
    reservation_id = hold(visitor)
    visitor.button("Pay now").click()
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "The workflow is stopped")
    visitor.reads(re.compile(f"The execution {reservation_id} was stopped."))
    to_console(visitor)
    visitor.link(f"PAY-{reservation_id}-r1").first.wait_for()


def test_a_button_that_does_not_fit_the_booking_says_why(visitor: Visitor) -> None:
    hold(visitor)
    what_if(visitor, "The guest disputes")
    visitor.reads(re.compile("The payment of this booking has not started yet."))
