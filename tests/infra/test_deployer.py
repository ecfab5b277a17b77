"""The deployer that runs the program on Pulumi's mocks."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs

from local.pulumi.deployer import DeployMocks, _environment
from local.pulumi.program_values import missing_outputs, unwrap
from local.pulumi.resources.registry import find_type
from local.pulumi.resources.resource_type import AwsClients, DeployError, Resource
from tests.infra.conftest import Deploy
from tests.infra.worker import Seen

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "sk_test_secret"}


def register(type_: str, **inputs: Any) -> dict[Any, Any]:
    return DeployMocks().new_resource(MockResourceArgs(type_, "thing", inputs, custom=True))[1]


def test_an_unknown_resource_type_stops_the_deployment() -> None:
    with pytest.raises(DeployError, match="aws:sqs/queue:Queue 'thing': the local stack does not know this type"):
        register("aws:sqs/queue:Queue")


def test_an_unknown_function_of_the_provider_stops_the_deployment() -> None:
    with pytest.raises(DeployError, match="aws:kms/getKey:getKey"):
        DeployMocks().call(MockCallArgs("aws:kms/getKey:getKey", {}, ""))


def test_an_error_names_the_resource() -> None:
    with pytest.raises(DeployError, match="aws:sns/topic:Topic 'thing': 'name'"):
        register("aws:sns/topic:Topic")


def test_an_output_that_is_not_provided_stops_the_deployment_where_it_is_used() -> None:
    owner = missing_outputs("aws:sns/topic:Topic")["owner"]
    with pytest.raises(
        DeployError, match=r"'thing' uses aws:sns/topic:Topic\.owner, which the local stack does not provide"
    ):
        register("aws:ssm/parameter:Parameter", name="/p", value=f"of {owner}")


def test_secrets_are_unwrapped_and_whole_numbers_are_integers() -> None:
    assert unwrap({"a": [SECRET, 30.0, 0.5, True, None]}) == {"a": ["sk_test_secret", 30, 0.5, True, None]}


def test_sibling_path_variables_with_different_names_are_refused_as_by_api_gateway() -> None:
    document = '{"paths": {"/payments/{id}/status": {}, "/payments/{payment_id}/retry": {}}}'
    with pytest.raises(DeployError, match=r"\{id\} and \{payment_id\} in /payments/\{payment_id\}/retry"):
        find_type("aws:apigateway/restApi:RestApi").check(AwsClients(), {"name": "api", "body": document})


def test_functions_with_different_values_of_one_variable_are_refused() -> None:
    functions = [
        Resource("aws:lambda/function:Function", name, {"environment": {"variables": {"TABLE": table}}})
        for name, table in (("one", "a"), ("two", "b"))
    ]
    with pytest.raises(DeployError, match="two: another function has a different TABLE"):
        _environment(functions)


def test_an_invalid_value_stops_the_deployment(deploy: Deploy) -> None:
    with pytest.raises(pulumi.RunError, match="booking-payments:holdSeconds: "):
        deploy(holdSeconds="soon")


def test_an_unknown_key_stops_the_deployment(deploy: Deploy) -> None:
    with pytest.raises(pulumi.RunError, match="booking-payments:hold: "):
        deploy(hold=12)


def test_configured_values_override_the_stack_file_and_reach_the_functions(deploy: Deploy, stack: Seen) -> None:
    changed = deploy(holdSeconds=12, checkoutWindowSeconds=3, stripeApiBase="http://127.0.0.1:8400/stripe").deployment
    assert stack.deployment.environment["HOLD_SECONDS"] == "86400"
    assert changed.environment["HOLD_SECONDS"] == "12"
    assert changed.environment["CHECKOUT_WINDOW_SECONDS"] == "3"
    assert changed.environment["STRIPE_API_BASE"] == "http://127.0.0.1:8400/stripe"
