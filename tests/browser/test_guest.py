"""What a guest does in the demo shop."""

import re

from tests.browser.visitor import Visitor
from tests.harness.booking_driver import DECLINED, NO_FUNDS, VISA

FREE = re.compile(r", free$")


def hold(visitor: Visitor, nights: int = 2) -> str:
    """Hold the first nights that are free; the booking's page is open then. Returns its id."""
    visitor.open("/")
    visitor.page.get_by_role("link", name=FREE).nth(20).click()
    visitor.page.get_by_label("Nights").select_option(str(nights))
    visitor.button("Hold these nights").click()
    visitor.reads("We keep these nights for you.")
    return visitor.page.url.rpartition("/")[2]


def pay(visitor: Visitor, card: str) -> None:
    """Fill in the form of the fake Stripe's page."""
    visitor.page.get_by_label("Card number").fill(card)
    visitor.page.get_by_role("button", name=re.compile("^Pay EUR")).click()


def what_if(visitor: Visitor, label: str) -> None:
    visitor.page.get_by_text("What if…").click()
    visitor.button(label).click()


def test_a_guest_holds_pays_and_cancels_with_a_quote(any_visitor: Visitor) -> None:
    visitor = any_visitor
    visitor.open("/").check()
    hold(visitor)
    visitor.reads(re.compile(r"^2[34]:\d\d:\d\d$"))
    visitor.check()
    visitor.button("Pay now").click()
    visitor.check()
    pay(visitor, VISA)
    visitor.reads(re.compile("Your booking is confirmed and paid"))
    visitor.check()
    visitor.link("My booking").click()
    visitor.reads(re.compile("If you cancel now you get back"))
    visitor.check()
    visitor.link("Cancel my stay").click()
    visitor.reads("You get back EUR 450.00 of EUR 450.00.")
    visitor.check()
    visitor.button("Cancel and get back EUR 450.00").click()
    visitor.reads("Your stay is cancelled.")
    visitor.reads("EUR 450.00 went back to you.")
    visitor.check()


def test_a_guest_is_declined_twice_then_pays(visitor: Visitor) -> None:
    hold(visitor)
    visitor.button("Pay now").click()
    for card in (NO_FUNDS, DECLINED):
        pay(visitor, card)
        visitor.page.get_by_role("alert").wait_for()
        visitor.check()
    pay(visitor, VISA)
    visitor.reads(re.compile("Your booking is confirmed and paid"))


def test_a_guest_goes_back_without_paying_and_gives_the_nights_back(visitor: Visitor) -> None:
    hold(visitor)
    visitor.button("Pay now").click()
    visitor.link("Go back without paying").click()
    visitor.reads("You have not paid yet")
    visitor.check()
    visitor.button("I do not want these nights").click()
    visitor.reads(re.compile("You cancelled it before it was paid. Nothing was charged."))
    visitor.check()


def test_a_guest_lets_the_window_pass_and_tries_again(visitor: Visitor) -> None:
    reservation_id = hold(visitor)
    visitor.button("Pay now").click()
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "30 minutes pass")
    visitor.reads(re.compile("The 30 minutes are over"))
    visitor.button("Try again").click()
    pay(visitor, VISA)
    visitor.reads(re.compile("Your booking is confirmed and paid"))


def test_a_guest_lets_the_hold_pass(visitor: Visitor) -> None:
    reservation_id = hold(visitor)
    visitor.button("Pay now").click()
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "A day passes")
    visitor.reads(re.compile("The hold ended before it was paid, so the nights are free again."))
    visitor.check()
    visitor.link("Choose other nights").click()
    visitor.reads("Choose your nights")


def test_a_guest_pays_by_keyboard_alone(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.press(visitor.page.get_by_role("link", name=FREE).first)
    visitor.tab_to(visitor.page.get_by_label("Nights"))
    visitor.page.keyboard.press("ArrowDown")
    visitor.press(visitor.button("Hold these nights"))
    visitor.press(visitor.button("Pay now"))
    visitor.tab_to(visitor.page.get_by_label("Card number"))
    visitor.page.keyboard.type(VISA)
    visitor.page.keyboard.press("Enter")
    visitor.reads(re.compile("Your booking is confirmed and paid"))
    visitor.press(visitor.link("My booking"))
    visitor.press(visitor.link("Cancel my stay"))
    visitor.press(visitor.page.get_by_role("button", name=re.compile("^Cancel and get back")))
    visitor.reads("Your stay is cancelled.")
