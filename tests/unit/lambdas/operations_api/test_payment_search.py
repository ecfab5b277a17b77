"""lambdas.operations_api.payment_search: pages, filters and searches of all payments."""

from datetime import timedelta
from typing import Any

import pytest

from lambdas.operations_api import handler
from shared.adapters import pointers
from shared.domain.models import Matter, iso
from tests.harness.builders import HOUR, NOW, TOTAL, capture, payment
from tests.harness.payments_api_calls import OPERATOR, Answer, call
from tests.harness.stored_tables import Stored

MANY = 230


def ask(**query: str) -> Answer:
    return call("GET", "/payments", claims=OPERATOR, query=query or None, function=handler)


def ids(answer: Answer) -> list[str]:
    return [row["reservation_id"] for row in answer.body["payments"]]


def store(stored: Stored, number: int, **changes: Any) -> None:
    """The number-th payment, made so many minutes ago."""
    name = f"RES-{number}"
    made = NOW - timedelta(minutes=number)
    stored.payment(payment(payment_id=f"PAY-{name}", reservation_id=name, created_at=made, updated_at=made, **changes))
    stored.put("reservations", {"reservation_id": name, "status": "checked_in", "created_at": iso(made)})


@pytest.fixture
def many(stored: Stored) -> Stored:
    for number in range(MANY):
        status, customer = ("expired" if number % 100 == 99 else "completed"), f"guest-{number % 2}"
        store(stored, number, status=status, customer_id=customer)
    return stored


def pages(**query: str) -> list[list[str]]:
    answers = [ask(**query)]
    while "cursor" in answers[-1].body:
        answers.append(ask(cursor=answers[-1].body["cursor"], **query))
    return [ids(answer) for answer in answers]


@pytest.mark.parametrize("limit", ["1", "7", "50", "100"])
def test_all_pages_together_list_each_payment_once_newest_first(many: Stored, limit: str) -> None:
    if limit == "1":
        assert ids(ask(limit="1")) == ["RES-0"]
        return
    found = pages(limit=limit)
    assert [name for page in found for name in page] == [f"RES-{number}" for number in range(MANY)]
    assert {len(page) for page in found[:-1]} == {int(limit)}


def test_payments_that_arrive_meanwhile_shift_no_page(many: Stored) -> None:
    first = ask(limit="10")
    store(many, -1)
    second = ask(limit="10", cursor=first.body["cursor"])
    assert ids(first) + ids(second) == [f"RES-{number}" for number in range(20)]


def test_the_requests_of_a_page_do_not_grow_with_the_payments(many: Stored, requests: list[object]) -> None:
    requests.clear()
    ask()
    ask(status="refunded")  # none has it
    assert len(requests) == 2 + 2 * 4


def test_a_row(stored: Stored) -> None:
    store(stored, 1, status="partially_refunded", amount=TOTAL, refund_amount=500)
    assert ask().body == {
        "payments": [
            {
                "reservation_id": "RES-1",
                "payment_id": "PAY-RES-1",
                "status": "partially_refunded",
                "reservation_status": "checked_in",
                "amount": TOTAL,
                "refund_amount": 500,
                "attention": [],
                "created_at": "2026-11-24T14:59:00.000Z",
                "updated_at": "2026-11-24T14:59:00.000Z",
            }
        ]
    }


def test_filters(many: Stored) -> None:
    assert [name for page in pages(status="expired") for name in page] == ["RES-99", "RES-199"]
    assert [name for page in pages(customer_id="guest-1") for name in page] == [f"RES-{n}" for n in range(1, MANY, 2)]
    window = {"created_from": iso(NOW - timedelta(minutes=20)), "created_to": "2026-11-24T15:50:00+01:00"}
    assert ids(ask(**window)) == [f"RES-{number}" for number in range(10, 21)]


def test_the_queue_lists_what_needs_a_person_the_longest_waiting_first(many: Stored) -> None:
    for number in (3, 70, 5):
        since = NOW - timedelta(minutes=number)
        matter = Matter(kind="dispute", subject="dp_1", since=since, amount=1, deadline=NOW)
        needy = {"attention": {"dispute:dp_1": matter}, "attention_since": since}
        store(many, number, status="completed", customer_id="guest-1", **needy)
    assert pages(attention="true", limit="2") == [["RES-70", "RES-5"], ["RES-3"]]
    assert [name for page in pages(attention="true", customer_id="guest-2") for name in page] == []
    assert [name for page in pages(attention="true", created_to=iso(NOW - HOUR)) for name in page] == ["RES-70"]
    assert ask(attention="true").body["payments"][2]["attention"] == [
        {
            "kind": "dispute",
            "subject": "dp_1",
            "since": "2026-11-24T14:57:00.000Z",
            "amount": 1,
            "deadline": "2026-11-24T15:00:00.000Z",
            "page": "PaymentDisputed",
            "closable": False,
        }
    ]


@pytest.mark.parametrize(
    "wanted", ["RES-7", "PAY-RES-7", "pi_7", " RES-7 ", "PAY-RES-7-cancellation", "REF-pi_7", "PAY-RES-7-0a1b2c3d4e5f"]
)
def test_a_search_finds_the_payment_of_any_of_its_ids(stored: Stored, wanted: str) -> None:
    store(stored, 7, captures={"pi_7": capture()})
    pointers.record_pointer("pi_7", pointers.Pointer("PAY-RES-7", "1"))
    store(stored, 70)
    assert ids(ask(q=wanted)) == ["RES-7"]
    assert ids(ask(q="pi_unknown")) == []


def test_an_item_that_cannot_be_read_hides_no_other(stored: Stored) -> None:
    store(stored, 1)
    store(stored, 2)
    stored.put("payments", stored.get("payments", "PAY-RES-1") | {"status": "paid twice"})
    assert ids(ask()) == ["RES-2"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"limit": "0"}, ["limit"]),
        ({"limit": "101"}, ["limit"]),
        ({"limit": "x"}, ["limit"]),
        ({"status": "paid"}, ["status"]),
        ({"created_from": "yesterday"}, ["created_from"]),
        ({"cursor": "x"}, ["cursor"]),
        ({"cursor": "WzFd"}, ["cursor"]),
        ({"q": ""}, ["q"]),
        ({"attention": "yes"}, ["attention"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
def test_a_wrong_filter_is_named(stored: Stored, query: dict[str, str], names: list[str]) -> None:
    answer = ask(**query)
    assert answer.error == (400, "INVALID_REQUEST")
    assert list(answer.body["details"]) == names


def test_a_search_finds_the_booking_of_an_id_and_not_that_of_its_beginning(stored: Stored) -> None:
    """The beginning of a refund's id is the payment's."""
    store(stored, 1)
    stored.payment(payment(payment_id="PAY-RES", reservation_id="RES"))
    assert ids(ask(q="RES-1")) == ["RES-1"]
