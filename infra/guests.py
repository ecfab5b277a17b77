"""The guests' user pool: the booking platform's, or one that the stack creates."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class UserPool:
    """`client_id` is the booking site's client, `console_client_id` the console's; None if the pool is not ours."""

    arn: pulumi.Input[str]
    id: pulumi.Input[str]
    client_id: pulumi.Input[str] | None = None
    console_client_id: pulumi.Input[str] | None = None


# Where `python -m console` listens; Cognito sends people back to no other name without https.
CONSOLE_CALLBACK = "http://localhost:8401/console/callback"


def user_pool(given_arn: str | None, *, prefix: str, account: str, protect: bool) -> UserPool:
    """Return the pool `given_arn`, or create `{prefix}-guests` with its clients and the group of operators."""
    if given_arn is not None:
        return UserPool(given_arn, given_arn.rpartition("/")[2])
    pool = aws.cognito.UserPool(
        "guests",
        name=f"{prefix}-guests",
        username_attributes=["email"],
        auto_verified_attributes=["email"],
        # Whoever signs up without the platform has no customer id and can never pay.
        admin_create_user_config={"allow_admin_create_user_only": True},
        # The booking platform sets its id of the guest when it creates the account. It never changes.
        schemas=[
            {
                "name": "customer_id",
                "attribute_data_type": "String",
                "mutable": False,
                "string_attribute_constraints": {"min_length": "1", "max_length": "64"},
            }
        ],
        deletion_protection="ACTIVE" if protect else "INACTIVE",
        opts=pulumi.ResourceOptions(protect=protect),
    )
    client = aws.cognito.UserPoolClient(
        "booking-site",
        name=f"{prefix}-booking-site",
        user_pool_id=pool.id,
        explicit_auth_flows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        prevent_user_existence_errors="ENABLED",
        read_attributes=["email", "email_verified", "custom:customer_id"],
        write_attributes=["email"],
    )
    aws.cognito.UserGroup("operators", name="operators", user_pool_id=pool.id)
    # Operators sign in on Cognito's own page. The account's number makes the name unique in the region.
    aws.cognito.UserPoolDomain("sign-in", domain=f"{prefix}-{account}", user_pool_id=pool.id)
    console = aws.cognito.UserPoolClient(
        "console",
        name=f"{prefix}-console",
        user_pool_id=pool.id,
        allowed_oauth_flows=["code"],
        allowed_oauth_flows_user_pool_client=True,
        allowed_oauth_scopes=["openid"],
        callback_urls=[CONSOLE_CALLBACK],
        supported_identity_providers=["COGNITO"],
        explicit_auth_flows=["ALLOW_REFRESH_TOKEN_AUTH"],
        prevent_user_existence_errors="ENABLED",
        read_attributes=["email_verified"],  # its tokens carry no e-mail address
        write_attributes=["email"],
    )
    return UserPool(pool.arn, pool.id, client.id, console.id)
