"""What guests do again and again in the demo shop."""

import re

from tests.browser.visitor import Visitor
from tests.harness.booking_driver import VISA

FREE = re.compile(r", free$")
CONFIRMED = "Your booking is confirmed and paid"


def hold(visitor: Visitor) -> str:
    """Hold a free night in more than two weeks; the booking's page is open then. Returns its id."""
    visitor.open("/")
    visitor.press(visitor.link(FREE).nth(14))
    visitor.choose("Nights", "1:")
    visitor.press("Hold these nights")
    visitor.reads("We keep these nights for you.")
    return visitor.page.url.rpartition("/")[2]


def open_pay_page(visitor: Visitor) -> str:
    reservation_id = hold(visitor)
    visitor.press("Pay now")
    visitor.page.get_by_label("Card number").wait_for()
    return reservation_id


def leave_pay_page(visitor: Visitor) -> str:
    """Open the pay page, and go back to the booking by its address."""
    reservation_id = open_pay_page(visitor)
    visitor.open(f"/booking/{reservation_id}")
    return reservation_id


def pay(visitor: Visitor, card: str = VISA) -> None:
    """Fill in the form of the fake Stripe's page."""
    visitor.fill("Card number", card)
    visitor.press(re.compile("^Pay EUR"))


def pay_for_stay(visitor: Visitor) -> str:
    """Hold, pay, and go to the booking's page."""
    reservation_id = open_pay_page(visitor)
    pay(visitor)
    visitor.reads(CONFIRMED)
    visitor.press("My booking")
    visitor.reads("If you cancel now you get back")
    return reservation_id


def what_if(visitor: Visitor, label: str) -> None:
    visitor.press(visitor.page.get_by_text("What if…"))
    visitor.press(label)


def to_console(visitor: Visitor) -> None:
    """Follow the drawer's link, and sign in."""
    visitor.press(visitor.page.get_by_text("What if…"))
    visitor.press("this payment in the console")
    visitor.press("Sign in")
    visitor.control("Sign out").wait_for()
