"""What a guest does in the demo shop, by mouse and by keyboard."""

import re

from tests.browser.journeys import CONFIRMED, hold, leave_pay_page, open_pay_page, pay, pay_for_stay, what_if
from tests.browser.visitor import Visitor
from tests.harness.booking_driver import CHALLENGED, DECLINED, NO_FUNDS


def test_a_guest_holds_pays_and_cancels_with_a_quote(visitor: Visitor) -> None:
    visitor.open("/").check()
    hold(visitor)
    visitor.reads(re.compile(r"^2[34]:\d\d:\d\d$"))
    visitor.check()
    visitor.press("Pay now")
    visitor.reads("Demo House: 1 night, ")
    visitor.check()
    pay(visitor)
    visitor.reads(CONFIRMED)
    visitor.check()
    visitor.press("My booking")
    visitor.reads("If you cancel now you get back")
    visitor.check()
    visitor.press("Cancel my stay")
    visitor.reads("You get back EUR 225.00 of EUR 225.00.")
    visitor.check()
    visitor.press("Cancel and get back EUR 225.00")
    visitor.reads("Your stay is cancelled.")
    visitor.reads("EUR 225.00 went back to you.")
    visitor.check()


def test_a_guest_is_declined_twice_then_pays(visitor: Visitor) -> None:
    open_pay_page(visitor)
    for card, why in ((NO_FUNDS, "insufficient funds"), (DECLINED, "was declined")):
        pay(visitor, card)
        visitor.page.get_by_role("alert").filter(has_text=why).wait_for()
        visitor.check()
    pay(visitor)
    visitor.reads(CONFIRMED)


def test_a_guest_confirms_the_payment_at_the_bank(visitor: Visitor) -> None:
    open_pay_page(visitor)
    visitor.press(CHALLENGED)  # one of the test cards on the page
    visitor.reads("Your bank asks you to confirm this payment")
    visitor.check()
    visitor.press("Complete authentication")
    visitor.reads(CONFIRMED)


def test_a_guest_goes_back_without_paying_and_gives_the_nights_back(visitor: Visitor) -> None:
    open_pay_page(visitor)
    visitor.press("Go back without paying")
    visitor.reads("You have not paid yet")
    visitor.check()
    visitor.press("I do not want these nights")
    visitor.reads("You cancelled it before it was paid. Nothing was charged.")
    visitor.check()


def test_a_guest_lets_the_window_pass_and_tries_again(visitor: Visitor) -> None:
    leave_pay_page(visitor)
    what_if(visitor, "30 minutes pass")
    visitor.reads("The 30 minutes are over")
    visitor.press("Try again")
    pay(visitor)
    visitor.reads(CONFIRMED)


def test_a_guest_who_comes_too_late_to_the_pay_page_reads_why(visitor: Visitor) -> None:
    reservation_id, pay_page = open_pay_page(visitor), visitor.page.url
    visitor.open(f"/booking/{reservation_id}")
    what_if(visitor, "30 minutes pass")
    visitor.reads("The 30 minutes are over")
    visitor.page.goto(pay_page)
    visitor.reads("expired")
    visitor.check()


def test_a_guest_lets_the_hold_pass(visitor: Visitor) -> None:
    leave_pay_page(visitor)
    what_if(visitor, "A day passes")
    visitor.reads("The hold ended before it was paid, so the nights are free again.")
    visitor.check()
    visitor.press("Choose other nights")
    visitor.reads("Choose your nights")


def test_a_guest_keeps_the_booking_after_reading_the_quote(visitor: Visitor) -> None:
    pay_for_stay(visitor)
    visitor.press("Cancel my stay")
    visitor.press("Keep my booking")
    visitor.reads(CONFIRMED)
