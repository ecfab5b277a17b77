from infra.openapi_examples import EXAMPLES
from tests.console.conftest import Browser, FakeApi


def test_the_ledger_shows_totals_and_differences_and_leads_to_bookings(api: FakeApi, browser: Browser) -> None:
    api.answers["GET -ledger"] = 200, EXAMPLES["LedgerDaysResponse"]
    page = browser.sign_in().open("/console/ledger")
    for shown in ("2026-11-27", "EUR 96,300.00", "EUR 1,498.00", "EUR 94,802.00", "entry missing", "no entry"):
        assert shown in page
    assert 'href="/console/payments/RES-1"' in page
    assert 'href="/console/ledger?before=2026-11-14"' in page


def test_a_download_is_put_together_from_its_parts(api: FakeApi, browser: Browser) -> None:
    api.answers["GET -ledger/2026-11-27/transactions"] = 200, {"csv": "a,b\n1,2\n"}
    assert browser.sign_in().open("/console/ledger/2026-11-27/transactions.csv") == "a,b\n1,2\n"
    assert browser.headers["Content-Disposition"] == 'attachment; filename="ledger-2026-11-27.csv"'


def test_a_day_without_a_file_is_said_to_have_none(api: FakeApi, browser: Browser) -> None:
    browser.sign_in().open("/console/ledger/2026-11-28/transactions.csv")
    assert browser.status == 404
