"""The one table of resource types, which both the mocks deployer and the engine's provider go by.

A type that is not in the table stops the deployment; types without effect on one machine are listed as StateOnly.
"""

from collections.abc import Mapping

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources import (
    cognito_pools,
    dynamodb_tables,
    eventbridge_rules,
    iam_roles,
    kms_keys,
    lambda_functions,
    lambda_layers,
    log_groups,
    rest_apis,
    s3_buckets,
    schedules,
    sns_topics,
    ssm_parameters,
    state_machines,
)
from local.pulumi.resources.resource_type import DeployError, ResourceType
from local.pulumi.resources.state_only import StateOnly

RESOURCE_TYPES: Mapping[str, ResourceType] = {
    "aws:apigateway/account:Account": rest_apis.Account(),
    "aws:apigateway/basePathMapping:BasePathMapping": StateOnly("domainName"),
    "aws:apigateway/deployment:Deployment": rest_apis.Deployment(),
    "aws:apigateway/domainName:DomainName": rest_apis.DomainName(),
    "aws:apigateway/methodSettings:MethodSettings": rest_apis.MethodSettings(),
    "aws:apigateway/restApi:RestApi": rest_apis.RestApi(),
    "aws:apigateway/stage:Stage": rest_apis.Stage(),
    "aws:cloudwatch/dashboard:Dashboard": StateOnly("dashboardName"),
    "aws:cloudwatch/eventBus:EventBus": eventbridge_rules.EventBus(),
    "aws:cloudwatch/eventRule:EventRule": eventbridge_rules.EventRule(),
    "aws:cloudwatch/eventTarget:EventTarget": eventbridge_rules.EventTarget(),
    "aws:cloudwatch/logGroup:LogGroup": log_groups.LogGroup(),
    "aws:cloudwatch/metricAlarm:MetricAlarm": StateOnly("name", arn=f"cloudwatch:{REGION}:{ACCOUNT}:alarm"),
    "aws:cloudwatch/queryDefinition:QueryDefinition": StateOnly("name"),
    "aws:cognito/userGroup:UserGroup": cognito_pools.UserGroup(),
    "aws:cognito/userPool:UserPool": cognito_pools.UserPool(),
    "aws:cognito/userPoolClient:UserPoolClient": cognito_pools.UserPoolClient(),
    "aws:cognito/userPoolDomain:UserPoolDomain": cognito_pools.UserPoolDomain(),
    "aws:dynamodb/table:Table": dynamodb_tables.Table(),
    "aws:iam/role:Role": iam_roles.Role(),
    "aws:iam/rolePolicy:RolePolicy": iam_roles.RolePolicy(),
    # moto has AWS's managed policies only when it loads all of them.
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": StateOnly("role", "policyArn"),
    "aws:kms/alias:Alias": StateOnly("name"),
    "aws:kms/key:Key": kms_keys.Key(),
    "aws:lambda/alias:Alias": lambda_functions.FunctionAlias(),
    "aws:lambda/function:Function": lambda_functions.Function(),
    "aws:lambda/layerVersion:LayerVersion": lambda_layers.LayerVersion(),
    "aws:lambda/permission:Permission": lambda_functions.Permission(),
    "aws:s3/bucket:Bucket": s3_buckets.Bucket(),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": StateOnly("bucket"),
    "aws:s3/bucketPolicy:BucketPolicy": StateOnly("bucket"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": StateOnly("bucket"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": StateOnly("bucket"),
    "aws:s3/bucketVersioning:BucketVersioning": s3_buckets.BucketVersioning(),
    "aws:scheduler/schedule:Schedule": schedules.Schedule(),
    "aws:sfn/alias:Alias": state_machines.StateMachineAlias(),
    "aws:sfn/stateMachine:StateMachine": state_machines.StateMachine(),
    "aws:sns/topic:Topic": sns_topics.Topic(),
    "aws:sns/topicPolicy:TopicPolicy": sns_topics.TopicPolicy(),
    "aws:sns/topicSubscription:TopicSubscription": sns_topics.TopicSubscription(),
    "aws:ssm/parameter:Parameter": ssm_parameters.Parameter(),
    "aws:wafv2/webAclAssociation:WebAclAssociation": StateOnly("resourceArn", "webAclArn"),
}


def find_type(name: str) -> ResourceType:
    """Raises DeployError for a type that the local stack does not support."""
    try:
        return RESOURCE_TYPES[name]
    except KeyError:
        raise DeployError("the local stack does not know this type") from None
