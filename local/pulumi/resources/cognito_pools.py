"""Cognito: user pools, their clients, groups and domains."""

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import (
    ALREADY_EXISTS,
    NOT_FOUND,
    AwsClients,
    Created,
    ResourceType,
    Values,
    first_match,
    ignoring,
)

# What a client that signs people in on Cognito's own page has besides, by Pulumi's name and by the API's.
_HOSTED_PAGE = {
    "allowedOauthFlows": "AllowedOAuthFlows",
    "allowedOauthFlowsUserPoolClient": "AllowedOAuthFlowsUserPoolClient",
    "allowedOauthScopes": "AllowedOAuthScopes",
    "callbackUrls": "CallbackURLs",
    "supportedIdentityProviders": "SupportedIdentityProviders",
}


class UserPool(ResourceType):
    replaces = frozenset({"schemas", "usernameAttributes"})
    updatable = frozenset({"adminCreateUserConfig", "autoVerifiedAttributes", "deletionProtection"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        pools = aws.client("cognito-idp")
        found = first_match(pools.list_user_pools(MaxResults=60)["UserPools"], Name=inputs["name"])
        if found is None:
            found = pools.create_user_pool(
                PoolName=inputs["name"],
                UsernameAttributes=inputs["usernameAttributes"],
                AutoVerifiedAttributes=inputs["autoVerifiedAttributes"],
                DeletionProtection=inputs["deletionProtection"],
                AdminCreateUserConfig=self._sign_up(inputs),
                Schema=[
                    {
                        "Name": attribute["name"],
                        "AttributeDataType": attribute["attributeDataType"],
                        "Mutable": attribute["mutable"],
                        "StringAttributeConstraints": {
                            "MinLength": attribute["stringAttributeConstraints"]["minLength"],
                            "MaxLength": attribute["stringAttributeConstraints"]["maxLength"],
                        },
                    }
                    for attribute in inputs["schemas"]
                ],
            )["UserPool"]
        return found["Id"], {"arn": f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{found['Id']}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("cognito-idp").describe_user_pool(UserPoolId=id_)["UserPool"]
            return {"deletionProtection": found.get("DeletionProtection", inputs["deletionProtection"])}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("cognito-idp").update_user_pool(
            UserPoolId=id_,
            AutoVerifiedAttributes=inputs["autoVerifiedAttributes"],
            DeletionProtection=inputs["deletionProtection"],
            AdminCreateUserConfig=self._sign_up(inputs),
        )
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("cognito-idp").delete_user_pool(UserPoolId=id_)

    @staticmethod
    def _sign_up(inputs: Values) -> Values:
        return {"AllowAdminCreateUserOnly": inputs["adminCreateUserConfig"]["allowAdminCreateUserOnly"]}


class UserPoolClient(ResourceType):
    identity = ("userPoolId", "name")
    updatable = frozenset(
        {"explicitAuthFlows", "preventUserExistenceErrors", "readAttributes", "writeAttributes", *_HOSTED_PAGE}
    )

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        pool, clients = inputs["userPoolId"], aws.client("cognito-idp")
        found = clients.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
        client = first_match(found, ClientName=inputs["name"])
        if client is None:
            client = clients.create_user_pool_client(**self._request(inputs))["UserPoolClient"]
        else:
            self.update(aws, client["ClientId"], inputs, inputs)
        return client["ClientId"], {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("cognito-idp").describe_user_pool_client(UserPoolId=inputs["userPoolId"], ClientId=id_)
            client = found["UserPoolClient"]
            return {
                "explicitAuthFlows": client["ExplicitAuthFlows"],
                "readAttributes": client["ReadAttributes"],
                "writeAttributes": client["WriteAttributes"],
            }
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("cognito-idp").update_user_pool_client(ClientId=id_, **self._request(inputs))
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("cognito-idp").delete_user_pool_client(UserPoolId=inputs["userPoolId"], ClientId=id_)

    @staticmethod
    def _request(inputs: Values) -> Values:
        return {
            "UserPoolId": inputs["userPoolId"],
            "ClientName": inputs["name"],
            "ExplicitAuthFlows": inputs["explicitAuthFlows"],
            "ReadAttributes": inputs["readAttributes"],
            "WriteAttributes": inputs["writeAttributes"],
            "PreventUserExistenceErrors": inputs["preventUserExistenceErrors"],
            **{member: inputs[name] for name, member in _HOSTED_PAGE.items() if inputs.get(name) is not None},
        }


class UserPoolDomain(ResourceType):
    identity = ("domain",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        if self.read(aws, inputs["domain"], inputs) is None:
            aws.client("cognito-idp").create_user_pool_domain(Domain=inputs["domain"], UserPoolId=inputs["userPoolId"])
        return inputs["domain"], {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        found = aws.client("cognito-idp").describe_user_pool_domain(Domain=id_)["DomainDescription"]
        return {} if found else None

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("cognito-idp").delete_user_pool_domain(Domain=id_, UserPoolId=inputs["userPoolId"])


class UserGroup(ResourceType):
    identity = ("userPoolId", "name")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        with ignoring(ALREADY_EXISTS):
            aws.client("cognito-idp").create_group(GroupName=inputs["name"], UserPoolId=inputs["userPoolId"])
        return f"{inputs['userPoolId']}/{inputs['name']}", {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            aws.client("cognito-idp").get_group(GroupName=inputs["name"], UserPoolId=inputs["userPoolId"])
            return {}
        return None

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("cognito-idp").delete_group(GroupName=inputs["name"], UserPoolId=inputs["userPoolId"])
