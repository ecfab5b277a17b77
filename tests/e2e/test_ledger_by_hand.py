"""`make ledger`: a day is reconciled by hand, and its result printed."""

from datetime import UTC, datetime

import pytest

from scripts import reconcile_day, stack_outputs
from tests.e2e.conftest import StackOverHttp


@pytest.fixture(autouse=True)
def _outputs(stack: StackOverHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_outputs, "read", lambda _: stack.outputs)


def test_a_day_is_reconciled_and_its_totals_are_printed(
    stack: StackOverHttp, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.reserve_paid()
    day = datetime.now(UTC).date().isoformat()
    reconcile_day.main("dev", day)
    printed = capsys.readouterr().out
    assert f"{day}: " in printed
    assert (
        " 0 differences\nThe day is not over: nothing is published, and no matter is opened.\n  ours     charge "
        in printed
    )
    assert f"  s3://{stack.outputs['ledgerBucket']}/days/{day}/transactions.csv\n" in printed


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01"])
def test_a_wrong_day_is_refused(stack: StackOverHttp, day: str) -> None:
    with pytest.raises(SystemExit, match=r"Invalid isoformat string|month must be in"):
        reconcile_day.main("dev", day)
