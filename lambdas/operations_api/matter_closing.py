"""POST /payments/{id}/attention/{kind}/close: an operator closes a matter that the system cannot see the end of.

Changes: the open matters of the payment item; an entry of the audit trail with the note.
Safe to run twice: a matter that is closed is not open any more, which answers 404.
"""

from datetime import UTC, datetime

from aws_lambda_powertools.event_handler import Response

from lambdas.operations_api.operations_router import router
from lambdas.operations_api.payment_record import find_payment, record
from shared.adapters import payment_items
from shared.contracts.operations_bodies import CloseMatterRequest
from shared.domain.api_errors import ApiError
from shared.domain.matters import KINDS
from shared.domain.models import Payment
from shared.services import http_api


@router.post("/payments/<payment_or_reservation_id>/attention/<kind>/close")
def close_matter(payment_or_reservation_id: str, kind: str) -> Response[str]:
    """Close the open matters of a kind, or the one about `subject`, and answer with the record."""
    reservation, payment = find_payment(payment_or_reservation_id)
    request = http_api.parse_body(CloseMatterRequest)
    keys = _closable(payment, kind, request.subject)
    closed = payment_items.close_matters(payment, keys, note=request.note, now=datetime.now(UTC))
    return http_api.json_response(200, record(reservation, closed))


def _closable(payment: Payment, kind: str, subject: str | None) -> list[str]:
    """The keys of the matters to close. Raises NOT_FOUND, CAUSE_NOT_SETTLED."""
    found = [
        key for key, matter in payment.attention.items() if matter.kind == kind and subject in {None, matter.subject}
    ]
    if not found:
        raise ApiError("NOT_FOUND", "matter")
    if any(not KINDS[payment.attention[key].kind].closable for key in found):
        raise ApiError("CAUSE_NOT_SETTLED")
    return found
