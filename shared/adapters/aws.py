"""What the AWS clients share: time-outs, retries, and which error codes are worth another try."""

from collections.abc import Callable
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.errors import TransientError

CLIENT_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

# Events and notifications come on top of other calls, while Stripe waits at most 20 s for the webhook's answer.
PUBLISHER_CONFIG = CLIENT_CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 2}))

# Every code that is missing from these tables is a defect of ours: the error is raised unchanged.
DYNAMODB_BUSY = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
S3_BUSY = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
STEP_FUNCTIONS_BUSY = frozenset(
    {
        "ExecutionLimitExceeded",
        "InternalFailure",
        "InternalServerException",
        "KmsThrottlingException",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
TASK_CLOSED = frozenset({"TaskDoesNotExist", "TaskTimedOut"})  # the state no longer waits with this task token


def call[Answer](request: Callable[[], Answer], *, busy: frozenset[str], error_type: type[TransientError]) -> Answer:
    """Make a request to AWS.

    Raises `error_type` when the service is busy or its answer was lost, and ClientError unchanged for all else.
    """
    try:
        return request()
    except ClientError as error:
        if error_code(error) in busy:
            raise error_type(error_code(error)) from error
        raise
    except BotoCoreError as error:
        raise error_type(type(error).__name__) from error


def open_connection(client: Any) -> None:
    """Open the connection that the client's first request will use.

    Every endpoint of AWS answers a request without a signature, whatever the function's role may do.
    """
    request = AWSRequest("GET", client.meta.endpoint_url).prepare()
    client._endpoint.http_session.send(request)  # noqa: SLF001 - botocore has no other way


def error_code(error: ClientError) -> str:
    """The code of an AWS error, such as `ThrottlingException`."""
    return str(error.response.get("Error", {}).get("Code"))
