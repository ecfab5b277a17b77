"""Tables, keys, and the user pool with the guests."""

import pytest

from console.__main__ import PORT
from tests.harness.tables import in_table
from tests.infra.conftest import Deploy
from tests.infra.deployed import PAYMENTS, allowed, inputs
from tests.infra.worker import Seen


@pytest.mark.defect("D-28")
@in_table(range_key=None)
def test_tables(
    stack: Seen, *, table: str, key: str, range_key: str | None, indexes: dict[str, list[str]], ttl: str | None
) -> None:
    """Recorded events are deleted after a while."""
    made = stack.tables[f"booking-local-{table}"]
    keys = {part["KeyType"]: part["AttributeName"] for part in made["KeySchema"]}
    assert keys == {"HASH": key} | ({"RANGE": range_key} if range_key else {})
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert made["SSEDescription"]["Status"] == "ENABLED"
    found = made.get("GlobalSecondaryIndexes", [])
    assert {index["IndexName"]: [part["AttributeName"] for part in index["KeySchema"]] for index in found} == indexes
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in found)
    assert stack.ttl[f"booking-local-{table}"] == ttl
    assert inputs(stack, "aws:dynamodb/table:Table")[table]["pointInTimeRecovery"] == {"enabled": True}


def test_a_stack_can_use_the_tables_of_the_booking_platform(deploy: Deploy) -> None:
    given = deploy(reservationsTable="bookings", availabilityTable="nights", given_tables=("bookings", "nights"))
    assert set(inputs(given, "aws:dynamodb/table:Table")) == {"payments", "stripe-webhook-events", "audit"}
    assert given.deployment.outputs["reservationsTable"] == "bookings"
    assert given.deployment.environment["AVAILABILITY_TABLE"] == "nights"
    tables = "arn:aws:dynamodb:eu-west-1:123456789012:table"
    assert allowed(given, "release-hold").keys() == {
        *(PAYMENTS, f"{tables}/bookings", f"{tables}/nights", f"{tables}/booking-local-audit")
    }


def test_keys_are_encrypted_parameters_that_the_program_does_not_fill(stack: Seen) -> None:
    placeholder = "to be set by make stripe-webhook"
    names = {
        f"/booking/local/stripe/{name}" for name in ("secret_key", "reporting_key", "publishable_key", "webhook_secret")
    }
    assert stack.parameters == dict.fromkeys(names, placeholder)
    for parameter in inputs(stack, "aws:ssm/parameter:Parameter").values():
        assert parameter["type"] == "SecureString"
        # Pulumi would store `value` in its state.
        assert (parameter.get("value"), parameter["valueWo"]) == (None, placeholder)


def test_guests_can_read_their_customer_id_but_not_change_it(stack: Seen) -> None:
    (pool,) = inputs(stack, "aws:cognito/userPool:UserPool").values()
    (customer_id,) = pool["schemas"]
    assert (customer_id["name"], customer_id["mutable"]) == ("customer_id", False)
    client = inputs(stack, "aws:cognito/userPoolClient:UserPoolClient")["booking-site"]
    assert "custom:customer_id" in client["readAttributes"]
    assert "custom:customer_id" not in client["writeAttributes"]


def test_operators_sign_in_at_cognitos_page_and_come_back_to_their_own_machine(stack: Seen) -> None:
    client = inputs(stack, "aws:cognito/userPoolClient:UserPoolClient")["console"]
    assert (client["allowedOauthFlows"], client["allowedOauthScopes"]) == (["code"], ["openid"])
    assert client["callbackUrls"] == [f"http://localhost:{PORT}/console/callback"]
    assert "email" not in client["readAttributes"]
    assert client.get("generateSecret") is None  # PKCE takes the place of a secret, which no browser can keep
    (domain,) = inputs(stack, "aws:cognito/userPoolDomain:UserPoolDomain").values()
    assert domain["domain"] == "booking-local-123456789012"


def test_a_stack_can_use_the_user_pool_of_the_booking_platform(deploy: Deploy) -> None:
    arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Abc"
    given = deploy(cognitoUserPoolArn=arn, operatorEmail="operators@example.com", manageApiGatewayAccount="false")
    made = {resource.type.rpartition(":")[2] for resource in given.deployment.resources}
    assert made.isdisjoint(
        {"UserPool", "UserPoolClient", "UserPoolDomain", "UserGroup", "Account", "RolePolicyAttachment"}
    )
    assert given.deployment.outputs["userPoolId"] == "eu-west-1_Abc"
    schemes = given.deployment.openapi["components"]["securitySchemes"]
    assert schemes["cognito"]["x-amazon-apigateway-authorizer"]["providerARNs"] == [arn]
    (subscription,) = inputs(given, "aws:sns/topicSubscription:TopicSubscription").values()
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "operators@example.com")
