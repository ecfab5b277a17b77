"""What operators read over HTTP: the list of payments, the record of one, and where its executions stand."""

from tests.e2e.conftest import StackOverHttp


def test_operators_follow_a_booking_from_the_list_to_the_state_it_waits_in(stack: StackOverHttp) -> None:
    paid, paying = stack.reserve_paid(), stack.reserve()
    paying.pay_now()

    listed = stack.request("GET", "payments?limit=2", stack.operator).json()
    assert [(row["reservation_id"], row["status"]) for row in listed["payments"]] == [
        (paying.id, "pending"),
        (paid.id, "completed"),
    ]
    assert stack.request("GET", f"payments?q={paid.payment_intent}", stack.operator).json()["payments"] == [
        listed["payments"][1]
    ]

    record = stack.request("GET", f"payments/{paid.id}", stack.operator).json()
    assert (record["end_reason"], record["captures"][0]["payment_intent"]) == ("paid", paid.payment_intent)
    (execution,) = record["executions"]
    history = stack.request("GET", f"payments/{paid.id}/executions/{execution['name']}", stack.operator).json()
    assert (history["status"], [state["state"] for state in history["states"]]) == (
        "SUCCEEDED",
        paid.execution().visited,
    )
    running = stack.request("GET", f"payments/{paying.id}/executions/{paying.id}", stack.operator).json()
    assert (running["status"], running["waits_in"]) == ("RUNNING", "AwaitPayment")


def test_guests_read_none_of_it(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    booking.pay_now()
    for path in ("payments", f"payments/{booking.id}", f"payments/{booking.id}/executions/{booking.id}"):
        assert stack.request("GET", path, booking.token).status_code == 403
