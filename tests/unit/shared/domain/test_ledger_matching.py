"""Where a transaction of Stripe's and an entry of the ledger agree, and what their difference is called."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.ledger_matching import Entry, compare, compare_entry, final_entries
from shared.domain.models import Dispute, Payment
from shared.domain.stripe_values import BalanceTransaction
from tests.harness.builders import HOUR, MINUTE, NOW, TOTAL, capture, paid, refund

DAY = timedelta(days=1)


def moved(category: str, source: str, amount: int = TOTAL, **changes: Any) -> BalanceTransaction:
    fields: dict[str, Any] = {
        "id": "txn_1",
        "category": category,
        "amount": amount,
        "fee": 0,
        "net": amount,
        "currency": "EUR",
        "created": NOW,
        "available_on": NOW + 3 * DAY,
        "source": source,
        "payment_intent": "pi_1",
        "source_amount": abs(amount),
        "source_currency": "EUR",
        "source_status": "succeeded",
    }
    return BalanceTransaction(**(fields | changes))


def with_refund(**changes: Any) -> Payment:
    fields: dict[str, Any] = {"status": "succeeded", "stripe_refund_id": "re_1", "settled_at": NOW + MINUTE} | changes
    return paid(captures={"pi_1": capture(role="booking")}, refunds={"G1": refund(**fields)})


def with_dispute(**changes: Any) -> Payment:
    fields: dict[str, Any] = {"status": "needs_response", "payment_intent": "pi_1", "amount": TOTAL, "opened_at": NOW}
    return paid(disputes={"du_1": Dispute(**(fields | changes))})


CHARGE, REFUND = moved("charge", "ch_1"), moved("refund", "re_1", -500)
OURS = {"stack": "booking-test", "refund_id": "G1"}


@pytest.mark.parametrize(
    ("payment", "transaction", "kind"),
    [
        pytest.param(paid(), CHARGE, None, id="the same"),
        pytest.param(paid(captures={}), CHARGE, "entry_missing", id="no capture"),
        pytest.param(paid(captures={"pi_1": capture(amount=1)}), CHARGE, "wrong_amount", id="another amount"),
        pytest.param(paid(captures={"pi_1": capture(currency="USD")}), CHARGE, "wrong_currency", id="another currency"),
        pytest.param(paid(captures={"pi_1": capture(captured_at=NOW - DAY)}), CHARGE, "wrong_day", id="a day before"),
        pytest.param(paid(captures={"pi_1": capture(captured_at=NOW + HOUR)}), CHARGE, None, id="clocks differ"),
        pytest.param(with_refund(), REFUND, None, id="a refund"),
        pytest.param(with_refund(settled_at=NOW + 3 * DAY), REFUND, None, id="a refund heard of late"),
        pytest.param(with_refund(settled_at=NOW + 5 * DAY), REFUND, "wrong_day", id="a refund of much later"),
        pytest.param(with_refund(settled_at=NOW - DAY), REFUND, "wrong_day", id="a refund before Stripe's"),
        pytest.param(with_refund(amount=501), REFUND, "wrong_amount", id="a refund of another amount"),
        pytest.param(with_refund(status="pending", settled_at=None), REFUND, None, id="a refund not heard of yet"),
        pytest.param(paid(), REFUND, "entry_missing", id="a refund without entry"),
        pytest.param(
            paid(), REFUND.model_copy(update={"source_status": "failed"}), None, id="a failed refund without entry"
        ),
        pytest.param(
            with_refund(stripe_refund_id="re_2"),
            REFUND.model_copy(update={"metadata": OURS}),
            "doubled_refund",
            id="a second refund of one id",
        ),
        pytest.param(
            with_refund(stripe_refund_id="re_2"),
            REFUND.model_copy(update={"metadata": OURS, "source_status": "failed"}),
            None,
            id="the failed first try of a refund",
        ),
        pytest.param(
            with_refund(status="settled_elsewhere"), REFUND, "doubled_refund", id="a refund settled elsewhere as well"
        ),
        pytest.param(
            with_refund(status="failed", settled_at=None), REFUND, "entry_missing", id="a refund that only seems failed"
        ),
        pytest.param(
            with_refund(),
            REFUND.model_copy(update={"metadata": {"stack": "booking-other"}}),
            "refund_of_another_stack",
            id="a refund of another stack",
        ),
        pytest.param(with_refund(), moved("refund_failure", "re_1", 500), None, id="a refund that came back"),
        pytest.param(with_dispute(), moved("dispute", "du_1", -TOTAL), None, id="a dispute"),
        pytest.param(with_dispute(amount=1), moved("dispute", "du_1", -TOTAL), "wrong_amount", id="a smaller dispute"),
        pytest.param(paid(), moved("dispute", "du_1", -TOTAL), "dispute_missing", id="a dispute without entry"),
        pytest.param(paid(), moved("dispute_reversal", "du_1"), "dispute_missing", id="a reversal without entry"),
        pytest.param(with_dispute(status="won"), moved("dispute_reversal", "du_1"), None, id="a reversal"),
    ],
)
def test_a_transaction_is_compared_with_its_entry(
    payment: Payment, transaction: BalanceTransaction, kind: str | None
) -> None:
    difference = compare(payment, transaction, stack="booking-test")
    assert (None if difference is None else difference.kind) == kind
    if difference is not None:
        assert (difference.payment_id, difference.subject) == ("PAY-RES-1", transaction.source)


@pytest.mark.parametrize(("amount", "off_by"), [(700, 700), (None, 0)])
def test_a_missing_entry_is_off_by_what_stripe_says_of_its_source(amount: int | None, off_by: int) -> None:
    difference = compare(paid(), REFUND.model_copy(update={"source_amount": amount}), stack="booking-test")
    assert difference is not None
    assert difference.off_by == off_by


@pytest.mark.parametrize(
    ("payment", "found", "kinds"),
    [
        pytest.param(paid(), [CHARGE], [None], id="the same"),
        pytest.param(paid(), [], ["money_missing"], id="no charge"),
        pytest.param(paid(), [moved("charge", "ch_1", created=NOW + 3 * DAY)], ["wrong_day"], id="a later charge"),
        pytest.param(with_refund(), [CHARGE, REFUND], [None, None], id="charge and refund"),
        pytest.param(
            with_refund(),
            [CHARGE, REFUND.model_copy(update={"source_status": "failed"}), moved("refund_failure", "re_1", 500)],
            [None, "money_missing"],
            id="a refund that failed",
        ),
        pytest.param(with_refund(), [CHARGE], [None, "money_missing"], id="no refund"),
        pytest.param(with_refund(status="failed", settled_at=None), [CHARGE], [None], id="a failed refund has none"),
        pytest.param(with_refund(status="settled_elsewhere"), [CHARGE], [None], id="settled elsewhere"),
        pytest.param(with_dispute(), [CHARGE], [None, "money_missing"], id="no dispute"),
        pytest.param(
            with_dispute(), [CHARGE, moved("dispute", "du_1", created=NOW - 9 * DAY)], [None, None], id="escalated"
        ),
        pytest.param(with_dispute(status="warning_needs_response"), [CHARGE], [None], id="an inquiry takes nothing"),
    ],
)
def test_a_final_entry_needs_its_money(
    payment: Payment, found: list[BalanceTransaction], kinds: list[str | None]
) -> None:
    def difference(entry: Entry) -> str | None:
        of_entry = [one for one in found if one.source == entry.source]
        result = compare_entry(payment, entry, of_entry)
        return None if result is None else result.kind

    assert [difference(entry) for entry in final_entries(payment)] == kinds
