"""shared.services.unapplied_refunds: operators are notified first, but the refund does not depend on it."""

import pytest

from shared.contracts.states import RefundExecutionInput
from shared.domain.errors import NotificationFailed, StoreBusy
from shared.services.unapplied_refunds import start_unapplied_refund
from tests.harness.builders import payment
from tests.harness.fake_aws_clients import FakeAws

REFUND = RefundExecutionInput.unapplied(payment(), "pi_1", "REF-pi_1", requested_by="webhook")


def test_the_refund_starts_after_the_notification(fake_aws: FakeAws) -> None:
    started_before: list[list[str]] = []
    assert start_unapplied_refund(REFUND, lambda: started_before.append(fake_aws.started_names))
    assert (started_before, fake_aws.started_names) == ([[]], ["REF-pi_1"])
    assert not start_unapplied_refund(REFUND, lambda: None)


@pytest.mark.parametrize(("error", "started"), [(NotificationFailed, ["REF-pi_1"]), (StoreBusy, [])])
def test_a_notification_that_fails_is_raised_after_the_refund_has_started(
    fake_aws: FakeAws, error: type[Exception], started: list[str]
) -> None:
    """After any other error the whole is repeated."""

    def notify() -> None:
        raise error

    with pytest.raises(error):
        start_unapplied_refund(REFUND, notify)
    assert fake_aws.started_names == started
