"""lambdas.payments_api.router: the function has the routes that the API has."""

import re

from infra.routes import PAYMENTS_ROUTES
from lambdas.payments_api.handler import MODULES
from lambdas.payments_api.router import router


def test_the_function_has_the_routes_of_the_api() -> None:
    assert MODULES  # each has registered its routes
    known = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.replace("payment_or_reservation_id", "id")))
        for rule, methods, *_ in router._routes
        for method in methods
    }
    assert known == PAYMENTS_ROUTES.keys()
