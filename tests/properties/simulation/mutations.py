"""Plant bugs on purpose, and count the histories that it takes to find each."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from lambdas import reconcile_payments
from shared.adapters import bookings, payment_items, stripe_api
from shared.adapters.dynamodb import UpdateBuilder
from shared.domain.due import SHARDS
from shared.domain.errors import StoreBusy
from shared.domain.models import Attempt, Payment
from shared.domain.session_outcomes import SessionOutcome, never_opened
from shared.domain.stripe_values import CheckoutSession
from shared.services import ownership, replacements
from shared.services.ownership import Owner
from tests.harness.leaks import WatchedStack
from tests.properties.simulation.histories import draw
from tests.properties.simulation.run import REGRESSIONS, Failure, play_batch, print_line, shrink
from tests.properties.simulation.simulated_stack import SimulatedStack, deployed

type Mutation = Callable[[SimulatedStack, pytest.MonkeyPatch], None]

SEQUENCE = " AND (attribute_not_exists(token_sequence) OR token_sequence < :sequence)"


def confirm_without_verifying(stack: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """VerifyPayment takes every PaymentIntent for a paid one, whatever its status."""
    retrieve = stripe_api.retrieve_checkout_session

    def retrieve_as_paid(session_id: str) -> CheckoutSession:
        session = retrieve(session_id)
        if session.payment_intent is None:
            return session
        amount = stack.stripe.get("payment_intent", session.payment_intent.id)["amount"]
        intent = session.payment_intent.model_copy(update={"status": "succeeded", "amount_received": amount})
        return session.model_copy(update={"payment_intent": intent})

    patch.setattr(stripe_api, "retrieve_checkout_session", retrieve_as_paid)


def release_without_expiring(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """ExpireCheckoutSessions takes sessions for closed and leaves them open."""

    def skip(attempt: Attempt, _: str) -> SessionOutcome:
        return never_opened(attempt, "skipped", datetime.now(UTC))

    patch.setattr("lambdas.expire_checkout_sessions.close_session", skip)


def refund_without_key_or_list(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """CreateRefund does not look for an existing refund, and repeats its request with a new idempotency key."""

    def create(**given: Any) -> Any:
        return stripe_api.create_refund(**{**given, "idempotency_key": uuid4().hex})

    adapter = SimpleNamespace(list_refunds=lambda *_: [], create_refund=create)
    patch.setattr("lambdas.create_refund.stripe_api", adapter)


def conflict_taken_for_loss(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """ConfirmReservation takes a transaction conflict for the loss of the booking, whose money is refunded at once.

    One without the other does no harm: what becomes of the money of a lost booking is decided again.
    """

    def commit(booking: Any, pi: Any, capture: Any, now: Any) -> bool:
        try:
            return bookings.confirm_reservation(booking, pi, capture, now=now)
        except StoreBusy:
            return False

    parse = AmazonStateLanguageParser.parse

    def parse_refunding_at_once(definition: str) -> Any:
        workflow = json.loads(definition)
        if "ConfirmReservation" in workflow["States"]:
            lost = workflow["States"]["ConfirmReservation"]["Catch"][0]
            assert lost == {"ErrorEquals": ["BookingLost"], "Next": "ExpireCheckoutSessions"}
            lost["Next"] = "RefundUnusablePayment"
        return parse(json.dumps(workflow))

    patch.setattr("lambdas.confirm_reservation._commit", commit)
    patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(parse_refunding_at_once))


def token_without_sequence(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """A task token is stored even if a newer one is stored already."""
    parse = AmazonStateLanguageParser.parse

    def parse_without(definition: str) -> Any:
        assert SEQUENCE in definition or "refunds" in definition
        return parse(definition.replace(SEQUENCE, ""))

    patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(parse_without))


def ownership_by_metadata(stack: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """A PaymentIntent is ours if its metadata says so."""

    def find(pi: str) -> Owner | None:
        metadata = stack.stripe.get("payment_intent", pi)["metadata"]
        payment = ownership._find_named(metadata)
        attempt = metadata.get("attempt", "")
        return Owner(payment, attempt) if payment is not None and attempt in payment.attempts else None

    patch.setattr(ownership, "_find_by_sessions", find)


def confirm_what_is_not_held(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """A booking is confirmed without looking at what its charge still holds."""
    confirm, require = bookings.confirm_reservation, UpdateBuilder.require

    def require_other(builder: UpdateBuilder, path: str, value: Any) -> UpdateBuilder:
        return builder if path.endswith(".refundable") else require(builder, path, value)

    def confirm_anyway(*args: Any, **kwargs: Any) -> bool:
        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(UpdateBuilder, "require", require_other)
            return confirm(*args, **kwargs)

    patch.setattr(Payment, "whole", lambda *_: True)
    patch.setattr(bookings, "confirm_reservation", confirm_anyway)


def restarts_without_spacing(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """Every dead execution is replaced at once."""
    patch.setattr(replacements, "PAUSES", (timedelta(0),))


def retry_without_sequence(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """AwaitRetry stores its task token even if a newer one is stored already."""
    parse = AmazonStateLanguageParser.parse

    def parse_without(definition: str) -> Any:
        program = json.loads(definition)
        if wait := program["States"].get("AwaitRetry"):
            wait["Arguments"]["ConditionExpression"] = wait["Arguments"]["ConditionExpression"].replace(SEQUENCE, "")
        return parse(json.dumps(program))

    patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(parse_without))


def last_shard_skipped(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """The reconciler leaves out the last shard of what is due."""
    lists = [one for one in reconcile_payments.LISTS if getattr(one, "args", None) != (SHARDS[-1],)]
    assert len(lists) == len(reconcile_payments.LISTS) - 1
    patch.setattr(reconcile_payments, "LISTS", lists)


def notified_without_matter(_: SimulatedStack, patch: pytest.MonkeyPatch) -> None:
    """What operators are notified of does not come into their queue."""
    record = payment_items.record_notified
    patch.setattr(payment_items, "record_notified", lambda payment, mark, _=None: record(payment, mark))


MUTATIONS: tuple[Mutation, ...] = (
    confirm_without_verifying,
    release_without_expiring,
    refund_without_key_or_list,
    conflict_taken_for_loss,
    token_without_sequence,
    ownership_by_metadata,
    confirm_what_is_not_held,
    restarts_without_spacing,
    retry_without_sequence,
    last_shard_skipped,
    notified_without_matter,
)


def first_failure(local: WatchedStack, mutation: Mutation, seeds: range) -> Failure | None:
    for seed in seeds:
        failures = play_batch(local, [draw(seed)], lambda stack: mutation(stack, stack.patch)).failures
        if failures:
            return failures[0]
    return None


def _found(local: WatchedStack, mutation: Mutation, failure: Failure | None, seeds: range, *, write: bool) -> str:
    if failure is None:
        return "not found"
    shortest = shrink(local, failure, lambda stack: mutation(stack, stack.patch))
    if write:
        (REGRESSIONS / f"{mutation.__name__}.json").write_text(shortest.history.to_json())
    return (
        f"found after {failure.history.seed - seeds.start + 1} histories, and shortened from "
        f"{len(failure.history.steps)} steps to {len(shortest.history.steps)}: {shortest.violations[0]}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.simulation.mutations", description=__doc__)
    parser.add_argument("--histories", type=int, default=500, help="give up after this many (default: 500)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first history (default: 1)")
    parser.add_argument("--write", action="store_true", help="keep the shortest histories as regression tests")
    parser.add_argument("mutations", nargs="*", help="the bugs to plant (default: all)")
    given = parser.parse_args()
    missed = 0
    with deployed() as local:
        for mutation in MUTATIONS:
            if given.mutations and mutation.__name__ not in given.mutations:
                continue
            seeds = range(given.seed, given.seed + given.histories)
            failure = first_failure(local, mutation, seeds)
            missed += failure is None
            print_line(f"{mutation.__name__}: {_found(local, mutation, failure, seeds, write=given.write)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
