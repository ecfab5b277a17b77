"""The functions of pulumi_aws that the program calls, such as `get_region`; Pulumi calls them invokes."""

from collections.abc import Callable, Mapping

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import AwsClients, DeployError, Values


def _get_table(aws: AwsClients, arguments: Values) -> Values:
    table = aws.client("dynamodb").describe_table(TableName=arguments["name"])["Table"]
    return {"name": arguments["name"], "arn": table["TableArn"]}


_FUNCTIONS: Mapping[str, Callable[[AwsClients, Values], Values]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": lambda _aws, _arguments: {"accountId": ACCOUNT, "id": ACCOUNT},
    "aws:index/getRegion:getRegion": lambda _aws, _arguments: {"region": REGION, "id": REGION},
    "aws:dynamodb/getTable:getTable": _get_table,
}


def invoke(aws: AwsClients, token: str, arguments: Values) -> Values:
    """The function's result. Raises DeployError for a function that the local stack does not support."""
    if token not in _FUNCTIONS:
        raise DeployError(f"{token}: the local stack does not know this function")
    return _FUNCTIONS[token](aws, arguments)
