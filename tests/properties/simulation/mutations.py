"""Bugs put in on purpose, and after how many histories each is found."""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from shared.adapters import bookings, stripe_api
from shared.domain.errors import StoreBusy
from shared.domain.models import Attempt, CheckoutSession
from shared.domain.session_outcomes import SessionOutcome, never_opened
from tests.properties.simulation.histories import draw
from tests.properties.simulation.run import BATCH, batch, seeds
from tests.properties.simulation.world import World

type Mutation = Callable[[World, pytest.MonkeyPatch], None]

SEQUENCE = " AND (attribute_not_exists(token_sequence) OR token_sequence < :sequence)"


def confirm_without_verifying(world: World, patch: pytest.MonkeyPatch) -> None:
    """Whoever has begun to pay has paid: what became of the PaymentIntent is not looked at."""
    payments = importlib.import_module("shared.adapters.stripe_api")
    retrieve = payments.retrieve_checkout_session

    def believe(session_id: str) -> CheckoutSession:
        session: CheckoutSession = retrieve(session_id)
        if session.payment_intent is None:
            return session
        amount = world.stripe.get("payment_intent", session.payment_intent.id)["amount"]
        intent = session.payment_intent.model_copy(update={"status": "succeeded", "amount_received": amount})
        return session.model_copy(update={"payment_intent": intent})

    patch.setattr(stripe_api, "retrieve_checkout_session", believe)


def release_without_expiring(_: World, patch: pytest.MonkeyPatch) -> None:
    """ExpireCheckoutSessions takes sessions for closed without closing them."""

    def skip(attempt: Attempt, _: str) -> SessionOutcome:
        return never_opened(attempt, "skipped", datetime.now(UTC))

    patch.setattr("lambdas.expire_checkout_sessions._close", skip)


def refund_without_key_or_list(_: World, patch: pytest.MonkeyPatch) -> None:
    """CreateRefund neither asks what there is, nor repeats under the same key."""
    payments = importlib.import_module("shared.adapters.stripe_api")

    def create(**given: Any) -> Any:
        return payments.create_refund(**{**given, "idempotency_key": uuid4().hex})

    careless = SimpleNamespace(list_refunds=lambda *_: [], create_refund=create)
    patch.setattr("lambdas.create_refund.stripe_api", careless)


def conflict_taken_for_lost(_: World, patch: pytest.MonkeyPatch) -> None:
    """ConfirmReservation takes any refused transaction for a booking that is gone."""

    def commit(booking: Any, pi: Any, capture: Any, now: Any) -> bool:
        try:
            return bookings.confirm_reservation(booking, pi, capture, now=now)
        except StoreBusy:
            return False

    patch.setattr("lambdas.confirm_reservation._commit", commit)


def token_without_sequence(_: World, patch: pytest.MonkeyPatch) -> None:
    """Whichever write of a task token comes last stays."""
    parse = AmazonStateLanguageParser.parse

    def parse_without(definition: str) -> Any:
        assert SEQUENCE in definition or "refunds" in definition
        return parse(definition.replace(SEQUENCE, ""))

    patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(parse_without))


MUTATIONS: tuple[Mutation, ...] = (
    confirm_without_verifying,
    release_without_expiring,
    refund_without_key_or_list,
    conflict_taken_for_lost,
    token_without_sequence,
)


def found_after(mutation: Mutation, histories: int, first: int = 1) -> tuple[int, str] | None:
    """The number of histories until one failed, and how; None where none did."""
    for of in seeds(first, histories):
        with pytest.MonkeyPatch.context() as patch:
            failures = batch([draw(seed) for seed in of], lambda world: mutation(world, patch)).failures
        if failures:
            earliest = min(failures, key=lambda failure: failure.history.seed)
            return earliest.history.seed - first + 1, earliest.problems[0]
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.simulation.mutations", description=__doc__)
    parser.add_argument("--histories", type=int, default=500, help=f"at most so many for each, in batches of {BATCH}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("mutations", nargs="*", help="these only")
    given = parser.parse_args()
    missed = 0
    for mutation in MUTATIONS:
        if given.mutations and mutation.__name__ not in given.mutations:
            continue
        began = time.monotonic()
        found = found_after(mutation, given.histories, given.seed)
        missed += found is None
        told = "not found" if found is None else f"found after {found[0]} histories: {found[1]}"
        sys.stdout.write(f"{mutation.__name__}: {told} ({time.monotonic() - began:.0f} s)\n")
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
