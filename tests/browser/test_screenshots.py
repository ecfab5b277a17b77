"""The pictures of README.md: `make screenshots` writes them, and without it they are taken all the same."""

from pathlib import Path

import pytest

from tests.browser.conftest import NewVisitor
from tests.harness.booking_driver import REFUND_FAILS_LATER, BookingDriver
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"


@pytest.fixture
def folder(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    return FOLDER if pytestconfig.getoption("--screenshots") else tmp_path


def reserve(stack: RunningStack, reservation_id: str) -> BookingDriver:
    reservation = stack.local.admin.reserve(nights=5, total_amount=112_500, reservation_id=reservation_id)
    booking = BookingDriver(stack, reservation)
    booking.pay_now()
    return booking


def test_a_payment_in_the_console(new_visitor: NewVisitor, stack: RunningStack, folder: Path) -> None:
    booking = reserve(stack, "RES-1042")
    booking.pay(REFUND_FAILS_LATER)
    booking.wait_for_end()
    booking.refund()
    refund_id = f"{booking.payment_id}-cancellation"
    wait_until(lambda: "stripe_refund_id" in booking.payment["refunds"][refund_id], "the refund at Stripe")
    stack.stripe.settle_refund(booking.payment["refunds"][refund_id]["stripe_refund_id"], "failed")
    wait_until(lambda: booking.payment["refunds"][refund_id].get("awaiting") == "operator", "the wait for an operator")
    visitor = new_visitor()
    visitor.sign_in(f"/console/payments/{booking.id}")
    visitor.control("Try the refund of EUR 1,125.00 again").wait_for()
    visitor.check()
    visitor.page.set_viewport_size({"width": 1280, "height": 1080})
    visitor.page.screenshot(path=folder / "console-payment.png")


def test_a_booking_in_the_shop(new_visitor: NewVisitor, stack: RunningStack, folder: Path) -> None:
    booking = reserve(stack, "RES-1043")
    visitor = new_visitor()
    visitor.open(f"/booking/{booking.id}")
    visitor.press(visitor.page.get_by_text("What if…"))
    visitor.control("Go on paying").wait_for()
    visitor.check()
    visitor.page.set_viewport_size({"width": 1000, "height": 900})
    visitor.page.screenshot(path=folder / "shop-booking.png", full_page=True)
