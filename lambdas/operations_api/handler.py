"""Routes of the operators: what they need to know about every booking.

Changes: the open matters that an operator closes (matter_closing.py), and nothing else.
Safe to run twice: a matter that is closed is not open any more.
"""

from typing import Any

from lambdas.operations_api import (
    daily_figures,
    execution_history,
    matter_closing,
    payment_record,
    payment_search,
    reconciled_ledger,
)
from lambdas.operations_api.operations_router import router
from shared.observability import entry_point
from shared.services.http_api import answer

MODULES = (payment_search, daily_figures, payment_record, execution_history, matter_closing, reconciled_ledger)
"""Each registers its routes with `router` when it is imported."""


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer in the REST proxy shape; only operators get more than 403."""
    return answer(router, event, context)
