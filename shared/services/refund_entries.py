"""The ledger's entry of a refund, as the states of the refund workflow read and return it."""

from shared.adapters import payment_items
from shared.contracts.states import RefundOutput
from shared.domain.models import Payment, Refund


def read_entry(payment_id: str, refund_id: str) -> tuple[Payment, Refund]:
    """Read the payment and the refund's entry. Raises LookupError when there is none."""
    payment = payment_items.read_payment(payment_id)
    if payment is None or refund_id not in payment.refunds:
        raise LookupError(f"no entry {refund_id} on {payment_id}")
    return payment, payment.refunds[refund_id]


def entry_output(entry: Refund) -> RefundOutput:
    return RefundOutput(
        status=entry.status,
        amount=entry.amount,
        stripe_refund_id=entry.stripe_refund_id,
        failure_reason=entry.failure_reason,
    )
