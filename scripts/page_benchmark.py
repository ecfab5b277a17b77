"""Times and weights of the console's pages with 2,000 bookings: `python -m scripts.page_benchmark`."""

import copy
import shutil
import statistics
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, sync_playwright

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
        _copy(stack, booking.id)
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


def _copy(stack: RunningStack, reservation_id: str) -> None:
    """Store the booking again and again, spread over the last 14 days."""
    payment = stack.table("payments").get_item(Key={"payment_id": f"PAY-{reservation_id}"})["Item"]
    reservation = stack.table("reservations").get_item(Key={"reservation_id": reservation_id})["Item"]
    with stack.table("payments").batch_writer() as payments, stack.table("reservations").batch_writer() as reservations:
        for number in range(BOOKINGS - 1):
            id_ = f"RES-{uuid.uuid4().hex[:12]}"
            at = datetime.now(UTC) - timedelta(minutes=10 * number)
            created = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            ids = {"reservation_id": id_, "created_at": created}
            payments.put_item(Item={**copy.deepcopy(payment), **ids, "payment_id": f"PAY-{id_}"})
            reservations.put_item(Item={**reservation, **ids})


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
