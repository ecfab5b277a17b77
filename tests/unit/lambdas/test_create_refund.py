"""lambdas.create_refund: how it creates a refund at Stripe once, and what it records of it."""

from typing import Any

import pytest

from lambdas import create_refund
from shared.adapters import stripe_api
from tests.harness.booking_states import BookingStates


def test_a_second_run_continues_with_the_refund_that_stripe_has(reserved: BookingStates) -> None:
    first = reserved.run_refund(create_refund, attempt=1)
    before = reserved.item
    assert reserved.run_refund(create_refund, attempt=1) == first
    assert reserved.item == before
    assert reserved.requested.count("refunds.create") == 1


def test_an_execution_that_starts_again_does_not_lower_the_number_of_attempts(reserved: BookingStates) -> None:
    """Otherwise the operators' next retry would repeat an attempt that has failed."""
    reserved.change(refunds={"G1": reserved.entry | {"try": 3}})
    reserved.run_refund(create_refund, attempt=1)
    after = reserved.entry
    assert (after["try"], after["status"]) == (3, "pending")
    assert after["stripe_refund_id"].startswith("re_")


def test_a_refusal_without_a_code_has_a_reason_all_the_same(reserved: BookingStates) -> None:
    reserved.stripe.faults.add("refunds.create", "refuse")
    answer = reserved.run_refund(create_refund, attempt=1)
    assert (answer["status"], answer["failure_reason"]) == ("failed", "refused")


def test_a_refusal_of_what_stripe_has_refunded_meanwhile_continues_with_that_refund(
    reserved: BookingStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, list_refunds = reserved.entry, stripe_api.list_refunds
    first = reserved.run_refund(create_refund, attempt=1)
    reserved.change(refunds={"G1": entry})
    asked: list[object] = []

    def list_late(*of: str) -> Any:
        asked.append(of)
        return [] if len(asked) == 1 else list_refunds(*of)

    monkeypatch.setattr(stripe_api, "list_refunds", list_late)
    reserved.stripe.faults.add("refunds.create", "refuse")
    assert reserved.run_refund(create_refund, attempt=1) == first


def test_after_as_many_failures_as_attempts_the_newest_failure_is_returned(reserved: BookingStates) -> None:
    """A second run of the state creates no refund that the operators have not asked for."""
    for attempt in (1, 2):
        created = reserved.run_refund(create_refund, attempt=attempt)["stripe_refund_id"]
        reserved.stripe.settle_refund(created, "failed")
        again = reserved.run_refund(create_refund, attempt=attempt)
        assert (again["status"], again["stripe_refund_id"]) == ("failed", created)
    assert reserved.requested.count("refunds.create") == 2
