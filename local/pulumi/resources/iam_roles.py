"""IAM: roles and their inline policies."""

import json

from local.aws.aws_account import ACCOUNT
from local.pulumi.resources.resource_type import (
    ALREADY_EXISTS,
    NOT_FOUND,
    AwsClients,
    Created,
    DeployError,
    ResourceType,
    Values,
    ignoring,
    keep_if_equal,
    tag_list,
    trusted_services,
)


class Role(ResourceType):
    updatable = frozenset({"assumeRolePolicy"})
    computed = ("arn", "createDate")

    def check(self, aws: AwsClients, inputs: Values) -> None:
        if "assumeRolePolicy" in inputs:
            aws.trusts[inputs["name"]] = trusted_services(json.loads(inputs["assumeRolePolicy"]))

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        name = inputs["name"]
        with ignoring(ALREADY_EXISTS) as create:
            aws.client("iam").create_role(
                RoleName=name, AssumeRolePolicyDocument=inputs["assumeRolePolicy"], Tags=tag_list(inputs)
            )
        role = aws.client("iam").get_role(RoleName=name)["Role"]
        if create.ignored:
            if role.get("Tags", []) != tag_list(inputs):
                raise DeployError(f"EntityAlreadyExists: role {name} belongs to another stack")
            self.update(aws, name, inputs, inputs)
        return name, {"arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "createDate": role["CreateDate"].isoformat()}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            live = aws.client("iam").get_role(RoleName=id_)["Role"]["AssumeRolePolicyDocument"]
            return {"assumeRolePolicy": keep_if_equal(json.dumps(live), inputs["assumeRolePolicy"])}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("iam").update_assume_role_policy(RoleName=id_, PolicyDocument=inputs["assumeRolePolicy"])
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            for name in aws.client("iam").list_role_policies(RoleName=id_)["PolicyNames"]:
                aws.client("iam").delete_role_policy(RoleName=id_, PolicyName=name)
            aws.client("iam").delete_role(RoleName=id_)


class RolePolicy(ResourceType):
    identity = ("role", "name")
    updatable = frozenset({"policy"})

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        self.update(aws, "", inputs, inputs)
        return f"{inputs['role']}:{inputs['name']}", {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            live = aws.client("iam").get_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"])[
                "PolicyDocument"
            ]
            return {"policy": keep_if_equal(json.dumps(live), inputs["policy"])}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("iam").put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("iam").delete_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"])
