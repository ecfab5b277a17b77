"""The routes that a function has registered, as the API names them."""

import re

from aws_lambda_powertools.event_handler.api_gateway import Router


def registered_routes(router: Router) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.replace("payment_or_reservation_id", "id")))
        for rule, methods, *_ in router._routes
        for method in methods
    }
