"""local.aws.aws_endpoint: another process reaches the same AWS as the functions."""

from collections.abc import Iterator

import pytest
import requests

from tests.harness.running_stack import RunningStack, run_stack


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with run_stack(nights=1) as stack:
        yield stack


def test_a_request_without_a_signature_names_no_service(stack: RunningStack) -> None:
    answer = requests.post(f"{stack.url}/local/aws/", data="{}", timeout=30)
    assert (answer.status_code, answer.text) == (400, "the request has no signature of AWS, so it names no service\n")


@pytest.mark.parametrize(
    ("service", "target", "found"),
    [
        ("dynamodb", "DynamoDB_20120810.ListTables", "booking-local-payments"),
        ("states", "AWSStepFunctions.ListStateMachines", "booking-local-payment"),
    ],
)
def test_a_signed_request_is_answered_by_its_service(
    stack: RunningStack, service: str, target: str, found: str
) -> None:
    credential = f"AWS4-HMAC-SHA256 Credential=local/20261127/eu-west-1/{service}/aws4_request, Signature=x"
    headers = {"Authorization": credential, "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    answer = requests.post(f"{stack.url}/local/aws", data="{}", headers=headers, timeout=30)
    assert answer.status_code == 200
    assert found in answer.text
