"""lambdas.payments_api.router: the function has the routes that the API has."""

from infra.routes import PAYMENTS_ROUTES
from lambdas.payments_api.handler import MODULES
from lambdas.payments_api.router import router
from tests.harness.registered_routes import registered_routes


def test_the_function_has_the_routes_of_the_api() -> None:
    assert MODULES  # each has registered its routes
    assert registered_routes(router) == PAYMENTS_ROUTES.keys()
