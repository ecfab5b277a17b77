"""lambdas.operations_api.handler: which routes exist, and that they are for operators only."""

import pytest

from infra.routes import OPERATIONS_ROUTES
from lambdas.operations_api import handler
from lambdas.operations_api.operations_router import router
from tests.harness.payments_api_calls import GUEST, STRANGER, call
from tests.harness.registered_routes import registered_routes
from tests.harness.stored_tables import Stored

REQUESTS = [
    ("GET", "/payments"),
    ("GET", "/payments-by-day"),
    ("GET", "/payments/RES-1"),
    ("GET", "/payments/RES-1/executions/RES-1"),
    ("POST", "/payments/RES-1/attention/dispute/close"),
    ("GET", "/payments-ledger"),
    ("GET", "/payments-ledger/2026-11-24"),
    ("GET", "/payments-ledger/2026-11-24/transactions"),
]


def test_the_function_has_the_routes_of_the_api() -> None:
    assert handler.MODULES  # each has registered its routes
    assert registered_routes(router) == OPERATIONS_ROUTES.keys()


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize("claims", [GUEST, STRANGER])
def test_a_guest_is_refused_even_for_a_booking_of_their_own(
    stored: Stored, method: str, path: str, claims: dict[str, str]
) -> None:
    stored.reservation()
    assert call(method, path, claims=claims, function=handler).error == (403, "FORBIDDEN")


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_caller_who_is_not_signed_in_is_refused(stored: Stored, method: str, path: str) -> None:
    assert call(method, path, claims=None, function=handler).error == (401, "UNAUTHENTICATED")


def test_every_route_is_among_these_requests() -> None:
    assert len(REQUESTS) == len(OPERATIONS_ROUTES)
