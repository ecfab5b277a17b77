"""An empty emulator for each test."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local.aws import emulator


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", emulator.REGION)
    running = emulator.start()
    yield
    emulator.stop(running)


@pytest.fixture
def sfn(aws: None) -> Any:
    return boto3.client("stepfunctions")


@pytest.fixture
def dynamodb(aws: None) -> Any:
    client = boto3.client("dynamodb")
    client.create_table(
        TableName="payments",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client
