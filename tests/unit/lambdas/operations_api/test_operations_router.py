"""lambdas.operations_api.operations_router: it is not the router of the guests' routes."""

from lambdas.operations_api.operations_router import router
from lambdas.payments_api.router import router as guests_router


def test_neither_function_has_a_route_of_the_other() -> None:
    assert router._routes.keys().isdisjoint(guests_router._routes)
