"""shared.adapters.aws: which errors are worth a retry, and how long a client may take."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from shared.adapters import aws
from shared.domain.errors import StoreBusy
from tests.harness.fake_aws_clients import client_error


def request(error: Exception | None = None) -> Any:
    def answer() -> str:
        if error is not None:
            raise error
        return "answer"

    return aws.call(answer, busy=frozenset({"ThrottlingException"}), error_type=StoreBusy)


def test_an_answer_is_returned() -> None:
    assert request() == "answer"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (client_error("ThrottlingException"), "ThrottlingException"),
        (ReadTimeoutError(endpoint_url="https://dynamodb"), "ReadTimeoutError"),
    ],
    ids=["busy", "no answer"],
)
def test_a_busy_service_and_a_lost_answer_are_worth_a_retry(error: Exception, reason: str) -> None:
    with pytest.raises(StoreBusy, match=f"^{reason}$"):
        request(error)


def test_an_unknown_code_is_raised_unchanged() -> None:
    with pytest.raises(ClientError) as raised:
        request(client_error("AccessDeniedException"))
    assert aws.error_code(raised.value) == "AccessDeniedException"


@pytest.mark.parametrize(("config", "attempts"), [(aws.CLIENT_CONFIG, 3), (aws.PUBLISHER_CONFIG, 2)])
def test_clients_give_up_in_time(config: Any, attempts: int) -> None:
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.retries == {"mode": "standard", "total_max_attempts": attempts}
