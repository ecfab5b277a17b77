import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from console.payment_view import accounts, headline, timeline
from console.wording import Clock
from tests.console.samples import EXECUTION, FAILED_REFUND, RECORD, REFUNDED

type Json = dict[str, Any]


def text(record: Json) -> str:
    return re.sub("<[^>]+>", "", headline(record, Clock(ZoneInfo("Europe/Madrid"))))


DISPUTE = {
    "dispute_id": "dp_1",
    "payment_intent": "pi_2",
    "status": "needs_response",
    "amount": 112500,
    "opened_at": "2026-03-06T10:00:00.000Z",
}


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (RECORD, "The guest can pay EUR 1,125.00 now, dates held until 4 Mar 2026, 11:00."),
        (
            {**RECORD, "awaiting": "retry", "attempts": [{"status": "closed"}]},
            "Waits for the guest to pay EUR 1,125.00 again after 1 failed attempt, dates held until 4 Mar 2026, 11:00.",
        ),
        ({**RECORD, "status": "expired", "end_reason": "hold_ended"}, "Not paid, dates released: the hold ended."),
        (REFUNDED, "Paid EUR 1,125.00 on 3 March; refund of EUR 562.50 failed, waits for you."),
        (
            {**REFUNDED, "refunds": [], "disputes": [DISPUTE]},
            "Paid EUR 1,125.00 on 3 March; a dispute of EUR 1,125.00 is open.",
        ),
        (
            {
                **REFUNDED,
                "refunds": [{**FAILED_REFUND, "status": "succeeded", "settled_at": "2026-03-06T00:00:00.000Z"}],
            },
            "Paid EUR 1,125.00 on 3 March; EUR 562.50 returned on 6 March.",
        ),
    ],
)
def test_a_sentence_says_where_a_payment_stands(record: Json, sentence: str) -> None:
    assert text(record) == sentence


@pytest.mark.parametrize(
    ("status", "kind", "kept", "returned", "under_way"),
    [
        ("failed", "cancellation", 56250, 0, 56250),
        ("pending", "cancellation", 56250, 0, 56250),
        ("succeeded", "cancellation", 56250, 56250, 0),
        ("settled_elsewhere", "goodwill", 56250, 56250, 0),
        ("canceled", "goodwill", 112500, 0, 0),
        ("failed", "dashboard", 112500, 0, 0),
    ],
)
def test_received_is_kept_and_returned_and_under_way(
    status: str, kind: str, kept: int, returned: int, under_way: int
) -> None:
    [account] = accounts({**REFUNDED, "refunds": [{**FAILED_REFUND, "status": status, "kind": kind}]})
    assert (account.kept, account.returned, account.under_way) == (kept, returned, under_way)


def test_the_timeline_merges_everything_newest_first() -> None:
    audit = {"at": "2026-03-03T10:00:09.000Z", "actor": "operator:1", "action": "attempt_granted", "reason": "asked"}
    stopped = {**EXECUTION, "status": "ABORTED", "stopped_at": "2026-03-03T10:00:08.000Z", "cause": "by hand"}
    said = [(entry.what, entry.who) for entry in timeline({**RECORD, "audit": [audit]}, [stopped])]
    assert said == [
        ("Attempt granted", "operator:1"),
        ("Execution RES-1 stopped", "Step Functions"),
        ("AwaitPayment", "execution RES-1"),
        ("Attempt 1 opened", "workflow"),
        ("CreateCheckoutSession", "execution RES-1"),
        ("RecordPayment", "execution RES-1"),
    ]


def test_notifications_are_in_the_timeline_whether_a_function_or_the_workflow_sent_them() -> None:
    sent = {"at": "2026-03-03T10:00:09.000Z", "actor": "stripe:evt_1", "action": "operators_notified"}
    state = {"state": "NotifyOperators", "type": "Task", "entered_at": "2026-03-03T10:00:08.000Z", "retries": 0}
    failed = {**state, "entered_at": "2026-03-03T10:00:07.000Z", "error": "States.Timeout"}
    record = {**RECORD, "attempts": [], "audit": [{**sent, "subject": "PaymentDisputed"}]}
    said = [(entry.what, entry.detail) for entry in timeline(record, [{**EXECUTION, "states": [failed, state]}])]
    assert said == [
        ("Operators notified", "PaymentDisputed"),
        ("Operators notified", "NotifyOperators"),
        ("NotifyOperators", "States.Timeout"),
    ]


@pytest.mark.parametrize(
    ("captured_at", "order"),
    [
        ("2026-03-03T10:00:01.000Z", ["EUR 1,125.00 received", "Attempt 1 opened"]),
        ("2026-03-03T10:00:00.000Z", ["Attempt 1 opened", "EUR 1,125.00 received"]),
    ],
)
def test_money_of_the_same_second_comes_after_its_attempt(captured_at: str, order: list[str]) -> None:
    """Stripe says the second only; the attempt was opened at 10:00:01.600."""
    capture = {"payment_intent": "pi_1", "amount": 112500, "role": "booking", "captured_at": captured_at}
    assert [entry.what for entry in timeline({**RECORD, "captures": [capture]}, [])] == order
