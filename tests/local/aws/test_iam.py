"""IAM: what a role needs besides the permission itself."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from local.aws.iam import Permissions
from local.pulumi.deployer import Deployment
from local.pulumi.resources.resource_type import Resource

KEY = "arn:aws:kms:eu-west-1:123456789012:key/one"
ITEM = {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": ["*"]}
USE = {
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
    "Resource": [KEY],
    "Condition": {"StringEquals": {"kms:ViaService": ["dynamodb.eu-west-1.amazonaws.com"]}},
}
THROUGH_SNS = USE | {"Condition": {"StringEquals": {"kms:ViaService": ["sns.eu-west-1.amazonaws.com"]}}}


@pytest.mark.defect("A-04")
@pytest.mark.parametrize(
    ("key", "statements", "refused_action"),
    [
        pytest.param(None, [ITEM], None, id="without a key"),
        pytest.param(KEY, [ITEM, USE], None, id="with the use of the key"),
        pytest.param(KEY, [USE], "dynamodb:GetItem", id="with the use of the key only"),
        pytest.param(KEY, [ITEM], "kms:Decrypt", id="without the use of the key"),
        pytest.param(KEY, [ITEM, THROUGH_SNS], "kms:Decrypt", id="through another service"),
        pytest.param(KEY, [ITEM, USE | {"Resource": ["other"]}], "kms:Decrypt", id="of another key"),
        pytest.param(KEY, [ITEM, USE | {"Action": ["kms:Decrypt"]}], "kms:GenerateDataKey", id="for reading only"),
    ],
)
def test_a_role_reads_an_encrypted_table_only_if_it_may_use_the_key_through_dynamodb(
    key: str | None, statements: list[dict[str, Any]], refused_action: str | None
) -> None:
    table = {"name": "payments", "serverSideEncryption": {"kmsKeyArn": key}}
    function = {"handler": "lambdas.reader.handler", "role": "arn:aws:iam::123456789012:role/reader"}
    policy = {"role": "reader", "policy": json.dumps({"Version": "2012-10-17", "Statement": statements})}
    resources = [
        Resource("aws:dynamodb/table:Table", "payments", table),
        Resource("aws:lambda/function:Function", "reader", function),
        Resource("aws:iam/rolePolicy:RolePolicy", "reader", policy),
    ]
    permissions = Permissions(Deployment(outputs={}, resources=resources))
    request = SimpleNamespace(body=json.dumps({"TableName": "payments"}), url="")
    refusal = permissions.check("reader", "dynamodb.GetItem", request)
    if refused_action is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert f"is not authorized to perform: {refused_action} on resource" in json.loads(refusal[2])["message"]
