"""What moto knows of AWS's services."""

import inspect

import pytest

from local.aws.patches.service_descriptions import load_description


@pytest.mark.parametrize(
    "service", ["apigateway", "cognito-idp", "dynamodb", "events", "lambda", "s3", "stepfunctions"]
)
def test_the_description_of_a_service_is_the_one_that_moto_would_read(service: str) -> None:
    assert load_description(service, "service-2") == load_description.original(service, "service-2")


def test_moto_still_reads_each_description_with_a_loader_of_its_own() -> None:
    assert "create_loader()" in inspect.getsource(load_description.original)
