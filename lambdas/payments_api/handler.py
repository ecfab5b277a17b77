"""Routes /payments/…: start, read, retry, cancel and refund a booking's payment (docs/integration.md).

Changes: starts and resumes executions; marks cancel requests, refreshes and granted attempts on the payment item.
Safe to run twice: an execution is named after its booking, a token resumes one wait only, and a cancel request stays
as it was first made. No route calls Stripe, and none decides that a booking is paid.
"""

from typing import Any

from lambdas.payments_api import cancellation, checkout, operators, refund_quotes, refunds, status
from lambdas.payments_api.router import router
from shared.observability import entry_point
from shared.services.http_api import answer

MODULES = (checkout, status, cancellation, refund_quotes, refunds, operators)
"""Each registers its routes with `router` when it is imported."""


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer in the REST proxy shape; every answer carries the gateway's request id as `x-correlation-id`."""
    return answer(router, event, context)
