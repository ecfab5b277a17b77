"""console.today_page: what needs a person, and the figures."""

from tests.console.conftest import Browser, FakeApi

NOTHING = dict.fromkeys(("started", "waiting", "failed_attempts", "paid", "paid_amount", "released", "refunded"), 0)
NOTHING |= dict.fromkeys(("refunded_amount", "disputed", "disputed_amount"), 0)
TODAY = {**NOTHING, "day": "2026-11-24", "started": 4, "failed_attempts": 3, "disputed": 1, "disputed_amount": 112_500}


def test_what_has_a_deadline_comes_first_then_what_has_waited_longest(browser: Browser, api: FakeApi) -> None:
    def matter(kind: str, since: str, **more: str) -> dict[str, object]:
        return {"kind": kind, "since": since, "page": "X", "closable": False, **more}

    matters = [
        matter("refund_failed", "2026-11-24T10:00:00.000Z"),
        matter("payment_refused", "2026-11-24T09:00:00.000Z"),
        matter("dispute", "2026-11-24T12:00:00.000Z", deadline="2026-12-01T00:00:00.000Z"),
    ]
    row = {
        "reservation_id": "RES-1",
        "amount": 112_500,
        "refund_amount": 0,
        "status": "completed",
        "attention": matters,
    }
    row["created_at"] = "2026-11-24T09:00:00.000Z"
    api.answers["GET "] = (200, {"payments": [row]})
    page = browser.sign_in().open("/console")
    order = [page.index(title) for title in ("A dispute is open", "Stripe refused a request to pay", "A refund failed")]
    assert order == sorted(order)


def test_a_bad_day_shows_the_most_urgent_and_leads_to_all(browser: Browser, api: FakeApi) -> None:
    matter = {"kind": "refund_failed", "since": "2026-11-24T10:00:00.000Z", "page": "X", "closable": False}
    row = {"reservation_id": "RES-1", "amount": 112_500, "refund_amount": 0, "status": "completed"}
    listed = {**row, "created_at": "2026-11-24T09:00:00.000Z", "attention": [matter] * 51}
    api.answers["GET "] = (200, {"payments": [listed]})
    page = browser.sign_in().open("/console")
    assert "51 matters need you" in page
    assert page.count("A refund failed") == 50
    assert '<a href="/console/payments?attention=true">All payments that need a person</a>' in page


def test_failed_attempts_and_disputes_are_among_the_figures(browser: Browser, api: FakeApi) -> None:
    api.answers["GET -by-day"] = (200, {"days": [{**NOTHING, "day": "2026-11-23"}, TODAY], "holds_ending": []})
    page = browser.sign_in().open("/console/figures")
    assert "<dt>Failed attempts</dt><dd>3</dd>" in page
    assert "<dt>Disputed</dt><dd>1 <small>EUR 1,125.00</small></dd>" in page
    assert "Tue 24 Nov" in page


def test_a_hold_that_ends_soon_leads_to_its_payment(browser: Browser, api: FakeApi) -> None:
    hold = {"reservation_id": "RES-1", "hold_expires_at": "2026-11-24T16:00:00.000Z"}
    api.answers["GET -by-day"] = (200, {"days": [TODAY], "holds_ending": [hold]})
    assert '<a href="/console/payments/RES-1">RES-1</a>: —, held until' in browser.sign_in().open("/console/figures")
