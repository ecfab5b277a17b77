"""Each button of the drawer "What if…" does what it says, and the booking ends as it should."""

from collections.abc import Callable

import pytest

from tests.browser.journeys import CONFIRMED, hold, leave_pay_page, pay, pay_for_stay, to_console, what_if
from tests.browser.visitor import Visitor


def test_the_drawer_says_what_each_button_does_and_needs(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.press(visitor.page.get_by_text("What if…"))
    assert visitor.control("The guest disputes").is_disabled()
    visitor.reads("Open a booking first.")
    visitor.check()


@pytest.mark.parametrize(
    ("begin", "label", "happened", "in_the_console"),
    [
        (pay_for_stay, "The guest disputes", "The bank disputes the payment.", "a dispute of EUR 225.00 is open"),
        (pay_for_stay, "A fraud warning comes", "The card network warns of fraud.", "The bank warns of fraud"),
        (leave_pay_page, "The workflow is stopped", "was stopped. A new one takes over", "-r1"),
        (leave_pay_page, "The guest pays twice", "Stripe said: ", "Paid EUR 225.00 on"),
        (hold, "The guest disputes", "The payment of this booking has not started yet.", None),
    ],
    ids=["dispute", "fraud", "stopped", "twice", "not-started"],
)
def test_a_button_does_what_it_says_and_operators_see_it(
    visitor: Visitor, begin: Callable[[Visitor], str], label: str, happened: str, in_the_console: str | None
) -> None:
    begin(visitor)
    what_if(visitor, label)
    visitor.reads(happened)
    visitor.check()
    if in_the_console is not None:
        to_console(visitor)
        visitor.reads(in_the_console)
        visitor.check()


def test_webhooks_get_lost(visitor: Visitor) -> None:
    hold(visitor)
    what_if(visitor, "Webhooks get lost")
    visitor.reads("Stripe's events are lost from now on.")
    visitor.press("Pay now")
    pay(visitor)
    visitor.reads(CONFIRMED)
    visitor.press("Calendar")
    visitor.check()
    visitor.press("Let everything work")
    visitor.reads("Everything works again. The reconciler finds what was lost")
    visitor.press("My booking")
    visitor.reads(CONFIRMED)


def test_stripe_is_down(visitor: Visitor) -> None:
    hold(visitor)
    what_if(visitor, "Stripe is down")
    visitor.reads("get no answer. The hold goes on, and the workflow asks again.")
    visitor.reads("You let this go wrong: Stripe does not answer.")
    visitor.press("Pay now")
    visitor.reads("The payment page cannot be opened right now; your dates are still held. Try again in a moment.")
    visitor.check()
    what_if(visitor, "Everything works again")
    visitor.press("Pay now")
    pay(visitor)
    visitor.reads(CONFIRMED)


def test_an_earlier_page_is_paid_as_well(visitor: Visitor) -> None:
    reservation_id = leave_pay_page(visitor)
    what_if(visitor, "30 minutes pass")
    visitor.press("Try again")
    pay(visitor)
    visitor.reads(CONFIRMED)
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "The guest pays twice")
    visitor.reads("the other goes back")
    to_console(visitor)
    visitor.reads("settles no booking")
    visitor.reads("Refund of an unapplied payment")
    visitor.check()


def test_refunds_fail(visitor: Visitor) -> None:
    pay_for_stay(visitor)
    what_if(visitor, "Refunds fail")
    visitor.press("Cancel my stay")
    visitor.press("Cancel and get back EUR 225.00")
    visitor.reads("We could not return EUR 225.00 to your card.")
    visitor.check()
    to_console(visitor)
    visitor.reads("Try the refund of EUR 225.00 again")


def test_an_operator_refunds_and_cancels_after_a_fraud_warning(visitor: Visitor) -> None:
    pay_for_stay(visitor)
    what_if(visitor, "A fraud warning comes")
    to_console(visitor)
    refund = "Refund EUR 225.00 and cancel, because of the fraud warning"
    visitor.press(refund)
    visitor.check()
    visitor.press(refund)
    visitor.reads("; EUR 225.00 returned on")
    visitor.check()
