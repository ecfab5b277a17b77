"""shared.domain.ids: ids that are derived from other ids."""

from shared.domain.ids import cancellation_id, goodwill_id, payment_id_of, unapplied_refund_id


def test_a_payment_is_named_after_its_reservation() -> None:
    assert payment_id_of("RES-1") == "PAY-RES-1"


def test_refund_ids() -> None:
    assert cancellation_id("PAY-RES-1") == "PAY-RES-1-cancellation"
    assert unapplied_refund_id("pi_1") == "REF-pi_1"
    assert goodwill_id("PAY-RES-1", "one") == "PAY-RES-1-7692c3ad3540"
    assert goodwill_id("PAY-RES-1", "two") != goodwill_id("PAY-RES-1", "one")


def test_refund_ids_fit_into_the_name_of_a_replacement_execution() -> None:
    longest = payment_id_of("r" * 60)
    assert max(len(cancellation_id(longest)), len(goodwill_id(longest, "k" * 255))) + len("-r9") <= 80
