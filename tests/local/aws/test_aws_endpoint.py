"""local.aws.aws_endpoint: another process reaches the same AWS as the functions."""

from collections.abc import Iterator

import pytest
import requests

from local.aws.patches.aws_calls import other_dynamodb
from tests.harness.running_stack import RunningStack, run_stack


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with run_stack(nights=1) as stack:
        yield stack


def call(stack: RunningStack, service: str, target: str, body: str) -> requests.Response:
    credential = f"AWS4-HMAC-SHA256 Credential=local/20261127/eu-west-1/{service}/aws4_request, Signature=x"
    headers = {"Authorization": credential, "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    return requests.post(f"{stack.url}/local/aws", data=body, headers=headers, timeout=30)


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
    answer = call(stack, service, target, "{}")
    assert answer.status_code == 200
    assert found in answer.text


def test_the_tables_of_another_dynamodb_are_read_there(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(other_dynamodb, "serve", lambda operation, _: asked.append(operation))
    call(stack, "dynamodb", "DynamoDB_20120810.Scan", '{"TableName": "booking-local-payments"}')
    assert asked == ["dynamodb.Scan"]
