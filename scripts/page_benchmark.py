"""Times and weights of the console's pages with 2,000 bookings: `python -m scripts.page_benchmark`."""

import shutil
import statistics
from contextlib import closing

from playwright.sync_api import Page, sync_playwright

from tests.harness.copied_bookings import book_in_every_state, copy_bookings
from tests.harness.running_stack import RunningStack, start_stack

BOOKINGS = 2000
TIMES = 10
# What the browser measured of the page that is open: ms until its last byte, and the bytes of all that it loaded.
_MEASURED = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  const all = [page, ...performance.getEntriesByType("resource")];
  return [page.responseEnd - page.requestStart, all.reduce((sum, one) => sum + one.encodedBodySize, 0)];
}"""


def main() -> None:
    with start_stack() as local, closing(RunningStack(local, total_amount=112_500)) as stack:
        booking = stack.reserve_paid()
        booking.refund_goodwill(5_000)
        copy_bookings(stack, [booking, *book_in_every_state(stack)], range(BOOKINGS))
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = chromium.new_page()
            # The page Today has its figures loaded afterwards; they are measured by themselves.
            page.route(
                "**/console/figures",
                lambda route: route.abort() if route.request.resource_type == "xhr" else route.continue_(),
            )
            page.set_default_timeout(120_000)
            page.goto(f"{stack.url}/console")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("button", name="Sign out").wait_for()
            print(f"| page, among {BOOKINGS:,} bookings | first | median | slowest | weight |\n|---|---|---|---|---|")
            for name, path in {
                "Today": "/console",
                "Figures of 14 days": "/console/figures",
                "Payments, a page of 50": "/console/payments",
                "Search by PaymentIntent": f"/console/payments?q={booking.session_intent}",
                "One payment with a refund": f"/console/payments/{booking.id}",
                "One execution": f"/console/payments/{booking.id}/executions/{booking.id}",
            }.items():
                _measure(page, name, stack.url + path)
            chromium.close()


def _measure(page: Page, name: str, url: str) -> None:
    measured = []
    for _ in range(TIMES + 1):
        page.goto(url, wait_until="load")
        measured.append(page.evaluate(_MEASURED))
    first, *times = [time for time, _ in measured]
    weight = max(bytes_ for _, bytes_ in measured) / 1000
    print(
        f"| {name} | {first:.0f} ms | {statistics.median(times):.0f} ms | {max(times):.0f} ms | {weight:.0f} kB |",
        flush=True,
    )


if __name__ == "__main__":
    main()
