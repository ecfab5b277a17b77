"""shared.adapters.payment_batches: many payments are read in few requests, and those that do not exist are left out."""

from shared.adapters.payment_batches import BATCH, read_owners, read_payments
from tests.harness.builders import payment
from tests.harness.stored_tables import Stored


def test_payments_are_found_by_their_ids_however_many_there_are(stored: Stored) -> None:
    ids = [f"PAY-RES-{number}" for number in range(BATCH + 1)]
    for payment_id in ids:
        stored.payment(payment(payment_id=payment_id, reservation_id=payment_id.removeprefix("PAY-")))
    assert read_payments({*ids, "PAY-unknown"}).keys() == set(ids)
    assert read_payments(set()) == {}


def test_payments_are_found_by_their_payment_intents(stored: Stored) -> None:
    stored.payment(payment())
    for pi, payment_id in (("pi_1", "PAY-RES-1"), ("pi_2", "PAY-RES-1"), ("pi_3", "PAY-lost")):
        stored.put("payments", {"payment_id": pi, "belongs_to": payment_id, "attempt": "1"})
    owners = read_owners({"pi_1", "pi_2", "pi_3", "pi_unknown"})
    assert {pi: one.payment_id for pi, one in owners.items()} == {"pi_1": "PAY-RES-1", "pi_2": "PAY-RES-1"}
