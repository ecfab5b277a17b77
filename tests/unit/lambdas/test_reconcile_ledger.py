"""lambdas.reconcile_ledger: one day or all that need it, and what is left when time is over."""

from datetime import timedelta

import pytest

from lambdas import reconcile_ledger
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import ledger_files
from shared.services.ledger_closing import DAYS
from tests.harness.builders import NOW
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import CONTEXT
from tests.harness.stored_tables import Stored

YESTERDAY = (NOW - timedelta(days=1)).date()


@pytest.fixture(autouse=True)
def aws(stored: Stored, stripe_account: FakeStripe, fake_aws: FakeAws, clock: Clock) -> None:
    pass


def test_the_schedule_reconciles_what_is_missing_once() -> None:
    assert len(reconcile_ledger.handler({"source": "schedule"}, CONTEXT)["differences"]) == DAYS
    assert reconcile_ledger.handler({"source": "schedule"}, CONTEXT) == {"differences": {}}


def test_a_key_that_may_only_read_is_enough(stripe_account: FakeStripe) -> None:
    stripe_account.api_keys = set()
    assert reconcile_ledger.handler({"day": "2026-11-23"}, CONTEXT)["differences"] == {"2026-11-23": 0}
    assert [request.status for request in stripe_account.requests] == [200]


def test_a_day_can_be_named_and_repeated() -> None:
    for _ in range(2):
        assert reconcile_ledger.handler({"day": "2026-11-23"}, CONTEXT) == {"differences": {"2026-11-23": 0}}


def test_what_time_is_too_short_for_is_named_and_goes_on_in_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_ledger, "BUDGET", -1)
    assert reconcile_ledger.handler({"source": "schedule"}, CONTEXT) == {
        "differences": {},
        "unfinished": YESTERDAY.isoformat(),
    }
    assert ledger_files.read_day(YESTERDAY) is None
